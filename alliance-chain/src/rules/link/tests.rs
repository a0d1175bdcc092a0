#![allow(clippy::unwrap_used)]

use crate::query;
use crate::state::{self, LinkPlace, LinkedHead, LinkedRecord, RecordRef, ScanRecord};
use crate::testing::{Chain, DAY, NOW, PrivateBlocks, hospital, later, leaf, leaf_of};
use crate::tx::{Change, Link, Tx};
use caduceus_crypto::Hash;
use caduceus_crypto::evidence::AnchorLeaf;
use caduceus_crypto::index::{IndexEntries, PaeksEntry, PeksEntry, SchemeId, Tag};
use caduceus_crypto::time::Epoch;
use caduceus_ledger::{Height, Space};

fn link(height: u64, leaves: &[AnchorLeaf]) -> Tx {
    Tx::Link(Link {
        hospital: hospital(0),
        height: Height(height),
        leaves: leaves.to_vec(),
    })
}

/// A chain with these private blocks of hospital 0 checkpointed.
fn chain_with(anchors: &[&[AnchorLeaf]]) -> Chain {
    checkpointed(Chain::new(), anchors)
}

fn checkpointed(mut chain: Chain, anchors: &[&[AnchorLeaf]]) -> Chain {
    let mut blocks = PrivateBlocks::new(0);
    for leaves in anchors {
        blocks.push(leaves);
    }
    chain.accept(&Tx::Checkpoint(blocks.checkpoint(1, anchors.len())));
    chain
}

#[test]
fn anchors_are_linked_in_order() {
    let mut chain = chain_with(&[&[], &[leaf(0), leaf(1)], &[], &[leaf(2)]]);
    assert_eq!(chain.linked_height(), 1);
    assert!(chain.accept(&link(2, &[leaf(0), leaf(1)])).is_empty());
    assert_eq!(chain.linked_height(), 3);
    chain.accept(&link(4, &[leaf(2)]));
    assert_eq!(chain.linked_height(), 4);

    let at = RecordRef {
        height: 2,
        position: 1,
    };
    let expected = LinkedRecord {
        pseudonym: leaf(1).pseudonym,
        record_hash: leaf(1).record_hash,
    };
    assert_eq!(
        query::linked_record(&chain, &hospital(0), &at).unwrap(),
        Some(expected.clone())
    );
    assert_eq!(
        query::linked_at(&chain, &hospital(0), Height(2)).unwrap()[1],
        (at, expected)
    );
    assert_eq!(
        query::find_pseudonym(&chain, &hospital(0), &leaf(1).pseudonym.point).unwrap(),
        Some(at)
    );
    for tag in leaf(1).entries.tags() {
        assert_eq!(state::tag(0, tag).get(&chain).unwrap(), Some(at));
    }
}

/// What the store promises of the index space: fixed widths, and nothing to scan.
#[test]
fn a_tag_costs_thirty_two_bytes() {
    let key = state::tag(0x0102_0304, &Tag([7; 16]));
    assert_eq!(key.space(), Space::Index);
    assert_eq!(key.bytes(), [&[1u8, 2, 3, 4][..], &[7u8; 16][..]].concat());
    let place = RecordRef {
        height: 0x0506,
        position: 9,
    };
    let value = caduceus_crypto::encode(&place);
    assert_eq!(value, [6u8, 5, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0]);
    assert_eq!(key.bytes().len() + value.len(), 32);
}

#[test]
fn the_linked_head_follows() {
    let mut chain = chain_with(&[&[], &[leaf(0), leaf(1)], &[], &[leaf(2)]]);
    assert_eq!(query::linked_head(&chain, &hospital(0)).unwrap(), None);
    let mut digest = Hash::ZERO;
    let expected = [(2, vec![leaf(0), leaf(1)], 2), (4, vec![leaf(2)], 3)];
    for (n, (height, leaves, records)) in (0u64..).zip(expected) {
        let tx = link(height, &leaves);
        chain.accept(&tx);
        let height = Height(height);
        let header = query::checkpointed(&chain, &hospital(0), height).unwrap();
        let header = header.unwrap();
        digest = query::linked_digest(&digest, height, header.time, &header.anchors_root);
        assert_eq!(
            query::linked_head(&chain, &hospital(0)).unwrap(),
            Some(LinkedHead {
                height,
                records,
                digest
            })
        );
        assert_eq!(
            state::link(&hospital(0), n).get(&chain).unwrap(),
            Some(LinkPlace {
                height,
                tx: tx.id()
            })
        );
        assert_eq!(
            state::link_count(&hospital(0)).get(&chain).unwrap(),
            Some(n + 1)
        );
    }
}

#[test]
fn a_scheme_that_scans_keeps_the_entries_in_order() {
    for scheme in [SchemeId::Peks, SchemeId::Paeks] {
        let leaves: Vec<_> = (0..3).map(|i| leaf_of(scheme, i)).collect();
        let mut chain = checkpointed(Chain::of_scheme(scheme), &[&leaves[..2], &leaves[2..]]);
        chain.accept(&link(1, &leaves[..2]));
        chain.time = later(5 * DAY);
        chain.accept(&link(2, &leaves[2..]));
        assert_eq!(state::scan_count(0).get(&chain).unwrap(), Some(3));
        for (n, leaf) in (0u64..).zip(leaves) {
            let expected = ScanRecord {
                record: RecordRef {
                    height: 1 + n / 2,
                    position: (n % 2) as u32,
                },
                day: Epoch(NOW.epoch().0 + if n == 2 { 5 } else { 0 }),
                entries: leaf.entries,
            };
            assert_eq!(
                state::scan_record(0, n).get(&chain).unwrap(),
                Some(expected)
            );
        }
    }
}

#[test]
fn entries_are_of_the_chains_scheme() {
    let mut refused = 0;
    for scheme in SchemeId::ALL {
        for other in SchemeId::ALL.into_iter().filter(|other| *other != scheme) {
            let leaves = [leaf_of(other, 0)];
            let mut chain = checkpointed(Chain::of_scheme(scheme), &[&leaves]);
            chain.refuse(&link(1, &leaves), "link_index_scheme");
            refused += 1;
        }
    }
    assert_eq!(refused, 6);
}

#[test]
fn only_members_link() {
    let mut chain = chain_with(&[&[leaf(0)]]);
    chain.govern(Change::Remove(hospital(0)));
    chain.refuse(&link(1, &[leaf(0)]), "link_not_a_member");
}

#[test]
fn the_block_is_checkpointed() {
    chain_with(&[&[leaf(0)]]).refuse(&link(2, &[leaf(1)]), "link_not_checkpointed");
}

#[test]
fn an_empty_block_is_not_linked() {
    chain_with(&[&[]]).refuse(&link(1, &[]), "link_no_anchors");
}

#[test]
fn a_block_is_linked_once() {
    let mut chain = chain_with(&[&[leaf(0)]]);
    chain.accept(&link(1, &[leaf(0)]));
    chain.refuse(&link(1, &[leaf(0)]), "link_already_linked");
}

#[test]
fn no_block_is_passed_over() {
    let mut chain = chain_with(&[&[leaf(0)], &[leaf(1)]]);
    chain.refuse(&link(2, &[leaf(1)]), "link_out_of_order");
    chain.accept(&link(1, &[leaf(0)]));
    chain.accept(&link(2, &[leaf(1)]));
}

#[test]
fn no_anchor_is_left_out() {
    chain_with(&[&[leaf(0), leaf(1)]]).refuse(&link(1, &[leaf(0)]), "link_count");
}

#[test]
fn the_anchors_are_those_of_the_header() {
    let mut chain = chain_with(&[&[leaf(0), leaf(1)]]);
    chain.refuse(&link(1, &[leaf(1), leaf(0)]), "link_root");
    let mut altered = leaf(1);
    altered.record_hash.0[0] ^= 1;
    chain.refuse(&link(1, &[leaf(0), altered]), "link_root");
}

#[test]
fn entries_are_well_formed() {
    let unpadded = leaf(0).entries.tags()[..7].to_vec();
    let no_points: Vec<_> = (0..8).map(|n| PeksEntry([n; 80])).collect();
    let no_pairs: Vec<_> = (0..8).map(|n| PaeksEntry([n; 96])).collect();
    for entries in [
        IndexEntries::Tags(unpadded),
        IndexEntries::Peks(no_points),
        IndexEntries::Paeks(no_pairs),
    ] {
        let scheme = entries.scheme();
        let leaves = [AnchorLeaf { entries, ..leaf(0) }];
        let mut chain = checkpointed(Chain::of_scheme(scheme), &[&leaves]);
        chain.refuse(&link(1, &leaves), "link_entries");
    }
}

#[test]
fn a_pseudonym_is_used_once_per_hospital() {
    let mut twin = leaf(1);
    twin.pseudonym = leaf(0).pseudonym;
    let leaves = [leaf(0), twin];
    chain_with(&[&leaves]).refuse(&link(1, &leaves), "link_pseudonym_repeated");
}

#[test]
fn a_tag_is_used_once_per_hospital() {
    let mut twin = leaf(1);
    twin.entries = leaf(0).entries;
    let leaves = [leaf(0), twin];
    chain_with(&[&leaves]).refuse(&link(1, &leaves), "link_tag_repeated");
}

#[test]
fn a_copy_at_another_hospital_harms_nobody() {
    let mut chain = chain_with(&[&[leaf(0)]]);
    let mut copycat = PrivateBlocks::new(1);
    copycat.push(&[leaf(0)]);
    chain.accept(&Tx::Checkpoint(copycat.checkpoint(1, 1)));
    let copied = Link {
        hospital: hospital(1),
        height: Height(1),
        leaves: vec![leaf(0)],
    };
    chain.accept(&Tx::Link(copied));
    chain.accept(&link(1, &[leaf(0)]));
    assert_eq!(chain.linked_height(), 1);
}

#![allow(clippy::unwrap_used)]

use crate::query;
use crate::state::{self, LinkedRecord, RecordRef};
use crate::testing::{Chain, PrivateBlocks, hospital, leaf};
use crate::tx::{Change, Link, Tx};
use caduceus_crypto::evidence::AnchorLeaf;
use caduceus_ledger::Height;

fn link(height: u64, leaves: &[AnchorLeaf]) -> Tx {
    Tx::Link(Link {
        hospital: hospital(0),
        height: Height(height),
        leaves: leaves.to_vec(),
    })
}

/// A chain with these private blocks of hospital 0 checkpointed.
fn chain_with(anchors: &[&[AnchorLeaf]]) -> Chain {
    let mut blocks = PrivateBlocks::new(0);
    for leaves in anchors {
        blocks.push(leaves);
    }
    let mut chain = Chain::new();
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
    for tag in &leaf(1).entries.tags {
        assert_eq!(state::tag(&hospital(0), tag).get(&chain).unwrap(), Some(at));
    }
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
    let mut unpadded = leaf(0);
    unpadded.entries.tags.pop();
    chain_with(&[&[unpadded.clone()]]).refuse(&link(1, &[unpadded]), "link_entries");
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

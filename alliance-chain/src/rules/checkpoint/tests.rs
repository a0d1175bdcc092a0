#![allow(clippy::unwrap_used)]

use crate::query;
use crate::state;
use crate::testing::{self, Chain, PrivateBlocks, certificate, hospital, leaf};
use crate::tx::{Checkpoint, MAX_CHECKPOINT_HEADERS, Tx};
use caduceus_crypto::Hash;
use caduceus_crypto::time::TimeMillis;
use caduceus_ledger::{Height, Validator, ValidatorSet};

/// Five empty blocks of hospital 0.
fn blocks() -> PrivateBlocks {
    let mut blocks = PrivateBlocks::new(0);
    for _ in 0..5 {
        blocks.push(&[]);
    }
    blocks
}

fn tx(checkpoint: Checkpoint) -> Tx {
    Tx::Checkpoint(checkpoint)
}

/// Checkpoints heights 1 to `last` of these blocks.
fn chain_at(blocks: &PrivateBlocks, last: usize) -> Chain {
    let mut chain = Chain::new();
    chain.accept(&tx(blocks.checkpoint(1, last)));
    chain
}

#[test]
fn headers_are_recorded() {
    let mut blocks = PrivateBlocks::new(0);
    blocks.push(&[]).push(&[leaf(0), leaf(1)]).push(&[]);
    let mut chain = Chain::new();
    assert!(chain.accept(&tx(blocks.checkpoint(1, 2))).is_empty());
    chain.accept(&tx(blocks.checkpoint(3, 3)));
    let head = query::checkpoint_head(&chain, &hospital(0))
        .unwrap()
        .unwrap();
    assert_eq!(
        (head.height, head.hash),
        (Height(3), blocks.headers[2].hash())
    );
    let tree = state::header_tree(&hospital(0))
        .get(&chain)
        .unwrap()
        .unwrap();
    let hashes = blocks.headers.iter().map(|header| header.hash());
    let leaves: Vec<Vec<u8>> = hashes.map(|hash| hash.as_bytes().to_vec()).collect();
    for (height, leaf) in (1u64..).zip(&blocks.headers) {
        let proof = caduceus_crypto::merkle::prove(&leaves, height as usize - 1);
        tree.check(Height(height), &leaf.hash(), &proof).unwrap();
    }
    assert_eq!(tree.size(), 3);
    let second = query::checkpointed(&chain, &hospital(0), Height(2))
        .unwrap()
        .unwrap();
    assert_eq!(
        (second.hash, second.anchors_count),
        (blocks.headers[1].hash(), 2)
    );
    assert_eq!(
        query::next_link_height(&chain, &hospital(0)).unwrap(),
        Height(2)
    );
    assert_eq!(
        query::next_link_height(&chain, &hospital(1)).unwrap(),
        Height(1)
    );
}

#[test]
fn only_members_checkpoint() {
    let mut checkpoint = blocks().checkpoint(1, 1);
    checkpoint.hospital = hospital(9);
    Chain::new().refuse(&tx(checkpoint), "checkpoint_not_a_member");
}

#[test]
fn some_headers_and_not_too_many() {
    let mut none = blocks().checkpoint(1, 1);
    none.headers.clear();
    Chain::new().refuse(&tx(none), "checkpoint_count");
    let mut many = blocks().checkpoint(1, 1);
    many.headers = vec![many.headers[0].clone(); MAX_CHECKPOINT_HEADERS + 1];
    Chain::new().refuse(&tx(many), "checkpoint_count");
}

#[test]
fn headers_are_of_the_hospitals_chain() {
    let mut checkpoint = PrivateBlocks::new(1).push(&[]).checkpoint(1, 1);
    checkpoint.hospital = hospital(0);
    Chain::new().refuse(&tx(checkpoint), "checkpoint_other_chain");
}

#[test]
fn headers_follow_each_other() {
    let mut gap = blocks().checkpoint(1, 3);
    gap.headers.remove(1);
    Chain::new().refuse(&tx(gap), "checkpoint_not_consecutive");
}

#[test]
fn headers_name_their_parents() {
    let mut broken = blocks().checkpoint(1, 3);
    broken.headers[0].state_root = Hash([9; 32]);
    Chain::new().refuse(&tx(broken), "checkpoint_parent");
}

#[test]
fn time_increases() {
    let mut blocks = blocks();
    let before = blocks.headers[0].time;
    blocks.alter(2, |header| header.time = before);
    Chain::new().refuse(&tx(blocks.checkpoint(1, 2)), "checkpoint_time");
    // Also from one checkpoint to the next.
    let mut chain = Chain::new();
    chain.accept(&tx(blocks.checkpoint(1, 1)));
    chain.refuse(&tx(blocks.checkpoint(2, 2)), "checkpoint_time");
    blocks.alter(2, |header| header.time.0 += 1);
    chain.accept(&tx(blocks.checkpoint(2, 2)));
}

#[test]
fn headers_carry_their_anchors_root() {
    let mut blocks = blocks();
    blocks.alter(1, |header| header.extra = vec![0; 35]);
    Chain::new().refuse(&tx(blocks.checkpoint(1, 1)), "checkpoint_extra");
}

#[test]
fn no_height_is_left_out() {
    let blocks = blocks();
    Chain::new().refuse(&tx(blocks.checkpoint(2, 2)), "checkpoint_gap");
    chain_at(&blocks, 2).refuse(&tx(blocks.checkpoint(4, 5)), "checkpoint_gap");
}

#[test]
fn voters_are_those_on_record() {
    let mut last = blocks();
    last.alter(1, |header| header.validators = Hash([9; 32]));
    Chain::new().refuse(&tx(last.checkpoint(1, 1)), "checkpoint_other_validators");
    Chain::new().refuse(&tx(last.checkpoint(1, 2)), "checkpoint_other_validators");
}

/// The validators of hospital 1, with whom hospital 0 goes on.
fn next_set() -> ValidatorSet {
    testing::private_set(1)
}

#[test]
fn voters_change_at_the_end_of_a_checkpoint() {
    let mut blocks = blocks();
    blocks.alter(2, |header| header.next_validators = next_set().hash());
    blocks.alter(3, |header| {
        header.validators = next_set().hash();
        header.next_validators = next_set().hash();
    });
    let mut chain = Chain::new();
    chain.refuse(&tx(blocks.checkpoint(1, 3)), "checkpoint_other_validators");

    let mut first = blocks.checkpoint(1, 2);
    chain.refuse(&tx(first.clone()), "checkpoint_next_validators");
    first.next_validators = Some(testing::private_set(2));
    chain.refuse(&tx(first.clone()), "checkpoint_next_validators");
    first.next_validators = Some(next_set());
    chain.accept(&tx(first));
    let record = query::member(&chain, &hospital(0)).unwrap().unwrap();
    assert_eq!(record.member.private_validators, next_set());

    // The former voters certify nothing more; the new ones do.
    let mut second = blocks.checkpoint(3, 3);
    chain.refuse(&tx(second.clone()), "checkpoint_certificate");
    second.certificate = certificate(1, &blocks.headers[2]);
    chain.accept(&tx(second));
}

#[test]
fn voters_do_not_change_inside_a_checkpoint() {
    let mut blocks = blocks();
    blocks.alter(1, |header| header.next_validators = next_set().hash());
    Chain::new().refuse(
        &tx(blocks.checkpoint(1, 2)),
        "checkpoint_validators_change_inside",
    );
}

#[test]
fn a_next_set_without_a_change_is_refused() {
    let mut checkpoint = blocks().checkpoint(1, 1);
    checkpoint.next_validators = Some(testing::private_set(0));
    Chain::new().refuse(&tx(checkpoint), "checkpoint_next_validators");
}

#[test]
fn the_certificate_holds() {
    let mut few = blocks().checkpoint(1, 2);
    few.certificate.signatures.pop();
    Chain::new().refuse(&tx(few), "checkpoint_certificate");
    let mut other = blocks().checkpoint(1, 2);
    other.certificate = certificate(0, &other.headers[0]);
    Chain::new().refuse(&tx(other), "checkpoint_certificate");
    let mut stranger = blocks().checkpoint(1, 2);
    let key = testing::secret(1).public();
    let set = ValidatorSet::new(vec![Validator { key, power: 1 }]).unwrap();
    stranger.certificate.signatures[0].0 = set.at(0).unwrap().address();
    Chain::new().refuse(&tx(stranger), "checkpoint_certificate");
}

#[test]
fn the_same_headers_again_change_nothing() {
    let blocks = blocks();
    let mut chain = chain_at(&blocks, 3);
    for (first, last) in [(1, 3), (2, 2), (2, 5)] {
        chain.refuse(
            &tx(blocks.checkpoint(first, last)),
            "checkpoint_already_checkpointed",
        );
    }
    chain.accept(&tx(blocks.checkpoint(4, 5)));
}

#[test]
fn a_second_header_at_a_height_is_a_conflict() {
    let honest = blocks();
    let mut forked = blocks();
    forked.alter(3, |header| {
        header.time = TimeMillis(header.time.0 + 1_000_000)
    });
    forked.alter(4, |header| {
        header.time = TimeMillis(header.time.0 + 2_000_000)
    });
    forked.alter(5, |header| {
        header.time = TimeMillis(header.time.0 + 3_000_000)
    });
    let mut chain = chain_at(&honest, 4);
    chain.refuse(&tx(forked.checkpoint(3, 3)), "checkpoint_header_conflict");
    chain.refuse(&tx(forked.checkpoint(1, 5)), "checkpoint_header_conflict");
    // The conflict shows in the parent of the next header too.
    chain.refuse(&tx(forked.checkpoint(5, 5)), "checkpoint_header_conflict");
    // Without a certificate it is no conflict, only noise.
    let mut noise = forked.checkpoint(3, 3);
    noise.certificate.signatures.clear();
    chain.refuse(&tx(noise), "checkpoint_certificate");
    let kept = state::header(&hospital(0), Height(3))
        .get(&chain)
        .unwrap()
        .unwrap();
    assert_eq!(kept.hash, honest.headers[2].hash());
}

//! The bytes of what travels and rests, one value a type. A snapshot that changes is a change of format: it is
//! a decision, and says `Format:` in the change log.

use crate::support::{
    certificate, five_notes, genesis, header, key, light_chain, precommit, put, set, trusting_first,
};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, codec};
use caduceus_ledger::light::{Step, step};
use caduceus_ledger::{Block, DifficultyRule, Header, Puzzle, Vote, VoteKind};
use sha3::{Digest, Sha3_256};
use std::fmt::Debug;

/// The first 64 bytes, the length, and the hash of all.
fn fingerprint(bytes: &[u8]) -> String {
    let head = hex::encode(&bytes[..bytes.len().min(64)]);
    let hash = hex::encode(Sha3_256::digest(bytes));
    format!("{head}\n{} bytes\nsha3-256 {hash}", bytes.len())
}

fn check<T>(name: &str, value: &T)
where
    T: BorshSerialize + BorshDeserialize + PartialEq + Debug,
{
    let bytes = codec::encode(value);
    let decoded: T = codec::decode_exact(&bytes, bytes.len()).unwrap();
    assert_eq!(&decoded, value);
    insta::assert_snapshot!(name, fingerprint(&bytes));
}

fn alliance_header() -> Header {
    let (voters, next) = (set(&[3, 3, 2, 1]), set(&[1, 1, 1, 1]));
    header(7, &voters, &next)
}

#[test]
fn a_genesis() {
    let mut genesis = genesis();
    genesis.app = vec![0xab; 5];
    check("genesis", &genesis);
}

#[test]
fn a_header_without_extra_bytes() {
    check("header_without_extra", &alliance_header());
}

#[test]
fn a_header_with_extra_bytes() {
    let mut header = alliance_header();
    header.extra = vec![0xee; 36];
    check("header_with_extra", &header);
}

#[test]
fn a_block() {
    let block = Block {
        header: alliance_header(),
        txs: vec![put("a", "1"), Vec::new(), vec![7; 100]],
    };
    check("block", &block);
}

#[test]
fn a_certificate() {
    check("certificate", &certificate(&alliance_header(), &[0, 1, 3]));
}

#[test]
fn the_signed_bytes_of_a_precommit() {
    let vote = precommit(&alliance_header());
    check("vote_precommit", &vote);
    assert_eq!(vote.sign_bytes(), codec::encode(&vote));
}

#[test]
fn the_signed_bytes_of_a_prevote_for_nothing() {
    let vote = Vote {
        kind: VoteKind::Prevote,
        round: 3,
        block: None,
        ..precommit(&alliance_header())
    };
    check("vote_prevote_nil", &vote);
    assert_eq!(vote.sign_bytes(), codec::encode(&vote));
}

#[test]
fn a_light_block() {
    check(
        "light_block",
        &light_chain(&[vec![0, 1, 2], vec![1, 2, 3]])[0],
    );
}

#[test]
fn a_trusted_head_on_disk() {
    let sets = [vec![0, 1, 2], vec![1, 2, 3]];
    let genesis = trusting_first(&sets);
    insta::assert_snapshot!("trusted_genesis", fingerprint(&genesis.to_disk()));
    let block = &light_chain(&sets)[0];
    let Step::Accepted(trusted) = step(&genesis, block, block.head.header.time).unwrap() else {
        panic!("the next block is never skipped to");
    };
    insta::assert_snapshot!("trusted_head", fingerprint(&trusted.to_disk()));
}

#[test]
fn a_transaction_proof() {
    check("tx_proof", &five_notes().tx_proof(1));
}

#[test]
fn a_state_proof_of_presence() {
    check("state_proof_present", &five_notes().state_proof(b"note/a"));
}

#[test]
fn a_state_proof_of_absence() {
    check("state_proof_absent", &five_notes().state_proof(b"note/x"));
}

#[test]
fn a_signed_seal() {
    let first = Puzzle::new(&alliance_header(), None, DifficultyRule::DEFAULT).seal(2, 5, 40);
    let seal = Puzzle::new(&alliance_header(), Some(&first), DifficultyRule::DEFAULT)
        .seal(9, 76_384_756, 2_345)
        .sign(&key(0));
    check("signed_seal", &seal);
    assert_eq!(codec::encode(&seal).len(), 4 + 3 * 8 + 64 + 8 + 17 + 2 + 64);
}

/// What docs/design.md, section 6, says of lengths.
#[test]
fn lengths_are_the_documented_ones() {
    let mut header = alliance_header();
    assert_eq!(codec::encode(&header).len(), 264);
    header.extra = vec![0; 36];
    assert_eq!(codec::encode(&header).len(), 300);
    for signers in [&[0u8, 1, 2][..], &[0, 1, 2, 3]] {
        let certificate = certificate(&header, signers);
        assert_eq!(codec::encode(&certificate).len(), 48 + 84 * signers.len());
    }
    let vote = precommit(&header);
    assert_eq!(vote.sign_bytes().len(), 78);
    let nil = Vote {
        block: None::<Hash>,
        ..vote
    };
    assert_eq!(nil.sign_bytes().len(), 46);
    assert_eq!(codec::encode(&set(&[3, 3, 2, 1])).len(), 4 + 41 * 4);
}

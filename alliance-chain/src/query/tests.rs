#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::{self, NOW, PrivateBlocks, leaf, secret};
use crate::tx::Hit;
use caduceus_crypto::evidence::{AnchorBody, sign_vault_receipt};
use caduceus_crypto::merkle;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use umbral_pre::DefaultSerialize;

/// The anchor whose leaf is [`leaf`] number `i`.
fn anchor(i: u8) -> Anchor {
    let leaf = leaf(i);
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(i));
    let delegating = umbral_pre::SecretKey::random_with_rng(&mut rng).public_key();
    let (capsule, _) = umbral_pre::encrypt_with_rng(&mut rng, &delegating, b"data key").unwrap();
    let body = AnchorBody {
        hospital: testing::hospital(0),
        pseudonym: leaf.pseudonym,
        record_hash: leaf.record_hash,
        header_hash: Hash([7; 32]),
        entries: leaf.entries,
        capsule: capsule.to_bytes().unwrap().into_vec(),
        delegating: secret(170 + i).public(),
        visit: Hash::ZERO,
        epoch: NOW.epoch(),
        authored_at: NOW,
    };
    let (author, vault, stored_bytes) = (secret(40), testing::server(0), 20_000);
    Anchor {
        author: author.public(),
        author_signature: body.sign(&author),
        stored_bytes,
        vault: vault.public(),
        vault_signature: sign_vault_receipt(&vault, &body.record_hash, stored_bytes),
        body,
    }
}

/// A private header over anchors 0 to 2, what the alliance keeps of it, and the proof of anchor 1.
fn proved() -> (CheckpointedHeader, Header, InclusionProof) {
    let leaves: Vec<_> = (0..3).map(leaf).collect();
    let mut blocks = PrivateBlocks::new(0);
    blocks.push(&leaves);
    let header = blocks.headers[0].clone();
    let extra = AnchorsExtra::parse(&header.extra).unwrap();
    let known = CheckpointedHeader {
        hash: header.hash(),
        time: header.time,
        anchors_root: extra.root,
        anchors_count: extra.count,
    };
    let encoded: Vec<Vec<u8>> = leaves.iter().map(codec::encode).collect();
    (known, header, merkle::prove(&encoded, 1))
}

const AT: RecordRef = RecordRef {
    height: 1,
    position: 1,
};

#[test]
fn an_anchor_is_checked_against_the_checkpoint() {
    let (known, header, proof) = proved();
    check_anchor(&known, &header, &AT, &anchor(1), &proof).unwrap();
}

#[test]
fn another_header_is_refused() {
    let (known, header, proof) = proved();
    let mut other = header.clone();
    other.state_root = Hash([1; 32]);
    let refused = check_anchor(&known, &other, &AT, &anchor(1), &proof);
    assert!(matches!(refused, Err(AnchorMismatch::Header)));
    let elsewhere = RecordRef { height: 2, ..AT };
    let refused = check_anchor(&known, &header, &elsewhere, &anchor(1), &proof);
    assert!(matches!(refused, Err(AnchorMismatch::Header)));
    let mut sized = proof;
    sized.size = 4;
    let refused = check_anchor(&known, &header, &AT, &anchor(1), &sized);
    assert!(matches!(refused, Err(AnchorMismatch::Header)));
}

#[test]
fn another_position_is_refused() {
    let (known, header, proof) = proved();
    let elsewhere = RecordRef { position: 2, ..AT };
    let refused = check_anchor(&known, &header, &elsewhere, &anchor(1), &proof);
    assert!(matches!(
        refused,
        Err(AnchorMismatch::Position {
            expected: 2,
            found: 1
        })
    ));
}

#[test]
fn another_anchor_is_refused() {
    let (known, header, proof) = proved();
    let refused = check_anchor(&known, &header, &AT, &anchor(2), &proof);
    assert!(matches!(refused, Err(AnchorMismatch::NotIncluded(_))));
}

#[test]
fn an_anchor_with_bad_evidence_is_refused() {
    let (known, header, proof) = proved();
    let mut forged = anchor(1);
    forged.body.header_hash = Hash([8; 32]);
    let refused = check_anchor(&known, &header, &AT, &forged, &proof);
    assert!(matches!(refused, Err(AnchorMismatch::Evidence(_))));
}

#[test]
fn the_largest_search_result_decodes() {
    let hit = Hit {
        record: AT,
        pseudonym: leaf(1).pseudonym,
        record_hash: leaf(1).record_hash,
    };
    let full = SearchResult {
        hospital: testing::hospital(0),
        linked_height: 9,
        hits: vec![hit; caduceus_crypto::index::MAX_HITS],
        stopped_at: Some(AT),
        probes: 5000,
    };
    let bytes = codec::encode(&full);
    assert!(bytes.len() <= MAX_SEARCH_RESULT_BYTES);
    assert_eq!(search_result(&bytes).unwrap(), full);
    assert!(search_result(&bytes[1..]).is_err());
}

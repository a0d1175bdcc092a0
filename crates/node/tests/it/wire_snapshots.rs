//! The bytes of a snapshot, one value a type. A change here is a change of format: it is a decision, and says
//! `Format:` in the change log.

use crate::support::{genesis, key};
use caduceus_crypto::{Hash, TimeMillis, codec, domain, hash};
use caduceus_ledger::{Address, Header, Height, Space};
use caduceus_node::statesync::rows::{self, Cutter};
use caduceus_node::statesync::{Attestation, Manifest, Section};

/// The first 64 bytes, the length, and a hash of all.
fn fingerprint(bytes: &[u8]) -> String {
    let head = hex::encode(&bytes[..bytes.len().min(64)]);
    let all = hash(domain::SIM_TRACE, &[bytes]);
    format!("{head}\n{} bytes\n{all}", bytes.len())
}

fn manifest() -> Manifest {
    let mut genesis = genesis(3);
    genesis.time = TimeMillis(1_700_000_000_000);
    let set = genesis.validators.clone();
    Manifest {
        header: Header {
            chain: genesis.chain_id(),
            height: Height(40),
            time: TimeMillis(1_700_000_100_000),
            proposer: Address::of(&key(0).public()),
            parent: Hash([1; 32]),
            txs_root: Hash([2; 32]),
            results_root: Hash([3; 32]),
            state_root: Hash([4; 32]),
            validators: set.hash(),
            next_validators: set.hash(),
            extra: vec![5; 3],
        },
        voters: set.clone(),
        next_validators: set,
        auth: Section {
            rows: 3,
            chunks: 1,
            bytes: 100,
        },
        bulk: Section {
            rows: 7,
            chunks: 2,
            bytes: 2_000_000,
        },
        index: Section::default(),
        root: Hash([6; 32]),
    }
}

#[test]
fn a_manifest() {
    let bytes = codec::encode(&manifest());
    assert_eq!(Manifest::decode(&bytes).unwrap(), manifest());
    insta::assert_snapshot!("manifest", fingerprint(&bytes));
}

#[test]
fn an_attestation() {
    let attestation = Attestation::sign(&manifest().hash(), &key(0));
    let bytes = codec::encode(&attestation);
    let back: Attestation = codec::decode_exact(&bytes, bytes.len()).unwrap();
    assert_eq!(back, attestation);
    insta::assert_snapshot!("attestation", fingerprint(&bytes));
}

#[test]
fn a_chunk_of_each_space() {
    let mut cutter = Cutter::default();
    let rows = [
        (Space::Auth, b"a".to_vec(), b"one".to_vec()),
        (Space::Auth, b"b".to_vec(), Vec::new()),
        (Space::Bulk, b"c".to_vec(), vec![9; 70]),
        (Space::Index, vec![1; 20], vec![2; 12]),
    ];
    let mut chunks = Vec::new();
    for (space, key, value) in &rows {
        chunks.extend(cutter.push(*space, key, value).unwrap());
    }
    chunks.extend(cutter.finish().0);
    for (chunk, name) in chunks
        .iter()
        .zip(["chunk_auth", "chunk_bulk", "chunk_index"])
    {
        assert!(rows::read(chunk).is_ok());
        insta::assert_snapshot!(name, fingerprint(chunk));
    }
    assert_eq!(chunks.len(), 3);
}

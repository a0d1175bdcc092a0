//! Refusals, and places read from proofs.

#![allow(clippy::unwrap_used)]

use super::pass::{Refusals, refusals_needed};
use super::*;

#[test]
fn a_refusal_counts_when_one_of_its_nodes_must_be_honest() {
    let needed: Vec<usize> = [0, 1, 3, 4, 6, 7, 10].map(refusals_needed).to_vec();
    assert_eq!(needed, [1, 1, 1, 2, 2, 3, 4]);
    let node = || {
        caduceus_network::peer_id(
            &caduceus_crypto::SecretKey::generate(&mut rand_core::OsRng).public(),
        )
    };
    let (one, two) = (node(), node());
    let mut refusals = Refusals::default();
    assert_eq!(refusals.note("rule", one), 1);
    // The same node twice, or another rule, adds nothing.
    assert_eq!(refusals.note("rule", one), 1);
    assert_eq!(refusals.note("other", two), 1);
    assert_eq!(refusals.note("rule", two), 2);
}

#[cfg(feature = "serve")]
#[test]
fn a_place_is_read_from_a_proof_that_holds() {
    use caduceus_crypto::{SecretKey, TimeMillis, domain, encode, merkle};
    use caduceus_ledger::{
        Address, Certificate, ChainKind, Genesis, Header, Validator, ValidatorSet, Vote, VoteKind,
    };
    use rand_core::OsRng;

    let voter = SecretKey::generate(&mut OsRng);
    let set = ValidatorSet::new(vec![Validator {
        key: voter.public(),
        power: 1,
    }])
    .unwrap();
    let genesis = Genesis {
        kind: ChainKind::Private,
        name: "placed".to_owned(),
        time: TimeMillis(0),
        validators: set.clone(),
        app: Vec::new(),
    };
    let chain = genesis.chain_id();
    let (txs, results) = (
        vec![b"one".to_vec(), b"two".to_vec()],
        vec![vec![1u8], vec![2u8]],
    );
    let header = Header {
        chain,
        height: Height(7),
        time: TimeMillis(1),
        proposer: Address::of(&voter.public()),
        parent: Hash::ZERO,
        txs_root: merkle::root(&txs),
        results_root: merkle::root(&results),
        state_root: Hash::ZERO,
        validators: set.hash(),
        next_validators: set.hash(),
        extra: Vec::new(),
    };
    let block = header.hash();
    let vote = Vote {
        chain,
        kind: VoteKind::Precommit,
        height: header.height,
        round: 0,
        block: Some(block),
    };
    let certificate = Certificate {
        height: header.height,
        round: 0,
        block,
        signatures: vec![(
            Address::of(&voter.public()),
            voter.sign(domain::VOTE, &vote.sign_bytes()),
        )],
    };
    let proof = TxProof {
        head: CertifiedHeader {
            header,
            certificate,
        },
        tx: txs[1].clone(),
        tx_proof: merkle::prove(&txs, 1),
        result: results[1].clone(),
        result_proof: merkle::prove(&results, 1),
    };
    let light = Trust::new(&genesis, None);
    let id = tx_id(&txs[1]);
    let placed = Placed::proved(&light, &id, &encode(&proof)).unwrap();
    assert_eq!(
        placed,
        Placed {
            height: 7,
            block_hash: block,
            result: vec![2],
        }
    );
    assert!(Placed::proved(&light, &tx_id(&txs[0]), &encode(&proof)).is_err());
    let mut forged = proof.clone();
    forged.result = vec![9];
    assert!(Placed::proved(&light, &id, &encode(&forged)).is_err());
    let mut unsigned = proof;
    unsigned.head.certificate.signatures.clear();
    assert!(Placed::proved(&light, &id, &encode(&unsigned)).is_err());
}

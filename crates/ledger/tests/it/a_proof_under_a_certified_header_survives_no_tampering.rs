use crate::support::{Proved, certificate, certified, five_notes, flipped, genesis, put};
use caduceus_crypto::{Hash, codec, merkle};
use caduceus_ledger::execute::VALIDATORS_KEY;
use caduceus_ledger::{
    CertificateError, Genesis, LightClient, LightError, StateProofAt, TxProof, ValidatorSet, tx_id,
};

fn client() -> LightClient {
    LightClient::from_genesis(&genesis())
}

/// The second transaction's proof, and what it is asked for by.
fn sample() -> (Proved, TxProof, Hash) {
    let proved = five_notes();
    let proof = proved.tx_proof(1);
    let id = tx_id(&proof.tx);
    (proved, proof, id)
}

fn not_included<T>(what: &'static str) -> Result<T, LightError> {
    Err(LightError::NotIncluded { what })
}

#[test]
fn every_transaction_of_a_block_is_proved_with_its_result() {
    let proved = five_notes();
    for index in 0..5 {
        let proof = proved.tx_proof(index);
        assert_eq!(proof.verify(&client(), &tx_id(&proof.tx)), Ok(()));
        assert_eq!(proof.result, (index as u64 + 1).to_le_bytes());
        assert_eq!(proof.tx_proof.index, index as u64);
    }
}

#[test]
fn a_proof_of_another_transaction_is_no_answer() {
    let (proved, _, id) = sample();
    let other = proved.tx_proof(2);
    assert_eq!(
        other.verify(&client(), &id),
        Err(LightError::OtherTransaction {
            expected: id,
            found: tx_id(&other.tx),
        })
    );
}

#[test]
fn a_transaction_that_is_not_in_the_block_is_not_included() {
    let (_, proof, id) = sample();
    let mut forged = proof;
    forged.tx = put("note/b", "forged");
    let forged_id = tx_id(&forged.tx);
    assert_eq!(
        forged.verify(&client(), &id),
        Err(LightError::OtherTransaction {
            expected: id,
            found: forged_id,
        })
    );
    assert_eq!(
        forged.verify(&client(), &forged_id),
        not_included("transaction")
    );
}

#[test]
fn a_result_that_is_not_the_transactions_is_refused() {
    let (proved, proof, id) = sample();
    let mut altered = proof.clone();
    altered.result[0] ^= 1;
    assert_eq!(altered.verify(&client(), &id), not_included("result"));

    // Another transaction's result with its own, valid proof.
    let mut anothers = proof.clone();
    anothers.result = proved.results[3].clone();
    anothers.result_proof = merkle::prove(&proved.results, 3);
    assert_eq!(
        anothers.verify(&client(), &id),
        Err(LightError::ResultOfAnother)
    );
    anothers.result_proof.index = 1;
    assert_eq!(anothers.verify(&client(), &id), not_included("result"));
}

#[test]
fn both_inclusions_are_at_one_place_of_one_size() {
    let (_, proof, id) = sample();
    let mut moved = proof.clone();
    moved.result_proof.index = 2;
    assert_eq!(
        moved.verify(&client(), &id),
        Err(LightError::ResultOfAnother)
    );
    moved.tx_proof.index = 2;
    assert_eq!(moved.verify(&client(), &id), not_included("transaction"));

    let mut resized = proof;
    resized.tx_proof.size = 6;
    assert_eq!(
        resized.verify(&client(), &id),
        Err(LightError::ResultOfAnother)
    );
    resized.tx_proof.size = 2;
    resized.result_proof.size = 2;
    assert_eq!(resized.verify(&client(), &id), not_included("transaction"));
}

#[test]
fn every_hash_of_both_paths_counts() {
    let (_, proof, id) = sample();
    assert_eq!(proof.tx_proof.path.len(), 3);
    for at in 0..3 {
        let mut forged = proof.clone();
        forged.tx_proof.path[at].0[31] ^= 1;
        assert_eq!(forged.verify(&client(), &id), not_included("transaction"));
        let mut forged = proof.clone();
        forged.result_proof.path[at].0[0] ^= 1;
        assert_eq!(forged.verify(&client(), &id), not_included("result"));
    }
    let mut short = proof.clone();
    short.tx_proof.path.pop();
    assert_eq!(short.verify(&client(), &id), not_included("transaction"));
    let mut long = proof;
    long.result_proof.path.push(Hash::ZERO);
    assert_eq!(long.verify(&client(), &id), not_included("result"));
}

#[test]
fn the_header_must_be_certified_and_the_right_one() {
    let (mut proved, proof, id) = sample();
    let mut uncertified = proof.clone();
    uncertified.head.certificate = certificate(&proof.head.header, &[0, 1]);
    assert_eq!(
        uncertified.verify(&client(), &id),
        Err(LightError::Certificate(CertificateError::NoQuorum {
            power: 6,
            total: 9
        }))
    );

    let mut altered = proof.clone();
    altered.head.header.results_root = merkle::root(&[b"forged".to_vec()]);
    altered.result = b"forged".to_vec();
    assert!(matches!(
        altered.verify(&client(), &id),
        Err(LightError::Certificate(CertificateError::OtherBlock { .. }))
    ));

    let (next, executed, _) = proved.chain.build(vec![put("note/f", "f")]);
    proved.chain.commit(&executed);
    let mut elsewhere = proof;
    elsewhere.head = certified(&next.header, &[0, 1, 2]);
    assert_eq!(
        elsewhere.verify(&client(), &id),
        not_included("transaction")
    );
}

#[test]
fn a_client_of_another_chain_believes_neither_proof() {
    let (proved, proof, id) = sample();
    let renamed = Genesis {
        name: "other notes".into(),
        ..genesis()
    };
    let stranger = LightClient::from_genesis(&renamed);
    let expected = LightError::OtherChain {
        expected: renamed.chain_id(),
        found: genesis().chain_id(),
    };
    assert_eq!(proof.verify(&stranger, &id), Err(expected.clone()));
    let state = proved.state_proof(b"note/a");
    assert_eq!(state.verify(&stranger, b"note/a"), Err(expected));
}

#[test]
fn a_state_proof_shows_presence_and_absence() {
    let proved = five_notes();
    let present = proved.state_proof(b"note/a");
    let value = present.verify(&client(), b"note/a").unwrap();
    assert_eq!(value, Some(b"a".as_slice()));
    let absent = proved.state_proof(b"note/x");
    assert_eq!(absent.verify(&client(), b"note/x"), Ok(None));

    let voters = proved.state_proof(VALIDATORS_KEY);
    let bytes = voters.verify(&client(), VALIDATORS_KEY).unwrap().unwrap();
    let set: ValidatorSet = borsh::from_slice(bytes).unwrap();
    assert_eq!(set, genesis().validators);
}

#[test]
fn a_state_proof_answers_for_its_own_key_alone() {
    let proved = five_notes();
    for (proved_key, asked) in [
        (b"note/a", b"note/b"),
        (b"note/a", b"note/x"),
        (b"note/x", b"note/a"),
        (b"note/x", b"note/y"),
    ] {
        let proof = proved.state_proof(proved_key);
        assert_eq!(proof.verify(&client(), asked), not_included("state key"));
        // Nor does it when it is renamed; a proof of absence may hold for a second absent key, which is true.
        let mut renamed = proof;
        renamed.proof.key = asked.to_vec();
        let answer = renamed.verify(&client(), asked);
        if asked == b"note/y" {
            assert!(answer == Ok(None) || answer == not_included("state value"));
        } else {
            assert_eq!(answer, not_included("state value"));
        }
    }
}

#[test]
fn a_state_value_cannot_be_altered_removed_or_invented() {
    let proved = five_notes();
    let present = proved.state_proof(b"note/a");
    for value in [None, Some(b"b".to_vec()), Some(Vec::new())] {
        let mut forged = present.clone();
        forged.proof.value = value;
        assert_eq!(
            forged.verify(&client(), b"note/a"),
            not_included("state value")
        );
    }
    let mut invented = proved.state_proof(b"note/x");
    invented.proof.value = Some(b"x".to_vec());
    assert_eq!(
        invented.verify(&client(), b"note/x"),
        not_included("state value")
    );
}

#[test]
fn a_state_proof_belongs_to_its_height() {
    let mut proved = five_notes();
    let old = proved.state_proof(b"note/a");
    let (next, executed, _) = proved.chain.build(vec![put("note/a", "changed")]);
    proved.chain.commit(&executed);
    proved.head = certified(&next.header, &[0, 1, 2]);
    let new = proved.state_proof(b"note/a");
    let value = new.verify(&client(), b"note/a").unwrap();
    assert_eq!(value, Some(b"changed".as_slice()));
    assert_eq!(
        old.verify(&client(), b"note/a"),
        Ok(Some(b"a".as_slice())),
        "an old proof stays true of its height"
    );
    for (head, proof) in [(&new.head, &old.proof), (&old.head, &new.proof)] {
        let mixed = StateProofAt {
            head: head.clone(),
            proof: proof.clone(),
        };
        assert_eq!(
            mixed.verify(&client(), b"note/a"),
            not_included("state value")
        );
    }
}

#[test]
fn no_byte_of_a_transaction_proof_can_be_changed() {
    let (_, proof, id) = sample();
    let client = client();
    let good = codec::encode(&proof);
    for mask in [0x01, 0x80] {
        for (at, bytes) in flipped(&good, mask) {
            if let Ok(forged) = codec::decode_exact::<TxProof>(&bytes, bytes.len()) {
                assert!(forged.verify(&client, &id).is_err(), "byte {at}");
            }
        }
    }
}

#[test]
fn no_byte_of_a_state_proof_can_be_changed() {
    let proved = five_notes();
    let client = client();
    let keys: [&[u8]; 3] = [b"note/a", b"note/x", VALIDATORS_KEY];
    for key in keys {
        let good = codec::encode(&proved.state_proof(key));
        for (at, bytes) in flipped(&good, 0x01) {
            if let Ok(forged) = codec::decode_exact::<StateProofAt>(&bytes, bytes.len()) {
                assert!(forged.verify(&client, key).is_err(), "byte {at}");
            }
        }
    }
}

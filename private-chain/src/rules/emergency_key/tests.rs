#![allow(clippy::unwrap_used)]

use crate::query;
use crate::testing::{self, Chain, identity, secret};
use crate::tx::{Role, SignedEmergencyKey, Tx};
use caduceus_crypto::emergency::EmergencyKey;
use caduceus_crypto::keys::{PublicKey, SecretKey};

fn officers() -> Vec<SecretKey> {
    vec![secret(20), secret(21), secret(22)]
}

fn key(generation: u32) -> EmergencyKey {
    EmergencyKey {
        generation,
        commitments: vec![secret(50).public(), secret(51).public()],
        officers: officers().iter().map(SecretKey::public).collect(),
    }
}

fn by_hospital(body: EmergencyKey) -> SignedEmergencyKey {
    SignedEmergencyKey::sign(body, &testing::chain(), &identity())
}

fn signed(body: EmergencyKey) -> Tx {
    Tx::EmergencyKey(by_hospital(body))
}

fn chain() -> Chain {
    let mut chain = Chain::new();
    for officer in officers() {
        chain.enrol(&officer, Role::Physician);
    }
    chain
}

#[test]
fn a_hospital_names_one_key_after_the_other_and_all_stay() {
    let mut chain = chain();
    assert_eq!(query::emergency_key(&chain).unwrap(), None);
    chain.accept(&signed(key(1)));
    assert_eq!(
        query::emergency_key(&chain).unwrap(),
        Some(by_hospital(key(1)))
    );
    let mut second = key(2);
    second.officers.pop();
    chain.accept(&signed(second.clone()));
    assert_eq!(
        query::emergency_key(&chain).unwrap(),
        Some(by_hospital(second))
    );
    let first = query::emergency_key_of(&chain, 1).unwrap();
    assert_eq!(first, Some(by_hospital(key(1))));
}

#[test]
fn keys_come_in_order() {
    let mut chain = chain();
    for generation in [0, 2, u32::MAX] {
        chain.refuse(&signed(key(generation)), "emergency_key_generation");
    }
    chain.accept(&signed(key(1)));
    chain.refuse(&signed(key(1)), "emergency_key_generation");
}

#[test]
fn nobody_alone_and_no_more_than_there_are() {
    let mut chain = chain();
    for threshold in [0usize, 1, 4] {
        let body = EmergencyKey {
            commitments: (0..threshold as u8)
                .map(|n| secret(50 + n).public())
                .collect(),
            ..key(1)
        };
        chain.refuse(&signed(body), "emergency_key_threshold");
    }
    let body = EmergencyKey {
        officers: (100..133).map(|n| secret(n).public()).collect(),
        ..key(1)
    };
    chain.refuse(&signed(body), "emergency_key_too_many_officers");
}

#[test]
fn officers_are_different_members_of_staff_in_good_standing() {
    let mut chain = chain();
    let with = |officer: PublicKey| {
        let mut body = key(1);
        body.officers[2] = officer;
        signed(body)
    };
    chain.refuse(&with(secret(20).public()), "emergency_key_officer_twice");
    chain.refuse(&with(secret(30).public()), "emergency_key_officer_unknown");
    chain.suspend(&secret(22));
    chain.refuse(&signed(key(1)), "emergency_key_officer_inactive");
}

/// f(x) = 2 - x is zero at 2.
#[test]
fn a_share_that_everybody_knows_is_refused() {
    let mut chain = chain();
    let small = |n: u8| {
        let mut bytes = [0u8; 32];
        bytes[31] = n;
        SecretKey::from_bytes(&bytes).unwrap().public()
    };
    // The generator's negative: the same x, the other parity.
    let mut bytes = small(1).to_bytes();
    bytes[0] ^= 1;
    let minus_one = PublicKey::from_bytes(&bytes).unwrap();
    let body = EmergencyKey {
        commitments: vec![small(2), minus_one],
        ..key(1)
    };
    chain.refuse(&signed(body), "emergency_key_zero_share");
}

#[test]
fn only_the_identity_key_of_this_chain_signs() {
    let mut chain = chain();
    let by =
        |signer: &SecretKey, on| Tx::EmergencyKey(SignedEmergencyKey::sign(key(1), &on, signer));
    let here = testing::chain();
    chain.refuse(&by(&testing::server(), here), "emergency_key_not_signed");
    chain.refuse(&by(&secret(20), here), "emergency_key_not_signed");
    let elsewhere = by(&identity(), testing::other_chain());
    chain.refuse(&elsewhere, "emergency_key_not_signed");
    let mut changed = SignedEmergencyKey::sign(key(1), &here, &identity());
    changed.body.officers.swap(0, 1);
    chain.refuse(&Tx::EmergencyKey(changed), "emergency_key_not_signed");
    chain.accept(&by(&identity(), here));
}

#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::{self, Chain, identity, later, secret, server};
use crate::tx::{Enrol, Role, Rotate, Suspend, Tx, Validators};
use caduceus_crypto::keys::SecretKey;

const HOUR: u64 = 3_600_000;

fn new_identity() -> SecretKey {
    secret(41)
}

fn new_server() -> SecretKey {
    secret(42)
}

fn body(generation: u64) -> Rotate {
    Rotate {
        generation,
        identity: new_identity().public(),
        server: new_server().public(),
        grace_millis: HOUR,
    }
}

fn signed(body: Rotate) -> Tx {
    Tx::Rotate(body.sign(
        &testing::chain(),
        &identity(),
        &new_identity(),
        &new_server(),
    ))
}

fn entry_by(key: &SecretKey, seed: u64) -> Tx {
    Tx::audit(testing::batch_signed_by(key, seed, 1))
}

#[test]
fn the_new_identity_key_counts_at_once_and_the_old_one_no_more() {
    let mut chain = Chain::new();
    chain.accept(&signed(body(0)));
    let enrol = |by: &SecretKey| {
        let body = Enrol {
            staff: secret(20).public(),
            role: Role::Nurse,
            label: "nurse".into(),
            not_before: testing::NOW,
            not_after: later(HOUR),
        };
        Tx::Enrol(body.sign(&testing::chain(), by))
    };
    chain.refuse(&enrol(&identity()), "enrol_not_signed");
    chain.accept(&enrol(&new_identity()));
    let suspend = |by: &SecretKey| {
        let body = Suspend {
            staff: secret(20).public(),
            reason: String::new(),
        };
        Tx::Suspend(body.sign(&testing::chain(), by))
    };
    chain.refuse(&suspend(&identity()), "suspend_not_signed");
    chain.accept(&suspend(&new_identity()));
    let validators = |by: &SecretKey| {
        let body = Validators {
            generation: 1,
            set: testing::voters(&[(3, 1), (4, 1), (5, 1), (6, 1)]),
        };
        Tx::Validators(body.sign(&testing::chain(), by))
    };
    chain.refuse(&validators(&identity()), "validators_not_signed");
    chain.accept(&validators(&new_identity()));
}

#[test]
fn the_old_server_key_signs_on_for_the_grace() {
    let mut chain = Chain::new();
    chain.enrol(&testing::author(), Role::Physician);
    chain.accept(&signed(body(0)));
    let anchor_by = |vault: &SecretKey, seed: u8| {
        let anchor = testing::signed_anchor(testing::anchor_body(seed), &testing::author(), vault);
        Tx::anchor(anchor, [0; 16])
    };
    chain.time = later(HOUR - 1);
    chain.accept(&entry_by(&server(), 1));
    chain.accept(&entry_by(&new_server(), 2));
    chain.accept(&anchor_by(&server(), 1));
    chain.accept(&anchor_by(&new_server(), 2));
    chain.time = later(HOUR);
    chain.refuse(&entry_by(&server(), 3), "audit_signer");
    chain.refuse(&anchor_by(&server(), 3), "anchor_other_vault");
    chain.accept(&entry_by(&new_server(), 4));
    chain.accept(&anchor_by(&new_server(), 4));
}

#[test]
fn a_stolen_server_key_ends_at_once() {
    let mut chain = Chain::new();
    chain.accept(&signed(Rotate {
        grace_millis: 0,
        ..body(0)
    }));
    chain.refuse(&entry_by(&server(), 1), "audit_signer");
    chain.accept(&entry_by(&new_server(), 2));
}

#[test]
fn one_key_may_stay_and_the_grace_with_it() {
    let mut chain = Chain::new();
    chain.accept(&signed(body(0)));
    let newest = secret(43);
    let rotate = Rotate {
        identity: newest.public(),
        grace_millis: 0,
        ..body(1)
    };
    let chain_id = testing::chain();
    chain.accept(&Tx::Rotate(rotate.sign(
        &chain_id,
        &new_identity(),
        &newest,
        &new_server(),
    )));
    let keys = state::hospital_keys().require(&chain).unwrap();
    assert_eq!(keys.identity, newest.public());
    assert_eq!(keys.server, new_server().public());
    // The second change left the server key alone, so the first one's grace goes on.
    chain.accept(&entry_by(&server(), 1));
}

#[test]
fn the_hospitals_keys_are_nobodys_staff_key() {
    let mut chain = Chain::new();
    chain.accept(&signed(body(0)));
    let enrol = Enrol {
        staff: new_server().public(),
        role: Role::Nurse,
        label: "nurse".into(),
        not_before: testing::NOW,
        not_after: later(HOUR),
    };
    let tx = Tx::Enrol(enrol.sign(&testing::chain(), &new_identity()));
    chain.refuse(&tx, "enrol_hospital_key");
}

#[test]
fn each_rule_refuses() {
    let here = testing::chain();
    let by = |body: Rotate, chain, old: &SecretKey, identity: &SecretKey, server: &SecretKey| {
        Tx::Rotate(body.sign(&chain, old, identity, server))
    };
    let (old, new, serving) = (identity(), new_identity(), new_server());
    let with_keys = |identity: &SecretKey, server: &SecretKey| Rotate {
        identity: identity.public(),
        server: server.public(),
        ..body(0)
    };
    let staff = secret(20);
    let cases = [
        (signed(body(1)), "rotate_generation"),
        (
            by(with_keys(&new, &new), here, &old, &new, &new),
            "rotate_one_key",
        ),
        (
            by(with_keys(&old, &server()), here, &old, &old, &server()),
            "rotate_same",
        ),
        (
            signed(Rotate {
                grace_millis: MAX_GRACE_MILLIS + 1,
                ..body(0)
            }),
            "rotate_grace",
        ),
        (
            by(with_keys(&staff, &serving), here, &old, &staff, &serving),
            "rotate_staff_key",
        ),
        (
            by(with_keys(&new, &staff), here, &old, &new, &staff),
            "rotate_staff_key",
        ),
        (
            by(body(0), here, &server(), &new, &serving),
            "rotate_not_signed",
        ),
        (
            by(body(0), testing::other_chain(), &old, &new, &serving),
            "rotate_not_signed",
        ),
        (
            by(body(0), here, &old, &old, &serving),
            "rotate_not_accepted",
        ),
        (by(body(0), here, &old, &new, &old), "rotate_not_accepted"),
    ];
    for (n, (tx, rule)) in cases.iter().enumerate() {
        let mut chain = Chain::new();
        chain.enrol(&staff, Role::Nurse);
        let before = state::hospital_keys().require(&chain).unwrap();
        chain.refuse(tx, rule);
        let after = state::hospital_keys().require(&chain).unwrap();
        assert_eq!(before, after, "case {n}");
    }
    println!("{} refusals", cases.len());
}

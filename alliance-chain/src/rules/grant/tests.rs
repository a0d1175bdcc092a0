#![allow(clippy::unwrap_used)]

use crate::genesis::MAX_PROXIES;
use crate::query;
use crate::state::{GrantRecord, GrantStatus, RecordRef};
use crate::testing::{self, Chain, DAY, NOW, grant, later};
use crate::tx::{Grant, MAX_GRANT_MILLIS, Tx};
use caduceus_crypto::Hash;

fn signed(body: Grant) -> Tx {
    Tx::Grant(body.sign(&testing::chain(), &testing::one_time(0)))
}

fn chain() -> Chain {
    let mut chain = Chain::new();
    chain.link_records();
    chain
}

fn refused(body: Grant, rule: &str) {
    chain().refuse(&signed(body), rule);
}

#[test]
fn the_owner_grants_a_record() {
    let mut chain = chain();
    let tx = signed(grant());
    assert!(chain.accept(&tx).is_empty());
    let expected = GrantRecord {
        grant: grant(),
        height: chain.height,
        granted: NOW,
        status: GrantStatus::Active,
    };
    assert_eq!(
        query::grant(&chain, &tx.id()).unwrap(),
        Some(expected.clone())
    );
    let by_owner = query::grants_of(&chain, &testing::one_time(0).public(), 0, 10).unwrap();
    assert_eq!(by_owner, [(tx.id(), expected.clone())]);
    let by_user = query::grants_to(&chain, &testing::data_user().public(), 0, 10).unwrap();
    assert_eq!(by_user, [(tx.id(), expected.clone())]);
    assert!(expected.is_active(NOW));
    assert!(!expected.is_active(later(30 * DAY)));
}

#[test]
fn the_end_lies_ahead() {
    refused(
        Grant {
            expires: NOW,
            ..grant()
        },
        "grant_expired",
    );
}

#[test]
fn the_end_is_within_ninety_days() {
    chain().accept(&signed(Grant {
        expires: later(MAX_GRANT_MILLIS),
        ..grant()
    }));
    refused(
        Grant {
            expires: later(MAX_GRANT_MILLIS + 1),
            ..grant()
        },
        "grant_too_long",
    );
}

#[test]
fn some_proxies_are_named_and_not_too_many() {
    refused(
        Grant {
            proxies: Vec::new(),
            ..grant()
        },
        "grant_proxy_count",
    );
    let proxies = vec![testing::proxy(0).public(); MAX_PROXIES + 1];
    refused(Grant { proxies, ..grant() }, "grant_proxy_count");
}

#[test]
fn the_threshold_can_be_met() {
    refused(
        Grant {
            threshold: 0,
            ..grant()
        },
        "grant_threshold",
    );
    refused(
        Grant {
            threshold: 4,
            ..grant()
        },
        "grant_threshold",
    );
}

#[test]
fn each_proxy_has_a_commitment() {
    refused(
        Grant {
            fragment_commitments: vec![Hash::ZERO; 2],
            ..grant()
        },
        "grant_commitments",
    );
}

#[test]
fn a_proxy_is_named_once() {
    let (one, two) = (testing::proxy(0).public(), testing::proxy(1).public());
    refused(
        Grant {
            proxies: vec![one, two, one],
            ..grant()
        },
        "grant_proxy_repeated",
    );
}

#[test]
fn a_proxy_is_one_of_the_alliance() {
    let stranger = testing::proxy(5).public();
    let proxies = vec![
        testing::proxy(0).public(),
        testing::proxy(1).public(),
        stranger,
    ];
    refused(Grant { proxies, ..grant() }, "grant_proxy_unknown");
}

#[test]
fn the_delegating_key_serves_for_nothing_else() {
    let body = grant();
    for delegating in [
        body.pseudonym,
        body.verifying,
        body.receiving,
        body.data_user,
    ] {
        refused(
            Grant {
                delegating,
                ..grant()
            },
            "grant_delegating_reused",
        );
    }
}

#[test]
fn the_record_is_linked() {
    Chain::new().refuse(&signed(grant()), "grant_record_unknown");
    refused(
        Grant {
            record: RecordRef {
                height: 1,
                position: 3,
            },
            ..grant()
        },
        "grant_record_unknown",
    );
    refused(
        Grant {
            hospital: testing::hospital(1),
            ..grant()
        },
        "grant_record_unknown",
    );
}

#[test]
fn the_record_has_this_hash() {
    refused(
        Grant {
            record_hash: Hash([0x99; 32]),
            ..grant()
        },
        "grant_record_hash",
    );
}

#[test]
fn the_record_has_this_pseudonym() {
    let body = Grant {
        pseudonym: testing::one_time(1).public(),
        ..grant()
    };
    let tx = Tx::Grant(body.sign(&testing::chain(), &testing::one_time(1)));
    chain().refuse(&tx, "grant_pseudonym");
}

#[test]
fn only_the_owner_signs_and_only_for_this_chain() {
    let by_other = Tx::Grant(grant().sign(&testing::chain(), &testing::one_time(1)));
    chain().refuse(&by_other, "grant_not_signed");
    let elsewhere = Tx::Grant(grant().sign(&testing::other_chain(), &testing::one_time(0)));
    chain().refuse(&elsewhere, "grant_not_signed");
}

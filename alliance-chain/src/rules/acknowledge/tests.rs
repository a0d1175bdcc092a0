#![allow(clippy::unwrap_used)]

use super::*;
use crate::state::CreditRecord;
use crate::testing::{self, Chain};
use crate::tx::{Access, Acknowledge, Change, Tx};
use caduceus_crypto::keys::SecretKey;

/// A chain with a paid access, and that access.
fn paid() -> (Chain, Hash) {
    let mut chain = Chain::new();
    let grant = chain.add_grant();
    chain.add_account();
    let access = access(&mut chain, grant);
    (chain, access)
}

fn access(chain: &mut Chain, grant: Hash) -> Hash {
    let body = Access {
        grant,
        nonce: [1; 32],
    };
    let tx = Tx::Access(body.sign(&testing::chain(), &testing::data_user()));
    chain.accept(&tx);
    tx.id()
}

fn by(data_user: &SecretKey, access: Hash, proxies: &[u8], on_time: bool) -> Tx {
    let body = Acknowledge {
        access,
        proxies: proxies.to_vec(),
        on_time,
    };
    Tx::Acknowledge(body.sign(&testing::chain(), data_user))
}

fn said(access: Hash, proxies: &[u8], on_time: bool) -> Tx {
    by(&testing::data_user(), access, proxies, on_time)
}

fn earned(chain: &Chain) -> [(u64, u64); 3] {
    [0, 1, 2].map(|i| {
        let record: CreditRecord = state::credit(&testing::hospital(i))
            .get(chain)
            .unwrap()
            .unwrap();
        (record.earned.reencryptions, record.earned.records)
    })
}

/// Hospital 0 has the record and runs the validator of proxy 0; nobody on record runs that of proxy 2.
#[test]
fn those_who_served_earn() {
    for (proxies, on_time, expected) in [
        (&[0, 1][..], true, [(2, 5), (2, 0), (0, 0)]),
        (&[0, 2], true, [(2, 5), (0, 0), (0, 0)]),
        (&[1], false, [(0, 0), (2, 0), (0, 0)]),
        (&[], true, [(0, 5), (0, 0), (0, 0)]),
        (&[], false, [(0, 0), (0, 0), (0, 0)]),
    ] {
        let (mut chain, access) = paid();
        let tx = said(access, proxies, on_time);
        assert!(chain.accept(&tx).is_empty());
        assert_eq!(earned(&chain), expected, "{proxies:?} {on_time}");
        assert!(
            state::deposit(&access)
                .get(&chain)
                .unwrap()
                .unwrap()
                .settled
        );
    }
}

#[test]
fn a_proxy_that_left_earns_nothing() {
    let (mut chain, access) = paid();
    chain.govern(Change::Proxies(Vec::new()));
    chain.accept(&said(access, &[0, 1], true));
    assert_eq!(earned(&chain), [(0, 5), (0, 0), (0, 0)]);
}

#[test]
fn the_prices_are_those_of_the_access() {
    let (mut chain, access) = paid();
    let mut policy = crate::genesis::CreditPolicy::standard();
    policy.record = 1_000_000;
    policy.reencryption = 1_000_000;
    chain.govern(Change::Credits(policy));
    chain.accept(&said(access, &[0, 1], true));
    assert_eq!(earned(&chain), [(2, 5), (2, 0), (0, 0)]);
}

#[test]
fn an_access_is_needed_that_somebody_paid_for() {
    let (mut chain, _) = paid();
    let unknown = said(Hash([9; 32]), &[0], true);
    chain.refuse(&unknown, "acknowledge_access_unknown");

    let mut chain = Chain::new();
    let grant = chain.add_grant();
    let access = access(&mut chain, grant);
    chain.refuse(&said(access, &[0], true), "acknowledge_unpaid");
}

#[test]
fn an_access_is_acknowledged_once() {
    let (mut chain, access) = paid();
    chain.accept(&said(access, &[0], false));
    chain.refuse(&said(access, &[1], true), "acknowledge_repeated");
    assert_eq!(earned(&chain), [(2, 0), (0, 0), (0, 0)]);
}

#[test]
fn proxies_are_those_of_the_grant_each_once_and_no_more_than_needed() {
    let (mut chain, access) = paid();
    for (proxies, rule) in [
        (&[0, 1, 2][..], "acknowledge_too_many_proxies"),
        (&[1, 1], "acknowledge_unordered"),
        (&[1, 0], "acknowledge_unordered"),
        (&[3], "acknowledge_no_such_proxy"),
        (&[0, 255], "acknowledge_no_such_proxy"),
    ] {
        chain.refuse(&said(access, proxies, true), rule);
    }
    assert_eq!(earned(&chain), [(0, 0); 3]);
}

#[test]
fn only_the_data_user_signs_and_only_for_this_chain() {
    let (mut chain, access) = paid();
    let forged = by(&testing::secret(77), access, &[0], true);
    chain.refuse(&forged, "acknowledge_not_signed");
    let body = Acknowledge {
        access,
        proxies: vec![0],
        on_time: true,
    };
    let elsewhere = body.sign(&testing::other_chain(), &testing::data_user());
    chain.refuse(&Tx::Acknowledge(elsewhere), "acknowledge_not_signed");
}

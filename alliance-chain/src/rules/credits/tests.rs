#![allow(clippy::unwrap_used)]

use super::*;
use crate::AllianceMachine;
use crate::state::{Earned, Spent};
use crate::testing::{self, Chain, later};
use crate::tx::{
    Access, Account, Change, Checkpoint, Link, Purpose, Report, ReportKind, ReportProof, Request,
    Revoke,
};
use caduceus_ledger::{DecodedTx, StateMachine};
use std::sync::Arc;

fn of(chain: &Chain, i: u8) -> CreditRecord {
    state::credit(&testing::hospital(i))
        .get(chain)
        .unwrap()
        .unwrap()
}

fn standard() -> CreditPolicy {
    CreditPolicy::standard()
}

/// Makes hospital `i` owe.
fn indebt(chain: &mut Chain, i: u8) {
    chain.edit(|state| {
        let key = state::credit(&testing::hospital(i));
        let mut record = key.require(state).unwrap();
        record.balance = -1;
        key.put(state, &record);
    });
}

#[test]
fn every_member_begins_with_the_opening() {
    let mut chain = Chain::new();
    for i in 0..3 {
        assert_eq!(of(&chain, i), CreditRecord::opening(1_000));
    }
    chain.govern(Change::Admit(testing::member(3)));
    assert_eq!(of(&chain, 3), CreditRecord::opening(1_000));
    assert_eq!(query::credits(&chain).unwrap().len(), 4);
}

#[test]
fn only_a_block_with_transactions_earns_and_only_for_its_operator() {
    let mut chain = Chain::new();
    let tx = vec![vec![1u8]];
    for (proposer, txs, earned) in [
        (testing::validator(0), &tx, [1, 0, 0]),
        (testing::validator(1), &tx, [1, 1, 0]),
        // An idle chain's heartbeat.
        (testing::validator(1), &Vec::new(), [1, 1, 0]),
        // A regulator's.
        (testing::validator(2), &tx, [1, 1, 0]),
        (testing::validator(0), &tx, [2, 1, 0]),
    ] {
        let ctx = BlockContext {
            chain: testing::chain(),
            height: chain.height,
            time: chain.time,
            proposer,
        };
        chain.edit(|state| {
            AllianceMachine.finish(&ctx, txs, state).unwrap();
        });
        let found = [0, 1, 2].map(|i| of(&chain, i).earned.blocks);
        assert_eq!(found, earned);
    }
    assert_eq!(of(&chain, 0).balance, 1_002);
}

fn request(sought: &str) -> Tx {
    let body = Request {
        data_user: testing::data_user().public(),
        purpose: Purpose::Research,
        sought: sought.into(),
        until: later(1_000_000),
    };
    Tx::Request(body.sign(&testing::chain(), &testing::data_user()))
}

fn access(grant: Hash, nonce: u8) -> Tx {
    let body = Access {
        grant,
        nonce: [nonce; 32],
    };
    Tx::Access(body.sign(&testing::chain(), &testing::data_user()))
}

#[test]
fn a_data_user_is_paid_for_by_who_vouched() {
    let mut chain = Chain::new();
    let grant = chain.add_grant();
    assert_eq!(of(&chain, 0).spent, Spent::default(), "a grant is free");
    chain.add_account();
    chain.accept(&request("asthma"));
    let tx = access(grant, 1);
    chain.accept(&tx);
    let spent = Spent {
        searches: 0,
        accounts: 10,
        requests: 2,
        // A record, and two fragments.
        accesses: 5 + 2 * 2,
    };
    assert_eq!(of(&chain, 0).spent, spent);
    assert_eq!(of(&chain, 0).balance, 1_000 - 21);
    let deposit = state::deposit(&tx.id()).get(&chain).unwrap().unwrap();
    let expected = Deposit {
        payer: testing::hospital(0),
        record: 5,
        reencryption: 2,
        settled: false,
    };
    assert_eq!(deposit, expected);
}

#[test]
fn nobody_pays_for_a_data_user_without_an_account() {
    let mut chain = Chain::new();
    let grant = chain.add_grant();
    let tx = access(grant, 1);
    chain.accept(&tx);
    assert_eq!(state::deposit(&tx.id()).get(&chain).unwrap(), None);
    for i in 0..3 {
        assert_eq!(of(&chain, i), CreditRecord::opening(1_000));
    }
}

#[test]
fn a_search_is_paid_for_by_the_issuer_of_its_token() {
    let mut chain = Chain::new();
    chain.link_records();
    chain.add_issuer_key(0);
    let tx = testing::search();
    chain.accept(&tx);
    assert_eq!(of(&chain, 0).spent.searches, 1);
    assert_eq!(of(&chain, 0).balance, 999);
}

#[test]
fn the_members_change_prices_and_operators() {
    let mut chain = Chain::new();
    let dear = CreditPolicy {
        account: 2_000,
        ..standard()
    };
    chain.govern(Change::Credits(dear));
    assert_eq!(query::params(&chain).unwrap().credits, dear);
    chain.add_account();
    assert_eq!(of(&chain, 0).balance, -1_000);
    assert!(of(&chain, 0).is_in_debt());
    let same = chain.approved(Change::Credits(dear));
    chain.refuse(&Tx::Member(same), "member_same_credits");

    let operators = vec![testing::operator(1)];
    chain.govern(Change::Operators(operators.clone()));
    assert_eq!(query::operators(&chain).unwrap(), operators);
    let stranger = crate::genesis::Operator {
        hospital: testing::hospital(9),
        ..testing::operator(0)
    };
    let refused = chain.approved(Change::Operators(vec![stranger]));
    chain.refuse(&Tx::Member(refused), "member_operators");
}

#[test]
fn a_price_of_nothing_switches_a_kind_off() {
    let mut chain = Chain::with_params(|params| {
        params.credits = CreditPolicy {
            opening: 3,
            block: 0,
            reencryption: 0,
            record: 0,
            search: 0,
            account: 0,
            request: 0,
        };
    });
    let grant = chain.add_grant();
    chain.add_account();
    chain.accept(&request("asthma"));
    chain.accept(&access(grant, 1));
    assert_eq!(of(&chain, 0), CreditRecord::opening(3));
}

/// Every kind of transaction, by whom it is paid.
#[test]
fn only_uses_of_a_member_in_debt_are_behind() {
    let mut chain = Chain::new();
    let grant = chain.add_grant();
    chain.add_account();
    chain.add_issuer_key(0);
    let account = Account {
        data_user: testing::secret(50).public(),
        receiving: testing::secret(200).public(),
        label: "Institute".into(),
        member: testing::hospital(0),
    };
    let report = Report {
        reporter: testing::server(1).public(),
        kind: ReportKind::Fork,
        hospital: testing::hospital(0),
        record: None,
        detail: String::new(),
        proof: ReportProof::None,
    };
    let mut blocks = testing::PrivateBlocks::new(0);
    blocks.push(&[]);
    let checkpoint: Checkpoint = blocks.checkpoint(1, 1);
    let issuer = crate::tx::Issuer {
        member: testing::hospital(0),
        key: testing::issuer_key(2),
    };
    let acknowledge = crate::tx::Acknowledge {
        access: Hash([1; 32]),
        proxies: vec![0],
        on_time: true,
    };
    let id = testing::chain();
    let uses = [
        testing::search(),
        Tx::Account(account.sign(&id, &testing::identity(0))),
        request("asthma"),
        access(grant, 1),
    ];
    let urgent = [
        Tx::Member(chain.approved(Change::Remove(testing::hospital(2)))),
        Tx::Issuer(issuer.sign(&id, &testing::identity(0))),
        Tx::Checkpoint(checkpoint),
        Tx::Link(Link {
            hospital: testing::hospital(0),
            height: caduceus_ledger::Height(1),
            leaves: Vec::new(),
        }),
        Tx::Revoke(Revoke { grant }.sign(&id, &testing::one_time(0))),
        Tx::Report(report.sign(&id, &testing::server(1))),
    ];
    let normal = [
        Tx::Grant(testing::grant().sign(&id, &testing::one_time(0))),
        Tx::Acknowledge(acknowledge.sign(&id, &testing::data_user())),
    ];
    let class = |chain: &Chain, tx: &Tx| {
        let decoded = DecodedTx::new(&AllianceMachine, Arc::new(tx.encode())).unwrap();
        AllianceMachine.class(&decoded, chain).unwrap()
    };
    for debt in [false, true] {
        if debt {
            indebt(&mut chain, 0);
        }
        let of_use = if debt { Class::Indebted } else { Class::Normal };
        for (txs, expected) in [
            (&uses[..], of_use),
            (&urgent[..], Class::Urgent),
            (&normal[..], Class::Normal),
        ] {
            for tx in txs {
                assert_eq!(class(&chain, tx), expected, "{tx:?}");
            }
        }
    }
    // No rule refuses for want of credits.
    for tx in &uses {
        chain.accept(tx);
    }
    // Another's debt is nothing to them.
    let mut other = Chain::new();
    other.add_account();
    indebt(&mut other, 1);
    assert_eq!(class(&other, &request("asthma")), Class::Normal);
}

#[test]
fn an_acknowledged_access_moves_credits_and_makes_none() {
    let mut chain = Chain::new();
    let grant = chain.add_grant();
    chain.add_account();
    let before: i64 = (0..3).map(|i| of(&chain, i).balance).sum();
    let tx = access(grant, 1);
    chain.accept(&tx);
    let body = crate::tx::Acknowledge {
        access: tx.id(),
        proxies: vec![0, 1],
        on_time: true,
    };
    chain.accept(&Tx::Acknowledge(
        body.sign(&testing::chain(), &testing::data_user()),
    ));
    let after: i64 = (0..3).map(|i| of(&chain, i).balance).sum();
    assert_eq!(before, after);
    let earned = Earned {
        blocks: 0,
        reencryptions: 2,
        records: 5,
    };
    assert_eq!(of(&chain, 0).earned, earned);
    assert_eq!(of(&chain, 1).earned.reencryptions, 2);
}

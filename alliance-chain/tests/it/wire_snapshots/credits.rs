//! Service credits, and the report of a fork.

use super::*;
use alliance_chain::state::{CreditRecord, Deposit, Earned, Spent};
use alliance_chain::{CreditPolicy, Operator};
use caduceus_ledger::CertifiedHeader;

fn operators() -> Vec<Operator> {
    (50..52)
        .map(|n| Operator {
            validator: Address::of(&key(n).public()),
            hospital: hospital(0),
        })
        .collect()
}

#[test]
fn a_transaction_that_names_the_operators() {
    check(
        "tx_member_operators",
        &approved(Change::Operators(operators())),
    );
}

#[test]
fn a_transaction_that_sets_the_prices() {
    let change = Change::Credits(CreditPolicy::standard());
    check("tx_member_credits", &approved(change));
}

#[test]
fn a_transaction_that_acknowledges() {
    let body = Acknowledge {
        access: Hash([0x32; 32]),
        proxies: vec![0, 2],
        on_time: true,
    };
    let tx = Tx::Acknowledge(body.sign(&CHAIN, &key(70)));
    check("tx_acknowledge", &tx);
}

#[test]
fn a_transaction_that_reports_a_fork() {
    let mut second = header();
    second.state_root = Hash([0x66; 32]);
    let report = Report {
        reporter: key(90).public(),
        kind: ReportKind::Fork,
        hospital: hospital(0),
        record: None,
        detail: "two headers".into(),
        proof: ReportProof::Fork {
            recorded: Some(CertifiedHeader {
                header: header(),
                certificate: certificate(),
            }),
            second: vec![second],
            certificate: certificate(),
        },
    };
    check("tx_report_fork", &Tx::Report(report.sign(&CHAIN, &key(90))));
}

#[test]
fn the_operators() {
    check("operators", &operators());
}

#[test]
fn a_credit_record() {
    let record = CreditRecord {
        balance: -2,
        earned: Earned {
            blocks: 1,
            reencryptions: 2,
            records: 3,
        },
        spent: Spent {
            searches: 4,
            accounts: 5,
            requests: 6,
            accesses: 7,
        },
    };
    check("credit_record", &record);
}

#[test]
fn a_deposit() {
    let deposit = Deposit {
        payer: hospital(0),
        record: 5,
        reencryption: 2,
        settled: true,
    };
    check("deposit", &deposit);
}

/// The alliance's head is read by whoever holds a private chain and knows the ledger alone.
#[test]
fn the_key_of_a_head_is_the_ledgers() {
    let hospital = hospital(0);
    assert_eq!(
        alliance_chain::state::head(&hospital).bytes(),
        caduceus_ledger::checkpoint::head_key(&hospital)
    );
}

#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::{self, Chain, DAY, NOW, later};
use crate::tx::{ReportProof, Tx};
use caduceus_crypto::keys::SecretKey;

fn body() -> Report {
    Report {
        reporter: testing::server(1).public(),
        kind: ReportKind::Tampered,
        hospital: testing::hospital(0),
        record: Some(RecordRef {
            height: 1,
            position: 0,
        }),
        detail: "hash differs".into(),
        proof: ReportProof::None,
    }
}

fn by(reporter: &SecretKey, body: Report) -> Tx {
    let body = Report {
        reporter: reporter.public(),
        ..body
    };
    Tx::Report(body.sign(&testing::chain(), reporter))
}

fn chain() -> Chain {
    let mut chain = Chain::new();
    chain.link_records();
    chain
}

#[test]
fn members_and_proxies_report() {
    let mut chain = chain();
    let mut ids = Vec::new();
    for reporter in [testing::identity(1), testing::server(1), testing::proxy(0)] {
        let tx = by(&reporter, body());
        assert!(chain.accept(&tx).is_empty());
        ids.push(tx.id());
    }
    let fork = by(
        &testing::server(1),
        Report {
            kind: ReportKind::Fork,
            record: None,
            ..body()
        },
    );
    chain.accept(&fork);
    ids.push(fork.id());
    assert_eq!(
        state::reports_about(&testing::hospital(0))
            .page(&chain, 0, 10)
            .unwrap(),
        ids
    );
    let record = state::report(&ids[1]).get(&chain).unwrap().unwrap();
    assert_eq!(
        record,
        ReportRecord {
            report: body(),
            height: chain.height,
            time: NOW
        }
    );
}

#[test]
fn detail_must_be_short() {
    let detail = "x".repeat(MAX_DETAIL_BYTES + 1);
    chain().refuse(
        &by(&testing::server(1), Report { detail, ..body() }),
        "report_detail",
    );
}

#[test]
fn the_hospital_is_known() {
    let hospital = testing::hospital(9);
    chain().refuse(
        &by(&testing::server(1), Report { hospital, ..body() }),
        "report_hospital_unknown",
    );
}

#[test]
fn strangers_do_not_report() {
    chain().refuse(
        &by(&testing::data_user(), body()),
        "report_reporter_unknown",
    );
}

#[test]
fn the_record_is_named() {
    let nameless = Report {
        record: None,
        ..body()
    };
    chain().refuse(&by(&testing::server(1), nameless), "report_record_missing");
}

#[test]
fn the_record_is_linked() {
    let elsewhere = Report {
        record: Some(RecordRef {
            height: 99,
            position: 0,
        }),
        ..body()
    };
    chain().refuse(&by(&testing::server(1), elsewhere), "report_record_unknown");
}

#[test]
fn the_same_is_said_once_a_day() {
    let mut chain = chain();
    chain.accept(&by(&testing::server(1), body()));
    let again = by(
        &testing::server(1),
        Report {
            detail: "still".into(),
            ..body()
        },
    );
    chain.refuse(&again, "report_repeated");
    chain.time = later(DAY);
    chain.accept(&again);
}

#[test]
fn the_reporter_signs_and_only_for_this_chain() {
    let forged = Tx::Report(body().sign(&testing::chain(), &testing::server(0)));
    chain().refuse(&forged, "report_not_signed");
    let elsewhere = Tx::Report(body().sign(&testing::other_chain(), &testing::server(1)));
    chain().refuse(&elsewhere, "report_not_signed");
}

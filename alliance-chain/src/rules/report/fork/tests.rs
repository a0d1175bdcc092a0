#![allow(clippy::unwrap_used)]

use super::super::MAX_FORKS_A_DAY;
use super::*;
use crate::state::Daily;
use crate::testing::{self, Chain, DAY, NOW, PrivateBlocks, certificate, hospital, later, secret};
use crate::tx::{Change, Report, ReportKind, ReportProof, Tx};
use caduceus_ledger::ValidatorSet;

/// Four private blocks of hospital 0, the first three on record in two checkpoints.
fn chain() -> (Chain, PrivateBlocks) {
    let mut blocks = PrivateBlocks::new(0);
    for _ in 0..4 {
        blocks.push(&[]);
    }
    let mut chain = Chain::new();
    chain.accept(&Tx::Checkpoint(blocks.checkpoint(1, 2)));
    chain.accept(&Tx::Checkpoint(blocks.checkpoint(3, 3)));
    (chain, blocks)
}

/// The same chain with another block at a height.
fn forked(height: usize) -> PrivateBlocks {
    let (_, mut blocks) = chain();
    blocks.alter(height, |header| header.state_root = Hash([0x66; 32]));
    blocks
}

fn certified(blocks: &PrivateBlocks, height: usize) -> CertifiedHeader {
    let header = blocks.headers[height - 1].clone();
    CertifiedHeader {
        certificate: certificate(0, &header),
        header,
    }
}

/// Heights `first` to `last` of a fork, by a key that nobody knows.
fn report(
    recorded: Option<CertifiedHeader>,
    fork: &PrivateBlocks,
    first: usize,
    last: usize,
) -> Report {
    let second = fork.headers[first - 1..last].to_vec();
    let certificate = certificate(0, second.last().unwrap());
    Report {
        reporter: secret(220).public(),
        kind: ReportKind::Fork,
        hospital: hospital(0),
        record: None,
        detail: String::new(),
        proof: ReportProof::Fork {
            recorded,
            second,
            certificate,
        },
    }
}

fn signed(report: Report) -> Tx {
    Tx::Report(report.sign(&testing::chain(), &secret(220)))
}

fn with_second(mut report: Report, change: impl FnOnce(&mut Vec<Header>)) -> Tx {
    if let ReportProof::Fork {
        second,
        certificate: by,
        ..
    } = &mut report.proof
    {
        change(second);
        if let Some(last) = second.last() {
            *by = certificate(0, last);
        }
    }
    signed(report)
}

#[test]
fn anybody_proves_a_second_header_once_a_height() {
    let (mut chain, _) = chain();
    let tx = signed(report(None, &forked(2), 2, 2));
    assert!(chain.accept(&tx).is_empty());
    let reports = query::reports_about(&chain, &hospital(0), 0, 10).unwrap();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].0, tx.id());
    assert_eq!(
        state::forked(&hospital(0), Height(2)).get(&chain).unwrap(),
        Some(tx.id())
    );
    // By somebody else, with more headers: the same height.
    let again = report(None, &forked(2), 2, 4);
    chain.refuse(&signed(again), "report_repeated");
    chain.accept(&signed(report(None, &forked(3), 3, 3)));
}

#[test]
fn both_certified_headers_may_be_shown() {
    let (mut chain, blocks) = chain();
    let both = report(Some(certified(&blocks, 2)), &forked(2), 2, 2);
    chain.accept(&signed(both));
}

#[test]
fn a_certificate_further_on_covers_the_second_header() {
    let (mut chain, _) = chain();
    chain.accept(&signed(report(None, &forked(1), 1, 4)));
    let known = state::forked(&hospital(0), Height(1));
    assert!(known.is_set(&chain).unwrap());
}

#[test]
fn a_foreign_parent_is_a_second_header() {
    let (mut chain, _) = chain();
    chain.accept(&signed(report(None, &forked(3), 4, 4)));
    let known = state::forked(&hospital(0), Height(3));
    assert!(known.is_set(&chain).unwrap());
}

#[test]
fn two_certified_headers_above_what_is_on_record_are_a_fork() {
    let (mut chain, blocks) = chain();
    let fork = forked(4);
    chain.refuse(&signed(report(None, &fork, 4, 4)), "report_no_fork");
    let both = report(Some(certified(&blocks, 4)), &fork, 4, 4);
    chain.accept(&signed(both));
}

#[test]
fn what_is_on_record_is_no_fork() {
    let (mut chain, blocks) = chain();
    chain.refuse(&signed(report(None, &blocks, 1, 4)), "report_no_fork");
    let itself = report(Some(certified(&blocks, 4)), &blocks, 4, 4);
    chain.refuse(&signed(itself), "report_no_fork");
}

#[test]
fn the_other_header_is_the_one_on_record() {
    let (mut chain, blocks) = chain();
    let elsewhere = report(Some(certified(&blocks, 3)), &forked(2), 2, 2);
    chain.refuse(&signed(elsewhere), "report_fork_recorded");
    let neither = report(Some(certified(&forked(2), 2)), &forked(2), 2, 2);
    chain.refuse(&signed(neither), "report_fork_recorded");
}

#[test]
fn headers_are_of_the_chain_and_follow_each_other() {
    let (mut chain, _) = chain();
    let good = report(None, &forked(2), 2, 4);
    let none = with_second(good.clone(), Vec::clear);
    chain.refuse(&none, "report_fork_count");
    let gap = with_second(good.clone(), |second| {
        second.remove(1);
    });
    chain.refuse(&gap, "report_fork_broken");
    let apart = with_second(good.clone(), |second| second[1].parent = Hash::ZERO);
    chain.refuse(&apart, "report_fork_broken");
    let elsewhere = with_second(good, |second| {
        second.truncate(1);
        second[0].chain = testing::private_chain(1);
    });
    chain.refuse(&elsewhere, "report_fork_broken");
}

#[test]
fn voters_on_record_certified_both() {
    let (mut chain, blocks) = chain();
    let mut strangers = report(None, &forked(2), 2, 2);
    if let ReportProof::Fork {
        certificate: by, ..
    } = &mut strangers.proof
    {
        by.signatures.truncate(2);
    }
    chain.refuse(&signed(strangers), "report_fork_certificate");

    let mut other = certified(&blocks, 2);
    other.certificate.signatures.truncate(2);
    let half = report(Some(other), &forked(2), 2, 2);
    chain.refuse(&signed(half), "report_fork_certificate");

    let set: ValidatorSet = testing::private_set(1);
    let unknown = with_second(report(None, &forked(2), 2, 2), |second| {
        second[0].validators = set.hash();
    });
    chain.refuse(&unknown, "report_fork_voters");
}

#[test]
fn above_what_is_on_record_only_the_present_voters_certify() {
    let (mut chain, blocks) = chain();
    let beyond = signed(report(Some(certified(&blocks, 4)), &forked(4), 4, 4));
    chain.edit(|overlay| {
        let key = state::member(&hospital(0));
        let mut record = key.require(overlay).unwrap();
        record.member.private_validators = testing::private_set(1);
        key.put(overlay, &record);
    });
    chain.refuse(&beyond, "report_fork_former_voters");
    // What is on record contradicts former voters all the same, also by what they certified further on.
    chain.accept(&signed(report(None, &forked(2), 2, 2)));
    chain.accept(&signed(report(None, &forked(3), 4, 4)));
}

#[test]
fn so_many_forks_are_reported_a_day() {
    let (mut chain, _) = chain();
    chain.accept(&signed(report(None, &forked(1), 1, 1)));
    let today = state::daily(Daily::Forks, &hospital(0).0, NOW.epoch());
    assert_eq!(today.get(&chain).unwrap(), Some(1));
    chain.edit(|overlay| today.put(overlay, &MAX_FORKS_A_DAY));
    let another = signed(report(None, &forked(2), 2, 2));
    chain.refuse(&another, "report_forks_a_day");
    chain.time = later(DAY);
    chain.accept(&another);
}

#[test]
fn the_proof_is_of_a_fork_and_the_reporter_signs() {
    let (mut chain, _) = chain();
    let other = Report {
        kind: ReportKind::Unlinked,
        ..report(None, &forked(2), 2, 2)
    };
    chain.refuse(&signed(other), "report_proof_kind");
    let unsigned = report(None, &forked(2), 2, 2);
    let forged = Tx::Report(unsigned.sign(&testing::chain(), &secret(221)));
    chain.refuse(&forged, "report_not_signed");
}

#[test]
fn a_former_member_is_held_to_what_it_certified() {
    let (mut chain, _) = chain();
    chain.govern(Change::Remove(hospital(0)));
    chain.accept(&signed(report(None, &forked(2), 2, 2)));
}

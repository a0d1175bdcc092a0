#![allow(clippy::unwrap_used)]

use super::*;
use crate::query;
use crate::testing::{self, Chain, DAY, NOW, hospital, identity, later, leaf, secret, server};
use crate::tx::{Change, ReportKind, Tx};
use caduceus_crypto::Hash;
use caduceus_crypto::keys::SecretKey;
use caduceus_crypto::merkle;
use caduceus_crypto::pseudonym::Pseudonym;
use caduceus_crypto::time::Epoch;

const PLACE: RecordRef = RecordRef {
    height: 1,
    position: 1,
};

/// Records 0 to 2 are linked.
fn chain() -> Chain {
    let mut chain = Chain::new();
    chain.link_records();
    chain
}

/// The promise for record `i`, due a millisecond ago.
fn receipt(i: u8) -> Receipt {
    promised(&leaf(i), &identity(0))
}

fn promised(leaf: &AnchorLeaf, key: &SecretKey) -> Receipt {
    Receipt::sign(
        key,
        hospital(0),
        leaf.record_hash,
        leaf.entries.hash(),
        leaf.pseudonym,
        TimeMillis(NOW.0 - 1),
    )
}

fn due(receipt: &Receipt, link_deadline: TimeMillis) -> Receipt {
    Receipt::sign(
        &identity(0),
        receipt.hospital,
        receipt.record_hash,
        receipt.entries_hash,
        receipt.pseudonym,
        link_deadline,
    )
}

/// A key that the chain never saw.
fn stranger() -> SecretKey {
    secret(220)
}

fn missed(receipt: Receipt) -> Report {
    Report {
        reporter: stranger().public(),
        kind: ReportKind::Unlinked,
        hospital: hospital(0),
        record: None,
        detail: String::new(),
        proof: ReportProof::MissedDeadline { receipt },
    }
}

/// Record 1 as it is linked, against this promise.
fn differs(receipt: Receipt) -> Report {
    let leaves: Vec<_> = (0..3).map(leaf).collect();
    let encoded: Vec<_> = leaves.iter().map(codec::encode).collect();
    Report {
        kind: ReportKind::MisIndexed,
        record: Some(PLACE),
        proof: ReportProof::EntriesDiffer {
            receipt,
            leaf: leaf(1),
            proof: merkle::prove(&encoded, 1),
        },
        ..missed(self::receipt(1))
    }
}

/// The promise for record 1 with the entries of another.
fn broken_promise() -> Receipt {
    let other = AnchorLeaf {
        entries: leaf(2).entries,
        ..leaf(1)
    };
    promised(&other, &identity(0))
}

fn signed(body: Report) -> Tx {
    Tx::Report(body.sign(&testing::chain(), &stranger()))
}

#[test]
fn anybody_proves_a_missed_deadline() {
    let mut chain = chain();
    let tx = signed(missed(receipt(5)));
    assert!(chain.accept(&tx).is_empty());
    let reports = query::reports_about(&chain, &hospital(0), 0, 10).unwrap();
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].0, tx.id());
    assert_eq!(reports[0].1.report, missed(receipt(5)));
}

#[test]
fn anybody_proves_that_a_promise_about_a_record_was_broken() {
    let other_hash = AnchorLeaf {
        record_hash: Hash([99; 32]),
        ..leaf(1)
    };
    for promise in [broken_promise(), promised(&other_hash, &identity(0))] {
        let mut chain = chain();
        let tx = signed(differs(promise));
        assert!(chain.accept(&tx).is_empty());
        let reports = query::reports_about(&chain, &hospital(0), 0, 10).unwrap();
        assert_eq!(reports[0].1.report.kind, ReportKind::MisIndexed);
    }
}

/// The leaf under the right P has another R or view tag than promised: with either, the patient does not find it.
#[test]
fn anybody_proves_that_a_pseudonym_was_changed() {
    let linked = leaf(1).pseudonym;
    let promises = [
        Pseudonym {
            ephemeral: leaf(2).pseudonym.ephemeral,
            ..linked
        },
        Pseudonym {
            view_tag: linked.view_tag ^ 1,
            ..linked
        },
    ];
    for pseudonym in promises {
        let promise = AnchorLeaf {
            pseudonym,
            ..leaf(1)
        };
        let mut chain = chain();
        chain.accept(&signed(differs(promised(&promise, &identity(0)))));
        let reports = query::reports_about(&chain, &hospital(0), 0, 10).unwrap();
        assert_eq!(reports[0].1.report.kind, ReportKind::MisIndexed);
    }
}

/// It may not link any more, but what it linked stays.
#[test]
fn a_former_member_is_held_to_what_it_linked_only() {
    let mut chain = chain();
    chain.govern(Change::Remove(hospital(0)));
    chain.refuse(&signed(missed(receipt(5))), "report_not_a_member");
    chain.accept(&signed(differs(broken_promise())));
}

/// A receipt names no chain: one that was due before this alliance began was made for another.
#[test]
fn a_promise_from_before_the_alliance_proves_nothing() {
    let first = Epoch(NOW.epoch().0 + 1);
    let at_start = first.start();
    let before = TimeMillis(at_start.0 - 1);
    let mut chain = Chain::with_params(|params| params.first_epoch = first);
    chain.link_records();
    chain.time = later(2 * DAY);
    let late = |deadline| signed(missed(due(&receipt(5), deadline)));
    let broken = |deadline| signed(differs(due(&broken_promise(), deadline)));
    for report in [late(before), broken(before)] {
        chain.refuse(&report, "report_before_alliance");
    }
    for report in [late(at_start), broken(at_start)] {
        chain.accept(&report);
    }
}

#[test]
fn without_a_proof_a_stranger_says_nothing() {
    let word = |report: Report| Report {
        proof: ReportProof::None,
        ..report
    };
    for report in [missed(receipt(5)), differs(broken_promise())] {
        chain().refuse(&signed(word(report)), "report_reporter_unknown");
    }
}

#[test]
fn a_proof_is_for_its_own_kind() {
    let unlinked = Report {
        kind: ReportKind::Unlinked,
        ..differs(broken_promise())
    };
    chain().refuse(&signed(unlinked), "report_proof_kind");
    for kind in ReportKind::ALL {
        if kind == ReportKind::Unlinked {
            continue;
        }
        let report = Report {
            kind,
            record: Some(PLACE),
            ..missed(receipt(5))
        };
        chain().refuse(&signed(report), "report_proof_kind");
    }
}

#[test]
fn the_receipt_is_the_hospitals_own() {
    let elsewhere = Receipt::sign(
        &identity(1),
        hospital(1),
        leaf(5).record_hash,
        leaf(5).entries.hash(),
        leaf(5).pseudonym,
        TimeMillis(NOW.0 - 1),
    );
    chain().refuse(&signed(missed(elsewhere)), "report_receipt_elsewhere");
    let mut altered = receipt(5);
    altered.link_deadline = TimeMillis(NOW.0 - 2);
    for forged in [
        promised(&leaf(5), &server(0)),
        promised(&leaf(5), &stranger()),
        altered,
    ] {
        chain().refuse(&signed(missed(forged)), "report_receipt_forged");
    }
    let mut forged = broken_promise();
    forged.entries_hash = Hash([7; 32]);
    chain().refuse(&signed(differs(forged)), "report_receipt_forged");
}

#[test]
fn the_deadline_has_passed() {
    let mut chain = chain();
    let report = missed(due(&receipt(5), NOW));
    chain.refuse(&signed(report.clone()), "report_not_late");
    chain.time = later(1);
    chain.accept(&signed(report));
}

#[test]
fn nothing_is_linked_under_the_pseudonym() {
    chain().refuse(&signed(missed(receipt(1))), "report_linked");
    // Another hospital's record under the same pseudonym keeps no promise.
    let mut chain = Chain::new();
    let mut copycat = testing::PrivateBlocks::new(1);
    copycat.push(&[leaf(1)]);
    chain.accept(&Tx::Checkpoint(copycat.checkpoint(1, 1)));
    chain.accept(&Tx::Link(crate::tx::Link {
        hospital: hospital(1),
        height: Height(1),
        leaves: vec![leaf(1)],
    }));
    chain.accept(&signed(missed(receipt(1))));
}

#[test]
fn what_is_not_linked_has_no_place() {
    let placed = Report {
        record: Some(PLACE),
        ..missed(receipt(5))
    };
    chain().refuse(&signed(placed), "report_record_named");
}

#[test]
fn the_record_is_named_and_linked() {
    let nowhere = Report {
        record: None,
        ..differs(broken_promise())
    };
    chain().refuse(&signed(nowhere), "report_record_missing");
    let elsewhere = Report {
        record: Some(RecordRef { height: 2, ..PLACE }),
        ..differs(broken_promise())
    };
    chain().refuse(&signed(elsewhere), "report_record_unknown");
}

#[test]
fn a_promise_that_was_kept_proves_nothing() {
    chain().refuse(&signed(differs(receipt(1))), "report_as_promised");
}

#[test]
fn receipt_and_leaf_are_about_one_pseudonym() {
    chain().refuse(&signed(differs(receipt(2))), "report_other_pseudonym");
}

/// A report about record 1 whose leaf and proof were changed.
fn changed(change: impl FnOnce(&mut AnchorLeaf, &mut InclusionProof)) -> Tx {
    let mut report = differs(broken_promise());
    let ReportProof::EntriesDiffer { leaf, proof, .. } = &mut report.proof else {
        panic!("the proof is that entries differ");
    };
    change(leaf, proof);
    signed(report)
}

#[test]
fn the_leaf_is_the_one_at_the_records_place() {
    let mut chain = chain();
    let other_index = changed(|_, proof| proof.index = 0);
    chain.refuse(&other_index, "report_other_position");
    let other_size = changed(|_, proof| proof.size = 4);
    chain.refuse(&other_size, "report_other_position");
    let other_hash = changed(|leaf, _| leaf.record_hash = Hash([8; 32]));
    chain.refuse(&other_hash, "report_not_included");
    let other_entries = changed(|leaf, _| leaf.entries = testing::leaf(0).entries);
    chain.refuse(&other_entries, "report_not_included");
    let other_path = changed(|_, proof| proof.path[0] = Hash([8; 32]));
    chain.refuse(&other_path, "report_not_included");
    let no_path = changed(|_, proof| proof.path.clear());
    chain.refuse(&no_path, "report_not_included");
}

#[test]
fn the_same_is_proved_once_whoever_says_it_and_whenever() {
    let mut chain = chain();
    chain.accept(&signed(missed(receipt(5))));
    let by_another = |report: Report| {
        let body = Report {
            reporter: secret(221).public(),
            ..report
        };
        Tx::Report(body.sign(&testing::chain(), &secret(221)))
    };
    chain.refuse(&by_another(missed(receipt(5))), "report_repeated");
    chain.accept(&by_another(missed(receipt(6))));
    chain.accept(&by_another(differs(broken_promise())));
    for days in [1, 400] {
        chain.time = later(days * DAY);
        for report in [
            missed(receipt(5)),
            missed(receipt(6)),
            differs(broken_promise()),
        ] {
            chain.refuse(&signed(report.clone()), "report_repeated");
            chain.refuse(&by_another(report), "report_repeated");
        }
    }
    chain.accept(&by_another(missed(receipt(7))));
    assert_eq!(
        state::proved(&hospital(0), ReportKind::Unlinked, &leaf(5).pseudonym.point)
            .get(&chain)
            .unwrap(),
        Some(signed(missed(receipt(5))).id())
    );
}

#[test]
fn a_proof_does_not_replace_the_reporters_signature() {
    let forged = Tx::Report(missed(receipt(5)).sign(&testing::chain(), &secret(221)));
    chain().refuse(&forged, "report_not_signed");
}

#[test]
fn a_promise_outlives_the_key_it_was_signed_with() {
    let mut chain = chain();
    let mut late = receipt(1);
    late.pseudonym.point = secret(221).public();
    let late = due(&late, late.link_deadline);
    let forged = Receipt::sign(
        &secret(201),
        late.hospital,
        late.record_hash,
        late.entries_hash,
        late.pseudonym,
        late.link_deadline,
    );
    let report =
        |receipt: Receipt| Tx::Report(missed(receipt).sign(&testing::chain(), &stranger()));
    chain.refuse(&report(forged), "report_receipt_forged");
    let generation = state::generation().get(&chain).unwrap().unwrap();
    let body = crate::tx::Governance {
        generation,
        change: Change::Rotate {
            hospital: hospital(0),
            identity: secret(201).public(),
            server: secret(202).public(),
        },
    };
    let approvals = (0..2)
        .map(|i| (hospital(i), body.approve(&testing::chain(), &identity(i))))
        .collect();
    chain.accept(&Tx::Member(body.with_approvals(approvals)));
    chain.accept(&report(late));
}

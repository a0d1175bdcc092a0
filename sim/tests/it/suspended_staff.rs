//! Whoever is suspended is refused within five seconds, whatever she asks for and whatever she had begun, and each
//! refusal is in the log. What staff do not sign, or sign otherwise, is refused and logged as well.

use caduceus_ledger::ChainId;
use hospital_server::workstation::{UploadInput, WorkstationError};
use private_chain::audit::{Outcome, StatementCheck};
use private_chain::{Action, AuditEntry, Role};
use sim::ward::{Answer, Asked, Inpatient, Member, Ward};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

fn note(word: &str) -> UploadInput {
    UploadInput {
        bytes: word.as_bytes().to_vec(),
        media_type: "text/plain".to_owned(),
        own_terms: vec![word.to_owned()],
        amends: None,
    }
}

fn denied(rule: &str) -> Answer {
    Answer::Denied(rule.to_owned())
}

/// The entries of a request.
fn of(
    chain: &ChainId,
    entries: &[AuditEntry],
    asked: &Asked,
) -> Vec<(String, Outcome, StatementCheck)> {
    let request = hex::encode(asked.0);
    let found = entries.iter().filter(|entry| *entry.request == *request);
    found
        .map(|entry| {
            (
                entry.subtype.to_string(),
                entry.outcome,
                entry.statement_check(chain),
            )
        })
        .collect()
}

/// Everything that a physician and an auditor may ask for, and what they hear.
async fn everything(doctor: &Member, auditor: &Member, patient: &Inpatient) -> Vec<Asked> {
    vec![
        doctor.look_up(&patient.card, None).await,
        doctor.index_key(&patient.card).await,
        doctor.log().await,
        auditor.read_log().await,
        auditor.log().await,
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn suspended_staff_are_refused_within_five_seconds_and_each_refusal_is_logged() {
    let folder = tempfile::tempdir().unwrap();
    let spec = crate::one_hospital();
    let mut ward = Ward::start(folder.path(), &spec).await.unwrap();
    let chain = ward.hospital().genesis.chain_id();
    let server = ward.server_here().await.unwrap();
    ward.server_answers(PATIENCE).await.unwrap();
    let admin = ward.administrator().await.unwrap();
    let registrar = ward.member(&admin, Role::Registrar).await.unwrap();
    let doctor = ward.member(&admin, Role::Physician).await.unwrap();
    let auditor = ward.member(&admin, Role::Auditor).await.unwrap();
    let patient = Inpatient::arrive(&ward.layout, &registrar).await.unwrap();

    // In good standing all of it works, signed by her.
    let mut visit = doctor.station().visit(&patient.card).await.unwrap();
    let stored = visit.upload(note("before")).await.unwrap();
    assert_eq!(patient.fetch(&stored).await.unwrap(), Answer::Done);
    // The entry names her who asked, not the node that handed it on.
    let entries = ward.entries().unwrap();
    let mut fetched = entries.iter().filter(|e| &*e.subtype == "fetch-record");
    let fetched = fetched.next().unwrap();
    assert_eq!(fetched.actor, stored.receipt.pseudonym.point.into());
    assert!(fetched.reason.starts_with("handed on by node "));
    let before = everything(&doctor, &auditor, &patient).await;
    let entries = ward.entries().unwrap();
    for asked in &before {
        assert_eq!(asked.1, Answer::Done, "{asked:?}");
        let found = of(&chain, &entries, asked);
        assert_eq!(found.len(), 1, "{asked:?}: {found:?}");
        assert_eq!(
            (found[0].1, found[0].2),
            (Outcome::Success, StatementCheck::Signed)
        );
    }
    let part = [9; 16];
    assert_eq!(doctor.send_part(part).await, Answer::Done);
    let by_admin = |subtype: &str| {
        let all = ward.entries().unwrap();
        all.iter()
            .filter(|entry| &*entry.subtype == subtype)
            .count()
    };
    assert_eq!(by_admin("staff-enrol"), 3);

    // Not signed, or not for this.
    assert_eq!(
        doctor.look_up_unsigned(&patient.card).await,
        denied("statement_missing")
    );
    let other = doctor.statement(Action::Read, "meta-lookup", None);
    let wrong = doctor.look_up(&patient.card, Some(&other)).await;
    assert_eq!(wrong.1, denied("statement_wrong"));
    let mut old = doctor.statement(Action::Read, "meta-lookup", Some(patient.card.card.hash()));
    old.time.0 -= 10 * 60 * 1000;
    let late = doctor.look_up(&patient.card, Some(&old)).await;
    assert_eq!(late.1, denied("statement_wrong"));
    let entries = ward.entries().unwrap();
    for asked in [&wrong, &late] {
        let found = of(&chain, &entries, asked);
        assert_eq!(found.len(), 1, "{asked:?}: {found:?}");
        assert_eq!(
            (found[0].1, found[0].2),
            (Outcome::Denied, StatementCheck::None)
        );
    }

    // Suspended: the first refusal comes in time, and from then on there is nothing else.
    for member in [&doctor, &auditor, &registrar] {
        admin.suspend(member.key(), "left").await.unwrap();
    }
    let suspended = Instant::now();
    loop {
        let (_, answer) = doctor.look_up(&patient.card, None).await;
        if answer == denied("policy") {
            break;
        }
        assert_eq!(answer, Answer::Done);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(suspended.elapsed() < Duration::from_secs(5));
    tokio::time::sleep(Duration::from_secs(5).saturating_sub(suspended.elapsed())).await;

    let denials = || {
        let all = ward.entries().unwrap();
        all.iter()
            .filter(|entry| {
                entry.outcome == Outcome::Denied && entry.reason.contains("always-suspended")
            })
            .count()
    };
    let already = denials();
    let mut after = everything(&doctor, &auditor, &patient).await;
    after.push(registrar.make_card(patient.meta()).await);
    for asked in &after {
        assert_eq!(asked.1, denied("policy"), "{asked:?}");
    }
    // An upload was begun.
    assert_eq!(doctor.send_part(part).await, denied("policy"));
    let finished = doctor.finish(part, &patient.card).await;
    assert_eq!(finished.1, denied("policy"));
    assert_eq!(denials() - already, after.len() + 2);
    // A visit was open, its index key in memory: the chain's nodes do not count tags for her any more, and the server
    // would be next.
    match visit.upload(note("after")).await {
        Err(WorkstationError::Refused { .. }) => {}
        Err(WorkstationError::Denied { rule, .. }) => assert_eq!(rule, "policy"),
        other => panic!("{other:?}"),
    }
    println!(
        "{} requests of suspended staff refused and logged",
        after.len() + 2
    );
    // The patient's own reading goes on.
    assert_eq!(patient.fetch(&stored).await.unwrap(), Answer::Done);

    for member in [&doctor, &auditor, &registrar] {
        member.close().await;
    }
    patient.close().await;
    admin.close().await;
    server.stop().await;
    ward.stop().await;
}

//! D and R are on the chain, and a running server keeps them: what is over a bound is put off, never lost, and a later
//! policy sets it free again.

use caduceus_crypto::encode;
use caduceus_ledger::Height;
use private_chain::audit::Outcome;
use private_chain::policy::{DEFAULT_TEXT, Limits, MAX_SLOT_MILLIS, Retention};
use private_chain::tx::{Policy, Tx};
use private_chain::{AuditEntry, Role};
use sim::ward::{Answer, Inpatient, Ward};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
/// A new policy counts at the server within two seconds of its block.
const EFFECTIVE: Duration = Duration::from_millis(2_200);

async fn propose(ward: &Ward, generation: u64, limits: Limits) {
    let node = &ward.node().node;
    let body = Policy {
        generation,
        text: DEFAULT_TEXT.to_owned(),
        limits,
        retention: Retention::default(),
        applies_at: Height(node.chain().tip().height.0 + 2),
    };
    let chain = ward.hospital().genesis.chain_id();
    let tx = Tx::Policy(body.sign(&chain, &ward.hospital().identity));
    node.submit_and_wait(encode(&tx), PATIENCE).await.unwrap();
    tokio::time::sleep(EFFECTIVE).await;
}

fn lookups(entries: &[AuditEntry]) -> usize {
    let done =
        |entry: &&AuditEntry| &*entry.subtype == "meta-lookup" && entry.outcome == Outcome::Success;
    entries.iter().filter(done).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_server_keeps_the_bounds_that_are_on_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let spec = crate::one_hospital();
    let mut ward = Ward::start(folder.path(), &spec).await.unwrap();
    let server = ward.server_here().await.unwrap();
    ward.server_answers(PATIENCE).await.unwrap();
    let admin = ward.administrator().await.unwrap();
    let registrar = ward.member(&admin, Role::Registrar).await.unwrap();
    let doctor = ward.member(&admin, Role::Physician).await.unwrap();
    let patient = Inpatient::arrive(&ward.layout, &registrar).await.unwrap();
    for _ in 0..2 {
        assert_eq!(doctor.look_up(&patient.card, None).await.1, Answer::Done);
    }

    // D: four of this action in a slot, two of which are there.
    let of_lookups = Limits {
        per_action: [("meta-lookup".to_owned(), 4)].into(),
        slot_millis: Some(MAX_SLOT_MILLIS),
        ..Limits::default()
    };
    propose(&ward, 0, of_lookups).await;
    // The block from which it counts: a policy does not judge the block before its own height.
    assert_eq!(registrar.make_card(patient.meta()).await.1, Answer::Done);
    tokio::time::sleep(EFFECTIVE).await;
    let answers = |count: usize| {
        let (doctor, patient) = (&doctor, &patient);
        async move {
            let mut answers = Vec::new();
            for _ in 0..count {
                answers.push(doctor.look_up(&patient.card, None).await.1);
            }
            answers
        }
    };
    let before = lookups(&ward.entries().unwrap());
    assert_eq!(before, 2);
    let found = answers(4).await;
    assert_eq!(
        found,
        [Answer::Done, Answer::Done, Answer::Later, Answer::Later]
    );
    assert_eq!(lookups(&ward.entries().unwrap()), 4);
    // Of another action there is no bound.
    assert_eq!(doctor.index_key(&patient.card).await.1, Answer::Done);

    // R: no more of anything, yet a denial is still entered.
    let of_all = Limits {
        per_slot: Some(1),
        slot_millis: Some(MAX_SLOT_MILLIS),
        ..Limits::default()
    };
    propose(&ward, 1, of_all).await;
    let denied = Answer::Denied("statement_missing".to_owned());
    assert_eq!(doctor.look_up_unsigned(&patient.card).await, denied);
    tokio::time::sleep(EFFECTIVE).await;
    let entries = ward.entries().unwrap();
    assert_eq!(answers(1).await, [Answer::Later]);
    assert_eq!(doctor.index_key(&patient.card).await.1, Answer::Later);
    assert_eq!(ward.entries().unwrap().len(), entries.len());
    assert_eq!(doctor.look_up_unsigned(&patient.card).await, denied);
    assert_eq!(ward.entries().unwrap().len(), entries.len() + 1);

    // None any more.
    propose(&ward, 2, Limits::default()).await;
    assert_eq!(doctor.look_up_unsigned(&patient.card).await, denied);
    tokio::time::sleep(EFFECTIVE).await;
    assert_eq!(answers(2).await, [Answer::Done, Answer::Done]);

    for member in [&doctor, &registrar] {
        member.close().await;
    }
    patient.close().await;
    admin.close().await;
    server.stop().await;
    ward.stop().await;
}

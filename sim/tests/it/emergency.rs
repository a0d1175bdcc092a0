//! Break-glass over a real network: a record of a patient who opted in is opened by two persons with enough officers,
//! its entries are committed before, and she reads it at once. One person alone, no reason, too few officers, who may
//! not, and a card without opt-in are refused, each with its denial in the log.

mod world;

use caduceus_client::ClientError;
use caduceus_crypto::Hash;
use caduceus_crypto::codec::encode;
use caduceus_crypto::keys::Signature;
use caduceus_network::exchange::{
    EmergencyAnswer, EmergencyApproval, EmergencyCall, EmergencyOpening, EmergencyRequest,
    EmergencyTarget, Reply,
};
use hospital_server::emergency::{PURPOSE, Step};
use hospital_server::system_clock;
use hospital_server::workstation::{EmergencyAim, EmergencyCase, EmergencyFault, WorkstationError};
use patient_client::{HospitalEntry, PatientError};
use private_chain::Outcome;
use private_chain::audit::StatementCheck;
use rand_core::OsRng;
use world::{Person, World};

const SECRET: &str = "allergic to penicillin, says the note that only she can read";
const REASON: &str = "unconscious after a fall";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_persons_and_enough_officers_open_what_its_patient_opted_in_to() {
    let mut world = World::start().await;
    let anna = world.patient("anna").await;
    let bea = world.patient("bea").await;
    let hospital = world.layout.hospitals[0].id;
    let early = world.upload(&anna, "from before she opted in").await;
    let no_key = anna.patient.set_emergency_access(&hospital, true).await;
    assert_eq!(patients_rule(no_key), "emergency_no_key");
    world.deal().await;
    anna.patient
        .set_emergency_access(&hospital, true)
        .await
        .unwrap();
    let record = world.upload(&anna, SECRET).await;
    let beas = world.upload(&bea, "Bea's note").await;
    assert!(world.is_wrapped(&record));
    assert!(!world.is_wrapped(&beas) && !world.is_wrapped(&early));
    anna.patient.access_log().await.unwrap();

    who_may_not_ask(&mut world, record, beas, early).await;
    let case = world
        .station("doctor")
        .emergency_request(EmergencyAim::Record(record), REASON)
        .await
        .unwrap();
    assert_eq!((case.records().len(), case.threshold()), (1, 2));
    nobody_alone(&world, &case).await;
    opens(&world, &case, record).await;
    the_patients_read_it(&world, &anna, &bea, record).await;
    a_lying_officer_is_named(&world, record).await;
    a_card_opens_all_its_records(&world, &anna, record).await;
    opting_out_ends_it(&world, &anna, &case).await;

    assert_eq!(world.unlogged_actions(), 0);
    world.stop().await;
}

/// The rule of a refusal at a workstation.
fn rule<T: std::fmt::Debug>(outcome: Result<T, WorkstationError>) -> String {
    match outcome.unwrap_err() {
        WorkstationError::Denied { rule, .. } => rule,
        other => panic!("not a denial: {other:?}"),
    }
}

fn patients_rule(outcome: Result<(), PatientError>) -> String {
    match outcome.unwrap_err() {
        PatientError::Client(ClientError::Denied { rule, .. }) => rule,
        other => panic!("not a denial: {other:?}"),
    }
}

fn replied_rule(reply: Reply<EmergencyAnswer>) -> String {
    match reply {
        Reply::Denied { rule, .. } => rule,
        other => panic!("not a denial: {other:?}"),
    }
}

async fn who_may_not_ask(world: &mut World, record: Hash, beas: Hash, early: Hash) {
    let aim = EmergencyAim::Record(record);
    let ask = |name: &'static str, aim| world.station(name).emergency_request(aim, REASON);
    assert_eq!(rule(ask("nurse", aim).await), "policy");
    let suspended = world.key("suspended").public();
    world.admin.suspend(suspended, "left").await.unwrap();
    // Remembered for two seconds.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(rule(ask("suspended", aim).await), "policy");
    let not_opted_in = ask("doctor", EmergencyAim::Record(beas)).await;
    assert_eq!(rule(not_opted_in), "emergency_not_opted_in");
    let not_wrapped = ask("doctor", EmergencyAim::Record(early)).await;
    assert_eq!(rule(not_wrapped), "emergency_no_wrap");
    let unknown = ask("doctor", EmergencyAim::Record(Hash([9; 32]))).await;
    assert_eq!(rule(unknown), "emergency_target_unknown");

    // The workstation does not even ask without a reason; a program that does is refused.
    let none = world.station("doctor").emergency_request(aim, "  ").await;
    assert!(matches!(
        none,
        Err(WorkstationError::Emergency(EmergencyFault::Reason))
    ));
    let request = |reason: &str| EmergencyRequest {
        hospital: world.layout.hospitals[0].id,
        requester: world.key("doctor").public(),
        target: EmergencyTarget::Record(record),
        reason: reason.to_owned(),
        at: system_clock()(),
        nonce: [1; 16],
        signature: Signature([0; 64]),
    };
    let call = |request| EmergencyCall::Request {
        card: None,
        request,
    };
    let blank = request(" \t").signed(world.key("doctor"));
    let reply = world.call("doctor", call(blank)).await;
    assert_eq!(replied_rule(reply), "emergency_no_reason");
    // Somebody else's request, and one whose reason was put in afterwards.
    let others = request(REASON).signed(world.key("colleague"));
    let reply = world.call("doctor", call(others)).await;
    assert_eq!(replied_rule(reply), "emergency_signature");
    let mut changed = request(REASON).signed(world.key("doctor"));
    changed.reason.push('!');
    let reply = world.call("doctor", call(changed)).await;
    assert_eq!(replied_rule(reply), "emergency_signature");
}

/// What somebody signs to open a case, whoever asked for it.
fn opening(world: &World, name: &str, case: &EmergencyCase) -> EmergencyOpening {
    let (id, at) = (case.id(), system_clock()());
    EmergencyOpening {
        hospital: world.layout.hospitals[0].id,
        request: id,
        statements: statements(world, name, Step::Open, case, at),
        at,
        signature: Signature([0; 64]),
    }
    .signed(world.key(name))
}

fn statements(
    world: &World,
    name: &str,
    step: Step,
    case: &EmergencyCase,
    at: caduceus_crypto::TimeMillis,
) -> Vec<Vec<u8>> {
    let chain = world.layout.hospitals[0].genesis.chain_id();
    let key = world.key(name);
    let names = case.records().iter().map(|record| {
        let excerpt = &record.excerpt;
        (excerpt.header.pseudonym.point, excerpt.record_hash)
    });
    names
        .map(|names| {
            let statement = step.statement(key.public(), at, &case.id(), names);
            encode(&statement.sign(&mut OsRng, &chain, key))
        })
        .collect()
}

fn approval(world: &World, name: &str, case: &EmergencyCase, sealed: Vec<u8>) -> EmergencyApproval {
    let at = system_clock()();
    EmergencyApproval {
        hospital: world.layout.hospitals[0].id,
        request: case.id(),
        officer: world.key(name).public(),
        sealed,
        statements: statements(world, name, Step::Approve, case, at),
        at,
        signature: Signature([0; 64]),
    }
    .signed(world.key(name))
}

async fn nobody_alone(world: &World, case: &EmergencyCase) {
    let (id, doctor) = (case.id(), world.station("doctor"));
    assert_eq!(
        rule(doctor.emergency_open(&id).await),
        "emergency_too_few_officers"
    );
    // Not even one part of the record before it is open.
    let fetch = EmergencyCall::Fetch {
        request: id,
        record: case.records()[0].excerpt.record_hash,
        offset: 0,
    };
    let reply = world.call("doctor", fetch.clone()).await;
    assert_eq!(replied_rule(reply), "emergency_not_open");
    let own = doctor
        .emergency_approve(case.clone(), world.shares_of("doctor"))
        .await;
    assert_eq!(rule(own), "emergency_one_person");
    let colleague = world.station("colleague").emergency_review(&id).await;
    assert_eq!(rule(colleague), "emergency_not_officer");
    let unknown = world
        .station("officer-1")
        .emergency_review(&Hash([7; 32]))
        .await;
    assert_eq!(rule(unknown), "emergency_unknown");
    // An approval without her signature on the entry, and one that somebody else brings.
    let mut bare = approval(world, "officer-1", case, vec![0; 64]);
    bare.statements.clear();
    let bare = bare.signed(world.key("officer-1"));
    let reply = world.call("officer-1", EmergencyCall::Approve(bare)).await;
    assert_eq!(replied_rule(reply), "emergency_statement");
    let brought = approval(world, "officer-1", case, vec![0; 64]);
    let reply = world
        .call("officer-2", EmergencyCall::Approve(brought))
        .await;
    assert_eq!(replied_rule(reply), "emergency_signature");

    let station = world.station("officer-1");
    let seen = station.emergency_review(&id).await.unwrap();
    assert_eq!(seen.request().reason, REASON);
    let approved = station
        .emergency_approve(seen, world.shares_of("officer-1"))
        .await
        .unwrap();
    assert_eq!(approved.approvals, 1);
    assert_eq!(
        rule(doctor.emergency_open(&id).await),
        "emergency_too_few_officers"
    );
    let reply = world
        .call(
            "officer-2",
            EmergencyCall::Open(opening(world, "officer-2", case)),
        )
        .await;
    assert_eq!(replied_rule(reply), "emergency_other_requester");
    let reply = world.call("officer-2", fetch).await;
    assert_eq!(replied_rule(reply), "emergency_other_requester");
}

async fn agree(world: &World, name: &str, request: &Hash) -> u32 {
    let station = world.station(name);
    let case = station.emergency_review(request).await.unwrap();
    let approved = station
        .emergency_approve(case, world.shares_of(name))
        .await
        .unwrap();
    approved.approvals
}

async fn opens(world: &World, case: &EmergencyCase, record: Hash) {
    assert_eq!(agree(world, "officer-3", &case.id()).await, 2);
    let count = |world: &World| {
        let entries = world.entries();
        entries
            .iter()
            .filter(|(entry, _)| {
                &*entry.subtype == "emergency-open" && entry.outcome == Outcome::Success
            })
            .count()
    };
    assert_eq!(count(world), 0);
    // The entries are there when the server's answer is: no byte of the record has been asked for yet.
    let opening = opening(world, "doctor", case);
    let Reply::Done(EmergencyAnswer::Opened { logged_at, .. }) =
        world.call("doctor", EmergencyCall::Open(opening)).await
    else {
        panic!("it does not open");
    };
    assert!(logged_at > 0);
    assert_eq!(count(world), 1);
    let opened = world
        .station("doctor")
        .emergency_open(&case.id())
        .await
        .unwrap();
    assert_eq!(opened.len(), 1);
    assert_eq!(opened[0].record, record);
    assert_eq!(opened[0].opened.plaintext, SECRET.as_bytes());
    assert_eq!(opened[0].blamed, []);
    assert_eq!(count(world), 2);

    // Both persons stand there, each by her own signature, with the reason, under the request's hash.
    for (name, subtype) in [
        ("doctor", "emergency-open"),
        ("officer-1", "emergency-approve"),
        ("officer-3", "emergency-approve"),
    ] {
        let actor = world.key(name).public().into();
        let entries = world.entries();
        let (entry, check) = entries
            .iter()
            .find(|(entry, _)| {
                entry.actor == actor
                    && &*entry.subtype == subtype
                    && entry.outcome == Outcome::Success
            })
            .unwrap();
        assert_eq!(*check, StatementCheck::Signed, "{name}");
        assert!(entry.reason.starts_with(REASON), "{}", entry.reason);
        assert_eq!(entry.grant, Some(case.id()));
        assert_eq!(&*entry.purpose, PURPOSE);
        assert_eq!(entry.record(), Some(&record));
    }
}

/// Subtype and outcome of what a patient reads, with the reason's beginning.
fn told(entries: &[HospitalEntry]) -> Vec<(String, String, String)> {
    entries
        .iter()
        .map(|entry| {
            let subtype = entry.action.split(' ').nth(1).unwrap_or_default();
            (
                subtype.to_owned(),
                entry.outcome.clone(),
                entry.reason.clone(),
            )
        })
        .collect()
}

async fn the_patients_read_it(world: &World, anna: &Person, bea: &Person, record: Hash) {
    let entries = world.emergencies(anna).await;
    let told_anna = told(&entries);
    let count = |subtype: &str, outcome: &str, reason: &str| {
        told_anna
            .iter()
            .filter(|(s, o, r)| s == subtype && o == outcome && r.starts_with(reason))
            .count()
    };
    // One opened later, and one about a record without the second wrap: it is entered before the vault is read.
    assert_eq!(count("emergency-request", "success", REASON), 2);
    assert_eq!(count("emergency-approve", "success", REASON), 2);
    assert_eq!(count("emergency-open", "success", REASON), 2);
    for (subtype, rule, times) in [
        ("emergency-request", "policy: no policy permits", 1),
        (
            "emergency-request",
            "policy: forbidden by always-suspended",
            1,
        ),
        ("emergency-request", "emergency_no_reason", 1),
        ("emergency-request", "emergency_signature", 2),
        ("emergency-request", "emergency_no_wrap", 1),
        ("emergency-open", "emergency_too_few_officers", 2),
        ("emergency-open", "emergency_not_open", 1),
        ("emergency-open", "emergency_other_requester", 2),
        ("emergency-approve", "emergency_one_person", 1),
        ("emergency-approve", "emergency_statement", 1),
        ("emergency-approve", "emergency_signature", 1),
        ("emergency-review", "emergency_not_officer", 1),
    ] {
        assert_eq!(
            count(subtype, "denied", rule),
            times,
            "{subtype} {rule}: {told_anna:#?}"
        );
    }
    assert!(entries.iter().any(|entry| entry.record == Some(record)));
    let told_bea = told(&world.emergencies(bea).await);
    assert_eq!(told_bea.len(), 1, "{told_bea:?}");
    assert_eq!(
        (told_bea[0].0.as_str(), told_bea[0].1.as_str()),
        ("emergency-request", "denied")
    );
    assert!(told_bea[0].2.starts_with("emergency_not_opted_in"));
    let class = |entry: &private_chain::AuditEntry| entry.subtype.starts_with("emergency-");
    let all = world.entries();
    assert!(all.iter().filter(|(entry, _)| class(entry)).count() > 15);
}

/// Too few good parts: the officer at fault is named. With one more good part it opens, and she is named still.
async fn a_lying_officer_is_named(world: &World, record: Hash) {
    let doctor = world.station("doctor");
    let case = doctor
        .emergency_request(EmergencyAim::Record(record), REASON)
        .await
        .unwrap();
    let liar = world.key("officer-2").public();
    let junk = approval(world, "officer-2", &case, vec![7; 200]);
    let reply = world.call("officer-2", EmergencyCall::Approve(junk)).await;
    assert_eq!(
        reply,
        Reply::Done(EmergencyAnswer::Approved { approvals: 1 })
    );
    assert_eq!(agree(world, "officer-1", &case.id()).await, 2);
    match doctor.emergency_open(&case.id()).await {
        Err(WorkstationError::Emergency(EmergencyFault::Officers { blamed, .. })) => {
            assert_eq!(blamed, [liar]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(agree(world, "officer-3", &case.id()).await, 3);
    let opened = doctor.emergency_open(&case.id()).await.unwrap();
    assert_eq!(opened[0].opened.plaintext, SECRET.as_bytes());
    assert_eq!(opened[0].blamed, [liar]);
}

async fn a_card_opens_all_its_records(world: &World, anna: &Person, record: Hash) {
    let second = world.upload(anna, "a second note").await;
    let doctor = world.station("doctor");
    let case = doctor
        .emergency_request(EmergencyAim::Card(anna.card.card), REASON)
        .await
        .unwrap();
    for officer in ["officer-2", "officer-3"] {
        agree(world, officer, &case.id()).await;
    }
    let opened = doctor.emergency_open(&case.id()).await.unwrap();
    let found: Vec<(Hash, &[u8])> = opened
        .iter()
        .map(|each| (each.record, each.opened.plaintext.as_slice()))
        .collect();
    // The newest first; what was sealed before she opted in is not among them.
    assert_eq!(
        found,
        [(second, &b"a second note"[..]), (record, SECRET.as_bytes())]
    );
    // What the server keeps of all this opens nothing.
    let server = world.layout.hospitals[0].server_home();
    assert!(!world::files_hold(&server, "penicillin"));
}

async fn opting_out_ends_it(world: &World, anna: &Person, case: &EmergencyCase) {
    let hospital = world.layout.hospitals[0].id;
    let visit = world.station("doctor").visit(&anna.card).await.unwrap();
    assert!(visit.has_emergency_access());
    anna.patient
        .set_emergency_access(&hospital, false)
        .await
        .unwrap();
    let late = world.upload(anna, "from after she opted out").await;
    assert!(!world.is_wrapped(&late));
    let again = world.station("doctor").emergency_open(&case.id()).await;
    assert_eq!(rule(again), "emergency_not_opted_in");
    // A record wrapped under terms that are over is not taken in.
    let mut visit = visit;
    let input = hospital_server::workstation::UploadInput {
        bytes: b"wrapped all the same".to_vec(),
        media_type: "text/plain".to_owned(),
        own_terms: vec!["note".to_owned()],
        amends: None,
    };
    assert_eq!(rule(visit.upload(input).await), "emergency_wrap_unwanted");
}

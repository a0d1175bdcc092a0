//! Prints a FHIR Bundle of AuditEvents with every action, outcome and kind of actor, patient and resource: what
//! `docs/check/fhir-audit.sh` gives to other people's validators. With the argument `searchset`, as a search answers.

use caduceus_crypto::Hash;
use caduceus_crypto::keys::{HospitalId, SecretKey};
use caduceus_crypto::time::TimeMillis;
use caduceus_ledger::ChainId;
use private_chain::audit::{AuditRow, BundleKind, Known, Place, Statement, bundle};
use private_chain::{
    Action, ActionClass, Actor, AuditEntry, Outcome, Resource, Role, StaffRecord, Subject,
};
use std::sync::Arc;

const NOW: TimeMillis = TimeMillis(1_715_000_000_000);

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32]).expect("a small number is a key")
}

fn known(hospital: HospitalId) -> Known {
    let staff = StaffRecord {
        role: Role::Physician,
        label: "Dr. R. Ortiz".to_owned(),
        not_before: NOW,
        not_after: TimeMillis(NOW.0 + 1),
        enrolled_at: NOW,
        suspended_at: None,
    };
    Known {
        chain: ChainId(Hash([1; 32])),
        staff: [(key(1).public(), staff)].into(),
        keys: [(key(2).public(), "server".to_owned())].into(),
        organisations: [(hospital, "St Mary".to_owned())].into(),
        versions: [(Hash([6; 32]), 2)].into(),
    }
}

fn entries(hospital: HospitalId, chain: &ChainId) -> Vec<AuditEntry> {
    let actors = [
        (Actor::Key(key(1).public()), Some(Role::Physician)),
        (Actor::Key(key(2).public()), None),
        (Actor::Named("user 8".into()), None),
    ];
    let patients = [
        Some(Subject::Card(Hash([5; 32]))),
        Some(Subject::Pseudonym(key(3).public())),
        Some(Subject::Named("p-17".into())),
        None,
    ];
    let resources = [
        Some(Resource::Record(Hash([6; 32]))),
        Some(Resource::Named("MOD_GMOD".into())),
        None,
    ];
    let sources = ["192.0.2.7", "ward 3", "/ip4/192.0.2.7/tcp/4001", ""];
    let mut made = Vec::new();
    for action in Action::ALL {
        for outcome in Outcome::ALL {
            let n = made.len();
            let (actor, role) = actors[n % actors.len()].clone();
            let mut entry = AuditEntry {
                time: TimeMillis(NOW.0 + n as u64),
                actor,
                role,
                organisation: hospital,
                action,
                subtype: ["fetch-record", "", "FILE_ACCESS"][n % 3].into(),
                outcome,
                reason: ["", "staff_role", "two\nlines"][n % 3].into(),
                patient: patients[n % patients.len()].clone(),
                resource: resources[n / 2 % resources.len()].clone(),
                purpose: ["TREAT", "", "free  text"][n % 3].into(),
                grant: (n % 2 == 0).then_some(Hash([8; 32])),
                source: sources[n / 3 % sources.len()].into(),
                request: if n % 5 == 4 { "" } else { "0707" }.into(),
                reference: if n % 3 == 2 { "31242" } else { "" }.into(),
                statement: None,
            };
            let mut rng = rand_core::OsRng;
            if let Some(statement) = Statement::of(&entry).filter(|s| s.actor == key(1).public()) {
                entry.statement = Some(statement.sign(&mut rng, chain, &key(1)));
            }
            made.push(entry);
        }
    }
    made
}

fn main() -> Result<(), serde_json::Error> {
    let hospital = HospitalId::from_identity(&key(9).public());
    let known = known(hospital);
    let place = Arc::new(Place {
        height: 12,
        block_hash: Hash([0xb1; 32]),
        block_time: TimeMillis(NOW.0 + 250),
        tx: Hash([0x7a; 32]),
        batch: [0xba; 32],
        first: 100,
    });
    let rows: Vec<AuditRow> = (100..)
        .zip(entries(hospital, &known.chain))
        .map(|(sequence, entry)| AuditRow {
            sequence,
            class: ActionClass::ClinicalRead,
            place: place.clone(),
            entry: Arc::new(entry),
        })
        .collect();
    let kind = if std::env::args().nth(1).as_deref() == Some("searchset") {
        BundleKind::Searchset {
            total: Some(rows.len() as u64),
            links: vec![(
                "self".to_owned(),
                "https://ehr.example/fhir/AuditEvent".to_owned(),
            )],
        }
    } else {
        BundleKind::Collection
    };
    let text = serde_json::to_string_pretty(&bundle(&rows, &known, &kind))?;
    println!("{text}");
    Ok(())
}

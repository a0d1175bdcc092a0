#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing;

const IDASH: &str = "1522000002801\t1\t1\t42\t7\tREQ_RESOURCE\tMOD_FlyBase\n\
    1522000019451\t3\t4\t40\t8\tFILE_ACCESS\tMOD_UCSC_Genome_Bioinformatics\n";

fn import(text: &str, format: &Format) -> Result<Vec<AuditEntry>, RowError> {
    read(text.as_bytes(), format, testing::hospital())
}

fn csv_of(text: &str, mapping: &str) -> Result<Vec<AuditEntry>, RowError> {
    import(
        text,
        &Format::csv(text.as_bytes(), mapping.parse().unwrap()),
    )
}

#[test]
fn rows_of_idash_become_entries() {
    let entries = import(IDASH, &Format::idash()).unwrap();
    assert_eq!(entries.len(), 2);
    let entry = &entries[1];
    assert_eq!(entry.time, TimeMillis(1_522_000_019_451));
    assert_eq!(entry.actor, Actor::Named("8".into()));
    assert_eq!(
        (&*entry.source, &*entry.reference, &*entry.request),
        ("3", "4", "40")
    );
    assert_eq!(
        (entry.action, &*entry.subtype),
        (Action::Read, "FILE_ACCESS")
    );
    let resource = Resource::Named("MOD_UCSC_Genome_Bioinformatics".into());
    assert_eq!(entry.resource, Some(resource));
    assert_eq!((entry.outcome, &entry.patient), (Outcome::Success, &None));
    assert_eq!(entries[0].action, Action::Execute);
    assert_eq!(class_of(entry), ActionClass::ClinicalRead);
}

#[test]
fn columns_are_named_and_quoted() {
    let text = "Who,When,What,\"For, whom\",End\n\
        \"Ortiz, R.\",2024/05/06 12:53:20.5,open chart,p-17,denied\n\
        Lin,2024-05-06T14:53:20+02:00,PRINT_LABEL,,ok\n";
    let entries = csv_of(
        text,
        "user=Who,time=When,activity=What,patient=4,outcome=End",
    )
    .unwrap();
    let first = &entries[0];
    assert_eq!(first.actor, Actor::Named("Ortiz, R.".into()));
    assert_eq!(first.time, testing::later(500));
    assert_eq!(
        (first.action, first.outcome),
        (Action::Read, Outcome::Denied)
    );
    assert_eq!(first.patient, Some(Subject::Named("p-17".into())));
    assert_eq!(
        (entries[1].time, &entries[1].patient),
        (testing::NOW, &None)
    );
    // What separates is seen in the first line.
    let other = "u;t;a\n8;1715000000;D\n";
    let entries = csv_of(other, "user=u,time=t,action=a").unwrap();
    assert_eq!(
        (entries[0].action, entries[0].time),
        (Action::Delete, testing::NOW)
    );
}

#[test]
fn a_row_that_is_no_entry_is_named_by_its_line() {
    let long = format!("u,t,a\n8,1,{}\n", "x".repeat(40));
    for (text, line, what) in [
        ("u,t,a\n8,1,read\n,1,read\n", 3, "names no user"),
        ("u,t,a\n8,yesterday,read\n", 2, "no time"),
        ("u,t\n8,1\n", 1, "no column \"a\""),
        ("u,t,a\n8,1\n", 2, "found record with 2 fields"),
        (&long, 2, "subtype of 40 bytes"),
    ] {
        let error = csv_of(text, "user=u,time=t,activity=a").unwrap_err();
        assert_eq!(error.line, line, "{error}");
        assert!(error.what.contains(what), "{error}");
    }
    let error = csv_of("u,t,a\n8,1,walk\n", "user=u,time=t,action=a").unwrap_err();
    assert!(error.what.contains("no action"), "{error}");
}

#[test]
fn a_mapping_names_what_an_entry_needs() {
    let wrong = |text: &str| text.parse::<Mapping>().unwrap_err();
    assert_eq!(wrong("user"), MapError::Form("user".into()));
    assert_eq!(wrong("user=a,shoe=b"), MapError::Target("shoe".into()));
    assert_eq!(wrong("user=a,user=b"), MapError::Twice("user"));
    assert_eq!(wrong("user=a,action=b"), MapError::Missing("time"));
    assert_eq!(
        wrong("user=a,time=b"),
        MapError::Missing("action or activity")
    );
}

#[test]
fn words_of_an_activity_tell_the_action() {
    for (activity, action) in [
        ("VIEW_RESOURCE", Action::Read),
        ("Delete file", Action::Delete),
        ("query-list", Action::Search),
        ("ADD_USER", Action::Create),
        ("RISK_ASSESSMENT", Action::Execute),
        ("address", Action::Execute),
        ("", Action::Execute),
    ] {
        assert_eq!(action_of(activity), action, "{activity}");
    }
}

#[allow(clippy::disallowed_methods)]
fn data(name: &str) -> Option<Vec<u8>> {
    let path = std::path::Path::new(&std::env::var_os("CADUCEUS_DATA")?)
        .join("audit")
        .join(name);
    let found = std::process::Command::new("gzip")
        .arg("-dc")
        .arg(&path)
        .output()
        .ok()?;
    (found.status.success() && !found.stdout.is_empty()).then_some(found.stdout)
}

#[test]
fn others_logs_are_read_whole() {
    let Some(idash) = data("idash2018/test0.txt.gz") else {
        eprintln!("skipped: CADUCEUS_DATA names no folder with audit/idash2018");
        return;
    };
    let entries = read(&idash, &Format::idash(), testing::hospital()).unwrap();
    assert_eq!(entries.len(), 50_000);
    let reads = entries.iter().filter(|e| e.action == Action::Read).count();
    // FILE_ACCESS and VIEW_RESOURCE.
    assert_eq!(reads, 49_976 + 12);
    let Some(sepsis) = data("sepsis_event_log.csv.gz") else {
        eprintln!("skipped: no sepsis_event_log.csv.gz");
        return;
    };
    let mapping = "patient=Case ID,activity=Activity,time=Complete Timestamp,user=org:group,outcome=lifecycle:transition";
    let format = Format::csv(&sepsis, mapping.parse().unwrap());
    let entries = read(&sepsis, &format, testing::hospital()).unwrap();
    assert_eq!(entries.len(), 15_214);
    let patients: std::collections::BTreeSet<_> = entries.iter().map(|e| &e.patient).collect();
    assert_eq!(patients.len(), 1_050);
}

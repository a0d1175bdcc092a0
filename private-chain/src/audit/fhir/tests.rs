//! The output word for word, what it must never hold, and what every entry's event has.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::audit::Statement;
use crate::testing::{self, NOW};
use crate::tx::Role;
use caduceus_crypto::Hash;
use proptest::prelude::*;

fn known() -> Known {
    Known {
        chain: testing::chain(),
        organisations: [(testing::hospital(), "St Mary".to_owned())].into(),
        versions: [(Hash([6; 32]), 2)].into(),
        ..Known::default()
    }
}

fn rows() -> Vec<AuditRow> {
    let mut signed = testing::entry(NOW);
    signed.grant = Some(Hash([8; 32]));
    let statement = Statement::of(&signed).unwrap();
    signed.statement =
        Some(statement.sign(&mut testing::rng(1), &testing::chain(), &testing::author()));
    let imported = AuditEntry {
        actor: Actor::Named("8".into()),
        role: None,
        action: Action::Execute,
        subtype: "FILE_ACCESS".into(),
        reason: "".into(),
        patient: Some(Subject::Named("p-17".into())),
        resource: Some(Resource::Named("MOD_GMOD".into())),
        purpose: "".into(),
        source: "".into(),
        request: "40".into(),
        reference: "31242".into(),
        ..testing::entry(NOW)
    };
    let denied = AuditEntry {
        role: Some(Role::Registrar),
        outcome: Outcome::Denied,
        reason: "staff_role".into(),
        patient: Some(Subject::Pseudonym(testing::secret(77).public())),
        source: "/ip4/192.0.2.7/tcp/4001".into(),
        ..testing::entry(NOW)
    };
    vec![
        testing::row(7, signed),
        testing::row(8, imported),
        testing::row(9, denied),
    ]
}

#[test]
fn a_collection_word_for_word() {
    let bundle = bundle(&rows(), &known(), &BundleKind::Collection);
    insta::assert_snapshot!(serde_json::to_string_pretty(&bundle).unwrap());
}

#[test]
fn a_search_answer_says_how_many_and_where_to_go_on() {
    let kind = BundleKind::Searchset {
        total: Some(70),
        links: vec![("next".into(), "https://ehr/AuditEvent?_cursor=9".into())],
    };
    let found = bundle(&rows()[..1], &known(), &kind);
    assert_eq!(found["type"], "searchset");
    assert_eq!(found["total"], 70);
    assert_eq!(found["link"][0]["relation"], "next");
    assert_eq!(found["entry"][0]["search"]["mode"], "match");
    let none = bundle(&[], &known(), &kind);
    assert!(none.get("entry").is_none());
}

#[test]
fn the_outcome_says_what_the_code_does_not() {
    let of = |outcome, reason: &str| {
        let entry = AuditEntry {
            outcome,
            reason: reason.into(),
            ..testing::entry(NOW)
        };
        let event = audit_event(&testing::row(1, entry), &known());
        (
            event["outcome"].as_str().unwrap().to_owned(),
            event
                .get("outcomeDesc")
                .map(|d| d.as_str().unwrap().to_owned()),
        )
    };
    assert_eq!(of(Outcome::Success, ""), ("0".into(), None));
    assert_eq!(of(Outcome::Success, "x"), ("0".into(), Some("x".into())));
    assert_eq!(
        of(Outcome::Denied, "x"),
        ("4".into(), Some("denied: x".into()))
    );
    assert_eq!(
        of(Outcome::Unknown, ""),
        ("8".into(), Some("unknown".into()))
    );
}

/// Every string and array in a document of FHIR holds something.
fn nothing_is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.trim().is_empty() && !text.chars().any(char::is_control),
        Value::Array(items) => !items.is_empty() && items.iter().all(nothing_is_empty),
        Value::Object(map) => !map.is_empty() && map.values().all(nothing_is_empty),
        Value::Null => false,
        _ => true,
    }
}

proptest! {
    #[test]
    fn whatever_an_entry_says_its_event_is_whole(
        texts in prop::collection::vec("\\PC{0,12}|[\\x00-\\x20]{0,3}", 8),
        action in 0usize..6,
        outcome in 0usize..4,
        present in any::<[bool; 3]>(),
    ) {
        let text = |n: usize| texts[n].as_str().into();
        let entry = AuditEntry {
            actor: Actor::Named(text(0)),
            action: Action::ALL[action],
            outcome: Outcome::ALL[outcome],
            subtype: text(1),
            reason: text(2),
            purpose: text(3),
            source: text(4),
            request: text(5),
            reference: text(6),
            patient: present[0].then(|| Subject::Named(text(7))),
            resource: present[1].then(|| Resource::Named(text(7))),
            grant: present[2].then_some(Hash([1; 32])),
            ..testing::entry(NOW)
        };
        let event = audit_event(&testing::row(3, entry), &Known::default());
        prop_assert!(nothing_is_empty(&event), "{event:#}");
        let agents = event["agent"].as_array().unwrap();
        prop_assert_eq!(agents.iter().filter(|a| a["requestor"] == true).count(), 1);
    }
}

#![allow(clippy::unwrap_used)]

use super::text::PARSED_SCHEMA;
use super::*;
use crate::tx::Role;
use std::borrow::Cow;
use std::collections::BTreeSet;

mod depth;
mod matrix;
mod oracle;

fn nurse() -> Principal {
    Principal::active("02aa", Role::Nurse)
}

fn set(text: &str) -> PolicySet {
    check_text(text).unwrap()
}

#[test]
fn the_systems_own_texts_are_good() {
    let set = in_force_by_default();
    let always = set.ids().filter(|id| id.starts_with("always-")).count();
    assert_eq!(always, 2);
    assert!(set.ids().count() >= 18);
    assert_eq!(set.warnings(), []);
}

/// They judge transactions: a change is a change of the chain's rules.
#[test]
fn the_systems_own_texts_are_pinned() {
    for (name, text) in [
        ("schema", SCHEMA),
        ("default", DEFAULT_TEXT),
        ("always", ALWAYS_TEXT),
    ] {
        let hash = caduceus_crypto::hash(caduceus_crypto::domain::POLICY_TEXT, &[text.as_bytes()]);
        insta::assert_snapshot!(format!("policy_text_{name}"), hash.to_string());
    }
}

#[test]
fn operations_are_the_schemas_actions() {
    let schema: BTreeSet<String> = PARSED_SCHEMA
        .actions()
        .map(|uid| uid.id().unescaped().to_owned())
        .collect();
    let own: BTreeSet<String> = Operation::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(schema, own);
    for operation in Operation::ALL {
        assert_eq!(operation.as_str().parse(), Ok(*operation));
    }
}

#[test]
fn a_decision_names_what_decided() {
    let default = in_force_by_default();
    let ask = |principal, operation, resource| {
        let question = Question::new(principal, operation, resource);
        let decision = default.decide(&question);
        (decision.allowed, explain(&question, &decision))
    };
    let upload = |principal| ask(principal, Operation::Upload, Resource::new_record());
    assert_eq!(
        upload(nurse()),
        (true, "permitted by clinicians-write-own-records".to_owned())
    );
    let auditor = Principal::active("02bb", Role::Auditor);
    assert_eq!(
        upload(auditor),
        (false, "no policy permits upload to an auditor".to_owned())
    );
    let gone = Principal::Staff {
        id: "02aa".into(),
        role: "nurse".into(),
        label: "N".into(),
        suspended: true,
        valid: false,
    };
    assert_eq!(
        upload(gone),
        (
            false,
            "forbidden by always-not-valid, always-suspended".to_owned()
        )
    );
}

#[test]
fn a_decision_is_the_same_every_time() {
    let text: String = (0..40)
        .map(|n| format!("@id(\"p{n:02}\") permit (principal, action, resource);"))
        .collect();
    let question = Question::new(nurse(), Operation::Receipt, Resource::new_record());
    let first = set(&text).decide(&question);
    assert_eq!(first.determining.len(), 40);
    assert!(first.determining.is_sorted());
    for _ in 0..10 {
        assert_eq!(set(&text).decide(&question), first);
    }
}

#[test]
fn what_cannot_be_evaluated_forbids_if_it_was_meant_to() {
    let overflow = "when { 9223372036854775807 + 1 > 0 }";
    let all = "@id(\"all\") permit (principal, action, resource);";
    let question = Question::new(nurse(), Operation::Receipt, Resource::new_record());
    let failing = |effect: &str| {
        let text = format!("{all} @id(\"bad\") {effect} (principal, action, resource) {overflow};");
        set(&text).decide(&question)
    };
    let forbidden = failing("forbid");
    assert!(!forbidden.allowed);
    assert_eq!(forbidden.determining, ["bad"]);
    assert_eq!(forbidden.errors.len(), 1);
    let permitted = failing("permit");
    assert!(permitted.allowed);
    assert_eq!(permitted.determining, ["all"]);
    assert_eq!(permitted.errors.len(), 1);
}

#[test]
fn no_proposal_lifts_a_suspension() {
    let all = set("@id(\"all\") permit (principal, action, resource);");
    for (suspended, valid) in [(true, true), (false, false), (true, false), (false, true)] {
        let principal = Principal::Staff {
            id: "02aa".into(),
            role: "nurse".into(),
            label: String::new(),
            suspended,
            valid,
        };
        let question = Question::new(principal, Operation::Upload, Resource::new_record());
        assert_eq!(all.decide(&question).allowed, valid && !suspended);
    }
}

#[test]
fn what_the_schema_does_not_know_is_denied_even_if_all_is_permitted() {
    let all = set("@id(\"all\") permit (principal, action, resource);");
    let good = Question::new(nurse(), Operation::Upload, Resource::new_record());
    assert!(all.decide(&good).allowed);
    let action = Question {
        action: "uplaod".into(),
        ..good.clone()
    };
    let role = Question {
        principal: Principal::Staff {
            id: "02aa".into(),
            role: "surgeon".into(),
            label: String::new(),
            suspended: false,
            valid: true,
        },
        ..good.clone()
    };
    let elsewhere = Question {
        resource: Resource::Chain,
        ..good
    };
    for question in [action, role, elsewhere] {
        let decision = all.decide(&question);
        assert!(!decision.allowed);
        assert_eq!(decision.errors.len(), 1, "{decision:?}");
        assert!(explain(&question, &decision).starts_with("no policy permits"));
    }
}

mod unknown_words {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn are_denied(action in "[a-z-]{0,20}|.{0,12}", role in "[a-z]{0,16}|.{0,12}", id in ".{0,20}") {
            let all = set_of_all();
            let ask = |action: &str, role: &str| {
                let principal = Principal::Staff {
                    id: id.clone(),
                    role: Cow::Owned(role.to_owned()),
                    label: id.clone(),
                    suspended: false,
                    valid: true,
                };
                let question = Question {
                    principal,
                    action: Cow::Owned(action.to_owned()),
                    resource: Resource::new_record(),
                    context: Circumstances::default(),
                };
                all.decide(&question).allowed
            };
            prop_assert!(ask("upload", "nurse"));
            if action.parse::<Operation>().is_err() {
                prop_assert!(!ask(&action, "nurse"));
            }
            if role.parse::<Role>().is_err() {
                prop_assert!(!ask("upload", &role));
            }
        }
    }

    fn set_of_all() -> std::sync::Arc<PolicySet> {
        parsed("@id(\"all\") permit (principal, action, resource);").unwrap()
    }
}

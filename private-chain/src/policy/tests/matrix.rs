//! Every kind of principal, every action of the schema, every resource that it applies to.

use super::oracle;
use crate::policy::text::PARSED_SCHEMA;
use crate::policy::*;
use crate::tx::Role;

fn staff(role: Role, suspended: bool, valid: bool) -> Principal {
    Principal::Staff {
        id: "02aa".into(),
        role: role.as_str().into(),
        label: "somebody".into(),
        suspended,
        valid,
    }
}

/// Principals, each with what the circumstances say of a grant and of an emergency.
fn principals() -> Vec<(Principal, bool, bool)> {
    let id = || "02aa".to_owned();
    let mut all = Vec::new();
    for role in Role::ALL {
        all.push((staff(role, false, true), false, false));
        all.push((staff(role, false, true), false, true));
        all.push((staff(role, true, true), false, true));
        all.push((staff(role, false, false), false, true));
    }
    for grant in [false, true] {
        all.push((Principal::DataUser { id: id() }, grant, false));
        all.push((Principal::Stranger { id: id() }, grant, true));
    }
    all.push((Principal::Patient { id: id() }, false, false));
    for alliance in [false, true] {
        all.push((Principal::Node { id: id(), alliance }, false, false));
    }
    for duty in Duty::ALL {
        let duty = *duty;
        all.push((Principal::Server { id: id(), duty }, false, false));
    }
    all
}

/// Resources of a type of the schema.
fn resources(kind: &str) -> Vec<Resource> {
    let relations = || Relation::ALL.iter().copied();
    match kind {
        "Record" => relations()
            .flat_map(|relation| {
                RecordState::ALL
                    .iter()
                    .map(move |state| Resource::record("aa", *state, relation))
            })
            .collect(),
        "Card" => relations()
            .map(|relation| Resource::card("aa", relation))
            .collect(),
        "AuditLog" => relations()
            .map(|relation| Resource::AuditLog { relation })
            .collect(),
        "StaffRegister" => Role::ALL.map(Resource::staff_register).into(),
        "Policy" => vec![Resource::Policy],
        "Chain" => vec![Resource::Chain],
        other => panic!("the schema has a resource {other} that is not asked about here"),
    }
}

#[test]
fn each_decision_is_as_designed() {
    let default = in_force_by_default();
    let (mut cases, mut allowed, mut wrong) = (0, 0, Vec::new());
    for uid in PARSED_SCHEMA.actions() {
        let operation: Operation = uid.id().unescaped().parse().unwrap();
        let kinds = PARSED_SCHEMA.resources_for_action(uid).unwrap();
        for kind in kinds {
            for resource in resources(&kind.to_string()) {
                for (principal, grant, emergency) in principals() {
                    let question = Question::new(principal, operation, resource.clone()).under(
                        Circumstances {
                            purpose: "TREAT".into(),
                            emergency,
                            grant,
                        },
                    );
                    let decision = default.decide(&question);
                    let expected =
                        oracle::allows(&question.principal, operation, &resource, grant, emergency);
                    cases += 1;
                    allowed += usize::from(decision.allowed);
                    assert_eq!(decision.errors, [""; 0], "{question:?}");
                    assert_eq!(
                        decision.allowed,
                        expected && !decision.determining.is_empty()
                    );
                    if decision.allowed != expected {
                        wrong.push((question, decision));
                    }
                }
            }
        }
    }
    println!("{cases} cases, {allowed} allowed, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(
        cases >= 300 && allowed >= 100,
        "{cases} cases, {allowed} allowed"
    );
}

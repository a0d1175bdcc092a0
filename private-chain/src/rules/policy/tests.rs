#![allow(clippy::unwrap_used)]

use super::*;
use crate::audit::ActionClass;
use crate::policy::{DEFAULT_TEXT, Limits, Retention};
use crate::query;
use crate::testing::{self, Chain, anchor, author, secret, signed_anchor};
use crate::tx::{Enrol, Policy, Role, Tx};
use caduceus_ledger::{Space, StateView};

/// Only nurses write, and only physicians amend.
const OTHER: &str = r#"
@id("nurses-write")
permit (principal is Staff, action in [Action::"upload", Action::"anchor"], resource)
when { principal.role == Role::"nurse" };
@id("physicians-amend-their-own")
permit (principal is Staff, action == Action::"amend", resource)
when { principal.role == Role::"physician" && resource.relation == Relation::"own" };
@id("hospital")
permit (principal is Server, action, resource);
@id("no-more-administrators")
forbid (principal, action == Action::"staff-enrol", resource)
when { resource.role == Role::"administrator" };
"#;

fn body(text: &str, applies_at: u64) -> Policy {
    Policy {
        generation: 0,
        text: text.to_owned(),
        limits: Limits::default(),
        retention: Retention::default(),
        applies_at: Height(applies_at),
    }
}

fn signed(body: Policy) -> Tx {
    Tx::Policy(body.sign(&testing::chain(), &testing::identity()))
}

fn proposal(generation: u64, text: &str, applies_at: u64) -> Tx {
    signed(Policy {
        generation,
        ..body(text, applies_at)
    })
}

fn by(seed: u8, staff: u8) -> Tx {
    let anchor = signed_anchor(
        testing::anchor_body(seed),
        &secret(staff),
        &testing::server(),
    );
    Tx::anchor(anchor, [4; 16])
}

#[test]
fn a_policy_judges_from_its_height_on() {
    let mut chain = Chain::new();
    chain.enrol(&author(), Role::Physician);
    chain.enrol(&secret(20), Role::Nurse);
    chain.accept(&Tx::anchor(anchor(1), [4; 16]));
    assert!(chain.accept(&proposal(0, OTHER, 3)).is_empty());
    // Height 1, then 2: the default goes on.
    chain.accept(&Tx::anchor(anchor(2), [4; 16]));
    chain.finish_block();
    assert_eq!(chain.height, Height(2));
    chain.accept(&Tx::anchor(anchor(3), [4; 16]));
    chain.finish_block();
    // Height 3.
    chain.refuse(&Tx::anchor(anchor(4), [4; 16]), "anchor_author_role");
    chain.accept(&by(4, 20));
    let old = testing::anchor_body(1).record_hash;
    chain.accept(&Tx::amend(anchor(5), [4; 16], old));
    // Not his own.
    let hers = testing::anchor_body(4).record_hash;
    chain.refuse(&Tx::amend(anchor(6), [4; 16], hers), "anchor_author_role");
    let record = query::policy(&chain).unwrap();
    assert_eq!(record.generation, 1);
    assert_eq!(record.at(Height(2)), None);
    assert_eq!(record.at(Height(3)).unwrap().text, OTHER);
}

#[test]
fn enrolments_are_judged() {
    let mut chain = Chain::new();
    chain.accept(&proposal(0, OTHER, 2));
    let enrol = |role| {
        let body = Enrol {
            staff: secret(30).public(),
            role,
            label: "x".into(),
            not_before: testing::NOW,
            not_after: testing::later(1_000_000),
        };
        Tx::Enrol(body.sign(&testing::chain(), &testing::identity()))
    };
    chain.finish_block();
    chain.refuse(&enrol(Role::Administrator), "enrol_policy");
    chain.accept(&enrol(Role::Nurse));
}

#[test]
fn proposals_follow_one_another() {
    let mut chain = Chain::new();
    chain.accept(&proposal(0, OTHER, 2));
    chain.refuse(&proposal(0, DEFAULT_TEXT, 9), "policy_generation");
    // What has not begun is given up.
    chain.accept(&proposal(1, DEFAULT_TEXT, 3));
    let record = query::policy(&chain).unwrap();
    assert_eq!(record.current, None);
    assert_eq!(record.at(Height(2)), None);
    chain.finish_block();
    chain.finish_block();
    // What has begun stays until the next begins.
    chain.accept(&proposal(2, OTHER, 7));
    let record = query::policy(&chain).unwrap();
    let texts = [3, 6, 7].map(|height| record.at(Height(height)).unwrap().generation);
    assert_eq!(texts, [1, 1, 2]);
    assert_eq!(record.generation, 3);
}

#[test]
fn limits_and_retention_are_in_force_with_their_policy() {
    let mut chain = Chain::new();
    let limits = Limits {
        per_action: [("upload".to_owned(), 5)].into(),
        per_slot: Some(100),
        slot_millis: Some(60_000),
    };
    let retention = Retention {
        months: [(ActionClass::AuditRead, 24)].into(),
    };
    chain.accept(&signed(Policy {
        limits: limits.clone(),
        retention: retention.clone(),
        ..body(DEFAULT_TEXT, 2)
    }));
    let record = query::policy(&chain).unwrap();
    assert_eq!(record.limits_at(Height(1)), Limits::default());
    assert_eq!(record.retention_at(Height(1)), Retention::default());
    assert_eq!(record.limits_at(Height(2)), limits);
    assert_eq!(record.retention_at(Height(2)), retention);
}

#[test]
fn each_rule_refuses() {
    let good = || body(OTHER, 2);
    let text = |text: &str| Policy {
        text: text.to_owned(),
        ..good()
    };
    let at = |applies_at| body(OTHER, applies_at);
    let by_server = Tx::Policy(good().sign(&testing::chain(), &testing::server()));
    let elsewhere = Tx::Policy(good().sign(&testing::other_chain(), &testing::identity()));
    let slot = Policy {
        limits: Limits {
            slot_millis: Some(0),
            ..Limits::default()
        },
        ..good()
    };
    let months = Policy {
        retention: Retention {
            months: [(ActionClass::AuditRead, 0)].into(),
        },
        ..good()
    };
    let misspelt = OTHER.replace("Role::\"nurse\"", "Role::\"nures\"");
    let unguarded = "@id(\"x\") permit (principal, action, resource) when { principal.suspended };";
    let late = 1 + MAX_POLICY_LEAD;
    let locking = format!("{OTHER}@id(\"nothing\") forbid (principal, action, resource);");
    let cases = [
        (
            signed(Policy {
                generation: 1,
                ..good()
            }),
            "policy_generation",
        ),
        (signed(text(&" ".repeat(MAX_TEXT_BYTES + 1))), "policy_size"),
        (signed(slot), "policy_params"),
        (signed(months), "policy_params"),
        (signed(at(0)), "policy_too_early"),
        (signed(at(1)), "policy_too_early"),
        (signed(at(late + 1)), "policy_too_late"),
        (by_server, "policy_not_signed"),
        (elsewhere, "policy_not_signed"),
        (signed(text("permit (principal")), "policy_parse"),
        (
            signed(text("permit (principal, action, resource);")),
            "policy_parse",
        ),
        (
            signed(text(&OTHER.replace("\"hospital\"", "\"nurses-write\""))),
            "policy_parse",
        ),
        (
            signed(text(&OTHER.replace("\"hospital\"", "\"always-x\""))),
            "policy_parse",
        ),
        (
            signed(text(&format!("{}1{}", "(".repeat(40), ")".repeat(40)))),
            "policy_parse",
        ),
        (signed(text(&misspelt)), "policy_schema"),
        (signed(text(unguarded)), "policy_schema"),
        (signed(text("")), "policy_locks_out"),
        (signed(text(&locking)), "policy_locks_out"),
    ];
    for (tx, rule) in &cases {
        let mut chain = Chain::new();
        chain.refuse(tx, rule);
        assert_eq!(query::policy(&chain).unwrap(), Default::default(), "{rule}");
    }
    Chain::new().accept(&signed(at(late)));
    println!("{} refusals", cases.len());
}

#[test]
fn a_refusal_names_the_line() {
    let misspelt = OTHER.replace("Role::\"physician\"", "Role::\"phys\"");
    let error = parsed(&misspelt).unwrap_err();
    let lines: Vec<Option<u32>> = error.problems().iter().map(|p| p.line).collect();
    assert_eq!(lines, [Some(7)], "{error}");
    let error =
        parsed(&OTHER.replace("permit (principal is Server,", "permit (principal is")).unwrap_err();
    assert_eq!(error.problems()[0].line, Some(9), "{error}");
}

/// All that a chain holds after the same transactions.
fn executed() -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut chain = Chain::new();
    chain.enrol(&author(), Role::Physician);
    chain.enrol(&secret(20), Role::Nurse);
    chain.accept(&Tx::anchor(anchor(1), [4; 16]));
    chain.accept(&proposal(0, OTHER, 2));
    chain.finish_block();
    chain.refuse(&Tx::anchor(anchor(2), [4; 16]), "anchor_author_role");
    chain.accept(&by(2, 20));
    chain.accept(&proposal(1, DEFAULT_TEXT, 3));
    chain.finish_block();
    chain.accept(&Tx::anchor(anchor(3), [4; 16]));
    let rows = |space| chain.scan(space, b"", 10_000).unwrap();
    [rows(Space::Auth), rows(Space::Bulk), rows(Space::Index)].concat()
}

#[test]
fn executing_again_gives_the_same_state() {
    let first = executed();
    assert!(first.len() > 20, "{} rows", first.len());
    // Another thread, with a quarter of the usual stack.
    let again = std::thread::Builder::new()
        .stack_size(512 * 1024)
        .spawn(executed)
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(first, again);
}

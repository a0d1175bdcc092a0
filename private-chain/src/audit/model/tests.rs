#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::{self, NOW, later};
use caduceus_crypto::Hash;
use proptest::prelude::*;

const HOUR: u64 = 3_600_000;

fn row(sequence: u64, user: &str, subtype: &str, millis: u64) -> AuditRow {
    let entry = AuditEntry {
        actor: Actor::Named(user.into()),
        subtype: subtype.into(),
        request: format!("r{sequence}").as_str().into(),
        ..testing::entry(later(millis))
    };
    testing::row(sequence, entry)
}

/// From the beginning of the hour of the tests' time.
fn range(hours: u64) -> Range {
    let from = NOW.0 / HOUR * HOUR;
    Range::new(TimeMillis(from), TimeMillis(from + hours * HOUR), HOUR).unwrap()
}

fn of(rows: &[AuditRow], bounds: &Bounds) -> Model {
    model(rows, &range(3), bounds, &Performed::default(), NOW)
}

#[test]
fn the_objective_counts_each_user_action_and_slot_once() {
    let rows = [
        row(0, "u1", "open", 0),
        row(1, "u1", "open", 1),
        row(2, "u1", "open", HOUR),
        row(3, "u1", "list", 0),
        row(4, "u2", "open", 0),
        // Of another time.
        row(5, "u3", "open", 30 * HOUR),
    ];
    let model = of(&rows, &Bounds::default());
    assert_eq!((model.users, model.actions, model.slots), (2, 2, 3));
    assert_eq!((model.entries, model.objective), (5, 4));
    assert_eq!(model.most_in_slot, 4);
    let open = &model.load[1];
    assert_eq!(
        (&*open.action, open.entries, open.users),
        ("read/open", 4, 2)
    );
    assert_eq!((open.most, &*open.slot), (3, "2024-05-06T12:00:00.000Z"));
    assert!(model.violations.is_empty());
    let none = of(&[], &Bounds::default());
    assert_eq!((none.entries, none.objective, none.slots), (0, 0, 3));
}

#[test]
fn d_and_r_are_judged_by_slot() {
    let rows: Vec<AuditRow> = (0..6)
        .map(|n| row(n, "u", if n < 4 { "open" } else { "list" }, n % 2 * HOUR))
        .collect();
    let bounds = Bounds {
        per_action: [("open".to_owned(), 1), ("read".to_owned(), 1)].into(),
        per_slot: Some(2),
        ..Bounds::default()
    };
    // Two of "open" and one of "list" in each of two slots: D of "open" and R are exceeded in both.
    let found = of(&rows, &bounds).violations;
    let slots = |want: fn(&Violation) -> bool| found.iter().filter(|v| want(v)).count();
    assert_eq!(
        slots(
            |v| matches!(v, Violation::Action { action, found: 2, bound: 1, .. } if action == "read/open")
        ),
        2
    );
    assert_eq!(
        slots(|v| matches!(
            v,
            Violation::Slot {
                found: 3,
                bound: 2,
                ..
            }
        )),
        2
    );
    assert_eq!(found.len(), 4);
    let wide = Bounds {
        per_action: [("open".to_owned(), 2)].into(),
        per_slot: Some(3),
        ..Bounds::default()
    };
    assert!(of(&rows, &wide).violations.is_empty());
}

#[test]
fn a_period_of_retention_is_over_when_its_months_are() {
    // Kept for 3 months after January: until the end of April.
    for (now, over) in [(0, false), (1, false), (3, false), (4, true)] {
        assert_eq!(is_over(100, 3, 100 + now), over, "{now}");
    }
    // No bucket can be retired before the month after it is over.
    assert!(!is_over(100, 0, 101) && is_over(100, 0, 102));
    let bounds = Bounds {
        retention: [(ActionClass::ClinicalRead, 1)].into(),
        ..Bounds::default()
    };
    let rows = [row(0, "u", "open", 0)];
    assert!(of(&rows, &bounds).violations.is_empty());
    let months_later = TimeMillis(NOW.0 + 100 * 86_400_000);
    let model = model(
        &rows,
        &range(3),
        &bounds,
        &Performed::default(),
        months_later,
    );
    assert_eq!(
        model.violations,
        [Violation::Retention {
            class: "clinical-read".into(),
            month: "2024-05".into(),
            found: 1,
            bound: 1,
        }]
    );
}

fn written(record: u8, outcome: Outcome, request: &str) -> AuditRow {
    let entry = AuditEntry {
        action: Action::Create,
        subtype: "upload".into(),
        outcome,
        resource: Some(Hash([record; 32]).into()),
        request: request.into(),
        ..testing::entry(NOW)
    };
    testing::row(u64::from(record), entry)
}

#[test]
fn what_was_performed_has_its_entry() {
    let rows = [
        written(1, Outcome::Success, "a"),
        written(2, Outcome::Unknown, "b"),
        written(3, Outcome::Denied, "c"),
    ];
    let anchor = |record| Anchored {
        record: Hash([record; 32]),
        time: NOW,
    };
    let access = |request: &str, record: Option<u8>| Access {
        time: NOW,
        request: request.to_owned(),
        kind: AccessKind::Put,
        record: record.map(|record| Hash([record; 32])),
    };
    let performed = Performed {
        anchors: Some((1..=4).map(anchor).collect()),
        vault: Some(vec![
            access("a", Some(1)),
            access("b", None),
            access("a", Some(2)),
            access("c", Some(3)),
            access("d", Some(1)),
            access("", None),
        ]),
    };
    let found = model(&rows, &range(3), &Bounds::default(), &performed, NOW);
    assert_eq!((found.anchors, found.vault_accesses), (Some(4), Some(6)));
    let missing: Vec<String> = found
        .violations
        .iter()
        .map(|violation| match violation {
            Violation::Anchor { record, .. } => format!("anchor {}", &record[..2]),
            Violation::Vault { request, .. } => format!("vault {request}"),
            other => panic!("{other:?}"),
        })
        .collect();
    // Of a denied upload there must be no anchor, and of no request may there be an access.
    let expected = [
        "anchor 03",
        "anchor 04",
        "vault a",
        "vault c",
        "vault d",
        "vault ",
    ];
    assert_eq!(missing, expected);
}

#[test]
fn the_vaults_log_is_read_line_by_line() {
    let hash = Hash([7; 32]);
    let text = format!(
        "{{\"time\":5,\"request\":\"a\",\"kind\":\"get\",\"record\":\"{hash}\"}}\n\n{{\"time\":\"1970-01-01T00:00:00.006Z\",\"request\":\"b\",\"kind\":\"range\",\"record\":null}}\n"
    );
    let found = parse_vault_log(&text).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(
        (found[0].record, found[0].kind),
        (Some(hash), AccessKind::Get)
    );
    assert_eq!((found[1].record, found[1].time), (None, TimeMillis(6)));
    let wrong = parse_vault_log("{\"time\":5,\"request\":\"a\",\"kind\":\"get\"}\n{\"time\":5}");
    assert_eq!(wrong.unwrap_err().line, 2);
}

#[test]
fn a_range_has_an_instant_and_its_slots_a_length() {
    assert_eq!(Range::new(NOW, NOW, HOUR), Err(BadRange));
    assert_eq!(Range::new(NOW, later(1), 0), Err(BadRange));
    assert_eq!(Range::new(NOW, later(1), HOUR).unwrap().slots(), 1);
    // Slots are those of the clock: a range across an edge touches two.
    let edge = (NOW.0 / HOUR + 1) * HOUR;
    let across = Range::new(TimeMillis(edge - 1), TimeMillis(edge + 1), HOUR).unwrap();
    assert_eq!(across.slots(), 2);
}

proptest! {
    /// The same sums by the definition: nested loops over U, A and T.
    #[test]
    fn the_model_is_the_papers_sums(
        entries in prop::collection::vec((0u64..3, 0u64..3, 0u64..5 * HOUR), 0..40),
        bound in 1u64..6,
    ) {
        let rows: Vec<AuditRow> = (0..)
            .zip(&entries)
            .map(|(n, (user, action, at))| row(n, &format!("u{user}"), &format!("a{action}"), *at))
            .collect();
        let range = range(3);
        let bounds = Bounds {
            per_action: (0..3).map(|a| (format!("a{a}"), bound)).collect(),
            per_slot: Some(2 * bound),
            ..Bounds::default()
        };
        let found = model(&rows, &range, &bounds, &Performed::default(), NOW);
        let (mut objective, mut violations) = (0, 0);
        let first = range.from.0 / HOUR;
        for slot in first..first + 3 {
            let of_slot = |n: &usize| rows[*n].entry.time.0 / HOUR == slot;
            let all: Vec<usize> = (0..rows.len()).filter(of_slot).collect();
            violations += usize::from(all.len() as u64 > 2 * bound);
            for action in 0..3 {
                let done: Vec<usize> = all.iter().copied().filter(|n| entries[*n].1 == action).collect();
                violations += usize::from(done.len() as u64 > bound);
                for user in 0..3 {
                    objective += u64::from(done.iter().any(|n| entries[*n].0 == user));
                }
            }
        }
        prop_assert_eq!(found.objective, objective);
        prop_assert_eq!(found.violations.len(), violations);
    }
}

#![allow(clippy::unwrap_used)]

use super::*;
use crate::audit::parse_time;
use crate::state::StaffRecord;
use crate::testing::{self, NOW, later};
use crate::tx::Role;
use caduceus_crypto::Hash;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn row(sequence: u64, entry: AuditEntry) -> AuditRow {
    testing::row(sequence, entry)
}

fn at(millis: u64) -> AuditEntry {
    testing::entry(later(millis))
}

fn of_class(class: ActionClass, row: AuditRow) -> AuditRow {
    AuditRow { class, ..row }
}

fn numbers(rows: &[AuditRow]) -> Vec<u64> {
    rows.iter().map(|row| row.sequence).collect()
}

#[test]
fn a_patients_disclosures_are_what_was_given_out() {
    let (card, pseudonym) = (
        Subject::Card(Hash([5; 32])),
        Subject::Pseudonym(testing::secret(77).public()),
    );
    let of = |patient: &Subject| AuditEntry {
        patient: Some(patient.clone()),
        ..at(0)
    };
    let rows = [
        row(0, of(&card)),
        row(1, of(&pseudonym)),
        row(2, of(&Subject::Card(Hash([9; 32])))),
        row(
            3,
            AuditEntry {
                outcome: Outcome::Denied,
                ..of(&card)
            },
        ),
        row(
            4,
            AuditEntry {
                action: Action::Create,
                ..of(&card)
            },
        ),
        row(
            5,
            AuditEntry {
                outcome: Outcome::Unknown,
                ..of(&card)
            },
        ),
        of_class(ActionClass::AuditRead, row(6, of(&card))),
        of_class(
            ActionClass::Emergency,
            row(
                7,
                AuditEntry {
                    action: Action::Execute,
                    ..of(&card)
                },
            ),
        ),
        row(
            8,
            AuditEntry {
                patient: None,
                ..at(0)
            },
        ),
    ];
    assert_eq!(
        numbers(&disclosures(&rows, &[card, pseudonym])),
        [0, 1, 5, 7]
    );
    assert_eq!(numbers(&denied(&rows)), [3]);
    assert_eq!(numbers(&emergency(&rows)), [7]);
    assert!(disclosures(&rows, &[]).is_empty());
}

#[test]
fn one_users_actions_are_hers_alone() {
    let other = AuditEntry {
        actor: Actor::Named("8".into()),
        ..at(0)
    };
    let rows = [row(0, at(0)), row(1, other)];
    assert_eq!(
        numbers(&actions(&rows, &testing::author().public().into())),
        [0]
    );
    assert_eq!(numbers(&actions(&rows, &Actor::Named("8".into()))), [1]);
}

#[test]
fn hours_are_local_and_may_pass_midnight() {
    let time = |text: &str| parse_time(text).unwrap();
    let day = Hours {
        opens: 7 * 60,
        closes: 19 * 60,
        offset_minutes: 120,
        weekends_off: true,
    };
    // 2024-05-06 was a Monday.
    for (text, inside) in [
        ("2024-05-06T04:59:59Z", false),
        ("2024-05-06T05:00:00Z", true),
        ("2024-05-06T16:59:59Z", true),
        ("2024-05-06T17:00:00Z", false),
        ("2024-05-05T12:00:00Z", false),
        ("2024-05-04T12:00:00Z", false),
        ("2024-05-03T12:00:00Z", true),
    ] {
        assert_eq!(day.hold(time(text)), inside, "{text}");
    }
    let night = Hours {
        opens: 22 * 60,
        closes: 6 * 60,
        offset_minutes: 0,
        weekends_off: true,
    };
    for (text, inside) in [
        ("2024-05-06T22:00:00Z", true),
        ("2024-05-07T05:59:00Z", true),
        ("2024-05-07T06:00:00Z", false),
        // Friday's night ends on Saturday; Sunday's on Monday.
        ("2024-05-11T05:00:00Z", true),
        ("2024-05-13T05:00:00Z", false),
    ] {
        assert_eq!(night.hold(time(text)), inside, "{text}");
    }
    let west = Hours {
        offset_minutes: -600,
        ..day
    };
    // 14:00 of the day before.
    assert!(west.hold(TimeMillis(0)));
}

#[test]
fn programs_have_no_hours() {
    let hours = Hours {
        opens: 0,
        closes: 1,
        offset_minutes: 0,
        weekends_off: false,
    };
    let by = |actor: Actor, role| AuditEntry {
        actor,
        role,
        ..at(0)
    };
    let rows = [
        row(0, by(testing::author().public().into(), Some(Role::Nurse))),
        row(1, by(testing::server().public().into(), None)),
        row(2, by(Actor::Named("8".into()), None)),
    ];
    assert_eq!(
        numbers(&after_hours(&rows, &hours, &Known::default())),
        [0, 2]
    );
}

#[test]
fn suspended_staff_is_named_from_the_suspension_on() {
    let staff = StaffRecord {
        role: Role::Nurse,
        label: "nurse".into(),
        not_before: NOW,
        not_after: later(1_000),
        enrolled_at: NOW,
        suspended_at: Some(later(10)),
    };
    let known = Known {
        staff: [(testing::author().public(), staff)].into(),
        ..Known::default()
    };
    let other = AuditEntry {
        actor: testing::server().public().into(),
        ..at(20)
    };
    let rows = [row(0, at(9)), row(1, at(10)), row(2, other), row(3, at(30))];
    assert_eq!(numbers(&suspended(&rows, &known)), [1, 3]);
    assert!(suspended(&rows, &Known::default()).is_empty());
}

fn reads(actor: &str, patient: u8, millis: u64) -> AuditEntry {
    AuditEntry {
        actor: Actor::Named(actor.into()),
        patient: Some(Subject::Card(Hash([patient; 32]))),
        resource: None,
        ..at(millis)
    }
}

#[test]
fn bulk_access_is_a_stretch_of_windows_with_too_many_patients() {
    let wanted = Bulk {
        more_than: 2,
        window_millis: 100,
    };
    let rows: Vec<AuditRow> = [
        // Three patients in 100 ms, and a fourth that still belongs to it.
        reads("a", 1, 0),
        reads("a", 2, 10),
        reads("a", 3, 99),
        reads("a", 4, 105),
        // The same patient ever again is no bulk, nor are three over a longer time.
        reads("b", 1, 0),
        reads("b", 1, 1),
        reads("b", 2, 50),
        reads("b", 3, 101),
        // A second stretch.
        reads("a", 1, 1_000),
        reads("a", 2, 1_001),
        reads("a", 3, 1_002),
    ]
    .into_iter()
    .enumerate()
    .map(|(n, entry)| row(n as u64, entry))
    .collect();
    let found = bulk(&rows, &wanted, &Known::default());
    let told: Vec<(u64, u64, usize, usize)> = found
        .iter()
        .map(|b| (b.first, b.last, b.patients, b.entries))
        .collect();
    assert_eq!(told, [(0, 3, 3, 4), (8, 10, 3, 3)]);
    assert_eq!(found[0].label.as_deref(), Some("a"));
    let refused: Vec<AuditRow> = rows
        .iter()
        .map(|r| {
            row(
                r.sequence,
                AuditEntry {
                    outcome: Outcome::Denied,
                    ..(*r.entry).clone()
                },
            )
        })
        .collect();
    assert!(bulk(&refused, &wanted, &Known::default()).is_empty());
}

proptest! {
    /// Whoever is named had such a window, and whoever had one is named.
    #[test]
    fn bulk_is_found_where_a_window_holds_too_many(
        entries in prop::collection::vec((0u8..2, 0u8..6, 0u64..300), 0..40),
        more_than in 1usize..4,
        window in 1u64..150,
    ) {
        let rows: Vec<AuditRow> = (0..)
            .zip(&entries)
            .map(|(n, (actor, patient, at))| row(n, reads(&actor.to_string(), *patient, *at)))
            .collect();
        let wanted = Bulk { more_than, window_millis: window };
        let named: BTreeSet<String> = bulk(&rows, &wanted, &Known::default())
            .into_iter()
            .map(|found| found.actor)
            .collect();
        let mut expected = BTreeSet::new();
        for (actor, _, from) in &entries {
            let patients: BTreeSet<u8> = entries
                .iter()
                .filter(|(a, _, at)| a == actor && (*from..from + window).contains(at))
                .map(|(_, patient, _)| *patient)
                .collect();
            if patients.len() > more_than {
                expected.insert(actor.to_string());
            }
        }
        prop_assert_eq!(named, expected);
    }
}

#![allow(clippy::unwrap_used)]

use super::*;
use crate::server::audit_log::testing::entry;
use private_chain::audit::SignedStatement;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn pace(limits: Limits, now: u64) -> (Pace, Arc<AtomicU64>) {
    let time = Arc::new(AtomicU64::new(now));
    let clock = Arc::clone(&time);
    let clock: Clock = Arc::new(move || TimeMillis(clock.load(Ordering::SeqCst)));
    (
        Pace::new(watch::channel(Some(limits)).1, clock, Vec::new()),
        time,
    )
}

fn at(time: u64, subtype: &str) -> AuditEntry {
    AuditEntry {
        time: TimeMillis(time),
        subtype: subtype.into(),
        ..entry(0)
    }
}

const HOUR: u64 = 3_600_000;

#[tokio::test]
async fn at_a_bound_the_caller_hears_when_the_slot_ends() {
    let limits = Limits {
        per_action: BTreeMap::from([("look".to_owned(), 3), ("rare".to_owned(), 1)]),
        per_slot: Some(5),
        slot_millis: None,
    };
    let (pace, _) = pace(limits, 10 * HOUR + 600_000);
    let admit = async |subtype: &str| {
        let mut entry = at(10 * HOUR + 600_000, subtype);
        pace.admit(&mut entry, Duration::from_secs(5)).await
    };
    for _ in 0..3 {
        admit("look").await.unwrap();
    }
    let Err(LogError::Later { after_millis, .. }) = admit("look").await else {
        panic!("D is reached");
    };
    assert_eq!(u64::from(after_millis), HOUR - 600_000);
    // Another action has its own bound, until R is reached.
    admit("other").await.unwrap();
    admit("rare").await.unwrap();
    assert!(admit("other").await.is_err());
    // What is taken back makes room; what is denied or has failed needs none, and counts.
    let mut denied = at(10 * HOUR, "look");
    denied.outcome = Outcome::Denied;
    let counted = pace.admit(&mut denied, Duration::ZERO).await.unwrap();
    pace.undo(&counted);
    assert!(admit("other").await.is_err());
    let mut next = at(11 * HOUR, "rare");
    pace.admit(&mut next, Duration::ZERO).await.unwrap();
    assert!(pace.admit(&mut next, Duration::ZERO).await.is_err());
}

#[tokio::test]
async fn a_short_slot_delays_into_the_next_and_a_signed_time_is_not_moved() {
    let limits = Limits {
        slot_millis: Some(300),
        per_action: BTreeMap::from([("look".to_owned(), 3)]),
        ..Limits::default()
    };
    let clock = crate::clock::system_clock();
    let pace = Pace::new(watch::channel(Some(limits)).1, clock.clone(), Vec::new());
    let mut slots: BTreeMap<u64, u64> = BTreeMap::new();
    for _ in 0..10 {
        let mut entry = at(clock().0, "look");
        let counted = pace
            .admit(&mut entry, Duration::from_secs(5))
            .await
            .unwrap();
        assert_eq!(counted.slots[0].start, entry.time.0 / 300 * 300);
        *slots.entry(counted.slots[0].start).or_default() += 1;
    }
    assert_eq!(slots.values().sum::<u64>(), 10);
    assert!(slots.len() >= 4 && slots.values().all(|count| *count <= 3));
    // Fill the present slot, then come with a statement of that time.
    let time = clock().0;
    let signed = || AuditEntry {
        statement: Some(SignedStatement {
            salt: [1; 16],
            signature: caduceus_crypto::Signature([2; 64]),
        }),
        ..at(time, "look")
    };
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        outcomes.push(
            pace.admit(&mut signed(), Duration::from_secs(5))
                .await
                .is_ok(),
        );
    }
    assert_eq!(outcomes.last(), Some(&false));
}

fn of_length(slot_millis: Option<u64>) -> Limits {
    Limits {
        per_action: BTreeMap::from([("read".to_owned(), 4)]),
        slot_millis,
        ..Limits::default()
    }
}

fn at_ten() -> Clock {
    Arc::new(|| TimeMillis(10 * HOUR))
}

#[test]
fn counts_survive_a_restart_and_a_change_of_the_slot() {
    let (_sender, receiver) = watch::channel(None);
    let slot = Slot {
        start: 10 * HOUR,
        length: HOUR,
    };
    let before = vec![(slot, "read/look".to_owned(), 3)];
    let pace = Pace::new(receiver, at_ten(), before);
    let count = |minute: u64, limits: &Limits| {
        let entry = at(10 * HOUR + minute * 60_000, "look");
        pace.count(&entry, "read/look", true, limits).is_ok()
    };
    let hours = of_length(None);
    assert!(count(1, &hours) && !count(2, &hours));
    // Slots of ten minutes: this hour's four count in each that overlaps it.
    let minutes = of_length(Some(600_000));
    assert!(!count(15, &minutes) && !count(59, &minutes));
    assert!(count(60, &minutes));
}

#[test]
fn a_length_that_comes_back_has_counted_what_came_meanwhile() {
    let (_sender, receiver) = watch::channel(None);
    let pace = Pace::new(receiver, at_ten(), Vec::new());
    let count = |minute: u64, limits: &Limits| {
        let entry = at(10 * HOUR + minute * 60_000, "look");
        pace.count(&entry, "read/look", true, limits)
    };
    let (hours, minutes) = (of_length(None), of_length(Some(600_000)));
    assert_eq!(count(0, &hours).unwrap().len(), 1);
    // Slots of ten minutes take three more each, as the hour's one counts in each.
    let counted = count(15, &minutes).unwrap();
    assert_eq!(counted.len(), 2, "it counts for the hour too");
    for minute in [16, 25] {
        count(minute, &minutes).unwrap();
    }
    assert!(count(30, &hours).is_err(), "four are in this hour");
    pace.undo(&Counted {
        slots: counted,
        action: "read/look".to_owned(),
    });
    count(31, &hours).unwrap();
}

#[tokio::test]
async fn nothing_is_counted_before_the_length_of_slots_is_known() {
    let (sender, receiver) = watch::channel(None);
    let slot = |start: u64| Slot {
        start,
        length: 600_000,
    };
    // The last run counted in slots of ten minutes.
    let before = vec![
        (slot(10 * HOUR), "read/look".to_owned(), 3),
        (slot(10 * HOUR + 600_000), "read/look".to_owned(), 3),
    ];
    let pace = Pace::new(receiver, at_ten(), before);
    let mut left_open = at(10 * HOUR + 700_000, "look");
    left_open.outcome = Outcome::Unknown;
    let early = pace.admit(&mut left_open, Duration::ZERO).await;
    assert!(matches!(early, Err(LogError::Later { .. })));
    sender.send_replace(Some(of_length(Some(600_000))));
    let counted = pace.admit(&mut left_open, Duration::ZERO).await.unwrap();
    assert_eq!(counted.slots, [slot(10 * HOUR + 600_000)]);
    // The next slot begins with nothing.
    for _ in 0..4 {
        let mut next = at(10 * HOUR + 1_200_000, "look");
        pace.admit(&mut next, Duration::ZERO).await.unwrap();
    }
}

//! The model's D and R (DESIGN 5.3): how many entries a slot of time may have, of one action and in all.
//!
//! They are the chain's policy ([`Limits`]). D counts the entries of one action name, like `read/fetch-record`; an entry
//! belongs to the slot of its own time. At a bound the action is delayed into the next slot, and refused
//! with "retry after" where that is too far; an entry is never dropped. What only says how something ended, or that
//! it was denied, is counted and never delayed. What a person signed has her time in it, so she is told when to sign
//! again.

use super::LogError;
use crate::clock::Clock;
use caduceus_crypto::TimeMillis;
use private_chain::policy::Limits;
use private_chain::{AuditEntry, Outcome};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Slots whose counts are kept besides the present one: signed times may be minutes off.
const KEPT_SLOTS: u64 = 2;

/// Counts are kept for at least so long, milliseconds.
const KEPT_MILLIS: u64 = 15 * 60 * 1000;

/// When to ask again while the bounds are not known, milliseconds.
const UNKNOWN_MILLIS: u32 = 1_000;

/// A slot of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Slot {
    /// When it begins, Unix milliseconds.
    pub(crate) start: u64,
    /// How long it is, milliseconds.
    pub(crate) length: u64,
}

impl Slot {
    fn of(limits: &Limits, time: TimeMillis) -> Self {
        let length = limits.slot_millis().max(1);
        Self {
            start: time.0 / length * length,
            length,
        }
    }

    fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }

    fn holds(&self, time: TimeMillis) -> bool {
        self.start <= time.0 && time.0 < self.end()
    }

    fn overlaps(&self, other: &Slot) -> bool {
        self.start < other.end() && other.start < self.end()
    }
}

/// Entries of a slot, by action.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Count {
    total: u64,
    by_action: HashMap<String, u64>,
}

impl Count {
    fn add(&mut self, action: &str, number: u64) {
        self.total = self.total.saturating_add(number);
        match self.by_action.get_mut(action) {
            Some(count) => *count = count.saturating_add(number),
            None => {
                self.by_action.insert(action.to_owned(), number);
            }
        }
    }

    fn remove(&mut self, action: &str) {
        self.total = self.total.saturating_sub(1);
        if let Some(count) = self.by_action.get_mut(action) {
            *count = count.saturating_sub(1);
        }
    }

    fn of(&self, action: &str) -> u64 {
        self.by_action.get(action).copied().unwrap_or(0)
    }
}

/// Counts entries and holds actions back.
pub(super) struct Pace {
    limits: watch::Receiver<Option<Limits>>,
    counts: Mutex<BTreeMap<Slot, Count>>,
    clock: Clock,
}

/// An entry that was counted.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    /// The slots that it counts for: of the present length, and of those before.
    pub(super) slots: Vec<Slot>,
    /// Its action.
    pub(super) action: String,
}

/// Entries of one action in one slot, as a restart finds them.
pub(crate) type Remembered = (Slot, String, u64);

impl Pace {
    /// Goes on from what was counted before.
    pub(super) fn new(
        limits: watch::Receiver<Option<Limits>>,
        clock: Clock,
        before: Vec<Remembered>,
    ) -> Self {
        let mut counts: BTreeMap<Slot, Count> = BTreeMap::new();
        for (slot, action, number) in before {
            counts.entry(slot).or_default().add(&action, number);
        }
        Self {
            limits,
            counts: Mutex::new(counts),
            clock,
        }
    }

    /// Counts an entry, in a later slot if its own is full; its time is then that of the later slot.
    ///
    /// # Errors
    /// [`LogError::Later`] when it would have to wait for longer than `patience`; nothing is counted then.
    pub(super) async fn admit(
        &self,
        entry: &mut AuditEntry,
        patience: Duration,
    ) -> Result<Counted, LogError> {
        let action = entry.action_name();
        let bounded = matches!(entry.outcome, Outcome::Success);
        let begun = Instant::now();
        loop {
            // An entry that is counted before the length of slots is known would count in wrong ones.
            let left = patience.saturating_sub(begun.elapsed());
            let known = self.known(left).await?;
            let full = match self.count(entry, &action, bounded, &known) {
                Ok(slots) => return Ok(Counted { slots, action }),
                Err(slot) => slot,
            };
            let now = (self.clock)();
            let wait = Duration::from_millis(full.end().saturating_sub(now.0));
            if entry.statement.is_some() || wait > patience.saturating_sub(begun.elapsed()) {
                let after_millis = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
                return Err(LogError::Later {
                    after_millis,
                    detail: format!("this slot has all the entries of {action} that policy allows"),
                });
            }
            tokio::time::sleep(wait.max(Duration::from_millis(1))).await;
            entry.time = (self.clock)();
        }
    }

    /// The bounds, once the chain has told them.
    async fn known(&self, patience: Duration) -> Result<Limits, LogError> {
        let mut limits = self.limits.clone();
        let known = limits.wait_for(Option::is_some);
        match tokio::time::timeout(patience, known).await {
            Ok(Ok(known)) => Ok(known.clone().unwrap_or_default()),
            Ok(Err(_)) | Err(_) => Err(LogError::Later {
                after_millis: UNKNOWN_MILLIS,
                detail: "the chain has not told the bounds of the audit log yet".to_owned(),
            }),
        }
    }

    /// Counts an entry; gives the slot if it is full.
    fn count(
        &self,
        entry: &AuditEntry,
        action: &str,
        bounded: bool,
        limits: &Limits,
    ) -> Result<Vec<Slot>, Slot> {
        let slot = Slot::of(limits, entry.time);
        let of_action = limits.of_action(&entry.subtype, entry.action.as_str());
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if !counts.contains_key(&slot) {
            let first = first_count(&counts, &slot);
            forget_old(&mut counts, &slot);
            counts.insert(slot, first);
        }
        let count = counts.entry(slot).or_default();
        let fits =
            |bound: Option<u32>, found: u64| bound.is_none_or(|most| found < u64::from(most));
        let fits = fits(limits.per_slot, count.total) && fits(of_action, count.of(action));
        if bounded && !fits {
            return Err(slot);
        }
        let holding = counts.iter_mut().filter(|(slot, _)| slot.holds(entry.time));
        let slots = holding.map(|(slot, count)| {
            count.add(action, 1);
            *slot
        });
        Ok(slots.collect())
    }

    /// Takes back the count of an entry that will not be on the chain.
    pub(super) fn undo(&self, counted: &Counted) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for slot in &counted.slots {
            if let Some(count) = counts.get_mut(slot) {
                count.remove(&counted.action);
            }
        }
    }
}

/// What a slot begins with: nothing, unless the length of slots was just changed. Then the entries of the old slots
/// that it overlaps count in full, so that a change lets no more through than either length would. Slots of each length
/// have counted all entries since there were any of it: the length that counted most tells.
fn first_count(counts: &BTreeMap<Slot, Count>, slot: &Slot) -> Count {
    let mut by_length: BTreeMap<u64, Count> = BTreeMap::new();
    for (other, count) in counts {
        if other.length != slot.length && other.overlaps(slot) {
            let of_length = by_length.entry(other.length).or_default();
            for (action, number) in &count.by_action {
                of_length.add(action, *number);
            }
        }
    }
    let mut first = Count::default();
    for count in by_length.into_values() {
        first.total = first.total.max(count.total);
        for (action, number) in count.by_action {
            let most = first.by_action.entry(action).or_default();
            *most = (*most).max(number);
        }
    }
    first
}

fn forget_old(counts: &mut BTreeMap<Slot, Count>, newest: &Slot) {
    let kept = KEPT_SLOTS.saturating_mul(newest.length).max(KEPT_MILLIS);
    let from = newest.start.saturating_sub(kept);
    counts.retain(|slot, _| slot.end() >= from);
}

#[cfg(test)]
mod tests;

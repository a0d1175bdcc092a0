//! The logging paper's model, computed from the log itself (DESIGN 5.3).
//!
//! | symbol | here |
//! |---|---|
//! | U | users: the actors of the entries ([`Model::users`]) |
//! | A | actions: [`AuditEntry::action_name`] ([`Model::actions`]) |
//! | T | slots of equal length that the range touches; slot n begins at n times the length ([`Model::slots`]) |
//! | M\[u,a,t\] | 1 if user u did action a in slot t; [`Model::objective`] is the sum |
//! | D\[a,t\] | most entries of an action in a slot; the retention period too ([`Bounds`]) |
//! | R\[t\] | most entries in a slot |
//!
//! Stated deviations: M counts distinct (u, a, t), D and R bound entries, of which there may be several for one of
//! these, hence M too. The paper's (4), read literally, says that doing one action implies all; here it says that
//! what was performed was logged: every anchor of a record has its entry, and so has every access to the vault.
//!
//! Denied attempts are entries and count for D and R; they show no action as performed.

use super::bucket::{ActionClass, month_of};
use super::entry::{Action, Actor, AuditEntry, Outcome};
use super::filter::AuditRow;
use crate::policy::{Limits, Retention};
use caduceus_crypto::time::TimeMillis;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

mod performed;

pub use performed::{Access, AccessKind, Anchored, VaultLogError, parse_vault_log};

/// The range, cut into slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First instant.
    pub from: TimeMillis,
    /// First instant after it.
    pub until: TimeMillis,
    /// Length of a slot in milliseconds, at least 1.
    pub slot_millis: u64,
}

/// A range without an instant in it, or with slots of no length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a range of time begins before it ends, and a slot is at least a millisecond")]
pub struct BadRange;

impl Range {
    /// Checks it.
    ///
    /// # Errors
    /// [`BadRange`].
    pub fn new(from: TimeMillis, until: TimeMillis, slot_millis: u64) -> Result<Self, BadRange> {
        if from >= until || slot_millis == 0 {
            return Err(BadRange);
        }
        Ok(Self {
            from,
            until,
            slot_millis,
        })
    }

    fn holds(&self, time: TimeMillis) -> bool {
        self.from <= time && time < self.until
    }

    fn slot(&self, time: TimeMillis) -> u64 {
        time.0 / self.slot_millis
    }

    /// Number of slots that it touches.
    pub fn slots(&self) -> u64 {
        self.slot(TimeMillis(self.until.0 - 1)) - self.slot(self.from) + 1
    }
}

/// D and R. What is not named is not bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// D: most entries of an action in a slot, by subtype (`upload`) or name (`read`); the subtype comes first.
    pub per_action: BTreeMap<String, u64>,
    /// R: most entries in a slot.
    pub per_slot: Option<u64>,
    /// D as a period: months that entries of a class are kept after the one in which they were logged.
    pub retention: BTreeMap<ActionClass, u16>,
}

impl Bounds {
    /// Those that a policy states.
    pub fn of_policy(limits: &Limits, retention: &Retention) -> Self {
        let per_action = limits.per_action.iter();
        Self {
            per_action: per_action
                .map(|(action, bound)| (action.clone(), u64::from(*bound)))
                .collect(),
            per_slot: limits.per_slot.map(u64::from),
            retention: retention.months.clone(),
        }
    }

    /// D of an entry's action.
    pub fn of_action(&self, entry: &AuditEntry) -> Option<u64> {
        let bound = |name: &str| self.per_action.get(name).copied();
        bound(&entry.subtype).or_else(|| bound(entry.action.as_str()))
    }
}

/// What was performed, from elsewhere than the entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Performed {
    /// Records anchored in the range, from the chain; none if nobody looked.
    pub anchors: Option<Vec<Anchored>>,
    /// Accesses to the vault in the range, from its own log; none if nobody looked.
    pub vault: Option<Vec<Access>>,
}

/// A constraint that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "constraint", rename_all = "kebab-case")]
pub enum Violation {
    /// More entries of an action in a slot than D.
    Action {
        /// The action.
        action: String,
        /// First instant of the slot, UTC.
        slot: String,
        /// Entries found.
        found: u64,
        /// D.
        bound: u64,
    },
    /// More entries in a slot than R.
    Slot {
        /// First instant of the slot, UTC.
        slot: String,
        /// Entries found.
        found: u64,
        /// R.
        bound: u64,
    },
    /// An entry that is kept for longer than D, the period.
    Retention {
        /// The class.
        class: String,
        /// Month in which the oldest was logged.
        month: String,
        /// Entries found.
        found: u64,
        /// Months.
        bound: u16,
    },
    /// A record was anchored and no entry says so.
    Anchor {
        /// The record.
        record: String,
        /// When.
        time: String,
    },
    /// The vault was accessed and no entry says so.
    Vault {
        /// The request.
        request: String,
        /// Kind of access.
        kind: AccessKind,
        /// The record, if it is named.
        record: Option<String>,
        /// When.
        time: String,
    },
}

/// Entries of one action in its busiest slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActionLoad {
    /// The action.
    pub action: String,
    /// Entries in the range.
    pub entries: u64,
    /// Users who did it.
    pub users: u64,
    /// Most entries in a slot.
    pub most: u64,
    /// That slot's first instant, UTC.
    pub slot: String,
    /// D, if it is bounded. Entries of an action may have bounds of their own by subtype.
    pub bound: Option<u64>,
}

/// What the log says of a range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Model {
    /// First instant, UTC.
    pub from: String,
    /// First instant after it, UTC.
    pub until: String,
    /// Length of a slot in milliseconds.
    pub slot_millis: u64,
    /// Number of entries.
    pub entries: u64,
    /// Users U.
    pub users: u64,
    /// Actions A.
    pub actions: u64,
    /// Slots T.
    pub slots: u64,
    /// The sum over M: distinct (user, action, slot).
    pub objective: u64,
    /// Most entries in a slot, the largest R\[t\] used.
    pub most_in_slot: u64,
    /// R, if it is bounded.
    pub slot_bound: Option<u64>,
    /// Anchors compared with entries; none if nobody looked.
    pub anchors: Option<u64>,
    /// Accesses to the vault compared with entries; none if nobody looked.
    pub vault_accesses: Option<u64>,
    /// By action.
    pub load: Vec<ActionLoad>,
    /// What does not hold.
    pub violations: Vec<Violation>,
}

#[derive(Default)]
struct Load<'a> {
    entries: u64,
    users: BTreeSet<&'a Actor>,
    by_slot: BTreeMap<u64, u64>,
    bound: Option<u64>,
}

/// Computes the model over the entries of a range; those of other times are left out, except that they too show
/// what was performed: an entry is written before its action, which may be in the next range.
///
/// `now` is the time that retention is judged by.
pub fn model(
    rows: &[AuditRow],
    range: &Range,
    bounds: &Bounds,
    performed: &Performed,
    now: TimeMillis,
) -> Model {
    let inside: Vec<&AuditRow> = rows
        .iter()
        .filter(|row| range.holds(row.entry.time))
        .collect();
    let mut by_action: BTreeMap<String, Load<'_>> = BTreeMap::new();
    let mut by_slot: BTreeMap<u64, u64> = BTreeMap::new();
    let mut users: BTreeSet<&Actor> = BTreeSet::new();
    // M, by the numbers of its actions: names are few, entries are many.
    let mut cells: BTreeSet<(&Actor, (Action, &str), u64)> = BTreeSet::new();
    for row in &inside {
        let entry = &row.entry;
        let slot = range.slot(entry.time);
        users.insert(&entry.actor);
        cells.insert((&entry.actor, (entry.action, &entry.subtype), slot));
        *by_slot.entry(slot).or_default() += 1;
        let load = by_action.entry(entry.action_name()).or_default();
        load.entries += 1;
        load.users.insert(&entry.actor);
        load.bound = bounds.of_action(entry);
        *load.by_slot.entry(slot).or_default() += 1;
    }
    let mut violations = Vec::new();
    bounded(&by_action, &by_slot, bounds, range, &mut violations);
    retained(&inside, bounds, now, &mut violations);
    performed::check(rows, performed, &mut violations);
    let load = by_action
        .iter()
        .map(|(action, load)| of_action(action, load, range))
        .collect();
    Model {
        from: range.from.to_string(),
        until: range.until.to_string(),
        slot_millis: range.slot_millis,
        entries: inside.len() as u64,
        users: users.len() as u64,
        actions: by_action.len() as u64,
        slots: range.slots(),
        objective: cells.len() as u64,
        most_in_slot: by_slot.values().copied().max().unwrap_or(0),
        slot_bound: bounds.per_slot,
        anchors: performed.anchors.as_ref().map(|all| all.len() as u64),
        vault_accesses: performed.vault.as_ref().map(|all| all.len() as u64),
        load,
        violations,
    }
}

fn of_action(action: &str, load: &Load<'_>, range: &Range) -> ActionLoad {
    let mut most = (0, 0);
    for (slot, found) in &load.by_slot {
        if *found > most.1 {
            most = (*slot, *found);
        }
    }
    ActionLoad {
        action: action.to_owned(),
        entries: load.entries,
        users: load.users.len() as u64,
        most: most.1,
        slot: slot_start(most.0, range),
        bound: load.bound,
    }
}

fn slot_start(slot: u64, range: &Range) -> String {
    TimeMillis(slot.saturating_mul(range.slot_millis)).to_string()
}

/// (1) and (2): D and R.
fn bounded(
    by_action: &BTreeMap<String, Load<'_>>,
    by_slot: &BTreeMap<u64, u64>,
    bounds: &Bounds,
    range: &Range,
    violations: &mut Vec<Violation>,
) {
    for (action, load) in by_action {
        let Some(bound) = load.bound else {
            continue;
        };
        for (slot, found) in load.by_slot.iter().filter(|(_, found)| **found > bound) {
            violations.push(Violation::Action {
                action: action.clone(),
                slot: slot_start(*slot, range),
                found: *found,
                bound,
            });
        }
    }
    let Some(bound) = bounds.per_slot else {
        return;
    };
    for (slot, found) in by_slot.iter().filter(|(_, found)| **found > bound) {
        violations.push(Violation::Slot {
            slot: slot_start(*slot, range),
            found: *found,
            bound,
        });
    }
}

/// D, the period: what is readable is not older than its class may be. A bucket can be retired when its month and
/// the next one are over, so it counts from there.
fn retained(rows: &[&AuditRow], bounds: &Bounds, now: TimeMillis, violations: &mut Vec<Violation>) {
    let mut over: BTreeMap<(ActionClass, u16), u64> = BTreeMap::new();
    for row in rows {
        let Some(months) = bounds.retention.get(&row.class) else {
            continue;
        };
        let logged = month_of(row.place.block_time);
        if is_over(logged, *months, month_of(now)) {
            *over.entry((row.class, logged)).or_default() += 1;
        }
    }
    for ((class, month), found) in over {
        violations.push(Violation::Retention {
            class: class.as_str().to_owned(),
            month: format!("{:04}-{:02}", month / 12, month % 12 + 1),
            found,
            bound: bounds.retention.get(&class).copied().unwrap_or(u16::MAX),
        });
    }
}

/// Whether a bucket of this month is older than its class is kept: so many months passed after its own.
pub fn is_over(month: u16, kept: u16, now: u16) -> bool {
    u32::from(now) > u32::from(month) + u32::from(kept.max(1)) && now > month.saturating_add(1)
}

/// Whether an entry says that its action was done, or may have been.
fn was_done(entry: &AuditEntry) -> bool {
    matches!(entry.outcome, Outcome::Success | Outcome::Unknown)
}

#[cfg(test)]
mod tests;

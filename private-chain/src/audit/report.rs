//! Reports over entries: pure functions, one a question (DESIGN 5.3).

use super::entry::{Action, Actor, Outcome, Subject};
use super::filter::AuditRow;
use super::known::Known;
use super::{ActionClass, AuditEntry};
use caduceus_crypto::time::{MILLIS_PER_DAY, TimeMillis};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

const MINUTES_PER_DAY: u32 = 24 * 60;

/// Disclosures of a patient's data: what was read or found of hers and given out, the audit log itself left aside.
/// A patient may go by several names: her card, and a pseudonym for each record.
pub fn disclosures(rows: &[AuditRow], patients: &[Subject]) -> Vec<AuditRow> {
    keep(rows, |row| {
        let entry = &row.entry;
        let is_given = matches!(entry.action, Action::Read | Action::Search)
            || row.class == ActionClass::Emergency;
        is_given
            && row.class != ActionClass::AuditRead
            && matches!(entry.outcome, Outcome::Success | Outcome::Unknown)
            && entry.patient.as_ref().is_some_and(|p| patients.contains(p))
    })
}

/// All that one user did or tried.
pub fn actions(rows: &[AuditRow], actor: &Actor) -> Vec<AuditRow> {
    keep(rows, |row| row.entry.actor == *actor)
}

/// What was refused.
pub fn denied(rows: &[AuditRow]) -> Vec<AuditRow> {
    keep(rows, |row| row.entry.outcome == Outcome::Denied)
}

/// Emergency access and what belongs to it.
pub fn emergency(rows: &[AuditRow]) -> Vec<AuditRow> {
    keep(rows, |row| row.class == ActionClass::Emergency)
}

/// When people are at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Minute of the day at which work begins, local time.
    pub opens: u32,
    /// Minute of the day at which it ends; before `opens` it is that of the next day.
    pub closes: u32,
    /// Minutes that local time is ahead of UTC.
    pub offset_minutes: i32,
    /// Whether Saturday and Sunday are days of rest.
    pub weekends_off: bool,
}

impl Hours {
    /// Whether an instant is inside. Work that goes on past midnight belongs to the day on which it began.
    pub fn hold(&self, time: TimeMillis) -> bool {
        let millis = i128::from(time.0) + i128::from(self.offset_minutes) * 60_000;
        let minutes = millis.div_euclid(60_000);
        let minute = u32::try_from(minutes.rem_euclid(i128::from(MINUTES_PER_DAY)))
            .expect("a day has 1,440 minutes");
        let mut day = millis.div_euclid(i128::from(MILLIS_PER_DAY));
        let open = if self.opens <= self.closes {
            self.opens <= minute && minute < self.closes
        } else {
            if minute < self.closes {
                day -= 1;
            }
            minute >= self.opens || minute < self.closes
        };
        // 1970-01-01 was a Thursday.
        let weekday = (day + 3).rem_euclid(7);
        open && !(self.weekends_off && weekday >= 5)
    }
}

/// What people did outside of their hours. Whoever has no role is a program, which has none.
pub fn after_hours(rows: &[AuditRow], hours: &Hours, known: &Known) -> Vec<AuditRow> {
    keep(rows, |row| {
        let entry = &row.entry;
        let is_person = known.role(entry.role, &entry.actor).is_some()
            || matches!(entry.actor, Actor::Named(_));
        is_person && !hours.hold(entry.time)
    })
}

/// What staff did after their suspension, and who is suspended: also what was refused, which is what one hopes for.
pub fn suspended(rows: &[AuditRow], known: &Known) -> Vec<AuditRow> {
    keep(rows, |row| {
        let since = known
            .staff_of(&row.entry.actor)
            .and_then(|staff| staff.suspended_at);
        since.is_some_and(|since| row.entry.time >= since)
    })
}

/// What makes access bulk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bulk {
    /// More distinct patients, or more distinct records, than this.
    pub more_than: usize,
    /// Within so many milliseconds.
    pub window_millis: u64,
}

/// One user's bulk access: the stretch of time in which it went on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BulkAccess {
    /// Who.
    pub actor: String,
    /// Her name, where it is known.
    pub label: Option<String>,
    /// First entry of the stretch, UTC.
    pub from: String,
    /// Last entry of it, UTC.
    pub to: String,
    /// Most distinct patients in a window.
    pub patients: usize,
    /// Most distinct records or other things in a window.
    pub resources: usize,
    /// Entries in the stretch.
    pub entries: usize,
    /// Sequence number of its first entry.
    pub first: u64,
    /// Sequence number of its last.
    pub last: u64,
}

/// Who reached more distinct patients or records within a window than is usual. Windows that overlap are one stretch.
/// Only what was done counts.
pub fn bulk(rows: &[AuditRow], bulk: &Bulk, known: &Known) -> Vec<BulkAccess> {
    let mut by_actor: BTreeMap<&Actor, Vec<&AuditRow>> = BTreeMap::new();
    let done = rows.iter().filter(|row| {
        matches!(row.entry.outcome, Outcome::Success | Outcome::Unknown)
            && row.class != ActionClass::AuditRead
    });
    for row in done {
        by_actor.entry(&row.entry.actor).or_default().push(row);
    }
    let mut found = Vec::new();
    for (actor, mut rows) in by_actor {
        rows.sort_by_key(|row| (row.entry.time, row.sequence));
        stretches(actor, &rows, bulk, known, &mut found);
    }
    found
}

/// Distinct values in a window that moves.
struct Distinct<'a, T>(BTreeMap<&'a T, usize>);

impl<'a, T: Ord> Distinct<'a, T> {
    fn enter(&mut self, value: Option<&'a T>) {
        if let Some(value) = value {
            *self.0.entry(value).or_default() += 1;
        }
    }

    fn leave(&mut self, value: Option<&'a T>) {
        let Some(value) = value else { return };
        if let Some(count) = self.0.get_mut(value) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(value);
            }
        }
    }
}

fn stretches<'a>(
    actor: &Actor,
    rows: &[&'a AuditRow],
    bulk: &Bulk,
    known: &Known,
    found: &mut Vec<BulkAccess>,
) {
    let mut window: VecDeque<(usize, &'a AuditEntry)> = VecDeque::new();
    let (mut patients, mut resources) = (Distinct(BTreeMap::new()), Distinct(BTreeMap::new()));
    // First and last row of the stretch in progress, and the most that was seen.
    let mut open: Option<(usize, usize, usize, usize)> = None;
    for (at, row) in rows.iter().enumerate() {
        let entry = &*row.entry;
        while let Some((_, old)) = window
            .front()
            .filter(|(_, old)| entry.time.0 - old.time.0 >= bulk.window_millis)
        {
            patients.leave(old.patient.as_ref());
            resources.leave(old.resource.as_ref());
            window.pop_front();
        }
        window.push_back((at, entry));
        patients.enter(entry.patient.as_ref());
        resources.enter(entry.resource.as_ref());
        let (p, r) = (patients.0.len(), resources.0.len());
        if p <= bulk.more_than && r <= bulk.more_than {
            continue;
        }
        let first = window.front().map_or(at, |(first, _)| *first);
        open = match open {
            Some((from, to, most_p, most_r)) if first <= to => {
                Some((from, at, most_p.max(p), most_r.max(r)))
            }
            before => {
                found.extend(before.map(|b| stretch(actor, rows, b, known)));
                Some((first, at, p, r))
            }
        };
    }
    found.extend(open.map(|b| stretch(actor, rows, b, known)));
}

fn stretch(
    actor: &Actor,
    rows: &[&AuditRow],
    (from, to, patients, resources): (usize, usize, usize, usize),
    known: &Known,
) -> BulkAccess {
    BulkAccess {
        actor: actor.to_string(),
        label: known.label(actor).map(str::to_owned),
        from: rows[from].entry.time.to_string(),
        to: rows[to].entry.time.to_string(),
        patients,
        resources,
        entries: to - from + 1,
        first: rows[from].sequence,
        last: rows[to].sequence,
    }
}

fn keep(rows: &[AuditRow], wanted: impl Fn(&AuditRow) -> bool) -> Vec<AuditRow> {
    rows.iter().filter(|row| wanted(row)).cloned().collect()
}

#[cfg(test)]
mod tests;

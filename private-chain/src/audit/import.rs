//! Entries from another system's log: rows of columns become entries whose names are kept as they are.
//!
//! What the other log calls its users, patients and resources stays a name; nothing is looked up. An entry keeps the
//! time that the row says, while its retention bucket is that of the import.

use super::bucket::ActionClass;
use super::entry::{Action, Actor, AuditEntry, EntryError, Outcome, Resource, Subject};
use super::when::parse_time;
use caduceus_crypto::keys::HospitalId;
use caduceus_crypto::time::TimeMillis;
use std::collections::BTreeMap;
use std::str::FromStr;

/// What a column can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// When: Unix milliseconds or seconds, RFC 3339, or date and time without an offset, taken for UTC.
    Time,
    /// Who.
    User,
    /// About whom.
    Patient,
    /// On what.
    Resource,
    /// What was done: a name of ours or a code of FHIR (C, R, U, D, E).
    Action,
    /// What was done in the words of that system; the action too, if no column says it ([`action_of`]).
    Activity,
    /// How it ended.
    Outcome,
    /// Why it ended so.
    Reason,
    /// Purpose of use.
    Purpose,
    /// Where from.
    Source,
    /// The request.
    Request,
    /// The row's own identifier.
    Reference,
}

impl Target {
    /// Every one, with its name.
    pub const ALL: [(Target, &'static str); 12] = [
        (Target::Time, "time"),
        (Target::User, "user"),
        (Target::Patient, "patient"),
        (Target::Resource, "resource"),
        (Target::Action, "action"),
        (Target::Activity, "activity"),
        (Target::Outcome, "outcome"),
        (Target::Reason, "reason"),
        (Target::Purpose, "purpose"),
        (Target::Source, "source"),
        (Target::Request, "request"),
        (Target::Reference, "reference"),
    ];

    fn name(self) -> &'static str {
        Target::ALL
            .iter()
            .find(|(target, _)| *target == self)
            .map_or("", |(_, name)| *name)
    }
}

/// A mapping that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// Not a list of names and columns.
    #[error("{0:?} is no mapping: user=COLUMN,time=COLUMN,... expected")]
    Form(String),
    /// No such thing to map to.
    #[error("{0:?} is nothing that an entry says")]
    Target(String),
    /// Given twice.
    #[error("{0} is mapped twice")]
    Twice(&'static str),
    /// An entry needs it.
    #[error("nothing is mapped to {0}")]
    Missing(&'static str),
}

/// Which column says what, by the column's name in the first row or its number from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping(BTreeMap<Target, String>);

impl FromStr for Mapping {
    type Err = MapError;

    fn from_str(text: &str) -> Result<Self, MapError> {
        let mut columns = BTreeMap::new();
        for part in text.split(',') {
            let (name, column) = part
                .split_once('=')
                .filter(|(_, column)| !column.is_empty())
                .ok_or_else(|| MapError::Form(part.to_owned()))?;
            let (target, name) = Target::ALL
                .into_iter()
                .find(|(_, known)| *known == name)
                .ok_or_else(|| MapError::Target(name.to_owned()))?;
            if columns.insert(target, column.to_owned()).is_some() {
                return Err(MapError::Twice(name));
            }
        }
        for needed in [Target::Time, Target::User] {
            if !columns.contains_key(&needed) {
                return Err(MapError::Missing(needed.name()));
            }
        }
        if !columns.contains_key(&Target::Action) && !columns.contains_key(&Target::Activity) {
            return Err(MapError::Missing("action or activity"));
        }
        Ok(Self(columns))
    }
}

/// How rows are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// Between columns.
    pub delimiter: u8,
    /// Whether the first row names the columns.
    pub has_names: bool,
    /// What they say.
    pub mapping: Mapping,
}

impl Format {
    /// The logs of the iDASH 2018 competition, track 1: tab separated, no names; timestamp in milliseconds, node,
    /// identifier, reference identifier, user, activity, resource.
    pub fn idash() -> Self {
        let columns = [
            (Target::Time, "1"),
            (Target::Source, "2"),
            (Target::Reference, "3"),
            (Target::Request, "4"),
            (Target::User, "5"),
            (Target::Activity, "6"),
            (Target::Resource, "7"),
        ];
        let columns = columns.map(|(target, column)| (target, column.to_owned()));
        Self {
            delimiter: b'\t',
            has_names: false,
            mapping: Mapping(columns.into()),
        }
    }

    /// Comma separated with names, or what the first line shows that it is: semicolons or tabs.
    pub fn csv(text: &[u8], mapping: Mapping) -> Self {
        let first = text.split(|b| *b == b'\n').next().unwrap_or_default();
        let count = |wanted: u8| first.iter().filter(|b| **b == wanted).count();
        let delimiter = [b',', b';', b'\t']
            .into_iter()
            .rev()
            .max_by_key(|delimiter| count(*delimiter))
            .unwrap_or(b',');
        Self {
            delimiter,
            has_names: true,
            mapping,
        }
    }
}

/// A row that is no entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct RowError {
    /// Its line, from 1.
    pub line: u64,
    /// What is wrong.
    pub what: String,
}

/// Reads a log. All rows or none: a log with holes would say what it does not.
///
/// # Errors
/// [`RowError`] names the first row that is no entry.
pub fn read(
    text: &[u8],
    format: &Format,
    organisation: HospitalId,
) -> Result<Vec<AuditEntry>, RowError> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(format.delimiter)
        .has_headers(format.has_names)
        .from_reader(text);
    let columns = columns(&mut reader, format)?;
    let mut entries = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|e| unreadable(&e))?;
        let line = row.position().map_or(0, csv::Position::line);
        let row = Row {
            row,
            columns: &columns,
        };
        let entry = row
            .entry(organisation)
            .map_err(|what| RowError { line, what })?;
        entries.push(entry);
    }
    Ok(entries)
}

fn unreadable(error: &csv::Error) -> RowError {
    RowError {
        line: error.position().map_or(0, csv::Position::line),
        what: error.to_string(),
    }
}

fn columns(
    reader: &mut csv::Reader<&[u8]>,
    format: &Format,
) -> Result<BTreeMap<Target, usize>, RowError> {
    let names = if format.has_names {
        Some(reader.headers().map_err(|e| unreadable(&e))?.clone())
    } else {
        None
    };
    let at = |column: &str| {
        let by_name = names
            .as_ref()
            .and_then(|names| names.iter().position(|n| n == column));
        by_name.or_else(|| column.parse::<usize>().ok()?.checked_sub(1))
    };
    let mut found = BTreeMap::new();
    for (target, column) in &format.mapping.0 {
        let at = at(column).ok_or_else(|| RowError {
            line: 1,
            what: format!("there is no column {column:?} for {}", target.name()),
        })?;
        found.insert(*target, at);
    }
    Ok(found)
}

struct Row<'a> {
    row: csv::StringRecord,
    columns: &'a BTreeMap<Target, usize>,
}

impl Row<'_> {
    /// What the row says of this, if its column is mapped.
    fn get(&self, target: Target) -> Result<&str, String> {
        let Some(at) = self.columns.get(&target) else {
            return Ok("");
        };
        let value = self
            .row
            .get(*at)
            .ok_or_else(|| format!("it has no column {} for {}", at + 1, target.name()))?;
        Ok(value.trim())
    }

    fn named<T>(&self, target: Target, make: fn(super::Text) -> T) -> Result<Option<T>, String> {
        let value = self.get(target)?;
        Ok((!value.is_empty()).then(|| make(value.into())))
    }

    fn entry(&self, organisation: HospitalId) -> Result<AuditEntry, String> {
        let user = self.get(Target::User)?;
        if user.is_empty() {
            return Err("it names no user".to_owned());
        }
        let activity = self.get(Target::Activity)?;
        let action = match self.get(Target::Action)? {
            "" => action_of(activity),
            name => named_action(name).ok_or_else(|| format!("{name:?} is no action"))?,
        };
        let outcome = self.get(Target::Outcome)?;
        let entry = AuditEntry {
            time: time(self.get(Target::Time)?)?,
            actor: Actor::Named(user.into()),
            role: None,
            organisation,
            action,
            subtype: activity.into(),
            outcome: outcome_of(outcome).ok_or_else(|| format!("{outcome:?} is no outcome"))?,
            reason: self.get(Target::Reason)?.into(),
            patient: self.named(Target::Patient, Subject::Named)?,
            resource: self.named(Target::Resource, Resource::Named)?,
            purpose: self.get(Target::Purpose)?.into(),
            grant: None,
            source: self.get(Target::Source)?.into(),
            request: self.get(Target::Request)?.into(),
            reference: self.get(Target::Reference)?.into(),
            statement: None,
        };
        entry.check().map_err(|e: EntryError| e.to_string())?;
        Ok(entry)
    }
}

/// A number of so many is milliseconds; below, seconds. In seconds it would be the year 5138.
const LEAST_MILLIS: u64 = 100_000_000_000;

fn time(text: &str) -> Result<TimeMillis, String> {
    if let Ok(number) = text.parse::<u64>() {
        let is_millis = number >= LEAST_MILLIS;
        return Ok(TimeMillis(if is_millis { number } else { number * 1000 }));
    }
    let text = text.replace('/', "-");
    parse_time(&text)
        .or_else(|_| parse_time(&format!("{text}Z")))
        .map_err(|e| e.to_string())
}

fn named_action(name: &str) -> Option<Action> {
    Action::ALL.into_iter().find(|action| {
        name.eq_ignore_ascii_case(action.as_str())
            // E is both search and execute in FHIR: the wider one.
            || (*action != Action::Search && name.eq_ignore_ascii_case(action.fhir_code()))
    })
}

/// The action that an activity's words tell of: `FILE_ACCESS` is a read. What tells of none is an execution.
pub fn action_of(activity: &str) -> Action {
    const WORDS: [(Action, &[&str]); 5] = [
        (Action::Delete, &["delete", "remove", "erase", "purge"]),
        (
            Action::Create,
            &["create", "add", "insert", "upload", "register", "new"],
        ),
        (
            Action::Update,
            &["update", "edit", "modify", "amend", "change", "write"],
        ),
        (Action::Search, &["search", "query", "find", "list"]),
        (
            Action::Read,
            &[
                "read", "view", "access", "get", "open", "fetch", "download", "print",
            ],
        ),
    ];
    let words: Vec<String> = activity
        .split(|c: char| !c.is_alphanumeric())
        .map(str::to_lowercase)
        .collect();
    let told = WORDS
        .into_iter()
        .find(|(_, known)| words.iter().any(|word| known.contains(&word.as_str())));
    told.map_or(Action::Execute, |(action, _)| action)
}

/// Without a word it went well: logs that say nothing of it hold what was done.
fn outcome_of(text: &str) -> Option<Outcome> {
    Some(match text.to_lowercase().as_str() {
        "" | "0" | "success" | "ok" | "true" | "complete" | "completed" => Outcome::Success,
        "4" | "denied" | "forbidden" | "refused" => Outcome::Denied,
        "8" | "12" | "failed" | "failure" | "error" | "false" => Outcome::Failed,
        "unknown" => Outcome::Unknown,
        _ => return None,
    })
}

/// The retention class of an imported entry.
pub fn class_of(entry: &AuditEntry) -> ActionClass {
    match entry.action {
        Action::Create | Action::Update | Action::Delete => ActionClass::ClinicalWrite,
        Action::Read | Action::Search => ActionClass::ClinicalRead,
        Action::Execute => ActionClass::Administration,
    }
}

#[cfg(test)]
mod tests;

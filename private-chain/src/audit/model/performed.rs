//! (3), consistency: what was performed has its entry.

use super::{Performed, Violation, was_done};
use crate::audit::entry::Action;
use crate::audit::filter::AuditRow;
use crate::audit::when::parse_time;
use caduceus_crypto::Hash;
use caduceus_crypto::time::TimeMillis;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A record on the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchored {
    /// Its hash.
    pub record: Hash,
    /// Time of the block.
    pub time: TimeMillis,
}

/// What was done with the vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessKind {
    /// A ciphertext was stored.
    Put,
    /// One was read.
    Get,
    /// A part of one was read.
    Range,
}

/// One line of the vault's own access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// When.
    pub time: TimeMillis,
    /// The request.
    pub request: String,
    /// What was done.
    pub kind: AccessKind,
    /// The record, if it is named.
    pub record: Option<Hash>,
}

/// A line that is none of the vault's access log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the vault's log: {what}")]
pub struct VaultLogError {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

#[derive(Deserialize)]
struct Line {
    time: Time,
    request: String,
    kind: AccessKind,
    record: Option<Hash>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Time {
    Millis(u64),
    Text(String),
}

/// Reads the vault's access log: a JSON object a line, `{"time": T, "request": "...", "kind": "put" | "get" |
/// "range", "record": "64 digits"}`, T being Unix milliseconds or RFC 3339. Empty lines are skipped.
///
/// # Errors
/// [`VaultLogError`] names the first line that is none.
pub fn parse_vault_log(text: &str) -> Result<Vec<Access>, VaultLogError> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |what: String| VaultLogError {
            line: number + 1,
            what,
        };
        let line: Line = serde_json::from_str(line).map_err(|e| wrong(e.to_string()))?;
        let time = match line.time {
            Time::Millis(millis) => TimeMillis(millis),
            Time::Text(text) => parse_time(&text).map_err(|e| wrong(e.to_string()))?,
        };
        found.push(Access {
            time,
            request: line.request,
            kind: line.kind,
            record: line.record,
        });
    }
    Ok(found)
}

/// Looks for the entry of every anchor and every access.
pub(super) fn check(rows: &[AuditRow], performed: &Performed, violations: &mut Vec<Violation>) {
    let mut written: BTreeSet<Hash> = BTreeSet::new();
    let mut requests: BTreeMap<&str, BTreeSet<Option<Hash>>> = BTreeMap::new();
    for entry in rows.iter().map(|row| &row.entry).filter(|e| was_done(e)) {
        let record = entry.record().copied();
        if matches!(entry.action, Action::Create | Action::Update) {
            written.extend(record);
        }
        requests.entry(&entry.request).or_default().insert(record);
    }
    for anchor in performed.anchors.iter().flatten() {
        if !written.contains(&anchor.record) {
            violations.push(Violation::Anchor {
                record: anchor.record.to_string(),
                time: anchor.time.to_string(),
            });
        }
    }
    for access in performed.vault.iter().flatten() {
        let logged = requests
            .get(access.request.as_str())
            .is_some_and(|records| is_of(records, access.record));
        if access.request.is_empty() || !logged {
            violations.push(Violation::Vault {
                request: access.request.clone(),
                kind: access.kind,
                record: access.record.map(|record| record.to_string()),
                time: access.time.to_string(),
            });
        }
    }
}

/// An entry of the request names the record that was accessed, or none.
fn is_of(records: &BTreeSet<Option<Hash>>, record: Option<Hash>) -> bool {
    record.is_none() || records.contains(&record) || records.contains(&None)
}

//! `inspect grants`: who may open what, and until when.

use super::{GrantsOf, MAX_ROWS};
use alliance_chain::{GrantRecord, GrantStatus, query, state};
use caduceus_cli::CliError;
use caduceus_crypto::{Hash, TimeMillis};
use caduceus_ledger::{StateError, StateView};
use caduceus_operator::unreadable;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct GrantRow {
    grant: String,
    /// At the time of the last block.
    status: &'static str,
    data_user: String,
    hospital: String,
    record: String,
    record_hash: String,
    pseudonym: String,
    height: u64,
    granted_ms: u64,
    expires_ms: u64,
    revoked_ms: Option<u64>,
    threshold: u8,
    proxies: Vec<String>,
    accesses: u32,
}

/// The grants, oldest first. `now` is the time of the last block.
pub(super) fn rows(
    view: &dyn StateView,
    whose: &GrantsOf,
    now: TimeMillis,
) -> Result<Vec<GrantRow>, CliError> {
    let found = match (&whose.data_user, &whose.pseudonym) {
        (Some(data_user), _) => query::grants_to(view, data_user, 0, MAX_ROWS),
        (None, Some(pseudonym)) => query::grants_of(view, pseudonym, 0, MAX_ROWS),
        (None, None) => Ok(Vec::new()),
    };
    found
        .and_then(|grants| {
            let rows = grants.into_iter();
            rows.map(|(id, record)| row(view, &id, &record, now))
                .collect()
        })
        .map_err(unreadable)
}

/// Whether a grant counts at a time, in a word.
pub(super) fn status(record: &GrantRecord, now: TimeMillis) -> &'static str {
    match record.status {
        GrantStatus::Revoked { .. } => "revoked",
        GrantStatus::Active if record.is_active(now) => "active",
        GrantStatus::Active => "expired",
    }
}

fn row(
    view: &dyn StateView,
    id: &Hash,
    record: &GrantRecord,
    now: TimeMillis,
) -> Result<GrantRow, StateError> {
    let grant = &record.grant;
    let revoked_ms = match record.status {
        GrantStatus::Active => None,
        GrantStatus::Revoked { at } => Some(at.0),
    };
    Ok(GrantRow {
        grant: id.to_string(),
        status: status(record, now),
        data_user: grant.data_user.to_string(),
        hospital: grant.hospital.to_string(),
        record: grant.record.to_string(),
        record_hash: grant.record_hash.to_string(),
        pseudonym: grant.pseudonym.to_string(),
        height: record.height.0,
        granted_ms: record.granted.0,
        expires_ms: grant.expires.0,
        revoked_ms,
        threshold: grant.threshold,
        proxies: grant.proxies.iter().map(ToString::to_string).collect(),
        accesses: state::accesses_of(id).count(view)?,
    })
}

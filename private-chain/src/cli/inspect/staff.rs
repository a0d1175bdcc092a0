//! `inspect staff`: who is enrolled.

use caduceus_cli::CliError;
use caduceus_ledger::StateView;
use caduceus_operator::unreadable;
use private_chain::query;
use serde::Serialize;

/// More than any hospital enrols.
const LIMIT: usize = 10_000;

#[derive(Serialize)]
pub(super) struct StaffRow {
    key: String,
    role: &'static str,
    label: String,
    not_before_ms: u64,
    not_after_ms: u64,
    enrolled_at_ms: u64,
    suspended: bool,
    suspended_at_ms: Option<u64>,
}

/// Everybody, in key order.
pub(super) fn rows(view: &dyn StateView) -> Result<Vec<StaffRow>, CliError> {
    let staff = query::all_staff(view, LIMIT).map_err(unreadable)?;
    let rows = staff.into_iter().map(|(key, record)| StaffRow {
        key: key.to_string(),
        role: record.role.as_str(),
        label: record.label,
        not_before_ms: record.not_before.0,
        not_after_ms: record.not_after.0,
        enrolled_at_ms: record.enrolled_at.0,
        suspended: record.suspended_at.is_some(),
        suspended_at_ms: record.suspended_at.map(|at| at.0),
    });
    Ok(rows.collect())
}

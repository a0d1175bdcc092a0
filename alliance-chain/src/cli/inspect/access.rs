//! `inspect accesses`: when a granted record was asked for.

use super::MAX_ROWS;
use alliance_chain::query;
use caduceus_cli::CliError;
use caduceus_crypto::Hash;
use caduceus_ledger::StateView;
use caduceus_operator::unreadable;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct AccessRow {
    index: u32,
    access: String,
    data_user: String,
    height: u64,
    time_ms: u64,
}

/// The access tickets of a grant, oldest first.
pub(super) fn rows(view: &dyn StateView, grant: &Hash) -> Result<Vec<AccessRow>, CliError> {
    if query::grant(view, grant).map_err(unreadable)?.is_none() {
        return Err(CliError::not_found(
            format!("there is no grant {grant}"),
            "a grant from inspect grants",
        ));
    }
    let accesses = query::accesses_of(view, grant, 0, MAX_ROWS).map_err(unreadable)?;
    let rows = accesses.into_iter().map(|(id, record)| AccessRow {
        index: record.index,
        access: id.to_string(),
        data_user: record.data_user.to_string(),
        height: record.height.0,
        time_ms: record.time.0,
    });
    Ok(rows.collect())
}

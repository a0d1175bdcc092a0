//! `inspect params`: the bounds that every node applies alike.

use alliance_chain::{query, state};
use caduceus_cli::CliError;
use caduceus_ledger::StateView;
use caduceus_operator::unreadable;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct ParamsRow {
    /// First day that a search may cover.
    first_day: String,
    index_scheme: &'static str,
    max_hits: u32,
    max_probes: u64,
    block_budget: u64,
    accounts_per_day: u32,
    requests_per_day: u32,
    searches_per_day: u32,
    /// Governance changes so far.
    generation: u64,
}

/// The bounds, and how often the members changed anything.
pub(super) fn row(view: &dyn StateView) -> Result<ParamsRow, CliError> {
    let params = query::params(view).map_err(unreadable)?;
    Ok(ParamsRow {
        first_day: params.first_epoch.to_string(),
        index_scheme: params.scheme.as_str(),
        max_hits: params.max_hits,
        max_probes: params.max_probes,
        block_budget: params.block_budget,
        accounts_per_day: params.accounts_per_day,
        requests_per_day: params.requests_per_day,
        searches_per_day: params.searches_per_day,
        generation: state::generation().require(view).map_err(unreadable)?,
    })
}

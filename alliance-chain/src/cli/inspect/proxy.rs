//! `inspect proxies`: who re-encrypts.

use alliance_chain::query;
use caduceus_cli::CliError;
use caduceus_ledger::{StateView, ValidatorSet};
use caduceus_operator::unreadable;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct ProxyRow {
    key: String,
    /// The validator it runs beside.
    validator: String,
    /// Whether that one votes on the next block.
    votes: bool,
}

/// The proxies of now, in the order of the governance transaction that named them.
pub(super) fn rows(
    view: &dyn StateView,
    validators: &ValidatorSet,
) -> Result<Vec<ProxyRow>, CliError> {
    let proxies = query::proxies(view).map_err(unreadable)?;
    let rows = proxies.iter().map(|proxy| ProxyRow {
        key: proxy.key.to_string(),
        validator: proxy.validator.to_string(),
        votes: validators.get(&proxy.validator).is_some(),
    });
    Ok(rows.collect())
}

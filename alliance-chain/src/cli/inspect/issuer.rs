//! `inspect issuers`: under which keys members sign search tokens.

use alliance_chain::query;
use caduceus_cli::CliError;
use caduceus_ledger::StateView;
use caduceus_operator::unreadable;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct IssuerRow {
    hospital: String,
    name: String,
    /// Hash of the key.
    issuer: String,
    /// Tokens of the one before the newest still count, until the next change.
    newest: bool,
    key_bytes: usize,
}

/// The token keys of the present members, newest first for each.
pub(super) fn rows(view: &dyn StateView) -> Result<Vec<IssuerRow>, CliError> {
    let mut rows = Vec::new();
    for member in query::members(view).map_err(unreadable)? {
        let keys = query::issuer_keys(view, &member.hospital).map_err(unreadable)?;
        for (age, key) in keys.iter().enumerate() {
            rows.push(IssuerRow {
                hospital: member.hospital.to_string(),
                name: member.name.clone(),
                issuer: key.id().to_string(),
                newest: age == 0,
                key_bytes: key.as_der().len(),
            });
        }
    }
    Ok(rows)
}

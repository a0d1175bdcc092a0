//! `inspect validators`: who decides the next block.

use super::unreadable;
use caduceus_cli::CliError;
use caduceus_node::Snapshot;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct ValidatorRow {
    address: String,
    key: String,
    power: u64,
    /// Whether its precommit is in the certificate of the last block, of which some are not needed.
    signed_last: bool,
    proposed_last: bool,
}

/// The validators of the next height, in address order.
pub(super) fn rows(snapshot: &Snapshot) -> Result<Vec<ValidatorRow>, CliError> {
    let Some(tip) = snapshot.tip().map_err(unreadable)? else {
        return Ok(Vec::new());
    };
    let certificate = snapshot
        .certificate(tip.header.height)
        .map_err(unreadable)?;
    let rows = tip.next_validators.iter().map(|validator| {
        let address = validator.address();
        ValidatorRow {
            address: address.to_string(),
            key: validator.key.to_string(),
            power: validator.power,
            signed_last: certificate.as_ref().is_some_and(|certificate| {
                certificate
                    .signatures
                    .iter()
                    .any(|(signer, _)| *signer == address)
            }),
            proposed_last: certificate.is_some() && tip.header.proposer == address,
        }
    });
    Ok(rows.collect())
}

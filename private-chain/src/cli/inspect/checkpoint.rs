//! `inspect checkpoint`: what the alliance must have recorded of a block of this chain.

use caduceus_cli::CliError;
use caduceus_ledger::Height;
use caduceus_node::Snapshot;
use caduceus_operator::unreadable;
use private_chain::{AnchorsExtra, query};
use serde::Serialize;

/// The fields that `alliance-chain inspect checkpoints` shows of the same height: another hash there is a second
/// header of this chain.
#[derive(Serialize)]
pub(super) struct CheckpointRow {
    hospital: String,
    height: u64,
    hash: String,
    time_ms: u64,
    anchors: u32,
    anchors_root: Option<String>,
    /// Whether the validators change after it, which ends a checkpoint.
    changes_validators: bool,
    signers: usize,
}

/// The row of a height, or of the tip.
pub(super) fn row(snapshot: &Snapshot, height: Option<u64>) -> Result<CheckpointRow, CliError> {
    let tip = snapshot
        .tip()
        .map_err(unreadable)?
        .map_or(0, |tip| tip.header.height.0);
    let height = Height(height.unwrap_or(tip));
    let certified = snapshot
        .certified(height)
        .map_err(unreadable)?
        .ok_or_else(|| {
            CliError::not_found(
                format!("block {height} has no certificate, so it is never checkpointed"),
                format!("a height from 1 to {tip}"),
            )
        })?;
    let header = &certified.header;
    let extra = AnchorsExtra::parse(&header.extra);
    Ok(CheckpointRow {
        hospital: query::genesis(snapshot)
            .map_err(unreadable)?
            .hospital
            .to_string(),
        height: height.0,
        hash: header.hash().to_string(),
        time_ms: header.time.0,
        anchors: extra.map_or(0, |extra| extra.count),
        anchors_root: extra.map(|extra| extra.root.to_string()),
        changes_validators: header.validators != header.next_validators,
        signers: certified.certificate.signatures.len(),
    })
}

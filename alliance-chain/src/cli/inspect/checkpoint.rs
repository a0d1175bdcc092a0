//! `inspect checkpoints`: what the alliance knows of a private chain's headers.

use alliance_chain::{query, state};
use caduceus_cli::CliError;
use caduceus_crypto::HospitalId;
use caduceus_ledger::{Height, StateView};
use caduceus_operator::unreadable;
use serde::Serialize;

/// Headers shown where no height is named.
const LAST: u64 = 20;
/// Most headers at once.
const LIMIT: u64 = 1_000;

/// The fields that `private-chain inspect checkpoint` shows of the same height.
#[derive(Serialize)]
pub(super) struct CheckpointRow {
    hospital: String,
    height: u64,
    hash: String,
    time_ms: u64,
    anchors: u32,
    anchors_root: String,
    linked: bool,
}

/// The headers from one private height to another, both included.
pub(super) fn rows(
    view: &dyn StateView,
    hospital: &HospitalId,
    from: Option<u64>,
    to: Option<u64>,
) -> Result<Vec<CheckpointRow>, CliError> {
    let Some(head) = query::checkpoint_head(view, hospital).map_err(unreadable)? else {
        return Ok(Vec::new());
    };
    let last = to.unwrap_or(head.height.0).min(head.height.0);
    let first = from.unwrap_or(last.saturating_sub(LAST - 1)).max(1);
    if first > last {
        return Err(CliError::usage(
            format!("no height from {first} to {last} is checkpointed"),
            format!("heights from 1 to {}, the lower one first", head.height),
        ));
    }
    if last - first >= LIMIT {
        return Err(CliError::usage(
            format!("{} headers, at most {LIMIT} at once", last - first + 1),
            format!("--from {first} --to {}", first + LIMIT - 1),
        ));
    }
    let mut rows = Vec::new();
    for height in (first..=last).map(Height) {
        let Some(header) = query::checkpointed(view, hospital, height).map_err(unreadable)? else {
            continue;
        };
        let waits = state::unlinked(hospital, height);
        rows.push(CheckpointRow {
            hospital: hospital.to_string(),
            height: height.0,
            hash: header.hash.to_string(),
            time_ms: header.time.0,
            anchors: header.anchors_count,
            anchors_root: header.anchors_root.to_string(),
            linked: !waits.is_set(view).map_err(unreadable)?,
        });
    }
    Ok(rows)
}

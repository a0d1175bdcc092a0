//! `inspect blocks`: many blocks, one a row.

use super::{ChainWords, Fields, block_at, tip_height, unreadable};
use caduceus_cli::CliError;
use caduceus_ledger::Height;
use caduceus_node::Snapshot;
use serde::Serialize;

/// Blocks shown where no height is named.
const LAST: u64 = 20;
/// Most blocks at once.
const LIMIT: u64 = 1_000;

#[derive(Debug, Serialize)]
pub(super) struct BlockLine {
    height: u64,
    hash: String,
    time_ms: u64,
    transactions: usize,
    body_bytes: usize,
    #[serde(flatten)]
    own: Fields,
    proposer: String,
    round: Option<u32>,
    signers: usize,
    /// Difficulty of a mined block.
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<u8>,
}

/// The rows from one height to another, both included.
pub(super) fn rows(
    snapshot: &Snapshot,
    from: Option<u64>,
    to: Option<u64>,
    words: &ChainWords,
) -> Result<Vec<BlockLine>, CliError> {
    let tip = tip_height(snapshot)?;
    if snapshot.tip().map_err(unreadable)?.is_none() {
        return Ok(Vec::new());
    }
    let to = to.unwrap_or(tip);
    let from = from.unwrap_or(to.saturating_sub(LAST - 1));
    if from > to {
        return Err(CliError::usage(
            format!("--from {from} is above --to {to}"),
            format!("heights from 0 to {tip}, the lower one first"),
        ));
    }
    if to - from >= LIMIT {
        return Err(CliError::usage(
            format!(
                "{} blocks, at most {LIMIT} at once",
                (to - from).saturating_add(1)
            ),
            format!("--from {from} --to {}", from + LIMIT - 1),
        ));
    }
    (from..=to)
        .map(|height| line(snapshot, Height(height), words))
        .collect()
}

fn line(snapshot: &Snapshot, height: Height, words: &ChainWords) -> Result<BlockLine, CliError> {
    let block = block_at(snapshot, height)?;
    let certificate = snapshot.certificate(height).map_err(unreadable)?;
    let seal = snapshot.seal(height).map_err(unreadable)?;
    Ok(BlockLine {
        height: height.0,
        hash: block.hash().to_string(),
        time_ms: block.header.time.0,
        transactions: block.txs.len(),
        body_bytes: block.txs.iter().map(Vec::len).sum(),
        own: (words.block)(&block),
        proposer: block.header.proposer.to_string(),
        round: certificate.as_ref().map(|certificate| certificate.round),
        signers: certificate.map_or(0, |certificate| certificate.signatures.len()),
        n: seal.map(|seal| seal.body.n),
    })
}

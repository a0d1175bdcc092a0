//! `inspect tx`: one committed transaction in words.

use super::{ChainWords, Fields, block_at, unreadable};
use caduceus_cli::CliError;
use caduceus_crypto::Hash;
use caduceus_ledger::find_tx;
use caduceus_node::Snapshot;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct TxRow {
    id: String,
    height: u64,
    index: u32,
    block: String,
    time_ms: u64,
    bytes: usize,
    kind: &'static str,
    #[serde(flatten)]
    fields: Fields,
    result: String,
}

/// The row of a transaction.
pub(super) fn row(snapshot: &Snapshot, id: &Hash, words: &ChainWords) -> Result<TxRow, CliError> {
    let place = find_tx(snapshot, id).map_err(unreadable)?.ok_or_else(|| {
        CliError::not_found(
            format!("transaction {id} is not committed on this chain"),
            "an identifier from inspect block, or from a command that submitted it",
        )
    })?;
    let block = block_at(snapshot, place.height)?;
    let results = snapshot.results(place.height).map_err(unreadable)?;
    let index = place.index as usize;
    let (Some(tx), Some(result)) = (block.txs.get(index), results.get(index)) else {
        return Err(unreadable(format!("block {} ends before it", place.height)));
    };
    let said = (words.tx)(tx).map_err(unreadable)?;
    Ok(TxRow {
        id: id.to_string(),
        height: place.height.0,
        index: place.index,
        block: block.hash().to_string(),
        time_ms: block.header.time.0,
        bytes: tx.len(),
        kind: said.kind,
        fields: said.fields,
        result: hex::encode(result),
    })
}

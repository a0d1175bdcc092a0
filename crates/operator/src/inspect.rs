//! `inspect`: what a node of either chain stores, one subject a file.
//!
//! # Leakage
//! To whoever runs the node: what its chain holds, decoded. Nothing is decrypted.

mod block;
mod blocks;
mod seal;
mod state;
mod transaction;
mod validators;

use caduceus_cli::{CliError, Output};
use caduceus_crypto::Hash;
use caduceus_crypto::codec::DecodeError;
use caduceus_ledger::{Block, Height};
use caduceus_node::{NodeHome, Snapshot, Store, StoreError};
use clap::Subcommand;
use serde_json::{Map, Value};

pub use seal::{SealRow, seal_text};
pub use state::StateKey;

/// Fields with their values, in the order in which they are shown.
pub type Fields = Map<String, Value>;

/// What the nodes of both chains show.
#[derive(Debug, Subcommand)]
pub enum InspectChain {
    /// A block with its certificate; the last one if no height is given.
    Block {
        /// Its height; 0 is the genesis state.
        height: Option<u64>,
    },
    /// Blocks, one a row; the last twenty if nothing is said.
    Blocks {
        /// The first height.
        #[arg(long, value_name = "HEIGHT")]
        from: Option<u64>,
        /// The last height.
        #[arg(long, value_name = "HEIGHT")]
        to: Option<u64>,
    },
    /// A committed transaction, in words.
    Tx {
        /// Its identifier, 64 digits.
        #[arg(value_name = "TX_ID")]
        id: Hash,
    },
    /// Who decides the next block.
    Validators,
    /// What the state holds under a key.
    State {
        /// The key's bytes as text; any other byte as \xNN, or all of them as 0xHEX.
        key: StateKey,
    },
}

/// A transaction in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxWords {
    /// Its kind.
    pub kind: &'static str,
    /// What it says.
    pub fields: Fields,
}

/// How a chain puts its own bytes into words.
#[derive(Clone, Copy)]
pub struct ChainWords {
    /// A transaction's.
    pub tx: fn(&[u8]) -> Result<TxWords, DecodeError>,
    /// What a block says besides what all blocks do.
    pub block: fn(&Block) -> Fields,
}

/// The fields of a JSON object; any other value becomes a field `value`.
pub fn fields(object: Value) -> Fields {
    match object {
        Value::Object(fields) => fields,
        other => Fields::from_iter([("value".to_owned(), other)]),
    }
}

/// Opens the store of a node that does not run; an empty one in memory where none was written yet.
///
/// # Errors
/// Locked, while the node runs; failure, when the store cannot be used.
pub fn open(home: &NodeHome) -> Result<Store, CliError> {
    let path = home.path.join("chain.redb");
    let opened = if path.exists() {
        Store::open(&path)
    } else {
        Store::scratch()
    };
    opened.map_err(|error| {
        if error.is_in_use() {
            return CliError::locked(
                format!(
                    "the store is in use: a node runs in {}",
                    home.path.display()
                ),
                "stop the node first, then inspect; or ask it how it is doing with status",
            );
        }
        unreadable(error)
    })
}

/// The two lines of a store that cannot be read.
pub fn unreadable(error: impl std::fmt::Display) -> CliError {
    CliError::failure(
        format!("the store cannot be read: {error}"),
        "stop the node first, then validate",
    )
}

/// Prints what was asked for of a chain.
///
/// # Errors
/// Not found, when there is no such thing; failure, when the store cannot be read.
pub fn inspect_chain(
    snapshot: &Snapshot,
    what: &InspectChain,
    words: &ChainWords,
    output: &Output,
) -> Result<(), CliError> {
    match what {
        InspectChain::Block { height } => {
            output.object(&block::row(snapshot, height.map(Height), words)?)
        }
        InspectChain::Blocks { from, to } => {
            output.rows(&blocks::rows(snapshot, *from, *to, words)?)
        }
        InspectChain::Tx { id } => output.object(&transaction::row(snapshot, id, words)?),
        InspectChain::Validators => output.rows(&validators::rows(snapshot)?),
        InspectChain::State { key } => output.object(&state::row(snapshot, key)?),
    }
}

/// Height of the tip; 0 where nothing is stored.
fn tip_height(snapshot: &Snapshot) -> Result<u64, CliError> {
    let tip = snapshot.tip().map_err(unreadable)?;
    Ok(tip.map_or(0, |tip| tip.header.height.0))
}

/// A block that must be there.
fn block_at(snapshot: &Snapshot, height: Height) -> Result<Block, CliError> {
    let tip = tip_height(snapshot)?;
    match snapshot.block(height) {
        Ok(Some(block)) => Ok(block),
        Ok(None) => Err(CliError::not_found(
            format!("there is no block {height}"),
            format!("a height from 0 to {tip}"),
        )),
        Err(error @ StoreError::Damaged { .. }) => Err(CliError::verification_failed(
            error.to_string(),
            "validate says what else is damaged; then restore or resync this node",
        )),
        Err(error) => Err(unreadable(error)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

//! The seal of a mined block, as the logging paper prints it and as a row.

use caduceus_crypto::Hash;
use caduceus_ledger::Seal;
use serde::Serialize;
use std::cmp::Ordering;

/// The fields of the paper's block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SealRow {
    miner: u32,
    id: u64,
    timestamp_ms: u64,
    magic_number: u64,
    previous_hash: String,
    hash: String,
    /// Whole seconds, as in the paper.
    seconds: u64,
    took_ms: u64,
    n: u8,
    n_next: u8,
}

impl From<&Seal> for SealRow {
    fn from(seal: &Seal) -> Self {
        Self {
            miner: seal.miner,
            id: seal.id.0,
            timestamp_ms: seal.timestamp.0,
            magic_number: seal.magic,
            previous_hash: previous(seal),
            hash: seal.hash.to_string(),
            seconds: seal.took_millis / 1000,
            took_ms: seal.took_millis,
            n: seal.n,
            n_next: seal.n_next,
        }
    }
}

/// The first block names 0.
fn previous(seal: &Seal) -> String {
    if seal.previous == Hash::ZERO {
        "0".to_owned()
    } else {
        seal.previous.to_string()
    }
}

/// A block as the paper's Figure 2 prints it.
pub fn seal_text(seal: &Seal) -> String {
    let change = match seal.n_next.cmp(&seal.n) {
        Ordering::Greater => format!("N was increased to {}", seal.n_next),
        Ordering::Less => format!("N was decreased by {}", seal.n - seal.n_next),
        Ordering::Equal => "N stays the same".to_owned(),
    };
    format!(
        "Block:\nCreated by miner # {}\nId: {}\nTimestamp: {}\nMagic number: {}\nHash of the previous block:\n{}\n\
         Hash of the block:\n{}\nBlock was generating for {} seconds\n{change}\n",
        seal.miner,
        seal.id,
        seal.timestamp.0,
        seal.magic,
        previous(seal),
        seal.hash,
        seal.took_millis / 1000,
    )
}

//! `inspect`: shows what a node stores, one subject a file.

mod anchor;
mod checkpoint;
mod record;
mod staff;
mod words;

use anchor::AnchorName;
use caduceus_cli::{CliError, Output};
use caduceus_crypto::Hash;
use caduceus_node::NodeHome;
use caduceus_operator::{InspectChain, inspect_chain, open, unreadable};
use clap::Subcommand;

/// What to show.
#[derive(Debug, Subcommand)]
pub(super) enum Inspect {
    #[command(flatten)]
    Chain(InspectChain),
    /// The staff enrolled on the chain.
    Staff,
    /// Where a record is anchored, and which versions of it there are.
    Record {
        /// Its hash, 64 digits.
        #[arg(value_name = "RECORD_HASH")]
        record: Hash,
    },
    /// An anchor: the evidence of one record.
    Anchor {
        /// The record's hash, or the anchor's HEIGHT/POSITION.
        #[arg(value_name = "ANCHOR")]
        name: AnchorName,
    },
    /// What the alliance must have recorded of a block; of the last one if no height is given.
    Checkpoint {
        /// The private height.
        height: Option<u64>,
    },
}

/// Prints what was asked for.
pub(super) fn run(home: &NodeHome, what: &Inspect, output: &Output) -> Result<(), CliError> {
    let store = open(home)?;
    let snapshot = store.snapshot().map_err(unreadable)?;
    match what {
        Inspect::Chain(what) => inspect_chain(&snapshot, what, &words::WORDS, output),
        Inspect::Staff => output.rows(&staff::rows(&snapshot)?),
        Inspect::Record { record } => output.object(&record::version(&snapshot, record)?),
        Inspect::Anchor { name } => output.object(&anchor::row(&snapshot, name)?),
        Inspect::Checkpoint { height } => output.object(&checkpoint::row(&snapshot, *height)?),
    }
}

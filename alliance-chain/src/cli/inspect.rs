//! `inspect`: shows what a node stores.

use alliance_chain::query;
use caduceus_cli::{CliError, Output};
use caduceus_ledger::{Height, StateView};
use caduceus_node::{NodeHome, Store};
use clap::Subcommand;
use serde::Serialize;

/// What to show.
#[derive(Debug, Subcommand)]
pub(super) enum Inspect {
    /// A block's header; the last one if no height is given.
    Block { height: Option<u64> },
    /// The members of the alliance.
    Members,
}

#[derive(Serialize)]
struct BlockRow {
    height: u64,
    hash: String,
    time_ms: u64,
    transactions: usize,
    proposer: String,
    state_root: String,
}

#[derive(Serialize)]
struct MemberRow {
    hospital: String,
    name: String,
    identity: String,
    checkpointed: u64,
    linked: u64,
}

/// Prints what was asked for.
pub(super) fn run(home: &NodeHome, what: &Inspect, output: &Output) -> Result<(), CliError> {
    let failed = |e: String| {
        CliError::failure(
            format!("the store cannot be read: {e}"),
            "stop the node first, then inspect",
        )
    };
    let store = Store::open(&home.path.join("chain.redb")).map_err(|e| failed(e.to_string()))?;
    let snapshot = store.snapshot().map_err(|e| failed(e.to_string()))?;
    match what {
        Inspect::Block { height } => {
            let tip = snapshot
                .tip()
                .map_err(|e| failed(e.to_string()))?
                .map_or(0, |t| t.header.height.0);
            let height = Height(height.unwrap_or(tip));
            let block = snapshot
                .block(height)
                .map_err(|e| failed(e.to_string()))?
                .ok_or_else(|| {
                    CliError::not_found(
                        format!("there is no block {height}"),
                        format!("a height from 0 to {tip}"),
                    )
                })?;
            output.object(&BlockRow {
                height: height.0,
                hash: block.hash().to_string(),
                time_ms: block.header.time.0,
                transactions: block.txs.len(),
                proposer: block.header.proposer.to_string(),
                state_root: block.header.state_root.to_string(),
            })
        }
        Inspect::Members => {
            let view: &dyn StateView = &snapshot;
            let members = query::members(view).map_err(|e| failed(e.to_string()))?;
            let mut rows = Vec::new();
            for member in members {
                let head = query::checkpoint_head(view, &member.hospital)
                    .map_err(|e| failed(e.to_string()))?;
                let linked = query::linked_height(view, &member.hospital)
                    .map_err(|e| failed(e.to_string()))?;
                rows.push(MemberRow {
                    hospital: member.hospital.to_string(),
                    name: member.name,
                    identity: member.identity.to_string(),
                    checkpointed: head.map_or(0, |head| head.height.0),
                    linked,
                });
            }
            output.rows(&rows)
        }
    }
}

//! The `solo` engine: one sequencer, same blocks and rules as `bft`, no network; for simulations and tests.

use crate::chain::{Chain, CommitError};
use crate::guard::{Guard, Step};
use crate::store::StoreError;
use caduceus_crypto::{SecretKey, domain};
use caduceus_ledger::{Address, Block, Certificate, Height, Vote, VoteKind};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// Makes, signs and commits one block from what waits.
///
/// # Errors
/// [`CommitError`] when the store or the guard fails.
pub fn step(chain: &Chain, key: &SecretKey, guard: &Mutex<Guard>) -> Result<Height, CommitError> {
    let block = chain.propose(0, Address::of(&key.public()))?;
    let certificate = certify(&block, key, guard)?;
    Ok(chain.commit(&certificate)?.height)
}

/// The certificate of a validator that is alone: its one precommit, which the guard has recorded.
///
/// # Errors
/// When the guard cannot record it, or knows of another block at this height.
pub(crate) fn certify(
    block: &Block,
    key: &SecretKey,
    guard: &Mutex<Guard>,
) -> Result<Certificate, StoreError> {
    let header = &block.header;
    let vote = Vote {
        chain: header.chain,
        kind: VoteKind::Precommit,
        height: header.height,
        round: 0,
        block: Some(block.hash()),
    };
    guard
        .lock()
        .expect("no holder of this lock panics")
        .record(vote.height.0, 0, Step::Precommit, block.hash())
        .map_err(|e| StoreError::State(caduceus_ledger::StateError(e.to_string())))?;
    let signature = key.sign(domain::VOTE, &vote.sign_bytes());
    Ok(Certificate {
        height: header.height,
        round: 0,
        block: block.hash(),
        signatures: vec![(Address::of(&key.public()), signature)],
    })
}

/// Whether an engine was told to stop, or nobody is left to tell it.
pub(crate) fn is_stopped(stop: &watch::Receiver<bool>) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}

/// Makes a block when transactions wait, and a heartbeat after `heartbeat` of idleness, until told to stop or a
/// block fails.
pub(crate) async fn on_demand<E: std::fmt::Display>(
    chain: &Chain,
    heartbeat: Duration,
    mut stop: watch::Receiver<bool>,
    mut make: impl FnMut() -> Result<(), E>,
) {
    loop {
        if chain.waiting() == 0 {
            tokio::select! {
                // A wake for what is in a block already is no reason to make another.
                () = chain.woken() => if chain.waiting() == 0 {
                    continue;
                },
                () = tokio::time::sleep(heartbeat) => {}
                _ = stop.changed() => return,
            }
        }
        if is_stopped(&stop) {
            return;
        }
        if let Err(error) = tokio::task::block_in_place(&mut make) {
            tracing::error!(%error, "the sequencer stopped");
            return;
        }
    }
}

/// Runs until told to stop: a block when transactions wait, a heartbeat after `heartbeat` of idleness.
pub async fn run(
    chain: Arc<Chain>,
    key: SecretKey,
    guard: Arc<Mutex<Guard>>,
    heartbeat: Duration,
    stop: watch::Receiver<bool>,
) {
    let make = || step(&chain, &key, &guard).map(drop);
    on_demand(&chain, heartbeat, stop, make).await;
}

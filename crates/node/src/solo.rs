//! The `solo` engine: one sequencer, same blocks and rules as `bft`, no network; for simulations and tests.

use crate::chain::{Chain, CommitError};
use crate::guard::{Guard, Step};
use crate::store::StoreError;
use caduceus_crypto::{SecretKey, domain};
use caduceus_ledger::{Address, Certificate, Height, Vote, VoteKind};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// Makes, signs and commits one block from what waits.
///
/// # Errors
/// [`CommitError`] when the store or the guard fails.
pub fn step(chain: &Chain, key: &SecretKey, guard: &Mutex<Guard>) -> Result<Height, CommitError> {
    let me = Address::of(&key.public());
    let block = chain.propose(0, me)?;
    let vote = Vote {
        chain: chain.id(),
        kind: VoteKind::Precommit,
        height: block.header.height,
        round: 0,
        block: Some(block.hash()),
    };
    guard
        .lock()
        .expect("no holder of this lock panics")
        .record(vote.height.0, 0, Step::Precommit, block.hash())
        .map_err(|e| StoreError::State(caduceus_ledger::StateError(e.to_string())))?;
    let signature = key.sign(domain::VOTE, &vote.sign_bytes());
    let certificate = Certificate {
        height: block.header.height,
        round: 0,
        block: block.hash(),
        signatures: vec![(me, signature)],
    };
    Ok(chain.commit(&certificate)?.height)
}

/// Runs until told to stop: a block when transactions wait, a heartbeat after `heartbeat` of idleness.
pub async fn run(
    chain: Arc<Chain>,
    key: SecretKey,
    guard: Arc<Mutex<Guard>>,
    heartbeat: Duration,
    mut stop: watch::Receiver<bool>,
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
        if *stop.borrow() {
            return;
        }
        let outcome = tokio::task::block_in_place(|| step(&chain, &key, &guard));
        if let Err(error) = outcome {
            tracing::error!(%error, "the sequencer stopped");
            return;
        }
    }
}

//! The `solo` engine: one sequencer, same blocks and rules as `bft`, no network; for simulations and tests.

use crate::bft::{Progress, Run};
use crate::chain::{Chain, CommitError};
use crate::guard::{Guard, GuardError, Step};
use crate::store::StoreError;
use caduceus_crypto::{SecretKey, domain};
use caduceus_ledger::{Address, Block, Certificate, Height, Vote, VoteKind};
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;

/// Before a disk that failed is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// Name of the guard's file in a node's folder.
pub(crate) const GUARD_FILE: &str = "last-signed";

/// Makes, signs and commits one block from what waits.
///
/// # Errors
/// [`SoloError`] when the store or the guard fails.
pub fn step(chain: &Chain, key: &SecretKey, guard: &mut Guard) -> Result<Height, SoloError> {
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
    guard: &mut Guard,
) -> Result<Certificate, GuardError> {
    let header = &block.header;
    let vote = Vote {
        chain: header.chain,
        kind: VoteKind::Precommit,
        height: header.height,
        round: 0,
        block: Some(block.hash()),
    };
    guard.record(vote.height.0, 0, Step::Precommit, block.hash())?;
    let signature = key.sign(domain::VOTE, &vote.sign_bytes());
    Ok(Certificate {
        height: header.height,
        round: 0,
        block: block.hash(),
        signatures: vec![(Address::of(&key.public()), signature)],
    })
}

/// Why an engine of one sequencer makes no block.
pub(crate) trait SequencerError:
    From<GuardError> + From<StoreError> + std::fmt::Display
{
    /// Whether trying again may help.
    fn may_pass(&self) -> bool;
}

/// Why the sequencer makes no block.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SoloError {
    /// The guard refuses or fails.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// There is no block to sign.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The block could not be committed.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Whether a guard that failed may be had again.
pub(crate) fn guard_may_pass(error: &GuardError) -> bool {
    matches!(error, GuardError::File { .. } | GuardError::Dead { .. })
}

impl SequencerError for SoloError {
    fn may_pass(&self) -> bool {
        match self {
            Self::Guard(error) => guard_may_pass(error),
            Self::Store(error) => error.may_pass(),
            Self::Commit(error) => error.may_pass(),
        }
    }
}

/// Whether an engine was told to stop, or nobody is left to tell it.
pub(crate) fn is_stopped(stop: &watch::Receiver<bool>) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}

/// Makes a block when transactions wait, and a heartbeat after `heartbeat` of idleness, until told to stop. What the
/// medium refuses is tried again, with files opened anew.
pub(crate) async fn on_demand<E: SequencerError>(
    run: &Run,
    heartbeat: Duration,
    mut stop: watch::Receiver<bool>,
    mut make: impl FnMut(&mut Guard) -> Result<(), E>,
) {
    let file = run.home.join(GUARD_FILE);
    while !is_stopped(&stop) {
        let ended = match open(&run.chain, &file) {
            Ok(mut guard) => {
                let mut made = || make(&mut guard);
                sequence(&run.chain, &run.progress, heartbeat, &mut stop, &mut made).await
            }
            Err(error) => Err(error),
        };
        let Err(error) = ended else { return };
        tracing::error!(%error, "the sequencer stopped");
        run.progress
            .trouble_is(Some(format!("the sequencer stopped: {error}")));
        if !error.may_pass() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            _ = stop.changed() => {}
        }
    }
}

fn open<E: SequencerError>(chain: &Chain, guard: &Path) -> Result<Guard, E> {
    chain.reread()?;
    Ok(Guard::open(guard)?)
}

async fn sequence<E>(
    chain: &Chain,
    progress: &Progress,
    heartbeat: Duration,
    stop: &mut watch::Receiver<bool>,
    make: &mut impl FnMut() -> Result<(), E>,
) -> Result<(), E> {
    loop {
        if chain.waiting() == 0 {
            tokio::select! {
                // A wake for what is in a block already is no reason to make another.
                () = chain.woken() => if chain.waiting() == 0 {
                    continue;
                },
                () = tokio::time::sleep(heartbeat) => {}
                _ = stop.changed() => return Ok(()),
            }
        }
        if is_stopped(stop) {
            return Ok(());
        }
        tokio::task::block_in_place(&mut *make)?;
        progress.committed();
    }
}

/// Runs until told to stop: a block when transactions wait, a heartbeat after `heartbeat` of idleness.
pub async fn run(run: Run, heartbeat: Duration, stop: watch::Receiver<bool>) {
    let make = |guard: &mut Guard| step(&run.chain, &run.key, guard).map(drop);
    on_demand::<SoloError>(&run, heartbeat, stop, make).await;
}

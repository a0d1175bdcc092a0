//! The `pow` engine: one sequencer whose threads compete for the magic number of each block (the logging paper).
//!
//! Blocks, rules, execution and store are those of the other engines; the seal that a miner found is stored with its
//! block, in one write, and the node's key signs the certificate, so proofs and light clients work as with `solo`.
//!
//! # Security
//! A research mode: one process holds the key, and no fork choice stands between nodes. The work protects nothing
//! that the signature does not; it shows what the paper's chain costs beside BFT.

use crate::bft::Run;
use crate::chain::{Chain, CommitError};
use crate::guard::{Guard, GuardError};
use crate::solo::{SequencerError, certify, guard_may_pass, is_stopped, on_demand};
use crate::store::StoreError;
use caduceus_crypto::SecretKey;
use caduceus_ledger::pow::DifficultyRuleError;
use caduceus_ledger::{Address, DifficultyRule, Height, Puzzle, Seal, SignedSeal};
use rand_core::{OsRng, RngCore};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Tries between two looks at whether to go on: well below a millisecond.
const TRIES_A_LOOK: u64 = 256;

/// Most miners of a node.
pub const MAX_MINERS: u32 = 64;

/// How a node mines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowSettings {
    /// Threads that compete, 1 to [`MAX_MINERS`].
    pub miners: u32,
    /// How N follows the time of blocks; a chain keeps the rule of its first block.
    pub rule: DifficultyRule,
}

impl Default for PowSettings {
    fn default() -> Self {
        Self {
            miners: 2,
            rule: DifficultyRule::DEFAULT,
        }
    }
}

/// Why a block was not mined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PowError {
    /// The chain has blocks that were not mined: a seal must follow a seal.
    #[error("block {height} of this chain was not mined")]
    NotMined {
        /// The tip.
        height: Height,
    },
    /// The chain is mined, and another engine would leave a block without a seal.
    #[error("this chain is mined: its engine stays pow")]
    Mined,
    /// The chain is not decided by one validator.
    #[error("{found} validators decide this chain, not one")]
    Validators {
        /// Their number.
        found: usize,
    },
    /// The rule cannot be kept.
    #[error(transparent)]
    Rule(#[from] DifficultyRuleError),
    /// Too few or too many miners.
    #[error("{found} miners, 1 to {limit} allowed")]
    Miners {
        /// The limit.
        limit: u32,
        /// The number asked for.
        found: u32,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The guard refuses or fails.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The block was not committed.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl SequencerError for PowError {
    fn may_pass(&self) -> bool {
        match self {
            Self::Guard(error) => guard_may_pass(error),
            Self::Store(error) => error.may_pass(),
            Self::Commit(error) => error.may_pass(),
            _ => false,
        }
    }
}

/// The seal of a chain's tip, after which mining goes on; none before block 1.
///
/// # Errors
/// [`PowError::NotMined`] when the tip has none; other variants when the store cannot be read.
pub fn last_seal(chain: &Chain) -> Result<Option<Seal>, PowError> {
    let height = chain.tip().height;
    match chain.snapshot()?.seal(height)? {
        Some(seal) => Ok(Some(seal.body)),
        None if height == Height::GENESIS => Ok(None),
        None => Err(PowError::NotMined { height }),
    }
}

/// Whether a chain can be mined on.
///
/// # Errors
/// [`PowError`] says what is in the way.
pub fn check_start(chain: &Chain) -> Result<(), PowError> {
    let found = chain.next_validators().count();
    if found != 1 {
        return Err(PowError::Validators { found });
    }
    last_seal(chain).map(drop)
}

/// Whether another engine may go on with a chain.
///
/// # Errors
/// [`PowError::Mined`] when it has seals; other variants when the store cannot be read.
pub fn check_not_mined(chain: &Chain) -> Result<(), PowError> {
    if chain.snapshot()?.is_mined()? {
        return Err(PowError::Mined);
    }
    Ok(())
}

/// Makes, mines, signs and commits one block from what waits; none when told to stop first.
///
/// # Errors
/// [`PowError`] when the chain cannot be mined on, or the store or the guard fails.
pub fn step(
    chain: &Chain,
    key: &SecretKey,
    guard: &mut Guard,
    settings: &PowSettings,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Option<SignedSeal>, PowError> {
    settings.rule.check()?;
    if !(1..=MAX_MINERS).contains(&settings.miners) {
        return Err(PowError::Miners {
            limit: MAX_MINERS,
            found: settings.miners,
        });
    }
    let before = last_seal(chain)?;
    let block = chain.propose(0, Address::of(&key.public()))?;
    let puzzle = Puzzle::new(&block.header, before.as_ref(), settings.rule);
    let starts: Vec<u64> = (0..settings.miners)
        .map(|_| OsRng.next_u32().into())
        .collect();
    let begun = Instant::now();
    let Some(found) = search(&puzzle, &starts, stop) else {
        return Ok(None);
    };
    let took_millis = begun.elapsed().as_millis() as u64;
    let seal = puzzle.seal(found.miner, found.magic, took_millis).sign(key);
    let certificate = certify(&block, key, guard)?;
    chain.commit_with(&certificate, Some(&seal))?;
    Ok(Some(seal))
}

/// A solution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The miner, from 1.
    pub miner: u32,
    /// Its magic number.
    pub magic: u64,
}

/// Lets one miner a start value search, each in a thread of its own, upwards from its value. The first that finds a
/// magic number ends the search, and so does `stop`.
pub fn search(puzzle: &Puzzle, starts: &[u64], stop: &(dyn Fn() -> bool + Sync)) -> Option<Found> {
    let over = AtomicBool::new(false);
    let (solutions, first) = mpsc::channel();
    std::thread::scope(|scope| {
        for (miner, start) in (1..).zip(starts) {
            let (solutions, over) = (solutions.clone(), &over);
            scope.spawn(move || {
                let mut magic = *start;
                while !over.load(Ordering::Relaxed) && !stop() {
                    for _ in 0..TRIES_A_LOOK {
                        if puzzle.is_solved_by(&puzzle.attempt(miner, magic)) {
                            over.store(true, Ordering::Relaxed);
                            // Nobody hears the second of two that found one at the same time.
                            let _ = solutions.send(Found { miner, magic });
                            return;
                        }
                        magic = magic.wrapping_add(1);
                    }
                }
            });
        }
    });
    first.try_recv().ok()
}

/// Runs until told to stop: a mined block when transactions wait, or after `heartbeat` of idleness.
pub async fn run(
    run: Run,
    settings: PowSettings,
    heartbeat: Duration,
    stop: watch::Receiver<bool>,
) {
    let told = stop.clone();
    let make = |guard: &mut Guard| {
        let sealed = step(&run.chain, &run.key, guard, &settings, &|| {
            is_stopped(&told)
        })?;
        if let Some(seal) = sealed {
            tracing::debug!(
                height = seal.body.id.0,
                n = seal.body.n,
                took_ms = seal.body.took_millis,
                "mined"
            );
        }
        Ok(())
    };
    on_demand::<PowError>(&run, heartbeat, stop, make).await;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

//! From the genesis to the header of a snapshot.

use caduceus_crypto::{Hash, TimeMillis};
use caduceus_ledger::light::{Bisection, LightBlock, Progress, Trusted};
use caduceus_ledger::{Genesis, Height, LightError};
use std::collections::BTreeSet;

/// Why a header is not known to be the chain's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Unreached {
    #[error(transparent)]
    Light(#[from] LightError),
    /// Too little of the genesis's power is left, and nobody has the block that leads on.
    #[error(
        "the validators changed since the genesis, and the block {height} that leads to them is not at hand"
    )]
    Gap {
        /// The height needed.
        height: Height,
    },
}

/// Checks that a header is the chain's: certified by the genesis's own validators, or by those that skipping
/// verification reaches from them over blocks that `between` gives: all that are at hand of a height. One that turns
/// out not to be the chain's is left out, and another of its height tried.
///
/// # Correctness
/// The trusting period does not bind here: a node that executes all blocks follows certificates from the genesis at
/// any age as well. Whoever holds the keys of more than two thirds of a former set can show a newcomer another
/// chain, by either way; an operator who fears that compares the hash of a newer header with another hospital's.
pub(crate) fn reach(
    genesis: &Genesis,
    target: LightBlock,
    now: TimeMillis,
    between: &mut dyn FnMut(Height) -> Vec<LightBlock>,
) -> Result<(), Unreached> {
    target.check(&genesis.chain_id())?;
    if target.validators == genesis.validators {
        return Ok(());
    }
    let trusted = Trusted::from_genesis(genesis);
    let mut way = Bisection::beyond_period(&trusted, target.clone(), &target, now)?;
    let mut taken: Vec<Hash> = Vec::new();
    let mut refused = BTreeSet::new();
    let mut why = None;
    loop {
        let before = way.passed().len();
        let outcome = way.advance();
        // What is left are the blocks that are taken and not passed, the next one last.
        let passed = way.passed().len() - before;
        taken.truncate(taken.len().saturating_sub(passed));
        match outcome {
            Ok(Progress::Done(_)) => return Ok(()),
            Ok(Progress::Want(height)) => {
                let mut blocks = between(height);
                blocks.retain(|block| !refused.contains(&block.hash()));
                match offer(&mut way, blocks) {
                    Some(hash) => {
                        taken.push(hash);
                        why = None;
                    }
                    None => return Err(why.map_or(Unreached::Gap { height }, Unreached::Light)),
                }
            }
            Err(error) if way.is_over() || matches!(error, LightError::TooManySteps { .. }) => {
                return Err(error.into());
            }
            Err(error) => {
                let Some(hash) = taken.pop() else {
                    return Err(error.into());
                };
                tracing::debug!(block = %hash, %error, "a block on the way is not the chain's");
                refused.insert(hash);
                why = Some(error);
            }
        }
    }
}

/// Offers blocks of the height that is wanted until one is taken. Returns its hash.
fn offer(way: &mut Bisection, mut blocks: Vec<LightBlock>) -> Option<Hash> {
    let differ = blocks
        .windows(2)
        .any(|pair| pair[0].hash() != pair[1].hash());
    if differ {
        // One that can be stepped to comes first: voters that are trusted already certified it. Whether another is the
        // chain's shows only after many more blocks.
        blocks.sort_by_cached_key(|block| !leads_on(way, block));
    }
    blocks.into_iter().find_map(|block| {
        let hash = block.hash();
        way.offer(block).is_ok().then_some(hash)
    })
}

/// Whether a block would be trusted at once.
fn leads_on(way: &Bisection, block: &LightBlock) -> bool {
    let mut tried = way.clone();
    if tried.offer(block.clone()).is_err() {
        return false;
    }
    // What comes after it may fail all the same.
    let _ = tried.advance();
    tried.passed().len() > way.passed().len()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

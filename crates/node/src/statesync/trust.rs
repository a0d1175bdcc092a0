//! From the genesis to the header of a snapshot.

use caduceus_crypto::TimeMillis;
use caduceus_ledger::light::{Bisection, LightBlock, Progress, Trusted};
use caduceus_ledger::{Genesis, Height, LightError};

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
/// verification reaches from them over blocks that `between` gives; the first that holds is taken.
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
    loop {
        match way.advance()? {
            Progress::Done(_) => return Ok(()),
            Progress::Want(height) => {
                let taken = between(height)
                    .into_iter()
                    .any(|block| way.offer(block).is_ok());
                if !taken {
                    return Err(Unreached::Gap { height });
                }
            }
        }
    }
}

//! Changes of a running chain's voters: which are allowed, and where the state keeps them.
//!
//! A change moves less than a third of the voting power. Write f for a validator's share of the power, before and
//! after, and kept = the sum of the smaller of the two over all validators. With kept > 2/3:
//!
//! - The validators that stay decide the next height alone, so that a newcomer that is not ready stops nothing.
//! - Any certificate of the new set (more than 2/3) misses less than 1/3 of what is kept, so it carries more than
//!   1/3 of the old power: a light client may skip over a change (arXiv:2010.07031, trust threshold 1/3).
//!
//! Any set is reached from any other in several such changes, small ones by way of other weights: one validator
//! becomes two through {3, 1}.

use crate::execute::VALIDATORS_KEY;
use crate::state::{Overlay, Space, StateError, StateView};
use crate::types::ValidatorSet;
use caduceus_crypto::codec;

/// Why a change of the voters is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetChangeError {
    /// Nothing changes.
    #[error("these are the validators already")]
    Same,
    /// A third of the voting power or more would move at once.
    #[error("{kept_permille} thousandths of the voting power stay in place, more than 666 must")]
    TooMuch {
        /// What is kept, in thousandths, rounded down.
        kept_permille: u64,
    },
}

/// Checks one change of the voters.
///
/// # Errors
/// [`SetChangeError`] names the rule broken.
pub fn check_set_change(now: &ValidatorSet, next: &ValidatorSet) -> Result<(), SetChangeError> {
    if now == next {
        return Err(SetChangeError::Same);
    }
    // Totals are below 2^62, so three times a product of two fits.
    let (before, after) = (
        u128::from(now.total_power()),
        u128::from(next.total_power()),
    );
    let kept: u128 = now
        .iter()
        .filter_map(|old| {
            let new = next.get(&old.address())?;
            Some((u128::from(old.power) * after).min(u128::from(new.power) * before))
        })
        .sum();
    let all = before * after;
    if kept * 3 > all * 2 {
        return Ok(());
    }
    let kept_permille = if all > u128::MAX / 1000 {
        kept / (all / 1000)
    } else {
        kept * 1000 / all
    };
    Err(SetChangeError::TooMuch {
        kept_permille: u64::try_from(kept_permille).unwrap_or(666),
    })
}

/// The voters of the next height.
///
/// # Errors
/// When the store fails or holds none.
pub fn validators(view: &dyn StateView) -> Result<ValidatorSet, StateError> {
    let encoded = view
        .get(Space::Auth, VALIDATORS_KEY)?
        .ok_or_else(|| StateError("the state holds no validator set".into()))?;
    borsh::from_slice(&encoded).map_err(|e| StateError(format!("validator set: {e}")))
}

/// Makes these the voters from the next height on.
pub fn put_validators(state: &mut Overlay<'_>, set: &ValidatorSet) {
    state.put(Space::Auth, VALIDATORS_KEY, codec::encode(set));
}

#[cfg(test)]
mod tests;

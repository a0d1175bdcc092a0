//! One step from a trusted point to a later light block.

use super::error::Stepped;
use super::{LightBlock, LightError, TRUSTING_PERIOD_MILLIS, Trusted, check_not_ahead};
use crate::types::ValidatorSet;
use caduceus_crypto::TimeMillis;

/// What a step comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The block is trusted now.
    Accepted(Box<Trusted>),
    /// The block is certified, but too little of the trusted set's power is behind it: a height in between first.
    Bisect,
}

/// Whether the trusting period binds a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Period {
    /// The trusted point must be inside.
    Binds,
    /// It was waived: two heads agree, or the block is below a trusted head.
    Waived,
}

/// Goes from a trusted point to a block: certified by more than 2/3 of its own set, and either right after the
/// trusted height and voted on by the set named there, or signed by more than 1/3 of the trusted set's power.
///
/// The same block again is accepted. Power is counted over the certificate's signatures, each of which verified.
///
/// # Errors
/// [`LightError::Expired`] beyond the trusting period, [`LightError::Rollback`] below the trusted height,
/// [`LightError::Fork`] with both certificates for a block that contradicts the trusted one; otherwise the check
/// that failed.
pub fn step(trusted: &Trusted, block: &LightBlock, now: TimeMillis) -> Stepped {
    step_within(trusted, block, now, Period::Binds)
}

pub(super) fn step_within(
    trusted: &Trusted,
    block: &LightBlock,
    now: TimeMillis,
    period: Period,
) -> Stepped {
    if period == Period::Binds {
        check_period(trusted, now)?;
    }
    let header = &block.head.header;
    let height = header.height;
    if height < trusted.height() {
        return Err(LightError::Rollback {
            seen: trusted.height(),
            found: height,
        });
    }
    // 1. The block in itself.
    block.check(&trusted.chain())?;
    check_not_ahead(header, now)?;
    // 2. The same height: the same block, or a fork if those signed it who signed ours.
    if height == trusted.height() {
        return same_height(trusted, block);
    }
    // 3. Right after: the set is the one named, whoever is in it.
    if height == trusted.height().next() {
        if header.validators != trusted.next_validators().hash() {
            return Err(LightError::UnknownValidators { height });
        }
        if let Some(ours) = trusted.head()
            && header.parent != ours.header.hash()
        {
            return Err(LightError::Fork {
                ours: Box::new(ours.clone()),
                theirs: Box::new(block.head.clone()),
            });
        }
    // 4. Further on: some of the trusted power signed.
    } else if !overlaps(trusted.next_validators(), block) {
        return Ok(Step::Bisect);
    }
    if header.time <= trusted.time() {
        return Err(LightError::TimeNotIncreasing { height });
    }
    Ok(Step::Accepted(Box::new(Trusted::accepting(block.clone()))))
}

pub(super) fn check_period(trusted: &Trusted, now: TimeMillis) -> Result<(), LightError> {
    match trusted.expired_by(now) {
        None => Ok(()),
        Some(over) => Err(LightError::Expired {
            age_millis: TRUSTING_PERIOD_MILLIS.saturating_add(over),
            limit_millis: TRUSTING_PERIOD_MILLIS,
        }),
    }
}

fn same_height(trusted: &Trusted, block: &LightBlock) -> Stepped {
    let height = block.height();
    let (Some(ours), Some(voters)) = (trusted.head(), trusted.validators()) else {
        // What is known of this height are its next voters alone.
        return Err(LightError::UnknownValidators { height });
    };
    if block.hash() == ours.header.hash() {
        return Ok(Step::Accepted(Box::new(trusted.clone())));
    }
    if block.validators != *voters {
        return Err(LightError::UnknownValidators { height });
    }
    Err(LightError::Fork {
        ours: Box::new(ours.clone()),
        theirs: Box::new(block.head.clone()),
    })
}

/// Whether more than a third of the set's power signed the block's certificate, which was verified.
fn overlaps(set: &ValidatorSet, block: &LightBlock) -> bool {
    let signed: u64 = block
        .head
        .certificate
        .signatures
        .iter()
        .filter_map(|(signer, _)| Some((set.get(signer)?, block.validators.get(signer)?)))
        .filter(|(known, voter)| known.key == voter.key)
        .map(|(known, _)| known.power)
        .sum();
    set.is_more_than_third(signed)
}

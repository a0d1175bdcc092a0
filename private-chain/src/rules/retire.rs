//! Rules of `Retire` and `Destroyed` (DESIGN 5.3).

use super::{Failure, ensure, refuse};
use crate::audit::{Bucket, month_of};
use crate::state::{self, Destroyed, Retired};
use crate::tx::{SignedDestroyed, SignedRetire};
use caduceus_crypto::keys::PublicKey;
use caduceus_ledger::{BlockContext, Height, Overlay, validators};

/// Why a bucket is not retired.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetireError {
    /// Entries of that month may still come.
    #[error("{bucket} may still get entries: its month must be over for a whole month")]
    Open {
        /// The bucket.
        bucket: Bucket,
    },
    /// It is retired already.
    #[error("{bucket} was retired at height {} already", since.0)]
    Already {
        /// The bucket.
        bucket: Bucket,
        /// Height of the block that retired it.
        since: Height,
    },
    /// Not signed by the hospital's identity key.
    #[error("it is not signed by the hospital's identity key")]
    NotSigned,
}

impl RetireError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            RetireError::Open { .. } => "retire_open",
            RetireError::Already { .. } => "retire_already",
            RetireError::NotSigned => "retire_not_signed",
        }
    }
}

/// Why a node's word is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DestroyedError {
    /// The bucket is not retired.
    #[error("{bucket} is not retired")]
    NotRetired {
        /// The bucket.
        bucket: Bucket,
    },
    /// Not a validator of the chain.
    #[error("{validator} is no validator of this chain")]
    NotValidator {
        /// The key.
        validator: PublicKey,
    },
    /// It has said so already.
    #[error("the validator has said so at height {} already", since.0)]
    Already {
        /// Height of the block that brought it.
        since: Height,
    },
    /// The signature does not hold.
    #[error("it is not signed by that validator")]
    NotSigned,
}

impl DestroyedError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            DestroyedError::NotRetired { .. } => "destroyed_not_retired",
            DestroyedError::NotValidator { .. } => "destroyed_not_validator",
            DestroyedError::Already { .. } => "destroyed_already",
            DestroyedError::NotSigned => "destroyed_not_signed",
        }
    }
}

/// Marks a bucket as retired. The result is empty. Entries of the month after it may be a month late
/// (`audit_month`), so nothing that is marked can get an entry any more.
pub(super) fn apply_retire(
    ctx: &BlockContext,
    tx: &SignedRetire,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let bucket = tx.bucket;
    ensure(bucket.month.saturating_add(1) < month_of(ctx.time), || {
        RetireError::Open { bucket }
    })?;
    let key = state::retired(&bucket);
    if let Some(retired) = key.get(state)? {
        return refuse(RetireError::Already {
            bucket,
            since: retired.height,
        });
    }
    let keys = state::hospital_keys().require(state)?;
    ensure(tx.is_signed_by(&ctx.chain, &keys.identity), || {
        RetireError::NotSigned
    })?;
    key.put(
        state,
        &Retired {
            height: ctx.height,
            time: ctx.time,
        },
    );
    Ok(Vec::new())
}

/// Notes a validator's word. The result is empty.
pub(super) fn apply_destroyed(
    ctx: &BlockContext,
    tx: &SignedDestroyed,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let (bucket, validator) = (tx.bucket, tx.validator);
    ensure(state::retired(&bucket).is_set(state)?, || {
        DestroyedError::NotRetired { bucket }
    })?;
    let voters = validators(state)?;
    ensure(voters.iter().any(|voter| voter.key == validator), || {
        DestroyedError::NotValidator { validator }
    })?;
    let key = state::destroyed(&bucket, &validator);
    if let Some(known) = key.get(state)? {
        return refuse(DestroyedError::Already {
            since: known.height,
        });
    }
    ensure(tx.is_signed(&ctx.chain), || DestroyedError::NotSigned)?;
    key.put(
        state,
        &Destroyed {
            height: ctx.height,
            time: ctx.time,
        },
    );
    Ok(Vec::new())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::audit::ActionClass;
    use crate::testing::{self, Chain, NOW};
    use crate::tx::Tx;

    fn bucket(months_ago: u16) -> Bucket {
        Bucket {
            class: ActionClass::ClinicalRead,
            month: month_of(NOW) - months_ago,
        }
    }

    fn retire(months_ago: u16) -> Tx {
        Tx::Retire(SignedRetire::sign(
            bucket(months_ago),
            &testing::chain(),
            &testing::identity(),
        ))
    }

    fn destroyed(voter: u8) -> Tx {
        Tx::Destroyed(SignedDestroyed::sign(
            bucket(2),
            &testing::chain(),
            &testing::secret(voter),
        ))
    }

    #[test]
    fn a_bucket_is_retired_once_when_no_entry_can_come_any_more() {
        let mut chain = Chain::new();
        chain.refuse(&retire(0), "retire_open");
        chain.refuse(&retire(1), "retire_open");
        assert!(chain.accept(&retire(2)).is_empty());
        let retired = state::retired(&bucket(2)).get(&chain).unwrap().unwrap();
        assert_eq!((retired.height, retired.time), (chain.height, NOW));
        chain.refuse(&retire(2), "retire_already");
    }

    #[test]
    fn only_the_identity_key_retires_and_only_on_this_chain() {
        let mut chain = Chain::new();
        for (id, key) in [
            (testing::chain(), testing::server()),
            (testing::other_chain(), testing::identity()),
        ] {
            let tx = SignedRetire::sign(bucket(2), &id, &key);
            chain.refuse(&Tx::Retire(tx), "retire_not_signed");
        }
    }

    #[test]
    fn each_validator_says_once_that_the_key_is_gone() {
        let mut chain = Chain::new();
        chain.refuse(&destroyed(3), "destroyed_not_retired");
        chain.accept(&retire(2));
        chain.accept(&destroyed(3));
        chain.refuse(&destroyed(3), "destroyed_already");
        chain.refuse(&destroyed(9), "destroyed_not_validator");
        let Tx::Destroyed(mut forged) = destroyed(4) else {
            panic!("it is what it was made as");
        };
        forged.validator = testing::secret(5).public();
        chain.refuse(&Tx::Destroyed(forged), "destroyed_not_signed");
        chain.accept(&destroyed(4));
        let key = state::destroyed(&bucket(2), &testing::secret(4).public());
        assert!(key.is_set(&chain).unwrap());
    }
}

//! Rules of `Suspend`.

use super::{Failure, ensure, refuse};
use crate::state;
use crate::tx::{MAX_SUSPEND_REASON_BYTES, SignedSuspend};
use caduceus_crypto::keys::PublicKey;
use caduceus_crypto::time::TimeMillis;
use caduceus_ledger::{BlockContext, Overlay};

/// Why a suspension is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuspendError {
    /// The reason is too long.
    #[error("a reason of {found} bytes, at most {limit}")]
    Reason {
        /// The limit in bytes.
        limit: usize,
        /// Bytes found.
        found: usize,
    },
    /// The key is not enrolled.
    #[error("{staff} is not enrolled")]
    Unknown {
        /// The key.
        staff: PublicKey,
    },
    /// The key is suspended already.
    #[error("{staff} was suspended at {since} already")]
    Already {
        /// The key.
        staff: PublicKey,
        /// Block time of the suspension.
        since: TimeMillis,
    },
    /// Not signed by the hospital's identity key.
    #[error("the suspension is not signed by the hospital's identity key")]
    NotSigned,
}

impl SuspendError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            SuspendError::Reason { .. } => "suspend_reason",
            SuspendError::Unknown { .. } => "suspend_unknown",
            SuspendError::Already { .. } => "suspend_already",
            SuspendError::NotSigned => "suspend_not_signed",
        }
    }
}

/// Applies a suspension. The result is empty.
pub(super) fn apply(
    ctx: &BlockContext,
    tx: &SignedSuspend,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let staff = tx.body.staff;
    let found = tx.body.reason.len();
    ensure(found <= MAX_SUSPEND_REASON_BYTES, || SuspendError::Reason {
        limit: MAX_SUSPEND_REASON_BYTES,
        found,
    })?;
    let key = state::staff(&staff);
    let Some(mut record) = key.get(state)? else {
        return refuse(SuspendError::Unknown { staff });
    };
    if let Some(since) = record.suspended_at {
        return refuse(SuspendError::Already { staff, since });
    }
    let keys = state::hospital_keys().require(state)?;
    ensure(tx.is_signed_by(&ctx.chain, &keys.identity), || {
        SuspendError::NotSigned
    })?;
    record.suspended_at = Some(ctx.time);
    key.put(state, &record);
    Ok(Vec::new())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::{self, Chain, NOW};
    use crate::tx::{Role, Suspend, Tx};

    fn body() -> Suspend {
        Suspend {
            staff: testing::secret(20).public(),
            reason: "stolen workstation".into(),
        }
    }

    fn signed(body: Suspend) -> Tx {
        Tx::Suspend(body.sign(&testing::chain(), &testing::identity()))
    }

    fn chain() -> Chain {
        let mut chain = Chain::new();
        chain.enrol(&testing::secret(20), Role::Nurse);
        chain
    }

    #[test]
    fn the_hospital_suspends() {
        let mut chain = chain();
        assert!(chain.accept(&signed(body())).is_empty());
        let record = state::staff(&body().staff).get(&chain).unwrap().unwrap();
        assert_eq!(record.suspended_at, Some(NOW));
    }

    #[test]
    fn reason_must_be_short() {
        let reason = "x".repeat(MAX_SUSPEND_REASON_BYTES + 1);
        chain().refuse(&signed(Suspend { reason, ..body() }), "suspend_reason");
    }

    #[test]
    fn only_the_enrolled_can_be_suspended() {
        let stranger = Suspend {
            staff: testing::secret(21).public(),
            ..body()
        };
        chain().refuse(&signed(stranger), "suspend_unknown");
    }

    #[test]
    fn nobody_is_suspended_twice() {
        let mut chain = chain();
        chain.accept(&signed(body()));
        chain.refuse(
            &signed(Suspend {
                reason: String::new(),
                ..body()
            }),
            "suspend_already",
        );
    }

    #[test]
    fn only_the_identity_key_suspends_and_only_on_this_chain() {
        let by_server = Tx::Suspend(body().sign(&testing::chain(), &testing::server()));
        chain().refuse(&by_server, "suspend_not_signed");
        let elsewhere = Tx::Suspend(body().sign(&testing::other_chain(), &testing::identity()));
        chain().refuse(&elsewhere, "suspend_not_signed");
    }
}

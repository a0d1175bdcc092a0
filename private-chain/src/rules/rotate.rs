//! Rules of `Rotate`.

use super::{Failure, ensure, refuse};
use crate::state::{self, FormerServer, HospitalKeys};
use crate::tx::{MAX_GRACE_MILLIS, SignedRotate};
use caduceus_crypto::keys::PublicKey;
use caduceus_crypto::time::TimeMillis;
use caduceus_ledger::{BlockContext, Overlay};

/// Why a change of the hospital's keys is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotateError {
    /// Signed at another place in the order of changes.
    #[error("the change is number {found}, number {expected} is next")]
    Generation {
        /// The next number.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// One key for both duties: a stolen server could then enrol staff.
    #[error("identity and server must be two keys")]
    OneKey,
    /// Both keys are those that count already.
    #[error("these are the hospital's keys already")]
    Same,
    /// The new key is that of a person.
    #[error("{key} is enrolled as staff")]
    StaffKey {
        /// The key.
        key: PublicKey,
    },
    /// The old server key would count for too long.
    #[error("the old server key would count for {found} ms, at most {limit} ms are allowed")]
    Grace {
        /// The limit.
        limit: u64,
        /// Milliseconds found.
        found: u64,
    },
    /// Not signed by the identity key that counts.
    #[error("the change is not signed by the hospital's identity key")]
    NotSigned,
    /// A new key did not sign: perhaps nobody holds it.
    #[error("the change is not signed by both new keys")]
    NotAccepted,
}

impl RotateError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            RotateError::Generation { .. } => "rotate_generation",
            RotateError::OneKey => "rotate_one_key",
            RotateError::Same => "rotate_same",
            RotateError::StaffKey { .. } => "rotate_staff_key",
            RotateError::Grace { .. } => "rotate_grace",
            RotateError::NotSigned => "rotate_not_signed",
            RotateError::NotAccepted => "rotate_not_accepted",
        }
    }
}

/// Changes the hospital's keys. The result is empty.
pub(super) fn apply(
    ctx: &BlockContext,
    tx: &SignedRotate,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let key = state::hospital_keys();
    let old = key.require(state)?;
    let body = &tx.body;
    let (expected, found) = (old.generation, body.generation);
    ensure(found == expected, || RotateError::Generation {
        expected,
        found,
    })?;
    ensure(body.identity != body.server, || RotateError::OneKey)?;
    ensure(
        body.identity != old.identity || body.server != old.server,
        || RotateError::Same,
    )?;
    ensure(body.grace_millis <= MAX_GRACE_MILLIS, || {
        RotateError::Grace {
            limit: MAX_GRACE_MILLIS,
            found: body.grace_millis,
        }
    })?;
    for key in [body.identity, body.server] {
        if state::staff(&key).is_set(state)? {
            return refuse(RotateError::StaffKey { key });
        }
    }
    ensure(tx.is_signed_by(&ctx.chain, &old.identity), || {
        RotateError::NotSigned
    })?;
    ensure(tx.is_accepted(&ctx.chain), || RotateError::NotAccepted)?;
    // Where the server key stays, so does what is left of the grace before.
    let former = if body.server == old.server {
        old.former
    } else {
        Some(FormerServer {
            key: old.server,
            until: TimeMillis(ctx.time.0.saturating_add(body.grace_millis)),
        })
    };
    key.put(
        state,
        &HospitalKeys {
            generation: expected + 1,
            identity: body.identity,
            server: body.server,
            former,
        },
    );
    Ok(Vec::new())
}

#[cfg(test)]
mod tests;

//! Rules of `EmergencyKey`.

use super::{Failure, Rule, ensure, refuse};
use crate::state;
use crate::tx::SignedEmergencyKey;
use caduceus_crypto::emergency::EmergencyKeyError as KeyError;
use caduceus_crypto::keys::PublicKey;
use caduceus_ledger::{BlockContext, Overlay};

/// Why an emergency key is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmergencyKeyError {
    /// Not the next one of the hospital's.
    #[error("the emergency key is number {found}, number {expected} is next")]
    Generation {
        /// The next number.
        expected: u32,
        /// The number found.
        found: u32,
    },
    /// Its numbers, officers or shares are such as no key may have.
    #[error(transparent)]
    Form(KeyError),
    /// An officer is no member of staff.
    #[error("officer {officer} is not enrolled")]
    OfficerUnknown {
        /// Her key.
        officer: PublicKey,
    },
    /// An officer is suspended, or her enrolment does not hold now.
    #[error("officer {officer} is suspended, or her enrolment does not hold now")]
    OfficerInactive {
        /// Her key.
        officer: PublicKey,
    },
    /// Not signed by the identity key that counts.
    #[error("the emergency key is not signed by the hospital's identity key")]
    NotSigned,
}

impl EmergencyKeyError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            EmergencyKeyError::Generation { .. } => "emergency_key_generation",
            EmergencyKeyError::Form(form) => match form {
                KeyError::TooManyOfficers { .. } => "emergency_key_too_many_officers",
                KeyError::Threshold { .. } => "emergency_key_threshold",
                KeyError::OfficerTwice { .. } => "emergency_key_officer_twice",
                KeyError::ZeroShare { .. } => "emergency_key_zero_share",
                _ => "emergency_key_form",
            },
            EmergencyKeyError::OfficerUnknown { .. } => "emergency_key_officer_unknown",
            EmergencyKeyError::OfficerInactive { .. } => "emergency_key_officer_inactive",
            EmergencyKeyError::NotSigned => "emergency_key_not_signed",
        }
    }
}

/// Names the emergency key. Those before stay: their officers still open what was wrapped under them. The result is
/// empty.
pub(super) fn apply(
    ctx: &BlockContext,
    tx: &SignedEmergencyKey,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let newest = state::emergency_generation();
    let body = &tx.body;
    let expected = newest.get(state)?.unwrap_or(0).saturating_add(1);
    let found = body.generation;
    ensure(found == expected, || EmergencyKeyError::Generation {
        expected,
        found,
    })?;
    body.check()
        .map_err(|form| Failure::Rule(Rule::EmergencyKey(EmergencyKeyError::Form(form))))?;
    for officer in &body.officers {
        let officer = *officer;
        let Some(record) = state::staff(&officer).get(state)? else {
            return refuse(EmergencyKeyError::OfficerUnknown { officer });
        };
        ensure(
            record.suspended_at.is_none() && record.covers(ctx.time),
            || EmergencyKeyError::OfficerInactive { officer },
        )?;
    }
    let identity = state::hospital_keys().require(state)?.identity;
    ensure(tx.is_signed_by(&ctx.chain, &identity), || {
        EmergencyKeyError::NotSigned
    })?;
    state::emergency_key(found).put(state, tx);
    newest.put(state, &found);
    Ok(Vec::new())
}

#[cfg(test)]
mod tests;

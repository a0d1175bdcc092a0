//! What `verify` tells her besides findings: what may be wrong, and is not shown to be.

use caduceus_crypto::{Hash, HospitalId, TimeMillis};
use std::fmt;

/// Something to keep an eye on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The hospital.
    pub hospital: HospitalId,
    /// Its name.
    pub name: String,
    /// The record's hash.
    pub record_hash: Hash,
    /// What about it.
    pub caution: Caution,
}

/// What may be wrong with a record. Displayed: the detail, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Caution {
    /// Promised by a receipt, and not linked yet, a short while after the deadline. It is not reported: the
    /// hospital, or the alliance, may merely be slow.
    Late {
        /// The deadline.
        deadline: TimeMillis,
    },
    /// The hospital's log says that it was stored, it is not linked, and there is no receipt for it. The log speaks
    /// before the upload ends: it may have come to nothing.
    Unconfirmed {
        /// When it was stored, as the log says.
        stored: TimeMillis,
        /// Why there is no receipt.
        reason: String,
    },
}

impl Caution {
    /// Short name, for programs.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Caution::Late { .. } => "late",
            Caution::Unconfirmed { .. } => "unconfirmed",
        }
    }
}

impl fmt::Display for Caution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Caution::Late { deadline } => write!(
                f,
                "promised to be linked by {deadline}, and late: verify again in half an hour"
            ),
            Caution::Unconfirmed { stored, reason } => write!(
                f,
                "the hospital's log says that it was to be stored at {stored}; it is not linked, and no receipt \
                 confirms it ({reason})"
            ),
        }
    }
}

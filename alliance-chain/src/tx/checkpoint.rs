//! `Checkpoint`: consecutive headers of a private chain with a certificate on the last (DESIGN 6.2).
//!
//! The certificate is the authority: whoever has it may submit it.

use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::keys::HospitalId;
use caduceus_ledger::{Certificate, Header, ValidatorSet};

/// Most headers in one checkpoint: at most 190 kB.
pub const MAX_CHECKPOINT_HEADERS: usize = 512;

/// Headers of one hospital's private chain.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Checkpoint {
    /// The hospital.
    pub hospital: HospitalId,
    /// Consecutive headers, 1 to [`MAX_CHECKPOINT_HEADERS`], from the height after the last checkpointed one.
    pub headers: Vec<Header>,
    /// Certificate on the last header.
    pub certificate: Certificate,
    /// The set that the last header names for the next height; present exactly if it differs from the current
    /// one. A change of validators therefore ends a checkpoint.
    pub next_validators: Option<ValidatorSet>,
}

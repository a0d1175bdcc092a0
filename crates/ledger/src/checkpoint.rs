//! What one chain proves of another: the newest header of a private chain that the alliance has on record.
//!
//! The two chains never import each other. They meet as data: the alliance writes this value under this key of its
//! authenticated state, and whoever holds a private chain asks for it with a proof and compares.

use crate::types::Height;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, HospitalId, TimeMillis};

/// Prefix of the state keys of [`CheckpointHead`].
pub const HEAD_PREFIX: &str = "head/";

/// The newest checkpointed header of a private chain. Bytes: height (8), hash (32), time (8), recorded at (8);
/// integers little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CheckpointHead {
    /// Its private height.
    pub height: Height,
    /// Its hash.
    pub hash: Hash,
    /// Its time on the private chain.
    pub time: TimeMillis,
    /// Alliance block time of the checkpoint.
    pub recorded_at: TimeMillis,
}

/// The key under which the alliance proves a hospital's [`CheckpointHead`]: the prefix and the identifier.
pub fn head_key(hospital: &HospitalId) -> Vec<u8> {
    [HEAD_PREFIX.as_bytes(), &hospital.0].concat()
}

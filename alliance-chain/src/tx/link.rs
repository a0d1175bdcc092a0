//! `Link`: all anchors of one private block (DESIGN 2.2, 6.2).
//!
//! The leaves are the preimage of the checkpointed header's `anchors_root`: whoever has them may submit them.
//!
//! # Leakage
//! Pseudonyms, record hashes and index entries become known to all members; entries and pseudonyms of two records
//! of one patient can't be linked without a trapdoor or the view key.

use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::evidence::AnchorLeaf;
use caduceus_crypto::keys::HospitalId;
use caduceus_ledger::Height;

/// The anchors of one private block.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Link {
    /// The hospital.
    pub hospital: HospitalId,
    /// Height of the private block.
    pub height: Height,
    /// Every anchor of that block, by position.
    pub leaves: Vec<AnchorLeaf>,
}

impl Link {
    /// The first byte of such a transaction: the place of `Link` in [`super::Tx`].
    pub(crate) const VARIANT: u8 = 4;
}

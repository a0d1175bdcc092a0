//! Transactions of the private chain, one kind per file (DESIGN 5.1).
//!
//! A transaction's bytes are the borsh of [`Tx`]; its identifier is `caduceus_ledger::tx_id` of them. Every
//! signature covers the chain identifier, so a transaction is worth nothing on another chain.

pub mod amend;
pub mod anchor;
pub mod audit;
pub mod emergency_key;
pub mod enrol;
pub mod policy;
pub mod retire;
pub mod rotate;
pub mod suspend;
pub mod validators;

use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use caduceus_crypto::codec::{self, DecodeError};
use caduceus_ledger::block::MAX_TX_BYTES;
use caduceus_ledger::{ChainId, tx_id};

pub use amend::AmendTx;
pub use anchor::AnchorTx;
pub use audit::{BATCH_BYTES, MAX_ENTRIES_PER_TX};
pub use emergency_key::SignedEmergencyKey;
pub use enrol::{Enrol, MAX_LABEL_BYTES, Role, SignedEnrol};
pub use policy::{MAX_POLICY_LEAD, Policy, SignedPolicy};
pub use retire::{SignedDestroyed, SignedRetire};
pub use rotate::{MAX_GRACE_MILLIS, Rotate, SignedRotate};
pub use suspend::{MAX_SUSPEND_REASON_BYTES, SignedSuspend, Suspend};
pub use validators::{SignedValidators, Validators};

use crate::audit::AuditBatch;

/// A transaction as it travels: nothing is verified yet.
// Decoded one at a time and dropped after execution, so a box per anchor would gain nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Tx {
    /// Enrols a member of staff, or renews an enrolment.
    Enrol(SignedEnrol),
    /// Suspends a member of staff for good.
    Suspend(SignedSuspend),
    /// Anchors a record that the vault stores.
    Anchor(AnchorTx),
    /// Appends audit entries, in order.
    Audit(AuditBatch),
    /// Anchors a record that replaces an earlier one.
    Amend(AmendTx),
    /// Names the voters of the chain.
    Validators(SignedValidators),
    /// Changes the hospital's identity and server key.
    Rotate(SignedRotate),
    /// Has a retention bucket forgotten.
    Retire(SignedRetire),
    /// A validator's word that it has forgotten one.
    Destroyed(SignedDestroyed),
    /// Puts a policy set in force from a height on.
    Policy(SignedPolicy),
    /// Names the hospital's emergency key.
    EmergencyKey(SignedEmergencyKey),
}

impl Tx {
    /// Reads exactly one transaction of at most [`MAX_TX_BYTES`].
    ///
    /// # Errors
    /// [`DecodeError`] when too long, malformed, or not the canonical encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_exact(bytes, MAX_TX_BYTES)
    }

    /// The bytes that travel and that blocks hold.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The identifier.
    pub fn id(&self) -> Hash {
        tx_id(&self.encode())
    }
}

/// The bytes under a signature: borsh of (chain, body).
pub(crate) fn signed_payload<T: BorshSerialize>(chain: &ChainId, body: &T) -> Vec<u8> {
    codec::encode(&(chain, body))
}

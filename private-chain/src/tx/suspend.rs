//! `Suspend`: the hospital's identity key withdraws a person's key, at once and for good.

use super::signed_payload;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::domain;
use caduceus_crypto::keys::{PublicKey, SecretKey, Signature};
use caduceus_ledger::ChainId;

/// Longest reason, in bytes of UTF-8.
pub const MAX_SUSPEND_REASON_BYTES: usize = 140;

/// Whose key, and why.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Suspend {
    /// The enrolled key.
    pub staff: PublicKey,
    /// Reason for people, at most [`MAX_SUSPEND_REASON_BYTES`]; may be empty.
    pub reason: String,
}

/// A [`Suspend`] with a claimed signature of the hospital's identity key.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedSuspend {
    /// What is said.
    pub body: Suspend,
    /// Identity key's signature over (chain, body).
    pub signature: Signature,
}

impl Suspend {
    /// Signs as the hospital.
    pub fn sign(self, chain: &ChainId, identity: &SecretKey) -> SignedSuspend {
        let signature = identity.sign(domain::SUSPEND, &signed_payload(chain, &self));
        SignedSuspend {
            body: self,
            signature,
        }
    }
}

impl SignedSuspend {
    /// Whether this identity key signed this body for this chain.
    pub fn is_signed_by(&self, chain: &ChainId, identity: &PublicKey) -> bool {
        identity
            .verify(
                domain::SUSPEND,
                &signed_payload(chain, &self.body),
                &self.signature,
            )
            .is_ok()
    }
}

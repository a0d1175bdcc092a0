//! `Policy`: the hospital's identity key puts a policy set in force from a height on (DESIGN 5.2).

use super::signed_payload;
use crate::policy::{Limits, Retention};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::domain;
use caduceus_crypto::keys::{PublicKey, SecretKey, Signature};
use caduceus_ledger::{ChainId, Height};

/// Most blocks between a proposal and the height from which it is in force.
pub const MAX_POLICY_LEAD: u64 = 100_000;

/// A policy set and what goes with it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Policy {
    /// Number of proposals before this one: makes a signature worth nothing a second time.
    pub generation: u64,
    /// The policies, in Cedar; at most [`MAX_TEXT_BYTES`](crate::policy::MAX_TEXT_BYTES).
    pub text: String,
    /// How many actions.
    pub limits: Limits,
    /// How long audit entries are kept.
    pub retention: Retention,
    /// First height that it judges: after this block, and within [`MAX_POLICY_LEAD`].
    pub applies_at: Height,
}

/// A [`Policy`] with a claimed signature of the hospital's identity key.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedPolicy {
    /// What is said.
    pub body: Policy,
    /// Identity key's signature over (chain, body).
    pub signature: Signature,
}

impl Policy {
    /// Signs as the hospital.
    pub fn sign(self, chain: &ChainId, identity: &SecretKey) -> SignedPolicy {
        let signature = identity.sign(domain::POLICY, &signed_payload(chain, &self));
        SignedPolicy {
            body: self,
            signature,
        }
    }
}

impl SignedPolicy {
    /// Whether this identity key signed this body for this chain.
    pub fn is_signed_by(&self, chain: &ChainId, identity: &PublicKey) -> bool {
        let payload = signed_payload(chain, &self.body);
        identity
            .verify(domain::POLICY, &payload, &self.signature)
            .is_ok()
    }
}

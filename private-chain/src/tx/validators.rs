//! `Validators`: the hospital's identity key names the voters of its chain.

use super::signed_payload;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::domain;
use caduceus_crypto::keys::{PublicKey, SecretKey, Signature};
use caduceus_ledger::{ChainId, ValidatorSet};

/// The voters from the next height on.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Validators {
    /// Number of changes of voters and keys before this one: makes a signature worth nothing a second time.
    pub generation: u64,
    /// The whole set.
    pub set: ValidatorSet,
}

/// A [`Validators`] with a claimed signature of the hospital's identity key.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedValidators {
    /// What is said.
    pub body: Validators,
    /// Identity key's signature over (chain, body).
    pub signature: Signature,
}

impl Validators {
    /// Signs as the hospital.
    pub fn sign(self, chain: &ChainId, identity: &SecretKey) -> SignedValidators {
        let signature = identity.sign(domain::PRIVATE_VALIDATORS, &signed_payload(chain, &self));
        SignedValidators {
            body: self,
            signature,
        }
    }
}

impl SignedValidators {
    /// Whether this identity key signed this body for this chain.
    pub fn is_signed_by(&self, chain: &ChainId, identity: &PublicKey) -> bool {
        let payload = signed_payload(chain, &self.body);
        identity
            .verify(domain::PRIVATE_VALIDATORS, &payload, &self.signature)
            .is_ok()
    }
}

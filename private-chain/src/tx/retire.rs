//! `Retire`: a retention bucket's key is to be destroyed on every node; `Destroyed`: a node says that it has done so
//! (DESIGN 5.3).

use super::signed_payload;
use crate::audit::Bucket;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::domain;
use caduceus_crypto::keys::{PublicKey, SecretKey, Signature};
use caduceus_ledger::ChainId;

/// A bucket to forget, with a claimed signature of the hospital's identity key. Bytes: bucket 3, signature 64.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedRetire {
    /// The bucket.
    pub bucket: Bucket,
    /// Identity key's signature over (chain, bucket).
    pub signature: Signature,
}

impl SignedRetire {
    /// Signs as the hospital.
    pub fn sign(bucket: Bucket, chain: &ChainId, identity: &SecretKey) -> Self {
        Self {
            bucket,
            signature: identity.sign(domain::RETIRE, &signed_payload(chain, &bucket)),
        }
    }

    /// Whether this identity key signed it for this chain.
    pub fn is_signed_by(&self, chain: &ChainId, identity: &PublicKey) -> bool {
        identity
            .verify(
                domain::RETIRE,
                &signed_payload(chain, &self.bucket),
                &self.signature,
            )
            .is_ok()
    }
}

/// A validator's claim that it has no key of a retired bucket any more. Bytes: bucket 3, validator 33, signature 64.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedDestroyed {
    /// The bucket.
    pub bucket: Bucket,
    /// The validator.
    pub validator: PublicKey,
    /// Its signature over (chain, bucket, validator).
    pub signature: Signature,
}

impl SignedDestroyed {
    /// Signs as a validator.
    pub fn sign(bucket: Bucket, chain: &ChainId, validator: &SecretKey) -> Self {
        let key = validator.public();
        Self {
            bucket,
            validator: key,
            signature: validator.sign(domain::DESTROYED, &signed_payload(chain, &(bucket, key))),
        }
    }

    /// Whether the validator signed it for this chain.
    pub fn is_signed(&self, chain: &ChainId) -> bool {
        self.validator
            .verify(
                domain::DESTROYED,
                &signed_payload(chain, &(self.bucket, self.validator)),
                &self.signature,
            )
            .is_ok()
    }
}

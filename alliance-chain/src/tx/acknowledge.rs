//! `Acknowledge`: a data user says how an access was served, and so who earned what it paid (DESIGN 6.4).
//!
//! # Leakage
//! Every member learns which proxies answered and whether the record came in time; that the access took place is on
//! the chain already.

use super::signed_payload;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use caduceus_crypto::domain;
use caduceus_crypto::keys::{PublicKey, SecretKey, Signature};
use caduceus_ledger::ChainId;

/// A record is on time that opened within this many milliseconds of the access's commitment: THREATS.md's 30 s,
/// within which a record is served or its hospital reported.
pub const ON_TIME_MILLIS: u64 = 30_000;

/// How an access was served, by the word of its data user.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Acknowledge {
    /// The access ticket.
    pub access: Hash,
    /// The proxies whose fragments opened the record, by their index in the grant; rising, at most its threshold.
    pub proxies: Vec<u8>,
    /// Whether the record came within [`ON_TIME_MILLIS`].
    pub on_time: bool,
}

/// An [`Acknowledge`] with a claimed signature of the access's data user.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedAcknowledge {
    /// What is said.
    pub body: Acknowledge,
    /// Data user's signature over (chain, body).
    pub signature: Signature,
}

impl Acknowledge {
    /// Signs as the data user.
    pub fn sign(self, chain: &ChainId, data_user: &SecretKey) -> SignedAcknowledge {
        let signature = data_user.sign(domain::ACKNOWLEDGE, &signed_payload(chain, &self));
        SignedAcknowledge {
            body: self,
            signature,
        }
    }
}

impl SignedAcknowledge {
    /// Whether this data user signed this body for this chain.
    pub fn is_signed_by(&self, chain: &ChainId, data_user: &PublicKey) -> bool {
        data_user
            .verify(
                domain::ACKNOWLEDGE,
                &signed_payload(chain, &self.body),
                &self.signature,
            )
            .is_ok()
    }
}

//! `Grant`: a patient lets one data user open one record, through the proxies (DESIGN 2.4, 3.6).
//!
//! # Leakage
//! Every member learns that the owner of this pseudonym granted this record to this data user, and until when.
//! The purpose is a commitment; grants of two records show nothing in common but the data user.

use super::signed_payload;
use crate::state::RecordRef;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use caduceus_crypto::domain;
use caduceus_crypto::keys::{HospitalId, PublicKey, SecretKey, Signature};
use caduceus_crypto::time::{MILLIS_PER_DAY, TimeMillis};
use caduceus_ledger::ChainId;

/// Longest life of a grant, in days.
pub const MAX_GRANT_DAYS: u64 = 90;
/// Longest life of a grant, in milliseconds.
pub const MAX_GRANT_MILLIS: u64 = MAX_GRANT_DAYS * MILLIS_PER_DAY;

/// What is granted. Notation of DESIGN 3: P pseudonym, D delegating key.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Grant {
    /// The data user's signing key: the only one that gets access tickets.
    pub data_user: PublicKey,
    /// The data user's Umbral receiving key.
    pub receiving: PublicKey,
    /// Salted commitment to the purpose.
    pub purpose_commitment: Hash,
    /// The hospital that holds the record.
    pub hospital: HospitalId,
    /// The record's place on the hospital's private chain.
    pub record: RecordRef,
    /// The record's hash.
    pub record_hash: Hash,
    /// P: the record's pseudonym point, whose owner signs.
    pub pseudonym: PublicKey,
    /// D: the record's delegating key.
    pub delegating: PublicKey,
    /// The grant's fresh Umbral signer; the signature under P endorses it.
    pub verifying: PublicKey,
    /// When the grant ends, at most [`MAX_GRANT_DAYS`] after the block.
    pub expires: TimeMillis,
    /// The proxies that get a fragment each, by key.
    pub proxies: Vec<PublicKey>,
    /// Fragments needed to open, 1 to the number of proxies.
    pub threshold: u8,
    /// Salted commitment to each proxy's fragment, in the order of `proxies`.
    pub fragment_commitments: Vec<Hash>,
}

/// A [`Grant`] with a claimed signature under P. Its identifier is that of its transaction.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedGrant {
    /// What is granted.
    pub body: Grant,
    /// Signature under P over (chain, body).
    pub signature: Signature,
}

impl Grant {
    /// How many of its proxies are among these: with fewer than the threshold nobody opens the record through it.
    pub fn proxies_among(&self, present: &[PublicKey]) -> usize {
        self.proxies
            .iter()
            .filter(|proxy| present.contains(proxy))
            .count()
    }

    /// Signs with the one-time secret p of the record.
    pub fn sign(self, chain: &ChainId, one_time: &SecretKey) -> SignedGrant {
        let signature = one_time.sign(domain::GRANT, &signed_payload(chain, &self));
        SignedGrant {
            body: self,
            signature,
        }
    }
}

impl SignedGrant {
    /// Whether the pseudonym in the body signed it for this chain.
    pub fn is_signed(&self, chain: &ChainId) -> bool {
        self.body
            .pseudonym
            .verify(
                domain::GRANT,
                &signed_payload(chain, &self.body),
                &self.signature,
            )
            .is_ok()
    }
}

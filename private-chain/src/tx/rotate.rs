//! `Rotate`: the hospital changes its identity and server key on its chain. The old identity key decides, both new
//! keys show that somebody holds them.

use super::signed_payload;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::domain;
use caduceus_crypto::keys::{PublicKey, SecretKey, Signature};
use caduceus_ledger::ChainId;

/// Longest time for which the server key before counts on: 7 days in milliseconds.
pub const MAX_GRACE_MILLIS: u64 = 7 * 24 * 3_600_000;

/// The new keys.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Rotate {
    /// Number of changes of voters and keys before this one: makes a signature worth nothing a second time.
    pub generation: u64,
    /// New identity key; the old one signs nothing from now on.
    pub identity: PublicKey,
    /// New server key; the present one may stay.
    pub server: PublicKey,
    /// How long, in milliseconds of block time, the old server key goes on to sign audit entries and vault
    /// receipts, so that what is under way arrives: 0 for a stolen key, at most [`MAX_GRACE_MILLIS`].
    pub grace_millis: u64,
}

/// A [`Rotate`] with three claimed signatures over (chain, body).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedRotate {
    /// What is said.
    pub body: Rotate,
    /// That of the identity key until now.
    pub signature: Signature,
    /// That of the new identity key.
    pub identity_accepts: Signature,
    /// That of the new server key.
    pub server_accepts: Signature,
}

impl Rotate {
    /// Signs with the old identity key and both new keys.
    pub fn sign(
        self,
        chain: &ChainId,
        old_identity: &SecretKey,
        identity: &SecretKey,
        server: &SecretKey,
    ) -> SignedRotate {
        let payload = signed_payload(chain, &self);
        SignedRotate {
            signature: old_identity.sign(domain::ROTATE, &payload),
            identity_accepts: identity.sign(domain::ROTATE_ACCEPT, &payload),
            server_accepts: server.sign(domain::ROTATE_ACCEPT, &payload),
            body: self,
        }
    }
}

impl SignedRotate {
    /// Whether this identity key decided it, for this chain.
    pub fn is_signed_by(&self, chain: &ChainId, identity: &PublicKey) -> bool {
        let payload = signed_payload(chain, &self.body);
        identity
            .verify(domain::ROTATE, &payload, &self.signature)
            .is_ok()
    }

    /// Whether both new keys signed, for this chain.
    pub fn is_accepted(&self, chain: &ChainId) -> bool {
        let payload = signed_payload(chain, &self.body);
        let accepts = |key: &PublicKey, signature: &Signature| {
            key.verify(domain::ROTATE_ACCEPT, &payload, signature)
                .is_ok()
        };
        accepts(&self.body.identity, &self.identity_accepts)
            && accepts(&self.body.server, &self.server_accepts)
    }
}

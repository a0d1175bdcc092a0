//! `EmergencyKey`: the hospital names its emergency key and the officers who hold its shares (DESIGN 3.7).

use super::signed_payload;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::domain;
use caduceus_crypto::emergency::EmergencyKey;
use caduceus_crypto::keys::{PublicKey, SecretKey, Signature};
use caduceus_ledger::ChainId;

/// An [`EmergencyKey`] with a claimed signature of the hospital's identity key. Its generation makes the signature
/// worth nothing a second time.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedEmergencyKey {
    /// What is said.
    pub body: EmergencyKey,
    /// Identity key's signature over (chain, body).
    pub signature: Signature,
}

impl SignedEmergencyKey {
    /// Signs as the hospital.
    pub fn sign(body: EmergencyKey, chain: &ChainId, identity: &SecretKey) -> Self {
        let signature = identity.sign(domain::EMERGENCY_KEY_SET, &signed_payload(chain, &body));
        Self { body, signature }
    }

    /// Whether this identity key signed this body for this chain.
    pub fn is_signed_by(&self, chain: &ChainId, identity: &PublicKey) -> bool {
        let payload = signed_payload(chain, &self.body);
        identity
            .verify(domain::EMERGENCY_KEY_SET, &payload, &self.signature)
            .is_ok()
    }
}

//! `Issuer`: the key under which a member blindly signs search tokens (DESIGN 2.1, RFC 9474).

use super::signed_payload;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::domain;
use caduceus_crypto::keys::{HospitalId, PublicKey, SecretKey, Signature};
use caduceus_crypto::token::IssuerPublicKey;
use caduceus_ledger::ChainId;

/// A member's newest token key. Tokens of the key before it stay good until the next change.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Issuer {
    /// The member.
    pub member: HospitalId,
    /// Its token key.
    pub key: IssuerPublicKey,
}

/// An [`Issuer`] with a claimed signature of the member's identity key.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedIssuer {
    /// What is said.
    pub body: Issuer,
    /// Identity key's signature over (chain, body).
    pub signature: Signature,
}

impl Issuer {
    /// Signs as the member.
    pub fn sign(self, chain: &ChainId, identity: &SecretKey) -> SignedIssuer {
        let signature = identity.sign(domain::ISSUER, &signed_payload(chain, &self));
        SignedIssuer {
            body: self,
            signature,
        }
    }
}

impl SignedIssuer {
    /// Whether this identity key signed this body for this chain.
    pub fn is_signed_by(&self, chain: &ChainId, identity: &PublicKey) -> bool {
        identity
            .verify(
                domain::ISSUER,
                &signed_payload(chain, &self.body),
                &self.signature,
            )
            .is_ok()
    }
}

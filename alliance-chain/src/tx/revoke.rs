//! `Revoke`: a patient ends a grant; proxies erase their fragments (DESIGN 2.4).

use super::signed_payload;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use caduceus_crypto::domain;
use caduceus_crypto::keys::{PublicKey, SecretKey, Signature};
use caduceus_ledger::ChainId;

/// Which grant ends.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Revoke {
    /// The grant.
    pub grant: Hash,
}

/// A [`Revoke`] with a claimed signature under the grant's pseudonym.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedRevoke {
    /// Which grant ends.
    pub body: Revoke,
    /// Signature under P over (chain, body).
    pub signature: Signature,
}

impl Revoke {
    /// Signs with the one-time secret p of the record.
    pub fn sign(self, chain: &ChainId, one_time: &SecretKey) -> SignedRevoke {
        let signature = one_time.sign(domain::REVOKE, &signed_payload(chain, &self));
        SignedRevoke {
            body: self,
            signature,
        }
    }
}

impl SignedRevoke {
    /// Whether this pseudonym signed this body for this chain.
    pub fn is_signed_by(&self, chain: &ChainId, pseudonym: &PublicKey) -> bool {
        pseudonym
            .verify(
                domain::REVOKE,
                &signed_payload(chain, &self.body),
                &self.signature,
            )
            .is_ok()
    }
}

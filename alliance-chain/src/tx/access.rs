//! `Access`: a data user's ticket; only once it is committed do proxies answer (DESIGN 2.4).

use super::signed_payload;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use caduceus_crypto::domain;
use caduceus_crypto::keys::{PublicKey, SecretKey, Signature};
use caduceus_ledger::ChainId;

/// What is to be accessed.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Access {
    /// The grant.
    pub grant: Hash,
    /// Random, so that each ticket is its own transaction.
    pub nonce: [u8; 32],
}

/// An [`Access`] with a claimed signature of the grant's data user. Its identifier is that of its transaction.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedAccess {
    /// What is to be accessed.
    pub body: Access,
    /// Data user's signature over (chain, body).
    pub signature: Signature,
}

impl Access {
    /// Signs as the data user.
    pub fn sign(self, chain: &ChainId, data_user: &SecretKey) -> SignedAccess {
        let signature = data_user.sign(domain::ACCESS, &signed_payload(chain, &self));
        SignedAccess {
            body: self,
            signature,
        }
    }
}

impl SignedAccess {
    /// Whether this data user signed this body for this chain.
    pub fn is_signed_by(&self, chain: &ChainId, data_user: &PublicKey) -> bool {
        data_user
            .verify(
                domain::ACCESS,
                &signed_payload(chain, &self.body),
                &self.signature,
            )
            .is_ok()
    }
}

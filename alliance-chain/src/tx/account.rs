//! `Account`: a member vouches for a data user (DESIGN 6.1).

use super::signed_payload;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::domain;
use caduceus_crypto::keys::{HospitalId, PublicKey, SecretKey, Signature};
use caduceus_ledger::ChainId;

/// Longest label, in bytes of UTF-8.
pub const MAX_ACCOUNT_LABEL_BYTES: usize = 128;

/// Who a data user is.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Account {
    /// The data user's signing key.
    pub data_user: PublicKey,
    /// The data user's Umbral receiving key.
    pub receiving: PublicKey,
    /// Name for people, 1 to [`MAX_ACCOUNT_LABEL_BYTES`] bytes.
    pub label: String,
    /// The member that vouches.
    pub member: HospitalId,
}

/// An [`Account`] with a claimed signature of the member's identity key.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedAccount {
    /// What is said.
    pub body: Account,
    /// Identity key's signature over (chain, body).
    pub signature: Signature,
}

impl Account {
    /// Signs as the member that vouches.
    pub fn sign(self, chain: &ChainId, identity: &SecretKey) -> SignedAccount {
        let signature = identity.sign(domain::ACCOUNT, &signed_payload(chain, &self));
        SignedAccount {
            body: self,
            signature,
        }
    }
}

impl SignedAccount {
    /// Whether this identity key signed this body for this chain.
    pub fn is_signed_by(&self, chain: &ChainId, identity: &PublicKey) -> bool {
        identity
            .verify(
                domain::ACCOUNT,
                &signed_payload(chain, &self.body),
                &self.signature,
            )
            .is_ok()
    }
}

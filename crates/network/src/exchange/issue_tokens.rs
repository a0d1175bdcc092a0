//! Have search tokens signed blindly (RFC 9474) by the hospital one is a patient of.
//!
//! Open to all, rate-limited: the signature of the card's audit key is the right, the hospital's quota of
//! tokens per card and day the bound.
//!
//! # Leakage
//! The hospital learns how many tokens a card takes and when; never which search spends them.

use super::{COMMIT_TIMEOUT, Exchange, OVERHEAD_BYTES, Reply};
use crate::bounded::byte_list;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{
    BadSignature, HospitalId, PublicKey, SecretKey, Signature, TimeMillis, domain, encode,
};
use std::time::Duration;

/// Tokens in one request.
pub const MAX_TOKENS: usize = 64;

/// Largest blinded message or signature (RSA 4096), bytes.
const MAX_RSA_BYTES: usize = 512;

/// The exchange.
pub struct IssueTokens;

/// Bytes: the fields in order. No `Debug`: the card number is the patient's secret.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct IssueTokensRequest {
    /// The hospital, so that the request is worth nothing elsewhere.
    pub hospital: HospitalId,
    /// The card's number.
    pub card: [u8; 16],
    /// The blinded messages.
    #[borsh(deserialize_with = "byte_list::<_, MAX_TOKENS, MAX_RSA_BYTES>")]
    pub blinded: Vec<Vec<u8>>,
    /// When it was signed.
    pub at: TimeMillis,
    /// By the audit key registered for the card, over all fields above.
    pub signature: Signature,
}

impl IssueTokensRequest {
    fn message(&self) -> Vec<u8> {
        encode(&(self.hospital, self.card, &self.blinded, self.at))
    }

    /// Signs with the secret of the card's audit key.
    #[must_use]
    pub fn signed_for_tokens(mut self, audit_secret: &SecretKey) -> Self {
        self.signature = audit_secret.sign(domain::ISSUE_TOKENS, &self.message());
        self
    }

    /// Checks the signature under the audit key registered for the card.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn check(&self, audit_key: &PublicKey) -> Result<(), BadSignature> {
        audit_key.verify(domain::ISSUE_TOKENS, &self.message(), &self.signature)
    }
}

/// Bytes: count, then each signature (length, bytes).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TokenSignatures {
    /// One for each blinded message, in its order.
    #[borsh(deserialize_with = "byte_list::<_, MAX_TOKENS, MAX_RSA_BYTES>")]
    pub signatures: Vec<Vec<u8>>,
}

impl Exchange for IssueTokens {
    const PROTOCOL: &'static str = "/caduceus/issue-tokens/1";
    type Request = IssueTokensRequest;
    type Response = Reply<TokenSignatures>;
    const MAX_REQUEST: usize = MAX_TOKENS * (MAX_RSA_BYTES + 4) + OVERHEAD_BYTES;
    const MAX_RESPONSE: usize = MAX_TOKENS * (MAX_RSA_BYTES + 4) + OVERHEAD_BYTES;
    const TIMEOUT: Duration = COMMIT_TIMEOUT;
}

//! What a member of staff signs of a request: a part of the requests that her workstation makes.
//!
//! The signature is over the private chain's `Statement` (who asks for what, about whom, why, when), which the server
//! puts together again from the request: of it, only what the request does not say already travels here. It goes into
//! the audit entry.
//!
//! # Leakage
//! None beyond the request's: it travels inside the encrypted connection, and is kept sealed.

use crate::bounded::text;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Signature, TimeMillis};

/// Longest purpose-of-use code, bytes.
const MAX_PURPOSE_BYTES: usize = 32;

/// Bytes: the fields in order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PersonSigned {
    /// When; a server accepts it for a few minutes.
    pub at: TimeMillis,
    /// Names the request, in the answer's audit entry too.
    pub request_id: [u8; 16],
    /// Purpose of use: an HL7 v3 PurposeOfUse code.
    #[borsh(deserialize_with = "text::<_, MAX_PURPOSE_BYTES>")]
    pub purpose: String,
    /// Random.
    pub salt: [u8; 16],
    /// Under the caller's key, over (chain, salt, statement).
    pub signature: Signature,
}

//! Hand a proxy its re-encryption key fragment for a grant.
//!
//! Open to all, rate-limited: the grant on the chain commits to the fragment, so only the grantor can open
//! the commitment. She calls from an ephemeral peer. The proxy keeps the fragment encrypted at rest, erases
//! it on revocation and expiry, and signs that it has it.
//!
//! # Leakage
//! The proxy learns the purpose of the grant. t proxies together with the data user learn the record's
//! delegating secret, which opens that record and no other.

use super::{Exchange, LOOKUP_TIMEOUT, OVERHEAD_BYTES, Reply};
use crate::bounded::{bytes, text};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, PublicKey, Signature};
use std::time::Duration;

/// Largest key fragment, bytes.
const MAX_FRAGMENT_BYTES: usize = 1024;

/// Longest purpose, bytes.
const MAX_PURPOSE_BYTES: usize = 2048;

/// The exchange.
pub struct DeliverFragments;

/// Bytes: the fields in order. No `Debug`: a fragment is a share of a secret.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct DeliverFragmentsRequest {
    /// The committed `Grant` transaction.
    pub grant: Hash,
    /// Which of the grant's commitments this fragment opens, from 0.
    pub index: u16,
    /// The key fragment, bound to the delegating and the receiving key.
    #[borsh(deserialize_with = "bytes::<_, MAX_FRAGMENT_BYTES>")]
    pub fragment: Vec<u8>,
    /// Salt of its commitment.
    pub salt: [u8; 32],
    /// What the data may be used for; the grant commits to it.
    #[borsh(deserialize_with = "text::<_, MAX_PURPOSE_BYTES>")]
    pub purpose: String,
    /// Salt of the purpose's commitment.
    pub purpose_salt: [u8; 32],
}

/// Bytes: key 33, signature 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FragmentKept {
    /// The proxy's key.
    pub proxy: PublicKey,
    /// Its signature (domain `FRAGMENT_RECEIPT`) over the grant and the fragment's commitment, 64 bytes.
    pub signature: Signature,
}

impl Exchange for DeliverFragments {
    const PROTOCOL: &'static str = "/caduceus/deliver-fragments/1";
    type Request = DeliverFragmentsRequest;
    type Response = Reply<FragmentKept>;
    const MAX_REQUEST: usize = MAX_FRAGMENT_BYTES + MAX_PURPOSE_BYTES + OVERHEAD_BYTES;
    const MAX_RESPONSE: usize = OVERHEAD_BYTES;
    const TIMEOUT: Duration = LOOKUP_TIMEOUT;
}

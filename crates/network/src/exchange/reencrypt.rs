//! Ask a proxy for a capsule fragment under a committed `Access`.
//!
//! Open to all, rate-limited: only the holder of the receiving secret can use the answer, and the access is
//! on the chain before it is given. A proxy whose head is stale answers [`Reply::Later`].
//!
//! # Leakage
//! The proxy learns when the access is used; the chain shows the access itself.

use super::{Exchange, LOOKUP_TIMEOUT, OVERHEAD_BYTES, Reply};
use crate::bounded::{bytes, text};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, PublicKey, Signature};
use std::time::Duration;

/// Largest capsule or capsule fragment, bytes.
const MAX_CAPSULE_BYTES: usize = 2048;

/// Longest purpose, bytes.
const MAX_PURPOSE_BYTES: usize = 2048;

/// The exchange.
pub struct Reencrypt;

/// Bytes: access 32, capsule (length, bytes).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ReencryptRequest {
    /// The committed `Access` transaction.
    pub access: Hash,
    /// The capsule of the record's key wrap.
    #[borsh(deserialize_with = "bytes::<_, MAX_CAPSULE_BYTES>")]
    pub capsule: Vec<u8>,
}

/// Bytes: the fields in order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Reencrypted {
    /// The capsule fragment with its proof.
    #[borsh(deserialize_with = "bytes::<_, MAX_CAPSULE_BYTES>")]
    pub capsule_fragment: Vec<u8>,
    /// The proxy's key.
    pub proxy: PublicKey,
    /// Its signature (domain `PROXY_DISCLOSURE`) over capsule, fragment and access: whom to blame.
    pub signature: Signature,
    /// What the data may be used for, as it came with the grant.
    #[borsh(deserialize_with = "text::<_, MAX_PURPOSE_BYTES>")]
    pub purpose: String,
    /// Salt of the purpose's commitment in the grant.
    pub purpose_salt: [u8; 32],
}

impl Exchange for Reencrypt {
    const PROTOCOL: &'static str = "/caduceus/reencrypt/1";
    type Request = ReencryptRequest;
    type Response = Reply<Reencrypted>;
    const MAX_REQUEST: usize = MAX_CAPSULE_BYTES + OVERHEAD_BYTES;
    const MAX_RESPONSE: usize = MAX_CAPSULE_BYTES + MAX_PURPOSE_BYTES + OVERHEAD_BYTES;
    const TIMEOUT: Duration = LOOKUP_TIMEOUT;
}

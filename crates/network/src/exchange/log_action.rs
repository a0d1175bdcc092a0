//! Have an action logged before its result is used: the key service's and the workstations' write-ahead.
//!
//! Authorised by key: the hospital's key service, or staff and the hospital's identity key about themselves. What a
//! person does is signed by her, inside the entry. The entry travels in clear inside
//! the encrypted connection; the server seals and signs it, and answers once it is in a committed block.
//!
//! # Leakage
//! The server learns the entry, which it keeps for the hospital anyway.

use super::{COMMIT_TIMEOUT, Exchange, OVERHEAD_BYTES, Reply};
use crate::bounded::bytes;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use std::time::Duration;

/// Largest entry, bytes.
const MAX_ENTRY_BYTES: usize = 4 * 1024;

/// The exchange.
pub struct LogAction;

/// Bytes: entry (length, bytes).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LogActionRequest {
    /// Borsh of the private chain's `AuditEntry`. The server overwrites role and organisation.
    #[borsh(deserialize_with = "bytes::<_, MAX_ENTRY_BYTES>")]
    pub entry: Vec<u8>,
}

/// Bytes: height `u64`, block hash 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ActionLogged {
    /// Height of the private block with the entry.
    pub height: u64,
    /// Hash of that block.
    pub block_hash: Hash,
}

impl Exchange for LogAction {
    const PROTOCOL: &'static str = "/caduceus/log-action/1";
    type Request = LogActionRequest;
    type Response = Reply<ActionLogged>;
    const MAX_REQUEST: usize = MAX_ENTRY_BYTES + 64;
    const MAX_RESPONSE: usize = OVERHEAD_BYTES;
    const TIMEOUT: Duration = COMMIT_TIMEOUT;
}

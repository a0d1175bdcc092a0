//! Fetch certified headers, to follow a chain with the light client.
//!
//! Open to all, rate-limited. Makes no audit entry.

use super::{Exchange, LOOKUP_TIMEOUT, MAX_CERTIFIED_BYTES, OVERHEAD_BYTES};
use crate::bounded::byte_list;
use borsh::{BorshDeserialize, BorshSerialize};
use std::time::Duration;

/// Headers in one response.
pub const MAX_HEADERS: usize = 256;

/// The exchange.
pub struct Headers;

/// Bytes: height (0, or 1 and `u64`), limit `u16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct HeadersRequest {
    /// First height wanted; none for the newest header only.
    pub from: Option<u64>,
    /// At most so many, and at most [`MAX_HEADERS`].
    pub limit: u16,
}

/// Bytes: count, then each item (length, bytes).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct HeadersReply {
    /// Consecutive heights in rising order, each the borsh of the ledger's `CertifiedHeader`. Fewer than
    /// asked for where the chain ends. Whoever serves them bounds them to 4 MiB in all.
    #[borsh(deserialize_with = "byte_list::<_, MAX_HEADERS, MAX_CERTIFIED_BYTES>")]
    pub items: Vec<Vec<u8>>,
}

impl HeadersReply {
    /// Keeps as many leading items as one response holds.
    pub fn fitting(items: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut room = Headers::MAX_RESPONSE - OVERHEAD_BYTES;
        let mut kept = Vec::new();
        for item in items {
            let cost = item.len() + 4;
            if cost > room || item.len() > MAX_CERTIFIED_BYTES || kept.len() == MAX_HEADERS {
                break;
            }
            room -= cost;
            kept.push(item);
        }
        Self { items: kept }
    }
}

impl Exchange for Headers {
    const PROTOCOL: &'static str = "/caduceus/headers/1";
    type Request = HeadersRequest;
    type Response = HeadersReply;
    const MAX_REQUEST: usize = 64;
    const MAX_RESPONSE: usize = 4 * 1024 * 1024 + OVERHEAD_BYTES;
    const TIMEOUT: Duration = LOOKUP_TIMEOUT;
}

//! Ask which tags are committed, to find a keyword's next counter.
//!
//! Authorised by staff key. Pending tags do not count: a failed upload leaves no gap.
//!
//! # Leakage
//! The server sees tags it will see again when the record is anchored, and a few that come next.

use super::{Exchange, LOOKUP_TIMEOUT, OVERHEAD_BYTES};
use crate::bounded::{bytes, list};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Tag;
use std::time::Duration;

/// Tags in one request.
pub const MAX_TAGS: usize = 4096;

/// Bits for as many tags.
const MAX_BITMAP_BYTES: usize = MAX_TAGS / 8;

/// The exchange.
pub struct TagCounters;

/// Bytes: count, then 16 bytes a tag.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TagCountersRequest {
    /// The tags, in any order.
    #[borsh(deserialize_with = "list::<_, Tag, MAX_TAGS>")]
    pub tags: Vec<Tag>,
}

/// Bytes: length, then the bits; bit i of the request is bit i mod 8 (from the lowest) of byte i / 8.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TagCountersReply {
    #[borsh(deserialize_with = "bytes::<_, MAX_BITMAP_BYTES>")]
    bitmap: Vec<u8>,
}

impl TagCountersReply {
    /// Packs one answer for each tag of the request, in its order.
    pub fn new(committed: &[bool]) -> Self {
        let mut bitmap = vec![0u8; committed.len().div_ceil(8)];
        for (index, _) in committed.iter().enumerate().filter(|(_, set)| **set) {
            bitmap[index / 8] |= 1 << (index % 8);
        }
        Self { bitmap }
    }

    /// Whether the tag at this position of the request is committed; none if the answer is too short.
    pub fn is_committed(&self, index: usize) -> Option<bool> {
        let byte = self.bitmap.get(index / 8)?;
        Some(byte & (1 << (index % 8)) != 0)
    }
}

impl Exchange for TagCounters {
    const PROTOCOL: &'static str = "/caduceus/tag-counters/1";
    type Request = TagCountersRequest;
    type Response = TagCountersReply;
    const MAX_REQUEST: usize = MAX_TAGS * 16 + OVERHEAD_BYTES;
    const MAX_RESPONSE: usize = MAX_BITMAP_BYTES + OVERHEAD_BYTES;
    const TIMEOUT: Duration = LOOKUP_TIMEOUT;
}

//! Fetch light blocks: certified headers with the sets that they name, to follow changes of validators.
//!
//! Open to all, rate-limited. Makes no audit entry.

use super::{Exchange, LOOKUP_TIMEOUT, OVERHEAD_BYTES};
use crate::bounded::{byte_list, list};
use borsh::{BorshDeserialize, BorshSerialize};
use std::time::Duration;

/// Light blocks in one exchange.
pub const MAX_LIGHT_BLOCKS: usize = 16;
/// Largest light block (128 validators before and after), bytes.
pub const MAX_LIGHT_BLOCK_BYTES: usize = 24 * 1024;

/// The exchange.
pub struct LightBlocks;

/// Bytes: count `u32`, then each height `u64`.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LightBlocksRequest {
    /// Heights wanted, at most [`MAX_LIGHT_BLOCKS`]; none for the newest alone.
    #[borsh(deserialize_with = "list::<_, u64, MAX_LIGHT_BLOCKS>")]
    pub heights: Vec<u64>,
}

/// Bytes: count `u32`, then each item (length `u32`, bytes).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LightBlocksReply {
    /// One borsh of the ledger's `LightBlock` for each height asked for, in that order; empty bytes for a height that
    /// the node does not have.
    #[borsh(deserialize_with = "byte_list::<_, MAX_LIGHT_BLOCKS, MAX_LIGHT_BLOCK_BYTES>")]
    pub items: Vec<Vec<u8>>,
}

impl Exchange for LightBlocks {
    const PROTOCOL: &'static str = "/caduceus/light-blocks/1";
    type Request = LightBlocksRequest;
    type Response = LightBlocksReply;
    const MAX_REQUEST: usize = 4 + 8 * MAX_LIGHT_BLOCKS;
    const MAX_RESPONSE: usize = MAX_LIGHT_BLOCKS * MAX_LIGHT_BLOCK_BYTES + OVERHEAD_BYTES;
    const TIMEOUT: Duration = LOOKUP_TIMEOUT;
}

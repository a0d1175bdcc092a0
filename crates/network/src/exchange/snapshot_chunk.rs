//! Fetch one chunk of a snapshot that a node keeps.
//!
//! Open to all, rate-limited. A node that has no such chunk refuses; the caller checks the chunk's hash.

use super::{Exchange, OVERHEAD_BYTES};
use crate::bounded::bytes;
use borsh::{BorshDeserialize, BorshSerialize};
use std::time::Duration;

/// Largest chunk, bytes. Chunks are cut at 1 MiB, but a row is never cut.
pub const MAX_SNAPSHOT_CHUNK_BYTES: usize = 4 * 1024 * 1024;

/// The exchange.
pub struct SnapshotChunk;

/// Bytes: height `u64`, index `u32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SnapshotChunkRequest {
    /// Height of the snapshot.
    pub height: u64,
    /// Position of the chunk, from 0.
    pub index: u32,
}

/// Bytes: length, bytes.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SnapshotChunkReply {
    /// The chunk.
    #[borsh(deserialize_with = "bytes::<_, MAX_SNAPSHOT_CHUNK_BYTES>")]
    pub bytes: Vec<u8>,
}

impl Exchange for SnapshotChunk {
    const PROTOCOL: &'static str = "/caduceus/snapshot-chunk/1";
    type Request = SnapshotChunkRequest;
    type Response = SnapshotChunkReply;
    const MAX_REQUEST: usize = 16;
    const MAX_RESPONSE: usize = MAX_SNAPSHOT_CHUNK_BYTES + OVERHEAD_BYTES;
    const TIMEOUT: Duration = Duration::from_secs(30);
}

//! Ask a node for the snapshot of its chain's state that it keeps, and who attests to it.
//!
//! Open to all, rate-limited. What is answered is believed only as far as its signatures reach.
//!
//! # Leakage
//! Whoever asks learns the size of the state and, by [`super::SnapshotChunk`], the state itself: what any node of the
//! chain holds, bulk data included.

use super::{Exchange, LOOKUP_TIMEOUT, MAX_CERTIFIED_BYTES, OVERHEAD_BYTES};
use crate::bounded::{bytes, list};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use std::time::Duration;

/// Most chunks of a snapshot: 64 GiB.
pub const MAX_SNAPSHOT_CHUNKS: usize = 65_536;
/// Largest manifest: a header and two validator sets, bytes.
const MAX_MANIFEST_BYTES: usize = 32 * 1024;
/// Largest list of attestations (128 validators), bytes.
const MAX_ATTESTATIONS_BYTES: usize = 16 * 1024;

/// The exchange.
pub struct SnapshotInfo;

/// Bytes: height (0, or 1 and `u64`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SnapshotInfoRequest {
    /// The snapshot of this height; none for the newest.
    pub height: Option<u64>,
}

/// Bytes: tip `u64`, kept from `u64`, snapshot (0, or 1 and the offer).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SnapshotInfoReply {
    /// The node's newest height.
    pub tip: u64,
    /// Lowest height whose block it keeps.
    pub kept_from: u64,
    /// The snapshot, if it has it.
    pub snapshot: Option<SnapshotOffer>,
}

/// Bytes: manifest, certificate and attestations (each length, bytes), then count and hashes of the chunks.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SnapshotOffer {
    /// Borsh of the node's `Manifest`.
    #[borsh(deserialize_with = "bytes::<_, MAX_MANIFEST_BYTES>")]
    pub manifest: Vec<u8>,
    /// Borsh of the ledger's `Certificate` on the manifest's header.
    #[borsh(deserialize_with = "bytes::<_, MAX_CERTIFIED_BYTES>")]
    pub certificate: Vec<u8>,
    /// Borsh of the node's list of attestations, by validators of the manifest's height.
    #[borsh(deserialize_with = "bytes::<_, MAX_ATTESTATIONS_BYTES>")]
    pub attestations: Vec<u8>,
    /// Hash of each chunk, in order; the manifest's root is over them.
    #[borsh(deserialize_with = "list::<_, Hash, MAX_SNAPSHOT_CHUNKS>")]
    pub chunks: Vec<Hash>,
}

impl Exchange for SnapshotInfo {
    const PROTOCOL: &'static str = "/caduceus/snapshot-info/1";
    type Request = SnapshotInfoRequest;
    type Response = SnapshotInfoReply;
    const MAX_REQUEST: usize = 16;
    const MAX_RESPONSE: usize = MAX_SNAPSHOT_CHUNKS * 32
        + MAX_MANIFEST_BYTES
        + MAX_CERTIFIED_BYTES
        + MAX_ATTESTATIONS_BYTES
        + OVERHEAD_BYTES;
    const TIMEOUT: Duration = LOOKUP_TIMEOUT;
}

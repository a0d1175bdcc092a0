//! Fetch what a hospital linked, private block by private block, to search or check it without a trapdoor.
//!
//! Open to all, rate-limited: what is linked is known to every member anyway. The caller recomputes each block's
//! anchors root and the running digest, and compares that with the one in the alliance's proved state; it does not
//! believe the node.
//!
//! # Leakage
//! The node learns that its peer follows this hospital's links, and from which height on: not what it looks for.

use super::{Exchange, OVERHEAD_BYTES};
use crate::bounded::bytes;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::HospitalId;
use std::time::Duration;

/// Largest document of one response, bytes. A block is smaller than a transaction, so at least one always fits.
pub const MAX_LINKED_BYTES: usize = 4 * 1024 * 1024;

/// A document is a thousand times what other lookups bring, and a patient's line may be slow.
const PAGE_TIMEOUT: Duration = Duration::from_secs(60);

/// The exchange.
pub struct LinkedRecords;

/// Bytes: hospital 32, from `u64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LinkedRecordsRequest {
    /// The hospital.
    pub hospital: HospitalId,
    /// Private height to begin at; blocks below it are left out.
    pub from: u64,
}

/// Bytes: length and bytes.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LinkedRecordsReply {
    /// Borsh of the alliance chain's `Vec<LinkedBlock>`: the next linked private blocks in rising order, as many
    /// as fit into [`MAX_LINKED_BYTES`]. Empty where nothing is linked from that height on.
    #[borsh(deserialize_with = "bytes::<_, MAX_LINKED_BYTES>")]
    pub blocks: Vec<u8>,
}

impl Exchange for LinkedRecords {
    const PROTOCOL: &'static str = "/caduceus/linked-records/1";
    type Request = LinkedRecordsRequest;
    type Response = LinkedRecordsReply;
    const MAX_REQUEST: usize = 64;
    const MAX_RESPONSE: usize = MAX_LINKED_BYTES + OVERHEAD_BYTES;
    const TIMEOUT: Duration = PAGE_TIMEOUT;
}

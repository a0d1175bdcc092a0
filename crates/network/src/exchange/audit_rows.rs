//! Search a private node's audit log.
//!
//! Authorised by the hospital's own keys, whose holder has logged the reading before it asks, and by a key that
//! follows from the node's: its operator's commands.
//!
//! # Leakage
//! The node learns what is searched for. Whoever asks reads entries in clear.

use super::bucket_keys::BucketName;
use super::{Exchange, OVERHEAD_BYTES};
use crate::bounded::{bytes, list};
use borsh::{BorshDeserialize, BorshSerialize};
use std::time::Duration;

/// Rows in one answer.
pub const MAX_AUDIT_ROWS: u32 = 16_384;
/// Largest filter: one that names a few thousand patients, bytes.
pub const MAX_AUDIT_FILTER_BYTES: usize = 256 * 1024;
/// Largest packed rows, bytes. A node gives fewer rows rather than more bytes.
pub const MAX_AUDIT_ROWS_BYTES: usize = 4 * 1024 * 1024;
/// Buckets named as unread.
const MAX_UNREAD: usize = 4096;

/// The exchange.
pub struct AuditRows;

/// Bytes: the fields in order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AuditRowsRequest {
    /// Borsh of the private chain's `Filter`.
    #[borsh(deserialize_with = "bytes::<_, MAX_AUDIT_FILTER_BYTES>")]
    pub filter: Vec<u8>,
    /// Newest first; else oldest first.
    pub newest_first: bool,
    /// Sequence number to begin at; none for the end that comes first.
    pub cursor: Option<u64>,
    /// At most so many rows, and at most [`MAX_AUDIT_ROWS`].
    pub limit: u32,
}

/// Bytes: variant (0 or 1), then its fields.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum AuditRowsReply {
    /// Rows that fit.
    Rows {
        /// The private chain's packed rows.
        #[borsh(deserialize_with = "bytes::<_, MAX_AUDIT_ROWS_BYTES>")]
        rows: Vec<u8>,
        /// Where to go on; none at the end.
        next: Option<u64>,
        /// Buckets with entries that could fit and that this node cannot open.
        #[borsh(deserialize_with = "list::<_, BucketName, MAX_UNREAD>")]
        unread: Vec<BucketName>,
    },
    /// The node is still reading what is on the chain: again in a moment.
    Behind,
}

impl Exchange for AuditRows {
    const PROTOCOL: &'static str = "/caduceus/audit-rows/1";
    type Request = AuditRowsRequest;
    type Response = AuditRowsReply;
    const KEPT: bool = true;
    const MAX_REQUEST: usize = MAX_AUDIT_FILTER_BYTES + OVERHEAD_BYTES;
    const MAX_RESPONSE: usize = MAX_AUDIT_ROWS_BYTES + MAX_UNREAD * 3 + OVERHEAD_BYTES;
    const TIMEOUT: Duration = Duration::from_secs(30);
}

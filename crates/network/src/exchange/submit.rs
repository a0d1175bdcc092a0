//! Submit a transaction to a node of either chain.
//!
//! Open to all, rate-limited: a transaction carries its own right. Submitting the same bytes twice is
//! harmless, a chain commits a transaction once.

use super::reply::cut;
use super::{COMMIT_TIMEOUT, Exchange, MAX_DETAIL_BYTES, MAX_RULE_BYTES, OVERHEAD_BYTES};
use crate::bounded::{bytes, text};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use std::time::Duration;

/// Largest transaction, bytes: what a block of either chain takes.
pub const MAX_TX_BYTES: usize = 512 * 1024;

/// Largest result of a transaction, bytes: 4,096 hits of a search.
pub const MAX_RESULT_BYTES: usize = 4 * 1024 * 1024;

/// The exchange.
pub struct Submit;

/// Bytes: transaction (length, bytes), wait (0 or 1).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SubmitRequest {
    /// The transaction in its chain's encoding.
    #[borsh(deserialize_with = "bytes::<_, MAX_TX_BYTES>")]
    pub tx: Vec<u8>,
    /// Answer only once it is committed or rejected.
    pub wait: bool,
}

/// What became of the transaction.
///
/// Bytes: variant (0 to 3), then its fields in order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum SubmitReply {
    /// In a block. A client that trusts nobody asks for the proof with `Query`.
    Committed {
        /// Height of the block.
        height: u64,
        /// Position in the block.
        index: u32,
        /// Hash of the block.
        block_hash: Hash,
        /// The transaction's result in its chain's encoding.
        #[borsh(deserialize_with = "bytes::<_, MAX_RESULT_BYTES>")]
        result: Vec<u8>,
    },
    /// Taken into the pool; not waited for, or not committed within the wait.
    Accepted,
    /// Breaks a rule of its chain; nothing of it is kept.
    Rejected {
        /// The rule's name.
        #[borsh(deserialize_with = "text::<_, MAX_RULE_BYTES>")]
        rule: String,
        /// What it says.
        #[borsh(deserialize_with = "text::<_, MAX_DETAIL_BYTES>")]
        detail: String,
    },
    /// The node cannot take it now: full, behind, or short of disk.
    Unavailable {
        /// Why.
        #[borsh(deserialize_with = "text::<_, MAX_DETAIL_BYTES>")]
        detail: String,
    },
}

impl SubmitReply {
    /// A rejection; texts over their bounds are cut.
    pub fn rejected(rule: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Rejected {
            rule: cut(rule.into(), MAX_RULE_BYTES),
            detail: cut(detail.into(), MAX_DETAIL_BYTES),
        }
    }

    /// Not now; a text over its bound is cut.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::Unavailable {
            detail: cut(detail.into(), MAX_DETAIL_BYTES),
        }
    }
}

impl Exchange for Submit {
    const PROTOCOL: &'static str = "/caduceus/submit/1";
    type Request = SubmitRequest;
    type Response = SubmitReply;
    const MAX_REQUEST: usize = MAX_TX_BYTES + OVERHEAD_BYTES;
    const MAX_RESPONSE: usize = MAX_RESULT_BYTES + OVERHEAD_BYTES;
    const TIMEOUT: Duration = COMMIT_TIMEOUT;
}

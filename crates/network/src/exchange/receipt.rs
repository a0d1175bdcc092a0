//! Fetch again the receipt of a stored record.
//!
//! Open to all, rate-limited: who knows a record's hash may have its receipt, which says nothing that the
//! alliance chain does not. A record that is not there is refused like everything else.

use super::{Exchange, LOOKUP_TIMEOUT, OVERHEAD_BYTES};
use crate::bounded::bytes;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use std::time::Duration;

/// Largest receipt, bytes.
const MAX_RECEIPT_BYTES: usize = 4 * 1024;

/// The exchange.
pub struct FetchReceipt;

/// Bytes: record hash 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FetchReceiptRequest {
    /// The record.
    pub record_hash: Hash,
}

/// Bytes: receipt (length, bytes).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FetchReceiptReply {
    /// Borsh of `caduceus_crypto::Receipt`, signed by the hospital.
    #[borsh(deserialize_with = "bytes::<_, MAX_RECEIPT_BYTES>")]
    pub receipt: Vec<u8>,
}

impl Exchange for FetchReceipt {
    const PROTOCOL: &'static str = "/caduceus/receipt/1";
    type Request = FetchReceiptRequest;
    type Response = FetchReceiptReply;
    const MAX_REQUEST: usize = 64;
    const MAX_RESPONSE: usize = MAX_RECEIPT_BYTES + OVERHEAD_BYTES;
    const TIMEOUT: Duration = LOOKUP_TIMEOUT;
}

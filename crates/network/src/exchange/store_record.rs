//! Store a sealed record: a workstation uploads chunks to the hospital's vault, then has them anchored.
//!
//! Authorised by staff key. "Stored" is said once the bytes are durable and the anchor is in a committed
//! block; a repeated finish with the same request identifier gets the same answer.
//!
//! # Leakage
//! The server learns the card, who uploads and the padded size; it never sees plaintext or a keyword.

use super::fetch_record::CHUNK_BYTES;
use super::reply::cut;
use super::{
    Exchange, MAX_ANCHOR_BYTES, MAX_DETAIL_BYTES, MAX_RULE_BYTES, OVERHEAD_BYTES, PersonSigned,
};
use crate::bounded::{bytes, text};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, Signature};
use std::time::Duration;

/// Largest receipt, bytes.
const MAX_RECEIPT_BYTES: usize = 4 * 1024;

/// The exchange.
pub struct StoreRecord;

/// Bytes: variant (0 or 1), then its fields in order. No `Debug`: the card number is the patient's secret.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum StoreRecordRequest {
    /// A part of the sealed bytes; any order, repetition is harmless.
    Chunk {
        /// Random name of the upload, drawn by the workstation.
        upload: [u8; 16],
        /// Where the chunk begins, bytes.
        offset: u64,
        /// At most [`CHUNK_BYTES`].
        #[borsh(deserialize_with = "bytes::<_, CHUNK_BYTES>")]
        bytes: Vec<u8>,
    },
    /// All parts are there: check, keep, anchor.
    Finish(Finish),
}

/// The end of an upload.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Finish {
    /// The upload.
    pub upload: [u8; 16],
    /// Length of the sealed record, bytes.
    pub total: u64,
    /// Names the request, so that a repetition is recognised.
    pub request_id: [u8; 16],
    /// The card that was presented.
    pub card: [u8; 16],
    /// Borsh of `caduceus_crypto::AnchorBody`.
    #[borsh(deserialize_with = "bytes::<_, MAX_ANCHOR_BYTES>")]
    pub anchor_body: Vec<u8>,
    /// The author's signature over it, under the caller's staff key.
    pub author_signature: Signature,
    /// The record this one replaces; both stay.
    pub amends: Option<Hash>,
    /// What the caller signed of this request, under the same request identifier.
    pub statement: Option<PersonSigned>,
}

/// Bytes: variant (0 to 3), then its fields in order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum StoreRecordReply {
    /// Durable in the vault and anchored.
    Stored {
        /// Height of the private block.
        height: u64,
        /// Position among its anchors.
        position: u32,
        /// Hash of the private block.
        block_hash: Hash,
        /// Hash of the record.
        record_hash: Hash,
        /// Borsh of `caduceus_crypto::Receipt`, for the patient.
        #[borsh(deserialize_with = "bytes::<_, MAX_RECEIPT_BYTES>")]
        receipt: Vec<u8>,
    },
    /// The part is on disk.
    ChunkOk {
        /// Bytes of the upload received so far, counted once.
        received: u64,
    },
    /// Breaks a rule; nothing is kept.
    Denied {
        /// The rule's name. A repeated tag is denied so: make new tags and a new signature.
        #[borsh(deserialize_with = "text::<_, MAX_RULE_BYTES>")]
        rule: String,
        /// What it says.
        #[borsh(deserialize_with = "text::<_, MAX_DETAIL_BYTES>")]
        detail: String,
    },
    /// Not now; the upload is kept for an hour.
    Retry {
        /// When, milliseconds from now.
        after_millis: u32,
        /// Why.
        #[borsh(deserialize_with = "text::<_, MAX_DETAIL_BYTES>")]
        detail: String,
    },
}

impl StoreRecordReply {
    /// A denial; texts over their bounds are cut.
    pub fn denied(rule: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Denied {
            rule: cut(rule.into(), MAX_RULE_BYTES),
            detail: cut(detail.into(), MAX_DETAIL_BYTES),
        }
    }

    /// Not now; a text over its bound is cut.
    pub fn retry(after_millis: u32, detail: impl Into<String>) -> Self {
        Self::Retry {
            after_millis,
            detail: cut(detail.into(), MAX_DETAIL_BYTES),
        }
    }
}

impl Exchange for StoreRecord {
    const PROTOCOL: &'static str = "/caduceus/store-record/2";
    type Request = StoreRecordRequest;
    type Response = StoreRecordReply;
    // A chunk, or an anchor with a statement, whichever is larger.
    const MAX_REQUEST: usize = CHUNK_BYTES + OVERHEAD_BYTES;
    const MAX_RESPONSE: usize = MAX_RECEIPT_BYTES + OVERHEAD_BYTES;
    const TIMEOUT: Duration = Duration::from_secs(120);
}

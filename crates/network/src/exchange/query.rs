//! Ask a node for something with its proof.
//!
//! Open to all, rate-limited. The caller believes the proof, not the node.
//!
//! # Leakage
//! The node learns which transaction or state key its peer is interested in; ask from a fresh peer, or ask
//! for more than is needed, where that matters.

use super::submit::{MAX_RESULT_BYTES, MAX_TX_BYTES};
use super::{Exchange, LOOKUP_TIMEOUT, MAX_CERTIFIED_BYTES, MAX_PROOF_BYTES, OVERHEAD_BYTES};
use crate::bounded::bytes;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use std::time::Duration;

/// Longest state key, bytes.
const MAX_KEY_BYTES: usize = 512;

/// Entries in one listing.
pub const MAX_LISTED: usize = 1024;

/// Largest document: a transaction and its result with proofs.
const MAX_DOCUMENT_BYTES: usize =
    MAX_TX_BYTES + MAX_RESULT_BYTES + MAX_CERTIFIED_BYTES + 2 * MAX_PROOF_BYTES;

/// The exchange.
pub struct Query;

/// Bytes: variant (0 to 3), then its fields.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum QueryRequest {
    /// A committed transaction; the document is the borsh of the ledger's `TxProof`.
    Tx {
        /// Its identifier.
        id: Hash,
    },
    /// A value of the authenticated state; the document is the borsh of the ledger's `StateProofAt`, which
    /// also proves absence.
    State {
        /// Its key.
        #[borsh(deserialize_with = "bytes::<_, MAX_KEY_BYTES>")]
        key: Vec<u8>,
    },
    /// Keys of the state that begin with a prefix; the document is the borsh of `Vec<(Vec<u8>, Vec<u8>)>`,
    /// keys and values in key order. A hint without proof: ask for each `State` that matters.
    List {
        /// The prefix.
        #[borsh(deserialize_with = "bytes::<_, MAX_KEY_BYTES>")]
        prefix: Vec<u8>,
        /// At most so many, and at most [`MAX_LISTED`].
        limit: u16,
    },
    /// The newest header; the document is the borsh of the ledger's `CertifiedHeader`.
    Head,
}

/// Bytes: `0` and the document (length, bytes), or `1`.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum QueryReply {
    /// What the request names.
    Found(#[borsh(deserialize_with = "bytes::<_, MAX_DOCUMENT_BYTES>")] Vec<u8>),
    /// This node has no such transaction, at this time.
    NotFound,
}

impl Exchange for Query {
    const PROTOCOL: &'static str = "/caduceus/query-with-proof/1";
    type Request = QueryRequest;
    type Response = QueryReply;
    const MAX_REQUEST: usize = MAX_KEY_BYTES + 64;
    const MAX_RESPONSE: usize = MAX_DOCUMENT_BYTES + OVERHEAD_BYTES;
    const TIMEOUT: Duration = LOOKUP_TIMEOUT;
}

//! Fetch an anchor of a private chain with its proof, for an alliance node that serves a record.
//!
//! Authorised by alliance member key. An anchor that is not there is refused like everything else.

use super::{
    Exchange, LOOKUP_TIMEOUT, MAX_ANCHOR_BYTES, MAX_CERTIFIED_BYTES, MAX_PROOF_BYTES,
    OVERHEAD_BYTES,
};
use crate::bounded::bytes;
use borsh::{BorshDeserialize, BorshSerialize};
use std::time::Duration;

/// The exchange.
pub struct FetchAnchor;

/// Bytes: height `u64`, position `u32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FetchAnchorRequest {
    /// Height of the private block.
    pub height: u64,
    /// Position among the anchors of that block.
    pub position: u32,
}

/// Bytes: four fields, each length and bytes.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FetchAnchorReply {
    /// The anchor: borsh of `caduceus_crypto::Anchor`.
    #[borsh(deserialize_with = "bytes::<_, MAX_ANCHOR_BYTES>")]
    pub anchor: Vec<u8>,
    /// The block's header: borsh of the ledger's `Header`; its extra field commits to the anchors.
    #[borsh(deserialize_with = "bytes::<_, MAX_CERTIFIED_BYTES>")]
    pub header: Vec<u8>,
    /// The certificate on it: borsh of the ledger's `Certificate`.
    #[borsh(deserialize_with = "bytes::<_, MAX_CERTIFIED_BYTES>")]
    pub certificate: Vec<u8>,
    /// Borsh of `caduceus_crypto::InclusionProof` of the anchor's leaf under the anchors root.
    #[borsh(deserialize_with = "bytes::<_, MAX_PROOF_BYTES>")]
    pub proof: Vec<u8>,
}

impl Exchange for FetchAnchor {
    const PROTOCOL: &'static str = "/caduceus/fetch-anchor/1";
    type Request = FetchAnchorRequest;
    type Response = FetchAnchorReply;
    const MAX_REQUEST: usize = 64;
    const MAX_RESPONSE: usize =
        MAX_ANCHOR_BYTES + 2 * MAX_CERTIFIED_BYTES + MAX_PROOF_BYTES + OVERHEAD_BYTES;
    const TIMEOUT: Duration = LOOKUP_TIMEOUT;
}

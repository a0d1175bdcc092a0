//! Fetch a sealed record, chunk by chunk.
//!
//! A patient or ticket holder asks an alliance node; the node checks the right and passes the same request
//! on to the hospital server, which checks it again: the claim names the first caller's peer identifier, so
//! it is worth nothing to anybody else. The caller should be a fresh peer for each record.
//!
//! # Leakage
//! The node and the hospital learn which record was fetched, when, and by the owner or under which ticket;
//! with a fresh peer, not that two records have one owner.

use super::reply::cut;
use super::{Exchange, MAX_DETAIL_BYTES, OVERHEAD_BYTES};
use crate::bounded::{bytes, text};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{
    BadSignature, Hash, HospitalId, PublicKey, SecretKey, Signature, TimeMillis, domain, encode,
};
use libp2p::PeerId;
use std::time::Duration;

/// Largest chunk of a record on the wire, either direction, bytes.
pub const CHUNK_BYTES: usize = 1024 * 1024;

/// Longest peer identifier, bytes.
const MAX_PEER_BYTES: usize = 64;

/// The exchange.
pub struct FetchRecord;

/// What is asked for, by whom and when: the signed part of a request. One signature serves all chunks.
///
/// Bytes: hospital 32, private height `u64`, position `u32`, record hash 32, caller (length, bytes), time
/// `u64`.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RecordClaim {
    /// The hospital that keeps the record.
    pub hospital: HospitalId,
    /// Height of the private block with its anchor.
    pub private_height: u64,
    /// Position among the anchors of that block.
    pub position: u32,
    /// The record's hash.
    pub record_hash: Hash,
    /// Peer identifier of the first caller, bytes.
    #[borsh(deserialize_with = "bytes::<_, MAX_PEER_BYTES>")]
    pub caller: Vec<u8>,
    /// When it was signed; a server accepts it for a few minutes.
    pub at: TimeMillis,
}

/// Why the caller may have the record.
///
/// Bytes: `0` and signature 64, or `1`, access 32 and signature 64.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum RecordRight {
    /// The patient: a signature under the record's pseudonym P.
    Owner {
        /// Over the claim.
        signature: Signature,
    },
    /// A data user: a committed `Access` and a signature under the key it was granted to.
    Ticket {
        /// The transaction.
        access: Hash,
        /// Over the claim and the transaction.
        signature: Signature,
    },
}

impl RecordClaim {
    /// Whether the claim was made for this peer.
    pub fn is_from(&self, peer: &PeerId) -> bool {
        self.caller == peer.to_bytes()
    }

    fn message(&self, access: Option<&Hash>) -> Vec<u8> {
        encode(&(self, access.copied()))
    }

    /// Claims as the owner, with the one-time secret p of the record's pseudonym.
    pub fn claim_as_owner(&self, secret: &SecretKey) -> RecordRight {
        RecordRight::Owner {
            signature: secret.sign(domain::FETCH_RECORD, &self.message(None)),
        }
    }

    /// Claims under a ticket, with the secret of the key that holds it.
    pub fn claim_with_ticket(&self, secret: &SecretKey, access: Hash) -> RecordRight {
        RecordRight::Ticket {
            access,
            signature: secret.sign(domain::FETCH_RECORD, &self.message(Some(&access))),
        }
    }

    /// Checks the signature of a right under the key that must have made it: P of the anchor for an owner,
    /// the holder of the ticket otherwise. Whether the ticket is committed, and for this record, is for the
    /// caller of this function to see.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn check(&self, right: &RecordRight, key: &PublicKey) -> Result<(), BadSignature> {
        let (message, signature) = match right {
            RecordRight::Owner { signature } => (self.message(None), signature),
            RecordRight::Ticket { access, signature } => (self.message(Some(access)), signature),
        };
        key.verify(domain::FETCH_RECORD, &message, signature)
    }
}

/// Bytes: claim, right, offset `u64`.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct FetchRecordRequest {
    /// What, who, when.
    pub claim: RecordClaim,
    /// Why.
    pub right: RecordRight,
    /// Where the chunk begins, bytes from the record's start.
    pub offset: u64,
}

/// Bytes: variant (0 to 3), then its fields in order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum FetchRecordReply {
    /// A part of the record.
    Chunk {
        /// Length of the whole record, bytes.
        total: u64,
        /// The bytes from the offset on: [`CHUNK_BYTES`], fewer only at the record's end.
        #[borsh(deserialize_with = "bytes::<_, CHUNK_BYTES>")]
        bytes: Vec<u8>,
    },
    /// The hospital offered bytes with another hash than the anchored one.
    Tampered {
        /// The hospital.
        hospital: HospitalId,
        /// The anchored hash.
        record_hash: Hash,
        /// The hash of what it offered.
        found: Hash,
    },
    /// The hospital did not deliver.
    Withheld {
        /// The hospital.
        hospital: HospitalId,
        /// The record.
        record_hash: Hash,
        /// How it failed.
        #[borsh(deserialize_with = "text::<_, MAX_DETAIL_BYTES>")]
        detail: String,
    },
    /// Ask again: a bound of the audit policy is reached and nothing was read, or, for at most 500 ms, the node
    /// still fetches the record for this claim, which must be shown again.
    Later {
        /// When, milliseconds from now.
        after_millis: u32,
    },
}

impl FetchRecordReply {
    /// The hospital did not deliver; a text over its bound is cut.
    pub fn withheld(hospital: HospitalId, record_hash: Hash, detail: impl Into<String>) -> Self {
        Self::Withheld {
            hospital,
            record_hash,
            detail: cut(detail.into(), MAX_DETAIL_BYTES),
        }
    }
}

impl Exchange for FetchRecord {
    const PROTOCOL: &'static str = "/caduceus/fetch-record/1";
    type Request = FetchRecordRequest;
    type Response = FetchRecordReply;
    const MAX_REQUEST: usize = OVERHEAD_BYTES;
    const MAX_RESPONSE: usize = CHUNK_BYTES + OVERHEAD_BYTES;
    const TIMEOUT: Duration = Duration::from_secs(30);
}

//! Open records without their patient, where she opted in (DESIGN 3.7): one person asks, officers agree, and the first
//! opens.
//!
//! | call | who may | answer |
//! |---|---|---|
//! | [`EmergencyCall::Consent`] | the patient, by her view key | [`EmergencyAnswer::Noted`] |
//! | [`EmergencyCall::Request`] | physicians | [`EmergencyAnswer::Document`] |
//! | [`EmergencyCall::Review`] | the key's officers | [`EmergencyAnswer::Document`] |
//! | [`EmergencyCall::Approve`] | the key's officers, but the requester | [`EmergencyAnswer::Approved`] |
//! | [`EmergencyCall::Open`] | the requester, once enough officers approved | [`EmergencyAnswer::Opened`] |
//! | [`EmergencyCall::Fetch`] | the same, for a few minutes | [`EmergencyAnswer::Chunk`] |
//!
//! Each call but the last is an audit entry of class `Emergency`, committed before the answer; a part of a record is
//! covered by the entries of the opening. What persons sign is bound to the hospital and to the request.
//!
//! # Leakage
//! The server learns who opens what and why, which it keeps for the patient. The officers' partials pass through it
//! sealed to the requester: it never gets what would open a record.

use super::{CHUNK_BYTES, COMMIT_TIMEOUT, Exchange, OVERHEAD_BYTES, Reply};
use crate::bounded::{byte_list, bytes, list, text};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::emergency::{EmergencyConsent, MAX_EXCERPT_BYTES, MAX_OFFICERS};
use caduceus_crypto::{
    BadSignature, Hash, HospitalId, PublicKey, SecretKey, Signature, TimeMillis, domain, encode,
    hash,
};
use std::time::Duration;

/// Longest reason, bytes of UTF-8. An audit entry has room for more, for what the server adds.
pub const MAX_EMERGENCY_REASON_BYTES: usize = 256;
/// Most records of one request.
pub const MAX_EMERGENCY_RECORDS: usize = 16;
/// Largest emergency key with the hospital's signature, bytes.
pub const MAX_EMERGENCY_KEY_BYTES: usize = 4 * 1024;
/// Most generations of the key among the records of a request.
pub const MAX_EMERGENCY_KEYS: usize = 8;
/// Largest box of partials, bytes.
pub const MAX_EMERGENCY_BOX_BYTES: usize = 2 * 1024;

/// Largest signed statement, bytes.
const MAX_STATEMENT_BYTES: usize = 96;

/// The exchange.
pub struct Emergency;

/// What a request is for.
///
/// Bytes: `0` and the record's hash, or `1` and the card's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum EmergencyTarget {
    /// One record.
    Record(Hash),
    /// The newest records of a card, by the card's hash.
    Card(Hash),
}

/// What the requester signs.
///
/// Bytes: the fields in order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct EmergencyRequest {
    /// The hospital.
    pub hospital: HospitalId,
    /// Her staff key.
    pub requester: PublicKey,
    /// What she wants opened.
    pub target: EmergencyTarget,
    /// Why: mandatory, and read by the patient.
    #[borsh(deserialize_with = "text::<_, MAX_EMERGENCY_REASON_BYTES>")]
    pub reason: String,
    /// When she signed; a server accepts it for a few minutes.
    pub at: TimeMillis,
    /// Tells two requests of one moment apart.
    pub nonce: [u8; 16],
    /// By the requester, over all fields above.
    pub signature: Signature,
}

impl EmergencyRequest {
    fn message(&self) -> Vec<u8> {
        encode(&(
            self.hospital,
            self.requester,
            self.target,
            &self.reason,
            self.at,
            self.nonce,
        ))
    }

    /// Signs with the secret of the staff key, which also becomes the requester.
    #[must_use]
    pub fn signed(mut self, staff: &SecretKey) -> Self {
        self.requester = staff.public();
        self.signature = staff.sign(domain::EMERGENCY_REQUEST, &self.message());
        self
    }

    /// Checks that the requester signed.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn check(&self) -> Result<(), BadSignature> {
        self.requester
            .verify(domain::EMERGENCY_REQUEST, &self.message(), &self.signature)
    }

    /// Hash of the request: its name, and what the audit entries refer to.
    pub fn id(&self) -> Hash {
        hash(domain::EMERGENCY_REQUEST_ID, &[&encode(self)])
    }
}

/// An officer's word that she agrees, with her partials.
///
/// Bytes: the fields in order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct EmergencyApproval {
    /// The hospital.
    pub hospital: HospitalId,
    /// The request.
    pub request: Hash,
    /// Her staff key.
    pub officer: PublicKey,
    /// Her partials, sealed to the requester.
    #[borsh(deserialize_with = "bytes::<_, MAX_EMERGENCY_BOX_BYTES>")]
    pub sealed: Vec<u8>,
    /// Borsh of the private chain's `SignedStatement` on the entry of each record that she answers, in order.
    #[borsh(deserialize_with = "byte_list::<_, MAX_EMERGENCY_RECORDS, MAX_STATEMENT_BYTES>")]
    pub statements: Vec<Vec<u8>>,
    /// When she signed; a server accepts it for a few minutes.
    pub at: TimeMillis,
    /// By the officer, over all fields above.
    pub signature: Signature,
}

impl EmergencyApproval {
    fn message(&self) -> Vec<u8> {
        encode(&(
            self.hospital,
            self.request,
            self.officer,
            &self.sealed,
            &self.statements,
            self.at,
        ))
    }

    /// Signs with the secret of the staff key, which also becomes the officer.
    #[must_use]
    pub fn signed(mut self, staff: &SecretKey) -> Self {
        self.officer = staff.public();
        self.signature = staff.sign(domain::EMERGENCY_APPROVAL, &self.message());
        self
    }

    /// Checks that the officer signed.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn check(&self) -> Result<(), BadSignature> {
        self.officer
            .verify(domain::EMERGENCY_APPROVAL, &self.message(), &self.signature)
    }
}

/// The requester's word that she opens the records now.
///
/// Bytes: the fields in order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct EmergencyOpening {
    /// The hospital.
    pub hospital: HospitalId,
    /// The request.
    pub request: Hash,
    /// Borsh of the private chain's `SignedStatement` on the entry of each record, in order.
    #[borsh(deserialize_with = "byte_list::<_, MAX_EMERGENCY_RECORDS, MAX_STATEMENT_BYTES>")]
    pub statements: Vec<Vec<u8>>,
    /// When she signed; a server accepts it for a few minutes.
    pub at: TimeMillis,
    /// By the requester, over all fields above.
    pub signature: Signature,
}

impl EmergencyOpening {
    fn message(&self) -> Vec<u8> {
        encode(&(self.hospital, self.request, &self.statements, self.at))
    }

    /// Signs with the secret of the requester's staff key.
    #[must_use]
    pub fn signed(mut self, staff: &SecretKey) -> Self {
        self.signature = staff.sign(domain::EMERGENCY_OPEN, &self.message());
        self
    }

    /// Checks that the requester signed.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn check(&self, requester: &PublicKey) -> Result<(), BadSignature> {
        requester.verify(domain::EMERGENCY_OPEN, &self.message(), &self.signature)
    }
}

/// Bytes: variant (0 to 5), then its fields in order. No `Debug`: a card number is the patient's secret.
#[derive(Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum EmergencyCall {
    /// The patient opts in or out.
    Consent {
        /// Her card.
        card: [u8; 16],
        /// What she says.
        consent: EmergencyConsent,
    },
    /// Somebody asks to open records.
    Request {
        /// The number of the card that the target names, if it names one.
        card: Option<[u8; 16]>,
        /// What is asked.
        request: EmergencyRequest,
    },
    /// An officer looks at a request.
    Review {
        /// The request.
        request: Hash,
    },
    /// An officer agrees.
    Approve(EmergencyApproval),
    /// The requester opens.
    Open(EmergencyOpening),
    /// The requester fetches a part of a record that she opened.
    Fetch {
        /// The request.
        request: Hash,
        /// The record.
        record: Hash,
        /// Where the part begins, bytes from the record's start.
        offset: u64,
    },
}

/// A request, the records that it is about, and the keys that they are wrapped under.
///
/// Bytes: the fields in order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct EmergencyDocument {
    /// The request.
    pub request: EmergencyRequest,
    /// Until when it can be approved and opened.
    pub until: TimeMillis,
    /// Of each record, borsh of `EmergencyExcerpt`.
    #[borsh(deserialize_with = "byte_list::<_, MAX_EMERGENCY_RECORDS, MAX_EXCERPT_BYTES>")]
    pub excerpts: Vec<Vec<u8>>,
    /// Borsh of the private chain's `SignedEmergencyKey`, each generation that occurs.
    #[borsh(deserialize_with = "byte_list::<_, MAX_EMERGENCY_KEYS, MAX_EMERGENCY_KEY_BYTES>")]
    pub keys: Vec<Vec<u8>>,
    /// Records of the card that found no room.
    pub left_out: u32,
}

/// Bytes: variant (0 to 4), then its fields in order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum EmergencyAnswer {
    /// The consent counts.
    Noted,
    /// The request as it stands.
    Document(EmergencyDocument),
    /// The approval counts.
    Approved {
        /// Officers who approved so far.
        approvals: u32,
    },
    /// The entries are committed: the records may be read.
    Opened {
        /// The request as it stands.
        document: EmergencyDocument,
        /// What the officers gave.
        #[borsh(deserialize_with = "list::<_, _, MAX_OFFICERS>")]
        approvals: Vec<EmergencyApproval>,
        /// Height of the newest private block with an entry of the opening.
        logged_at: u64,
    },
    /// A part of a record.
    Chunk {
        /// Length of the whole record, bytes.
        total: u64,
        /// The bytes from the offset on.
        #[borsh(deserialize_with = "bytes::<_, CHUNK_BYTES>")]
        bytes: Vec<u8>,
    },
}

impl Exchange for Emergency {
    const PROTOCOL: &'static str = "/caduceus/emergency/1";
    type Request = EmergencyCall;
    type Response = Reply<EmergencyAnswer>;
    const MAX_REQUEST: usize = MAX_EMERGENCY_BOX_BYTES + OVERHEAD_BYTES;
    const MAX_RESPONSE: usize = CHUNK_BYTES + OVERHEAD_BYTES;
    const TIMEOUT: Duration = COMMIT_TIMEOUT;
}

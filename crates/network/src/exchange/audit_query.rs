//! Ask a hospital for audit entries: a patient for hers, an auditor for any.
//!
//! The patient signs with the audit key of her card there, or with the pseudonym of a record; an auditor is
//! known by the key of the connection. Reading the log is itself an entry, committed before the answer.
//!
//! # Leakage
//! The hospital learns what is asked for. Entries go only to whom they are about, and to auditors.

use super::{
    COMMIT_TIMEOUT, Exchange, MAX_CERTIFIED_BYTES, MAX_PROOF_BYTES, OVERHEAD_BYTES, PersonSigned,
    Reply,
};
use crate::bounded::{byte_list, bytes, optional_bytes, optional_text};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{
    BadSignature, Hash, HospitalId, PublicKey, SecretKey, Signature, TimeMillis, domain, encode,
};
use std::time::Duration;

/// Entries in one response.
const MAX_ENTRIES: usize = 256;

/// Largest entry with its proof, bytes.
const MAX_ENTRY_BYTES: usize = 4 * 1024 + MAX_PROOF_BYTES;

/// Longest text of a filter, bytes.
const MAX_TERM_BYTES: usize = 128;

/// Largest cursor, bytes.
const MAX_CURSOR_BYTES: usize = 256;

/// The exchange.
pub struct AuditQuery;

/// Which entries: a conjunction of whatever is present.
///
/// Bytes: the fields in order; each option is 0, or 1 and its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AuditFilter {
    /// Who acted.
    pub actor: Option<PublicKey>,
    /// What was done: `create`, `read`, `update`, `delete`, `search`, `execute`, or one with a subtype.
    #[borsh(deserialize_with = "optional_text::<_, MAX_TERM_BYTES>")]
    pub action: Option<String>,
    /// How it ended: `allowed`, `denied`, `failed`.
    #[borsh(deserialize_with = "optional_text::<_, MAX_TERM_BYTES>")]
    pub outcome: Option<String>,
    /// The patient: hash of her card. Set by the server for a patient who asks, with all her names.
    pub patient: Option<Hash>,
    /// The record.
    pub record: Option<Hash>,
    /// The grant.
    pub grant: Option<Hash>,
    /// The request.
    pub request_id: Option<[u8; 16]>,
    /// Not before.
    pub from: Option<TimeMillis>,
    /// Before.
    pub until: Option<TimeMillis>,
    /// Newest first instead of oldest first.
    pub newest_first: bool,
}

/// Why the caller may read.
///
/// Bytes: `0`, key 33, signature 64; `1`, pseudonym 33, signature 64; or `2`.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum AuditRight {
    /// A patient, by the audit key registered for her card: entries about that card.
    AuditKey {
        /// The key.
        key: PublicKey,
        /// Over the question.
        signature: Signature,
    },
    /// A patient, by the pseudonym of a record: entries about that record.
    Pseudonym {
        /// P.
        pseudonym: PublicKey,
        /// Over the question.
        signature: Signature,
    },
    /// An auditor, by the key of the connection.
    Staff,
}

/// Bytes: the fields in order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AuditQueryRequest {
    /// The hospital, so that the request is worth nothing elsewhere.
    pub hospital: HospitalId,
    /// Which entries.
    pub filter: AuditFilter,
    /// Where the last page ended; none for the first.
    #[borsh(deserialize_with = "optional_bytes::<_, MAX_CURSOR_BYTES>")]
    pub cursor: Option<Vec<u8>>,
    /// At most so many entries, and at most 256.
    pub limit: u16,
    /// When it was signed; a server accepts it for a few minutes.
    pub at: TimeMillis,
    /// Why.
    pub right: AuditRight,
    /// What a member of staff signed of this request; none where a patient asks.
    pub statement: Option<PersonSigned>,
}

impl AuditQueryRequest {
    fn message(&self) -> Vec<u8> {
        encode(&(
            self.hospital,
            &self.filter,
            &self.cursor,
            self.limit,
            self.at,
        ))
    }

    /// Signs with the secret of the card's audit key.
    #[must_use]
    pub fn signed_by_audit_key(mut self, secret: &SecretKey) -> Self {
        self.right = AuditRight::AuditKey {
            key: secret.public(),
            signature: secret.sign(domain::AUDIT_QUERY, &self.message()),
        };
        self
    }

    /// Signs with the one-time secret p of a record's pseudonym.
    #[must_use]
    pub fn signed_by_pseudonym(mut self, secret: &SecretKey) -> Self {
        self.right = AuditRight::Pseudonym {
            pseudonym: secret.public(),
            signature: secret.sign(domain::AUDIT_QUERY, &self.message()),
        };
        self
    }

    /// Checks the signature, if the right has one. What the key may read is for the server to see.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn check(&self) -> Result<(), BadSignature> {
        match &self.right {
            AuditRight::AuditKey { key, signature }
            | AuditRight::Pseudonym {
                pseudonym: key,
                signature,
            } => key.verify(domain::AUDIT_QUERY, &self.message(), signature),
            AuditRight::Staff => Ok(()),
        }
    }
}

/// A page of entries.
///
/// Bytes: the fields in order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AuditPage {
    /// The entries with their proofs, in the private chain's encoding.
    #[borsh(deserialize_with = "byte_list::<_, MAX_ENTRIES, MAX_ENTRY_BYTES>")]
    pub entries: Vec<Vec<u8>>,
    /// Where to go on; none at the end.
    #[borsh(deserialize_with = "optional_bytes::<_, MAX_CURSOR_BYTES>")]
    pub next: Option<Vec<u8>>,
    /// The header that the proofs lead to: borsh of the ledger's `CertifiedHeader`.
    #[borsh(deserialize_with = "bytes::<_, MAX_CERTIFIED_BYTES>")]
    pub head: Vec<u8>,
    /// Height of the block with the entry about this very query.
    pub logged_at: u64,
}

impl Exchange for AuditQuery {
    const PROTOCOL: &'static str = "/caduceus/audit-query/2";
    type Request = AuditQueryRequest;
    type Response = Reply<AuditPage>;
    const MAX_REQUEST: usize = OVERHEAD_BYTES;
    const MAX_RESPONSE: usize =
        MAX_ENTRIES * (MAX_ENTRY_BYTES + 4) + MAX_CERTIFIED_BYTES + OVERHEAD_BYTES;
    const TIMEOUT: Duration = COMMIT_TIMEOUT;
}

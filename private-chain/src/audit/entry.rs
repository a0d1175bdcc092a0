//! The plaintext of an audit entry. Fields map one to one to FHIR R4 `AuditEvent` (IHE BALP minimal pattern).

use crate::tx::Role;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use caduceus_crypto::keys::{HospitalId, PublicKey};
use caduceus_crypto::time::TimeMillis;

/// Longest action subtype, in bytes.
pub const MAX_SUBTYPE_BYTES: usize = 32;
/// Longest reason, in bytes of UTF-8.
pub const MAX_REASON_BYTES: usize = 512;
/// Longest purpose-of-use code, in bytes.
pub const MAX_PURPOSE_BYTES: usize = 32;
/// Longest source, in bytes of UTF-8.
pub const MAX_SOURCE_BYTES: usize = 128;

/// What was done.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum Action {
    /// Something was made.
    Create,
    /// Something was read or served.
    Read,
    /// Something was changed.
    Update,
    /// Something was removed.
    Delete,
    /// A query was run.
    Search,
    /// Anything else was carried out.
    Execute,
}

impl Action {
    /// Every action.
    pub const ALL: [Action; 6] = [
        Action::Create,
        Action::Read,
        Action::Update,
        Action::Delete,
        Action::Search,
        Action::Execute,
    ];

    /// Lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Read => "read",
            Action::Update => "update",
            Action::Delete => "delete",
            Action::Search => "search",
            Action::Execute => "execute",
        }
    }

    /// FHIR R4 `AuditEvent.action`: C, R, U, D or E. A search is E there; the subtype tells it apart.
    pub fn fhir_code(self) -> &'static str {
        match self {
            Action::Create => "C",
            Action::Read => "R",
            Action::Update => "U",
            Action::Delete => "D",
            Action::Search | Action::Execute => "E",
        }
    }
}

/// How it ended.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum Outcome {
    /// Done.
    Success,
    /// Refused by policy.
    Denied,
    /// Allowed but not done.
    Failed,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Outcome; 3] = [Outcome::Success, Outcome::Denied, Outcome::Failed];

    /// Lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Denied => "denied",
            Outcome::Failed => "failed",
        }
    }

    /// FHIR R4 `AuditEvent.outcome`: 0 success, 4 minor failure, 8 serious failure.
    pub fn fhir_code(self) -> &'static str {
        match self {
            Outcome::Success => "0",
            Outcome::Denied => "4",
            Outcome::Failed => "8",
        }
    }
}

/// The patient an entry is about: never a name.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize,
)]
pub enum Subject {
    /// The one-time pseudonym point P of the record concerned.
    Pseudonym(PublicKey),
    /// The hash of the medical card.
    Card(Hash),
}

/// One audit entry in clear. Its sequence number is not a field: it is the entry's position on the chain.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AuditEntry {
    /// When the action was asked for.
    pub time: TimeMillis,
    /// Who acted.
    pub actor: PublicKey,
    /// The actor's role; none if the actor is no staff (server, patient's client, alliance node).
    pub role: Option<Role>,
    /// Where the actor belongs.
    pub organisation: HospitalId,
    /// What was done.
    pub action: Action,
    /// Kind of that action, like `upload` or `issue-tokens`; at most [`MAX_SUBTYPE_BYTES`].
    pub subtype: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it ended so, at most [`MAX_REASON_BYTES`]; may be empty.
    pub reason: String,
    /// The patient concerned, if one.
    pub patient: Option<Subject>,
    /// Hash of the record concerned, if one.
    pub record: Option<Hash>,
    /// Purpose of use (HL7 v3 PurposeOfUse code), at most [`MAX_PURPOSE_BYTES`]; may be empty.
    pub purpose: String,
    /// The grant or consent acted under, if one.
    pub grant: Option<Hash>,
    /// Workstation or network address, at most [`MAX_SOURCE_BYTES`].
    pub source: String,
    /// The server's request identifier.
    pub request_id: [u8; 16],
}

/// A field of an audit entry is too long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("audit entry: {field} of {found} bytes, at most {limit}")]
pub struct EntryError {
    /// Name of the field.
    pub field: &'static str,
    /// Its limit in bytes.
    pub limit: usize,
    /// Its length in bytes.
    pub found: usize,
}

impl AuditEntry {
    /// Checks the lengths, so that every entry fits its sealed form.
    ///
    /// # Errors
    /// [`EntryError`] names the first field that is too long.
    pub fn check(&self) -> Result<(), EntryError> {
        let fields: [(&'static str, usize, &str); 4] = [
            ("subtype", MAX_SUBTYPE_BYTES, self.subtype.as_str()),
            ("reason", MAX_REASON_BYTES, self.reason.as_str()),
            ("purpose", MAX_PURPOSE_BYTES, self.purpose.as_str()),
            ("source", MAX_SOURCE_BYTES, self.source.as_str()),
        ];
        for (field, limit, text) in fields {
            let found = text.len();
            if found > limit {
                return Err(EntryError {
                    field,
                    limit,
                    found,
                });
            }
        }
        Ok(())
    }
}

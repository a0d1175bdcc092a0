//! The plaintext of an audit entry. Fields map one to one to FHIR R4 `AuditEvent` (IHE BALP minimal pattern).

use super::statement::SignedStatement;
use crate::tx::Role;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use caduceus_crypto::keys::{HospitalId, PublicKey};
use caduceus_crypto::time::TimeMillis;
use std::fmt;
use std::sync::Arc;

/// A text of an entry. Rows that say the same share it.
pub type Text = Arc<str>;

/// Longest action subtype, in bytes.
pub const MAX_SUBTYPE_BYTES: usize = 32;
/// Longest reason, in bytes of UTF-8.
pub const MAX_REASON_BYTES: usize = 512;
/// Longest purpose-of-use code, in bytes.
pub const MAX_PURPOSE_BYTES: usize = 32;
/// Longest source, in bytes of UTF-8.
pub const MAX_SOURCE_BYTES: usize = 128;
/// Longest request identifier, in bytes: 36 for a UUID, and what an electronic health record system sends.
pub const MAX_REQUEST_BYTES: usize = 64;
/// Longest identifier or name that came from another log, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 128;

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
    /// Allowed, and it is not known whether it was done: the server stopped in between.
    Unknown,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Outcome; 4] = [
        Outcome::Success,
        Outcome::Denied,
        Outcome::Failed,
        Outcome::Unknown,
    ];

    /// Lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Denied => "denied",
            Outcome::Failed => "failed",
            Outcome::Unknown => "unknown",
        }
    }

    /// FHIR R4 `AuditEvent.outcome`: 0 success, 4 minor failure, 8 serious failure. What is not known counts as
    /// serious; the description tells it apart.
    pub fn fhir_code(self) -> &'static str {
        match self {
            Outcome::Success => "0",
            Outcome::Denied => "4",
            Outcome::Failed | Outcome::Unknown => "8",
        }
    }
}

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum Actor {
    /// A key of this system.
    Key(PublicKey),
    /// A name in the log that the entry was imported from.
    Named(Text),
}

impl From<PublicKey> for Actor {
    fn from(key: PublicKey) -> Self {
        Actor::Key(key)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Key(key) => write!(f, "{key}"),
            Actor::Named(name) => f.write_str(name),
        }
    }
}

/// The patient an entry is about: never a name that this system gave.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum Subject {
    /// The one-time pseudonym point P of the record concerned.
    Pseudonym(PublicKey),
    /// The hash of the medical card.
    Card(Hash),
    /// What the log says that the entry was imported from.
    Named(Text),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Pseudonym(point) => write!(f, "{point}"),
            Subject::Card(card) => write!(f, "{card}"),
            Subject::Named(name) => f.write_str(name),
        }
    }
}

/// What was acted on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum Resource {
    /// A record, by its hash.
    Record(Hash),
    /// Something else: a chain's setting, or a resource of the log that the entry was imported from.
    Named(Text),
}

impl Resource {
    /// The record's hash, if it is a record.
    pub fn record(&self) -> Option<&Hash> {
        match self {
            Resource::Record(hash) => Some(hash),
            Resource::Named(_) => None,
        }
    }
}

impl From<Hash> for Resource {
    fn from(record: Hash) -> Self {
        Resource::Record(record)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Record(hash) => write!(f, "{hash}"),
            Resource::Named(name) => f.write_str(name),
        }
    }
}

/// One audit entry in clear. Its sequence number is not a field: it is the entry's position on the chain.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AuditEntry {
    /// When the action was asked for.
    pub time: TimeMillis,
    /// Who acted.
    pub actor: Actor,
    /// The actor's role; none if the actor is no staff (server, patient's client, alliance node).
    pub role: Option<Role>,
    /// Where the actor belongs.
    pub organisation: HospitalId,
    /// What was done.
    pub action: Action,
    /// Kind of that action, like `upload` or `issue-tokens`; at most [`MAX_SUBTYPE_BYTES`].
    pub subtype: Text,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it ended so, at most [`MAX_REASON_BYTES`]; may be empty.
    pub reason: Text,
    /// The patient concerned, if one.
    pub patient: Option<Subject>,
    /// The record or other thing concerned, if one.
    pub resource: Option<Resource>,
    /// Purpose of use (HL7 v3 PurposeOfUse code), at most [`MAX_PURPOSE_BYTES`]; may be empty.
    pub purpose: Text,
    /// The grant or consent acted under, if one.
    pub grant: Option<Hash>,
    /// Workstation or network address, at most [`MAX_SOURCE_BYTES`].
    pub source: Text,
    /// The request identifier, at most [`MAX_REQUEST_BYTES`]: 32 hexadecimal digits where this server drew it.
    pub request: Text,
    /// Identifier that the entry has in the log that it was imported from, at most [`MAX_NAME_BYTES`]; else empty.
    pub reference: Text,
    /// What the actor signed, where a person acts through a workstation.
    pub statement: Option<SignedStatement>,
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
        let actor = match &self.actor {
            Actor::Key(_) => "",
            Actor::Named(name) => name,
        };
        let patient = match &self.patient {
            Some(Subject::Named(name)) => name,
            _ => "",
        };
        let resource = match &self.resource {
            Some(Resource::Named(name)) => name,
            _ => "",
        };
        let fields: [(&'static str, usize, &str); 9] = [
            ("subtype", MAX_SUBTYPE_BYTES, &self.subtype),
            ("reason", MAX_REASON_BYTES, &self.reason),
            ("purpose", MAX_PURPOSE_BYTES, &self.purpose),
            ("source", MAX_SOURCE_BYTES, &self.source),
            ("request", MAX_REQUEST_BYTES, &self.request),
            ("reference", MAX_NAME_BYTES, &self.reference),
            ("actor", MAX_NAME_BYTES, actor),
            ("patient", MAX_NAME_BYTES, patient),
            ("resource", MAX_NAME_BYTES, resource),
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

    /// The hash of the record concerned, if it is a record.
    pub fn record(&self) -> Option<&Hash> {
        self.resource.as_ref().and_then(Resource::record)
    }

    /// Action and subtype, like `read/fetch-record`.
    pub fn action_name(&self) -> String {
        if self.subtype.is_empty() {
            return self.action.as_str().to_owned();
        }
        format!("{}/{}", self.action.as_str(), self.subtype)
    }
}

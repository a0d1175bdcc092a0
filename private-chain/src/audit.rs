//! Audit entries: what they say, how they are sealed, and how an auditor opens them (DESIGN 5.3).
//!
//! Validators see only an [`AuditBatch`] of [`SealedEntry`]s. Its ciphertexts stay on the chain for ever; destroying the
//! key of an entry's [`Bucket`] makes it unreadable while the chain still verifies.

mod batch;
mod bucket;
mod columns;
mod entry;
mod fhir;
mod filter;
pub mod import;
mod known;
pub mod model;
pub mod proof;
pub mod report;
mod sealed;
mod statement;
mod when;

pub use batch::{AuditBatch, DraftBatch};
pub use bucket::{ActionClass, Bucket, UnknownBucket, month_of};
pub use columns::{Columns, SHORT, ShortColumns};
pub use entry::{
    Action, Actor, AuditEntry, EntryError, MAX_NAME_BYTES, MAX_PURPOSE_BYTES, MAX_REASON_BYTES,
    MAX_REQUEST_BYTES, MAX_SOURCE_BYTES, MAX_SUBTYPE_BYTES, Outcome, Resource, Subject, Text,
};
pub use fhir::{BundleKind, audit_event, bundle};
pub use filter::{AuditRow, Field, Filter, Order, Page, Place, Term, TermKey};
pub use known::Known;
pub use sealed::{
    BatchId, BatchKey, MAX_CIPHERTEXT_BYTES, OpenError, PAD_BYTES, SealError, SealedEntry,
    SecretBytes,
};
pub use statement::{SignedStatement, Statement, StatementCheck};
pub use when::{BadTime, parse_offset, parse_time};

//! Audit entries: what they say, how they are sealed, and how an auditor opens them (DESIGN 5.3).
//!
//! Validators see only [`SealedEntry`]. Its ciphertext stays on the chain for ever; destroying the key of its
//! [`Bucket`] makes it unreadable while the chain still verifies.

mod entry;
mod sealed;

pub use entry::{
    Action, AuditEntry, EntryError, MAX_PURPOSE_BYTES, MAX_REASON_BYTES, MAX_SOURCE_BYTES,
    MAX_SUBTYPE_BYTES, Outcome, Subject,
};
pub use sealed::{
    ActionClass, Bucket, DraftEntry, MAX_CIPHERTEXT_BYTES, OpenError, PAD_BYTES, SealError,
    SealedEntry, month_of,
};

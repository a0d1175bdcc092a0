//! Give patients search, open, grant, revoke and the access log.
//!
//! A [`Wallet`] is a patient's home on disk: her seed in a keystore, and an encrypted file of what she has
//! (cards, tokens, receipts, grants). A [`Patient`] is a wallet with a session to the network; each of her
//! actions is one method. The program of the same name is a thin layer of commands over it.

mod access_log;
mod emergency;
mod error;
mod explain;
mod grant;
mod local;
mod patient;
mod record;
mod register;
mod request;
mod search;
mod slots;
mod state;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod testing;
mod token;
mod verify;
mod versions;
mod wallet;

pub use access_log::{AccessLog, Disclosure, HospitalEntry, HospitalLog};
pub use error::PatientError;
pub use explain::{
    ExplainedClause, ExplainedHospital, ExplainedSlot, ExplainedWindow, Explanation,
};
pub use grant::{GrantSpec, GrantView, Granted};
pub use patient::Patient;
pub use record::RecordView;
pub use register::pair_secret_associated_data;
pub use request::RequestView;
pub use search::{HospitalSearch, LocalScan, SearchOutcome, SearchSpec};
pub use slots::{SlotKeys, compile_slots, windows};
pub use state::{
    CardEntry, FoundRecord, OwnGrant, OwnReport, PatientState, Replacement, StateFileError,
    StoredToken, open_state, seal_state,
};
pub use verify::{
    AllianceEvidence, Caution, Counted, Evidence, Fault, Finding, Gap, GapEvidence,
    HospitalVerified, InclusionEvidence, MissingEvidence, MissingKeyword, Reported, Stop,
    VerifyOutcome, VerifySpec, Warning, find_gaps,
};
pub use versions::{NewestVersions, newest_versions};
pub use wallet::Wallet;

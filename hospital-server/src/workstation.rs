//! The doctor's workstation (DESIGN 2.1, 2.2): registers patients, seals and indexes records, hands them to the
//! hospital server. The server never sees plaintext, a keyword, or an index key.
//!
//! A [`Workstation`] is one person's session at one hospital. [`Workstation::visit`] begins with the patient's
//! card, whose binding unmasks a server that names other keys than the card holder's. [`Visit::upload`] makes
//! one record; records of one visit share the index key and, with tags, the counters read before.
//! [`Administrator`] does what needs the hospital's identity key.

mod admin;
mod counters;
pub mod documents;
mod emergency;
mod error;
pub mod home;
mod indexing;
mod link;
mod patient;
mod receipts;
mod session;
mod upload;
mod visit;

pub use admin::{Administrator, Committed, DealtShare};
pub use emergency::{
    EmergencyAim, EmergencyApproved, EmergencyCase, EmergencyFault, EmergencyOpened,
    EmergencyRecord, MAX_SHARE_FILE_BYTES, ShareFile,
};
pub use error::{Who, WorkstationError};
pub use indexing::{FHIR_JSON, TERMS_FIELD, is_fhir_json, keywords_of};
pub use link::{LinkStatus, MAX_CHECKPOINT_AGE_MILLIS, link_status};
pub use patient::{Registered, check_meta};
pub use receipts::ReceiptFile;
pub use session::{Workstation, WorkstationConfig};
pub use upload::{UploadInput, Uploaded};
pub use visit::Visit;

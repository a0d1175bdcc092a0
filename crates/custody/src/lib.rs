//! Hold what only end users can do: seal, index, make trapdoors, open, delegate, and keep keys.
//!
//! Three kinds of programs link this crate: the patient's client, the data user's client, and the doctor's
//! workstation. Chain nodes and `hospital-server serve` must not: what they share with these is
//! `caduceus-crypto`. All of it is pure: randomness and time are arguments, and a keystore is bytes.
//!
//! - The patient: [`seed`] and [`keystore`] keep her keys, [`patient`] derives them, [`open`] opens her
//!   records, [`mod@delegate`] shares one, [`query`] and [`trapdoor`] search, [`token`] gets a search admitted,
//!   [`check`] tells how a record was indexed.
//! - The doctor: [`author`] makes a pseudonym, [`mod@seal`] the record, [`fhir`] and [`keyword`] its keywords,
//!   [`index_key`] and [`tags`] their index tags.
//! - The data user: [`shared`] opens what proxies re-encrypted to her.
//! - In an emergency: [`emergency`] deals the officers' shares, wraps a data key, and opens with enough of them.
//! - All of them: [`secret_box`] sends a secret to one key, [`scheme`] holds the index schemes that a network can be
//!   run with, [`amend`] says how a record replaces another.

pub mod amend;
pub mod author;
pub mod check;
pub mod delegate;
pub mod emergency;
pub mod fhir;
pub mod frame;
pub mod index_key;
pub mod keystore;
pub mod keyword;
pub mod open;
pub mod patient;
pub mod query;
pub mod scheme;
pub mod seal;
pub mod secret_box;
pub mod seed;
pub mod shared;
pub mod tags;
pub mod token;
pub mod trapdoor;

mod body;
#[cfg(test)]
mod fixtures;
mod stealth;
mod umbral;

pub use crate::amend::{AMENDS_FIELD, amends_keyword};
pub use crate::author::{AuthoredPseudonym, make_pseudonym};
pub use crate::delegate::{DelegateError, Delegation, default_threshold, delegate};
pub use crate::frame::{Fields, FrameError, MAX_PLAINTEXT_BYTES, UnframeError};
pub use crate::index_key::{IndexKeyService, PairKeys, QuarterKey};
pub use crate::keystore::{Keystore, KeystoreError, KeystoreParams};
pub use crate::keyword::Keyword;
pub use crate::open::{OpenError, Opened, open_with_data_key};
pub use crate::patient::{OneTimeKeys, PatientKeys, PseudonymError};
pub use crate::scheme::{
    AuthorKey, IndexScheme, PaeksScheme, PeksScheme, SchemeKeyError, TagsScheme,
};
pub use crate::seal::{
    SealError, SealRequest, Sealed, seal, seal_with_emergency, seal_with_fields,
};
pub use crate::secret_box::{SecretBoxError, open_from, seal_to};
pub use crate::seed::{PatientSeed, PhraseError};
pub use crate::shared::{SharedError, open_shared};
pub use crate::tags::{IndexError, KeywordKey, TagRequest, author_entries, keyword_key, tag_at};
pub use crate::token::{PendingToken, SpendableToken, blind};
pub use crate::trapdoor::cover;

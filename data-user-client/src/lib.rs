//! Give data users requests, grants and what was granted to them.
//!
//! A [`DataUser`] posts requests, sees the grants made to its key, and opens granted records: a committed
//! `Access` first, then the ciphertext, then capsule fragments of enough proxies (DESIGN 2.4, 3.6). A doctor at
//! another hospital does the same with her own keys. [`home`] keeps the keys in a file, [`export`] writes what
//! was opened as NDJSON.

mod error;
pub mod export;
mod fetch;
mod fragments;
pub mod home;
mod keys;
mod session;

pub use error::DataUserError;
pub use fetch::Fetched;
pub use fragments::{Blame, Fault, Fragments, ProxyFragment};
pub use keys::DataUserKeys;
pub use session::{DataUser, GrantEntry, Posted, RequestEntry, Standing, Ticket};

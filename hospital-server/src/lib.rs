//! Vault ciphertexts, take in records, link the private chain to the alliance, and serve the doctor's workstation.
//!
//! Three programs in one package, each behind a feature: [`server`] (`serve`: vault, register, audit log,
//! linker) never links `caduceus-custody`; [`keys`] (the index key service) and the workstation do. An action's
//! result leaves the server only after its audit entry is in a committed private block. See DESIGN sections 2,
//! 5 and 7.

#[cfg(any(feature = "serve", feature = "keys"))]
mod chain;
pub mod clock;
#[cfg(any(feature = "serve", feature = "keys"))]
mod database;
#[cfg(any(feature = "serve", feature = "workstation"))]
pub mod emergency;
#[cfg(any(feature = "serve", feature = "keys"))]
mod home;
pub mod journal;
pub mod key_file;
#[cfg(feature = "keys")]
pub mod keys;
pub mod network_map;
#[cfg(any(feature = "serve", feature = "keys"))]
mod policies;
#[cfg(any(feature = "serve", feature = "keys"))]
mod roster;
#[cfg(feature = "serve")]
pub mod server;
#[cfg(any(feature = "serve", feature = "keys"))]
mod serving;
#[cfg(feature = "workstation")]
pub mod workstation;

pub use clock::{Clock, system_clock};
pub use journal::ActionJournal;
pub use network_map::{HospitalMap, MapError};

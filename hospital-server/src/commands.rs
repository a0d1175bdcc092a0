//! The commands, one file a kind.

#[cfg(feature = "workstation")]
pub(crate) mod admin;
#[cfg(feature = "workstation")]
pub(crate) mod desk;
#[cfg(feature = "workstation")]
pub(crate) mod emergency;
#[cfg(any(feature = "serve", feature = "keys"))]
pub(crate) mod services;
#[cfg(feature = "workstation")]
pub(crate) mod sharing;
#[cfg(feature = "workstation")]
pub(crate) mod upload;

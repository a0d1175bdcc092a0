//! What travels and rests keeps its bytes, and the program says when it did not.
#![allow(clippy::unwrap_used, missing_docs)]

#[cfg(feature = "node")]
mod a_refused_second_header_is_reported;
#[cfg(feature = "node")]
mod home;
#[cfg(feature = "node")]
mod members;
#[cfg(feature = "node")]
mod operator_view;
#[cfg(feature = "node")]
mod validate;
mod wire_snapshots;

//! What travels and rests keeps its bytes; what users get wrong is told in two lines.
#![allow(clippy::unwrap_used, missing_docs)]

#[cfg(feature = "node")]
mod audit_files;
#[cfg(feature = "node")]
mod audit_log;
#[cfg(feature = "node")]
mod auditor;
#[cfg(feature = "node")]
mod members;
#[cfg(feature = "node")]
mod mining;
mod mistakes;
mod wire_snapshots;

//! What travels and rests keeps its bytes.
#![allow(clippy::unwrap_used, missing_docs)]

mod wire_snapshots;

//! Checks that need the whole workspace.
#![allow(clippy::unwrap_used, missing_docs)]

mod bad_input;
mod chaos;
mod free_rider;
mod layering;
mod policy_matrix;

//! Checks that need the whole workspace.
#![allow(clippy::unwrap_used, missing_docs)]

mod bad_input;
mod bounds_of_the_policy;
mod chaos;
mod emergency;
mod free_rider;
mod layering;
mod policy_matrix;
mod suspended_staff;

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

use caduceus_node::home::EngineKind;
use sim::layout::NetworkSpec;

/// One hospital with one node, and one member of the alliance: for tests of its server.
fn one_hospital() -> NetworkSpec {
    NetworkSpec {
        hospitals: vec!["North".to_owned()],
        alliance_validators: 1,
        private_validators: 1,
        engine: EngineKind::Solo,
        ..NetworkSpec::default()
    }
}

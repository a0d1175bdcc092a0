//! Nodes in one process, over real sockets and real files.
#![allow(clippy::unwrap_used, missing_docs)]

mod four_validators_decide_on_demand;
mod solo_chain_survives_a_restart;
mod support;

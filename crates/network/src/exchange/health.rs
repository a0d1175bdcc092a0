//! Ask a service how it is: for devnets, monitoring and error messages.
//!
//! Open to all, rate-limited.
//!
//! # Leakage
//! Of a chain node: which validators it has not heard lately, how many transactions wait, and how many peers are
//! connected. Nothing of what the transactions say or who sent them.

use super::{Exchange, MAX_DETAIL_BYTES, OVERHEAD_BYTES};
use crate::bounded::{list, text};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::TimeMillis;
use std::time::Duration;

/// Longest program name or version, bytes.
const MAX_NAME_BYTES: usize = 64;
/// Longest name of a validator, bytes.
const MAX_VALIDATOR_BYTES: usize = 192;
/// Validators named at the most.
pub const MAX_SILENT: usize = 16;

/// The exchange. The request is empty.
pub struct Health;

/// Bytes: the fields in order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct HealthReply {
    /// The program, for example `alliance-chain`.
    #[borsh(deserialize_with = "text::<_, MAX_NAME_BYTES>")]
    pub program: String,
    /// Its version.
    #[borsh(deserialize_with = "text::<_, MAX_NAME_BYTES>")]
    pub version: String,
    /// Whether it does its work now: chain synced, quorum seen, disk writable.
    pub ready: bool,
    /// Newest committed height it knows; 0 where there is no chain.
    pub height: u64,
    /// Time of that block.
    pub head_time: TimeMillis,
    /// What is wrong, if anything; empty otherwise.
    #[borsh(deserialize_with = "text::<_, MAX_DETAIL_BYTES>")]
    pub detail: String,
    /// How consensus is doing, at a node of a chain.
    pub consensus: Option<ConsensusHealth>,
}

/// How a node's consensus is doing. Bytes: the fields in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ConsensusHealth {
    /// `bft` or `solo`.
    #[borsh(deserialize_with = "text::<_, MAX_NAME_BYTES>")]
    pub engine: String,
    /// Height that it works on.
    pub working_height: u64,
    /// Round that it works on.
    pub working_round: u64,
    /// Voting power of the validators heard in this height and round.
    pub power_heard: u64,
    /// Voting power that decides.
    pub power_needed: u64,
    /// Voting power of all.
    pub power_total: u64,
    /// Validators that were not heard, at most [`MAX_SILENT`].
    #[borsh(deserialize_with = "list::<_, _, MAX_SILENT>")]
    pub silent: Vec<SilentValidator>,
    /// Peers connected to the service swarm.
    pub peers: u32,
    /// The node only observes until this height has passed; 0 if it votes.
    pub observing_until: u64,
    /// Heights and validators of whose misbehaviour the node keeps proof.
    pub misbehaviours: u64,
    /// Transactions that wait for a block.
    pub waiting: u64,
    /// Seconds for which there has been work and no new height, once that is too long; 0 otherwise.
    pub stalled_seconds: u64,
}

/// A validator that was not heard.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SilentValidator {
    /// Its address on the chain, and on the network where known.
    #[borsh(deserialize_with = "text::<_, MAX_VALIDATOR_BYTES>")]
    pub name: String,
}

impl Exchange for Health {
    const PROTOCOL: &'static str = "/caduceus/health/2";
    type Request = ();
    type Response = HealthReply;
    const MAX_REQUEST: usize = 0;
    const MAX_RESPONSE: usize = 2 * OVERHEAD_BYTES;
    const TIMEOUT: Duration = Duration::from_secs(5);
}

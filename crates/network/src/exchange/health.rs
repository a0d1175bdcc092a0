//! Ask a service how it is: for devnets, monitoring and error messages.
//!
//! Open to all, rate-limited.

use super::{Exchange, MAX_DETAIL_BYTES, OVERHEAD_BYTES};
use crate::bounded::text;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::TimeMillis;
use std::time::Duration;

/// Longest program name or version, bytes.
const MAX_NAME_BYTES: usize = 64;

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
}

impl Exchange for Health {
    const PROTOCOL: &'static str = "/caduceus/health/1";
    type Request = ();
    type Response = HealthReply;
    const MAX_REQUEST: usize = 0;
    const MAX_RESPONSE: usize = OVERHEAD_BYTES;
    const TIMEOUT: Duration = Duration::from_secs(5);
}

//! Push transactions to another node of the same chain, so that any proposer can include them.
//!
//! Authorised by validator key. A node relays what was submitted to it, never what was relayed.

use super::submit::MAX_TX_BYTES;
use super::{Exchange, LOOKUP_TIMEOUT, OVERHEAD_BYTES};
use crate::bounded::byte_list;
use borsh::{BorshDeserialize, BorshSerialize};
use std::time::Duration;

/// Transactions in one push.
const MAX_TXS: usize = 1024;

/// The exchange. The response is empty: taken, which is not a promise to include.
pub struct Relay;

/// Bytes: count, then each transaction (length, bytes); 8 MiB in all.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RelayRequest {
    /// The transactions in their chain's encoding.
    #[borsh(deserialize_with = "byte_list::<_, MAX_TXS, MAX_TX_BYTES>")]
    pub txs: Vec<Vec<u8>>,
}

impl Exchange for Relay {
    const PROTOCOL: &'static str = "/caduceus/relay/1";
    type Request = RelayRequest;
    type Response = ();
    const MAX_REQUEST: usize = 8 * 1024 * 1024 + OVERHEAD_BYTES;
    const MAX_RESPONSE: usize = 0;
    const TIMEOUT: Duration = LOOKUP_TIMEOUT;
}

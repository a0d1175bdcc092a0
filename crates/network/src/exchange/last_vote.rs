//! Ask a validator for the newest vote of another that it has seen, and how far it is: how a node finds out that its
//! folder is an old copy.
//!
//! Open to all, rate-limited: votes are public. Makes no audit entry.

use super::{Exchange, LOOKUP_TIMEOUT};
use crate::bounded::optional_bytes;
use borsh::{BorshDeserialize, BorshSerialize};
use std::time::Duration;

/// Longest signed vote, bytes.
const MAX_VOTE_BYTES: usize = 512;

/// The exchange.
pub struct LastVote;

/// Bytes: address 20.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LastVoteRequest {
    /// The validator asked about.
    pub validator: [u8; 20],
}

/// Bytes: tip 8, then 0, or 1 and length and vote.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LastVoteReply {
    /// The height of the newest block that the one asked has committed.
    pub tip: u64,
    /// The vote with its signature, as the chain's nodes encode it; none if none was seen.
    #[borsh(deserialize_with = "optional_bytes::<_, MAX_VOTE_BYTES>")]
    pub vote: Option<Vec<u8>>,
}

impl Exchange for LastVote {
    const PROTOCOL: &'static str = "/caduceus/last-vote/1";
    type Request = LastVoteRequest;
    type Response = LastVoteReply;
    const MAX_REQUEST: usize = 20;
    const MAX_RESPONSE: usize = MAX_VOTE_BYTES + 13;
    const TIMEOUT: Duration = LOOKUP_TIMEOUT;
}

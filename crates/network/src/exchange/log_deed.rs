//! Have a node operator's command entered in the hospital's audit log.
//!
//! Authorised by key: the nodes of the hospital's private chain, and the alliance nodes that the network file says the
//! hospital runs. The server makes the entry, under the node's key, and answers once it is in a committed block.
//!
//! # Leakage
//! The server learns which command was run on which node.

use super::{COMMIT_TIMEOUT, Exchange, OVERHEAD_BYTES, Reply};
use crate::bounded::text;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::TimeMillis;
use std::time::Duration;

/// Longest name of a program, a node or an operator, bytes.
const MAX_NAME_BYTES: usize = 128;
/// Longest command, and longest reason, bytes.
const MAX_COMMAND_BYTES: usize = 512;

/// The exchange.
pub struct LogDeed;

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum DeedKind {
    /// It shows something.
    Read,
    /// It searches the audit log.
    AuditRead,
    /// It changes something.
    Update,
    /// It runs or stops something.
    Execute,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum DeedOutcome {
    /// It is carried out.
    Success,
    /// It was refused.
    Denied,
    /// It failed.
    Failed,
}

/// A command of an operator. Bytes: the fields in order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Deed {
    /// When.
    pub time: TimeMillis,
    /// The program.
    #[borsh(deserialize_with = "text::<_, MAX_NAME_BYTES>")]
    pub program: String,
    /// The node's name.
    #[borsh(deserialize_with = "text::<_, MAX_NAME_BYTES>")]
    pub node: String,
    /// What kind of command it is.
    pub kind: DeedKind,
    /// The command with what it names, without secrets: `members rotate`.
    #[borsh(deserialize_with = "text::<_, MAX_COMMAND_BYTES>")]
    pub command: String,
    /// Who ran it, as the operating system says.
    #[borsh(deserialize_with = "text::<_, MAX_NAME_BYTES>")]
    pub operator: String,
    /// How it ended.
    pub outcome: DeedOutcome,
    /// Why it ended so.
    #[borsh(deserialize_with = "text::<_, MAX_COMMAND_BYTES>")]
    pub reason: String,
    /// Identifier that its entries share.
    pub request: [u8; 16],
}

impl Deed {
    /// The same with its texts cut to their bounds.
    #[must_use]
    pub fn cut(mut self) -> Self {
        for (text, limit) in [
            (&mut self.program, MAX_NAME_BYTES),
            (&mut self.node, MAX_NAME_BYTES),
            (&mut self.operator, MAX_NAME_BYTES),
            (&mut self.command, MAX_COMMAND_BYTES),
            (&mut self.reason, MAX_COMMAND_BYTES),
        ] {
            let mut end = limit.min(text.len());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
        }
        self
    }
}

impl Exchange for LogDeed {
    const PROTOCOL: &'static str = "/caduceus/log-deed/1";
    type Request = Deed;
    /// Height of the private block with the entry.
    type Response = Reply<u64>;
    const MAX_REQUEST: usize = 2 * OVERHEAD_BYTES;
    const MAX_RESPONSE: usize = OVERHEAD_BYTES;
    const TIMEOUT: Duration = COMMIT_TIMEOUT;
}

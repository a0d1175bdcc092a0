//! Transactions of the alliance chain, one kind per file (DESIGN 6.1).
//!
//! A transaction's bytes are the borsh of [`Tx`]; its identifier is `caduceus_ledger::tx_id` of them and also
//! names the grant, access, request or report that it makes. Every signature covers (chain, body) under the
//! kind's own domain, so a transaction is worth nothing on another chain or as another kind.

pub mod access;
pub mod account;
pub mod acknowledge;
pub mod checkpoint;
pub mod grant;
pub mod issuer;
pub mod link;
pub mod member;
pub mod report;
pub mod request;
pub mod revoke;
pub mod search;

use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::Hash;
use caduceus_crypto::codec::{self, DecodeError};
use caduceus_ledger::block::MAX_TX_BYTES;
use caduceus_ledger::{ChainId, tx_id};

pub use access::{Access, SignedAccess};
pub use account::{Account, MAX_ACCOUNT_LABEL_BYTES, SignedAccount};
pub use acknowledge::{Acknowledge, ON_TIME_MILLIS, SignedAcknowledge};
pub use checkpoint::{Checkpoint, MAX_CHECKPOINT_HEADERS};
pub use grant::{Grant, MAX_GRANT_DAYS, MAX_GRANT_MILLIS, SignedGrant};
pub use issuer::{Issuer, SignedIssuer};
pub use link::Link;
pub use member::{Change, Governance, SignedGovernance};
pub use report::{MAX_DETAIL_BYTES, Report, ReportKind, ReportProof, SignedReport};
pub use request::{
    MAX_REQUEST_DAYS, MAX_SOUGHT_BYTES, Purpose, Request, SignedRequest, UnknownPurpose,
};
pub use revoke::{Revoke, SignedRevoke};
pub use search::{Hit, Search, SearchResult, SignedSearch};

/// A transaction as it travels: nothing is verified yet.
// Decoded one at a time and dropped after execution, so boxes would gain nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Tx {
    /// Changes members or proxies; signed by two thirds of the members.
    Member(SignedGovernance),
    /// Names a member's search-token key.
    Issuer(SignedIssuer),
    /// Makes a data user known; vouched for by a member.
    Account(SignedAccount),
    /// Records headers of a private chain.
    Checkpoint(Checkpoint),
    /// Links all anchors of one private block.
    Link(Link),
    /// Runs a trapdoor query over one hospital's records; spends a token.
    Search(SignedSearch),
    /// A data user says what is sought.
    Request(SignedRequest),
    /// A patient grants one record to one data user.
    Grant(SignedGrant),
    /// A data user's ticket for a granted record.
    Access(SignedAccess),
    /// A patient ends a grant.
    Revoke(SignedRevoke),
    /// A member or proxy, or anybody with a proof, reports misbehaviour.
    Report(SignedReport),
    /// A data user says how an access was served.
    Acknowledge(SignedAcknowledge),
}

impl Tx {
    /// Reads exactly one transaction of at most [`MAX_TX_BYTES`].
    ///
    /// # Errors
    /// [`DecodeError`] when too long, malformed, or not the canonical encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_exact(bytes, MAX_TX_BYTES)
    }

    /// The bytes that travel and that blocks hold.
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The identifier.
    pub fn id(&self) -> Hash {
        tx_id(&self.encode())
    }
}

/// The bytes under a signature: borsh of (chain, body).
pub(crate) fn signed_payload<T: BorshSerialize>(chain: &ChainId, body: &T) -> Vec<u8> {
    codec::encode(&(chain, body))
}

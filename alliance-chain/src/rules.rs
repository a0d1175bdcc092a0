//! The rules of the alliance chain: one file per transaction kind, one error variant per rule.
//!
//! A rule function either changes the state and gives the transaction's result, or names the one rule that
//! refuses it. Cheap checks come first, signatures and searches last. A transaction that is on the chain already
//! is refused by the node, by its identifier; what could come back under another identifier is refused here.

pub mod access;
pub mod account;
pub mod acknowledge;
pub mod checkpoint;
pub(crate) mod credits;
pub mod grant;
pub mod issuer;
pub mod link;
pub mod member;
pub mod report;
pub mod request;
pub mod revoke;
pub mod search;

use crate::state::{self, MemberRecord};
use crate::tx::Tx;
use caduceus_crypto::Hash;
use caduceus_crypto::codec::DecodeError;
use caduceus_crypto::keys::HospitalId;
use caduceus_ledger::{BlockContext, Overlay, Rejection, StateError, StateView, TxFailure};

pub use access::AccessError;
pub use account::AccountError;
pub use acknowledge::AcknowledgeError;
pub use checkpoint::CheckpointError;
pub use grant::GrantError;
pub use issuer::IssuerError;
pub use link::LinkError;
pub use member::GovernanceError;
pub use report::ReportError;
pub use request::RequestError;
pub use revoke::RevokeError;
pub use search::SearchError;

/// The rule that refuses a transaction.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// The bytes are no transaction of this chain.
    #[error("not a transaction of this chain: {0}")]
    Malformed(#[source] DecodeError),
    /// A rule of `Member`.
    #[error(transparent)]
    Member(#[from] GovernanceError),
    /// A rule of `Issuer`.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// A rule of `Account`.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// A rule of `Checkpoint`.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A rule of `Link`.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// A rule of `Search`.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// A rule of `Request`.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A rule of `Grant`.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// A rule of `Access`.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// A rule of `Revoke`.
    #[error(transparent)]
    Revoke(#[from] RevokeError),
    /// A rule of `Report`.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A rule of `Acknowledge`.
    #[error(transparent)]
    Acknowledge(#[from] AcknowledgeError),
}

impl Rule {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            Rule::Malformed(_) => "malformed",
            Rule::Member(e) => e.rule_name(),
            Rule::Issuer(e) => e.rule_name(),
            Rule::Account(e) => e.rule_name(),
            Rule::Checkpoint(e) => e.rule_name(),
            Rule::Link(e) => e.rule_name(),
            Rule::Search(e) => e.rule_name(),
            Rule::Request(e) => e.rule_name(),
            Rule::Grant(e) => e.rule_name(),
            Rule::Access(e) => e.rule_name(),
            Rule::Revoke(e) => e.rule_name(),
            Rule::Report(e) => e.rule_name(),
            Rule::Acknowledge(e) => e.rule_name(),
        }
    }
}

/// Whether the same bytes may be accepted in a later block, so that a node keeps them instead of dropping them:
/// a full block's search budget, a second change of the voters, and checkpoints and links that arrive out of order.
pub fn is_transient(rule: &str) -> bool {
    matches!(
        rule,
        "search_block_budget"
            | "member_validators_block"
            | "checkpoint_gap"
            | "link_not_checkpointed"
            | "link_out_of_order"
    )
}

impl From<Rule> for Rejection {
    fn from(rule: Rule) -> Self {
        Rejection {
            rule: rule.rule_name(),
            detail: rule.to_string(),
        }
    }
}

/// Why a transaction did not run: a rule, or a store that failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A rule refuses it.
    #[error(transparent)]
    Rule(Rule),
    /// The store failed: says nothing about the transaction.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Refuses with a rule.
pub(crate) fn refuse<T, E: Into<Rule>>(error: E) -> Result<T, Failure> {
    Err(Failure::Rule(error.into()))
}

/// Refuses with a rule unless the condition holds.
pub(crate) fn ensure<E: Into<Rule>>(holds: bool, error: impl FnOnce() -> E) -> Result<(), Failure> {
    if holds { Ok(()) } else { refuse(error()) }
}

impl From<Failure> for TxFailure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Rule(rule) => TxFailure::Rejected(rule.into()),
            Failure::State(e) => TxFailure::State(e),
        }
    }
}

/// A present member, or none.
fn active_member(
    view: &dyn StateView,
    hospital: &HospitalId,
) -> Result<Option<MemberRecord>, StateError> {
    Ok(state::member(hospital)
        .get(view)?
        .filter(MemberRecord::is_active))
}

/// Runs one transaction, under its identifier, and gives its result bytes.
///
/// # Errors
/// [`Failure`]; the state is then half changed and must be dropped.
pub fn apply(
    ctx: &BlockContext,
    id: Hash,
    tx: &Tx,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    match tx {
        // Links are what a chain mostly does, and by far the largest: they alone are worth reading in place.
        Tx::Link(tx) => link::apply(ctx, id, tx, state),
        Tx::Member(tx) => member::apply(ctx, tx.clone(), state),
        Tx::Issuer(tx) => issuer::apply(ctx, tx.clone(), state),
        Tx::Account(tx) => account::apply(ctx, tx.clone(), state),
        Tx::Checkpoint(tx) => checkpoint::apply(ctx, tx.clone(), state),
        Tx::Search(tx) => search::apply(ctx, tx.clone(), state),
        Tx::Request(tx) => request::apply(ctx, id, tx.clone(), state),
        Tx::Grant(tx) => grant::apply(ctx, id, tx.clone(), state),
        Tx::Access(tx) => access::apply(ctx, id, tx, state),
        Tx::Revoke(tx) => revoke::apply(ctx, tx, state),
        Tx::Report(tx) => report::apply(ctx, id, tx.clone(), state),
        Tx::Acknowledge(tx) => acknowledge::apply(ctx, tx, state),
    }
}

//! The rules of the private chain: one file per transaction kind, one error variant per rule.
//!
//! A rule function either changes the state and gives the transaction's result, or names the one rule that
//! refuses it. It judges clear fields only, so the chain can be re-executed after retention.

pub mod amend;
pub mod anchor;
pub mod audit;
pub mod emergency_key;
pub mod enrol;
mod judge;
pub mod policy;
pub mod retire;
pub mod rotate;
pub mod suspend;
pub mod validators;

use crate::tx::Tx;
use caduceus_crypto::codec::DecodeError;
use caduceus_ledger::{BlockContext, Overlay, Rejection, StateError, TxFailure};

pub use amend::AmendError;
pub use anchor::AnchorError;
pub use audit::{AuditError, AuditReceipt};
pub use emergency_key::EmergencyKeyError;
pub use enrol::EnrolError;
pub use policy::PolicyError;
pub use retire::{DestroyedError, RetireError};
pub use rotate::RotateError;
pub use suspend::SuspendError;
pub use validators::ValidatorsError;

/// The rule that refuses a transaction.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// The bytes are no transaction of this chain.
    #[error("not a transaction of this chain: {0}")]
    Malformed(#[source] DecodeError),
    /// A rule of `Enrol`.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    /// A rule of `Suspend`.
    #[error(transparent)]
    Suspend(#[from] SuspendError),
    /// A rule of `Anchor`.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// A rule of `Amend`, beyond those of `Anchor`.
    #[error(transparent)]
    Amend(#[from] AmendError),
    /// A rule of `Audit`.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A rule of `Validators`.
    #[error(transparent)]
    Validators(#[from] ValidatorsError),
    /// A rule of `Rotate`.
    #[error(transparent)]
    Rotate(#[from] RotateError),
    /// A rule of `Retire`.
    #[error(transparent)]
    Retire(#[from] RetireError),
    /// A rule of `Destroyed`.
    #[error(transparent)]
    Destroyed(#[from] DestroyedError),
    /// A rule of `Policy`.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A rule of `EmergencyKey`.
    #[error(transparent)]
    EmergencyKey(#[from] EmergencyKeyError),
}

impl Rule {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            Rule::Malformed(_) => "malformed",
            Rule::Enrol(e) => e.rule_name(),
            Rule::Suspend(e) => e.rule_name(),
            Rule::Anchor(e) => e.rule_name(),
            Rule::Amend(e) => e.rule_name(),
            Rule::Audit(e) => e.rule_name(),
            Rule::Validators(e) => e.rule_name(),
            Rule::Rotate(e) => e.rule_name(),
            Rule::Retire(e) => e.rule_name(),
            Rule::Destroyed(e) => e.rule_name(),
            Rule::Policy(e) => e.rule_name(),
            Rule::EmergencyKey(e) => e.rule_name(),
        }
    }
}

/// Whether the same bytes may be accepted in a later block, so that a node keeps them instead of dropping them: a
/// second change of the voters.
pub fn is_transient(rule: &str) -> bool {
    rule == "validators_block"
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

/// Runs one transaction and gives its result bytes.
///
/// # Errors
/// [`Failure`]; the state is then half changed and must be dropped.
pub fn apply(ctx: &BlockContext, tx: &Tx, state: &mut Overlay<'_>) -> Result<Vec<u8>, Failure> {
    match tx {
        Tx::Enrol(tx) => enrol::apply(ctx, tx, state),
        Tx::Suspend(tx) => suspend::apply(ctx, tx, state),
        Tx::Anchor(tx) => anchor::apply(ctx, tx, state),
        Tx::Audit(batch) => audit::apply(ctx, batch, state),
        Tx::Amend(tx) => amend::apply(ctx, tx, state),
        Tx::Validators(tx) => validators::apply(ctx, tx, state),
        Tx::Rotate(tx) => rotate::apply(ctx, tx, state),
        Tx::Retire(tx) => retire::apply_retire(ctx, tx, state),
        Tx::Destroyed(tx) => retire::apply_destroyed(ctx, tx, state),
        Tx::Policy(tx) => policy::apply(ctx, tx, state),
        Tx::EmergencyKey(tx) => emergency_key::apply(ctx, tx, state),
    }
}

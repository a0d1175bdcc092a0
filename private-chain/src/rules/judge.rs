//! What the policy in force says of a transaction.

use crate::policy::{Question, explain};
use crate::state;
use caduceus_ledger::{BlockContext, Overlay, StateError};

/// Asks the policy in force at this block; gives why it is denied.
pub(super) fn denied(
    ctx: &BlockContext,
    question: &Question,
    state: &Overlay<'_>,
) -> Result<Option<String>, StateError> {
    let decision = state::policy_at(state, ctx.height)?.decide(question);
    Ok((!decision.allowed).then(|| explain(question, &decision)))
}

//! Rules of `Policy`.

use super::{Failure, ensure, judge, refuse};
use crate::policy::{
    MAX_TEXT_BYTES, ParamsError, PolicyProblems, PolicyVersion, Question, explain, parsed,
};
use crate::state;
use crate::tx::{MAX_POLICY_LEAD, SignedPolicy};
use caduceus_ledger::{BlockContext, Height, Overlay};

/// Why a policy set is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Signed at another place in the order of proposals.
    #[error("the policy is number {found}, number {expected} is next")]
    Generation {
        /// The next number.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// The text is too long.
    #[error("a policy text of {found} bytes, at most {limit}")]
    Size {
        /// The limit in bytes.
        limit: usize,
        /// Bytes found.
        found: usize,
    },
    /// Limits or retention are out of bounds.
    #[error("limits and retention: {0}")]
    Params(#[source] ParamsError),
    /// It would judge blocks that are made, or this one.
    #[error("the policy applies from height {found}, this is block {block}")]
    TooEarly {
        /// The block.
        block: Height,
        /// The height found.
        found: Height,
    },
    /// It would wait too long.
    #[error("the policy applies from height {found}, at most {limit} blocks after {block}")]
    TooLate {
        /// The block.
        block: Height,
        /// Most blocks ahead.
        limit: u64,
        /// The height found.
        found: Height,
    },
    /// Not signed by the hospital's identity key.
    #[error("the policy is not signed by the hospital's identity key")]
    NotSigned,
    /// The policy in force does not let the hospital propose one.
    #[error("the policy in force: {why}")]
    Denied {
        /// Which policy forbids it.
        why: String,
    },
    /// The text does not parse.
    #[error("the policy does not parse: {0}")]
    Parse(#[source] PolicyProblems),
    /// The text says what the schema does not allow.
    #[error("the policy does not validate: {0}")]
    Schema(#[source] PolicyProblems),
    /// No policy could follow it.
    #[error("after this policy the hospital could propose no other: {why}")]
    LocksOut {
        /// Why the hospital could not.
        why: String,
    },
}

impl PolicyError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            PolicyError::Generation { .. } => "policy_generation",
            PolicyError::Size { .. } => "policy_size",
            PolicyError::Params(_) => "policy_params",
            PolicyError::TooEarly { .. } => "policy_too_early",
            PolicyError::TooLate { .. } => "policy_too_late",
            PolicyError::NotSigned => "policy_not_signed",
            PolicyError::Denied { .. } => "policy_denied",
            PolicyError::Parse(_) => "policy_parse",
            PolicyError::Schema(_) => "policy_schema",
            PolicyError::LocksOut { .. } => "policy_locks_out",
        }
    }
}

/// Takes a policy in. It replaces one that waits for its height. The result is empty.
pub(super) fn apply(
    ctx: &BlockContext,
    tx: &SignedPolicy,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let body = &tx.body;
    let key = state::policy();
    let mut record = key.get(state)?.unwrap_or_default();
    let (expected, found) = (record.generation, body.generation);
    ensure(found == expected, || PolicyError::Generation {
        expected,
        found,
    })?;
    let found = body.text.len();
    ensure(found <= MAX_TEXT_BYTES, || PolicyError::Size {
        limit: MAX_TEXT_BYTES,
        found,
    })?;
    let params = body.limits.check().and_then(|()| body.retention.check());
    params.or_else(|e| refuse(PolicyError::Params(e)))?;
    let (block, found) = (ctx.height, body.applies_at);
    ensure(found > block, || PolicyError::TooEarly { block, found })?;
    ensure(found.0 - block.0 <= MAX_POLICY_LEAD, || {
        PolicyError::TooLate {
            block,
            limit: MAX_POLICY_LEAD,
            found,
        }
    })?;
    let keys = state::hospital_keys().require(state)?;
    // Before the text is looked at, which costs most.
    ensure(tx.is_signed_by(&ctx.chain, &keys.identity), || {
        PolicyError::NotSigned
    })?;
    let question = Question::proposes_policy(keys.identity);
    if let Some(why) = judge::denied(ctx, &question, state)? {
        return refuse(PolicyError::Denied { why });
    }
    let set = match parsed(&body.text) {
        Ok(set) => set,
        Err(problems @ PolicyProblems::Schema(_)) => {
            return refuse(PolicyError::Schema(problems));
        }
        Err(problems) => return refuse(PolicyError::Parse(problems)),
    };
    let decision = set.decide(&question);
    ensure(decision.allowed, || PolicyError::LocksOut {
        why: explain(&question, &decision),
    })?;
    let version = PolicyVersion {
        generation: body.generation,
        since: body.applies_at,
        text: body.text.clone(),
        limits: body.limits.clone(),
        retention: body.retention.clone(),
    };
    record.propose(version, ctx.height);
    key.put(state, &record);
    Ok(Vec::new())
}

#[cfg(test)]
mod tests;

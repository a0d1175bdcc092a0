//! Rules of `Amend` (DESIGN 5.1): those of `Anchor`, and that the versions of a record form one line.

use super::{Failure, anchor, ensure, refuse};
use crate::policy::{Operation, RecordState, Relation, Resource};
use crate::state;
use crate::tx::AmendTx;
use caduceus_crypto::Hash;
use caduceus_ledger::{BlockContext, Overlay};

/// Why a replacement is refused, beyond the rules of an anchor.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AmendError {
    /// It names itself.
    #[error("record {record} can't replace itself")]
    Itself {
        /// The record hash.
        record: Hash,
    },
    /// The record to be replaced is not anchored on this chain.
    #[error("record {record}, which is to be replaced, is not anchored here")]
    UnknownRecord {
        /// The record hash.
        record: Hash,
    },
    /// The record was replaced before: what comes next replaces its newest version.
    #[error("record {record} is replaced already, by {by}")]
    AlreadyReplaced {
        /// The record hash.
        record: Hash,
        /// Record hash of the version after it.
        by: Hash,
    },
}

impl AmendError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            AmendError::Itself { .. } => "amend_itself",
            AmendError::UnknownRecord { .. } => "amend_unknown_record",
            AmendError::AlreadyReplaced { .. } => "amend_already_replaced",
        }
    }
}

/// Applies a replacement. The result is that of an anchor: its position among the block's anchors, u32.
pub(super) fn apply(
    ctx: &BlockContext,
    tx: &AmendTx,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let old = tx.replaces;
    let new = tx.anchor.anchor.body.record_hash;
    ensure(old != new, || AmendError::Itself { record: old })?;
    let Some(at) = state::record(&old).get(state)? else {
        return refuse(AmendError::UnknownRecord { record: old });
    };
    let next = state::replaced_by(&old);
    if let Some(by) = next.get(state)? {
        return refuse(AmendError::AlreadyReplaced { record: old, by });
    }
    // The vault's signature on the new record says that the patient's card was presented.
    let relation = match state::anchor(&at).require(state)?.author {
        author if author == tx.anchor.anchor.author => Relation::Own,
        _ => Relation::Treating,
    };
    let replaced = Resource::record(old, RecordState::Current, relation);
    let result = anchor::apply_as(ctx, &tx.anchor, state, Operation::Amend, replaced)?;
    next.put(state, &new);
    state::replaces(&new).put(state, &old);
    Ok(result)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

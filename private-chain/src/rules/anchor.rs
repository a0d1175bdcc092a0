//! Rules of `Anchor` (DESIGN 3.5).

use super::{Failure, ensure, judge, refuse};
use crate::policy::{Operation, Principal, Question, RecordState, Relation, Resource};
use crate::state::{self, AnchorRef};
use crate::tx::{AnchorTx, Role};
use caduceus_crypto::Hash;
use caduceus_crypto::codec;
use caduceus_crypto::evidence::EvidenceError;
use caduceus_crypto::index::{SchemeId, Tag};
use caduceus_crypto::keys::{HospitalId, PublicKey};
use caduceus_crypto::time::{Epoch, TimeMillis};
use caduceus_ledger::{BlockContext, Overlay};

/// Largest distance, in days, between an anchor's epoch and the block's.
pub const MAX_EPOCH_DRIFT_DAYS: u32 = 1;

/// Why an anchor is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorError {
    /// Made for another hospital.
    #[error("the anchor is for hospital {found}, this chain is of {expected}")]
    OtherHospital {
        /// This chain's hospital.
        expected: HospitalId,
        /// The anchor's hospital.
        found: HospitalId,
    },
    /// The index entries are not of this chain's scheme.
    #[error("index entries of scheme {found}, this chain has {expected}")]
    IndexScheme {
        /// This chain's scheme.
        expected: SchemeId,
        /// That of the entries.
        found: SchemeId,
    },
    /// The author is not enrolled.
    #[error("author {author} is not enrolled")]
    AuthorUnknown {
        /// The author's key.
        author: PublicKey,
    },
    /// The policy in force does not let the author write this record.
    #[error("a {role} may not anchor this record: {why}")]
    AuthorRole {
        /// The author's role.
        role: Role,
        /// Which policy forbids it, or that none permits it.
        why: String,
    },
    /// The author's enrolment does not hold at block time.
    #[error("the author is enrolled from {not_before} to {not_after}, block time is {now}")]
    AuthorNotValid {
        /// Start of the validity.
        not_before: TimeMillis,
        /// End of the validity.
        not_after: TimeMillis,
        /// Block time.
        now: TimeMillis,
    },
    /// The author is suspended.
    #[error("the author was suspended at {since}")]
    AuthorSuspended {
        /// Block time of the suspension.
        since: TimeMillis,
    },
    /// The epoch is not the block's, give or take a day.
    #[error("the anchor is of epoch {found}, the block of {block}")]
    EpochDrift {
        /// The anchor's epoch.
        found: Epoch,
        /// The block's epoch.
        block: Epoch,
    },
    /// The receipt is of another vault.
    #[error("the vault key is {found}, the hospital's server is {expected}")]
    OtherVault {
        /// The server's key.
        expected: PublicKey,
        /// The vault key found.
        found: PublicKey,
    },
    /// The evidence does not hold by itself.
    #[error("evidence: {0}")]
    Evidence(#[source] EvidenceError),
    /// The record is anchored already.
    #[error("record {record} is anchored already, at {at:?}")]
    RecordRepeated {
        /// The record hash.
        record: Hash,
        /// Where it is anchored.
        at: AnchorRef,
    },
    /// The pseudonym was used before.
    #[error("the pseudonym is used already, at {at:?}")]
    PseudonymRepeated {
        /// Where it was used.
        at: AnchorRef,
    },
    /// A tag was used before: the author retries with the next counters.
    #[error("tag {index} of the anchor is used already, at {at:?}")]
    TagRepeated {
        /// Index of the tag in the anchor.
        index: usize,
        /// The tag.
        tag: Tag,
        /// Where it was used.
        at: AnchorRef,
    },
}

impl AnchorError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            AnchorError::OtherHospital { .. } => "anchor_other_hospital",
            AnchorError::IndexScheme { .. } => "anchor_index_scheme",
            AnchorError::AuthorUnknown { .. } => "anchor_author_unknown",
            AnchorError::AuthorRole { .. } => "anchor_author_role",
            AnchorError::AuthorNotValid { .. } => "anchor_author_not_valid",
            AnchorError::AuthorSuspended { .. } => "anchor_author_suspended",
            AnchorError::EpochDrift { .. } => "anchor_epoch_drift",
            AnchorError::OtherVault { .. } => "anchor_other_vault",
            AnchorError::Evidence(_) => "anchor_evidence",
            AnchorError::RecordRepeated { .. } => "anchor_record_repeated",
            AnchorError::PseudonymRepeated { .. } => "anchor_pseudonym_repeated",
            AnchorError::TagRepeated { .. } => "anchor_tag_repeated",
        }
    }
}

/// Applies an anchor. The result is its position among the block's anchors, u32.
pub(super) fn apply(
    ctx: &BlockContext,
    tx: &AnchorTx,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let record = tx.anchor.body.record_hash;
    let new = Resource::record(record, RecordState::Absent, Relation::Own);
    apply_as(ctx, tx, state, Operation::Anchor, new)
}

/// Applies an anchor, which the policy in force judges as this operation on this resource.
pub(super) fn apply_as(
    ctx: &BlockContext,
    tx: &AnchorTx,
    state: &mut Overlay<'_>,
    operation: Operation,
    resource: Resource,
) -> Result<Vec<u8>, Failure> {
    let anchor = &tx.anchor;
    let body = &anchor.body;
    let genesis = state::genesis().require(state)?;
    ensure(body.hospital == genesis.hospital, || {
        AnchorError::OtherHospital {
            expected: genesis.hospital,
            found: body.hospital,
        }
    })?;
    // Their form is a part of the evidence, last: points of curves cost most of all.
    let (expected, found) = (genesis.scheme, body.entries.scheme());
    ensure(found == expected, || AnchorError::IndexScheme {
        expected,
        found,
    })?;
    check_author(ctx, &anchor.author, state, operation, resource)?;
    let block = ctx.time.epoch();
    ensure(
        body.epoch.0.abs_diff(block.0) <= MAX_EPOCH_DRIFT_DAYS,
        || AnchorError::EpochDrift {
            found: body.epoch,
            block,
        },
    )?;
    let keys = state::hospital_keys().require(state)?;
    ensure(keys.is_server(&anchor.vault, ctx.time), || {
        AnchorError::OtherVault {
            expected: keys.server,
            found: anchor.vault,
        }
    })?;
    check_unused(tx, state)?;
    // Signatures and the capsule's proof last: they cost most.
    anchor
        .check()
        .or_else(|e| refuse(AnchorError::Evidence(e)))?;

    let counter = state::block_anchors();
    let position = counter.get(state)?.unwrap_or(0);
    let at = AnchorRef {
        height: ctx.height,
        position,
    };
    state::anchor(&at).put(state, anchor);
    state::record(&body.record_hash).put(state, &at);
    state::pseudonym(&body.pseudonym.point).put(state, &at);
    for tag in body.entries.tags() {
        state::tag(tag).put(state, &at);
    }
    counter.put(state, &(position + 1));
    Ok(codec::encode(&position))
}

/// The author may write records at this block's time.
fn check_author(
    ctx: &BlockContext,
    author: &PublicKey,
    state: &Overlay<'_>,
    operation: Operation,
    resource: Resource,
) -> Result<(), Failure> {
    let Some(staff) = state::staff(author).get(state)? else {
        return refuse(AnchorError::AuthorUnknown { author: *author });
    };
    ensure(staff.covers(ctx.time), || AnchorError::AuthorNotValid {
        not_before: staff.not_before,
        not_after: staff.not_after,
        now: ctx.time,
    })?;
    if let Some(since) = staff.suspended_at {
        return refuse(AnchorError::AuthorSuspended { since });
    }
    let principal = Principal::staff(author, &staff, ctx.time);
    let question = Question::new(principal, operation, resource);
    match judge::denied(ctx, &question, state)? {
        Some(why) => refuse(AnchorError::AuthorRole {
            role: staff.role,
            why,
        }),
        None => Ok(()),
    }
}

/// Record, pseudonym and tags were never used on this chain.
fn check_unused(tx: &AnchorTx, state: &Overlay<'_>) -> Result<(), Failure> {
    let body = &tx.anchor.body;
    if let Some(at) = state::record(&body.record_hash).get(state)? {
        return refuse(AnchorError::RecordRepeated {
            record: body.record_hash,
            at,
        });
    }
    if let Some(at) = state::pseudonym(&body.pseudonym.point).get(state)? {
        return refuse(AnchorError::PseudonymRepeated { at });
    }
    for (index, tag) in body.entries.tags().iter().enumerate() {
        if let Some(at) = state::tag(tag).get(state)? {
            return refuse(AnchorError::TagRepeated {
                index,
                tag: *tag,
                at,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

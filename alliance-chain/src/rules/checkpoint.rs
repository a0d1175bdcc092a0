//! Rules of `Checkpoint` (DESIGN 6.2): a private chain never forks.
//!
//! Order matters: the certificate is checked before a conflict is stated, so that [`CheckpointError::HeaderConflict`]
//! is evidence and not an insult.

use super::{Failure, active_member, ensure, refuse};
use crate::query;
use crate::state::{self, AnchorsExtra, CheckpointHead, CheckpointedHeader};
use crate::tx::{Checkpoint, MAX_CHECKPOINT_HEADERS};
use caduceus_crypto::Hash;
use caduceus_crypto::keys::HospitalId;
use caduceus_ledger::{
    BlockContext, CertificateError, CertifiedHeader, ChainId, Header, Height, Overlay,
};

/// Why a checkpoint is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The hospital is no member.
    #[error("{hospital} is no member")]
    NotAMember {
        /// The claimed member.
        hospital: HospitalId,
    },
    /// No header, or too many.
    #[error("{found} headers, 1 to {limit} allowed")]
    Count {
        /// The limit.
        limit: usize,
        /// The number found.
        found: usize,
    },
    /// A header of another chain than the hospital's.
    #[error("header {height} is of chain {found}, the hospital's is {expected}")]
    OtherChain {
        /// Height of the header.
        height: Height,
        /// The hospital's chain.
        expected: ChainId,
        /// The header's chain.
        found: ChainId,
    },
    /// Two headers that do not follow each other.
    #[error("header {found} follows header {before} in the checkpoint")]
    NotConsecutive {
        /// Height of the first one.
        before: Height,
        /// Height of the second one.
        found: Height,
    },
    /// A header whose parent is not the header before it.
    #[error("header {height} does not name the header before it as its parent")]
    Parent {
        /// Height of the header.
        height: Height,
    },
    /// A header that is not later than the one before it. A private chain's own nodes refuse such a block, so its
    /// voters misbehaved; and clients that read linked blocks take their days from these times, in order.
    #[error("header {height} is not later than the one before it")]
    Time {
        /// Height of the header.
        height: Height,
    },
    /// A header without anchors root and count.
    #[error(
        "header {height} carries {found} extra bytes, {} expected",
        AnchorsExtra::BYTES
    )]
    Extra {
        /// Height of the header.
        height: Height,
        /// Bytes found.
        found: usize,
    },
    /// The checkpoint starts after the next height.
    #[error("the checkpoint starts at {found}, height {expected} is next")]
    Gap {
        /// The next height.
        expected: Height,
        /// First height found.
        found: Height,
    },
    /// A header whose voters are not those on record.
    #[error("header {height} names voters that are not those on record")]
    OtherValidators {
        /// Height of the header.
        height: Height,
    },
    /// The voters change before the last header: a change ends a checkpoint.
    #[error("the voters change at {height}, before the end of the checkpoint")]
    ValidatorsChangeInside {
        /// Height of the header.
        height: Height,
    },
    /// The last header changes the voters, and the new set is missing, another, or given for no reason.
    #[error("the next validator set is not the one that header {height} names")]
    NextValidators {
        /// Height of the last header.
        height: Height,
    },
    /// The certificate does not hold.
    #[error("certificate: {0}")]
    Certificate(#[source] CertificateError),
    /// A certified second header at a checkpointed height: the private chain forked.
    #[error("height {height} is checkpointed as {recorded}, a certified header there is {found}")]
    HeaderConflict {
        /// The height.
        height: Height,
        /// Hash on record.
        recorded: Hash,
        /// Hash of the other header.
        found: Hash,
    },
    /// Every header that could conflict is on record just so.
    #[error("headers up to {head} are checkpointed already")]
    AlreadyCheckpointed {
        /// The newest checkpointed height.
        head: Height,
    },
}

impl CheckpointError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            CheckpointError::NotAMember { .. } => "checkpoint_not_a_member",
            CheckpointError::Count { .. } => "checkpoint_count",
            CheckpointError::OtherChain { .. } => "checkpoint_other_chain",
            CheckpointError::NotConsecutive { .. } => "checkpoint_not_consecutive",
            CheckpointError::Parent { .. } => "checkpoint_parent",
            CheckpointError::Time { .. } => "checkpoint_time",
            CheckpointError::Extra { .. } => "checkpoint_extra",
            CheckpointError::Gap { .. } => "checkpoint_gap",
            CheckpointError::OtherValidators { .. } => "checkpoint_other_validators",
            CheckpointError::ValidatorsChangeInside { .. } => "checkpoint_validators_change_inside",
            CheckpointError::NextValidators { .. } => "checkpoint_next_validators",
            CheckpointError::Certificate(_) => "checkpoint_certificate",
            CheckpointError::HeaderConflict { .. } => "checkpoint_header_conflict",
            CheckpointError::AlreadyCheckpointed { .. } => "checkpoint_already_checkpointed",
        }
    }
}

/// Records headers. The result is empty.
pub(super) fn apply(
    ctx: &BlockContext,
    tx: Checkpoint,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let hospital = tx.hospital;
    let Some(mut record) = active_member(state, &hospital)? else {
        return refuse(CheckpointError::NotAMember { hospital });
    };
    let extras = check_form(&tx.headers, record.member.private_chain)?;
    let (Some(first), Some(last)) = (tx.headers.first(), tx.headers.last()) else {
        return refuse(CheckpointError::Count {
            limit: MAX_CHECKPOINT_HEADERS,
            found: 0,
        });
    };
    let head = state::head(&hospital).get(state)?;
    let expected = head.map_or(Height::GENESIS, |h| h.height).next();
    ensure(first.height <= expected, || CheckpointError::Gap {
        expected,
        found: first.height,
    })?;

    // 1. Who certified it. A set of former voters can only show a conflict, never extend the chain.
    let current = &record.member.private_validators;
    let set = if last.height < expected {
        state::validators(&hospital, &last.validators).get(state)?
    } else {
        Some(current.clone()).filter(|set| set.hash() == last.validators)
    };
    let Some(set) = set else {
        return refuse(CheckpointError::OtherValidators {
            height: last.height,
        });
    };
    let certified = CertifiedHeader {
        header: last.clone(),
        certificate: tx.certificate.clone(),
    };
    certified
        .verify(&record.member.private_chain, &set)
        .or_else(|e| refuse(CheckpointError::Certificate(e)))?;

    // 2. Whether it contradicts what is on record: at a height, or by its parent.
    check_conflicts(&tx.headers, &hospital, state)?;
    if first.height < expected {
        let head = head.map_or(Height::GENESIS, |h| h.height);
        return refuse(CheckpointError::AlreadyCheckpointed { head });
    }
    // Scans rest on days that rise with heights, also from one checkpoint to the next.
    let later = head.is_none_or(|head| first.time > head.time);
    ensure(later, || CheckpointError::Time {
        height: first.height,
    })?;

    // 3. The voters: the recorded ones throughout, and the next ones where they change.
    let current_hash = current.hash();
    for header in &tx.headers {
        let height = header.height;
        ensure(header.validators == current_hash, || {
            CheckpointError::OtherValidators { height }
        })?;
        let changes = header.next_validators != current_hash;
        ensure(!changes || height == last.height, || {
            CheckpointError::ValidatorsChangeInside { height }
        })?;
    }
    let given = tx.next_validators.as_ref().map(|set| set.hash());
    let named = Some(last.next_validators).filter(|next| *next != current_hash);
    ensure(given == named, || CheckpointError::NextValidators {
        height: last.height,
    })?;

    let tree_key = state::header_tree(&hospital);
    let mut tree = tree_key.get(state)?.unwrap_or_default();
    for (header, extra) in tx.headers.iter().zip(&extras) {
        let hash = header.hash();
        tree.push(&hash);
        let kept = CheckpointedHeader {
            hash,
            time: header.time,
            anchors_root: extra.root,
            anchors_count: extra.count,
        };
        state::header(&hospital, header.height).put(state, &kept);
        if extra.count > 0 {
            state::unlinked(&hospital, header.height).put(state, &extra.count);
        }
    }
    tree_key.put(state, &tree);
    state::head(&hospital).put(
        state,
        &CheckpointHead {
            height: last.height,
            hash: last.hash(),
            time: last.time,
            recorded_at: ctx.time,
        },
    );
    if let Some(next) = tx.next_validators {
        state::validators(&hospital, &next.hash()).put(state, &next);
        record.member.private_validators = next;
        state::member(&hospital).put(state, &record);
    }
    Ok(Vec::new())
}

/// The headers are of the chain and follow each other; gives their anchors.
fn check_form(headers: &[Header], chain: ChainId) -> Result<Vec<AnchorsExtra>, Failure> {
    let found = headers.len();
    ensure((1..=MAX_CHECKPOINT_HEADERS).contains(&found), || {
        CheckpointError::Count {
            limit: MAX_CHECKPOINT_HEADERS,
            found,
        }
    })?;
    for pair in headers.windows(2) {
        let (before, header) = (&pair[0], &pair[1]);
        let height = header.height;
        // By subtraction: adding one could overflow.
        let follows = height.0.checked_sub(1) == Some(before.height.0);
        ensure(follows, || CheckpointError::NotConsecutive {
            before: before.height,
            found: height,
        })?;
        ensure(header.parent == before.hash(), || CheckpointError::Parent {
            height,
        })?;
        ensure(header.time > before.time, || CheckpointError::Time {
            height,
        })?;
    }
    let mut extras = Vec::with_capacity(found);
    for header in headers {
        let height = header.height;
        ensure(header.chain == chain, || CheckpointError::OtherChain {
            height,
            expected: chain,
            found: header.chain,
        })?;
        let Some(extra) = AnchorsExtra::parse(&header.extra) else {
            return refuse(CheckpointError::Extra {
                height,
                found: header.extra.len(),
            });
        };
        extras.push(extra);
    }
    Ok(extras)
}

/// No certified header contradicts a recorded one. The certificate on the last header covers all before it,
/// since each names its parent; and the first one's parent is a header of the chain too.
fn check_conflicts(
    headers: &[Header],
    hospital: &HospitalId,
    state: &Overlay<'_>,
) -> Result<(), Failure> {
    match query::conflict(state, hospital, headers)? {
        None => Ok(()),
        Some(conflict) => refuse(CheckpointError::HeaderConflict {
            height: conflict.height,
            recorded: conflict.recorded,
            found: conflict.found,
        }),
    }
}

#[cfg(test)]
mod tests;

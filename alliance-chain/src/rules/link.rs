//! Rules of `Link` (DESIGN 2.2, 6.2): every anchor of every private block, in order, without gaps.

use super::{Failure, active_member, ensure, refuse};
use crate::state::{self, LinkedRecord, RecordRef};
use crate::tx::Link;
use caduceus_crypto::Hash;
use caduceus_crypto::codec;
use caduceus_crypto::index::Tag;
use caduceus_crypto::keys::HospitalId;
use caduceus_crypto::merkle;
use caduceus_ledger::{Height, Overlay};

/// Why a batch of links is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The hospital is no member.
    #[error("{hospital} is no member")]
    NotAMember {
        /// The claimed member.
        hospital: HospitalId,
    },
    /// The private block is not checkpointed yet.
    #[error("private height {height} is not checkpointed yet")]
    NotCheckpointed {
        /// The height.
        height: Height,
    },
    /// The private block has no anchors.
    #[error("private height {height} has no anchors")]
    NoAnchors {
        /// The height.
        height: Height,
    },
    /// The private block is linked already.
    #[error("private height {height} is linked already")]
    AlreadyLinked {
        /// The height.
        height: Height,
    },
    /// A lower private block with anchors is not linked yet.
    #[error("private height {found} can't be linked before {expected}")]
    OutOfOrder {
        /// The height to link next.
        expected: Height,
        /// The height found.
        found: Height,
    },
    /// Not as many leaves as the header counts.
    #[error("{found} leaves, the header of private height {height} counts {expected}")]
    Count {
        /// The height.
        height: Height,
        /// Anchors of the block.
        expected: u32,
        /// Leaves found.
        found: usize,
    },
    /// The leaves are not those the header commits to.
    #[error("the leaves give root {found}, the header of private height {height} says {expected}")]
    Root {
        /// The height.
        height: Height,
        /// Root in the header.
        expected: Hash,
        /// Root of the leaves.
        found: Hash,
    },
    /// Index entries that break a rule of form.
    #[error("leaf {position}: {source}")]
    Entries {
        /// Position of the leaf.
        position: u32,
        /// The rule.
        source: caduceus_crypto::index::EntriesError,
    },
    /// A pseudonym that the hospital used before.
    #[error("the pseudonym of leaf {position} is that of record {at}")]
    PseudonymRepeated {
        /// Position of the leaf.
        position: u32,
        /// Where it was used.
        at: RecordRef,
    },
    /// A tag that the hospital used before.
    #[error("tag {index} of leaf {position} is one of record {at}")]
    TagRepeated {
        /// Position of the leaf.
        position: u32,
        /// Index of the tag in the leaf.
        index: usize,
        /// The tag.
        tag: Tag,
        /// Where it was used.
        at: RecordRef,
    },
}

impl LinkError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            LinkError::NotAMember { .. } => "link_not_a_member",
            LinkError::NotCheckpointed { .. } => "link_not_checkpointed",
            LinkError::NoAnchors { .. } => "link_no_anchors",
            LinkError::AlreadyLinked { .. } => "link_already_linked",
            LinkError::OutOfOrder { .. } => "link_out_of_order",
            LinkError::Count { .. } => "link_count",
            LinkError::Root { .. } => "link_root",
            LinkError::Entries { .. } => "link_entries",
            LinkError::PseudonymRepeated { .. } => "link_pseudonym_repeated",
            LinkError::TagRepeated { .. } => "link_tag_repeated",
        }
    }
}

/// Links the anchors of one private block. The result is empty.
pub(super) fn apply(tx: Link, state: &mut Overlay<'_>) -> Result<Vec<u8>, Failure> {
    let hospital = tx.hospital;
    let height = tx.height;
    if active_member(state, &hospital)?.is_none() {
        return refuse(LinkError::NotAMember { hospital });
    }
    let Some(header) = state::header(&hospital, height).get(state)? else {
        return refuse(LinkError::NotCheckpointed { height });
    };
    ensure(header.anchors_count > 0, || LinkError::NoAnchors { height })?;
    let unlinked = state::unlinked(&hospital, height);
    ensure(unlinked.is_set(state)?, || LinkError::AlreadyLinked {
        height,
    })?;
    let expected = state::first_unlinked(state, &hospital)?.unwrap_or(height);
    ensure(height == expected, || LinkError::OutOfOrder {
        expected,
        found: height,
    })?;

    let found = tx.leaves.len();
    ensure(u32::try_from(found) == Ok(header.anchors_count), || {
        LinkError::Count {
            height,
            expected: header.anchors_count,
            found,
        }
    })?;
    let leaves: Vec<Vec<u8>> = tx.leaves.iter().map(codec::encode).collect();
    let root = merkle::root(&leaves);
    ensure(root == header.anchors_root, || LinkError::Root {
        height,
        expected: header.anchors_root,
        found: root,
    })?;

    for (position, leaf) in (0u32..).zip(tx.leaves) {
        leaf.entries
            .check_form()
            .or_else(|source| refuse(LinkError::Entries { position, source }))?;
        let here = RecordRef {
            height: height.0,
            position,
        };
        let pseudonym = state::pseudonym(&hospital, &leaf.pseudonym.point);
        if let Some(at) = pseudonym.get(state)? {
            return refuse(LinkError::PseudonymRepeated { position, at });
        }
        pseudonym.put(state, &here);
        for (index, tag) in leaf.entries.tags.iter().enumerate() {
            let key = state::tag(&hospital, tag);
            if let Some(at) = key.get(state)? {
                return refuse(LinkError::TagRepeated {
                    position,
                    index,
                    tag: *tag,
                    at,
                });
            }
            key.put(state, &here);
        }
        let linked = LinkedRecord {
            pseudonym: leaf.pseudonym,
            record_hash: leaf.record_hash,
        };
        state::record(&hospital, &here).put(state, &linked);
    }
    unlinked.clear(state);
    Ok(Vec::new())
}

#[cfg(test)]
mod tests;

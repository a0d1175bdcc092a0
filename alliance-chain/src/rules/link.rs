//! Rules of `Link` (DESIGN 2.2, 6.2): every anchor of every private block, in order, without gaps.

use super::{Failure, active_member, ensure, refuse};
use crate::query::linked_digest;
use crate::state::{
    self, CheckpointedHeader, LinkPlace, LinkedHead, LinkedRecord, RecordRef, ScanRecord,
};
use crate::tx::Link;
use caduceus_crypto::Hash;
use caduceus_crypto::codec;
use caduceus_crypto::index::{EntriesError, IndexEntries, Tag};
use caduceus_crypto::keys::HospitalId;
use caduceus_crypto::merkle;
use caduceus_ledger::{BlockContext, Height, Overlay, StateError};

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
    /// Index entries of another scheme than the chain's, or that break a rule of form.
    #[error("leaf {position}: {source}")]
    Entries {
        /// Position of the leaf.
        position: u32,
        /// The rule.
        source: EntriesError,
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
            LinkError::Entries {
                source: EntriesError::Scheme { .. },
                ..
            } => "link_index_scheme",
            LinkError::Entries { .. } => "link_entries",
            LinkError::PseudonymRepeated { .. } => "link_pseudonym_repeated",
            LinkError::TagRepeated { .. } => "link_tag_repeated",
        }
    }
}

/// Links the anchors of one private block. The result is empty.
pub(super) fn apply(
    ctx: &BlockContext,
    id: Hash,
    tx: &Link,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
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

    let scheme = state::params().require(state)?.scheme;
    let ordinal = state::ordinal(&hospital).require(state)?;
    // Not the private header's: that is the hospital's word, and could take records out of every search by days.
    let day = ctx.time.epoch();
    for (position, leaf) in (0u32..).zip(&tx.leaves) {
        leaf.entries
            .check(scheme)
            .or_else(|source| refuse(LinkError::Entries { position, source }))?;
        let record = RecordRef {
            height: height.0,
            position,
        };
        let pseudonym = state::pseudonym(&hospital, &leaf.pseudonym.point);
        if let Some(at) = pseudonym.get(state)? {
            return refuse(LinkError::PseudonymRepeated { position, at });
        }
        pseudonym.put(state, &record);
        let linked = LinkedRecord {
            pseudonym: leaf.pseudonym,
            record_hash: leaf.record_hash,
        };
        state::record(&hospital, &record).put(state, &linked);
        match &leaf.entries {
            IndexEntries::Tags(tags) => put_tags(ordinal, &record, tags, state)?,
            entries => push_scanned(
                ordinal,
                &ScanRecord {
                    record,
                    day,
                    entries: entries.clone(),
                },
                state,
            )?,
        }
    }
    unlinked.clear(state);
    advance(&hospital, LinkPlace { height, tx: id }, &header, state)?;
    Ok(Vec::new())
}

/// Makes a record findable by its tags, none of which the hospital may have used before.
fn put_tags(
    ordinal: u32,
    record: &RecordRef,
    tags: &[Tag],
    state: &mut Overlay<'_>,
) -> Result<(), Failure> {
    for (index, tag) in tags.iter().enumerate() {
        let key = state::tag(ordinal, tag);
        if let Some(at) = key.get(state)? {
            return refuse(LinkError::TagRepeated {
                position: record.position,
                index,
                tag: *tag,
                at,
            });
        }
        key.put(state, record);
    }
    Ok(())
}

/// Appends a record to those that a scan tests. Entries of these schemes are random, so equal ones need no rule.
fn push_scanned(
    ordinal: u32,
    record: &ScanRecord,
    state: &mut Overlay<'_>,
) -> Result<(), StateError> {
    let count = state::scan_count(ordinal);
    let n = count.get(state)?.unwrap_or(0);
    state::scan_record(ordinal, n).put(state, record);
    count.put(state, &(n + 1));
    Ok(())
}

/// Moves the hospital's linked head over one block.
fn advance(
    hospital: &HospitalId,
    place: LinkPlace,
    header: &CheckpointedHeader,
    state: &mut Overlay<'_>,
) -> Result<(), StateError> {
    let count = state::link_count(hospital);
    let n = count.get(state)?.unwrap_or(0);
    state::link(hospital, n).put(state, &place);
    count.put(state, &(n + 1));
    let head = state::linked(hospital);
    let (records, digest) = head
        .get(state)?
        .map_or((0, Hash::ZERO), |head| (head.records, head.digest));
    let height = place.height;
    head.put(
        state,
        &LinkedHead {
            height,
            records: records + u64::from(header.anchors_count),
            digest: linked_digest(&digest, height, header.time, &header.anchors_root),
        },
    );
    Ok(())
}

#[cfg(test)]
mod tests;

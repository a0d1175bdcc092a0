//! The linker's arithmetic: which heights are next, and whether a node's headers may stand for them.

use alliance_chain::AnchorsExtra;
use alliance_chain::state::CheckpointHead;
use caduceus_crypto::Hash;
use caduceus_ledger::{CertifiedHeader, Header};

/// Most headers of one round: as many as one answer of a node holds.
pub(super) const MAX_BATCH: u16 = 256;

/// Why headers do not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PlanError {
    /// None where some must be.
    #[error("height {expected} is missing")]
    Missing {
        /// The height.
        expected: u64,
    },
    /// A height out of turn.
    #[error("height {found} came where {expected} is next")]
    Order {
        /// The height that is next.
        expected: u64,
        /// The height found.
        found: u64,
    },
    /// A header whose parent is another block than the one before it.
    #[error("height {height} does not follow the block before it")]
    Parent {
        /// The height.
        height: u64,
    },
    /// A header without root and count of its anchors.
    #[error("height {height} says nothing of its anchors")]
    Extra {
        /// The height.
        height: u64,
    },
}

/// The heights after `done` up to `target`, as many as fit in one round: the first one and their number.
pub(super) fn next(done: u64, target: u64) -> Option<(u64, u16)> {
    let left = target.checked_sub(done).filter(|left| *left > 0)?;
    let limit = u16::try_from(left).map_or(MAX_BATCH, |left| left.min(MAX_BATCH));
    Some((done + 1, limit))
}

/// The height up to which everything counts as linked after a start: the hint, unless it is lost or above what
/// is even checkpointed.
pub(super) fn resume_linking(hint: Option<u64>, checkpointed: u64) -> u64 {
    hint.filter(|hint| *hint <= checkpointed).unwrap_or(0)
}

/// Whether the newest checkpointed header is at least this one, and not another at its height.
pub(super) fn covers(head: &CheckpointHead, header: &Header) -> bool {
    head.height > header.height || (head.height == header.height && head.hash == header.hash())
}

/// Consecutive headers, at least one.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    before: Vec<CertifiedHeader>,
    last: CertifiedHeader,
    anchors: Vec<(u64, u32, Hash)>,
}

impl Batch {
    /// The last header, whose certificate covers all.
    pub(super) fn last(&self) -> &CertifiedHeader {
        &self.last
    }

    /// The headers in order.
    pub(super) fn headers(&self) -> Vec<Header> {
        self.before
            .iter()
            .chain([&self.last])
            .map(|head| head.header.clone())
            .collect()
    }

    /// The blocks with anchors, in order: height, count, root.
    pub(super) fn with_anchors(&self) -> &[(u64, u32, Hash)] {
        &self.anchors
    }
}

/// Checks that headers begin at a height, after a parent if one is known, and follow each other. A header that
/// changes the voters ends the batch: one certificate covers the headers of one set (DESIGN 6.2).
pub(super) fn batch(
    mut headers: Vec<CertifiedHeader>,
    from: u64,
    parent: Option<Hash>,
) -> Result<Batch, PlanError> {
    let mut parent = parent;
    let (mut anchors, mut taken) = (Vec::new(), 0);
    for (expected, head) in (from..).zip(&headers) {
        let header = &head.header;
        let height = header.height.0;
        if height != expected {
            return Err(PlanError::Order {
                expected,
                found: height,
            });
        }
        if parent.is_some_and(|parent| parent != header.parent) {
            return Err(PlanError::Parent { height });
        }
        let extra = AnchorsExtra::parse(&header.extra).ok_or(PlanError::Extra { height })?;
        if extra.count > 0 {
            anchors.push((height, extra.count, extra.root));
        }
        parent = Some(header.hash());
        taken += 1;
        if header.next_validators != header.validators {
            break;
        }
    }
    headers.truncate(taken);
    let last = headers.pop().ok_or(PlanError::Missing { expected: from })?;
    Ok(Batch {
        before: headers,
        last,
        anchors,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use caduceus_crypto::TimeMillis;
    use caduceus_ledger::{Address, Certificate, ChainId, Height};

    #[test]
    fn rounds_cover_every_height_once() {
        assert_eq!(next(0, 0), None);
        assert_eq!(next(5, 4), None);
        assert_eq!(next(0, 1), Some((1, 1)));
        assert_eq!(next(u64::MAX - 1, u64::MAX), Some((u64::MAX, 1)));
        let (mut done, mut rounds) = (3, Vec::new());
        while let Some((from, limit)) = next(done, 600) {
            assert_eq!(from, done + 1);
            done += u64::from(limit);
            rounds.push(limit);
        }
        assert_eq!((done, rounds), (600, vec![256, 256, 85]));
        assert_eq!(next(0, 100_000), Some((1, MAX_BATCH)));
    }

    #[test]
    fn a_lost_or_impossible_hint_starts_from_the_beginning() {
        assert_eq!(resume_linking(None, 10), 0);
        assert_eq!(resume_linking(Some(7), 10), 7);
        assert_eq!(resume_linking(Some(10), 10), 10);
        assert_eq!(resume_linking(Some(11), 10), 0);
    }

    fn chain(heights: std::ops::RangeInclusive<u64>) -> Vec<CertifiedHeader> {
        let mut parent = Hash([9; 32]);
        heights
            .map(|height| {
                let extra = AnchorsExtra {
                    root: Hash([height as u8; 32]),
                    count: u32::try_from(height % 3).unwrap(),
                };
                let header = Header {
                    chain: ChainId::default(),
                    height: Height(height),
                    time: TimeMillis(height),
                    proposer: Address::default(),
                    parent,
                    txs_root: Hash::ZERO,
                    results_root: Hash::ZERO,
                    state_root: Hash::ZERO,
                    validators: Hash::ZERO,
                    next_validators: Hash::ZERO,
                    extra: extra.to_bytes(),
                };
                parent = header.hash();
                let certificate = Certificate {
                    height: header.height,
                    round: 0,
                    block: parent,
                    signatures: Vec::new(),
                };
                CertifiedHeader {
                    header,
                    certificate,
                }
            })
            .collect()
    }

    #[test]
    fn headers_follow_each_other_and_say_what_is_to_be_linked() {
        let good = batch(chain(4..=9), 4, Some(Hash([9; 32]))).unwrap();
        assert_eq!(good.last().header.height, Height(9));
        assert_eq!(good.headers().len(), 6);
        let heights: Vec<(u64, u32)> = good
            .with_anchors()
            .iter()
            .map(|(h, c, _)| (*h, *c))
            .collect();
        assert_eq!(heights, [(4, 1), (5, 2), (7, 1), (8, 2)]);
        // A restart that knows no parent takes the same headers.
        assert_eq!(
            batch(chain(4..=9), 4, None).unwrap().headers(),
            good.headers()
        );
    }

    #[test]
    fn a_header_counts_as_checkpointed_only_if_the_proved_head_covers_it() {
        let headers = chain(4..=6);
        let head = |at: &CertifiedHeader| CheckpointHead {
            height: at.header.height,
            hash: at.header.hash(),
            time: at.header.time,
            recorded_at: at.header.time,
        };
        let middle = &headers[1].header;
        assert!(!covers(&head(&headers[0]), middle));
        assert!(covers(&head(&headers[1]), middle));
        assert!(covers(&head(&headers[2]), middle));
        let mut other = head(&headers[1]);
        other.hash = Hash([7; 32]);
        assert!(!covers(&other, middle));
    }

    #[test]
    fn a_change_of_the_voters_ends_a_batch() {
        // Nothing behind the change is looked at, so that a header there may not even follow.
        for at in 0..3 {
            let mut changed = chain(4..=6);
            changed[at].header.next_validators = Hash([1; 32]);
            let batch = batch(changed.clone(), 4, Some(Hash([9; 32]))).unwrap();
            assert_eq!(batch.headers().len(), at + 1);
            assert_eq!(batch.last(), &changed[at]);
            let linked = batch.with_anchors().iter().map(|anchors| anchors.0);
            assert!(linked.max().is_none_or(|height| height <= 4 + at as u64));
        }
    }

    #[test]
    fn each_misfit_is_told() {
        let refused =
            |headers: Vec<CertifiedHeader>| batch(headers, 4, Some(Hash([9; 32]))).unwrap_err();
        assert_eq!(refused(Vec::new()), PlanError::Missing { expected: 4 });
        assert_eq!(
            refused(chain(5..=6)),
            PlanError::Order {
                expected: 4,
                found: 5
            }
        );
        let mut gap = chain(4..=7);
        gap.remove(1);
        assert_eq!(
            refused(gap),
            PlanError::Order {
                expected: 5,
                found: 6
            }
        );
        let mut forked = chain(4..=6);
        forked[1].header.time = TimeMillis(99);
        assert_eq!(refused(forked), PlanError::Parent { height: 6 });
        let mut bare = chain(4..=6);
        bare[2].header.extra.clear();
        assert_eq!(refused(bare), PlanError::Extra { height: 6 });
        let other_parent = batch(chain(4..=6), 4, Some(Hash([8; 32])));
        assert_eq!(other_parent.unwrap_err(), PlanError::Parent { height: 4 });
    }
}

//! What the index holds, by bucket. Rows of a bucket come in the order of the chain, without exception: what is missing
//! is a gap at its end, and nothing is taken in behind a gap before it is closed.

use super::run::Run;
use crate::audit::{AuditRow, Bucket};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows in memory before they become a run.
pub(super) const RECENT_ROWS: usize = 256;
/// As many runs of one size become one of the next.
const FANOUT: usize = 8;
/// A run of so many rows goes into a file.
pub(super) const FILE_ROWS: usize = RECENT_ROWS * FANOUT * FANOUT;
/// Runs of so many rows are not merged any more.
const FULL_ROWS: usize = FILE_ROWS * FANOUT;
/// Most rows that merging makes a run of.
const MERGED_ROWS: usize = super::run::MAX_ROWS;

/// One bucket.
#[derive(Default)]
pub(super) struct BucketState {
    /// Sequence number of the first batch with an entry of this bucket.
    pub(super) from: u64,
    /// In order.
    pub(super) runs: Vec<Arc<Run>>,
    /// What came after the runs.
    pub(super) recent: Vec<AuditRow>,
    /// Entries with these sequence numbers, the second left out, were not taken in: the key was missing, or files were
    /// damaged. Both ends are beginnings of batches.
    pub(super) gap: Option<(u64, u64)>,
    /// Entries that do not open under the bucket's key.
    pub(super) unopened: Vec<u64>,
}

/// All buckets.
#[derive(Default)]
pub(super) struct State {
    /// Before this number every entry was looked at.
    pub(super) head: u64,
    pub(super) buckets: BTreeMap<Bucket, BucketState>,
}

/// What to do with a batch's entries of one bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Take them in.
    Take,
    /// They go behind the gap, or begin one.
    Wait,
    /// They are in already, or it is not their turn.
    Skip,
}

impl State {
    /// What becomes of a batch's entries of a bucket whose key is here, or is not.
    pub(super) fn step(&self, bucket: &Bucket, first: u64, has_key: bool) -> Step {
        let news = first == self.head;
        match self.buckets.get(bucket).and_then(|state| state.gap) {
            Some((start, _)) if start == first && has_key => Step::Take,
            None if news && has_key => Step::Take,
            _ if news => Step::Wait,
            _ => Step::Skip,
        }
    }
}

impl BucketState {
    pub(super) fn new(from: u64) -> Self {
        Self {
            from,
            ..Self::default()
        }
    }

    /// Notes that a batch's entries were taken in.
    pub(super) fn took(&mut self, end: u64) {
        self.gap = self.gap.map(|(_, to)| (end, to)).filter(|(at, to)| at < to);
    }

    /// Notes that a batch's entries wait.
    pub(super) fn waits(&mut self, first: u64, end: u64) {
        let start = self.gap.map_or(first, |(start, _)| start);
        self.gap = Some((start, end));
    }

    /// Forgets all rows: they are to come again, up to `head`.
    pub(super) fn clear(&mut self, head: u64) {
        self.runs.clear();
        self.recent.clear();
        self.unopened.clear();
        self.gap = (self.from < head).then_some((self.from, head));
    }

    /// Before this number every entry of the bucket is in files. It is the beginning of a batch.
    pub(super) fn filed_to(&self, head: u64) -> u64 {
        let unfiled = self.runs.iter().find(|run| run.id().is_none());
        unfiled
            .map(|run| run.head.batch)
            .or_else(|| self.recent.first().map(|row| row.place.first))
            .or_else(|| self.gap.map(|(start, _)| start))
            .unwrap_or(head)
    }

    /// How many runs at the end are to become one; none if their number is well.
    pub(super) fn to_merge(&self) -> Option<usize> {
        let size = |run: &Arc<Run>| run.head.rows as usize;
        let mut limit = RECENT_ROWS * FANOUT;
        while limit <= FULL_ROWS {
            let mut total = 0;
            let small = self.runs.iter().rev().take_while(|run| {
                total += size(run);
                size(run) < limit && total <= MERGED_ROWS
            });
            let count = small.count();
            if count >= FANOUT {
                return Some(count);
            }
            limit *= FANOUT;
        }
        None
    }

    /// The runs at the end that are in no file.
    pub(super) fn unfiled(&self) -> usize {
        let unfiled = self.runs.iter().rev();
        unfiled.take_while(|run| run.id().is_none()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::ActionClass;

    const BUCKET: Bucket = Bucket {
        class: ActionClass::AuditRead,
        month: 1,
    };

    #[test]
    fn a_gap_is_closed_before_anything_behind_it_is_taken_in() {
        let mut state = State::default();
        assert_eq!(state.step(&BUCKET, 0, false), Step::Wait);
        let mut bucket = BucketState::new(0);
        bucket.waits(0, 10);
        state.head = 10;
        bucket.waits(10, 15);
        assert_eq!(bucket.gap, Some((0, 15)));
        state.head = 15;
        state.buckets.insert(BUCKET, bucket);
        // The key has come.
        assert_eq!(state.step(&BUCKET, 15, true), Step::Wait);
        assert_eq!(state.step(&BUCKET, 10, true), Step::Skip);
        assert_eq!(state.step(&BUCKET, 0, true), Step::Take);
        let bucket = state.buckets.entry(BUCKET).or_default();
        bucket.took(10);
        assert_eq!(bucket.gap, Some((10, 15)));
        bucket.took(15);
        assert_eq!(bucket.gap, None);
        assert_eq!(state.step(&BUCKET, 10, true), Step::Skip);
        assert_eq!(state.step(&BUCKET, 15, true), Step::Take);
        assert_eq!(state.step(&BUCKET, 15, false), Step::Wait);
    }
}

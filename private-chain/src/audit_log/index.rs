//! The search index of a node: opened audit entries, by bucket, in runs.
//!
//! New rows are in memory; every 256 of a bucket become a [`run`], rows by columns with what is needed to find those
//! that have a value; eight runs of a size become one of the next, so that their number grows with the logarithm of the
//! rows up to 131,072, and from there on by one for as many. Runs from 16,384 rows on are in files, sealed under keys
//! that follow from the bucket's; their rows leave memory when they take more than a budget and come back when a query
//! needs them. A query looks at the rows of the rarest value that it asks for.
//!
//! All of it follows from the chain. Whoever feeds it does so from [`Index::indexed_up_to`] on, which goes back when a
//! file is found damaged or a key comes late; [`Index::ingest`] takes in what is missing and nothing twice. While
//! something is missing that could be taken in, queries that concern it fail instead of answering without it.

mod bloom;
mod cell;
mod codec;
mod columns;
mod found;
mod list;
mod query;
mod run;
mod scan;
mod state;
mod store;

use super::keys::{BucketKeys, KeyError};
use crate::audit::{AuditBatch, AuditRow, BatchKey, Bucket, Filter, Place, SecretBytes};
use caduceus_ledger::ChainId;
pub use codec::Malformed;
use state::{BucketState, State, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Memory for rows that are in files too, in bytes, unless said otherwise.
pub const DEFAULT_BUDGET_BYTES: usize = 256 << 20;

/// Why the index does not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The disk failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What failed.
        #[source]
        source: io::Error,
    },
    /// A bucket's key cannot be had, and not because there is none.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A batch that is not the next one.
    #[error("a batch from number {found} on, {expected} is next")]
    OutOfOrder {
        /// The number that is next.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// The place is that of another batch.
    #[error("the place is not that of the batch from number {first} on")]
    Place {
        /// Sequence number of the batch's first entry.
        first: u64,
    },
    /// A file of that bucket is damaged. The index has begun to make it anew.
    #[error("a file of the index of {bucket} is damaged")]
    Damaged {
        /// The bucket.
        bucket: Bucket,
    },
    /// Entries of that bucket are being taken in again.
    #[error("the index of {bucket} is being made anew")]
    Rebuilding {
        /// The bucket.
        bucket: Bucket,
    },
}

/// Entries that a query cannot see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// This node has no key for that bucket (yet).
    NoKey(Bucket),
    /// So many entries of that bucket are not sealed under its key.
    Unopened(Bucket, u64),
}

/// The search index of one chain's audit entries. Safe to share; one process has the folder.
pub struct Index {
    dir: PathBuf,
    keys: Arc<BucketKeys>,
    chain: ChainId,
    budget: usize,
    /// Held by whoever changes the state; queries go on.
    writer: Mutex<()>,
    state: RwLock<State>,
    stamp: AtomicU64,
}

/// What a batch has of one bucket.
struct Taken {
    step: Step,
    rows: Vec<AuditRow>,
    unopened: Vec<u64>,
}

impl Index {
    /// Opens the folder and takes over its runs. What is damaged or belongs to no bucket is removed, and what it held
    /// comes again from the chain.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(
        dir: impl Into<PathBuf>,
        keys: Arc<BucketKeys>,
        chain: ChainId,
    ) -> Result<Self, IndexError> {
        let index = Self {
            dir: dir.into(),
            keys,
            chain,
            budget: DEFAULT_BUDGET_BYTES,
            writer: Mutex::default(),
            state: RwLock::default(),
            stamp: AtomicU64::new(1),
        };
        let state = index.load()?;
        *index.write() = state;
        Ok(index)
    }

    /// With this much memory for rows that are in files too.
    #[must_use]
    pub fn with_budget(self, bytes: usize) -> Self {
        Self {
            budget: bytes,
            ..self
        }
    }

    /// The keys of its buckets.
    pub fn keys(&self) -> &Arc<BucketKeys> {
        &self.keys
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A bucket's key; a damaged key file counts as none.
    fn key(&self, bucket: &Bucket) -> Result<Option<SecretBytes>, KeyError> {
        match self.keys.get(bucket) {
            Err(error) if error.is_damage() => Ok(None),
            key => key,
        }
    }

    /// The sequence number from which on the index is to be fed: of the first batch with an entry that it has not taken
    /// in and could.
    pub fn indexed_up_to(&self) -> u64 {
        let state = self.read();
        let gaps = state.buckets.iter().filter_map(|(bucket, found)| {
            let (start, _) = found.gap?;
            matches!(self.key(bucket), Ok(Some(_))).then_some(start)
        });
        gaps.min().unwrap_or(state.head).min(state.head)
    }

    /// Takes in a batch: the next one, or one before it of which something is missing. Entries that are in already
    /// stay as they are; those whose bucket has no key here wait for it. A person's wrong statement is no reason to
    /// leave an entry out.
    ///
    /// # Errors
    /// [`IndexError::OutOfOrder`] when batches are missing in between, and what the disk says.
    pub fn ingest(&self, first: u64, place: &Place, batch: &AuditBatch) -> Result<(), IndexError> {
        if place.first != first || place.batch != batch.id {
            return Err(IndexError::Place { first });
        }
        let _writer = self.lock();
        let end = first + batch.entries.len() as u64;
        let (head, mut taken) = self.steps(first, batch)?;
        if first > head || (first < head && end > head) {
            return Err(IndexError::OutOfOrder {
                expected: head,
                found: first,
            });
        }
        self.open_entries(first, place, batch, &mut taken)?;
        let mut grown = Vec::new();
        {
            let mut state = self.write();
            for (bucket, taken) in taken {
                if taken.step == Step::Skip {
                    continue;
                }
                let found = state
                    .buckets
                    .entry(bucket)
                    .or_insert_with(|| BucketState::new(first));
                match taken.step {
                    Step::Take => {
                        found.took(end);
                        found.recent.extend(taken.rows);
                        found.unopened.extend(taken.unopened);
                        if found.recent.len() >= state::RECENT_ROWS {
                            grown.push(bucket);
                        }
                    }
                    Step::Wait => found.waits(first, end),
                    Step::Skip => {}
                }
            }
            state.head = head.max(end);
        }
        for bucket in grown {
            self.grow(bucket)?;
        }
        if end / state::FILE_ROWS as u64 > first / state::FILE_ROWS as u64 {
            self.file_laggards()?;
        }
        Ok(())
    }

    /// What is to be done with each bucket of the batch, and each bucket with a gap.
    fn steps(
        &self,
        first: u64,
        batch: &AuditBatch,
    ) -> Result<(u64, BTreeMap<Bucket, Taken>), IndexError> {
        let state = self.read();
        let gaps = state
            .buckets
            .iter()
            .filter(|(_, found)| found.gap.is_some());
        let buckets: BTreeSet<Bucket> = batch
            .buckets()
            .into_iter()
            .chain(gaps.map(|(bucket, _)| *bucket))
            .collect();
        let mut steps = BTreeMap::new();
        for bucket in buckets {
            let step = if self.keys.is_destroyed(&bucket) {
                Step::Skip
            } else {
                state.step(&bucket, first, self.key(&bucket)?.is_some())
            };
            let taken = Taken {
                step,
                rows: Vec::new(),
                unopened: Vec::new(),
            };
            steps.insert(bucket, taken);
        }
        Ok((state.head, steps))
    }

    fn open_entries(
        &self,
        first: u64,
        place: &Place,
        batch: &AuditBatch,
        taken: &mut BTreeMap<Bucket, Taken>,
    ) -> Result<(), IndexError> {
        let place = Arc::new(place.clone());
        let mut keys: BTreeMap<Bucket, BatchKey> = BTreeMap::new();
        for bucket in batch.buckets() {
            if taken.get(&bucket).is_some_and(|t| t.step == Step::Take)
                && let Some(key) = self.key(&bucket)?
            {
                keys.insert(bucket, BatchKey::derive(&key, bucket, &batch.id));
            }
        }
        for (index, sealed) in (0u32..).zip(&batch.entries) {
            let bucket = sealed.bucket();
            let (Some(key), Some(taken)) = (keys.get(&bucket), taken.get_mut(&bucket)) else {
                continue;
            };
            let sequence = first + u64::from(index);
            match key.open(index, sealed) {
                Ok(entry) => taken.rows.push(AuditRow {
                    sequence,
                    class: bucket.class,
                    place: place.clone(),
                    entry: Arc::new(entry),
                }),
                Err(error) => {
                    tracing::warn!(sequence, %bucket, %error, "an audit entry does not open");
                    taken.unopened.push(sequence);
                }
            }
        }
        Ok(())
    }

    /// What queries with this filter cannot see, though it is on the chain and not forgotten.
    pub fn unread(&self, filter: &Filter) -> Vec<Unread> {
        let state = self.read();
        let mut unread = Vec::new();
        for (bucket, found) in &state.buckets {
            if !query::concerns(filter, bucket) || self.keys.is_destroyed(bucket) {
                continue;
            }
            if found.gap.is_some() && !matches!(self.key(bucket), Ok(Some(_))) {
                unread.push(Unread::NoKey(*bucket));
            }
            if !found.unopened.is_empty() {
                unread.push(Unread::Unopened(*bucket, found.unopened.len() as u64));
            }
        }
        unread
    }

    /// The buckets of which entries wait for a key, and the beginning of the first batch with such an entry.
    pub fn waiting(&self) -> Vec<(Bucket, u64)> {
        let state = self.read();
        let gaps = state.buckets.iter().filter_map(|(bucket, found)| {
            let (start, _) = found.gap?;
            let missing = !self.keys.is_destroyed(bucket) && matches!(self.key(bucket), Ok(None));
            missing.then_some((*bucket, start))
        });
        gaps.collect()
    }
}

/// Rows that fit, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedPage {
    /// [`unpack_rows`] reads them.
    pub rows: Vec<u8>,
    /// How many.
    pub count: usize,
    /// Sequence number from which on, in the order asked for, no entry was looked at yet; none at the end.
    pub next: Option<u64>,
}

/// Reads at most `limit` packed rows, in ascending order.
///
/// # Errors
/// When the bytes are nothing that [`Index::query_packed`] makes, or are more rows.
pub fn unpack_rows(bytes: &[u8], limit: usize) -> Result<Vec<AuditRow>, Malformed> {
    let columns = codec::decode(bytes, limit)?;
    Ok((0..columns.len()).map(|row| columns.row(row)).collect())
}

#[cfg(test)]
mod tests;

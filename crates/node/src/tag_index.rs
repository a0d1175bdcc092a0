//! The rows of [`Space::Index`](caduceus_ledger::Space::Index): sorted runs in memory, one table on disk, a filter
//! in front of it.
//!
//! Index tags are random bytes, so each one lands on another page of a B-tree: a thousand of them rewrite a
//! thousand leaves. So a block's rows become a sorted *run* in memory, made durable by the chain's own database
//! in the block's write transaction; runs are merged as they grow, and once there are [`FLUSH_ROWS`] rows they
//! are written to the table `rows` of a file of their own in one sorted pass. What was not flushed before a crash
//! is loaded again from the chain's database.
//!
//! A row is 20 bytes of key and 12 of value, both of fixed width, so that a page holds no offsets.
//! Most lookups miss (a search probes each day of its range), so a Bloom filter over all rows answers before them;
//! the filter only ever errs towards a read that finds nothing.

use crate::database;
use crate::filter::Filter;
use crate::store::StoreError;
use crate::store::handle::{Handle, Opener};
use caduceus_ledger::{INDEX_KEY_BYTES, INDEX_VALUE_BYTES};
use redb::backends::InMemoryBackend;
use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata,
    TableDefinition, WriteTransaction,
};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::thread::JoinHandle;

mod whole;

/// A key: hospital ordinal (u32 big-endian) and tag.
pub type IndexKey = [u8; INDEX_KEY_BYTES];
/// A value: height (u64 little-endian) and position (u32 little-endian) of a record.
pub type IndexValue = [u8; INDEX_VALUE_BYTES];
/// A row.
pub type IndexRow = (IndexKey, IndexValue);

/// Rows in memory at which a flush begins: 8 MiB.
pub const FLUSH_ROWS: usize = 1 << 18;
/// Rows that the smallest filter is made for.
const MIN_FILTER_ROWS: usize = 1 << 16;

const ROWS: TableDefinition<'static, &IndexKey, &IndexValue> = TableDefinition::new("rows");
const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");
/// Height up to which all rows are in the table.
const FLUSHED: &str = "flushed";

/// Rows of consecutive heights, sorted by key.
type Run = Arc<Vec<IndexRow>>;

/// The rows on disk as of one flush.
struct Table {
    rows: ReadOnlyTable<&'static IndexKey, &'static IndexValue>,
    flushed: u64,
}

struct Shelf {
    table: Arc<Table>,
    /// Over the table and all runs, the pending one included.
    filter: Arc<Filter>,
    /// Oldest first. The first `frozen` are being flushed and are not merged.
    runs: Vec<Run>,
    frozen: usize,
    /// Newest height whose rows are here.
    height: u64,
    /// Rows of the height that is being committed: not in `runs` until it is.
    pending: Option<(u64, Run)>,
}

struct Shared {
    db: Handle,
    /// None in memory.
    path: Option<PathBuf>,
    shelf: RwLock<Shelf>,
    flushing: Mutex<()>,
}

/// An open index.
#[derive(Clone)]
pub struct TagIndex {
    shared: Arc<Shared>,
    worker: Arc<Worker>,
}

/// The thread that flushes, if one runs. Joined when the last handle goes, so that the file is closed then.
#[derive(Default)]
struct Worker(Mutex<Option<JoinHandle<Result<(), StoreError>>>>);

impl Drop for Worker {
    fn drop(&mut self) {
        let handle = lock(&self.0).take();
        if let Some(Err(_)) = handle.map(JoinHandle::join) {
            tracing::error!("the thread that flushes the index panicked");
        }
    }
}

/// Sizes of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagIndexStats {
    /// Rows in the table.
    pub rows: u64,
    /// Rows in memory, not flushed yet.
    pub rows_in_memory: u64,
    /// Bytes of the table's pages: rows, branches and free space in pages.
    pub table_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of the filter in memory.
    pub filter_bytes: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TagIndex {
    /// Opens or creates the file, and makes the filter from the table.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let db = database::open(path)?;
        Self::with(db, Some(path.to_path_buf()))
    }

    /// Opens the file as it is, without checking it and without writing to it.
    ///
    /// # Errors
    /// When the file is not there or no database any more.
    pub(crate) fn open_damaged(path: &Path) -> Result<Self, StoreError> {
        Self::over(database::open_unchecked(path)?, Some(path.to_path_buf()))
    }

    /// An empty index in memory.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn scratch() -> Result<Self, StoreError> {
        let db = Database::builder().create_with_backend(InMemoryBackend::new())?;
        Self::with(db, None)
    }

    pub(crate) fn with(db: Database, path: Option<PathBuf>) -> Result<Self, StoreError> {
        let txn = db.begin_write()?;
        {
            txn.open_table(ROWS)?;
            txn.open_table(META)?;
        }
        txn.commit()?;
        Self::over(db, path)
    }

    fn over(db: Database, path: Option<PathBuf>) -> Result<Self, StoreError> {
        let opener = path
            .clone()
            .map(|path| -> Opener { Box::new(move || database::open(&path)) });
        let db = Handle::new(db, opener);
        let table = Table::open(db.begin_read()?)?;
        let height = table.flushed;
        let filter = table.filter()?;
        Ok(Self {
            shared: Arc::new(Shared {
                db,
                path,
                shelf: RwLock::new(Shelf {
                    table: Arc::new(table),
                    filter: Arc::new(filter),
                    runs: Vec::new(),
                    frozen: 0,
                    height,
                    pending: None,
                }),
                flushing: Mutex::new(()),
            }),
            worker: Arc::default(),
        })
    }

    /// Height up to which all rows are in the table.
    pub fn flushed(&self) -> u64 {
        self.shared.read().table.flushed
    }

    /// Takes the rows of a height that the caller made durable, in any order.
    pub fn add(&self, height: u64, rows: Vec<IndexRow>) {
        self.prepare(height, rows);
        self.publish(height);
    }

    /// Holds the rows of a height that is about to be committed: a view at that height sees them, an older one
    /// does not.
    pub fn prepare(&self, height: u64, mut rows: Vec<IndexRow>) {
        rows.sort_unstable();
        let mut shelf = self.shared.write();
        for (key, _) in &rows {
            shelf.filter.insert(key);
        }
        shelf.pending = Some((height, Arc::new(rows)));
    }

    /// The height is committed: its rows count for every view from now on.
    pub fn publish(&self, height: u64) {
        let mut shelf = self.shared.write();
        shelf.height = shelf.height.max(height);
        match shelf.pending.take() {
            Some((pending, run)) if pending == height => {
                if !run.is_empty() {
                    shelf.runs.push(run);
                    shelf.merge();
                }
            }
            other => shelf.pending = other,
        }
    }

    /// Rows that are in memory only.
    pub fn rows_in_memory(&self) -> usize {
        self.shared.read().runs.iter().map(|run| run.len()).sum()
    }

    /// Starts a flush on a thread of its own when there is enough to write and none runs.
    pub fn flush_when_large(&self) {
        if self.rows_in_memory() < FLUSH_ROWS {
            return;
        }
        let mut worker = lock(&self.worker.0);
        if worker.as_ref().is_some_and(|handle| !handle.is_finished()) {
            return;
        }
        if let Some(handle) = worker.take() {
            match handle.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(%error, "the index could not be flushed"),
                Err(_) => tracing::error!("the thread that flushes the index panicked"),
            }
        }
        let shared = self.shared.clone();
        *worker = std::thread::Builder::new()
            .name("index-flush".to_owned())
            .spawn(move || shared.flush())
            .map_err(|error| tracing::error!(%error, "no thread to flush the index"))
            .ok();
    }

    /// Writes all runs to the table in one sorted pass.
    ///
    /// # Errors
    /// When the database fails; the rows stay in memory then.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.shared.flush()
    }

    /// Opens the file again if reading or writing it failed. While a flush runs, that is the flush's to do.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn mend(&self) -> Result<(), StoreError> {
        let _one_at_a_time = match self.shared.flushing.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(held)) => held.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(()),
        };
        self.shared.db.mend()?;
        self.shared.reload()
    }

    /// A consistent view of everything published.
    ///
    /// # Errors
    /// None today; a store may fail to give one.
    pub fn view(&self) -> Result<TagIndexView, StoreError> {
        let shelf = self.shared.read();
        Ok(TagIndexView {
            runs: shelf.runs.clone(),
            table: shelf.table.clone(),
            filter: shelf.filter.clone(),
        })
    }

    /// A view of exactly the rows of heights up to `height`; none if a newer height is published already.
    pub(crate) fn view_at(&self, height: u64) -> Option<TagIndexView> {
        let shelf = self.shared.read();
        if shelf.height > height {
            return None;
        }
        let mut runs = shelf.runs.clone();
        if let Some((pending, run)) = &shelf.pending
            && *pending <= height
        {
            runs.push(run.clone());
        }
        Some(TagIndexView {
            runs,
            table: shelf.table.clone(),
            filter: shelf.filter.clone(),
        })
    }

    /// Sizes.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn stats(&self) -> Result<TagIndexStats, StoreError> {
        let (table, filter_bytes) = {
            let shelf = self.shared.read();
            (shelf.table.clone(), shelf.filter.bytes())
        };
        let stats = table.rows.stats()?;
        let file_bytes = match &self.shared.path {
            Some(path) => std::fs::metadata(path)
                .map_err(|source| StoreError::File {
                    path: path.clone(),
                    source,
                })?
                .len(),
            None => 0,
        };
        Ok(TagIndexStats {
            rows: table.rows.len()?,
            rows_in_memory: self.rows_in_memory() as u64,
            table_bytes: stats.stored_bytes() + stats.metadata_bytes() + stats.fragmented_bytes(),
            file_bytes,
            filter_bytes: filter_bytes as u64,
        })
    }
}

impl Shelf {
    /// Merges the newest runs while they are of a size, so that there are few.
    fn merge(&mut self) {
        while self.runs.len() >= self.frozen + 2 {
            let last = &self.runs[self.runs.len() - 1];
            let before = &self.runs[self.runs.len() - 2];
            if before.len() > 2 * last.len() {
                break;
            }
            let merged = Arc::new(merge(&[before.clone(), last.clone()]));
            self.runs.truncate(self.runs.len() - 2);
            self.runs.push(merged);
        }
    }
}

/// One sorted run from several. Rows are written once, so equal keys have equal values.
fn merge(runs: &[Run]) -> Vec<IndexRow> {
    let mut all: Vec<IndexRow> = Vec::with_capacity(runs.iter().map(|run| run.len()).sum());
    for run in runs {
        all.extend_from_slice(run);
    }
    // Sorted stretches: the stable sort merges them in linear time.
    all.sort();
    all.dedup_by_key(|row| row.0);
    all
}

impl Shared {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Shelf> {
        self.shelf.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Shelf> {
        self.shelf.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn flush(&self) -> Result<(), StoreError> {
        let _one_at_a_time = lock(&self.flushing);
        let (runs, height) = {
            let mut shelf = self.write();
            shelf.frozen = shelf.runs.len();
            (shelf.runs.clone(), shelf.height)
        };
        let rows = merge(&runs);
        let begun = self.db.begin_write_noting();
        let written = begun.and_then(|(txn, generation)| {
            let written = self.write_rows(txn, &rows, height);
            if let Err(error) = &written
                && error.is_medium()
                && let Err(error) = self.db.reopen(generation).and_then(|()| self.reload())
            {
                tracing::error!(%error, "the index does not open again");
            }
            written
        });
        let outcome = written.and_then(|table| {
            let capacity = self.read().filter.capacity();
            let full = table.rows.len()? as usize > capacity;
            let filter = if full { Some(table.filter()?) } else { None };
            Ok((table, filter))
        });
        let mut shelf = self.write();
        let frozen = std::mem::take(&mut shelf.frozen);
        let (table, filter) = outcome?;
        shelf.table = Arc::new(table);
        shelf.runs.drain(..frozen);
        if let Some(filter) = filter {
            let pending = shelf.pending.iter().map(|(_, run)| run);
            for (key, _) in shelf.runs.iter().chain(pending).flat_map(|run| run.iter()) {
                filter.insert(key);
            }
            shelf.filter = Arc::new(filter);
        }
        Ok(())
    }

    /// The rows stay in memory; those that are on disk are read from the handle that is open now.
    fn reload(&self) -> Result<(), StoreError> {
        let table = Table::open(self.db.begin_read()?)?;
        self.write().table = Arc::new(table);
        Ok(())
    }

    fn write_table(&self, rows: &[IndexRow], height: u64) -> Result<Table, StoreError> {
        self.write_rows(self.db.begin_write()?, rows, height)
    }

    fn write_rows(
        &self,
        mut txn: WriteTransaction,
        rows: &[IndexRow],
        height: u64,
    ) -> Result<Table, StoreError> {
        txn.set_two_phase_commit(true);
        {
            let mut table = txn.open_table(ROWS)?;
            for (key, value) in rows {
                table.insert(key, value)?;
            }
            txn.open_table(META)?.insert(FLUSHED, height)?;
        }
        txn.commit()?;
        Table::open(self.db.begin_read()?)
    }
}

impl Table {
    /// Reads the table as it is now.
    fn open(txn: ReadTransaction) -> Result<Self, StoreError> {
        let rows = txn.open_table(ROWS)?;
        let flushed = txn
            .open_table(META)?
            .get(FLUSHED)?
            .map_or(0, |height| height.value());
        Ok(Self { rows, flushed })
    }

    /// A filter over all rows, with room for as many more.
    fn filter(&self) -> Result<Filter, StoreError> {
        let filter = Filter::new((self.rows.len()? as usize * 2).max(MIN_FILTER_ROWS));
        for row in self.rows.iter()? {
            filter.insert(row?.0.value());
        }
        Ok(filter)
    }
}

/// A consistent view of an index.
#[derive(Clone)]
pub struct TagIndexView {
    runs: Vec<Run>,
    table: Arc<Table>,
    /// May know rows of later heights too.
    filter: Arc<Filter>,
}

impl TagIndexView {
    /// The value under a key.
    ///
    /// # Errors
    /// When the database fails.
    pub fn get(&self, key: &IndexKey) -> Result<Option<IndexValue>, StoreError> {
        if !self.filter.may_hold(key) {
            return Ok(None);
        }
        for run in self.runs.iter().rev() {
            if let Ok(at) = run.binary_search_by(|row| row.0.cmp(key)) {
                return Ok(Some(run[at].1));
            }
        }
        Ok(self.table.rows.get(key)?.map(|value| *value.value()))
    }

    /// Which of these keys are certainly absent: much faster than to look each one up.
    #[must_use]
    pub fn absent(&self, keys: &[IndexKey]) -> Vec<bool> {
        let held = self.filter.may_hold_each(keys);
        held.into_iter().map(|held| !held).collect()
    }

    /// All rows, in no order.
    pub(crate) fn rows(&self) -> Result<Vec<IndexRow>, StoreError> {
        let mut all: Vec<IndexRow> = self
            .runs
            .iter()
            .flat_map(|run| run.iter().copied())
            .collect();
        for row in self.table.rows.iter()? {
            let (key, value) = row?;
            all.push((*key.value(), *value.value()));
        }
        Ok(all)
    }

    /// The first key whose row differs from another view's.
    pub(crate) fn first_difference(&self, other: &Self) -> Result<Option<IndexKey>, StoreError> {
        for (one, two) in [(self, other), (other, self)] {
            for row in one.table.rows.iter()? {
                let (key, value) = row?;
                if two.get(key.value())? != Some(*value.value()) {
                    return Ok(Some(*key.value()));
                }
            }
            for (key, value) in one.runs.iter().flat_map(|run| run.iter()) {
                if two.get(key)? != Some(*value) {
                    return Ok(Some(*key));
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

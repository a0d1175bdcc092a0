//! The node's database: one redb file, one write transaction a height, two-phase commit.
//!
//! Tables (keys and values are bytes; numbers big-endian in keys so that order is numeric):
//! `blocks` height to block, `headers` height to header, `certificates` height to certificate, `results` height
//! to results, `seals` height to seal (on a chain that is mined, and only there), `state_auth` and `state_bulk` key
//! to value, `tree_nodes` and `tree_values` for the Jellyfish Merkle tree, `validator_sets` hash to set for every set
//! that a header names, `index_runs` height to the block's rows of `Space::Index` until [`crate::tag_index`] has them
//! in its own table, `meta`.
//! A store that joined by a snapshot, or prunes, lacks the blocks and results below [`Snapshot::kept_from`].
//! Blocks are verified against the certificate's hash when read: redb does not check its checksums on reads.

use crate::database;
use crate::tag_index::{IndexRow, TagIndex, TagIndexView};
use caduceus_crypto::codec;
use caduceus_ledger::{Block, Certificate, Executed, Header, SignedSeal, StateError, ValidatorSet};
use redb::backends::InMemoryBackend;
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition, TableError,
    WriteTransaction,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod export;
pub(crate) mod handle;
mod import;
mod prune;
mod sizes;
mod snapshot;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod torn_writes;
mod validator_sets;

use self::handle::{Handle, Opener};
pub(crate) use self::import::{Importer, StateBase};
pub use self::sizes::TableSize;
pub use self::snapshot::Snapshot;

type Bytes = &'static [u8];
const BLOCKS: TableDefinition<'static, u64, Bytes> = TableDefinition::new("blocks");
const HEADERS: TableDefinition<'static, u64, Bytes> = TableDefinition::new("headers");
const CERTIFICATES: TableDefinition<'static, u64, Bytes> = TableDefinition::new("certificates");
const RESULTS: TableDefinition<'static, u64, Bytes> = TableDefinition::new("results");
const SEALS: TableDefinition<'static, u64, Bytes> = TableDefinition::new("seals");
const AUTH: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("state_auth");
const BULK: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("state_bulk");
const NODES: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("tree_nodes");
const VALUES: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("tree_values");
const INDEX_RUNS: TableDefinition<'static, u64, Bytes> = TableDefinition::new("index_runs");
const META: TableDefinition<'static, &'static str, Bytes> = TableDefinition::new("meta");

/// Name of the index's file beside the store's.
const INDEX_FILE: &str = "index.redb";

const META_GENESIS: &str = "genesis";
const META_TIP: &str = "tip";
const META_VALIDATORS: &str = "next_validators";
/// Height up to which the rows of the index are in the index's own file only.
const META_RUNS_DROPPED: &str = "runs_dropped";
/// Lowest height above the genesis whose block and results are stored; without it, all are.
const META_KEPT_FROM: &str = "kept_from";
/// Runs dropped in one write, so that no height pays for many.
const MAX_RUNS_DROPPED: usize = 256;

/// Why the store cannot be used. After a failed write the handle is dead: reopen and recover.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] redb::Error),
    /// A write failed before, and the database cannot be opened again yet.
    #[error("the database is closed after a failed write: {why}")]
    Closed {
        /// Why it does not open.
        why: String,
    },
    /// A file or folder could not be used.
    #[error("{path}: {source}")]
    File {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file of the store is damaged.
    #[error("{path} is damaged: {reason}; move it away and let the node catch up from the others")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// Bytes read are not what was written.
    #[error("height {height}: the stored {what} is damaged")]
    Damaged {
        /// The height.
        height: u64,
        /// What was read.
        what: &'static str,
    },
    /// The block of this height is not kept here any more, or never was: an archive node has it.
    #[error("block {height} is not kept here: this node keeps blocks from {kept_from} on")]
    Pruned {
        /// The height asked for.
        height: u64,
        /// The lowest height kept.
        kept_from: u64,
    },
    /// The folder belongs to another chain.
    #[error("the store holds chain {found}, not {expected}")]
    OtherChain {
        /// The chain asked for.
        expected: String,
        /// The chain found.
        found: String,
    },
    /// State could not be read or decoded.
    #[error(transparent)]
    State(#[from] StateError),
}

impl StoreError {
    /// Whether another process, or another handle of this one, has the store open.
    pub fn is_in_use(&self) -> bool {
        matches!(self, StoreError::Database(redb::Error::DatabaseAlreadyOpen))
    }
}

macro_rules! from_redb {
    ($($t:ty),*) => {$(
        impl From<$t> for StoreError {
            fn from(e: $t) -> Self { StoreError::Database(e.into()) }
        }
    )*};
}
from_redb!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError
);

fn state_error(e: impl std::fmt::Display) -> StateError {
    StateError(e.to_string())
}

/// An open store.
#[derive(Clone)]
pub struct Store {
    db: Arc<Handle>,
    index: TagIndex,
    lacks_index: bool,
    /// The node's folder; none in memory.
    folder: Option<PathBuf>,
}

/// What the store says of the chain's end.
#[derive(Clone, Debug)]
pub struct Tip {
    /// Header of the last block (or of the genesis state).
    pub header: Header,
    /// Voters of the next height.
    pub next_validators: ValidatorSet,
}

impl Store {
    /// Opens or creates the file.
    ///
    /// # Errors
    /// When the file cannot be opened or a table cannot be made.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let db = database::open(path)?;
        let file = path.with_file_name(INDEX_FILE);
        let index = match TagIndex::open(&file) {
            Err(StoreError::Corrupt { path, reason }) => {
                tracing::warn!(path = %path.display(), reason, "the index is damaged and made anew");
                set_aside(&file)?;
                TagIndex::open(&file)?
            }
            opened => opened?,
        };
        let again = path.to_path_buf();
        let mut store = Self::with(db, index, Some(Box::new(move || database::open(&again))))?;
        store.folder = path.parent().map(Path::to_path_buf);
        if store.lacks_index {
            // What is in the file is of no use, and may be of another chain's time.
            store.index = {
                drop(std::mem::replace(&mut store.index, TagIndex::scratch()?));
                set_aside(&file)?;
                TagIndex::open(&file)?
            };
        }
        Ok(store)
    }

    /// Opens files as they are, without checking them as a whole, for [`crate::validate`], which says what is wrong
    /// with them. Reads may panic. A file that was not closed properly is repaired by redb as it always is.
    ///
    /// # Errors
    /// When a file is not there or no database any more.
    pub fn open_damaged(path: &Path) -> Result<Self, StoreError> {
        let db = database::open_unchecked(path)?;
        // A lost index shows as one that has no rows.
        let index = TagIndex::open_damaged(&path.with_file_name(INDEX_FILE))
            .or_else(|_| TagIndex::scratch())?;
        let mut store = Self {
            db: Arc::new(Handle::new(db, None)),
            index,
            lacks_index: false,
            folder: path.parent().map(Path::to_path_buf),
        };
        store.lacks_index = !store.load_runs()?;
        Ok(store)
    }

    /// An empty store in memory, for a chain that is executed again.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn scratch() -> Result<Self, StoreError> {
        let db = Database::builder().create_with_backend(InMemoryBackend::new())?;
        Self::with(db, TagIndex::scratch()?, None)
    }

    fn with(db: Database, index: TagIndex, again: Option<Opener>) -> Result<Self, StoreError> {
        let txn = db.begin_write()?;
        {
            txn.open_table(BLOCKS)?;
            txn.open_table(HEADERS)?;
            txn.open_table(CERTIFICATES)?;
            txn.open_table(RESULTS)?;
            txn.open_table(AUTH)?;
            txn.open_table(BULK)?;
            txn.open_table(NODES)?;
            txn.open_table(VALUES)?;
            txn.open_table(INDEX_RUNS)?;
            let meta = txn.open_table(META)?;
            validator_sets::keep_current(&txn, &meta)?;
        }
        txn.commit()?;
        let mut store = Self {
            db: Arc::new(Handle::new(db, again)),
            index,
            lacks_index: false,
            folder: None,
        };
        store.lacks_index = !store.load_runs()?;
        Ok(store)
    }

    /// Brings the index to the height of the chain: loads the runs that it had not flushed. False if the index's file
    /// is of another time than the chain's, because one of them was lost or restored.
    fn load_runs(&self) -> Result<bool, StoreError> {
        let txn = self.db.begin_read()?;
        let tip = newest_height(&txn.open_table(HEADERS)?)?;
        let index = self.index.flushed();
        let oldest = match txn.open_table(META)?.get(META_RUNS_DROPPED)? {
            Some(bytes) => borsh::from_slice(bytes.value()).map_err(|_| StoreError::Damaged {
                height: tip,
                what: "mark of the index",
            })?,
            None => 0,
        };
        if !(oldest..=tip).contains(&index) {
            return Ok(false);
        }
        for run in txn.open_table(INDEX_RUNS)?.range(index + 1..)? {
            let (height, rows) = run?;
            let rows: Vec<IndexRow> =
                borsh::from_slice(rows.value()).map_err(|_| StoreError::Damaged {
                    height: height.value(),
                    what: "index rows",
                })?;
            self.index.add(height.value(), rows);
        }
        self.index.publish(tip);
        Ok(true)
    }

    /// Makes the index anew from a store that executed the same chain, and writes it to its file.
    ///
    /// # Errors
    /// When the other store is at another height, or a database fails.
    pub fn rebuild_index(&self, executed: &Store) -> Result<(), StoreError> {
        let tip = self.newest_height()?;
        let found = executed.newest_height()?;
        if found != tip {
            return Err(StateError(format!("executed to height {found}, not to {tip}")).into());
        }
        self.index.add(tip, executed.index.view()?.rows()?);
        self.index.flush()
    }

    /// Whether the index's file is of another time than the chain's: [`Store::rebuild_index`] mends it.
    pub fn lacks_index(&self) -> bool {
        self.lacks_index
    }

    /// The folder that the store's files are in; none in memory.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The newest height that is stored; 0 in an empty store.
    ///
    /// # Errors
    /// When the database fails.
    pub fn newest_height(&self) -> Result<u64, StoreError> {
        newest_height(&self.db.begin_read()?.open_table(HEADERS)?)
    }

    /// The first row of the state that differs from another store's, in words. Nodes and values of the state tree are
    /// checked against the root of the tip's header instead: a tree that was made at once, from a snapshot, has other versions
    /// than one that grew.
    ///
    /// # Errors
    /// When a database fails.
    pub fn first_difference(&self, other: &Store) -> Result<Option<String>, StoreError> {
        let (here, there) = (self.snapshot()?, other.snapshot()?);
        for (table, other_table, name) in [
            (&here.auth, &there.auth, "authenticated state"),
            (&here.bulk, &there.bulk, "plain state"),
        ] {
            let mut rows = table.iter()?;
            let mut expected = other_table.iter()?;
            loop {
                let (row, wanted) = (rows.next().transpose()?, expected.next().transpose()?);
                let key = match (&row, &wanted) {
                    (None, None) => break,
                    (Some(row), Some(wanted)) => {
                        if row.0.value() == wanted.0.value() && row.1.value() == wanted.1.value() {
                            continue;
                        }
                        row.0.value().min(wanted.0.value())
                    }
                    (Some((key, _)), None) | (None, Some((key, _))) => key.value(),
                };
                return Ok(Some(format!(
                    "the {name} differs from what execution gives, at key {}",
                    key.escape_ascii()
                )));
            }
        }
        if let Some(fault) = here.tree_fault()? {
            return Ok(Some(fault));
        }
        if let Some(difference) = validator_sets::first_difference(&here, &there)? {
            return Ok(Some(difference));
        }
        for key in [META_TIP, META_VALIDATORS, META_GENESIS] {
            if here.meta(key)? != there.meta(key)? {
                return Ok(Some(format!("the stored {key} is not the chain's")));
            }
        }
        Ok(here.index.first_difference(&there.index)?.map(|key| {
            format!(
                "the index differs from what execution gives, at key {}",
                hex::encode(key)
            )
        }))
    }

    /// The index, for its sizes and to flush it.
    pub fn index(&self) -> &TagIndex {
        &self.index
    }

    /// A consistent read view of the last committed height.
    ///
    /// # Errors
    /// When the database fails.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        loop {
            let txn = self.db.begin_read()?;
            let height = newest_height(&txn.open_table(HEADERS)?)?;
            // Unless another height was committed in between, the two are of one height.
            if let Some(index) = self.index.view_at(height) {
                return Self::snapshot_of(txn, index);
            }
        }
    }

    fn snapshot_of(txn: ReadTransaction, index: TagIndexView) -> Result<Snapshot, StoreError> {
        Ok(Snapshot {
            index,
            auth: txn.open_table(AUTH)?,
            bulk: txn.open_table(BULK)?,
            nodes: txn.open_table(NODES)?,
            values: txn.open_table(VALUES)?,
            txn,
        })
    }

    /// Writes the genesis state, unless it is there.
    ///
    /// # Errors
    /// When the database fails.
    pub fn init(&self, genesis: &[u8], executed: &Executed) -> Result<(), StoreError> {
        if executed.writes.rows().len() > 0 {
            return Err(StateError("a genesis writes no rows of the index".to_owned()).into());
        }
        let block = Block {
            header: executed.header.clone(),
            txs: Vec::new(),
        };
        self.write(&block, None, None, executed, Some(genesis))
    }

    /// Commits one height: block, certificate, results and state in one durable transaction.
    ///
    /// # Errors
    /// When the database fails: nothing of the height is stored then.
    pub fn commit(
        &self,
        block: &Block,
        certificate: &Certificate,
        executed: &Executed,
    ) -> Result<(), StoreError> {
        self.write(block, Some(certificate), None, executed, None)
    }

    /// Commits one height as [`Store::commit`] does, with the seal of a mined block in the same transaction.
    ///
    /// # Errors
    /// When the database fails: nothing of the height is stored then.
    pub fn commit_with(
        &self,
        block: &Block,
        certificate: &Certificate,
        seal: Option<&SignedSeal>,
        executed: &Executed,
    ) -> Result<(), StoreError> {
        self.write(block, Some(certificate), seal, executed, None)
    }

    fn write(
        &self,
        block: &Block,
        certificate: Option<&Certificate>,
        seal: Option<&SignedSeal>,
        executed: &Executed,
        genesis: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let (txn, generation) = self.db.begin_write_noting()?;
        let outcome = self.write_once(txn, block, certificate, seal, executed, genesis);
        if let Err(error) = &outcome
            && error.is_medium()
            && let Err(error) = self.db.reopen(generation).and_then(|()| self.settle())
        {
            tracing::error!(%error, "the database does not open again");
        }
        outcome
    }

    /// Brings the index in memory to the height of the database, after a write that failed may have reached it. What
    /// failed, reading or writing, is opened again.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) fn settle(&self) -> Result<(), StoreError> {
        self.db.mend()?;
        self.index.publish(self.newest_height()?);
        if let Err(error) = self.index.mend() {
            // Whoever needs a row of it fails, and comes here again.
            tracing::error!(%error, "the index does not open again");
        }
        Ok(())
    }

    fn write_once(
        &self,
        mut txn: WriteTransaction,
        block: &Block,
        certificate: Option<&Certificate>,
        seal: Option<&SignedSeal>,
        executed: &Executed,
        genesis: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let height = block.header.height.0;
        txn.set_two_phase_commit(true);
        if executed.writes.misfits().len() > 0 {
            let what = "a row of the index has a wrong length, or is to be removed";
            return Err(StateError(what.to_owned()).into());
        }
        let rows: Vec<IndexRow> = executed.writes.rows().collect();
        {
            txn.open_table(BLOCKS)?
                .insert(height, codec::encode(block).as_slice())?;
            txn.open_table(HEADERS)?
                .insert(height, codec::encode(&block.header).as_slice())?;
            if let Some(certificate) = certificate {
                txn.open_table(CERTIFICATES)?
                    .insert(height, codec::encode(certificate).as_slice())?;
            }
            if let Some(seal) = seal {
                txn.open_table(SEALS)?
                    .insert(height, codec::encode(seal).as_slice())?;
            }
            txn.open_table(RESULTS)?
                .insert(height, codec::encode(&executed.results).as_slice())?;
            change(&mut txn.open_table(AUTH)?, executed.writes.auth())?;
            change(&mut txn.open_table(BULK)?, executed.writes.bulk())?;
            let mut nodes = txn.open_table(NODES)?;
            for (key, node) in executed.tree.node_batch.nodes() {
                nodes.insert(
                    codec::encode(key).as_slice(),
                    codec::encode(node).as_slice(),
                )?;
            }
            for stale in &executed.tree.stale_node_index_batch {
                nodes.remove(codec::encode(&stale.node_key).as_slice())?;
            }
            let mut values = txn.open_table(VALUES)?;
            for ((_, key), value) in executed.tree.node_batch.values() {
                values.insert(key.0.as_slice(), codec::encode(value).as_slice())?;
            }
            let mut meta = txn.open_table(META)?;
            let mut runs = txn.open_table(INDEX_RUNS)?;
            if !rows.is_empty() {
                runs.insert(height, codec::encode(&rows).as_slice())?;
            }
            if let Some(dropped) = drop_runs(&mut runs, self.index.flushed())? {
                meta.insert(META_RUNS_DROPPED, codec::encode(&dropped).as_slice())?;
            }
            meta.insert(META_TIP, codec::encode(&block.header).as_slice())?;
            meta.insert(
                META_VALIDATORS,
                codec::encode(&executed.next_validators).as_slice(),
            )?;
            validator_sets::keep(&txn, &executed.next_validators)?;
            if let Some(genesis) = genesis {
                meta.insert(META_GENESIS, genesis)?;
            }
        }
        self.index.prepare(height, rows);
        txn.commit()?;
        self.index.publish(height);
        self.index.flush_when_large();
        Ok(())
    }
}

/// The newest height in a store's file, which is not checked as a whole for it; 0 in one that holds no chain yet.
///
/// # Errors
/// When the file is not there, in use, or damaged.
pub(crate) fn height_in(path: &Path) -> Result<u64, StoreError> {
    let db = database::open_unchecked(path)?;
    let read = || -> Result<u64, StoreError> {
        match db.begin_read()?.open_table(HEADERS) {
            Err(TableError::TableDoesNotExist(_)) => Ok(0),
            headers => newest_height(&headers?),
        }
    };
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(StoreError::Corrupt {
            path: path.to_path_buf(),
            reason: "the database engine panicked over it".to_owned(),
        })
    })
}

/// The newest height that is stored; 0 in an empty store.
fn newest_height(headers: &impl ReadableTable<u64, Bytes>) -> Result<u64, StoreError> {
    Ok(headers.last()?.map_or(0, |(height, _)| height.value()))
}

/// Applies changes to a table.
fn change<'a>(
    table: &mut Table<'_, Bytes, Bytes>,
    changes: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
) -> Result<(), StoreError> {
    for (key, value) in changes {
        match value {
            Some(value) => table.insert(key, value)?,
            None => table.remove(key)?,
        };
    }
    Ok(())
}

/// Removes some runs whose rows the index has in its file. Returns the newest height removed.
fn drop_runs(runs: &mut Table<'_, u64, Bytes>, flushed: u64) -> Result<Option<u64>, StoreError> {
    let mut heights = Vec::new();
    for run in runs.range(..=flushed)?.take(MAX_RUNS_DROPPED) {
        heights.push(run?.0.value());
    }
    for height in &heights {
        runs.remove(height)?;
    }
    Ok(heights.last().copied())
}

/// Renames a file that is of no use any more, so that it can be looked at.
fn set_aside(path: &Path) -> Result<(), StoreError> {
    let aside = path.with_extension("redb.set-aside");
    std::fs::rename(path, aside).map_err(|source| StoreError::File {
        path: path.to_path_buf(),
        source,
    })
}

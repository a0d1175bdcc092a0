//! The node's database: one redb file, one write transaction a height, two-phase commit.
//!
//! Tables (keys and values are bytes; numbers big-endian in keys so that order is numeric):
//! `blocks` height to block, `headers` height to header, `certificates` height to certificate, `results` height to results, `state_auth`
//! and `state_bulk` key to value, `tree_nodes` and `tree_values` for the Jellyfish Merkle tree, `meta`.
//! Blocks are verified against the certificate's hash when read: redb does not check its checksums on reads.

use caduceus_crypto::{Hash, codec};
use caduceus_ledger::tree::{LeafNode, Node as TreeNode, NodeKey, OwnedValue, TreeKey, Version};
use caduceus_ledger::{
    Block, Certificate, CertifiedHeader, Executed, Header, Height, Space, StateError, StateView,
    TreeReader, ValidatorSet,
};
use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, TableDefinition, TableError,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Bytes = &'static [u8];
const BLOCKS: TableDefinition<'static, u64, Bytes> = TableDefinition::new("blocks");
const HEADERS: TableDefinition<'static, u64, Bytes> = TableDefinition::new("headers");
const CERTIFICATES: TableDefinition<'static, u64, Bytes> = TableDefinition::new("certificates");
const RESULTS: TableDefinition<'static, u64, Bytes> = TableDefinition::new("results");
const AUTH: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("state_auth");
const BULK: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("state_bulk");
const NODES: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("tree_nodes");
const VALUES: TableDefinition<'static, Bytes, Bytes> = TableDefinition::new("tree_values");
const META: TableDefinition<'static, &'static str, Bytes> = TableDefinition::new("meta");

const META_GENESIS: &str = "genesis";
const META_TIP: &str = "tip";
const META_VALIDATORS: &str = "next_validators";

/// Why the store cannot be used. After a failed write the handle is dead: reopen and recover.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] redb::Error),
    /// A file or folder could not be used.
    #[error("{path}: {source}")]
    File {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Bytes read are not what was written.
    #[error("height {height}: the stored {what} is damaged")]
    Damaged {
        /// The height.
        height: u64,
        /// What was read.
        what: &'static str,
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
    db: Arc<Database>,
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
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|source| StoreError::File {
                path: parent.to_path_buf(),
                source,
            })?;
        }
        let db = Database::builder()
            .set_cache_size(32 * 1024 * 1024)
            .create(path)?;
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
            txn.open_table(META)?;
        }
        txn.commit()?;
        Ok(Self { db: Arc::new(db) })
    }

    /// A consistent read view of the last committed height.
    ///
    /// # Errors
    /// When the database fails.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let txn = self.db.begin_read()?;
        Ok(Snapshot {
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
        let block = Block {
            header: executed.header.clone(),
            txs: Vec::new(),
        };
        self.write(&block, None, executed, Some(genesis))
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
        self.write(block, Some(certificate), executed, None)
    }

    fn write(
        &self,
        block: &Block,
        certificate: Option<&Certificate>,
        executed: &Executed,
        genesis: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let height = block.header.height.0;
        let mut txn = self.db.begin_write()?;
        txn.set_two_phase_commit(true);
        {
            txn.open_table(BLOCKS)?
                .insert(height, codec::encode(block).as_slice())?;
            txn.open_table(HEADERS)?
                .insert(height, codec::encode(&block.header).as_slice())?;
            if let Some(certificate) = certificate {
                txn.open_table(CERTIFICATES)?
                    .insert(height, codec::encode(certificate).as_slice())?;
            }
            txn.open_table(RESULTS)?
                .insert(height, codec::encode(&executed.results).as_slice())?;
            let mut auth = txn.open_table(AUTH)?;
            let mut bulk = txn.open_table(BULK)?;
            for ((space, key), value) in &executed.writes {
                let table = match space {
                    Space::Auth => &mut auth,
                    Space::Bulk => &mut bulk,
                };
                match value {
                    Some(value) => table.insert(key.as_slice(), value.as_slice())?,
                    None => table.remove(key.as_slice())?,
                };
            }
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
            meta.insert(META_TIP, codec::encode(&block.header).as_slice())?;
            meta.insert(
                META_VALIDATORS,
                codec::encode(&executed.next_validators).as_slice(),
            )?;
            if let Some(genesis) = genesis {
                meta.insert(META_GENESIS, genesis)?;
            }
        }
        txn.commit()?;
        Ok(())
    }
}

/// A consistent view of one committed height.
pub struct Snapshot {
    txn: ReadTransaction,
    auth: ReadOnlyTable<Bytes, Bytes>,
    bulk: ReadOnlyTable<Bytes, Bytes>,
    nodes: ReadOnlyTable<Bytes, Bytes>,
    values: ReadOnlyTable<Bytes, Bytes>,
}

impl Snapshot {
    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self
            .txn
            .open_table(META)?
            .get(key)?
            .map(|v| v.value().to_vec()))
    }

    fn at(
        &self,
        table: TableDefinition<'static, u64, Bytes>,
        height: Height,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        match self.txn.open_table(table) {
            Ok(table) => Ok(table.get(height.0)?.map(|v| v.value().to_vec())),
            Err(TableError::TableDoesNotExist(_)) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// The encoded genesis, if the store was initialised.
    ///
    /// # Errors
    /// When the database fails.
    pub fn genesis(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.meta(META_GENESIS)
    }

    /// The chain's end.
    ///
    /// # Errors
    /// When the database fails or the bytes are damaged.
    pub fn tip(&self) -> Result<Option<Tip>, StoreError> {
        let (Some(header), Some(set)) = (self.meta(META_TIP)?, self.meta(META_VALIDATORS)?) else {
            return Ok(None);
        };
        let header: Header = borsh::from_slice(&header).map_err(|_| StoreError::Damaged {
            height: 0,
            what: "tip header",
        })?;
        let next_validators: ValidatorSet =
            borsh::from_slice(&set).map_err(|_| StoreError::Damaged {
                height: header.height.0,
                what: "validator set",
            })?;
        if next_validators.hash() != header.next_validators {
            return Err(StoreError::Damaged {
                height: header.height.0,
                what: "validator set",
            });
        }
        Ok(Some(Tip {
            header,
            next_validators,
        }))
    }

    /// A block, checked against its own header's transactions root.
    ///
    /// # Errors
    /// When the database fails or the bytes are damaged.
    pub fn block(&self, height: Height) -> Result<Option<Block>, StoreError> {
        let Some(bytes) = self.at(BLOCKS, height)? else {
            return Ok(None);
        };
        let damaged = || StoreError::Damaged {
            height: height.0,
            what: "block",
        };
        let block: Block = borsh::from_slice(&bytes).map_err(|_| damaged())?;
        if block.header.height != height || !block.body_matches() {
            return Err(damaged());
        }
        Ok(Some(block))
    }

    fn header(&self, height: Height) -> Result<Option<Header>, StoreError> {
        let Some(bytes) = self.at(HEADERS, height)? else {
            return Ok(None);
        };
        borsh::from_slice(&bytes)
            .map(Some)
            .map_err(|_| StoreError::Damaged {
                height: height.0,
                what: "header",
            })
    }

    /// The certificate of a height; none for the genesis.
    ///
    /// # Errors
    /// When the database fails or the bytes are damaged.
    pub fn certificate(&self, height: Height) -> Result<Option<Certificate>, StoreError> {
        let Some(bytes) = self.at(CERTIFICATES, height)? else {
            return Ok(None);
        };
        borsh::from_slice(&bytes)
            .map(Some)
            .map_err(|_| StoreError::Damaged {
                height: height.0,
                what: "certificate",
            })
    }

    /// A header with its certificate, checked to belong together.
    ///
    /// # Errors
    /// When the database fails or the bytes are damaged.
    pub fn certified(&self, height: Height) -> Result<Option<CertifiedHeader>, StoreError> {
        let (Some(header), Some(certificate)) = (self.header(height)?, self.certificate(height)?)
        else {
            return Ok(None);
        };
        if certificate.block != header.hash() {
            return Err(StoreError::Damaged {
                height: height.0,
                what: "header or certificate",
            });
        }
        Ok(Some(CertifiedHeader {
            header,
            certificate,
        }))
    }

    /// The results of a height, one a transaction.
    ///
    /// # Errors
    /// When the database fails or the bytes are damaged.
    pub fn results(&self, height: Height) -> Result<Vec<Vec<u8>>, StoreError> {
        let damaged = || StoreError::Damaged {
            height: height.0,
            what: "results",
        };
        let bytes = self.at(RESULTS, height)?.ok_or_else(damaged)?;
        borsh::from_slice(&bytes).map_err(|_| damaged())
    }

    /// Hash of the block at a height.
    ///
    /// # Errors
    /// When the database fails or the bytes are damaged.
    pub fn block_hash(&self, height: Height) -> Result<Option<Hash>, StoreError> {
        Ok(self.header(height)?.map(|h| h.hash()))
    }
}

impl StateView for Snapshot {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let table = match space {
            Space::Auth => &self.auth,
            Space::Bulk => &self.bulk,
        };
        Ok(table
            .get(key)
            .map_err(state_error)?
            .map(|v| v.value().to_vec()))
    }

    fn scan(
        &self,
        space: Space,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StateError> {
        let table = match space {
            Space::Auth => &self.auth,
            Space::Bulk => &self.bulk,
        };
        let mut found = Vec::new();
        for pair in table.range(prefix..).map_err(state_error)? {
            let (key, value) = pair.map_err(state_error)?;
            if found.len() == limit || !key.value().starts_with(prefix) {
                break;
            }
            found.push((key.value().to_vec(), value.value().to_vec()));
        }
        Ok(found)
    }
}

impl TreeReader for Snapshot {
    fn get_node_option(&self, key: &NodeKey) -> anyhow::Result<Option<TreeNode>> {
        let Some(bytes) = self.nodes.get(codec::encode(key).as_slice())? else {
            return Ok(None);
        };
        Ok(Some(borsh::from_slice(bytes.value())?))
    }

    fn get_value_option(&self, _max: Version, key: TreeKey) -> anyhow::Result<Option<OwnedValue>> {
        // Only the newest version is kept, and a snapshot is never older than the version asked for.
        let Some(bytes) = self.values.get(key.0.as_slice())? else {
            return Ok(None);
        };
        Ok(borsh::from_slice(bytes.value())?)
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        anyhow::bail!("the tree is never restored from leaves")
    }
}

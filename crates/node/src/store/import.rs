//! Fills an empty store with the rows of a snapshot. Whoever does it decides when the store counts: a store that was
//! filled halfway has no tip.

use super::{
    AUTH, BULK, Bytes, CERTIFICATES, HEADERS, META, META_GENESIS, META_KEPT_FROM,
    META_RUNS_DROPPED, META_TIP, META_VALIDATORS, NODES, Store, StoreError, VALUES, validator_sets,
};
use crate::tag_index::IndexRow;
use caduceus_crypto::{Hash, codec};
use caduceus_ledger::tree::{self, LeafNode, Node as TreeNode, NodeKey, OwnedValue, TreeKey};
use caduceus_ledger::{Certificate, Header, TreeReader, ValidatorSet};
use redb::{Durability, ReadOnlyTable, WriteTransaction};

/// A key and its value.
pub(crate) type Row = (Vec<u8>, Vec<u8>);

/// What a store of a height holds besides the rows of its state.
pub(crate) struct StateBase<'a> {
    /// The encoded genesis.
    pub genesis: &'a [u8],
    /// The header of the height.
    pub header: &'a Header,
    /// The certificate on it.
    pub certificate: &'a Certificate,
    /// Voters of the height.
    pub voters: &'a ValidatorSet,
    /// Voters of the next height.
    pub next_validators: &'a ValidatorSet,
}

/// See the module.
pub(crate) struct Importer<'a> {
    store: &'a Store,
    height: u64,
    /// Version of the next batch of the tree, and the root after the last one.
    version: u64,
    root: Option<Hash>,
}

impl<'a> Importer<'a> {
    /// Begins to fill an empty store with the state of a height; its authenticated rows will come in `batches`, of
    /// which there are at most `height + 1`: each is a version of the tree, the last one `height`.
    pub(crate) fn begin(store: &'a Store, height: u64, batches: u64) -> Self {
        Self {
            store,
            height,
            version: (height + 1).saturating_sub(batches),
            root: None,
        }
    }

    fn write(&self) -> Result<WriteTransaction, StoreError> {
        let mut txn = self.store.db.begin_write()?;
        // Durable by the last write of all.
        txn.set_durability(Durability::None)
            .map_err(|e| StoreError::Database(e.into()))?;
        Ok(txn)
    }

    /// The next batch of authenticated rows, in key order.
    pub(crate) fn auth(&mut self, rows: &[Row]) -> Result<(), StoreError> {
        let reader = self.reader()?;
        let changes = rows
            .iter()
            .map(|(key, value)| (key.as_slice(), Some(value.clone())));
        let (root, update) = tree::update(&reader, self.version, changes)?;
        drop(reader);
        let txn = self.write()?;
        {
            let mut auth = txn.open_table(AUTH)?;
            for (key, value) in rows {
                auth.insert(key.as_slice(), value.as_slice())?;
            }
            let mut nodes = txn.open_table(NODES)?;
            for stale in &update.stale_node_index_batch {
                nodes.remove(codec::encode(&stale.node_key).as_slice())?;
            }
            for (key, node) in update.node_batch.nodes() {
                nodes.insert(
                    codec::encode(key).as_slice(),
                    codec::encode(node).as_slice(),
                )?;
            }
            let mut values = txn.open_table(VALUES)?;
            for ((_, key), value) in update.node_batch.values() {
                values.insert(key.0.as_slice(), codec::encode(value).as_slice())?;
            }
        }
        txn.commit()?;
        self.version += 1;
        self.root = Some(root);
        Ok(())
    }

    fn reader(&self) -> Result<Growing, StoreError> {
        let txn = self.store.db.begin_read()?;
        Ok(Growing {
            nodes: txn.open_table(NODES)?,
            empty_at: if self.root.is_none() {
                self.version.checked_sub(1)
            } else {
                None
            },
        })
    }

    /// More rows of the plain state, in key order.
    pub(crate) fn bulk(&mut self, rows: &[Row]) -> Result<(), StoreError> {
        let txn = self.write()?;
        {
            let mut bulk = txn.open_table(BULK)?;
            for (key, value) in rows {
                bulk.insert(key.as_slice(), value.as_slice())?;
            }
        }
        txn.commit()?;
        Ok(())
    }

    /// More rows of the index, in key order.
    pub(crate) fn index(&mut self, rows: &[IndexRow]) -> Result<(), StoreError> {
        self.store.index.import(rows, self.height)
    }

    /// The root of the state tree, once the last batch is in.
    pub(crate) fn root(&self) -> Option<Hash> {
        self.root.filter(|_| self.version == self.height + 1)
    }

    /// Gives the store its tip and makes all of it durable.
    pub(crate) fn finish(self, base: &StateBase<'_>) -> Result<(), StoreError> {
        let height = base.header.height.0;
        let mut txn = self.store.db.begin_write()?;
        txn.set_two_phase_commit(true);
        for set in [base.voters, base.next_validators] {
            validator_sets::keep(&txn, set)?;
        }
        {
            let header = codec::encode(base.header);
            txn.open_table(HEADERS)?.insert(height, header.as_slice())?;
            txn.open_table(CERTIFICATES)?
                .insert(height, codec::encode(base.certificate).as_slice())?;
            let mut meta = txn.open_table(META)?;
            meta.insert(META_GENESIS, base.genesis)?;
            meta.insert(META_TIP, header.as_slice())?;
            meta.insert(
                META_VALIDATORS,
                codec::encode(base.next_validators).as_slice(),
            )?;
            meta.insert(META_KEPT_FROM, codec::encode(&(height + 1)).as_slice())?;
            meta.insert(META_RUNS_DROPPED, codec::encode(&height).as_slice())?;
        }
        txn.commit()?;
        self.store.index.finish_import(height)
    }
}

/// The tree as far as it is filled. Before the first batch it is empty at the version before it.
struct Growing {
    nodes: ReadOnlyTable<Bytes, Bytes>,
    empty_at: Option<u64>,
}

impl TreeReader for Growing {
    fn get_node_option(&self, key: &NodeKey) -> anyhow::Result<Option<TreeNode>> {
        if key.nibble_path().is_empty() && Some(key.version()) == self.empty_at {
            return Ok(Some(TreeNode::Null));
        }
        let Some(bytes) = self.nodes.get(codec::encode(key).as_slice())? else {
            return Ok(None);
        };
        Ok(Some(borsh::from_slice(bytes.value())?))
    }

    fn get_value_option(&self, _: u64, _: TreeKey) -> anyhow::Result<Option<OwnedValue>> {
        anyhow::bail!("rows of a snapshot are written once and not read meanwhile")
    }

    fn get_rightmost_leaf(&self) -> anyhow::Result<Option<(NodeKey, LeafNode)>> {
        anyhow::bail!("the tree is never restored from leaves")
    }
}

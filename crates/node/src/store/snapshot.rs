//! What a store shows of one committed height.

use super::{
    BLOCKS, Bytes, CERTIFICATES, HEADERS, META, META_GENESIS, META_KEPT_FROM, META_TIP,
    META_VALIDATORS, RESULTS, SEALS, StoreError, Tip, newest_height, state_error,
};
use crate::tag_index::TagIndexView;
use caduceus_crypto::{Hash, codec};
use caduceus_ledger::tree::{
    self, LeafNode, Node as TreeNode, NodeKey, OwnedValue, TreeKey, Version,
};
use caduceus_ledger::{
    Block, Certificate, CertifiedHeader, Header, Height, INDEX_KEY_BYTES, SignedSeal, Space,
    StateError, StateView, TreeReader, ValidatorSet,
};
use redb::{ReadOnlyTable, ReadTransaction, ReadableTableMetadata, TableDefinition, TableError};

/// A consistent view of one committed height.
pub struct Snapshot {
    pub(super) txn: ReadTransaction,
    pub(super) index: TagIndexView,
    pub(super) auth: ReadOnlyTable<Bytes, Bytes>,
    pub(super) bulk: ReadOnlyTable<Bytes, Bytes>,
    pub(super) nodes: ReadOnlyTable<Bytes, Bytes>,
    pub(super) values: ReadOnlyTable<Bytes, Bytes>,
}

impl Snapshot {
    pub(super) fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
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

    /// The newest height that is stored; 0 in an empty store.
    ///
    /// # Errors
    /// When the database fails.
    pub fn newest_height(&self) -> Result<u64, StoreError> {
        newest_height(&self.txn.open_table(HEADERS)?)
    }

    /// Lowest height above the genesis whose block and results are stored: 1, unless the node prunes or joined by a
    /// snapshot.
    ///
    /// # Errors
    /// When the database fails or the bytes are damaged.
    pub fn kept_from(&self) -> Result<u64, StoreError> {
        let Some(bytes) = self.meta(META_KEPT_FROM)? else {
            return Ok(1);
        };
        borsh::from_slice(&bytes).map_err(|_| StoreError::Damaged {
            height: 0,
            what: "mark of the blocks kept",
        })
    }

    /// Nothing is stored at a height: because it is not kept, or because it was never there.
    fn absent<T>(&self, height: Height) -> Result<Option<T>, StoreError> {
        let kept_from = self.kept_from()?;
        if height > Height::GENESIS && height.0 < kept_from {
            return Err(StoreError::Pruned {
                height: height.0,
                kept_from,
            });
        }
        Ok(None)
    }

    /// What is wrong with the state tree under the tip's root, in words.
    pub(super) fn tree_fault(&self) -> Result<Option<String>, StoreError> {
        let Some(tip) = self.tip()? else {
            return Ok(None);
        };
        let root = tip.header.state_root;
        Ok(match tree::check(self, tip.header.height.0, &root) {
            Err(fault) => Some(fault.to_string()),
            Ok(size) if size.nodes != self.nodes.len()? => {
                Some("the state tree has nodes that its root does not reach".to_owned())
            }
            Ok(size) if size.leaves != self.auth.len()? => {
                Some("the state tree has not one leaf for each row".to_owned())
            }
            Ok(_) => None,
        })
    }

    /// A block as it is stored, whatever its body.
    pub(crate) fn unchecked_block(&self, height: Height) -> Result<Option<Block>, StoreError> {
        let Some(bytes) = self.at(BLOCKS, height)? else {
            return Ok(None);
        };
        borsh::from_slice(&bytes)
            .map(Some)
            .map_err(|_| StoreError::Damaged {
                height: height.0,
                what: "block",
            })
    }

    /// A block, checked against its own header's transactions root.
    ///
    /// # Errors
    /// [`StoreError::Pruned`] when it is not kept; when the database fails or the bytes are damaged.
    pub fn block(&self, height: Height) -> Result<Option<Block>, StoreError> {
        let Some(bytes) = self.at(BLOCKS, height)? else {
            return self.absent(height);
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

    /// The header of a height.
    ///
    /// # Errors
    /// When the database fails or the bytes are damaged.
    pub fn header(&self, height: Height) -> Result<Option<Header>, StoreError> {
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

    /// The seal of a mined block; none for the genesis, and on a chain that is not mined.
    ///
    /// # Errors
    /// When the database fails or the bytes are damaged.
    pub fn seal(&self, height: Height) -> Result<Option<SignedSeal>, StoreError> {
        let Some(bytes) = self.at(SEALS, height)? else {
            return Ok(None);
        };
        borsh::from_slice(&bytes)
            .map(Some)
            .map_err(|_| StoreError::Damaged {
                height: height.0,
                what: "seal",
            })
    }

    /// Whether any block of the chain has a seal: then each must.
    ///
    /// # Errors
    /// When the database fails.
    pub fn is_mined(&self) -> Result<bool, StoreError> {
        match self.txn.open_table(SEALS) {
            Ok(table) => Ok(!table.is_empty()?),
            Err(TableError::TableDoesNotExist(_)) => Ok(false),
            Err(e) => Err(e.into()),
        }
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
    /// [`StoreError::Pruned`] when they are not kept; when the database fails or the bytes are damaged.
    pub fn results(&self, height: Height) -> Result<Vec<Vec<u8>>, StoreError> {
        let damaged = || StoreError::Damaged {
            height: height.0,
            what: "results",
        };
        let bytes = match self.at(RESULTS, height)? {
            Some(bytes) => bytes,
            None => self.absent(height)?.ok_or_else(damaged)?,
        };
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
            Space::Index => {
                let key = key
                    .try_into()
                    .map_err(|_| StateError("a key of the index has a wrong length".to_owned()))?;
                let value = self.index.get(key).map_err(state_error)?;
                return Ok(value.map(|value| value.to_vec()));
            }
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
            Space::Index => return Err(StateError("the index is never scanned".to_owned())),
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

    fn index_absent(&self, keys: &[[u8; INDEX_KEY_BYTES]]) -> Result<Vec<bool>, StateError> {
        Ok(self.index.absent(keys))
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

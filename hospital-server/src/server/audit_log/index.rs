//! What the server remembers of the audit log, in a redb file of its own: transactions on their way to the
//! chain, and every committed entry by sequence number. Entries stay sealed here: when a bucket's key goes,
//! nothing of its entries is left in clear.
//!
//! | table | key | value |
//! |---|---|---|
//! | `outbox` | transaction identifier 32 | the transaction |
//! | `entries` | sequence `u64` | [`StoredEntry`] |
//! | `meta` | `chain` | chain identifier 32 |

use crate::database::{self, ByteTable, Bytes, DatabaseFailure, decode};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, encode};
use caduceus_ledger::ChainId;
use private_chain::SealedEntry;
use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use std::path::Path;
use std::sync::Arc;

const OUTBOX: ByteTable = TableDefinition::new("outbox");
const ENTRIES: TableDefinition<'static, u64, Bytes> = TableDefinition::new("entries");
const META: ByteTable = TableDefinition::new("meta");
const META_CHAIN: &[u8] = b"chain";

/// A committed entry.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct StoredEntry {
    /// Height of its block.
    pub(crate) height: u64,
    /// Hash of that block.
    pub(crate) block_hash: Hash,
    /// The transaction that brought it.
    pub(crate) tx: Hash,
    /// The batch in it.
    pub(crate) batch: private_chain::audit::BatchId,
    /// Index in the batch.
    pub(crate) index: u32,
    /// The entry.
    pub(crate) sealed: SealedEntry,
}

/// A page of entries, and where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page<T> {
    /// What was found.
    pub(crate) found: Vec<T>,
    /// First sequence number that was not looked at; none at the end.
    pub(crate) next: Option<u64>,
}

/// The open file; clones share it. Everything here waits for the disk.
#[derive(Clone)]
pub(crate) struct AuditIndex {
    db: Arc<Database>,
}

impl AuditIndex {
    /// Opens or creates the file, which belongs to one chain.
    pub(crate) fn open(path: &Path, chain: ChainId) -> Result<Self, DatabaseFailure> {
        let db = database::open(path)?;
        let txn = db.begin_write()?;
        {
            txn.open_table(OUTBOX)?;
            txn.open_table(ENTRIES)?;
            let mut meta = txn.open_table(META)?;
            let known = meta.get(META_CHAIN)?.map(|value| value.value().to_vec());
            match known {
                Some(known) if known != chain.0.0 => {
                    return Err(DatabaseFailure::Damaged {
                        what: "audit index: it belongs to another chain",
                    });
                }
                Some(_) => {}
                None => {
                    meta.insert(META_CHAIN, chain.0.0.as_slice())?;
                }
            }
        }
        txn.commit()?;
        Ok(Self { db: Arc::new(db) })
    }

    /// Makes a transaction durable before it is submitted.
    pub(crate) fn send_out(&self, id: &Hash, tx: &[u8]) -> Result<(), DatabaseFailure> {
        let txn = self.db.begin_write()?;
        txn.open_table(OUTBOX)?.insert(&id.0[..], tx)?;
        txn.commit()?;
        Ok(())
    }

    /// Forgets a transaction that the chain refused.
    pub(crate) fn take_back(&self, id: &Hash) -> Result<(), DatabaseFailure> {
        let txn = self.db.begin_write()?;
        txn.open_table(OUTBOX)?.remove(&id.0[..])?;
        txn.commit()?;
        Ok(())
    }

    /// Enters a committed transaction's entries and takes it out of the outbox.
    pub(crate) fn enter(
        &self,
        id: &Hash,
        entries: Vec<(u64, StoredEntry)>,
    ) -> Result<(), DatabaseFailure> {
        let mut txn = self.db.begin_write()?;
        // A crash brings both tables back to where the outbox still has the transaction: it is then submitted
        // again and entered again. So this one need not wait for the disk.
        txn.set_durability(Durability::None)?;
        {
            let mut table = txn.open_table(ENTRIES)?;
            for (sequence, entry) in &entries {
                table.insert(*sequence, encode(entry).as_slice())?;
            }
            txn.open_table(OUTBOX)?.remove(&id.0[..])?;
        }
        txn.commit()?;
        Ok(())
    }

    /// What is on its way to the chain.
    pub(crate) fn outbox(&self) -> Result<Vec<(Hash, Vec<u8>)>, DatabaseFailure> {
        let txn = self.db.begin_read()?;
        let table = txn.open_table(OUTBOX)?;
        let mut left = Vec::new();
        for pair in table.iter()? {
            let (id, tx) = pair?;
            left.push((decode(id.value(), "outbox")?, tx.value().to_vec()));
        }
        Ok(left)
    }

    /// Looks through entries from a sequence number on, in either direction, until `limit` are found, `scan`
    /// were looked at, or none are left.
    pub(crate) fn page<T>(
        &self,
        from: Option<u64>,
        newest_first: bool,
        limit: usize,
        scan: usize,
        mut pick: impl FnMut(u64, StoredEntry) -> Option<T>,
    ) -> Result<Page<T>, DatabaseFailure> {
        let txn = self.db.begin_read()?;
        let table = txn.open_table(ENTRIES)?;
        let range = match (from, newest_first) {
            (None, _) => table.range(0u64..)?,
            (Some(from), false) => table.range(from..)?,
            (Some(from), true) => table.range(..=from)?,
        };
        let mut page = Page {
            found: Vec::new(),
            next: None,
        };
        let mut looked = 0usize;
        let mut range = range;
        loop {
            let pair = if newest_first {
                range.next_back()
            } else {
                range.next()
            };
            let Some(pair) = pair else {
                return Ok(page);
            };
            let (sequence, bytes) = pair?;
            let sequence = sequence.value();
            if page.found.len() >= limit || looked >= scan {
                page.next = Some(sequence);
                return Ok(page);
            }
            looked += 1;
            if let Some(item) = pick(sequence, decode(bytes.value(), "audit entry")?) {
                page.found.push(item);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use private_chain::ActionClass;

    fn entry(n: u8) -> StoredEntry {
        StoredEntry {
            height: u64::from(n),
            block_hash: Hash([n; 32]),
            tx: Hash([n; 32]),
            batch: [n; 32],
            index: 0,
            sealed: SealedEntry {
                class: ActionClass::ClinicalRead,
                month: 24_292,
                ciphertext: vec![n; 256],
            },
        }
    }

    #[test]
    fn what_is_on_its_way_survives_and_leaves_when_entered() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("audit.redb");
        let chain = ChainId(Hash([1; 32]));
        {
            let index = AuditIndex::open(&path, chain).unwrap();
            index.send_out(&Hash([2; 32]), b"one").unwrap();
            index.send_out(&Hash([3; 32]), b"two").unwrap();
            index
                .enter(&Hash([2; 32]), vec![(0, entry(1)), (1, entry(2))])
                .unwrap();
        }
        let index = AuditIndex::open(&path, chain).unwrap();
        let left = index.outbox().unwrap();
        assert!(left.contains(&(Hash([3; 32]), b"two".to_vec())));
        // Entering twice, after a crash, is the same as once.
        index
            .enter(&Hash([2; 32]), vec![(0, entry(1)), (1, entry(2))])
            .unwrap();
        index.take_back(&Hash([3; 32])).unwrap();
        assert!(index.outbox().unwrap().is_empty());
        let all = index.page(None, false, 10, 10, |n, _| Some(n)).unwrap();
        assert_eq!(
            all,
            Page {
                found: vec![0, 1],
                next: None
            }
        );
        drop(index);
        assert!(AuditIndex::open(&path, ChainId(Hash([9; 32]))).is_err());
    }

    #[test]
    fn pages_follow_each_other_in_both_directions() {
        let home = tempfile::tempdir().unwrap();
        let index = AuditIndex::open(&home.path().join("audit.redb"), ChainId::default()).unwrap();
        let entries = (0..10u8).map(|n| (u64::from(n), entry(n))).collect();
        index.enter(&Hash::ZERO, entries).unwrap();
        for newest_first in [false, true] {
            let mut seen = Vec::new();
            let mut from = None;
            loop {
                let even = |n: u64, _| n.is_multiple_of(2).then_some(n);
                let page = index.page(from, newest_first, 2, 3, even).unwrap();
                seen.extend(page.found);
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
            let mut expected = vec![0, 2, 4, 6, 8];
            if newest_first {
                expected.reverse();
            }
            assert_eq!(seen, expected);
        }
    }
}

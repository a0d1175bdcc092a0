//! What the server remembers of the audit log, in a redb file of its own: transactions on their way to the
//! chain, which of their actions are still open, and how many entries each slot of time has. Entries are sealed here,
//! and gone once they are on the chain and their actions closed: the nodes keep and search the log.
//!
//! | table | key | value |
//! |---|---|---|
//! | `outbox` | transaction identifier 32 | the transaction, until it is delivered and its actions are closed |
//! | `progress` | transaction identifier 32 | [`Progress`] |
//! | `slots` | length `u64` BE, start `u64` BE, action | entries `u64` |
//! | `meta` | `chain` | chain identifier 32 |

use super::bounds::{Remembered, Slot};
use super::open::ActionRef;
use crate::database::{self, ByteTable, Bytes, DatabaseFailure, decode};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, encode};
use caduceus_ledger::ChainId;
use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

const OUTBOX: ByteTable = TableDefinition::new("outbox");
const PROGRESS: ByteTable = TableDefinition::new("progress");
const SLOTS: ByteTable = TableDefinition::new("slots");
/// Of before the nodes kept the log.
const FORMER_ENTRIES: TableDefinition<'static, u64, Bytes> = TableDefinition::new("entries");
const META: ByteTable = TableDefinition::new("meta");
const META_CHAIN: &[u8] = b"chain";

/// Slots are forgotten so long after their end, milliseconds: no signed time is accepted that is that old.
const KEPT_MILLIS: u64 = 60 * 60 * 1000;

/// How far a transaction is.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct Progress {
    /// Whether it is in a block.
    delivered: bool,
    /// Indices of entries whose action is not known to be done, in order.
    open: Vec<u32>,
}

/// A transaction before it is submitted, and what becomes durable with it.
pub(crate) struct Outgoing {
    /// Its identifier.
    pub(crate) id: Hash,
    /// The transaction.
    pub(crate) tx: Vec<u8>,
    /// Indices of entries that open an action.
    pub(crate) open: Vec<u32>,
    /// Entries by slot and action.
    pub(crate) counts: Vec<Remembered>,
    /// Actions that were closed before.
    pub(crate) closed: Vec<ActionRef>,
}

/// A transaction with open actions, as a restart finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// Its identifier.
    pub(crate) id: Hash,
    /// The transaction.
    pub(crate) tx: Vec<u8>,
    /// Indices of the entries that are open.
    pub(crate) open: Vec<u32>,
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
            txn.open_table(PROGRESS)?;
            txn.open_table(SLOTS)?;
            txn.delete_table(FORMER_ENTRIES)?;
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

    /// Makes a transaction durable before it is submitted, with its open actions.
    pub(crate) fn send_out(&self, outgoing: &Outgoing) -> Result<(), DatabaseFailure> {
        let id = &outgoing.id.0[..];
        let progress = Progress {
            delivered: false,
            open: outgoing.open.clone(),
        };
        let txn = self.db.begin_write()?;
        txn.open_table(OUTBOX)?.insert(id, outgoing.tx.as_slice())?;
        txn.open_table(PROGRESS)?
            .insert(id, encode(&progress).as_slice())?;
        close(&txn, &outgoing.closed)?;
        count(&txn, &outgoing.counts)?;
        txn.commit()?;
        Ok(())
    }

    /// Forgets a transaction that the chain refused.
    pub(crate) fn take_back(&self, id: &Hash) -> Result<(), DatabaseFailure> {
        let txn = self.db.begin_write()?;
        forget(&txn, id)?;
        txn.commit()?;
        Ok(())
    }

    /// Notes that a transaction is in a block. It stays until its actions are closed.
    pub(crate) fn delivered(&self, id: &Hash) -> Result<(), DatabaseFailure> {
        let mut txn = self.db.begin_write()?;
        // A crash brings all tables back to where the transaction is still to be submitted: it is then submitted
        // again. So this one need not wait for the disk.
        txn.set_durability(Durability::None)?;
        let progress = progress(&txn, id)?;
        match progress {
            Some(progress) if !progress.open.is_empty() => {
                let delivered = Progress {
                    delivered: true,
                    ..progress
                };
                txn.open_table(PROGRESS)?
                    .insert(&id.0[..], encode(&delivered).as_slice())?;
            }
            _ => forget(&txn, id)?,
        }
        txn.commit()?;
        Ok(())
    }

    /// Makes it durable that actions are closed.
    pub(crate) fn settle(&self, closed: &[ActionRef]) -> Result<(), DatabaseFailure> {
        let txn = self.db.begin_write()?;
        close(&txn, closed)?;
        txn.commit()?;
        Ok(())
    }

    /// What is on its way to the chain.
    pub(crate) fn outbox(&self) -> Result<Vec<(Hash, Vec<u8>)>, DatabaseFailure> {
        let left = self.rows(|progress| !progress.delivered)?;
        Ok(left.into_iter().map(|left| (left.id, left.tx)).collect())
    }

    /// Transactions with open actions.
    pub(crate) fn left_open(&self) -> Result<Vec<Left>, DatabaseFailure> {
        self.rows(|progress| !progress.open.is_empty())
    }

    /// One transaction with open actions; none if it has none any more.
    pub(crate) fn left(&self, id: &Hash) -> Result<Option<Left>, DatabaseFailure> {
        let left = self.left_open()?;
        Ok(left.into_iter().find(|left| left.id == *id))
    }

    fn rows(&self, wanted: impl Fn(&Progress) -> bool) -> Result<Vec<Left>, DatabaseFailure> {
        let txn = self.db.begin_read()?;
        let outbox = txn.open_table(OUTBOX)?;
        let states = txn.open_table(PROGRESS)?;
        let mut left = Vec::new();
        for pair in outbox.iter()? {
            let (id, tx) = pair?;
            // A row of before there was this table opens nothing.
            let progress = match states.get(id.value())? {
                Some(bytes) => decode(bytes.value(), "outbox state")?,
                None => Progress::default(),
            };
            if wanted(&progress) {
                left.push(Left {
                    id: decode(id.value(), "outbox")?,
                    tx: tx.value().to_vec(),
                    open: progress.open,
                });
            }
        }
        Ok(left)
    }

    /// Entries by slot and action.
    pub(crate) fn remembered(&self) -> Result<Vec<Remembered>, DatabaseFailure> {
        let txn = self.db.begin_read()?;
        let table = txn.open_table(SLOTS)?;
        let mut found = Vec::new();
        for pair in table.iter()? {
            let (key, value) = pair?;
            let (slot, action) = slot_of(key.value())?;
            found.push((slot, action, decode(value.value(), "slot count")?));
        }
        Ok(found)
    }
}

fn progress(txn: &WriteTransaction, id: &Hash) -> Result<Option<Progress>, DatabaseFailure> {
    let table = txn.open_table(PROGRESS)?;
    let found = table.get(&id.0[..])?;
    match found {
        Some(bytes) => Ok(Some(decode(bytes.value(), "outbox state")?)),
        None => Ok(None),
    }
}

fn forget(txn: &WriteTransaction, id: &Hash) -> Result<(), DatabaseFailure> {
    txn.open_table(OUTBOX)?.remove(&id.0[..])?;
    txn.open_table(PROGRESS)?.remove(&id.0[..])?;
    Ok(())
}

/// Closes actions; a delivered transaction without open actions is forgotten.
fn close(txn: &WriteTransaction, closed: &[ActionRef]) -> Result<(), DatabaseFailure> {
    let mut by_tx: BTreeMap<Hash, BTreeSet<u32>> = BTreeMap::new();
    for action in closed {
        by_tx.entry(action.tx).or_default().insert(action.index);
    }
    for (id, closed) in by_tx {
        let Some(mut state) = progress(txn, &id)? else {
            continue;
        };
        state.open.retain(|index| !closed.contains(index));
        if state.delivered && state.open.is_empty() {
            forget(txn, &id)?;
        } else {
            txn.open_table(PROGRESS)?
                .insert(&id.0[..], encode(&state).as_slice())?;
        }
    }
    Ok(())
}

/// Adds to the counts of slots, and forgets those that are long over.
fn count(txn: &WriteTransaction, counts: &[Remembered]) -> Result<(), DatabaseFailure> {
    let mut table = txn.open_table(SLOTS)?;
    for (slot, action, number) in counts {
        let key = slot_key(slot, action);
        let before = match table.get(key.as_slice())? {
            Some(bytes) => decode::<u64>(bytes.value(), "slot count")?,
            None => 0,
        };
        let now = before.saturating_add(*number);
        table.insert(key.as_slice(), encode(&now).as_slice())?;
    }
    let Some(newest) = counts.iter().map(|(slot, _, _)| slot.start).max() else {
        return Ok(());
    };
    let is_kept = |key: &[u8]| match slot_of(key) {
        Ok((slot, _)) => {
            let end = slot.start.saturating_add(slot.length);
            end.saturating_add(KEPT_MILLIS) >= newest
        }
        Err(_) => false,
    };
    table.retain(|key, _| is_kept(key))?;
    Ok(())
}

fn slot_key(slot: &Slot, action: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(16 + action.len());
    key.extend_from_slice(&slot.length.to_be_bytes());
    key.extend_from_slice(&slot.start.to_be_bytes());
    key.extend_from_slice(action.as_bytes());
    key
}

fn slot_of(key: &[u8]) -> Result<(Slot, String), DatabaseFailure> {
    let damaged = || DatabaseFailure::Damaged { what: "slot" };
    let (length, rest) = key.split_first_chunk::<8>().ok_or_else(damaged)?;
    let (start, action) = rest.split_first_chunk::<8>().ok_or_else(damaged)?;
    let action = std::str::from_utf8(action).map_err(|_| damaged())?;
    let slot = Slot {
        start: u64::from_be_bytes(*start),
        length: u64::from_be_bytes(*length),
    };
    Ok((slot, action.to_owned()))
}

#[cfg(test)]
mod tests;

//! Transactions waiting for a block: checked on entry, in order of arrival, bounded.
//!
//! What is checked against is not here: [`crate::chain::Chain`] keeps the state as it would be after all that waits,
//! so that a transaction which depends on one before it (a link on its checkpoint) is admitted, and one that
//! contradicts it (the same tag twice) is not.

use caduceus_crypto::Hash;
use caduceus_ledger::DecodedTx;
use std::collections::BTreeMap;

/// Most transactions that wait.
pub const MAX_WAITING: usize = 20_000;
/// Most bytes that wait.
pub const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// Checks that may pass a transiently refused transaction over before it is dropped.
const MAX_PASSED_OVER: u32 = 20;

/// The waiting transactions of one chain.
#[derive(Default)]
pub struct Mempool {
    next: u64,
    waiting: BTreeMap<u64, DecodedTx>,
    by_id: BTreeMap<Hash, u64>,
    bytes: usize,
    passed_over: BTreeMap<Hash, u32>,
}

/// What the pool says of a transaction before it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It waits already.
    Known,
    /// There is none.
    None,
    /// There is.
    Some,
}

impl Mempool {
    /// Number of waiting transactions.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether there is room for a transaction of this size.
    pub fn room(&self, id: &Hash, bytes: usize) -> Room {
        if self.by_id.contains_key(id) {
            Room::Known
        } else if self.waiting.len() >= MAX_WAITING || self.bytes + bytes > MAX_WAITING_BYTES {
            Room::None
        } else {
            Room::Some
        }
    }

    /// A waiting transaction.
    pub fn get(&self, id: &Hash) -> Option<&DecodedTx> {
        self.waiting.get(self.by_id.get(id)?)
    }

    /// Takes a transaction that was checked; `refused_for_now` if a transient rule refuses it still.
    pub fn push(&mut self, tx: DecodedTx, refused_for_now: bool) {
        if self.by_id.contains_key(&tx.id()) {
            return;
        }
        if refused_for_now {
            self.passed_over.insert(tx.id(), 0);
        }
        self.bytes += tx.bytes().len();
        self.by_id.insert(tx.id(), self.next);
        self.waiting.insert(self.next, tx);
        self.next += 1;
    }

    /// The oldest transactions, at most `limit` bytes of them.
    pub fn oldest(&self, limit: usize) -> Vec<DecodedTx> {
        let mut bytes = 0;
        self.waiting
            .values()
            .take_while(|tx| {
                bytes += tx.bytes().len() + 4;
                bytes <= limit
            })
            .cloned()
            .collect()
    }

    /// Forgets transactions, committed or refused.
    pub fn remove<'a>(&mut self, ids: impl IntoIterator<Item = &'a Hash>) {
        for id in ids {
            self.passed_over.remove(id);
            if let Some(tx) = self
                .by_id
                .remove(id)
                .and_then(|at| self.waiting.remove(&at))
            {
                self.bytes -= tx.bytes().len();
            }
        }
    }

    /// Whether something waits that a transient rule refused when it was last checked.
    pub fn refuses_for_now(&self) -> bool {
        !self.passed_over.is_empty()
    }

    /// Notes that a waiting transaction was checked again and is good now.
    pub fn is_good(&mut self, id: &Hash) {
        self.passed_over.remove(id);
    }

    /// Notes that a transient rule refuses a waiting transaction once more; whether that is too often.
    pub fn passes_over(&mut self, id: Hash) -> bool {
        let times = self.passed_over.entry(id).or_default();
        *times += 1;
        *times > MAX_PASSED_OVER
    }
}

//! Transactions waiting for a block: checked on entry, in order of arrival, bounded.
//!
//! The pool keeps the state as it would be after all that waits, so that a transaction which depends on one
//! before it (a link on its checkpoint) is admitted, and one that contradicts it (the same tag twice) is not.

use caduceus_crypto::Hash;
use caduceus_ledger::{
    BlockContext, Overlay, Rejection, StateMachine, StateView, TxFailure, Writes, apply, tx_id,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Most transactions that wait.
pub const MAX_WAITING: usize = 20_000;
/// Most bytes that wait.
pub const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of waiting transactions that are checked again after a block: two blocks' worth.
const RECHECK_BYTES: usize = 2 * 1024 * 1024;

/// Blocks that may pass a transiently refused transaction over before it is dropped.
const MAX_PASSED_OVER: u32 = 20;

/// The waiting transactions of one chain.
#[derive(Default)]
pub struct Mempool {
    next: u64,
    waiting: BTreeMap<u64, Vec<u8>>,
    by_id: BTreeMap<Hash, u64>,
    bytes: usize,
    generation: u64,
    ahead: Arc<Writes>,
    passed_over: BTreeMap<Hash, u32>,
}

/// What a transaction is checked against, without holding the pool.
pub struct Standing {
    generation: u64,
    /// Changes by all that waits.
    pub ahead: Arc<Writes>,
}

/// What the pool says of a transaction before it is checked.
pub enum Peek {
    /// It waits already.
    Known,
    /// There is no room.
    Full,
    /// Check it against this.
    Check(Standing),
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

    /// What to check a transaction against.
    pub fn peek(&self, id: &Hash, bytes: usize) -> Peek {
        if self.by_id.contains_key(id) {
            return Peek::Known;
        }
        if self.waiting.len() >= MAX_WAITING || self.bytes + bytes > MAX_WAITING_BYTES {
            return Peek::Full;
        }
        Peek::Check(Standing {
            generation: self.generation,
            ahead: self.ahead.clone(),
        })
    }

    /// Takes a transaction that was checked against `standing` and makes these changes; gives it back if the
    /// pool has moved on since.
    pub fn take(
        &mut self,
        standing: &Standing,
        id: Hash,
        tx: Vec<u8>,
        writes: Writes,
    ) -> Result<(), Vec<u8>> {
        if standing.generation != self.generation {
            return Err(tx);
        }
        if self.by_id.contains_key(&id) {
            return Ok(());
        }
        self.generation += 1;
        Arc::make_mut(&mut self.ahead).extend(writes);
        self.push(id, tx);
        Ok(())
    }

    fn push(&mut self, id: Hash, tx: Vec<u8>) {
        self.bytes += tx.len();
        self.by_id.insert(id, self.next);
        self.waiting.insert(self.next, tx);
        self.next += 1;
    }

    /// Copies of the oldest transactions, at most `limit` bytes of them.
    pub fn candidates(&self, limit: usize) -> Vec<Vec<u8>> {
        let mut bytes = 0;
        self.waiting
            .values()
            .take_while(|tx| {
                bytes += tx.len() + 4;
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
                self.bytes -= tx.len();
            }
        }
    }

    /// Checks again what still waits, on a new state, and drops what no longer holds.
    ///
    /// # Errors
    /// When the store fails.
    pub fn recheck<M: StateMachine>(
        &mut self,
        machine: &M,
        ctx: &BlockContext,
        view: &dyn StateView,
    ) -> Result<Vec<(Hash, Rejection)>, TxFailure> {
        let mut state = Overlay::new(view);
        let mut dropped = Vec::new();
        let mut bytes = 0;
        for tx in self.waiting.values() {
            // What comes much later is checked when its turn comes: it must not hold up the next block.
            bytes += tx.len();
            if bytes > RECHECK_BYTES {
                break;
            }
            match apply(machine, ctx, 0, tx, &mut state) {
                Ok(_) => {}
                Err(TxFailure::Rejected(rejection)) if machine.is_transient(rejection.rule) => {
                    let blocks = self.passed_over.entry(tx_id(tx)).or_default();
                    *blocks += 1;
                    if *blocks > MAX_PASSED_OVER {
                        dropped.push((tx_id(tx), rejection));
                    }
                }
                Err(TxFailure::Rejected(rejection)) => dropped.push((tx_id(tx), rejection)),
                Err(failure) => return Err(failure),
            }
        }
        self.generation += 1;
        self.ahead = Arc::new(state.into_writes());
        self.remove(dropped.iter().map(|(id, _)| id));
        Ok(dropped)
    }
}

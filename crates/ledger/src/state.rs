//! State spaces, overlays and the state machine trait (DESIGN 4.2).

use crate::block::Genesis;
use crate::decoded::DecodedTx;
use crate::types::{Address, ChainId, Height};
use crate::writes::{Before, Change, Writes};
use caduceus_crypto::TimeMillis;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a key lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    /// In the Jellyfish Merkle tree: presence and absence can be proved against a header's state root.
    Auth,
    /// In a plain table: bulk data that blocks already commit to (anchors, headers).
    Bulk,
    /// Rows that follow from blocks, are written once and never changed or removed, and are looked up by their
    /// exact key alone (index tags). Keys have [`INDEX_KEY_BYTES`], values [`INDEX_VALUE_BYTES`]: a store keeps
    /// them in sorted runs.
    Index,
}

/// Length of every key in [`Space::Index`].
pub const INDEX_KEY_BYTES: usize = 20;
/// Length of every value in [`Space::Index`].
pub const INDEX_VALUE_BYTES: usize = 12;

/// The store could not be read, or holds bytes that do not decode. Never the fault of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("state: {0}")]
pub struct StateError(pub String);

/// Keys and values, in key order.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// Read access to a state.
pub trait StateView {
    /// The value under a key.
    ///
    /// # Errors
    /// When the store fails.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// At most `limit` pairs whose key starts with `prefix`, in key order.
    ///
    /// # Errors
    /// When the store fails, or the space is [`Space::Index`].
    fn scan(&self, space: Space, prefix: &[u8], limit: usize) -> Result<Pairs, StateError>;

    /// Which of these keys of [`Space::Index`] are certainly absent; the others have to be looked up. A store with a
    /// filter answers for thousands of keys in the time of a few look-ups.
    ///
    /// # Errors
    /// When the store fails.
    fn index_absent(&self, keys: &[[u8; INDEX_KEY_BYTES]]) -> Result<Vec<bool>, StateError> {
        Ok(vec![false; keys.len()])
    }
}

/// A state with changes on top that are not in the store yet.
pub struct Overlay<'a> {
    base: &'a dyn StateView,
    writes: Writes,
    /// What stood where since the outermost attempt began; none outside of one.
    undo: Option<Vec<Before>>,
}

impl<'a> Overlay<'a> {
    /// No changes yet.
    pub fn new(base: &'a dyn StateView) -> Self {
        Self::with(base, Writes::new())
    }

    /// These changes already.
    pub fn with(base: &'a dyn StateView, writes: Writes) -> Self {
        Self {
            base,
            writes,
            undo: None,
        }
    }

    /// Sets a key.
    pub fn put(&mut self, space: Space, key: &[u8], value: Vec<u8>) {
        self.change(space, key, Some(value));
    }

    /// Removes a key.
    pub fn delete(&mut self, space: Space, key: &[u8]) {
        self.change(space, key, None);
    }

    fn change(&mut self, space: Space, key: &[u8], change: Change) {
        let before = self.writes.change(space, key, change);
        if let Some(undo) = &mut self.undo {
            undo.push(before);
        }
    }

    /// Does something as a whole: when it fails, no change of it stays.
    ///
    /// # Errors
    /// Those of what is done.
    pub fn attempt<T, E>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, E>) -> Result<T, E> {
        let outermost = self.undo.is_none();
        let mark = self.undo.get_or_insert_default().len();
        let outcome = work(self);
        if outcome.is_err() {
            let done = self.undo.as_mut().map(|undo| undo.split_off(mark));
            for before in done.into_iter().flatten().rev() {
                self.writes.restore(before);
            }
        }
        if outermost {
            self.undo = None;
        }
        outcome
    }

    /// The changes, to be merged into the overlay below or into the store.
    pub fn into_writes(self) -> Writes {
        self.writes
    }

    /// Takes over the changes of an overlay above.
    pub fn merge(&mut self, writes: Writes) {
        if self.undo.is_none() {
            self.writes.merge(writes);
            return;
        }
        for ((space, key), change) in writes {
            self.change(space, &key, change);
        }
    }
}

impl StateView for Overlay<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Layer::new(self.base, &self.writes).get(space, key)
    }

    fn scan(&self, space: Space, prefix: &[u8], limit: usize) -> Result<Pairs, StateError> {
        Layer::new(self.base, &self.writes).scan(space, prefix, limit)
    }

    fn index_absent(&self, keys: &[[u8; INDEX_KEY_BYTES]]) -> Result<Vec<bool>, StateError> {
        Layer::new(self.base, &self.writes).index_absent(keys)
    }
}

/// A state with changes on top that somebody else holds.
#[derive(Clone, Copy)]
pub struct Layer<'a> {
    base: &'a dyn StateView,
    writes: &'a Writes,
}

impl<'a> Layer<'a> {
    /// These changes over that state.
    pub fn new(base: &'a dyn StateView, writes: &'a Writes) -> Self {
        Self { base, writes }
    }
}

impl StateView for Layer<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        match self.writes.get(space, key) {
            Some(value) => Ok(value.map(<[u8]>::to_vec)),
            None => self.base.get(space, key),
        }
    }

    fn index_absent(&self, keys: &[[u8; INDEX_KEY_BYTES]]) -> Result<Vec<bool>, StateError> {
        let mut absent = self.base.index_absent(keys)?;
        if self.writes.rows().len() > 0 {
            for (key, absent) in keys.iter().zip(&mut absent) {
                *absent &= !self.writes.has_row(key);
            }
        }
        Ok(absent)
    }

    fn scan(&self, space: Space, prefix: &[u8], limit: usize) -> Result<Pairs, StateError> {
        let changed = self.writes.under(space, prefix);
        if changed.is_empty() {
            return self.base.scan(space, prefix, limit);
        }
        // Each change can hide at most one pair of the base.
        let mut merged: BTreeMap<Vec<u8>, Vec<u8>> = self
            .base
            .scan(space, prefix, limit.saturating_add(changed.len()))?
            .into_iter()
            .collect();
        for (key, value) in changed {
            match value {
                Some(value) => merged.insert(key, value),
                None => merged.remove(&key),
            };
        }
        Ok(merged.into_iter().take(limit).collect())
    }
}

/// What a transaction may know of its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockContext {
    /// The chain.
    pub chain: ChainId,
    /// The block's height.
    pub height: Height,
    /// The block's time.
    pub time: TimeMillis,
    /// The proposer.
    pub proposer: Address,
}

/// What leaves the process about a refused transaction: the rule's stable name and one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {detail}")]
pub struct Rejection {
    /// Stable snake_case name of the broken rule.
    pub rule: &'static str,
    /// One sentence for people.
    pub detail: String,
}

/// Why a transaction did not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TxFailure {
    /// A rule refuses it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The store failed: says nothing about the transaction.
    #[error(transparent)]
    State(#[from] StateError),
}

/// How soon a waiting transaction gets its turn where not all fit into the next block. It decides about waiting and
/// nothing else: what a block may hold is the same for every class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// What the chain itself and the patients' records need: it never waits for the others.
    Urgent,
    /// In the order of arrival.
    Normal,
    /// Who pays for it is in debt: after the others, but not for ever.
    Indebted,
}

/// A chain's rules. Deterministic: no clock, no randomness, no hash-map order, no floats.
pub trait StateMachine: Send + Sync + 'static {
    /// Writes the state before block 1.
    ///
    /// # Errors
    /// When the chain's own genesis does not decode.
    fn genesis(&self, genesis: &Genesis, state: &mut Overlay<'_>) -> Result<(), StateError>;

    /// Decodes a transaction into what [`StateMachine::execute`] takes as its content. Needs no state, so it may run
    /// at any time, on any thread, and once for the checks of a waiting transaction and for its block.
    ///
    /// # Errors
    /// The rule that bytes which are no transaction break.
    fn decode(&self, tx: &[u8]) -> Result<Arc<dyn Any + Send + Sync>, Rejection>;

    /// Runs one transaction that this machine decoded. On failure the caller takes all changes back: nothing is half
    /// done. A block holds only transactions that succeed.
    ///
    /// # Errors
    /// [`TxFailure`] names the broken rule.
    fn execute(
        &self,
        ctx: &BlockContext,
        tx: &DecodedTx,
        state: &mut Overlay<'_>,
    ) -> Result<Vec<u8>, TxFailure>;

    /// Whether a refusal by this rule may pass by itself, because another transaction or the next block comes
    /// first: such a transaction keeps waiting.
    fn is_transient(&self, _rule: &str) -> bool {
        false
    }

    /// The class of a transaction by what the view holds.
    ///
    /// # Errors
    /// When the store fails.
    fn class(&self, _tx: &DecodedTx, _view: &dyn StateView) -> Result<Class, StateError> {
        Ok(Class::Normal)
    }

    /// Ends a block: returns the header's extra bytes and resets per-block counters.
    ///
    /// # Errors
    /// When the store fails.
    fn finish(
        &self,
        ctx: &BlockContext,
        txs: &[Vec<u8>],
        state: &mut Overlay<'_>,
    ) -> Result<Vec<u8>, StateError>;
}

//! What a transaction looks up in the index, and whether it left anything behind.

use super::{Chain, Store};
use crate::machine::AllianceMachine;
use crate::tx::Tx;
use caduceus_ledger::{
    DecodedTx, Overlay, Pairs, Space, StateError, StateMachine, StateView, TxFailure, Writes,
};
use std::cell::Cell;
use std::sync::Arc;

/// A state that counts the look-ups of a search.
struct Watched<'a> {
    store: &'a Store,
    look_ups: Cell<u64>,
}

impl StateView for Watched<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        if space == Space::Index || key.starts_with(b"scan/") {
            self.look_ups.set(self.look_ups.get() + 1);
        }
        self.store.get(space, key)
    }

    fn scan(&self, space: Space, prefix: &[u8], limit: usize) -> Result<Pairs, StateError> {
        self.store.scan(space, prefix, limit)
    }
}

impl Chain {
    /// Runs a transaction without keeping its changes: what it gives, its look-ups in the index, its changes.
    fn try_out(&self, tx: &Tx) -> (Result<Vec<u8>, TxFailure>, u64, Writes) {
        let watched = Watched {
            store: &self.store,
            look_ups: Cell::new(0),
        };
        let mut state = Overlay::new(&watched);
        let tx = DecodedTx::new(&AllianceMachine, Arc::new(tx.encode())).unwrap();
        let result = AllianceMachine.execute(&self.context(), &tx, &mut state);
        let writes = state.into_writes();
        (result, watched.look_ups.get(), writes)
    }

    /// This rule refuses the transaction before it looks anything up or changes anything.
    pub fn refuse_untouched(&self, tx: &Tx, rule: &str) {
        let (result, look_ups, writes) = self.try_out(tx);
        match result {
            Err(TxFailure::Rejected(rejection)) => {
                assert_eq!(rejection.rule, rule, "{}", rejection.detail)
            }
            other => panic!("expected {rule}, got {other:?}"),
        }
        assert_eq!(look_ups, 0, "{rule}: the index was searched");
        assert!(writes.is_empty(), "{rule}: something was written");
    }

    /// Look-ups in the index of a transaction that the rules accept. Its changes are dropped.
    pub fn look_ups(&self, tx: &Tx) -> u64 {
        let (result, look_ups, writes) = self.try_out(tx);
        result.unwrap();
        assert!(!writes.is_empty());
        look_ups
    }
}

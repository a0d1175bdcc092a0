//! Requests that name the same thing take turns: a repetition waits for the first and finds its answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedMutexGuard;

type Turns = HashMap<[u8; 16], Arc<tokio::sync::Mutex<()>>>;

/// Turns by name; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    turns: Arc<Mutex<Turns>>,
}

impl Gate {
    /// Waits for the turn of a name. It ends when the guard is dropped.
    pub(crate) async fn turn(&self, name: [u8; 16]) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            if turns.len() > 1024 {
                turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            }
            Arc::clone(turns.entry(name).or_default())
        };
        turn.lock_owned().await
    }
}

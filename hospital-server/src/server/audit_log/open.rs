//! Open actions: logged as allowed, and not known to be done yet.
//!
//! They are durable with their entries, in the same write. An action is closed once its answer was handed to the
//! network; that is written with the next batch of entries, or when the server stops. What a crash leaves open is
//! entered as of unknown outcome at the next start.

use caduceus_crypto::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// The place of an open action's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ActionRef {
    /// The transaction.
    pub(crate) tx: Hash,
    /// Index in its batch.
    pub(crate) index: u32,
}

/// Actions that were closed since the last write; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Closed(Arc<Mutex<Vec<ActionRef>>>);

impl Closed {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<ActionRef>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes an action.
    pub(crate) fn add(&self, action: ActionRef) {
        self.lock().push(action);
    }

    /// What is to be written now.
    pub(crate) fn take(&self) -> Vec<ActionRef> {
        std::mem::take(&mut *self.lock())
    }
}

//! Removes blocks and results that a kept snapshot stands for. Headers, certificates and state stay.

use super::{BLOCKS, META, META_KEPT_FROM, RESULTS, Store, StoreError};
use caduceus_crypto::codec;

/// Heights removed in one write, so that no block waits long for its own.
pub(crate) const PRUNED_AT_ONCE: u64 = 128;

impl Store {
    /// Removes the lowest blocks and results below a height, a bounded number of them. True if there are more.
    /// The file does not shrink: later blocks take the room.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) fn prune_step(&self, below: u64) -> Result<bool, StoreError> {
        let snapshot = self.snapshot()?;
        let from = snapshot.kept_from()?;
        let below = below.min(snapshot.newest_height()?);
        drop(snapshot);
        if from >= below {
            return Ok(false);
        }
        let until = below.min(from.saturating_add(PRUNED_AT_ONCE));
        let txn = self.db.begin_write()?;
        {
            let mut blocks = txn.open_table(BLOCKS)?;
            let mut results = txn.open_table(RESULTS)?;
            for height in from..until {
                blocks.remove(height)?;
                results.remove(height)?;
            }
            txn.open_table(META)?
                .insert(META_KEPT_FROM, codec::encode(&until).as_slice())?;
        }
        txn.commit()?;
        Ok(until < below)
    }
}

//! `Audit`: a batch of sealed audit entries, appended in order (DESIGN 5.3).

use super::Tx;
use crate::audit::SealedEntry;

/// Most entries in one transaction: with 4 KiB each the transaction stays below the ledger's limit.
pub const MAX_ENTRIES_PER_TX: usize = 96;

impl Tx {
    /// An audit transaction. The entries get consecutive sequence numbers in this order.
    pub fn audit(entries: Vec<SealedEntry>) -> Tx {
        Tx::Audit(entries)
    }
}

//! `Audit`: a batch of sealed audit entries, appended in order (DESIGN 5.3).

use super::Tx;
use crate::audit::AuditBatch;

/// Most entries in one transaction. Most bytes are the ledger's: entries of one padding unit fill half of it.
pub const MAX_ENTRIES_PER_TX: usize = 1024;

/// Bytes of entries up to which a batch is filled: with one more entry of the largest size it stays below the
/// ledger's limit.
pub const BATCH_BYTES: usize = 384 * 1024;

impl Tx {
    /// An audit transaction. The entries get consecutive sequence numbers in their order.
    pub fn audit(batch: AuditBatch) -> Tx {
        Tx::Audit(batch)
    }
}

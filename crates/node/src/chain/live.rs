//! What is judged of transactions when they come in or are voted for, and no more when they are replayed.

use super::Chain;
use caduceus_crypto::Hash;
use caduceus_ledger::{Block, BlockError, DecodedTx, Rejection, tx_id};
use std::sync::Arc;

/// Transactions above which a block's are decoded by several threads.
const PARALLEL_BYTES: usize = 64 * 1024;

/// What a node judges of a transaction on top of the chain's rules, before it lets it wait or votes for its block
/// (DESIGN 5.2): with what only a running node has, a clock or keys. It enters no root, so it must let pass whatever it
/// cannot judge.
pub trait LiveCheck: Send + Sync {
    /// Judges a transaction.
    ///
    /// # Errors
    /// [`Rejection`]: a transaction is not let in; a block that holds it is not voted for.
    fn judge(&self, tx: &DecodedTx) -> Result<(), Rejection>;
}

impl Chain {
    /// Names who judges transactions live; the first one named stays.
    pub fn set_live_check(&self, check: Arc<dyn LiveCheck>) {
        // A second one is a mistake of the caller's that the first one outlives.
        let _ = self.live_check.set(check);
    }

    pub(super) fn judge(&self, tx: &DecodedTx) -> Result<(), Rejection> {
        self.live_check
            .get()
            .map_or(Ok(()), |check| check.judge(tx))
    }

    /// The transactions of a block, decoded: those that wait here were decoded, and judged, when they came, the others
    /// are by several threads.
    pub(super) fn decode(&self, block: &Block, live: bool) -> Result<Vec<DecodedTx>, BlockError> {
        let ids: Vec<Hash> = block.txs.iter().map(|tx| tx_id(tx)).collect();
        let known: Vec<Option<DecodedTx>> = {
            let inner = self.lock();
            ids.iter()
                .map(|id| inner.mempool.get(id).cloned())
                .collect()
        };
        let work: Vec<(usize, &Vec<u8>)> = block
            .txs
            .iter()
            .enumerate()
            .filter(|(index, _)| known[*index].is_none())
            .collect();
        let bytes: usize = work.iter().map(|(_, tx)| tx.len()).sum();
        let threads = match std::thread::available_parallelism() {
            Ok(threads) if bytes > PARALLEL_BYTES => threads.get().min(work.len()).max(1),
            _ => 1,
        };
        let one = |(index, tx): &(usize, &Vec<u8>)| {
            let decoded = DecodedTx::new(self.machine.as_ref(), Arc::new((*tx).clone()));
            let judged = decoded.and_then(|tx| {
                if live {
                    self.judge(&tx)?;
                }
                Ok(tx)
            });
            (*index, judged)
        };
        let new: Vec<(usize, Result<DecodedTx, Rejection>)> = if threads == 1 {
            work.iter().map(one).collect()
        } else {
            let share = work.len().div_ceil(threads);
            std::thread::scope(|scope| {
                let running: Vec<_> = work
                    .chunks(share)
                    .map(|chunk| scope.spawn(|| chunk.iter().map(one).collect::<Vec<_>>()))
                    .collect();
                running
                    .into_iter()
                    .flat_map(|thread| thread.join().expect("decoding does not panic"))
                    .collect()
            })
        };
        let mut decoded = known;
        for (index, outcome) in new {
            let tx = outcome.map_err(|rejection| BlockError::Transaction { index, rejection })?;
            decoded[index] = Some(tx);
        }
        Ok(decoded.into_iter().flatten().collect())
    }
}

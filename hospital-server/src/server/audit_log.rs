//! The audit log's writing end: entries are sealed, signed by the server, and committed on the private chain
//! before the action's result is released (DESIGN 5.3, write ahead). Committed means proved under a certified
//! header, sequence numbers included: one node's word releases no result.
//!
//! One task writes. Entries that wait together go into one transaction under one signature, and a few transactions
//! are under way at once, so load costs transactions in proportion to blocks, not to actions. A transaction is
//! durable in the outbox before it is submitted: after a crash it is submitted again. With it, durably, goes which of its actions are open: what a crash keeps from being closed is
//! entered as of unknown outcome at the next start.

mod bounds;
pub(crate) mod deed;
mod delivery;
pub(crate) mod index;
pub(crate) mod open;
pub(crate) mod ring;
#[cfg(test)]
mod testing;
mod writer;

pub use self::delivery::{ChainDelivery, Deliver, Delivered};
pub use self::writer::{AuditWriter, AuditWriterConfig, AuditWriterError};

use crate::clock::Clock;
use crate::database::{DatabaseFailure, blocking};
use bounds::{Counted, Pace};
use caduceus_crypto::Hash;
use deed::Deed;
use index::AuditIndex;
use open::{ActionRef, Closed};
use private_chain::{ActionClass, AuditEntry, Outcome};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How long an action is delayed when too many wait, or a bound of policy is reached, before it is refused.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where an entry was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Height of the private block.
    pub height: u64,
    /// Hash of that block.
    pub block_hash: Hash,
}

/// Why an action could not be logged, hence must not have a result.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The chain does not commit, or too many entries wait.
    #[error("the audit log cannot be written now: {detail}")]
    Unavailable {
        /// Why.
        detail: String,
    },
    /// A bound of policy is reached.
    #[error("{detail}")]
    Later {
        /// When to ask again, milliseconds from now.
        after_millis: u32,
        /// Which.
        detail: String,
    },
    /// The entry cannot be sealed, or the chain refuses it.
    #[error("the audit entry is not acceptable: {detail}")]
    Entry {
        /// Why.
        detail: String,
    },
}

impl LogError {
    fn unavailable(detail: impl ToString) -> Self {
        Self::Unavailable {
            detail: detail.to_string(),
        }
    }
}

/// An entry on its way to the writer.
struct Waiting {
    class: ActionClass,
    entry: AuditEntry,
    /// Its action is open until somebody closes it; says whether the entry is known to be in a block.
    opens: Option<Arc<AtomicBool>>,
    counted: Counted,
    /// Told when the entry is durable and will be on the chain.
    durable: oneshot::Sender<ActionRef>,
    done: oneshot::Sender<Result<Logged, LogError>>,
}

/// An action whose entry is durable, and on its way into a block.
pub(crate) struct Ahead {
    done: oneshot::Receiver<Result<Logged, LogError>>,
}

impl Ahead {
    /// Waits for the block.
    ///
    /// # Errors
    /// [`LogError`]: no result must be released.
    pub(crate) async fn committed(self) -> Result<Logged, LogError> {
        match self.done.await {
            Ok(outcome) => outcome,
            Err(_) => Err(LogError::unavailable("the server is stopping")),
        }
    }
}

/// Hands entries to the writer; clones share it.
#[derive(Clone)]
pub struct AuditLog {
    queue: mpsc::Sender<Waiting>,
    pace: Arc<Pace>,
    closed: Closed,
    index: AuditIndex,
    clock: Clock,
}

impl AuditLog {
    /// Has an entry logged of something that is over, and waits until it is in a committed block.
    ///
    /// # Errors
    /// [`LogError`].
    pub async fn record_entry(
        &self,
        class: ActionClass,
        entry: AuditEntry,
    ) -> Result<Logged, LogError> {
        let (_, ahead) = self.enqueue(class, entry, None).await?;
        ahead.committed().await
    }

    /// Has an action logged and waits until its entry is in a committed block. If it is allowed, it is open until
    /// its request is answered: see [`Deed::answered`].
    ///
    /// # Errors
    /// [`LogError`]: the action must be refused, and may be asked for again later.
    pub(crate) async fn record(&self, deed: Deed) -> Result<Logged, LogError> {
        self.record_ahead(deed).await?.committed().await
    }

    /// As [`AuditLog::record`], but waits only until the entry is durable and sure to be submitted.
    ///
    /// # Errors
    /// [`LogError`].
    pub(crate) async fn record_ahead(&self, deed: Deed) -> Result<Ahead, LogError> {
        let is_to_be_done = deed.entry.outcome == Outcome::Success;
        let opens = is_to_be_done.then(|| Arc::new(AtomicBool::new(false)));
        let (durable, ahead) = self.enqueue(deed.class, deed.entry, opens.clone()).await?;
        let Ok(action) = durable.await else {
            // It was refused before it was stored: the other end says why.
            return match ahead.committed().await {
                Err(error) => Err(error),
                Ok(_) => Err(LogError::unavailable("the writer is out of step")),
            };
        };
        if let Some(confirmed) = opens {
            let closed = self.closed.clone();
            // Whoever was told "later" because no block was seen has an entry all the same: the writer closes it.
            deed.answered.then(move || {
                if confirmed.load(Ordering::SeqCst) {
                    closed.add(action);
                }
            });
        }
        Ok(ahead)
    }

    async fn enqueue(
        &self,
        class: ActionClass,
        mut entry: AuditEntry,
        opens: Option<Arc<AtomicBool>>,
    ) -> Result<(oneshot::Receiver<ActionRef>, Ahead), LogError> {
        if let Err(error) = entry.check() {
            return Err(LogError::Entry {
                detail: error.to_string(),
            });
        }
        let counted = self.pace.admit(&mut entry, PATIENCE).await?;
        let (durable, stored) = oneshot::channel();
        let (done, answer) = oneshot::channel();
        let waiting = Waiting {
            class,
            entry,
            opens,
            counted,
            durable,
            done,
        };
        match self.queue.send_timeout(waiting, PATIENCE).await {
            Ok(()) => {}
            Err(mpsc::error::SendTimeoutError::Timeout(waiting)) => {
                self.pace.undo(&waiting.counted);
                return Err(LogError::unavailable("too many entries wait"));
            }
            Err(mpsc::error::SendTimeoutError::Closed(waiting)) => {
                self.pace.undo(&waiting.counted);
                return Err(LogError::unavailable("the server is stopping"));
            }
        }
        Ok((stored, Ahead { done: answer }))
    }

    /// Makes durable which actions are closed: for an orderly stop, after the last answer.
    ///
    /// # Errors
    /// [`DatabaseFailure`].
    pub async fn settle(&self) -> Result<(), DatabaseFailure> {
        let (index, closed) = (self.index.clone(), self.closed.take());
        if closed.is_empty() {
            return Ok(());
        }
        blocking(move || index.settle(&closed)).await
    }

    /// The time, as the log tells it.
    pub fn now(&self) -> caduceus_crypto::TimeMillis {
        (self.clock)()
    }
}

#[cfg(test)]
mod tests;

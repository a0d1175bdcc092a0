//! The audit log's writing end: entries are sealed, signed by the server, and committed on the private chain
//! before the action's result is released (DESIGN 5.3, write ahead). Committed means proved under a certified
//! header, sequence numbers included: one node's word neither releases a result nor overwrites an index row.
//!
//! One task writes. Entries that wait while a transaction is under way go into the next one together, so load
//! costs transactions in proportion to blocks, not to actions. A transaction is durable in the outbox before
//! it is submitted: after a crash it is submitted again, and the index misses nothing that is committed.

pub(crate) mod deed;
pub(crate) mod index;

use super::buckets::Buckets;
use super::stopped;
use crate::chain::{ChainClient, ChainError};
use crate::database::blocking;
use caduceus_crypto::{Hash, SecretKey};
use caduceus_ledger::tx_id;
use deed::Deed;
use index::{AuditIndex, StoredEntry};
use private_chain::tx::MAX_ENTRIES_PER_TX;
use private_chain::{AuditBatch, Bucket, DraftBatch, Tx, query};
use rand_core::OsRng;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::MissedTickBehavior;

/// Entries that may wait for the writer.
const MAX_WAITING: usize = 1024;

/// How long an action is delayed when that many wait, before it is refused.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often what is stuck in the outbox is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Where an entry was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Logged {
    /// Height of the private block.
    pub(crate) height: u64,
    /// Hash of that block.
    pub(crate) block_hash: Hash,
}

/// Why an action could not be logged, hence must not have a result.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LogError {
    /// The chain does not commit, or too many entries wait.
    #[error("the audit log cannot be written now: {detail}")]
    Unavailable {
        /// Why.
        detail: String,
    },
    /// The entry cannot be sealed.
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

struct Waiting {
    deed: Deed,
    done: oneshot::Sender<Result<Logged, LogError>>,
}

/// Hands entries to the writer; clones share it.
#[derive(Clone)]
pub(crate) struct AuditLog {
    queue: mpsc::Sender<Waiting>,
}

impl AuditLog {
    /// Has an action logged and waits until its entry is in a committed block.
    ///
    /// # Errors
    /// [`LogError`]: the action must be refused, and may be asked for again later.
    pub(crate) async fn record(&self, deed: Deed) -> Result<Logged, LogError> {
        let (done, answer) = oneshot::channel();
        let waiting = Waiting { deed, done };
        match self.queue.send_timeout(waiting, PATIENCE).await {
            Ok(()) => {}
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                return Err(LogError::unavailable("too many entries wait"));
            }
            Err(mpsc::error::SendTimeoutError::Closed(_)) => {
                return Err(LogError::unavailable("the server is stopping"));
            }
        }
        match answer.await {
            Ok(outcome) => outcome,
            Err(_) => Err(LogError::unavailable("the server is stopping")),
        }
    }
}

/// The writer's task.
pub(crate) struct Writer {
    pub(crate) chain: ChainClient,
    pub(crate) server: SecretKey,
    pub(crate) buckets: Arc<Buckets>,
    pub(crate) index: AuditIndex,
}

impl Writer {
    /// The log and the task that writes it.
    pub(crate) fn start(
        self,
        stop: watch::Receiver<bool>,
    ) -> (AuditLog, tokio::task::JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        (AuditLog { queue }, tokio::spawn(self.run(waiting, stop)))
    }

    async fn run(self, mut waiting: mpsc::Receiver<Waiting>, mut stop: watch::Receiver<bool>) {
        // Whether the outbox may hold something: always so after a start.
        let mut stuck = true;
        let mut tick = tokio::time::interval(RETRY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let first = tokio::select! {
                biased;
                () = stopped(&mut stop) => return,
                first = waiting.recv() => match first {
                    Some(first) => Some(first),
                    None => return,
                },
                _ = tick.tick(), if stuck => None,
            };
            if stuck {
                match self.drain().await {
                    Ok(()) => stuck = false,
                    Err(error) => {
                        tracing::warn!(%error, "the audit log's outbox waits");
                        if let Some(first) = first {
                            // Whoever waits gets the same answer: nothing is logged while the chain is away.
                            let _ = first.done.send(Err(error));
                        }
                        continue;
                    }
                }
            }
            let Some(first) = first else {
                continue;
            };
            let mut batch = vec![first];
            while batch.len() < MAX_ENTRIES_PER_TX {
                match waiting.try_recv() {
                    Ok(next) => batch.push(next),
                    Err(_) => break,
                }
            }
            stuck = !self.write(batch).await;
        }
    }

    /// Writes one transaction; false if it stays in the outbox.
    async fn write(&self, batch: Vec<Waiting>) -> bool {
        let mut draft = DraftBatch::new(&mut OsRng);
        let mut waiting = Vec::with_capacity(batch.len());
        for Waiting { deed, done } in batch {
            match self.seal(&mut draft, &deed) {
                Ok(()) => waiting.push(done),
                Err(error) => {
                    let _ = done.send(Err(error));
                }
            }
        }
        if draft.is_empty() {
            return true;
        }
        let batch = draft.sign(&self.chain.chain(), &self.server);
        let tx = Tx::audit(batch.clone()).encode();
        let outcome = self.commit(tx, batch).await;
        let kept = matches!(outcome, Err(LogError::Unavailable { .. }));
        for done in waiting {
            // A caller that stopped waiting is no error.
            let _ = done.send(outcome.clone());
        }
        !kept
    }

    fn seal(&self, draft: &mut DraftBatch, deed: &Deed) -> Result<(), LogError> {
        let month = private_chain::audit::month_of(deed.entry.time);
        let bucket = Bucket {
            class: deed.class,
            month,
        };
        let key = self.buckets.key(&bucket).map_err(LogError::unavailable)?;
        match draft.push(&key, deed.class, deed.entry.time, &deed.entry) {
            Ok(_) => Ok(()),
            Err(error) => Err(LogError::Entry {
                detail: error.to_string(),
            }),
        }
    }

    async fn commit(&self, tx: Vec<u8>, batch: AuditBatch) -> Result<Logged, LogError> {
        let id = tx_id(&tx);
        let (index, copy) = (self.index.clone(), tx.clone());
        blocking(move || index.send_out(&id, &copy))
            .await
            .map_err(LogError::unavailable)?;
        self.deliver(id, &tx, batch).await
    }

    /// Submits what is in the outbox and enters it in the index.
    async fn deliver(&self, id: Hash, tx: &[u8], batch: AuditBatch) -> Result<Logged, LogError> {
        let index = self.index.clone();
        let placed = match self.chain.submit(tx).await {
            Ok(placed) => placed,
            Err(ChainError::Rejected { rule, detail }) => {
                tracing::error!(%rule, %detail, "the private chain refuses audit entries");
                blocking(move || index.take_back(&id))
                    .await
                    .map_err(LogError::unavailable)?;
                return Err(LogError::Entry {
                    detail: format!("{rule}: {detail}"),
                });
            }
            Err(error) => return Err(LogError::unavailable(error)),
        };
        let receipt = query::audit_result(&placed.result).map_err(LogError::unavailable)?;
        let logged = Logged {
            height: placed.height,
            block_hash: placed.block_hash,
        };
        let stored: Vec<(u64, StoredEntry)> = (receipt.first..)
            .zip((0u32..).zip(batch.entries))
            .map(|(sequence, (index, sealed))| {
                let entry = StoredEntry {
                    height: logged.height,
                    block_hash: logged.block_hash,
                    tx: id,
                    batch: batch.id,
                    index,
                    sealed,
                };
                (sequence, entry)
            })
            .collect();
        blocking(move || index.enter(&id, stored))
            .await
            .map_err(LogError::unavailable)?;
        Ok(logged)
    }

    /// Submits again what a crash or an absent chain left in the outbox.
    async fn drain(&self) -> Result<(), LogError> {
        let index = self.index.clone();
        let left = blocking(move || index.outbox())
            .await
            .map_err(LogError::unavailable)?;
        for (id, tx) in left {
            let Ok(Tx::Audit(batch)) = Tx::decode(&tx) else {
                return Err(LogError::unavailable("the outbox is damaged"));
            };
            match self.deliver(id, &tx, batch).await {
                Ok(_) | Err(LogError::Entry { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

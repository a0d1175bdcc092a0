//! The task that writes: gathers what waits, seals and signs it, makes it durable, and has it committed.

mod recovery;

use super::bounds::{Pace, Remembered};
use super::delivery::Deliver;
use super::index::{AuditIndex, Outgoing};
use super::open::{ActionRef, Closed};
use super::ring::Ring;
use super::{AuditLog, LogError, Logged, Waiting};
use crate::clock::Clock;
use crate::database::{DatabaseFailure, blocking};
use crate::server::stopped;
use caduceus_crypto::{Hash, SecretKey, TimeMillis};
use caduceus_ledger::tx_id;
use private_chain::audit::{MAX_CIPHERTEXT_BYTES, PAD_BYTES, SecretBytes, month_of};
use private_chain::audit_log::KeyError;
use private_chain::policy::Limits;
use private_chain::tx::{BATCH_BYTES, MAX_ENTRIES_PER_TX};
use private_chain::{ActionClass, AuditEntry, Bucket, DraftBatch, Tx};
use rand_core::OsRng;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// Entries that may wait for the writer.
const MAX_WAITING: usize = 16 * 1024;

/// Transactions under way at once.
const MAX_IN_FLIGHT: usize = 4;

/// While a transaction is under way, others wait so long for company, unless so many wait already.
const LINGER: Duration = Duration::from_millis(4);
const COMPANY: usize = 256;

/// How often what is stuck in the outbox is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// What a writer needs.
pub struct AuditWriterConfig<D> {
    /// How transactions get onto the chain.
    pub delivery: D,
    /// The server key: signs the batches.
    pub server: SecretKey,
    /// The file of the outbox; belongs to one chain.
    pub outbox: PathBuf,
    /// The folder of bucket keys.
    pub buckets: PathBuf,
    /// Bounds of policy, as they are and as they change.
    pub limits: watch::Receiver<Option<Limits>>,
    /// The time.
    pub clock: Clock,
}

/// Why a writer does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditWriterError {
    /// The outbox cannot be used.
    #[error(transparent)]
    Outbox(#[from] DatabaseFailure),
    /// The bucket keys cannot be used.
    #[error(transparent)]
    Buckets(#[from] KeyError),
}

/// The writer's task, before it runs.
pub struct AuditWriter<D> {
    core: Arc<Core<D>>,
    limits: watch::Receiver<Option<Limits>>,
    counted: Vec<Remembered>,
    left: Vec<Hash>,
}

struct Core<D> {
    delivery: D,
    server: SecretKey,
    ring: Ring,
    index: AuditIndex,
    closed: Closed,
    clock: Clock,
}

/// What a running writer remembers.
struct State {
    /// Whether the outbox may hold something: always so after a start.
    stuck: bool,
    /// Whether what is left is of the last run.
    restarted: bool,
    /// Transactions whose open actions nobody will close: those of the last run, and those that were not seen in a
    /// block.
    left: Vec<Hash>,
    pace: Arc<Pace>,
    flying: JoinSet<Option<Hash>>,
    /// The first of the next batch, if it found no room in the one before.
    spare: Option<Waiting>,
}

impl<D: Deliver> AuditWriter<D> {
    /// Opens the files. Waits for the disk.
    ///
    /// # Errors
    /// [`AuditWriterError`].
    pub fn open(config: AuditWriterConfig<D>) -> Result<Self, AuditWriterError> {
        let index = AuditIndex::open(&config.outbox, config.delivery.chain())?;
        let ring = Ring::open(&config.buckets, &config.server)?;
        let parts = (config.delivery, config.server, config.clock);
        Ok(Self::with(parts, index, ring, config.limits)?)
    }

    /// With files that are open.
    pub(crate) fn with(
        (delivery, server, clock): (D, SecretKey, Clock),
        index: AuditIndex,
        ring: Ring,
        limits: watch::Receiver<Option<Limits>>,
    ) -> Result<Self, DatabaseFailure> {
        Ok(Self {
            counted: index.remembered()?,
            left: index.left_open()?.into_iter().map(|left| left.id).collect(),
            core: Arc::new(Core {
                delivery,
                server,
                ring,
                index,
                closed: Closed::default(),
                clock,
            }),
            limits,
        })
    }

    /// The log and the task that writes it, until `stop` says true or the log is dropped.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(self, stop: watch::Receiver<bool>) -> (AuditLog, tokio::task::JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        let core = self.core;
        let pace = Pace::new(self.limits, core.clock.clone(), self.counted);
        let pace = Arc::new(pace);
        let log = AuditLog {
            queue,
            pace: Arc::clone(&pace),
            closed: core.closed.clone(),
            index: core.index.clone(),
            clock: core.clock.clone(),
        };
        let state = State {
            stuck: true,
            restarted: true,
            left: self.left,
            pace,
            flying: JoinSet::new(),
            spare: None,
        };
        (log, tokio::spawn(core.run(state, waiting, stop)))
    }
}

impl<D: Deliver> Core<D> {
    async fn run(
        self: Arc<Self>,
        mut state: State,
        mut waiting: mpsc::Receiver<Waiting>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut tick = tokio::time::interval(RETRY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let flying = state.flying.len();
            let room = flying < MAX_IN_FLIGHT && !(state.stuck && flying > 0);
            let first = tokio::select! {
                biased;
                () = stopped(&mut stop) => return,
                Some(landed) = state.flying.join_next() => {
                    match landed {
                        Ok(None) => {}
                        Ok(Some(kept)) => {
                            state.stuck = true;
                            state.left.push(kept);
                        }
                        // A task that panicked has left its transaction in the outbox.
                        Err(_) => state.stuck = true,
                    }
                    continue;
                }
                first = next(&mut state.spare, &mut waiting), if room => match first {
                    Some(first) => Some(first),
                    None => break,
                },
                _ = tick.tick(), if state.stuck && flying == 0 => None,
            };
            if state.stuck {
                match self.recover(&mut state).await {
                    Ok(()) => state.stuck = false,
                    Err(error) => {
                        tracing::warn!(%error, "the audit log's outbox waits");
                        if let Some(first) = first {
                            // Whoever waits gets the same answer: nothing is logged while the chain is away.
                            state.pace.undo(&first.counted);
                            let _ = first.done.send(Err(error));
                        }
                        continue;
                    }
                }
            }
            let Some(first) = first else {
                continue;
            };
            if flying > 0 && waiting.len() < COMPANY {
                tokio::time::sleep(LINGER).await;
            }
            let batch = gather(first, &mut state.spare, &mut waiting);
            let (core, pace) = (Arc::clone(&self), Arc::clone(&state.pace));
            state
                .flying
                .spawn(async move { core.write(batch, &pace).await });
        }
        while state.flying.join_next().await.is_some() {}
    }

    /// Writes one transaction; gives it if it stays in the outbox.
    async fn write(self: Arc<Self>, batch: Vec<Waiting>, pace: &Pace) -> Option<Hash> {
        let logged = (self.clock)();
        let classes = batch.iter().map(|waiting| waiting.class).collect();
        let keys = self.keys(logged, classes).await;
        let core = Arc::clone(&self);
        let drafted = blocking(move || core.draft(logged, &keys, batch)).await;
        for (waiting, error) in drafted.refused {
            pace.undo(&waiting.counted);
            let _ = waiting.done.send(Err(error));
        }
        let Some(outgoing) = drafted.signed else {
            return None;
        };
        let id = outgoing.id;
        let mut answers = Vec::with_capacity(drafted.waiting.len());
        let outcome = match self.store(outgoing).await {
            Ok(tx) => {
                for (index, waiting) in (0u32..).zip(drafted.waiting) {
                    // A caller that stopped waiting is no error: its action stays open, and a restart says so.
                    let _ = waiting.durable.send(ActionRef { tx: id, index });
                    answers.push((waiting.counted, waiting.opens, waiting.done));
                }
                self.deliver(id, &tx).await
            }
            Err(error) => {
                let waiting = drafted.waiting.into_iter();
                answers.extend(waiting.map(|waiting| (waiting.counted, None, waiting.done)));
                Err(error)
            }
        };
        let kept = matches!(outcome, Err(LogError::Unavailable { .. }));
        for (counted, opens, done) in answers {
            match (&outcome, opens) {
                (Ok(_), Some(confirmed)) => confirmed.store(true, Ordering::SeqCst),
                (Err(LogError::Entry { .. }), _) => pace.undo(&counted),
                _ => {}
            }
            let _ = done.send(outcome.clone());
        }
        kept.then_some(id)
    }

    /// Seals and signs what waits.
    fn draft(&self, logged: TimeMillis, keys: &Keys, batch: Vec<Waiting>) -> Drafted {
        let mut draft = DraftBatch::new(&mut OsRng);
        let mut drafted = Drafted::default();
        let mut open = Vec::new();
        let mut counts: HashMap<(super::bounds::Slot, &str), u64> = HashMap::new();
        let mut kept = Vec::with_capacity(batch.len());
        for waiting in batch {
            match seal(&mut draft, logged, keys, waiting.class, &waiting.entry) {
                Ok(index) => {
                    if waiting.opens.is_some() {
                        open.push(index);
                    }
                    kept.push(waiting);
                }
                Err(error) => drafted.refused.push((waiting, error)),
            }
        }
        if draft.is_empty() {
            return drafted;
        }
        for waiting in &kept {
            for slot in &waiting.counted.slots {
                let key = (*slot, waiting.counted.action.as_str());
                *counts.entry(key).or_default() += 1;
            }
        }
        let counts = counts
            .into_iter()
            .map(|((slot, action), number)| (slot, action.to_owned(), number))
            .collect();
        drafted.signed = Some(self.sign(draft, open, counts));
        drafted.waiting = kept;
        drafted
    }

    fn sign(&self, draft: DraftBatch, open: Vec<u32>, counts: Vec<Remembered>) -> Outgoing {
        let batch = draft.sign(&self.delivery.chain(), &self.server);
        let tx = Tx::audit(batch).encode();
        Outgoing {
            id: tx_id(&tx),
            tx,
            open,
            counts,
            closed: Vec::new(),
        }
    }

    /// Keys to seal under, for entries of these classes that are logged now.
    async fn keys(&self, logged: TimeMillis, classes: BTreeSet<ActionClass>) -> Keys {
        let month = month_of(logged);
        let mut keys = Keys::new();
        for class in classes {
            let bucket = Bucket { class, month };
            keys.insert(class, self.ring.ready(&self.delivery, &bucket).await);
        }
        keys
    }

    /// Makes a transaction durable and has it committed.
    async fn commit(&self, outgoing: Outgoing) -> Result<Logged, LogError> {
        let id = outgoing.id;
        let tx = self.store(outgoing).await?;
        self.deliver(id, &tx).await
    }

    /// Makes a transaction durable, and what was closed before.
    async fn store(&self, mut outgoing: Outgoing) -> Result<Vec<u8>, LogError> {
        let (index, closed) = (self.index.clone(), self.closed.clone());
        let stored = blocking(move || {
            outgoing.closed.extend(closed.take());
            index.send_out(&outgoing).map(|()| outgoing.tx)
        });
        stored.await.map_err(LogError::unavailable)
    }

    /// Submits what is in the outbox.
    async fn deliver(&self, id: Hash, tx: &[u8]) -> Result<Logged, LogError> {
        let index = self.index.clone();
        let placed = match self.delivery.deliver(tx).await {
            Ok(placed) => placed,
            Err(error @ LogError::Entry { .. }) => {
                blocking(move || index.take_back(&id))
                    .await
                    .map_err(LogError::unavailable)?;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        let logged = Logged {
            height: placed.height,
            block_hash: placed.block_hash,
        };
        blocking(move || index.delivered(&id))
            .await
            .map_err(LogError::unavailable)?;
        Ok(logged)
    }
}

/// The keys of the present month's buckets, or why there is none.
type Keys = BTreeMap<ActionClass, Result<SecretBytes, LogError>>;

/// Seals an entry in the bucket of the month in which it is logged.
fn seal(
    draft: &mut DraftBatch,
    logged: TimeMillis,
    keys: &Keys,
    class: ActionClass,
    entry: &AuditEntry,
) -> Result<u32, LogError> {
    let key = match keys.get(&class) {
        Some(Ok(key)) => key,
        Some(Err(error)) => return Err(error.clone()),
        None => return Err(LogError::unavailable("no key of its bucket")),
    };
    draft
        .push(key, class, logged, entry)
        .map_err(|error| LogError::Entry {
            detail: error.to_string(),
        })
}

/// What waited, sealed.
#[derive(Default)]
struct Drafted {
    signed: Option<Outgoing>,
    waiting: Vec<Waiting>,
    refused: Vec<(Waiting, LogError)>,
}

async fn next(
    spare: &mut Option<Waiting>,
    waiting: &mut mpsc::Receiver<Waiting>,
) -> Option<Waiting> {
    match spare.take() {
        Some(first) => Some(first),
        None => waiting.recv().await,
    }
}

/// As many of those that wait as one transaction takes.
fn gather(
    first: Waiting,
    spare: &mut Option<Waiting>,
    waiting: &mut mpsc::Receiver<Waiting>,
) -> Vec<Waiting> {
    let mut bytes = sealed_bytes(&first.entry);
    let mut batch = vec![first];
    while batch.len() < MAX_ENTRIES_PER_TX {
        let Ok(next) = waiting.try_recv() else {
            break;
        };
        bytes += sealed_bytes(&next.entry);
        if bytes > BATCH_BYTES {
            *spare = Some(next);
            break;
        }
        batch.push(next);
    }
    batch
}

/// Bytes that an entry takes in a transaction.
fn sealed_bytes(entry: &AuditEntry) -> usize {
    const FRAME_BYTES: usize = 2 + 16 + 8;
    let length = borsh::object_length(entry).unwrap_or(MAX_CIPHERTEXT_BYTES);
    (length + FRAME_BYTES).next_multiple_of(PAD_BYTES) + FRAME_BYTES
}

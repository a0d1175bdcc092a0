//! After a start, or while the chain was away: what is in the outbox is submitted again, and what a crash left open
//! is closed by an entry that says so.

use super::{Core, State, seal};
use crate::database::blocking;
use crate::server::audit_log::delivery::Deliver;
use crate::server::audit_log::index::Left;
use crate::server::audit_log::open::ActionRef;
use crate::server::audit_log::{LogError, bounds::Pace};
use private_chain::audit::BatchKey;
use private_chain::{ActionClass, AuditBatch, AuditEntry, DraftBatch, Outcome, Tx};
use rand_core::OsRng;
use std::time::Duration;

/// What the closing entry says.
const STOPPED: &str = "the server stopped before it was known whether this was done";

/// The same, where the chain did not answer in time: the caller was told to ask again.
const UNSEEN: &str = "the chain was away: not known whether this was done";

/// Entries that close actions, in one transaction: of the largest size they fit.
const CLOSED_AT_ONCE: usize = 64;

/// An action that a crash left open.
struct Abandoned {
    action: ActionRef,
    class: ActionClass,
    entry: AuditEntry,
}

impl<D: Deliver> Core<D> {
    /// Submits again what is in the outbox, then closes what the last run left open.
    pub(super) async fn recover(&self, state: &mut State) -> Result<(), LogError> {
        let index = self.index.clone();
        let waiting = blocking(move || index.outbox())
            .await
            .map_err(LogError::unavailable)?;
        for (id, tx) in waiting {
            match self.deliver(id, &tx).await {
                Ok(_) | Err(LogError::Entry { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        while let Some(id) = state.left.last().copied() {
            let index = self.index.clone();
            let left = blocking(move || index.left(&id))
                .await
                .map_err(LogError::unavailable)?;
            if let Some(left) = left {
                let reason = if state.restarted { STOPPED } else { UNSEEN };
                self.close_left(&left, reason, &state.pace).await?;
            }
            state.left.pop();
        }
        state.restarted = false;
        Ok(())
    }

    async fn close_left(&self, left: &Left, reason: &str, pace: &Pace) -> Result<(), LogError> {
        let abandoned = self.abandoned(left).await?;
        let mut unknown = Vec::new();
        for found in abandoned {
            if self.is_done(&found.entry).await? {
                self.closed.add(found.action);
            } else {
                unknown.push(found);
            }
        }
        for batch in unknown.chunks(CLOSED_AT_ONCE) {
            self.close(batch, reason, pace).await?;
        }
        let (index, closed) = (self.index.clone(), self.closed.clone());
        blocking(move || index.settle(&closed.take()))
            .await
            .map_err(LogError::unavailable)
    }

    /// The open entries of a transaction, in clear. Those whose bucket was retired are forgotten with it.
    async fn abandoned(&self, left: &Left) -> Result<Vec<Abandoned>, LogError> {
        let batch = decoded(&left.tx)?;
        let mut found = Vec::with_capacity(left.open.len());
        for index in &left.open {
            let action = ActionRef {
                tx: left.id,
                index: *index,
            };
            let sealed = usize::try_from(*index)
                .ok()
                .and_then(|at| batch.entries.get(at))
                .ok_or_else(|| LogError::unavailable("the outbox is damaged"))?;
            let key = self.ring.find(&self.delivery, &sealed.bucket()).await?;
            let Some(key) = key else {
                self.closed.add(action);
                continue;
            };
            let entry = BatchKey::derive(&key, sealed.bucket(), &batch.id)
                .open(*index, sealed)
                .map_err(LogError::unavailable)?;
            found.push(Abandoned {
                action,
                class: sealed.class,
                entry,
            });
        }
        Ok(found)
    }

    /// Whether the chain itself proves that the action was done: an upload whose record is anchored.
    async fn is_done(&self, entry: &AuditEntry) -> Result<bool, LogError> {
        match entry.record() {
            Some(record) if matches!(&*entry.subtype, "upload" | "amend") => {
                self.delivery.is_anchored(record).await
            }
            _ => Ok(false),
        }
    }

    /// Appends an entry for each, and closes them in the same write that makes these durable.
    async fn close(
        &self,
        abandoned: &[Abandoned],
        reason: &str,
        pace: &Pace,
    ) -> Result<(), LogError> {
        let mut draft = DraftBatch::new(&mut OsRng);
        let logged = (self.clock)();
        let classes = abandoned.iter().map(|found| found.class).collect();
        let keys = self.keys(logged, classes).await;
        let mut counts = Vec::new();
        for found in abandoned {
            let mut entry = AuditEntry {
                time: logged,
                outcome: Outcome::Unknown,
                reason: reason.into(),
                // She signed the first entry, at its time.
                statement: None,
                ..found.entry.clone()
            };
            let counted = pace.admit(&mut entry, Duration::ZERO).await?;
            let slots = counted.slots.into_iter();
            counts.extend(slots.map(|slot| (slot, counted.action.clone(), 1)));
            seal(&mut draft, logged, &keys, found.class, &entry)?;
        }
        let mut outgoing = self.sign(draft, Vec::new(), counts);
        outgoing.closed = abandoned.iter().map(|found| found.action).collect();
        tracing::info!(
            actions = abandoned.len(),
            "entering actions that the last run left open"
        );
        self.commit(outgoing).await.map(|_| ())
    }
}

fn decoded(tx: &[u8]) -> Result<AuditBatch, LogError> {
    match Tx::decode(tx) {
        Ok(Tx::Audit(batch)) => Ok(batch),
        _ => Err(LogError::unavailable("the outbox is damaged")),
    }
}

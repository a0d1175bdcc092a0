//! What waits for a block: admitted on the state as it would be after all that waits, checked again after blocks.

use super::outcome::{Offer, Outcome, SubmitError};
use super::read::committed;
use super::{Chain, Inner};
use crate::mempool::{RECHECK_BYTES, Room, Taken};
use crate::stages::Stage;
use crate::store::{Snapshot, StoreError};
use caduceus_crypto::Hash;
use caduceus_ledger::{
    Address, DecodedTx, Header, Height, Layer, Overlay, Rejection, TxFailure, Writes, apply,
    block::MAX_TX_BYTES,
};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// Blocks after which the state ahead is made anew in any case: it may hold what ends with a block.
const MAX_AHEAD_BLOCKS: u64 = 32;
/// Rows of the state ahead at which it is made anew.
const MAX_AHEAD_ROWS: usize = 1 << 19;

/// The state as it would be after all that waits. It may hold what is committed already, and says the same then.
pub(super) struct Ahead {
    writes: Writes,
    /// Height of the block on which it was made anew.
    on: Height,
}

impl Ahead {
    /// Of nothing that waits, on the block of this height.
    pub(super) fn of(on: Height) -> Self {
        Self {
            writes: Writes::new(),
            on,
        }
    }
}

/// What the submitter of a transaction hears that made room for others. Another node may still commit it.
fn made_room() -> Rejection {
    Rejection {
        rule: "made_room",
        detail: "too many transactions wait, and the member that pays for this one is in debt"
            .to_owned(),
    }
}

impl Chain {
    /// Number of waiting transactions that are a reason to make a block. Those that are refused for now are none: what
    /// lets them pass comes in itself. Before what waits was checked again nobody knows, and all count.
    pub fn waiting(&self) -> usize {
        self.lock().waiting()
    }

    /// Number of all waiting transactions.
    pub fn pooled(&self) -> usize {
        self.lock().mempool.len()
    }

    /// Completes when a transaction comes in (or has since the last call).
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Wakes the engine if transactions wait that are a reason to make a block. Called once they were handed to the
    /// other validators too.
    pub fn wake(&self) {
        if self.waiting() > 0 {
            self.wake.notify_one();
        }
    }

    /// Checks a transaction and lets it wait for a block. A transaction that is already committed is reported
    /// as such: submitting twice is harmless.
    ///
    /// # Errors
    /// [`SubmitError`] names the reason.
    pub fn offer(&self, tx: Vec<u8>) -> Result<Offer, SubmitError> {
        if tx.len() > MAX_TX_BYTES {
            return Err(SubmitError::TooLarge {
                limit: MAX_TX_BYTES,
                found: tx.len(),
            });
        }
        let begun = Instant::now();
        let tx = DecodedTx::new(self.machine.as_ref(), Arc::new(tx))?;
        let id = tx.id();
        let snapshot = self.store.snapshot()?;
        if let Some(committed) = committed(&snapshot, &id)? {
            return Ok(Offer {
                id,
                new: false,
                outcome: Outcome::Committed(committed),
            });
        }
        drop(snapshot);
        self.judge(&tx)?;
        // Registered first: the block may come while the transaction is being checked.
        let (sender, receiver) = oneshot::channel();
        self.lock().waiters.entry(id).or_default().push(sender);
        let admitted = self.admit(tx);
        self.stages.ran(Stage::Check, begun);
        match admitted {
            Ok(true) => Ok(Offer {
                id,
                new: true,
                outcome: Outcome::Waiting(receiver),
            }),
            Ok(false) => {
                // It waits, or its block came before our place in the queue did.
                let outcome = match committed(&self.store.snapshot()?, &id)? {
                    Some(committed) => Outcome::Committed(committed),
                    None => Outcome::Waiting(receiver),
                };
                Ok(Offer {
                    id,
                    new: false,
                    outcome,
                })
            }
            Err(error) => {
                drop(receiver);
                let mut inner = self.lock();
                if inner
                    .waiters
                    .get(&id)
                    .is_some_and(|waiters| waiters.iter().all(oneshot::Sender::is_closed))
                {
                    inner.waiters.remove(&id);
                }
                Err(error)
            }
        }
    }

    /// Checks a transaction without holding the lock that proposing and voting need: a stranger's costly
    /// transaction delays other strangers at the most.
    fn admit(&self, tx: DecodedTx) -> Result<bool, SubmitError> {
        let mut ahead = self.ahead.lock().expect("no holder of this lock panics");
        let (mut tip, stale) = {
            let inner = self.lock();
            if inner.mempool.get(&tx.id()).is_some() {
                return Ok(false);
            }
            (inner.tip.clone(), inner.stale)
        };
        if stale {
            self.recheck(&mut ahead)?;
        }
        let snapshot = self.store.snapshot()?;
        let class = self
            .machine
            .class(&tx, &Layer::new(&snapshot, &ahead.writes))?;
        match self.lock().mempool.room(&tx.id(), class, tx.bytes().len()) {
            Room::Known => return Ok(false),
            Room::None => return Err(SubmitError::Full),
            Room::Some => {}
        }
        let mut outcome = self.apply_ahead(&tx, &tip, &snapshot, &mut ahead);
        if ahead.on < tip.height && outcome.as_ref().is_err_and(|why| self.may_pass(why)) {
            // By what ended with a block, perhaps: then it would count as no reason to make the next.
            self.recheck(&mut ahead)?;
            tip = self.tip();
            let snapshot = self.store.snapshot()?;
            outcome = self.apply_ahead(&tx, &tip, &snapshot, &mut ahead);
        }
        let refused_for_now = match outcome {
            Ok(_) => false,
            // One that a transient rule refuses now is taken as well: its turn may come.
            Err(ref failure) if self.may_pass(failure) => true,
            // Committed meanwhile: the waiter hears of the block.
            Err(TxFailure::Rejected(rejection)) if rejection.rule == "already_committed" => {
                return Ok(false);
            }
            Err(TxFailure::Rejected(rejection)) => return Err(rejection.into()),
            Err(TxFailure::State(error)) => return Err(error.into()),
        };
        let mut inner = self.lock();
        match inner.mempool.push(tx, class, refused_for_now) {
            Taken::In(gone) => {
                // What they would change is in the state ahead; and a block that came meanwhile may have lifted the
                // refusal.
                inner.stale |=
                    !gone.is_empty() || (refused_for_now && inner.tip.height > tip.height);
                let gone = gone.into_iter().map(|id| (id, made_room())).collect();
                self.refuse(&mut inner, gone);
                Ok(true)
            }
            Taken::Full => Err(SubmitError::Full),
        }
    }

    fn may_pass(&self, failure: &TxFailure) -> bool {
        matches!(failure, TxFailure::Rejected(why) if self.machine.is_transient(why.rule))
    }

    fn apply_ahead(
        &self,
        tx: &DecodedTx,
        tip: &Header,
        snapshot: &Snapshot,
        ahead: &mut Ahead,
    ) -> Result<Vec<u8>, TxFailure> {
        let mut state = Overlay::with(snapshot, std::mem::take(&mut ahead.writes));
        let ctx = self.next_context(tip, Address::default());
        let outcome = apply(self.machine.as_ref(), &ctx, 0, tx, &mut state);
        ahead.writes = state.into_writes();
        outcome
    }

    /// Checks again what waits, on the newest state: drops what no longer holds, and makes `ahead` anew. What comes
    /// after the first bytes is checked when its turn comes.
    fn recheck(&self, ahead: &mut Ahead) -> Result<(), StoreError> {
        let outcome = self.try_recheck(ahead);
        if outcome.is_err() {
            self.lock().stale = true;
        }
        outcome
    }

    fn try_recheck(&self, ahead: &mut Ahead) -> Result<(), StoreError> {
        let (recheck, tip, idle) = {
            let mut inner = self.lock();
            inner.stale = false;
            let recheck = inner.mempool.recheck(RECHECK_BYTES);
            (recheck, inner.tip.clone(), inner.waiting() == 0)
        };
        let snapshot = self.store.snapshot()?;
        let ctx = self.next_context(&tip, Address::default());
        let mut state = Overlay::new(&snapshot);
        let checked = recheck.run(self.machine.as_ref(), &ctx, &snapshot, &mut state)?;
        *ahead = Ahead {
            writes: state.into_writes(),
            on: tip.height,
        };
        let mut inner = self.lock();
        let dropped = inner.mempool.checked(checked);
        self.refuse(&mut inner, dropped);
        if idle && inner.waiting() > 0 {
            // What was refused is so no longer: nobody else says it.
            self.wake.notify_one();
        }
        Ok(())
    }

    /// After a block: makes `ahead` anew where it is no longer right, or has grown.
    pub(super) fn tidy(&self) -> Result<(), StoreError> {
        // Whoever checks a transaction now is not held up for this, nor this for them: what is stale stays so until the
        // next transaction or block comes.
        let Ok(mut ahead) = self.ahead.try_lock() else {
            return Ok(());
        };
        let (stale, empty, tip) = {
            let inner = self.lock();
            (inner.stale, inner.mempool.is_empty(), inner.tip.height)
        };
        let blocks = tip.0.saturating_sub(ahead.on.0);
        let grown = blocks > MAX_AHEAD_BLOCKS || ahead.writes.len() > MAX_AHEAD_ROWS;
        if stale || (!ahead.writes.is_empty() && (empty || grown)) {
            self.recheck(&mut ahead)?;
        }
        Ok(())
    }

    pub(super) fn refuse(&self, inner: &mut Inner, refused: Vec<(Hash, Rejection)>) {
        inner.mempool.remove(refused.iter().map(|(id, _)| id));
        for (id, rejection) in refused {
            for waiter in inner.waiters.remove(&id).unwrap_or_default() {
                // A caller that stopped waiting is no error.
                let _ = waiter.send(Err(rejection.clone()));
            }
        }
    }
}

impl Inner {
    fn waiting(&self) -> usize {
        if self.stale {
            self.mempool.len()
        } else {
            self.mempool.ready()
        }
    }
}

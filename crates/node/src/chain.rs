//! One chain as a node runs it, whatever the engine: propose, validate, commit, submit, prove.

use crate::mempool::{Mempool, Peek};
use crate::node::Clock;
use crate::pending::Pending;
use crate::store::{Snapshot, Store, StoreError};
use caduceus_crypto::{Hash, TimeMillis};
use caduceus_ledger::{
    Address, Block, BlockContext, BlockError, Certificate, ChainId, Executed, Genesis, Header,
    Height, Layer, Overlay, Rejection, StateError, StateMachine, TxFailure, ValidatorSet, apply,
    block::MAX_TX_BYTES, build, genesis_state, replay, tx_id,
};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{Notify, oneshot, watch};

mod outcome;
mod read;

pub use self::outcome::{CommitError, Committed, Offer, Outcome, SubmitError};
use self::read::committed;

/// Drift allowed between a fresh proposal's time and the own clock.
const MAX_DRIFT_MILLIS: u64 = 10_000;

/// Executed proposals of one height kept in memory.
const MAX_EXECUTED: usize = 8;

type Waiter = oneshot::Sender<Result<Committed, Rejection>>;

struct Inner {
    tip: Header,
    next_validators: ValidatorSet,
    mempool: Mempool,
    executed: HashMap<Hash, (Block, Executed)>,
    waiters: BTreeMap<Hash, Vec<Waiter>>,
}

/// One chain: rules, store, waiting transactions.
pub struct Chain<M> {
    machine: M,
    genesis: Genesis,
    id: ChainId,
    store: Store,
    pending: Pending,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
    tip: watch::Sender<Header>,
    wake: Notify,
}

impl<M: StateMachine> Chain<M> {
    /// Opens the chain in a folder; writes the genesis state if the folder is new.
    ///
    /// # Errors
    /// [`StoreError::OtherChain`] when the folder holds another chain; other variants when it cannot be read.
    pub fn open(
        home: &Path,
        genesis: Genesis,
        machine: M,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let id = genesis.chain_id();
        let store = Store::open(&home.join("chain.redb"))?;
        let encoded = caduceus_crypto::codec::encode(&genesis);
        let snapshot = store.snapshot()?;
        match snapshot.genesis()? {
            None => {
                let executed = genesis_state(&machine, &genesis, &snapshot, &snapshot)?;
                store.init(&encoded, &executed)?;
            }
            Some(found) if found == encoded => {
                if store.lacks_index() {
                    tracing::warn!("the index is not the chain's: executing the chain to make it");
                    crate::validate::rebuild_index(&store, &genesis, &machine)?;
                }
            }
            Some(found) => {
                let found = borsh::from_slice::<Genesis>(&found)
                    .map_or_else(|_| "unknown".to_owned(), |g| g.chain_id().to_string());
                return Err(StoreError::OtherChain {
                    expected: id.to_string(),
                    found,
                });
            }
        }
        let tip = store.snapshot()?.tip()?.ok_or(StoreError::Damaged {
            height: 0,
            what: "tip",
        })?;
        let pending = Pending::open(&home.join("pending"), tip.header.height)?;
        Ok(Self {
            machine,
            id,
            genesis,
            store,
            pending,
            clock,
            tip: watch::Sender::new(tip.header.clone()),
            inner: Mutex::new(Inner {
                tip: tip.header,
                next_validators: tip.next_validators,
                mempool: Mempool::default(),
                executed: HashMap::new(),
                waiters: BTreeMap::new(),
            }),
            wake: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no holder of this lock panics")
    }

    /// The chain identifier.
    pub fn id(&self) -> ChainId {
        self.id
    }

    /// The genesis.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The rules.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The node's clock.
    pub fn now(&self) -> TimeMillis {
        self.clock.now()
    }

    /// Header of the last committed block.
    pub fn tip(&self) -> Header {
        self.lock().tip.clone()
    }

    /// Voters of the next height.
    pub fn next_validators(&self) -> ValidatorSet {
        self.lock().next_validators.clone()
    }

    /// Follows the tip.
    pub fn watch_tip(&self) -> watch::Receiver<Header> {
        self.tip.subscribe()
    }

    /// Number of waiting transactions.
    pub fn waiting(&self) -> usize {
        self.lock().mempool.len()
    }

    /// Completes when a transaction comes in (or has since the last call).
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// A consistent read view of the committed state.
    ///
    /// # Errors
    /// When the database fails.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.store.snapshot()
    }

    fn next_context(&self, tip: &Header, proposer: Address) -> BlockContext {
        BlockContext {
            chain: self.id,
            height: tip.height.next(),
            time: self.next_time(tip),
            proposer,
        }
    }

    fn next_time(&self, tip: &Header) -> TimeMillis {
        TimeMillis(self.clock.now().0.max(tip.time.0 + 1))
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
        let id = tx_id(&tx);
        let snapshot = self.store.snapshot()?;
        if let Some(committed) = committed(&snapshot, &id)? {
            return Ok(Offer {
                id,
                new: false,
                outcome: Outcome::Committed(committed),
            });
        }
        drop(snapshot);
        // Registered first: the block may come while the transaction is being checked.
        let (sender, receiver) = oneshot::channel();
        self.lock().waiters.entry(id).or_default().push(sender);
        match self.admit(id, tx) {
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
    fn admit(&self, id: Hash, mut tx: Vec<u8>) -> Result<bool, SubmitError> {
        loop {
            let (tip, peek) = {
                let inner = self.lock();
                (inner.tip.clone(), inner.mempool.peek(&id, tx.len()))
            };
            let standing = match peek {
                Peek::Known => return Ok(false),
                Peek::Full => return Err(SubmitError::Full),
                Peek::Check(standing) => standing,
            };
            let snapshot = self.store.snapshot()?;
            let base = Layer::new(&snapshot, &standing.ahead);
            let mut state = Overlay::new(&base);
            let ctx = self.next_context(&tip, Address::default());
            match apply(&self.machine, &ctx, 0, &tx, &mut state) {
                // One that a transient rule refuses now is taken as well: its turn may come.
                Err(TxFailure::Rejected(rejection))
                    if !self.machine.is_transient(rejection.rule) =>
                {
                    // Committed meanwhile: the waiter hears of the block.
                    if rejection.rule == "already_committed" {
                        return Ok(false);
                    }
                    return Err(rejection.into());
                }
                Err(TxFailure::State(error)) => return Err(error.into()),
                _ => {}
            }
            let writes = state.into_writes();
            match self.lock().mempool.take(&standing, id, tx, writes) {
                Ok(()) => return Ok(true),
                // A block or another transaction came first: check again on top of it.
                Err(back) => tx = back,
            }
        }
    }

    /// Wakes the engine: transactions wait. Called once they were handed to the other validators too.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Makes the own proposal of a round, durable before it returns; the same one if asked again.
    ///
    /// # Errors
    /// When the store fails.
    pub fn propose(&self, round: u32, proposer: Address) -> Result<Block, StoreError> {
        let mut inner = self.lock();
        let height = inner.tip.height.next();
        if let Some(block) = self.pending.own(height, round) {
            return Ok(block);
        }
        let limit = self.genesis.kind.max_block_bytes();
        let snapshot = self.store.snapshot()?;
        let (block, executed, mut refused) = build(
            &self.machine,
            &snapshot,
            &snapshot,
            &inner.tip,
            self.next_time(&inner.tip),
            proposer,
            inner.mempool.candidates(limit),
            limit,
        )?;
        refused.retain(|(_, rejection)| !self.machine.is_transient(rejection.rule));
        self.refuse(&mut inner, refused);
        self.pending.put_own(round, &block)?;
        inner
            .executed
            .insert(block.hash(), (block.clone(), executed));
        Ok(block)
    }

    fn refuse(&self, inner: &mut Inner, refused: Vec<(Hash, Rejection)>) {
        inner.mempool.remove(refused.iter().map(|(id, _)| id));
        for (id, rejection) in refused {
            for waiter in inner.waiters.remove(&id).unwrap_or_default() {
                // A caller that stopped waiting is no error.
                let _ = waiter.send(Err(rejection.clone()));
            }
        }
    }

    /// Makes a block that somebody proposed durable, without judging it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep(&self, block: &Block) -> Result<(), StoreError> {
        self.pending.put(block)
    }

    /// Executes a proposed block of the next height. With `live`, its time must not be ahead of the own clock by
    /// more than the drift; a synced block was judged by others at its time. A re-proposal is live too: by then
    /// its time has only come nearer.
    ///
    /// # Errors
    /// [`BlockError`] names the rule broken.
    pub fn validate(&self, block: &Block, live: bool) -> Result<(), BlockError> {
        let limit = TimeMillis(self.clock.now().0 + MAX_DRIFT_MILLIS);
        if live && block.header.time > limit {
            return Err(BlockError::TimeAhead {
                limit,
                found: block.header.time,
            });
        }
        let mut inner = self.lock();
        if inner.executed.contains_key(&block.hash()) {
            return Ok(());
        }
        if inner.executed.len() >= MAX_EXECUTED {
            // What is decided after all is executed again from its file.
            inner.executed.clear();
        }
        let snapshot = self
            .store
            .snapshot()
            .map_err(|e| StateError(e.to_string()))?;
        let limit = self.genesis.kind.max_block_bytes();
        let executed = replay(
            &self.machine,
            &snapshot,
            &snapshot,
            &inner.tip,
            block,
            limit,
        )?;
        inner
            .executed
            .insert(block.hash(), (block.clone(), executed));
        Ok(())
    }

    /// A block not committed yet: executed in memory, or on disk.
    pub fn pending(&self, height: Height, id: &Hash) -> Option<Block> {
        if let Some((block, _)) = self.lock().executed.get(id) {
            return Some(block.clone());
        }
        self.pending.get(height, id)
    }

    /// Commits the decided block of the next height; harmless if it is committed already.
    ///
    /// # Errors
    /// When the block is unknown, does not execute, or cannot be written: the engine must stop.
    pub fn commit(&self, certificate: &Certificate) -> Result<Header, CommitError> {
        let tip = self.tip();
        if certificate.height <= tip.height {
            let stored = self.store.snapshot()?.block_hash(certificate.height)?;
            return match stored {
                Some(hash) if hash == certificate.block => Ok(tip),
                _ => Err(CommitError::Conflict {
                    height: certificate.height,
                }),
            };
        }
        let block =
            self.pending(certificate.height, &certificate.block)
                .ok_or(CommitError::Missing {
                    height: certificate.height,
                    block: certificate.block,
                })?;
        self.validate(&block, false)?;
        let mut inner = self.lock();
        let (block, executed) =
            inner
                .executed
                .remove(&certificate.block)
                .ok_or(CommitError::Missing {
                    height: certificate.height,
                    block: certificate.block,
                })?;
        self.store.commit(&block, certificate, &executed)?;
        inner.executed.clear();
        inner.tip = executed.header.clone();
        inner.next_validators = executed.next_validators;
        let ids: Vec<Hash> = block.txs.iter().map(|tx| tx_id(tx)).collect();
        inner.mempool.remove(&ids);
        for (index, (id, result)) in ids.iter().zip(executed.results).enumerate() {
            for waiter in inner.waiters.remove(id).unwrap_or_default() {
                // A caller that stopped waiting is no error.
                let _ = waiter.send(Ok(Committed {
                    height: executed.header.height,
                    index: index as u32,
                    block: certificate.block,
                    result: result.clone(),
                }));
            }
        }
        inner
            .waiters
            .retain(|_, waiters| waiters.iter().any(|w| !w.is_closed()));
        // The height is durable: trouble from here on is no reason to stop.
        match self.recheck(&mut inner) {
            Ok(dropped) => self.refuse(&mut inner, dropped),
            Err(error) => tracing::warn!(%error, "waiting transactions could not be checked again"),
        }
        if !inner.mempool.is_empty() {
            self.wake.notify_one();
        }
        drop(inner);
        if let Err(error) = self.pending.clear(executed.header.height) {
            tracing::warn!(%error, "old proposals could not be removed");
        }
        self.tip.send_replace(executed.header.clone());
        Ok(executed.header)
    }

    fn recheck(&self, inner: &mut Inner) -> Result<Vec<(Hash, Rejection)>, SubmitError> {
        let snapshot = self.store.snapshot()?;
        let ctx = self.next_context(&inner.tip, Address::default());
        Ok(inner.mempool.recheck(&self.machine, &ctx, &snapshot)?)
    }
}

//! One chain as a node runs it, whatever the engine: propose, validate, commit, submit, prove.

use crate::mempool::Mempool;
use crate::node::Clock;
use crate::pending::Pending;
use crate::stages::{Stage, Stages};
use crate::statesync::{Cut, Maker};
use crate::store::{Snapshot, Store, StoreError};
use caduceus_crypto::{Hash, TimeMillis};
use caduceus_ledger::{
    Address, Block, BlockContext, BlockError, Certificate, ChainId, Executed, Genesis, Header,
    Height, Rejection, SignedSeal, StateError, StateMachine, ValidatorSet, build, genesis_state,
    replay_decoded, tx_id,
};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot, watch};

mod admit;
mod live;
mod outcome;
mod read;

use self::admit::Ahead;
pub use self::live::LiveCheck;
pub use self::outcome::{CommitError, Committed, Offer, Outcome, SubmitError};

/// Drift allowed between a fresh proposal's time and the own clock.
const MAX_DRIFT_MILLIS: u64 = 10_000;

/// Executed proposals of one height kept in memory.
const MAX_EXECUTED: usize = 8;

type Waiter = oneshot::Sender<Result<Committed, Rejection>>;

struct Inner {
    tip: Header,
    next_validators: ValidatorSet,
    mempool: Mempool,
    executed: HashMap<Hash, (Arc<Block>, Executed)>,
    /// When each block of the next height was known here, executed.
    known: HashMap<Hash, Instant>,
    waiters: BTreeMap<Hash, Vec<Waiter>>,
    /// What waits is no longer what [`Chain::ahead`] was made of: it is to be checked again.
    stale: bool,
}

/// One chain: rules, store, waiting transactions.
pub struct Chain {
    machine: Arc<dyn StateMachine>,
    genesis: Genesis,
    id: ChainId,
    store: Store,
    pending: Pending,
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
    /// Locked before `inner`, and for as long as a transaction is checked: one at a time.
    ahead: Mutex<Ahead>,
    tip: watch::Sender<Header>,
    /// See [`Chain::newest_begun`].
    begun: AtomicU64,
    wake: Notify,
    stages: Stages,
    maker: OnceLock<Maker>,
    live_check: OnceLock<Arc<dyn LiveCheck>>,
}

/// How long a starting node waits for a store that another process has open: what shows a node at rest, such as
/// `status` and `inspect`, has it for moments.
const WAIT_FOR_STORE: Duration = Duration::from_secs(3);

fn open_when_free(path: &Path) -> Result<Store, StoreError> {
    let begun = Instant::now();
    loop {
        match Store::open(path) {
            Err(error) if error.is_in_use() && begun.elapsed() < WAIT_FOR_STORE => {
                std::thread::sleep(Duration::from_millis(50));
            }
            opened => return opened,
        }
    }
}

impl Chain {
    /// Opens the chain in a folder; writes the genesis state if the folder is new.
    ///
    /// # Errors
    /// [`StoreError::OtherChain`] when the folder holds another chain; other variants when it cannot be read.
    pub fn open(
        home: &Path,
        genesis: Genesis,
        machine: Arc<dyn StateMachine>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let id = genesis.chain_id();
        let store = open_when_free(&home.join("chain.redb"))?;
        let encoded = caduceus_crypto::codec::encode(&genesis);
        let snapshot = store.snapshot()?;
        match snapshot.genesis()? {
            None => {
                let executed = genesis_state(machine.as_ref(), &genesis, &snapshot, &snapshot)?;
                store.init(&encoded, &executed)?;
            }
            Some(found) if found == encoded => {
                if store.lacks_index() {
                    tracing::warn!("the index is not the chain's: executing the chain to make it");
                    crate::validate::rebuild_index(&store, &genesis, machine.as_ref())?;
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
        let room = genesis.kind.max_block_bytes();
        let pending = Pending::open(&home.join("pending"), tip.header.height)?;
        Ok(Self {
            machine,
            id,
            genesis,
            store,
            pending,
            clock,
            tip: watch::Sender::new(tip.header.clone()),
            begun: AtomicU64::new(tip.header.height.0),
            ahead: Mutex::new(Ahead::of(tip.header.height)),
            inner: Mutex::new(Inner {
                tip: tip.header,
                next_validators: tip.next_validators,
                mempool: Mempool::new(room),
                executed: HashMap::new(),
                known: HashMap::new(),
                waiters: BTreeMap::new(),
                stale: false,
            }),
            wake: Notify::new(),
            stages: Stages::default(),
            maker: OnceLock::new(),
            live_check: OnceLock::new(),
        })
    }

    /// Names who makes snapshots; the first one named stays.
    pub(crate) fn set_maker(&self, maker: Maker) {
        if self.maker.set(maker).is_err() {
            tracing::error!("a chain has one maker of snapshots");
        }
    }

    /// Hands the state that was just committed to whoever makes snapshots, if one is due. The caller holds the lock, so
    /// that no later height is in it.
    fn cut(&self, header: &Header, voters: &ValidatorSet) {
        let Some(maker) = self.maker.get().filter(|maker| maker.due(header.height)) else {
            return;
        };
        match self.store.snapshot() {
            Ok(view) => maker.hand(Cut {
                view,
                voters: voters.clone(),
            }),
            Err(error) => tracing::warn!(%error, "a snapshot is left out"),
        }
    }

    /// Removes some of the blocks below a height; true if there are more.
    pub(crate) fn prune_step(&self, below: u64) -> Result<bool, StoreError> {
        self.store.prune_step(below)
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

    /// The node's clock.
    pub fn now(&self) -> TimeMillis {
        self.clock.now()
    }

    /// Header of the last committed block.
    pub fn tip(&self) -> Header {
        self.lock().tip.clone()
    }

    /// The newest height that is committed, or is being committed now. Unlike [`Chain::tip`] it waits for nobody.
    pub fn newest_begun(&self) -> Height {
        Height(self.begun.load(Ordering::SeqCst))
    }

    /// Voters of the next height.
    pub fn next_validators(&self) -> ValidatorSet {
        self.lock().next_validators.clone()
    }

    /// Follows the tip.
    pub fn watch_tip(&self) -> watch::Receiver<Header> {
        self.tip.subscribe()
    }

    /// How long each stage takes on this node.
    pub fn stages(&self) -> &Stages {
        &self.stages
    }

    /// A consistent read view of the committed state.
    ///
    /// # Errors
    /// When the database fails.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        self.store.snapshot()
    }

    /// The store, for its sizes.
    pub fn store(&self) -> &Store {
        &self.store
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

    /// Makes the own proposal of a round, durable before it returns; the same one if asked again.
    ///
    /// # Errors
    /// When the store fails.
    pub fn propose(&self, round: u32, proposer: Address) -> Result<Arc<Block>, StoreError> {
        let mut inner = self.lock();
        let height = inner.tip.height.next();
        if let Some(block) = self.pending.own(height, round) {
            return Ok(Arc::new(block));
        }
        let begun = Instant::now();
        let limit = self.genesis.kind.max_block_bytes();
        let snapshot = self.store.snapshot()?;
        let candidates = inner.mempool.candidates();
        let (block, executed, mut refused) = build(
            self.machine.as_ref(),
            &snapshot,
            &snapshot,
            &inner.tip,
            self.next_time(&inner.tip),
            proposer,
            candidates.txs,
            limit,
        )?;
        inner.stale |= !refused.is_empty();
        // A refusal says little out of the order of arrival, or after one that may pass: what is refused for good is
        // found when all that waits is checked again.
        let may_pass =
            |(_, rejection): &(Hash, Rejection)| self.machine.is_transient(rejection.rule);
        if !candidates.by_arrival || refused.iter().any(may_pass) {
            refused.clear();
        }
        self.refuse(&mut inner, refused);
        let block = Arc::new(block);
        self.pending.put_own(round, &block)?;
        inner.known.insert(block.hash(), Instant::now());
        inner
            .executed
            .insert(block.hash(), (block.clone(), executed));
        self.stages.ran(Stage::Propose, begun);
        Ok(block)
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
    pub fn validate(&self, block: &Arc<Block>, live: bool) -> Result<(), BlockError> {
        let limit = TimeMillis(self.clock.now().0 + MAX_DRIFT_MILLIS);
        if live && block.header.time > limit {
            return Err(BlockError::TimeAhead {
                limit,
                found: block.header.time,
            });
        }
        let id = block.hash();
        if self.lock().executed.contains_key(&id) {
            return Ok(());
        }
        let begun = Instant::now();
        let decoded = self.decode(block, live)?;
        let mut inner = self.lock();
        if inner.executed.len() >= MAX_EXECUTED {
            // What is decided after all is executed again from its file.
            inner.executed.clear();
        }
        let snapshot = self
            .store
            .snapshot()
            .map_err(|e| StateError(e.to_string()))?;
        let limit = self.genesis.kind.max_block_bytes();
        let executed = replay_decoded(
            self.machine.as_ref(),
            &snapshot,
            &snapshot,
            &inner.tip,
            block,
            &decoded,
            limit,
        )?;
        inner.known.insert(id, Instant::now());
        inner.executed.insert(id, (block.clone(), executed));
        self.stages.ran(Stage::Execute, begun);
        Ok(())
    }

    /// A block not committed yet: executed in memory, or on disk.
    pub fn pending(&self, height: Height, id: &Hash) -> Option<Arc<Block>> {
        if let Some((block, _)) = self.lock().executed.get(id) {
            return Some(block.clone());
        }
        self.pending.get(height, id).map(Arc::new)
    }

    /// Commits the decided block of the next height; harmless if it is committed already.
    ///
    /// # Errors
    /// When the block is unknown, does not execute, or cannot be written: the engine must stop.
    pub fn commit(&self, certificate: &Certificate) -> Result<Header, CommitError> {
        self.commit_with(certificate, None)
    }

    /// Commits as [`Chain::commit`] does, with the seal of a mined block, in one write.
    ///
    /// # Errors
    /// As [`Chain::commit`].
    pub fn commit_with(
        &self,
        certificate: &Certificate,
        seal: Option<&SignedSeal>,
    ) -> Result<Header, CommitError> {
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
        if let Some(known) = self.lock().known.get(&certificate.block) {
            self.stages.ran(Stage::Vote, *known);
        }
        self.validate(&block, false)?;
        let begun = Instant::now();
        let mut inner = self.lock();
        let (block, executed) =
            inner
                .executed
                .remove(&certificate.block)
                .ok_or(CommitError::Missing {
                    height: certificate.height,
                    block: certificate.block,
                })?;
        // Before anybody can see the block in the store.
        self.begun
            .fetch_max(executed.header.height.0, Ordering::SeqCst);
        self.store
            .commit_with(&block, certificate, seal, &executed)?;
        self.cut(&executed.header, &inner.next_validators);
        inner.executed.clear();
        inner.known.clear();
        inner.tip = executed.header.clone();
        inner.next_validators = executed.next_validators;
        let ids: Vec<Hash> = block.txs.iter().map(|tx| tx_id(tx)).collect();
        let strange = ids.iter().any(|id| inner.mempool.get(id).is_none());
        inner.mempool.committed(&ids);
        inner.stale |= strange || inner.mempool.refuses_for_now();
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
        drop(inner);
        // The height is durable: trouble from here on is no reason to stop.
        if let Err(error) = self.tidy() {
            tracing::warn!(%error, "waiting transactions could not be checked again");
        }
        self.wake();
        if let Err(error) = self.pending.clear(executed.header.height) {
            tracing::warn!(%error, "old proposals could not be removed");
        }
        self.stages.ran(Stage::Commit, begun);
        self.tip.send_replace(executed.header.clone());
        Ok(executed.header)
    }

    /// Takes the tip from the store again: a write that failed may have reached the medium after all.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn reread(&self) -> Result<(), StoreError> {
        self.store.settle()?;
        let snapshot = self.store.snapshot()?;
        let Some(tip) = snapshot.tip()? else {
            return Ok(());
        };
        let mut inner = self.lock();
        if tip.header.height <= inner.tip.height {
            return Ok(());
        }
        if let Some(block) = snapshot.block(tip.header.height)? {
            let ids: Vec<Hash> = block.txs.iter().map(|tx| tx_id(tx)).collect();
            inner.mempool.remove(&ids);
        }
        self.begun.fetch_max(tip.header.height.0, Ordering::SeqCst);
        inner.executed.clear();
        inner.known.clear();
        inner.stale = true;
        inner.tip = tip.header.clone();
        inner.next_validators = tip.next_validators;
        drop(inner);
        self.tip.send_replace(tip.header);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

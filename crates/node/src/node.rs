//! A running node: its chain, its engine, and what the outside may ask of it.

use crate::bft;
use crate::chain::{Chain, Committed, Offer, Outcome, SubmitError};
use crate::options::NodeOptions;
use crate::pow::{self, PowError, PowSettings};
use crate::solo;
use crate::statesync::{Keeper, Maker, SnapshotError};
use crate::store::StoreError;
use async_trait::async_trait;
use caduceus_crypto::{Hash, SecretKey, TimeMillis};
use caduceus_ledger::{Address, Genesis, Rejection, StateMachine};
use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock, Weak};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// Where a node gets the time.
pub trait Clock: Send + Sync + 'static {
    /// Unix milliseconds UTC.
    fn now(&self) -> TimeMillis;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> TimeMillis {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        TimeMillis(since.as_millis() as u64)
    }
}

/// Hands a transaction to every other validator; completes when they have it or a short time is over. A
/// transaction at one node only costs up to n-1 propose timeouts.
#[async_trait]
pub trait TxRelay: Send + Sync + 'static {
    /// Hands it on.
    async fn relay(&self, tx: Arc<Vec<u8>>);
}

/// Hears of a transaction that a rule refused when it was offered, and the rule.
pub type OnRefusal = Arc<dyn Fn(&[u8], &Rejection) + Send + Sync>;

/// How a chain is decided.
#[derive(Clone, Debug)]
pub enum Engine {
    /// One sequencer; the validator set is its key alone.
    Solo,
    /// One sequencer that mines each block.
    Pow(PowSettings),
    /// Malachite BFT.
    Bft(BftSettings),
}

/// Where the consensus swarm listens and whom it knows.
#[derive(Clone, Debug)]
pub struct BftSettings {
    /// Own address, for example `/ip4/127.0.0.1/tcp/4001`.
    pub listen: Multiaddr,
    /// The other validators, with `/p2p/` identifiers.
    pub peers: Vec<Multiaddr>,
}

/// All that a node needs to start.
pub struct NodeConfig {
    /// Its folder.
    pub home: PathBuf,
    /// The chain.
    pub genesis: Genesis,
    /// The validator key; its peer identifier on the consensus swarm is the same key.
    pub key: SecretKey,
    /// Name in logs and metrics, unique in the process.
    pub moniker: String,
    /// The engine.
    pub engine: Engine,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// What its operator set.
    pub options: NodeOptions,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The folder of the snapshots cannot be used.
    #[error("snapshots: {0}")]
    Snapshots(#[from] SnapshotError),
    /// The chain cannot be mined on.
    #[error(transparent)]
    Pow(#[from] PowError),
    /// `risky_no_guard` is set, and this program does not sign without the guard.
    #[error(
        "the option risky_no_guard is set: this program does not sign without the last-signed guard"
    )]
    Unguarded,
    /// The journal of signatures cannot be used.
    #[error(transparent)]
    Journal(#[from] bft::JournalError),
    /// The consensus engine does not start.
    #[error("consensus engine: {0}")]
    Engine(String),
}

/// The consensus peer identifier of a validator key.
pub fn peer_id(key: &caduceus_crypto::PublicKey) -> PeerId {
    let key = libp2p_identity::secp256k1::PublicKey::try_from_bytes(key.as_bytes())
        .expect("a checked secp256k1 point is a valid libp2p key");
    PeerId::from_public_key(&libp2p_identity::PublicKey::from(key))
}

/// A running node of the chain with the rules `M`. The rules are called through a table, so that the engine is built
/// once for all chains; the type keeps nodes of different chains apart.
pub struct Node<M> {
    chain: Arc<Chain>,
    snapshots: Arc<Keeper>,
    relay: RwLock<Option<Arc<dyn TxRelay>>>,
    on_refusal: RwLock<Option<OnRefusal>>,
    stop: watch::Sender<bool>,
    engine: Mutex<Option<JoinHandle<()>>>,
    run: bft::Run,
    settings: Engine,
    admissions: Semaphore,
    rules: PhantomData<fn() -> M>,
}

/// Transactions checked at once, so that submitters leave a processor to consensus.
const ADMISSIONS: usize = 2;

/// Between two looks of the watchdog.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Looks after a node as long as there is one.
async fn watch_over<M: StateMachine>(node: Weak<Node<M>>) {
    let mut every = tokio::time::interval(WATCH_EVERY);
    loop {
        every.tick().await;
        match node.upgrade() {
            Some(node) => node.look(),
            None => return,
        }
    }
}

/// Idle chains make a block this often, so that a head is never older than three heartbeats.
pub const HEARTBEAT: Duration = Duration::from_secs(30);

/// Not generic: what it runs is compiled with this crate, once.
fn spawn_engine(
    settings: &Engine,
    run: bft::Run,
    stopped: watch::Receiver<bool>,
) -> JoinHandle<()> {
    match settings {
        Engine::Solo => tokio::spawn(solo::run(run, HEARTBEAT, stopped)),
        Engine::Pow(settings) => tokio::spawn(pow::run(run, *settings, HEARTBEAT, stopped)),
        Engine::Bft(settings) => tokio::spawn(run.supervise(settings.clone(), stopped)),
    }
}

impl<M: StateMachine> Node<M> {
    /// Opens the store and starts the engine.
    ///
    /// # Errors
    /// [`NodeError`] says what is in the way.
    pub async fn start(config: NodeConfig, machine: M) -> Result<Arc<Self>, NodeError> {
        let node = Self::open(config, machine)?;
        node.start_engine();
        Ok(node)
    }

    /// Opens the store; the engine starts with [`Node::start_engine`], once the ways to the others are named.
    ///
    /// # Errors
    /// [`NodeError`] says what is in the way.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn open(config: NodeConfig, machine: M) -> Result<Arc<Self>, NodeError> {
        let chain = Arc::new(Chain::open(
            &config.home,
            config.genesis,
            Arc::new(machine),
            config.clock,
        )?);
        match config.engine {
            Engine::Pow(_) => pow::check_start(&chain)?,
            Engine::Solo | Engine::Bft(_) => pow::check_not_mined(&chain)?,
        }
        let snapshots = Arc::new(Keeper::open(&config.home, &config.options)?);
        chain.set_maker(Maker::start(snapshots.clone(), config.key.clone()));
        let signing = bft::Signing::open(&config.options, &config.home)?;
        let run = bft::Run {
            chain: chain.clone(),
            key: config.key,
            signing,
            killed: Arc::new(AtomicBool::new(false)),
            witnesses: bft::Witnesses::default(),
            home: config.home,
            moniker: config.moniker,
            progress: Arc::new(bft::Progress::default()),
            peers: Arc::new(watch::Sender::new(match &config.engine {
                Engine::Solo | Engine::Pow(_) => Vec::new(),
                Engine::Bft(settings) => settings.peers.clone(),
            })),
        };
        let node = Arc::new(Self {
            chain,
            snapshots,
            relay: RwLock::new(None),
            on_refusal: RwLock::new(None),
            stop: watch::Sender::new(false),
            engine: Mutex::new(None),
            run,
            settings: config.engine,
            admissions: Semaphore::new(ADMISSIONS),
            rules: PhantomData,
        });
        tokio::spawn(watch_over(Arc::downgrade(&node)));
        Ok(node)
    }

    /// Starts the engine, if it is not running: after [`Node::stop`] it takes up where it was.
    pub fn start_engine(&self) {
        let mut engine = self.engine.lock().expect("no holder of this lock panics");
        if engine
            .as_ref()
            .is_some_and(|running| !running.is_finished())
        {
            return;
        }
        self.stop.send_replace(false);
        let stopped = self.stop.subscribe();
        *engine = Some(spawn_engine(&self.settings, self.run.clone(), stopped));
    }

    /// The chain.
    pub fn chain(&self) -> &Arc<Chain> {
        &self.chain
    }

    /// The snapshots that this node keeps.
    pub fn snapshots(&self) -> &Arc<Keeper> {
        &self.snapshots
    }

    /// The engine it was told to run.
    pub fn engine(&self) -> &Engine {
        &self.settings
    }

    /// How consensus is doing.
    pub fn report(&self) -> bft::Report {
        let me = Address::of(&self.run.key.public());
        self.run.progress.report(&self.chain.next_validators(), &me)
    }

    /// The newest vote of a validator that this node knows: seen lately, or in the newest certificates.
    pub fn last_vote(&self, of: &Address) -> Option<bft::SignedVote> {
        if let Some(vote) = self.run.progress.last_vote(of) {
            return Some(vote);
        }
        tokio::task::block_in_place(|| self.chain.last_certified_vote(of))
            .inspect_err(|error| tracing::error!(%error, "the store failed"))
            .ok()
            .flatten()
    }

    /// Names the way to the other validators.
    pub fn set_relay(&self, relay: Arc<dyn TxRelay>) {
        *self.relay.write().expect("no holder of this lock panics") = Some(relay);
    }

    /// Replaces the other nodes on the consensus swarm, while the engine runs: new ones are dialled and let in, those
    /// left out are cut off. Whether a peer votes is the chain's matter.
    pub fn set_peers(&self, peers: Vec<Multiaddr>) {
        self.run.peers.send_replace(peers);
    }

    /// Names those who are asked, before the engine votes, what this validator signed.
    pub fn set_witness(&self, witness: Arc<dyn bft::Witness>) {
        *self
            .run
            .witnesses
            .write()
            .expect("no holder of this lock panics") = Some(witness);
    }

    /// Looks after the engine once.
    fn look(&self) {
        self.run.progress.tick(self.chain.waiting());
        let ended = self
            .engine
            .lock()
            .expect("no holder of this lock panics")
            .as_ref()
            .is_some_and(JoinHandle::is_finished);
        if ended && !*self.stop.borrow() && self.report().trouble.is_none() {
            tracing::error!("the engine's task ended");
            self.run.progress.trouble_is(Some(
                "the engine's task ended unexpectedly; restart the node and keep its log"
                    .to_owned(),
            ));
        }
    }

    /// Names who hears of refused transactions. It is called while the submitter waits, so it returns at once.
    pub fn on_refusal(&self, hears: OnRefusal) {
        *self
            .on_refusal
            .write()
            .expect("no holder of this lock panics") = Some(hears);
    }

    fn offer(&self, tx: Vec<u8>) -> Result<Offer, SubmitError> {
        let hears = self
            .on_refusal
            .read()
            .expect("no holder of this lock panics")
            .clone();
        let Some(hears) = hears else {
            return self.chain.offer(tx);
        };
        let copy = tx.clone();
        let offer = self.chain.offer(tx);
        if let Err(SubmitError::Rejected(rejection)) = &offer {
            hears(&copy, rejection);
        }
        offer
    }

    async fn hand_on(&self, tx: Vec<u8>) -> Result<Offer, SubmitError> {
        let shared = Arc::new(tx);
        let copy = shared.as_ref().clone();
        let offer = {
            let _permit = self
                .admissions
                .acquire()
                .await
                .map_err(|_| SubmitError::Stopping)?;
            tokio::task::block_in_place(|| self.offer(copy))?
        };
        if offer.new {
            let relay = self
                .relay
                .read()
                .expect("no holder of this lock panics")
                .clone();
            if let Some(relay) = relay {
                relay.relay(shared).await;
            }
        }
        self.chain.wake();
        Ok(offer)
    }

    /// Takes a transaction and hands it to the other validators; does not wait for its block.
    ///
    /// # Errors
    /// [`SubmitError`] names the reason.
    pub async fn submit(&self, tx: Vec<u8>) -> Result<Hash, SubmitError> {
        Ok(self.hand_on(tx).await?.id)
    }

    /// Takes a transaction and waits for its block.
    ///
    /// # Errors
    /// [`SubmitError::Timeout`] says that it may still be committed later; other variants that it was not.
    pub async fn submit_and_wait(
        &self,
        tx: Vec<u8>,
        timeout: Duration,
    ) -> Result<Committed, SubmitError> {
        let millis = timeout.as_millis() as u64;
        let offer = self.hand_on(tx).await?;
        match offer.outcome {
            Outcome::Committed(committed) => Ok(committed),
            Outcome::Waiting(receiver) => match tokio::time::timeout(timeout, receiver).await {
                Err(_) => Err(SubmitError::Timeout { millis }),
                Ok(Err(_)) => Err(SubmitError::Stopping),
                Ok(Ok(outcome)) => Ok(outcome?),
            },
        }
    }

    /// Takes a transaction that another validator handed on.
    ///
    /// # Errors
    /// [`SubmitError`] names the reason.
    pub fn take_relayed(&self, tx: Vec<u8>) -> Result<(), SubmitError> {
        tokio::task::block_in_place(|| self.offer(tx))?;
        self.chain.wake();
        Ok(())
    }

    /// Ends the engine in the middle of whatever it does, as a crash of the process would; the node is of no use then.
    pub async fn kill_for_testing_only(&self) {
        self.run.killed.store(true, Ordering::SeqCst);
        self.stop().await;
    }

    /// Stops the engine and waits until it has.
    pub async fn stop(&self) {
        self.stop.send_replace(true);
        let engine = self
            .engine
            .lock()
            .expect("no holder of this lock panics")
            .take();
        if let Some(engine) = engine {
            // A panicked engine task is stopped as well.
            let _ = engine.await;
        }
    }
}

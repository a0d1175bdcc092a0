//! A session with the alliance: its nodes, what is trusted, and how nodes are asked in turn.

use crate::error::ClientError;
use crate::trust::{FollowError, Source, TRUSTED_FILE, Trust};
use crate::turns::Turns;
use alliance_chain::AllianceGenesis;
use caduceus_crypto::{PublicKey, SecretKey, TimeMillis};
use caduceus_ledger::{CertifiedHeader, ChainId, Genesis, Height, LightError, Trusted};
use caduceus_network::exchange::Exchange;
use caduceus_network::{CallError, Limits, PeerAddr, Service, ServiceConfig, peer_id};
use rand_core::OsRng;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where a session gets the time: Unix milliseconds UTC.
pub type Clock = Arc<dyn Fn() -> TimeMillis + Send + Sync>;

/// How long a pass over all nodes waits before the one more that a node a block behind is given.
pub(crate) const SECOND_PASS_AFTER: Duration = Duration::from_millis(300);
/// Passes over all nodes.
pub(crate) const PASSES: usize = 3;

/// The operating system's clock.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        TimeMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    })
}

/// A service that only calls, under a key that nobody has seen before.
///
/// # Errors
/// [`ClientError::Start`].
pub async fn ephemeral_service() -> Result<Service, ClientError> {
    let key = SecretKey::generate(&mut OsRng);
    calling_service(&key).await
}

async fn calling_service(key: &SecretKey) -> Result<Service, ClientError> {
    Service::start(ServiceConfig {
        key,
        listen: Vec::new(),
        limits: Limits::default(),
    })
    .await
    .map_err(ClientError::Start)
}

/// Changes of voters that one node may name before it answers: the newest head can change while they are followed.
const MAX_FOLLOWED: usize = 2;

/// Where a session's trust begins.
#[derive(Clone, Debug, Default)]
pub enum Kept {
    /// At the genesis.
    #[default]
    Nothing,
    /// At a head that the caller kept, who also keeps what [`Alliance::trusted`] says at the end.
    Head(Box<Trusted>),
    /// At the head in this file, which the session keeps.
    File(PathBuf),
}

/// How a session is opened.
#[derive(Clone)]
pub struct ConnectOptions {
    /// The key that nodes see; none for a fresh one.
    pub key: Option<SecretKey>,
    /// The clock against which heads must be fresh.
    pub clock: Clock,
    /// How long a submitted transaction may take until it is committed.
    pub timeout: Duration,
    /// What is trusted from earlier sessions.
    pub kept: Kept,
    /// Folder into which the evidence of a fork is written; none for nowhere.
    pub evidence: Option<PathBuf>,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            key: None,
            clock: system_clock(),
            timeout: Duration::from_secs(30),
            kept: Kept::Nothing,
            evidence: None,
        }
    }
}

impl ConnectOptions {
    /// The options of a home that keeps its trusted head in a file of its own, and evidence beside it.
    #[must_use]
    pub fn kept_in(home: &Path) -> Self {
        Self {
            kept: Kept::File(home.join(TRUSTED_FILE)),
            evidence: Some(home.to_path_buf()),
            ..Self::default()
        }
    }
}

impl fmt::Debug for ConnectOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectOptions")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A session with the alliance; clones share it.
#[derive(Clone)]
pub struct Alliance {
    inner: Arc<Inner>,
}

struct Inner {
    service: Service,
    nodes: Vec<PeerAddr>,
    genesis: AllianceGenesis,
    chain: ChainId,
    trust: Arc<Trust>,
    turns: Turns,
    clock: Clock,
    timeout: Duration,
}

/// Why one node's answer is not used.
pub(crate) enum Doubt {
    /// It does not verify.
    Unverified(String),
    /// Its head is older than others have shown, or too old.
    Behind(LightError),
    /// It does not have what was asked for; another may.
    Missing(String),
    /// Who votes at this height is to be learned first.
    Voters(Height),
    /// The chain has forked.
    Fork(Box<CertifiedHeader>, Box<CertifiedHeader>),
}

impl From<LightError> for Doubt {
    fn from(error: LightError) -> Self {
        match error {
            LightError::Stale { .. } | LightError::Rollback { .. } => Doubt::Behind(error),
            LightError::UnknownValidators { height } => Doubt::Voters(height),
            LightError::Fork { ours, theirs } => Doubt::Fork(ours, theirs),
            other => Doubt::Unverified(other.to_string()),
        }
    }
}

impl Alliance {
    /// Opens a session with nodes at known addresses, trusting a genesis that the caller has checked.
    ///
    /// # Errors
    /// [`ClientError::NoNodes`], [`ClientError::Genesis`], [`ClientError::Start`], [`ClientError::Kept`] for a kept
    /// head that is damaged.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn open(
        nodes: Vec<PeerAddr>,
        genesis: &Genesis,
        options: ConnectOptions,
    ) -> Result<Self, ClientError> {
        if nodes.is_empty() {
            return Err(ClientError::NoNodes);
        }
        let own = AllianceGenesis::decode(&genesis.app).map_err(ClientError::Genesis)?;
        let trust = match options.kept {
            Kept::Nothing => Trust::new(genesis, None),
            Kept::Head(kept) => Trust::new(genesis, Some(*kept)),
            Kept::File(path) => Trust::kept_in(genesis, path)?,
        };
        let service = match &options.key {
            Some(key) => calling_service(key).await?,
            None => ephemeral_service().await?,
        };
        let inner = Inner {
            service,
            nodes,
            genesis: own,
            chain: genesis.chain_id(),
            trust: Arc::new(trust.with_evidence_in(options.evidence)),
            turns: Turns::default(),
            clock: options.clock,
            timeout: options.timeout,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The chain's identifier.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        self.inner.chain
    }

    /// The alliance's own genesis: founding members, proxies, parameters.
    #[must_use]
    pub fn genesis(&self) -> &AllianceGenesis {
        &self.inner.genesis
    }

    /// The time by the session's clock.
    #[must_use]
    pub fn now(&self) -> TimeMillis {
        (self.inner.clock)()
    }

    /// The session's clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    /// How long a submitted transaction may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.inner.timeout
    }

    /// The service that calls for this session.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.inner.service
    }

    /// The alliance's nodes.
    #[must_use]
    pub fn nodes(&self) -> &[PeerAddr] {
        &self.inner.nodes
    }

    /// Where the node with this service key is reached, if the network file names it.
    #[must_use]
    pub fn address_of(&self, key: &PublicKey) -> Option<&PeerAddr> {
        let id = peer_id(key);
        self.inner.nodes.iter().find(|node| node.id == id)
    }

    /// The same session under a peer identifier that nobody has seen before, so that what is asked through it
    /// can't be linked by identifier to what was asked before. What is trusted and known is carried over.
    ///
    /// # Errors
    /// [`ClientError::Start`].
    pub async fn with_fresh_identity(&self) -> Result<Self, ClientError> {
        self.with_turns(self.inner.turns.carried_over()).await
    }

    /// [`Alliance::with_fresh_identity`], which asks a random node first: the one that saw what was asked before
    /// most likely does not see what is asked through it.
    ///
    /// # Errors
    /// [`ClientError::Start`].
    pub async fn apart(&self) -> Result<Self, ClientError> {
        let turns = self.inner.turns.carried_over();
        if let Some(first) = turns.at_random(self.inner.nodes.len()).first() {
            turns.prefer(*first);
        }
        self.with_turns(turns).await
    }

    async fn with_turns(&self, turns: Turns) -> Result<Self, ClientError> {
        let service = ephemeral_service().await?;
        let inner = Inner {
            service,
            nodes: self.inner.nodes.clone(),
            genesis: self.inner.genesis.clone(),
            chain: self.inner.chain,
            trust: Arc::clone(&self.inner.trust),
            turns,
            clock: Arc::clone(&self.inner.clock),
            timeout: self.inner.timeout,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// What is trusted now: for a caller that keeps it.
    #[must_use]
    pub fn trusted(&self) -> Trusted {
        self.inner.trust.trusted()
    }

    /// Closes the session's connections.
    pub async fn close(&self) {
        self.inner.trust.keep();
        self.inner.service.shutdown().await;
    }

    /// What this session trusts, shared with those that came of it.
    pub(crate) fn trust(&self) -> &Trust {
        &self.inner.trust
    }

    /// Comes back inside of the trusting period, if it is over.
    async fn renew(&self) -> Result<(), ClientError> {
        let nodes: Vec<PeerAddr> = self.in_turn().into_iter().map(|(_, node)| node).collect();
        let source = Source {
            service: &self.inner.service,
            nodes: &nodes,
            now: self.now(),
        };
        let renewed = self.trust().renew(&source).await;
        renewed.map_err(|error| self.not_followed(error))
    }

    /// Learns who votes at a height, from the node that names it first.
    async fn follow(&self, height: Height, first: &PeerAddr) -> Result<(), FollowError> {
        let others = self.in_turn().into_iter().map(|(_, node)| node);
        let nodes: Vec<PeerAddr> = std::iter::once(first.clone())
            .chain(others.filter(|node| node != first))
            .collect();
        let source = Source {
            service: &self.inner.service,
            nodes: &nodes,
            now: self.now(),
        };
        self.trust().follow(&source, height).await
    }

    fn not_followed(&self, error: FollowError) -> ClientError {
        match error {
            FollowError::Light(LightError::Fork { ours, theirs }) => self.forked(&ours, &theirs),
            FollowError::Light(error) => ClientError::Unverified {
                node: "every node asked".to_owned(),
                reason: error.to_string(),
            },
            FollowError::TwoNeeded { .. } => ClientError::TwoNeeded {
                reason: error.to_string(),
            },
            FollowError::Missing { .. } => ClientError::Unreachable {
                who: "the alliance".to_owned(),
                reason: error.to_string(),
            },
        }
    }

    fn forked(&self, ours: &CertifiedHeader, theirs: &CertifiedHeader) -> ClientError {
        ClientError::Fork {
            our_height: ours.header.height,
            ours: ours.header.hash(),
            their_height: theirs.header.height,
            theirs: theirs.header.hash(),
            evidence: self.trust().write_evidence(ours, theirs),
        }
    }

    /// The nodes, the one that answered well last first, with their indices.
    pub(crate) fn in_turn(&self) -> Vec<(usize, PeerAddr)> {
        self.named(self.inner.turns.in_turn(self.inner.nodes.len()))
    }

    /// The nodes in random order, with their indices.
    pub(crate) fn at_random(&self) -> Vec<(usize, PeerAddr)> {
        self.named(self.inner.turns.at_random(self.inner.nodes.len()))
    }

    fn named(&self, order: Vec<usize>) -> Vec<(usize, PeerAddr)> {
        order
            .into_iter()
            .map(|index| (index, self.inner.nodes[index].clone()))
            .collect()
    }

    pub(crate) fn prefer(&self, index: usize) {
        self.inner.turns.prefer(index);
    }

    /// Notes whether a node is there.
    pub(crate) fn heard_of(&self, index: usize, answered: bool) {
        self.inner.turns.heard_of(index, answered);
    }

    /// Asks nodes in turn until one has an answer that `accept` takes. A node whose answer does not verify is
    /// dropped for the next; nodes that are merely behind are asked once more.
    pub(crate) async fn ask<E, T>(
        &self,
        request: impl Fn() -> E::Request,
        accept: impl Fn(E::Response) -> Result<T, Doubt>,
    ) -> Result<T, ClientError>
    where
        E: Exchange,
    {
        self.renew().await?;
        let mut failure = Failures::default();
        for pass in 0..PASSES {
            let mut worth_repeating = false;
            for (index, node) in self.in_turn() {
                let mut followed = 0;
                loop {
                    let response = match self.inner.service.call::<E>(&node, request()).await {
                        Ok(response) => response,
                        Err(error) => {
                            failure.call(&node, &error);
                            break;
                        }
                    };
                    match accept(response) {
                        Ok(value) => {
                            self.prefer(index);
                            return Ok(value);
                        }
                        Err(Doubt::Fork(ours, theirs)) => return Err(self.forked(&ours, &theirs)),
                        Err(Doubt::Voters(height)) if followed < MAX_FOLLOWED => {
                            followed += 1;
                            match self.follow(height, &node).await {
                                // The voters are known now: the same node again.
                                Ok(()) => continue,
                                Err(FollowError::Light(LightError::Fork { ours, theirs })) => {
                                    return Err(self.forked(&ours, &theirs));
                                }
                                Err(error) => {
                                    failure.doubt(&node, Doubt::Unverified(error.to_string()));
                                }
                            }
                        }
                        Err(doubt) => {
                            worth_repeating |=
                                matches!(doubt, Doubt::Behind(_) | Doubt::Missing(_));
                            failure.doubt(&node, doubt);
                        }
                    }
                    break;
                }
            }
            if !worth_repeating || pass + 1 == PASSES {
                break;
            }
            tokio::time::sleep(SECOND_PASS_AFTER).await;
        }
        Err(failure.into_error())
    }
}

/// What became of the nodes that gave no answer; the gravest is told.
#[derive(Default)]
pub(crate) struct Failures {
    unverified: Option<(String, String)>,
    behind: Option<(String, LightError)>,
    missing: Option<String>,
    refused: Option<String>,
    unreachable: Option<String>,
}

impl Failures {
    pub(crate) fn doubt(&mut self, node: &PeerAddr, doubt: Doubt) {
        match doubt {
            Doubt::Unverified(reason) => {
                tracing::warn!(%node, %reason, "an answer does not verify, asking another node");
                self.unverified = Some((node.to_string(), reason));
            }
            Doubt::Behind(error) => {
                tracing::debug!(%node, %error, "a node is behind, asking another");
                self.behind = Some((node.to_string(), error));
            }
            Doubt::Missing(what) => self.missing = Some(what),
            Doubt::Voters(height) => self.doubt(
                node,
                Doubt::Unverified(LightError::UnknownValidators { height }.to_string()),
            ),
            // A fork ends the question before anything is noted.
            Doubt::Fork(ours, theirs) => self.doubt(
                node,
                Doubt::Unverified(LightError::Fork { ours, theirs }.to_string()),
            ),
        }
    }

    pub(crate) fn call(&mut self, node: &PeerAddr, error: &CallError) {
        tracing::debug!(%node, %error, "no answer, asking another node");
        match error {
            CallError::Refused => self.refused = Some(node.to_string()),
            CallError::Malformed | CallError::TooLarge { .. } => {
                self.unverified = Some((node.to_string(), error.to_string()));
            }
            other => self.unreachable = Some(other.to_string()),
        }
    }

    pub(crate) fn into_error(self) -> ClientError {
        if let Some((node, reason)) = self.unverified {
            return ClientError::Unverified { node, reason };
        }
        if let Some((node, error)) = self.behind {
            return match error {
                LightError::Stale {
                    age_millis,
                    limit_millis,
                } => ClientError::Stale {
                    age_millis,
                    limit_millis,
                },
                LightError::Rollback { seen, found } => {
                    ClientError::RolledBack { node, seen, found }
                }
                other => ClientError::Unverified {
                    node,
                    reason: other.to_string(),
                },
            };
        }
        if let Some(what) = self.missing {
            return ClientError::NotFound { what };
        }
        if let Some(who) = self.refused {
            return ClientError::Refused {
                who: format!("alliance node {who}"),
            };
        }
        ClientError::Unreachable {
            who: "the alliance".to_owned(),
            reason: self
                .unreachable
                .unwrap_or_else(|| "no node answers".to_owned()),
        }
    }
}

//! A session with the alliance: its nodes, what is trusted, and how nodes are asked in turn.

use crate::error::ClientError;
use crate::turns::Turns;
use alliance_chain::AllianceGenesis;
use caduceus_crypto::{PublicKey, SecretKey, TimeMillis};
use caduceus_ledger::{ChainId, Genesis, LightClient, LightError};
use caduceus_network::exchange::Exchange;
use caduceus_network::{CallError, Limits, PeerAddr, Service, ServiceConfig, peer_id};
use rand_core::OsRng;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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

/// How a session is opened.
#[derive(Clone)]
pub struct ConnectOptions {
    /// The key that nodes see; none for a fresh one.
    pub key: Option<SecretKey>,
    /// The clock against which heads must be fresh.
    pub clock: Clock,
    /// How long a submitted transaction may take until it is committed.
    pub timeout: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self {
            key: None,
            clock: system_clock(),
            timeout: Duration::from_secs(30),
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
    light: Mutex<LightClient>,
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
}

impl From<LightError> for Doubt {
    fn from(error: LightError) -> Self {
        match error {
            LightError::Stale { .. } | LightError::Rollback { .. } => Doubt::Behind(error),
            other => Doubt::Unverified(other.to_string()),
        }
    }
}

impl Alliance {
    /// Opens a session with nodes at known addresses, trusting a genesis that the caller has checked.
    ///
    /// # Errors
    /// [`ClientError::NoNodes`], [`ClientError::Genesis`], [`ClientError::Start`].
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
        let service = match &options.key {
            Some(key) => calling_service(key).await?,
            None => ephemeral_service().await?,
        };
        let inner = Inner {
            service,
            nodes,
            genesis: own,
            chain: genesis.chain_id(),
            light: Mutex::new(LightClient::from_genesis(genesis)),
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
        let known = self.light().clone();
        let inner = Inner {
            service,
            nodes: self.inner.nodes.clone(),
            genesis: self.inner.genesis.clone(),
            chain: self.inner.chain,
            light: Mutex::new(known),
            turns,
            clock: Arc::clone(&self.inner.clock),
            timeout: self.inner.timeout,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Closes the session's connections.
    pub async fn close(&self) {
        self.inner.service.shutdown().await;
    }

    pub(crate) fn light(&self) -> MutexGuard<'_, LightClient> {
        // The light client changes in one assignment, so a panic elsewhere leaves it whole.
        self.inner
            .light
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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
        let mut failure = Failures::default();
        for pass in 0..PASSES {
            let mut worth_repeating = false;
            for (index, node) in self.in_turn() {
                match self.inner.service.call::<E>(&node, request()).await {
                    Ok(response) => match accept(response) {
                        Ok(value) => {
                            self.prefer(index);
                            return Ok(value);
                        }
                        Err(doubt) => {
                            worth_repeating |=
                                matches!(doubt, Doubt::Behind(_) | Doubt::Missing(_));
                            failure.doubt(&node, doubt);
                        }
                    },
                    Err(error) => failure.call(&node, &error),
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

//! The service swarm of a process: what it serves and whom it calls.

mod answer;
mod call;
mod kept;
mod swarm;
#[cfg(test)]
mod tests;

use crate::exchange::Exchange;
use crate::inbound::Routes;
use crate::limits::{Limiter, Limits};
use crate::links::Links;
use crate::peer::{self, Peer, PeerAddr};
use answer::Authorise;
use caduceus_crypto::SecretKey;
use call::CallSlots;
use kept::KeptStreams;
use libp2p::{Multiaddr, PeerId};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use swarm::{Command, SwarmTask};
use tokio::sync::{mpsc, watch};

pub use call::CallError;

/// How long [`Service::start`] waits for the listeners to be bound.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(5);

/// What a service needs to start.
pub struct ServiceConfig<'a> {
    /// The key others know this process by; it signs the Noise handshake and is not kept here in clear.
    pub key: &'a SecretKey,
    /// Where to listen; empty for a process that only calls. Port 0 takes any free port.
    pub listen: Vec<Multiaddr>,
    /// What others may take.
    pub limits: Limits,
}

/// Why a service did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The transports could not be set up.
    #[error("cannot set up the network transports: {reason}")]
    Transport {
        /// What libp2p said.
        reason: String,
    },
    /// An address cannot be listened on: unsupported, taken, or not ours.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address.
        address: Multiaddr,
        /// What libp2p or the system said.
        reason: String,
    },
    /// The listeners did not come up in time.
    #[error("no listener came up within {} s", LISTEN_TIMEOUT.as_secs())]
    NotListening,
}

/// A handler's refusal. The caller gets no byte of it; the reason is for the local log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    reason: Cow<'static, str>,
}

impl Refused {
    /// Refuses, and says why to the local log.
    pub fn because(reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason: reason.into(),
        }
    }
}

/// Handle of the service swarm; clones share it. The swarm stops with [`Service::shutdown`] or when the
/// last handle is dropped.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    peer_id: PeerId,
    limits: Limits,
    limiter: Arc<Limiter>,
    routes: Routes,
    links: Links,
    calls: Arc<CallSlots>,
    kept: Arc<KeptStreams>,
    control: libp2p_stream::Control,
    commands: mpsc::Sender<Command>,
    listening: watch::Receiver<Vec<Multiaddr>>,
    stopped: watch::Receiver<bool>,
}

impl Service {
    /// Starts the swarm task and waits until every address is listened on.
    ///
    /// # Errors
    /// [`StartError`] when the transports or a listener cannot be set up.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn start(config: ServiceConfig<'_>) -> Result<Self, StartError> {
        let keypair = peer::keypair(config.key);
        let peer_id = keypair.public().to_peer_id();
        let routes = Routes::new();
        let links = Links::new();
        let limiter = Arc::new(Limiter::new(&config.limits));
        let calls = Arc::new(CallSlots::new(config.limits.calls_per_peer));
        let kept = Arc::new(KeptStreams::default());
        let streams = libp2p_stream::Behaviour::new();
        let control = streams.new_control();
        let mut swarm = swarm::build(keypair, &config.limits, routes.clone(), streams)?;
        let wanted = config.listen.len();
        for address in config.listen {
            swarm
                .listen_on(address.clone())
                .map_err(|error| StartError::Listen {
                    address,
                    reason: error.to_string(),
                })?;
        }
        let (commands, command_queue) = mpsc::channel(64);
        let (listening_sender, listening) = watch::channel(Vec::new());
        let (stopped_sender, stopped) = watch::channel(false);
        let task = SwarmTask {
            swarm,
            commands: command_queue,
            routes: routes.clone(),
            links: links.clone(),
            limiter: Arc::clone(&limiter),
            calls: Arc::clone(&calls),
            kept: Arc::clone(&kept),
            listening: listening_sender,
            stopped: stopped_sender,
        };
        tokio::spawn(task.run());
        let service = Self {
            inner: Arc::new(Inner {
                peer_id,
                limits: config.limits,
                limiter,
                routes,
                links,
                calls,
                kept,
                control,
                commands,
                listening,
                stopped,
            }),
        };
        service.wait_for_listeners(wanted).await?;
        Ok(service)
    }

    async fn wait_for_listeners(&self, wanted: usize) -> Result<(), StartError> {
        let mut listening = self.inner.listening.clone();
        let bound = listening.wait_for(|addresses| addresses.len() >= wanted);
        match tokio::time::timeout(LISTEN_TIMEOUT, bound).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(StartError::NotListening),
        }
    }

    /// Number of peers connected now.
    pub fn connected_peers(&self) -> usize {
        self.inner.links.count()
    }

    /// Our own peer identifier.
    pub fn peer_id(&self) -> PeerId {
        self.inner.peer_id
    }

    /// The addresses listened on now, with the ports the system chose.
    pub async fn listen_addrs(&self) -> Vec<Multiaddr> {
        self.inner.listening.borrow().clone()
    }

    /// Where others reach this service: the first address listened on, with the peer identifier. None for a
    /// service that only calls.
    pub fn peer_address(&self) -> Option<PeerAddr> {
        let address = self.inner.listening.borrow().first().cloned()?;
        Some(PeerAddr {
            id: self.inner.peer_id,
            address,
        })
    }

    /// Answers an exchange from now on.
    ///
    /// `authorise` sees the proven peer before any byte of the request is read; return true to let anybody
    /// in whose request carries its own right. `handler` gets the decoded request; each request runs in a
    /// task of its own and is never cancelled, so that what has begun to act finishes. A request can arrive
    /// twice (the caller retries once when a connection dies), so handlers must bear repetition.
    ///
    /// # Panics
    /// If the exchange is served already, or outside a tokio runtime.
    pub fn serve<E, F, Fut>(
        &self,
        authorise: impl Fn(&Peer) -> bool + Send + Sync + 'static,
        handler: F,
    ) where
        E: Exchange,
        F: Fn(Peer, E::Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<E::Response, Refused>> + Send + 'static,
    {
        let limits = &self.inner.limits;
        let (queue, incoming) = mpsc::channel(limits.streams_queued.max(1));
        let added = self
            .inner
            .routes
            .add(E::PROTOCOL, queue, limits.streams_per_peer.max(1));
        assert!(added, "exchange {} is served twice", E::PROTOCOL);
        let authorise: Authorise = Arc::new(authorise);
        let limiter = Arc::clone(&self.inner.limiter);
        let at_once = limits.streams_at_once.max(1);
        tokio::spawn(answer::accept::<E, F, Fut>(
            incoming,
            self.inner.stopped.clone(),
            at_once,
            limiter,
            authorise,
            handler,
        ));
    }

    /// Stops listening, closes all connections and ends the swarm task. Requests being handled run to their
    /// end, but their responses reach nobody.
    pub async fn shutdown(&self) {
        // A closed queue means that the task has ended already.
        let _ = self.inner.commands.send(Command::Shutdown).await;
        let mut stopped = self.inner.stopped.clone();
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}

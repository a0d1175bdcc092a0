//! The one task that owns the libp2p swarm.

use super::StartError;
use super::call::CallSlots;
use super::kept::KeptStreams;
use crate::inbound::{Inbound, Routes};
use crate::limits::{Limiter, Limits};
use crate::links::Links;
use crate::peer::PeerAddr;
use futures::StreamExt;
use libp2p::identity::Keypair;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{DialError, NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, SwarmBuilder, identify, noise, ping, tcp, yamux};
use libp2p_connection_limits::ConnectionLimits;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Time for TCP or QUIC, Noise and Yamux together.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection without streams is closed after this time.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How often quiet peers are forgotten.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);

/// Version of the family of protocols, told by identify.
const PROTOCOL_VERSION: &str = "caduceus/1";

/// What the handles ask of the task.
pub(super) enum Command {
    /// Make sure there is a connection.
    Connect {
        /// To whom, and where.
        to: PeerAddr,
        /// Done, or why not.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// End.
    Shutdown,
}

/// The protocols of the swarm. The limits come first: a connection they deny reaches none of the others.
#[derive(NetworkBehaviour)]
pub(super) struct ServiceBehaviour {
    limits: libp2p_connection_limits::Behaviour,
    inbound: Inbound,
    streams: libp2p_stream::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

/// Sets up transports and protocols.
pub(super) fn build(
    keypair: Keypair,
    limits: &Limits,
    routes: Routes,
    streams: libp2p_stream::Behaviour,
) -> Result<Swarm<ServiceBehaviour>, StartError> {
    let connections = ConnectionLimits::default()
        .with_max_pending_incoming(Some(limits.pending_inbound))
        .with_max_established_incoming(Some(limits.inbound))
        .with_max_established_outgoing(Some(limits.outbound))
        .with_max_established_per_peer(Some(limits.per_peer));
    // Listen addresses and a cache of peers' addresses would only help strangers to map the network: peers
    // are dialled at the addresses that configuration names.
    let identify = identify::Config::new(PROTOCOL_VERSION.to_owned(), keypair.public())
        .with_agent_version("caduceus".to_owned())
        .with_hide_listen_addrs(true)
        .with_cache_size(0);
    let behaviour = ServiceBehaviour {
        limits: libp2p_connection_limits::Behaviour::new(connections),
        inbound: Inbound::new(routes),
        streams,
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping::Config::new()),
    };
    let swarm = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(
            tcp::Config::default().nodelay(true),
            noise::Config::new,
            yamux::Config::default,
        )
        .map_err(|error: noise::Error| StartError::Transport {
            reason: error.to_string(),
        })?
        .with_quic()
        .with_behaviour(|_: &Keypair| behaviour)
        .map_err(|error: Infallible| StartError::Transport {
            reason: error.to_string(),
        })?
        .with_swarm_config(|config| config.with_idle_connection_timeout(IDLE_TIMEOUT))
        .with_connection_timeout(CONNECT_TIMEOUT)
        .build();
    Ok(swarm)
}

/// Callers that wait for a connection to one peer.
struct Dial {
    /// The address being tried.
    trying: Multiaddr,
    /// Each waiter with the address it knows.
    waiters: Vec<(Multiaddr, oneshot::Sender<Result<(), String>>)>,
}

/// The task's state.
pub(super) struct SwarmTask {
    pub(super) swarm: Swarm<ServiceBehaviour>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) routes: Routes,
    pub(super) links: Links,
    pub(super) limiter: Arc<Limiter>,
    pub(super) calls: Arc<CallSlots>,
    pub(super) kept: Arc<KeptStreams>,
    pub(super) listening: watch::Sender<Vec<Multiaddr>>,
    pub(super) stopped: watch::Sender<bool>,
}

impl SwarmTask {
    /// Runs until shut down or until the last handle is gone.
    pub(super) async fn run(mut self) {
        let mut dials: HashMap<PeerId, Dial> = HashMap::new();
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(Command::Connect { to, reply }) => self.connect(&mut dials, to, reply),
                    Some(Command::Shutdown) | None => break,
                },
                event = self.swarm.select_next_some() => self.on_event(&mut dials, event),
                _ = sweep.tick() => {
                    self.limiter.sweep();
                    self.calls.sweep();
                    self.kept.sweep();
                }
            }
        }
        let Self {
            swarm,
            routes,
            kept,
            listening,
            stopped,
            ..
        } = self;
        // The readers of the queues end, then the sockets close.
        routes.clear();
        kept.clear();
        drop(swarm);
        listening.send_replace(Vec::new());
        stopped.send_replace(true);
    }

    fn connect(
        &mut self,
        dials: &mut HashMap<PeerId, Dial>,
        to: PeerAddr,
        reply: oneshot::Sender<Result<(), String>>,
    ) {
        if self.swarm.is_connected(&to.id) {
            // The caller may have gone; nobody else needs to know.
            let _ = reply.send(Ok(()));
            return;
        }
        if let Some(dial) = dials.get_mut(&to.id) {
            dial.waiters.push((to.address, reply));
            return;
        }
        let dial = Dial {
            trying: to.address.clone(),
            waiters: vec![(to.address, reply)],
        };
        self.dial(dials, to.id, dial);
    }

    /// Starts a dial for its waiters, or fails them.
    fn dial(&mut self, dials: &mut HashMap<PeerId, Dial>, peer: PeerId, dial: Dial) {
        let options = DialOpts::peer_id(peer)
            .condition(PeerCondition::DisconnectedAndNotDialing)
            .addresses(vec![dial.trying.clone()])
            // A reused local port meets the remains of the last connection after a quick restart.
            .allocate_new_port()
            .build();
        match self.swarm.dial(options) {
            // Somebody else's dial is under way: its end is ours too.
            Ok(()) | Err(DialError::DialPeerConditionFalse(_)) => {
                dials.insert(peer, dial);
            }
            Err(error) => {
                let reason = error.to_string();
                for (_, reply) in dial.waiters {
                    let _ = reply.send(Err(reason.clone()));
                }
            }
        }
    }

    fn on_event(
        &mut self,
        dials: &mut HashMap<PeerId, Dial>,
        event: SwarmEvent<ServiceBehaviourEvent>,
    ) {
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                self.links.opened(peer_id);
                if let Some(dial) = dials.remove(&peer_id) {
                    for (_, reply) in dial.waiters {
                        let _ = reply.send(Ok(()));
                    }
                }
            }
            SwarmEvent::ConnectionClosed {
                peer_id,
                num_established,
                ..
            } => self.links.closed(peer_id, num_established),
            SwarmEvent::OutgoingConnectionError {
                peer_id: Some(peer),
                error,
                ..
            } => self.on_dial_failure(dials, peer, &error),
            SwarmEvent::NewListenAddr { address, .. } => {
                self.listening.send_modify(|addresses| {
                    if !addresses.contains(&address) {
                        addresses.push(address);
                    }
                });
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.listening
                    .send_modify(|addresses| addresses.retain(|known| *known != address));
            }
            SwarmEvent::Behaviour(ServiceBehaviourEvent::Ping(ping::Event {
                peer,
                connection,
                result: Err(ping::Failure::Timeout),
            })) => {
                tracing::debug!(%peer, "closing a connection that no longer answers");
                self.swarm.close_connection(connection);
            }
            SwarmEvent::IncomingConnectionError {
                send_back_addr,
                error,
                ..
            } => {
                tracing::debug!(address = %send_back_addr, %error, "an incoming connection failed");
            }
            SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "a listener reported an error");
            }
            SwarmEvent::ListenerClosed {
                addresses, reason, ..
            } => {
                tracing::warn!(?addresses, ?reason, "a listener closed");
            }
            _ => {}
        }
    }

    /// Fails the waiters of the address that was tried and tries the next address, if a waiter knows one.
    fn on_dial_failure(
        &mut self,
        dials: &mut HashMap<PeerId, Dial>,
        peer: PeerId,
        error: &DialError,
    ) {
        let Some(dial) = dials.remove(&peer) else {
            return;
        };
        let reason = error.to_string();
        tracing::debug!(%peer, address = %dial.trying, %reason, "cannot connect");
        let mut others = Vec::new();
        for (address, reply) in dial.waiters {
            if address == dial.trying {
                let _ = reply.send(Err(reason.clone()));
            } else {
                others.push((address, reply));
            }
        }
        if let Some((next, _)) = others.first() {
            let dial = Dial {
                trying: next.clone(),
                waiters: others,
            };
            self.dial(dials, peer, dial);
        }
    }
}

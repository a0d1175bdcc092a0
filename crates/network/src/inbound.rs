//! Accept the streams of exchanges: one queue per exchange, a cap per peer.
//!
//! Streams are opened through libp2p-stream, but not accepted through it: its acceptor holds one stream and
//! drops the next, so that two honest callers in the same instant would find one of them refused. Here each
//! exchange has a bounded queue, and one peer can fill only a part of it.
//!
//! # Leakage
//!
//! Every known exchange is negotiated, also those nobody serves here, and closed without a byte: a stranger
//! cannot tell what this process serves, and absent looks like forbidden.

use crate::exchange;
use futures::future::{Ready, ready};
use libp2p::core::transport::PortUse;
use libp2p::core::upgrade::{DeniedUpgrade, InboundUpgrade, UpgradeInfo};
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
    NetworkBehaviour, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{PeerId, Stream, StreamProtocol};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// A name that every service agrees to and nobody serves: a caller who gets a stream of it knows that the
/// connection lives.
pub(crate) const PROBE: &str = "/caduceus/are-you-there/1";

/// A negotiated stream of one exchange.
pub(crate) struct Incoming {
    /// Who opened it.
    pub(crate) peer: PeerId,
    /// The network address of its connection.
    pub(crate) address: Multiaddr,
    /// The stream.
    pub(crate) stream: Stream,
    /// The peer's share of the exchange, given back when this is dropped.
    pub(crate) slot: Slot,
}

/// Which exchange goes to which queue; shared by all connections.
#[derive(Clone)]
pub(crate) struct Routes(Arc<Mutex<Table>>);

struct Table {
    routes: HashMap<&'static str, Route>,
    names: Arc<[StreamProtocol]>,
}

struct Route {
    queue: mpsc::Sender<Incoming>,
    per_peer: usize,
    busy: Busy,
}

/// Streams of an exchange by peer.
type Busy = Arc<Mutex<HashMap<PeerId, usize>>>;

/// One stream counted in [`Busy`].
pub(crate) struct Slot {
    peer: PeerId,
    busy: Busy,
}

impl Slot {
    fn take(busy: &Busy, peer: PeerId, limit: usize) -> Option<Self> {
        let mut counts = busy.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(peer).or_insert(0);
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(Self {
            peer,
            busy: Arc::clone(busy),
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}

impl Routes {
    /// No queue yet; all known exchanges are negotiated and refused.
    pub(crate) fn new() -> Self {
        let names = exchange::PROTOCOLS
            .iter()
            .copied()
            .chain([PROBE])
            .map(StreamProtocol::new)
            .collect();
        Self(Arc::new(Mutex::new(Table {
            routes: HashMap::new(),
            names,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the streams of an exchange to a queue. False if it has one already.
    pub(crate) fn add(
        &self,
        name: &'static str,
        queue: mpsc::Sender<Incoming>,
        per_peer: usize,
    ) -> bool {
        let mut table = self.lock();
        if table.routes.contains_key(name) {
            return false;
        }
        let route = Route {
            queue,
            per_peer,
            busy: Busy::default(),
        };
        table.routes.insert(name, route);
        if !table.names.iter().any(|known| *known == name) {
            let mut names = table.names.to_vec();
            names.push(StreamProtocol::new(name));
            table.names = names.into();
        }
        true
    }

    /// Forgets all queues, so that their readers come to an end.
    pub(crate) fn clear(&self) {
        self.lock().routes.clear();
    }

    fn names(&self) -> Arc<[StreamProtocol]> {
        Arc::clone(&self.lock().names)
    }

    /// Queues a stream, or drops it, which resets it.
    fn dispatch(&self, peer: PeerId, address: &Multiaddr, name: &str, stream: Stream) {
        let table = self.lock();
        let Some(route) = table.routes.get(name) else {
            tracing::debug!(%peer, exchange = name, "refused: not served here");
            return;
        };
        let Some(slot) = Slot::take(&route.busy, peer, route.per_peer) else {
            tracing::debug!(%peer, exchange = name, "refused: too many streams of one peer");
            return;
        };
        let incoming = Incoming {
            peer,
            address: address.clone(),
            stream,
            slot,
        };
        if route.queue.try_send(incoming).is_err() {
            tracing::debug!(%peer, exchange = name, "refused: the queue is full");
        }
    }
}

/// The part of the swarm that accepts exchanges.
pub(crate) struct Inbound {
    routes: Routes,
}

impl Inbound {
    pub(crate) fn new(routes: Routes) -> Self {
        Self { routes }
    }

    fn handler(&self, peer: PeerId, address: &Multiaddr) -> Handler {
        Handler {
            peer,
            address: address.clone(),
            routes: self.routes.clone(),
        }
    }
}

impl NetworkBehaviour for Inbound {
    type ConnectionHandler = Handler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(peer, remote))
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler(peer, address))
    }

    fn on_swarm_event(&mut self, _: FromSwarm<'_>) {}

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

/// Accepts the streams of one connection.
pub(crate) struct Handler {
    peer: PeerId,
    address: Multiaddr,
    routes: Routes,
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Infallible;
    type InboundProtocol = Accept;
    type OutboundProtocol = DeniedUpgrade;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Accept, ()> {
        SubstreamProtocol::new(
            Accept {
                names: self.routes.names(),
            },
            (),
        )
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<DeniedUpgrade, (), Infallible>> {
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn on_connection_event(&mut self, event: ConnectionEvent<'_, Accept, DeniedUpgrade, (), ()>) {
        if let ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
            protocol: (stream, name),
            info: (),
        }) = event
        {
            self.routes
                .dispatch(self.peer, &self.address, name.as_ref(), stream);
        }
    }
}

/// Negotiates any of the names and hands the stream over as it is.
pub(crate) struct Accept {
    names: Arc<[StreamProtocol]>,
}

impl UpgradeInfo for Accept {
    type Info = StreamProtocol;
    type InfoIter = std::vec::IntoIter<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.names.to_vec().into_iter()
    }
}

impl InboundUpgrade<Stream> for Accept {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, stream: Stream, name: StreamProtocol) -> Self::Future {
        ready(Ok((stream, name)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn one_peer_gets_its_share_and_gives_it_back() {
        let busy = Busy::default();
        let (loud, quiet) = (PeerId::random(), PeerId::random());
        let first = Slot::take(&busy, loud, 2).unwrap();
        let second = Slot::take(&busy, loud, 2).unwrap();
        assert!(Slot::take(&busy, loud, 2).is_none());
        let other = Slot::take(&busy, quiet, 2).unwrap();
        drop(first);
        let third = Slot::take(&busy, loud, 2).unwrap();
        drop((second, third, other));
        assert!(busy.lock().unwrap().is_empty(), "no peer is remembered");
    }

    #[test]
    fn an_exchange_has_one_queue() {
        let routes = Routes::new();
        let known = routes.names().len();
        let (queue, _reader) = mpsc::channel(1);
        assert!(routes.add("/caduceus/unheard-of/1", queue.clone(), 1));
        assert!(!routes.add("/caduceus/unheard-of/1", queue.clone(), 1));
        assert_eq!(routes.names().len(), known + 1);
        assert!(routes.add(exchange::PROTOCOLS[0], queue, 1));
        assert_eq!(
            routes.names().len(),
            known + 1,
            "known names are always offered"
        );
    }
}

//! One of the two nodes: service swarm, consensus swarm, chain.

use super::notes::Notes;
use anyhow::Context;
use caduceus_crypto::SecretKey;
use caduceus_ledger::Genesis;
use caduceus_network::{Limits, PeerAddr, Service, ServiceConfig};
use caduceus_node::service::anybody;
use caduceus_node::statesync::{self, Joined, serve_snapshots};
use caduceus_node::{
    BftSettings, ChainPolicy, Engine, Node, NodeConfig, NodeOptions, PeerRelay, RelayPeers,
    SystemClock, node::peer_id, serve_chain,
};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where a node listens.
pub(super) struct Place {
    key: SecretKey,
    service: u16,
    consensus: u16,
}

impl Place {
    /// Two, on ports that were free a moment ago.
    pub(super) fn pair(keys: [SecretKey; 2]) -> anyhow::Result<[Self; 2]> {
        let held = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0"));
        let mut ports = Vec::new();
        for listener in held {
            ports.push(listener?.local_addr()?.port());
        }
        let mut ports = ports.into_iter();
        let mut next = || ports.next().context("four ports were taken");
        let [first, second] = keys;
        Ok([
            Self {
                key: first,
                service: next()?,
                consensus: next()?,
            },
            Self {
                key: second,
                service: next()?,
                consensus: next()?,
            },
        ])
    }

    fn full(&self, port: u16) -> String {
        format!("{}/p2p/{}", listen(port), peer_id(&self.key.public()))
    }
}

fn listen(port: u16) -> String {
    format!("/ip4/127.0.0.1/tcp/{port}")
}

/// A running node.
pub(super) struct Member {
    pub(super) node: Arc<Node<Notes>>,
    pub(super) joined: Option<Joined>,
    /// Until the snapshot was in place.
    pub(super) join_time: Duration,
    service: Service,
}

impl Member {
    /// Starts it as the node programs do; its only peer is the other one.
    pub(super) async fn start(
        home: &Path,
        genesis: &Genesis,
        own: &Place,
        other: &Place,
        options: &NodeOptions,
    ) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let service = Service::start(ServiceConfig {
            key: &own.key,
            listen: vec![listen(own.service).parse()?],
            limits: Limits::default(),
        })
        .await?;
        let peers: Vec<PeerAddr> = vec![other.full(other.service).parse()?];
        let config = NodeConfig {
            home: home.to_path_buf(),
            genesis: genesis.clone(),
            key: own.key.clone(),
            moniker: format!("notes-{}", own.consensus),
            engine: Engine::Bft(BftSettings {
                listen: listen(own.consensus).parse()?,
                peers: vec![other.full(other.consensus).parse()?],
            }),
            clock: Arc::new(SystemClock),
            options: options.clone(),
        };
        let joined = statesync::join(&service, &peers, &config).await?;
        let join_time = begun.elapsed();
        let node = Node::start(config, Notes).await?;
        let relay = RelayPeers::new(peers);
        node.set_relay(Arc::new(PeerRelay::new(service.clone(), relay.clone())));
        let policy = ChainPolicy {
            program: "notes",
            submit: anybody(),
            query: anybody(),
            relay: relay.clone(),
        };
        serve_chain(&service, &node, policy);
        serve_snapshots(&service, &node, relay);
        Ok(Self {
            node,
            joined,
            join_time,
            service,
        })
    }

    pub(super) async fn stop(self) {
        self.service.shutdown().await;
        self.node.stop().await;
    }
}

//! A running node of the alliance chain: the chain's exchanges, what is linked, records on behalf of their owners,
//! and the proxy, which re-encrypts outside consensus.

mod forks;
mod fragments;
mod linked;
mod proxy;
mod records;

use crate::AllianceMachine;
use caduceus_cli::NetworkFile;
use caduceus_crypto::{HospitalId, SecretKey};
use caduceus_ledger::Genesis;
use caduceus_network::{Limits, Multiaddr, PeerAddr, Service, ServiceConfig, StartError};
use caduceus_node::service::anybody;
use caduceus_node::statesync::{self, serve_snapshots};
use caduceus_node::{
    ChainPolicy, Clock, Engine, Node, NodeConfig, NodeError, NodeHome, NodeOptions, PeerRelay,
    PeerWitness, RelayPeers, serve_chain,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::task::JoinHandle;

pub use fragments::{FragmentStore, FragmentStoreError};
pub use proxy::MAX_HEAD_AGE_MILLIS;

/// How a node reaches a hospital.
#[derive(Clone, Debug)]
pub struct HospitalRoute {
    /// The hospital's server.
    pub server: PeerAddr,
    /// Nodes of its private chain.
    pub private_nodes: Vec<PeerAddr>,
}

/// How to reach each hospital; shared, and replaced while the node runs.
#[derive(Clone, Debug, Default)]
pub struct Routes(Arc<RwLock<BTreeMap<HospitalId, HospitalRoute>>>);

impl Routes {
    /// Those of a network file. What does not parse in it is left out.
    fn read(network: &NetworkFile) -> BTreeMap<HospitalId, HospitalRoute> {
        let routes = network.hospitals.iter().filter_map(|hospital| {
            let id: HospitalId = hospital.id.parse().ok()?;
            let server: PeerAddr = hospital.server.parse().ok()?;
            let private_nodes = hospital
                .nodes
                .iter()
                .filter_map(|node| node.service.parse().ok())
                .collect();
            Some((
                id,
                HospitalRoute {
                    server,
                    private_nodes,
                },
            ))
        });
        routes.collect()
    }

    fn set(&self, routes: BTreeMap<HospitalId, HospitalRoute>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = routes;
    }

    /// The way to a hospital.
    fn to(&self, hospital: &HospitalId) -> Option<HospitalRoute> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(hospital)
            .cloned()
    }
}

/// All that an alliance node needs to start.
pub struct AllianceNodeConfig {
    /// Its folder.
    pub home: PathBuf,
    /// The chain.
    pub genesis: Genesis,
    /// Its key, on both swarms and as a proxy.
    pub key: SecretKey,
    /// Name in logs, unique in the process.
    pub moniker: String,
    /// The engine.
    pub engine: Engine,
    /// Where the service swarm listens.
    pub listen: Multiaddr,
    /// The other validators on the service swarm.
    pub peers: Vec<PeerAddr>,
    /// How to reach each hospital.
    pub hospitals: BTreeMap<HospitalId, HospitalRoute>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// What its operator set.
    pub options: NodeOptions,
}

impl AllianceNodeConfig {
    /// From a node's folder and the network file.
    pub fn from_home(home: NodeHome, network: &NetworkFile, clock: Arc<dyn Clock>) -> Self {
        Self {
            engine: home.engine(),
            peers: home.service_peers(),
            hospitals: Routes::read(network),
            home: home.path,
            genesis: home.genesis,
            key: home.key,
            moniker: home.file.moniker,
            listen: home.file.service_listen,
            options: home.file.options,
            clock,
        }
    }
}

/// Why an alliance node does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AllianceNodeError {
    /// The chain cannot be run.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The service swarm cannot listen.
    #[error(transparent)]
    Service(#[from] StartError),
    /// The proxy's fragments cannot be read.
    #[error(transparent)]
    Fragments(#[from] FragmentStoreError),
}

/// A running alliance node.
pub struct AllianceNode {
    /// The chain node.
    pub node: Arc<Node<AllianceMachine>>,
    /// Its service swarm.
    pub service: Service,
    /// The proxy's fragments.
    pub fragments: Arc<FragmentStore>,
    relay: RelayPeers,
    routes: Routes,
    eraser: JoinHandle<()>,
}

impl AllianceNode {
    /// Starts it.
    ///
    /// # Errors
    /// [`AllianceNodeError`] says what is in the way.
    pub async fn start(config: AllianceNodeConfig) -> Result<Self, AllianceNodeError> {
        let service = Service::start(ServiceConfig {
            key: &config.key,
            listen: vec![config.listen],
            limits: Limits::default(),
        })
        .await?;
        let fragments = Arc::new(FragmentStore::open(
            &config.home.join("fragments"),
            &config.key,
        )?);
        let chain = NodeConfig {
            home: config.home,
            genesis: config.genesis,
            key: config.key.clone(),
            moniker: config.moniker,
            engine: config.engine,
            clock: config.clock,
            options: config.options,
        };
        // Without a snapshot the node catches up block by block, as it would have anyhow.
        if let Err(error) = statesync::join(&service, &config.peers, &chain).await {
            tracing::warn!(%error, "the node does not join by a snapshot");
        }
        let node = Node::open(chain, AllianceMachine)?;
        let relay = RelayPeers::new(config.peers);
        node.set_relay(Arc::new(PeerRelay::new(service.clone(), relay.clone())));
        let witness = PeerWitness::new(service.clone(), node.chain().clone(), relay.clone());
        node.set_witness(Arc::new(witness));
        let policy = ChainPolicy {
            program: "alliance-chain",
            submit: anybody(),
            query: anybody(),
            relay: relay.clone(),
        };
        serve_chain(&service, &node, policy);
        serve_snapshots(&service, &node, relay.clone());
        node.start_engine();
        let routes = Routes::default();
        routes.set(config.hospitals);
        records::serve(&service, &node, config.key.clone(), routes.clone());
        forks::watch(&node, config.key.clone());
        linked::serve(&service, &node);
        proxy::serve(&service, &node, config.key, fragments.clone());
        let eraser = tokio::spawn(proxy::erase_ended(node.clone(), fragments.clone()));
        Ok(Self {
            node,
            service,
            fragments,
            relay,
            routes,
            eraser,
        })
    }

    /// Takes over peers and hospitals from a node's folder and the network file, read again. Addresses to listen on,
    /// keys and options are those that it was started with.
    pub fn reload(&self, home: &NodeHome, network: &NetworkFile) {
        self.relay.set(home.service_peers());
        self.node.set_peers(home.consensus_peers());
        self.routes.set(Routes::read(network));
    }

    /// Stops serving, then the engine.
    pub async fn stop(&self) {
        self.eraser.abort();
        self.service.shutdown().await;
        self.node.stop().await;
    }
}

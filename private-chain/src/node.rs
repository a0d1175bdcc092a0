//! A running node of a hospital's private chain: the chain's exchanges, anchors and tag counters.

mod anchors;
mod audit;

use crate::audit_log::operator_key;
use crate::state::HospitalKeys;
use crate::{PrivateMachine, query};
use caduceus_cli::NetworkFile;
use caduceus_crypto::{PublicKey, SecretKey};
use caduceus_ledger::{Genesis, Height};
use caduceus_network::{Limits, Multiaddr, Peer, PeerAddr, Service, ServiceConfig, StartError};
use caduceus_node::service::Authorise;
use caduceus_node::statesync::{self, serve_snapshots};
use caduceus_node::{
    ChainPolicy, Clock, Engine, Node, NodeConfig, NodeError, NodeHome, NodeOptions, PeerRelay,
    PeerWitness, RelayPeers, serve_chain,
};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::task::block_in_place;

pub use audit::{AuditLogError, NodeAudit};

/// All that a private node needs to start.
pub struct PrivateNodeConfig {
    /// Its folder.
    pub home: PathBuf,
    /// The chain.
    pub genesis: Genesis,
    /// Its key, on both swarms.
    pub key: SecretKey,
    /// Name in logs, unique in the process.
    pub moniker: String,
    /// The engine.
    pub engine: Engine,
    /// Where the service swarm listens.
    pub listen: Multiaddr,
    /// The other validators on the service swarm.
    pub peers: Vec<PeerAddr>,
    /// Who may query state, fetch anchors and ask for tag counters besides the hospital's own keys and enrolled
    /// staff: the hospital's key service.
    pub queriers: BTreeSet<PublicKey>,
    /// Who may fetch anchors and nothing else: alliance nodes.
    pub anchor_readers: BTreeSet<PublicKey>,
    /// The hospital's server, which has the keys of the audit log's buckets too.
    pub server: Option<PeerAddr>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// What its operator set.
    pub options: NodeOptions,
}

/// Who may read a private node, besides the hospital's own keys and staff.
#[derive(Default)]
struct Readers {
    queriers: BTreeSet<PublicKey>,
    anchor_readers: BTreeSet<PublicKey>,
}

impl Readers {
    /// Those of a network file. What does not parse in it is left out.
    fn read(home: &NodeHome, network: &NetworkFile) -> Self {
        let nodes = network
            .alliance
            .nodes
            .iter()
            .filter_map(|node| node.key.parse().ok());
        let chain = home.genesis.chain_id().to_string();
        let own = network
            .hospitals
            .iter()
            .filter(|hospital| hospital.chain_id.eq_ignore_ascii_case(&chain));
        let services = own.filter_map(|hospital| {
            let address: PeerAddr = hospital.keys.parse().ok()?;
            Peer::new(address.id, address.address).key
        });
        Self {
            queriers: services.collect(),
            anchor_readers: nodes.collect(),
        }
    }
}

/// The address of the hospital's server in a network file; none if it is not there or does not parse.
fn server(home: &NodeHome, network: &NetworkFile) -> Option<PeerAddr> {
    let chain = home.genesis.chain_id().to_string();
    let mut hospitals = network.hospitals.iter();
    let own = hospitals.find(|hospital| hospital.chain_id.eq_ignore_ascii_case(&chain));
    own?.server.parse().ok()
}

impl PrivateNodeConfig {
    /// From a node's folder and the network file. Alliance nodes fetch anchors, the key service of this chain's
    /// hospital reads who is enrolled; other hospitals read nothing.
    pub fn from_home(home: NodeHome, network: &NetworkFile, clock: Arc<dyn Clock>) -> Self {
        let readers = Readers::read(&home, network);
        Self {
            server: server(&home, network),
            engine: home.engine(),
            peers: home.service_peers(),
            queriers: readers.queriers,
            anchor_readers: readers.anchor_readers,
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

/// Why a private node does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateNodeError {
    /// The chain cannot be run.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The service swarm cannot listen.
    #[error(transparent)]
    Service(#[from] StartError),
    /// The genesis is not that of a private chain.
    #[error("{0}")]
    Genesis(String),
    /// The audit log cannot be opened.
    #[error(transparent)]
    Audit(#[from] AuditLogError),
}

/// A running private node.
pub struct PrivateNode {
    /// The chain node.
    pub node: Arc<Node<PrivateMachine>>,
    /// Its service swarm.
    pub service: Service,
    /// Its audit log.
    pub audit: NodeAudit,
    relay: RelayPeers,
    readers: Arc<RwLock<Readers>>,
}

impl PrivateNode {
    /// Starts it.
    ///
    /// # Errors
    /// [`PrivateNodeError`] says what is in the way.
    pub async fn start(config: PrivateNodeConfig) -> Result<Self, PrivateNodeError> {
        crate::genesis::PrivateGenesis::decode(&config.genesis.app)
            .map_err(|e| PrivateNodeError::Genesis(e.to_string()))?;
        let service = Service::start(ServiceConfig {
            key: &config.key,
            listen: vec![config.listen],
            limits: Limits::default(),
        })
        .await?;
        let (home, key) = (config.home.clone(), config.key.clone());
        let chain = NodeConfig {
            home: config.home,
            genesis: config.genesis,
            key: config.key,
            moniker: config.moniker,
            engine: config.engine,
            clock: config.clock,
            options: config.options,
        };
        // Without a snapshot the node catches up block by block, as it would have anyhow.
        if let Err(error) = statesync::join(&service, &config.peers, &chain).await {
            tracing::warn!(%error, "the node does not join by a snapshot");
        }
        let operator = operator_key(&chain.key).public();
        let node = Node::open(chain, PrivateMachine)?;
        let relay = RelayPeers::new(config.peers);
        node.set_relay(Arc::new(PeerRelay::new(service.clone(), relay.clone())));
        let witness = PeerWitness::new(service.clone(), node.chain().clone(), relay.clone());
        node.set_witness(Arc::new(witness));
        let readers = Arc::new(RwLock::new(Readers {
            queriers: config.queriers,
            anchor_readers: config.anchor_readers,
        }));
        let queriers = queriers(&node, operator, readers.clone());
        let policy = ChainPolicy {
            program: "private-chain",
            submit: hospital(&node),
            query: queriers.clone(),
            relay: relay.clone(),
        };
        serve_chain(&service, &node, policy);
        serve_snapshots(&service, &node, relay.clone());
        let audit = block_in_place(|| {
            let (relay, hospital) = (relay.clone(), hospital(&node));
            NodeAudit::start(&home, &key, &service, &node, relay, config.server, hospital)
        })?;
        node.start_engine();
        let others = readers.clone();
        let anchor_readers: Authorise = Arc::new(move |peer: &Peer| {
            let readers = others.read().unwrap_or_else(PoisonError::into_inner);
            peer.key
                .as_ref()
                .is_some_and(|key| readers.anchor_readers.contains(key))
        });
        anchors::serve(&service, &node, queriers, anchor_readers);
        Ok(Self {
            node,
            service,
            audit,
            relay,
            readers,
        })
    }

    /// Takes over peers and readers from a node's folder and the network file, read again. Addresses to listen on,
    /// keys and options are those that it was started with.
    pub fn reload(&self, home: &NodeHome, network: &NetworkFile) {
        self.relay.set(home.service_peers());
        self.node.set_peers(home.consensus_peers());
        self.audit.set_server(server(home, network));
        let readers = Readers::read(home, network);
        *self.readers.write().unwrap_or_else(PoisonError::into_inner) = readers;
    }

    /// Stops serving, then the audit log and the engine.
    pub async fn stop(&self) {
        self.service.shutdown().await;
        self.audit.stop().await;
        self.node.stop().await;
    }
}

/// The hospital's identity and server key, as the chain has them now: a key in its grace counts.
fn hospital(node: &Arc<Node<PrivateMachine>>) -> Authorise {
    let node = node.clone();
    let known: Mutex<Option<(Height, HospitalKeys)>> = Mutex::new(None);
    Arc::new(move |peer: &Peer| {
        let Some(key) = &peer.key else { return false };
        let newest = node.chain().newest_begun();
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref().is_none_or(|(at, _)| *at < newest) {
            let read = node.chain().snapshot().ok();
            *known = read.and_then(|snapshot| {
                let height = Height(snapshot.newest_height().ok()?);
                Some((height, query::hospital_keys(&snapshot).ok()?))
            });
        }
        let now = node.chain().now();
        known
            .as_ref()
            .is_some_and(|(_, keys)| keys.is_own(key, now))
    })
}

/// The hospital's own keys, the key of the node's operator, those that the network file names, and staff
/// enrolled and not suspended.
fn queriers(
    node: &Arc<Node<PrivateMachine>>,
    operator: PublicKey,
    readers: Arc<RwLock<Readers>>,
) -> Authorise {
    let (node, hospital) = (node.clone(), hospital(node));
    Arc::new(move |peer: &Peer| {
        let Some(key) = &peer.key else { return false };
        let named = readers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .queriers
            .contains(key);
        if named || *key == operator || hospital(peer) {
            return true;
        }
        let Ok(snapshot) = node.chain().snapshot() else {
            return false;
        };
        let now = node.chain().now();
        matches!(query::staff(&snapshot, key), Ok(Some(staff)) if staff.covers(now) && staff.suspended_at.is_none())
    })
}

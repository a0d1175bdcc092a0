//! A running node of a hospital's private chain: the chain's exchanges, anchors and tag counters.

mod anchors;

use crate::{PrivateMachine, query};
use caduceus_cli::NetworkFile;
use caduceus_crypto::{PublicKey, SecretKey};
use caduceus_ledger::Genesis;
use caduceus_network::{Limits, Multiaddr, Peer, PeerAddr, Service, ServiceConfig, StartError};
use caduceus_node::service::Authorise;
use caduceus_node::statesync::{self, serve_snapshots};
use caduceus_node::{
    ChainPolicy, Clock, Engine, Node, NodeConfig, NodeError, NodeHome, NodeOptions, PeerRelay,
    serve_chain,
};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

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
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// What its operator set.
    pub options: NodeOptions,
}

impl PrivateNodeConfig {
    /// From a node's folder and the network file. Alliance nodes fetch anchors, the key service of this chain's
    /// hospital reads who is enrolled; other hospitals read nothing.
    pub fn from_home(home: NodeHome, network: &NetworkFile, clock: Arc<dyn Clock>) -> Self {
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
            engine: home.engine(),
            peers: home.service_peers(),
            queriers: services.collect(),
            anchor_readers: nodes.collect(),
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
}

/// A running private node.
pub struct PrivateNode {
    /// The chain node.
    pub node: Arc<Node<PrivateMachine>>,
    /// Its service swarm.
    pub service: Service,
}

impl PrivateNode {
    /// Starts it.
    ///
    /// # Errors
    /// [`PrivateNodeError`] says what is in the way.
    pub async fn start(config: PrivateNodeConfig) -> Result<Self, PrivateNodeError> {
        let own = crate::genesis::PrivateGenesis::decode(&config.genesis.app)
            .map_err(|e| PrivateNodeError::Genesis(e.to_string()))?;
        let validators: BTreeSet<PublicKey> =
            config.genesis.validators.iter().map(|v| v.key).collect();
        let service = Service::start(ServiceConfig {
            key: &config.key,
            listen: vec![config.listen],
            limits: Limits::default(),
        })
        .await?;
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
        let node = Node::start(chain, PrivateMachine).await?;
        node.set_relay(Arc::new(PeerRelay::new(
            service.clone(),
            config.peers.clone(),
        )));
        let owners = [own.identity, own.server];
        let queriers = queriers(&node, owners.into_iter().chain(config.queriers).collect());
        let policy = ChainPolicy {
            program: "private-chain",
            submit: caduceus_node::service::holders_of(owners),
            query: queriers.clone(),
            validators,
        };
        serve_chain(&service, &node, policy);
        serve_snapshots(&service, &node, config.peers);
        anchors::serve(&service, &node, queriers, config.anchor_readers);
        Ok(Self { node, service })
    }

    /// Stops serving, then the engine.
    pub async fn stop(&self) {
        self.service.shutdown().await;
        self.node.stop().await;
    }
}

/// Fixed keys, and staff enrolled on the chain and not suspended.
fn queriers(node: &Arc<Node<PrivateMachine>>, fixed: BTreeSet<PublicKey>) -> Authorise {
    let node = node.clone();
    Arc::new(move |peer: &Peer| {
        let Some(key) = &peer.key else { return false };
        if fixed.contains(key) {
            return true;
        }
        let Ok(snapshot) = node.chain().snapshot() else {
            return false;
        };
        let now = node.chain().now();
        matches!(query::staff(&snapshot, key), Ok(Some(staff)) if staff.covers(now) && staff.suspended_at.is_none())
    })
}

//! One running chain: folders that learn of each other, and submitting to its nodes.

use crate::layout::{free_ports, write_key};
use anyhow::{Context, bail};
use caduceus_crypto::SecretKey;
use caduceus_ledger::{Address, Genesis, StateMachine, Validator, ValidatorSet};
use caduceus_network::exchange::{Submit, SubmitReply, SubmitRequest};
use caduceus_network::{Limits, PeerAddr, Service, ServiceConfig, peer_id};
use caduceus_node::home::{NodeFile, PeerEntry};
use caduceus_node::{Node, NodeHome, NodeOptions};
use rand_core::OsRng;
use std::path::PathBuf;
use std::time::Duration;

/// A chain whose nodes run in this process.
pub struct Chain<N> {
    /// The nodes' folders.
    pub homes: Vec<PathBuf>,
    /// The nodes, in the same order.
    pub nodes: Vec<N>,
    /// The chain.
    pub genesis: Genesis,
    service: Service,
}

/// Where a transaction was committed.
#[derive(Clone, Copy, Debug)]
pub struct Committed {
    /// Height of the block.
    pub height: u64,
    /// Position in the block.
    pub index: u32,
}

/// What a node says to a transaction.
pub enum Answer {
    /// It is committed.
    Committed(Committed),
    /// A rule refuses it.
    Refused(String),
    /// Nothing that settles it.
    Unsettled(String),
}

/// A service under a key, that only asks.
pub async fn asking(key: &SecretKey) -> anyhow::Result<Service> {
    Ok(Service::start(ServiceConfig {
        key,
        listen: Vec::new(),
        limits: Limits::default(),
    })
    .await?)
}

/// Submits to one node and waits for the block.
pub async fn submit_to(service: &Service, node: &PeerAddr, tx: &[u8]) -> Answer {
    let request = SubmitRequest {
        tx: tx.to_vec(),
        wait: true,
    };
    match service.call::<Submit>(node, request).await {
        Ok(SubmitReply::Committed { height, index, .. }) => {
            Answer::Committed(Committed { height, index })
        }
        Ok(SubmitReply::Rejected { rule, detail }) => Answer::Refused(format!("{rule}: {detail}")),
        Ok(SubmitReply::Accepted) => Answer::Unsettled("not committed in time".to_owned()),
        Ok(SubmitReply::Unavailable { detail }) => Answer::Unsettled(detail),
        Err(error) => Answer::Unsettled(error.to_string()),
    }
}

/// Whether a validator signed the newest block's certificate.
pub fn signs<M: StateMachine>(node: &Node<M>, validator: &Address) -> anyhow::Result<bool> {
    let Some(head) = node.chain().head()? else {
        return Ok(false);
    };
    let mut signatures = head.certificate.signatures.iter();
    Ok(signatures.any(|(address, _)| address == validator))
}

fn entry(home: &NodeHome) -> PeerEntry {
    let id = peer_id(&home.key.public());
    PeerEntry {
        service: PeerAddr {
            id,
            address: home.file.service_listen.clone(),
        },
        consensus: PeerAddr {
            id,
            address: home.file.consensus_listen.clone(),
        },
    }
}

impl<N> Chain<N> {
    /// A chain with these folders; transactions are submitted from a fresh peer.
    pub async fn new(homes: Vec<PathBuf>, genesis: Genesis) -> anyhow::Result<Self> {
        let service = asking(&SecretKey::generate(&mut OsRng)).await?;
        Ok(Self {
            homes,
            nodes: Vec::new(),
            genesis,
            service,
        })
    }

    /// Submits from a peer with this key from now on: private nodes answer their hospital alone.
    pub async fn submit_as(&mut self, key: &SecretKey) -> anyhow::Result<()> {
        self.service.shutdown().await;
        self.service = asking(key).await?;
        Ok(())
    }

    fn read(&self) -> anyhow::Result<Vec<NodeHome>> {
        let homes = self.homes.iter();
        Ok(homes
            .map(|home| NodeHome::load(home))
            .collect::<Result<_, _>>()?)
    }

    /// The nodes' service addresses.
    pub fn addresses(&self) -> anyhow::Result<Vec<PeerAddr>> {
        Ok(self
            .read()?
            .iter()
            .map(|home| entry(home).service)
            .collect())
    }

    /// The validator address of a node.
    pub fn address(&self, n: usize) -> anyhow::Result<Address> {
        Ok(Address::of(&NodeHome::load(&self.homes[n])?.key.public()))
    }

    /// Voters of equal power.
    pub fn set_of(&self, nodes: std::ops::Range<usize>) -> anyhow::Result<ValidatorSet> {
        let validators = self.read()?[nodes]
            .iter()
            .map(|home| Validator {
                key: home.key.public(),
                power: 1,
            })
            .collect();
        Ok(ValidatorSet::new(validators)?)
    }

    /// Makes the folder of one more node, and tells every folder of all nodes.
    pub fn add_home(&mut self) -> anyhow::Result<PathBuf> {
        let homes = self.read()?;
        let first = homes.first().context("a chain has a node")?;
        let folder = first.path.with_file_name(format!("n{}", homes.len()));
        caduceus_cli::create_private_dir(&folder)?;
        let ports = free_ports(2)?;
        let listen = |port: u16| format!("/ip4/127.0.0.1/tcp/{port}").parse();
        let file = NodeFile {
            moniker: format!("{}-joined", first.file.moniker),
            service_listen: listen(ports[0])?,
            consensus_listen: listen(ports[1])?,
            peers: Vec::new(),
            options: NodeOptions::default(),
            ..first.file.clone()
        };
        std::fs::write(folder.join("node.toml"), file.to_text()?)?;
        write_key(&folder.join("node.key"), &SecretKey::generate(&mut OsRng))?;
        self.homes.push(folder.clone());
        let homes = self.read()?;
        for home in &homes {
            let peers = homes
                .iter()
                .filter(|other| other.path != home.path)
                .map(entry)
                .collect();
            let file = NodeFile {
                peers,
                ..home.file.clone()
            };
            std::fs::write(home.path.join("node.toml"), file.to_text()?)?;
        }
        Ok(folder)
    }

    /// Submits to one node after the other until a block holds it.
    pub async fn submit(&self, tx: &[u8]) -> anyhow::Result<Committed> {
        let addresses = self.addresses()?;
        let mut said = String::new();
        for node in addresses.iter().cycle().take(3 * addresses.len()) {
            match submit_to(&self.service, node, tx).await {
                Answer::Committed(place) => return Ok(place),
                Answer::Refused(reason) => bail!("refused: {reason}"),
                Answer::Unsettled(reason) => said = reason,
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("no node commits it: {said}")
    }

    /// Closes the connection that submits.
    pub async fn close(&self) {
        self.service.shutdown().await;
    }
}

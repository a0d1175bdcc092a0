//! Deeds get their entries from the hospital's server.

use super::drain::DeedSink;
use async_trait::async_trait;
use caduceus_cli::NetworkFile;
use caduceus_crypto::PublicKey;
use caduceus_ledger::ChainKind;
use caduceus_network::exchange::{Deed, LogDeed, Reply};
use caduceus_network::{PeerAddr, Service};
use caduceus_node::NodeHome;

/// The server of the hospital that runs a node.
pub struct HospitalServer {
    service: Service,
    server: PeerAddr,
}

impl HospitalServer {
    /// As the network file names it: the hospital of the private chain, or the one that runs this alliance node. None
    /// if it names no such hospital: deeds wait then. The service speaks under the node's key.
    pub fn of(home: &NodeHome, network: &NetworkFile, service: &Service) -> Option<Self> {
        let server = match home.genesis.kind {
            ChainKind::Private => {
                let chain = home.genesis.chain_id().to_string();
                let mut hospitals = network.hospitals.iter();
                let own = hospitals.find(|entry| entry.chain_id.eq_ignore_ascii_case(&chain));
                own?.server.parse().ok()?
            }
            ChainKind::Alliance => {
                let key = home.key.public();
                let mut nodes = network.alliance.nodes.iter();
                let own = nodes.find(|node| node.key.parse::<PublicKey>() == Ok(key))?;
                let name = own.hospital.as_deref()?;
                network.hospital(name).ok()?.server.parse().ok()?
            }
        };
        Some(Self {
            service: service.clone(),
            server,
        })
    }
}

#[async_trait]
impl DeedSink for HospitalServer {
    async fn log(&self, deed: &Deed) -> Result<(), String> {
        let reply = self.service.call::<LogDeed>(&self.server, deed.clone());
        match reply.await {
            Ok(Reply::Done(_)) => Ok(()),
            Ok(Reply::Denied { rule, detail }) => Err(format!("{rule}: {detail}")),
            Ok(Reply::Later { detail, .. }) => Err(detail),
            Err(error) => Err(format!("the hospital's server: {error}")),
        }
    }
}

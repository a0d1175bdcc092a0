//! What the network file says about one hospital and the alliance, checked and typed.

use caduceus_cli::NetworkFile;
use caduceus_crypto::{Hash, HospitalId, PublicKey};
use caduceus_ledger::ChainId;
use caduceus_network::{Peer, PeerAddr};
use std::str::FromStr;

/// A hospital's services and chain, and the alliance's nodes.
#[derive(Clone, Debug)]
pub struct HospitalMap {
    /// Name for people.
    pub name: String,
    /// The hospital.
    pub hospital: HospitalId,
    /// Identity key: signs receipts and enrolments.
    pub identity: PublicKey,
    /// I: the public index key.
    pub index_key: PublicKey,
    /// `hospital-server serve`.
    pub server: PeerAddr,
    /// The key that the server proves.
    pub server_key: PublicKey,
    /// `hospital-server keys`.
    pub keys: PeerAddr,
    /// The key that the key service proves; pair secrets are sealed to it.
    pub keys_key: PublicKey,
    /// The private chain.
    pub private_chain: ChainId,
    /// Its nodes.
    pub private_nodes: Vec<PeerAddr>,
    /// The alliance chain.
    pub alliance_chain: ChainId,
    /// Its nodes.
    pub alliance_nodes: Vec<PeerAddr>,
    /// The keys that those nodes prove.
    pub alliance_keys: Vec<PublicKey>,
}

/// Why a network file does not serve here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// The file has no such hospital.
    #[error("the network file has no hospital {wanted:?}")]
    NoHospital {
        /// What was looked for.
        wanted: String,
    },
    /// A field does not hold what it should.
    #[error("the network file's {field} of hospital {hospital:?} is wrong: {found:?}")]
    Field {
        /// The hospital.
        hospital: String,
        /// The field.
        field: &'static str,
        /// What is there.
        found: String,
    },
    /// The identifier is not the one of the identity key.
    #[error("the network file's id of hospital {hospital:?} does not belong to its identity key")]
    Identity {
        /// The hospital.
        hospital: String,
    },
}

impl HospitalMap {
    /// Reads one hospital, by name or by the beginning of its identifier.
    ///
    /// # Errors
    /// [`MapError`] names the field.
    pub fn read(network: &NetworkFile, wanted: &str) -> Result<Self, MapError> {
        let entry = network.hospital(wanted).map_err(|_| MapError::NoHospital {
            wanted: wanted.to_owned(),
        })?;
        let name = entry.name.as_str();
        let hospital: HospitalId = field(name, "id", &entry.id)?;
        let identity: PublicKey = field(name, "identity_key", &entry.identity_key)?;
        if HospitalId::from_identity(&identity) != hospital {
            return Err(MapError::Identity {
                hospital: name.to_owned(),
            });
        }
        let server: PeerAddr = field(name, "server", &entry.server)?;
        let keys: PeerAddr = field(name, "keys", &entry.keys)?;
        let private_chain: Hash = field(name, "chain_id", &entry.chain_id)?;
        let alliance_chain: Hash = field(name, "alliance.chain_id", &network.alliance.chain_id)?;
        let mut private_nodes = Vec::with_capacity(entry.nodes.len());
        for node in &entry.nodes {
            private_nodes.push(field::<PeerAddr>(name, "nodes.service", &node.service)?);
        }
        let mut alliance_nodes = Vec::with_capacity(network.alliance.nodes.len());
        let mut alliance_keys = Vec::with_capacity(network.alliance.nodes.len());
        for node in &network.alliance.nodes {
            alliance_nodes.push(field::<PeerAddr>(
                name,
                "alliance.nodes.service",
                &node.service,
            )?);
            alliance_keys.push(field::<PublicKey>(name, "alliance.nodes.key", &node.key)?);
        }
        Ok(Self {
            name: entry.name.clone(),
            hospital,
            identity,
            index_key: field(name, "index_key", &entry.index_key)?,
            server_key: key_of(name, "server", &server)?,
            server,
            keys_key: key_of(name, "keys", &keys)?,
            keys,
            private_chain: ChainId(private_chain),
            private_nodes,
            alliance_chain: ChainId(alliance_chain),
            alliance_nodes,
            alliance_keys,
        })
    }
}

fn field<T: FromStr>(hospital: &str, field: &'static str, found: &str) -> Result<T, MapError> {
    found.parse().map_err(|_| MapError::Field {
        hospital: hospital.to_owned(),
        field,
        found: found.to_owned(),
    })
}

/// The key inside an address's peer identifier.
fn key_of(hospital: &str, field: &'static str, address: &PeerAddr) -> Result<PublicKey, MapError> {
    let peer = Peer::new(address.id, address.address.clone());
    peer.key.ok_or_else(|| MapError::Field {
        hospital: hospital.to_owned(),
        field,
        found: address.to_string(),
    })
}

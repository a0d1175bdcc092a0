//! What the network file says about one hospital and the alliance, checked and typed.

use caduceus_cli::NetworkFile;
use caduceus_crypto::evidence::Receipt;
use caduceus_crypto::index::SchemeId;
use caduceus_crypto::{Hash, HospitalId, MetaAddress, PublicKey};
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
    /// Identity keys before it, the first one first: what was signed with them still binds the hospital.
    pub former_identities: Vec<PublicKey>,
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
    /// The keys of the nodes that the hospital runs: those of its private chain, and its own of the alliance.
    pub operated_keys: Vec<PublicKey>,
    /// Index scheme of the network.
    pub index_scheme: SchemeId,
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
    #[error(
        "the network file's id of hospital {hospital:?} does not belong to its first identity key"
    )]
    Identity {
        /// The hospital.
        hospital: String,
    },
}

impl HospitalMap {
    /// Reads the hospital whose identity key this is.
    ///
    /// # Errors
    /// [`MapError`] names the field.
    pub fn of_identity(network: &NetworkFile, identity: &PublicKey) -> Result<Self, MapError> {
        let own = network
            .hospitals
            .iter()
            .find(|entry| entry.identity_key.parse() == Ok(*identity));
        // Where there is none, the hospital's first name for the key says which one is missing.
        let wanted = own.map_or_else(
            || HospitalId::from_identity(identity).to_string(),
            |entry| entry.name.clone(),
        );
        Self::read(network, &wanted)
    }

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
        let mut former_identities = Vec::with_capacity(entry.former_identity_keys.len());
        for former in &entry.former_identity_keys {
            former_identities.push(field::<PublicKey>(name, "former_identity_keys", former)?);
        }
        let first = former_identities.first().unwrap_or(&identity);
        if HospitalId::from_identity(first) != hospital {
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
        let mut operated_keys: Vec<PublicKey> = private_nodes
            .iter()
            .filter_map(|node| Peer::new(node.id, node.address.clone()).key)
            .collect();
        for node in &network.alliance.nodes {
            if node.hospital.as_ref() == Some(&entry.name) {
                operated_keys.push(field::<PublicKey>(name, "alliance.nodes.key", &node.key)?);
            }
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
            former_identities,
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
            operated_keys,
            index_scheme: field(name, "index_scheme", &network.index_scheme)?,
        })
    }
}

impl HospitalMap {
    /// Whether the hospital signed a receipt, with its present identity key or one before.
    #[must_use]
    pub fn is_signer_of(&self, receipt: &Receipt) -> bool {
        std::iter::once(&self.identity)
            .chain(&self.former_identities)
            .any(|key| receipt.verify(key).is_ok())
    }
}

/// Whether records for this meta-address can be indexed by a scheme: one that searches with a key of the patient's
/// own needs that key in it, and `tags` has no use for one.
#[must_use]
pub fn fits_scheme(scheme: SchemeId, meta: &MetaAddress) -> bool {
    meta.index.is_some() == (scheme != SchemeId::Tags)
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

/// The same meta-address with an index key: the generator of G1, which serves as well as any point.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) fn with_index_key(meta: MetaAddress) -> MetaAddress {
    const GENERATOR: &str = "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac58\
        6c55e83ff97a1aeffb3af00adb22c6bb";
    let bytes: [u8; 48] = hex::decode(GENERATOR).unwrap().try_into().unwrap();
    let key = caduceus_crypto::index::SchemeKey::from_bytes(&bytes).unwrap();
    MetaAddress {
        index: Some(key),
        ..meta
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use caduceus_crypto::SecretKey;
    use rand_core::OsRng;

    /// A network file with one hospital.
    fn network(before: &str) -> NetworkFile {
        let keys: Vec<PublicKey> = (0..4)
            .map(|_| SecretKey::generate(&mut OsRng).public())
            .collect();
        let at = |n: usize| {
            let id = caduceus_network::peer_id(&keys[n]);
            format!("/ip4/127.0.0.1/tcp/{}/p2p/{id}", n + 1)
        };
        let text = format!(
            r#"
{before}
[alliance]
genesis = "alliance.genesis"
chain_id = "{chain}"
[[alliance.nodes]]
name = "a1"
service = "{node}"
key = "{key}"
[[hospitals]]
name = "North"
id = "{id}"
identity_key = "{identity}"
server = "{server}"
keys = "{service}"
index_key = "{identity}"
chain_id = "{chain}"
"#,
            chain = "c1".repeat(32),
            node = at(0),
            key = keys[0],
            id = HospitalId::from_identity(&keys[1]),
            identity = keys[1],
            server = at(2),
            service = at(3),
        );
        NetworkFile::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_scheme_is_the_networks_and_tags_if_it_says_nothing() {
        let scheme = |before: &str| {
            HospitalMap::read(&network(before), "North")
                .unwrap()
                .index_scheme
        };
        assert_eq!(scheme(""), SchemeId::Tags);
        for expected in SchemeId::ALL {
            assert_eq!(scheme(&format!("index_scheme = \"{expected}\"")), expected);
        }
    }

    #[test]
    fn a_hospital_that_changed_its_keys_is_still_itself() {
        let [first, second, other]: [PublicKey; 3] =
            std::array::from_fn(|_| SecretKey::generate(&mut OsRng).public());
        let mut network = network("");
        let entry = &mut network.hospitals[0];
        entry.id = HospitalId::from_identity(&first).to_string();
        entry.identity_key = second.to_string();
        let found = HospitalMap::read(&network, "North");
        assert!(matches!(found, Err(MapError::Identity { .. })), "{found:?}");
        network.hospitals[0].former_identity_keys = vec![first.to_string()];
        let map = HospitalMap::of_identity(&network, &second).unwrap();
        assert_eq!(map.hospital, HospitalId::from_identity(&first));
        assert_eq!(map.identity, second);
        assert_eq!(map.former_identities, [first]);
        let found = HospitalMap::of_identity(&network, &other);
        assert!(
            matches!(found, Err(MapError::NoHospital { .. })),
            "{found:?}"
        );
    }

    #[test]
    fn only_tags_go_without_an_index_key() {
        let key = || SecretKey::generate(&mut OsRng).public();
        let bare = MetaAddress::new(key(), key());
        for scheme in SchemeId::ALL {
            assert_eq!(fits_scheme(scheme, &bare), scheme == SchemeId::Tags);
            assert_eq!(
                fits_scheme(scheme, &with_index_key(bare)),
                scheme != SchemeId::Tags
            );
        }
    }
}

//! The network file and the genesis beside it: what a client trusts.

use crate::error::ClientError;
use crate::session::{Alliance, ConnectOptions};
use alliance_chain::AllianceGenesis;
use caduceus_cli::{CliError, HospitalEntry, NetworkFile, read_limited};
use caduceus_crypto::index::SchemeId;
use caduceus_crypto::{Hash, HospitalId, PublicKey, codec};
use caduceus_ledger::{ChainId, Genesis};
use caduceus_network::PeerAddr;
use std::path::Path;

/// Largest genesis file, bytes.
const MAX_GENESIS_BYTES: usize = 4 * 1024 * 1024;

/// A hospital of the network file, in its proper types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hospital {
    /// Name that people use for it.
    pub name: String,
    /// Its identifier.
    pub id: HospitalId,
    /// Its identity key.
    pub identity: PublicKey,
    /// Its identity keys before: what it signed with them still binds it.
    pub former_identities: Vec<PublicKey>,
    /// Where its server is reached.
    pub server: PeerAddr,
    /// Where its key service is reached.
    pub keys: PeerAddr,
    /// I: its public index key.
    pub index_key: PublicKey,
    /// Its private chain.
    pub chain: ChainId,
}

/// Reads a network file and the genesis (borsh) beside it, and checks that they belong together.
///
/// # Errors
/// Usage or not found for the files; verification failed when the genesis is another chain's or names another
/// index scheme.
pub fn load_network(path: &Path) -> Result<(NetworkFile, Genesis), CliError> {
    let network = NetworkFile::load(path)?;
    let genesis_path = network.genesis_path(path);
    let bytes = read_limited(&genesis_path, MAX_GENESIS_BYTES)?;
    let genesis: Genesis = codec::decode_exact(&bytes, MAX_GENESIS_BYTES).map_err(|error| {
        CliError::verification_failed(
            format!("{} is not a genesis: {error}", genesis_path.display()),
            "get the network file and its genesis again from whoever runs the network",
        )
    })?;
    check_genesis(&network, &genesis)?;
    Ok((network, genesis))
}

fn check_genesis(network: &NetworkFile, genesis: &Genesis) -> Result<(), ClientError> {
    let expected = ChainId(field::<Hash>(&network.alliance.chain_id)?);
    let found = genesis.chain_id();
    if expected != found {
        return Err(ClientError::WrongGenesis { expected, found });
    }
    let own = AllianceGenesis::decode(&genesis.app).map_err(ClientError::Genesis)?;
    same_scheme(own.params.scheme, index_scheme(network)?)
}

/// How records are indexed in a network, as its file says.
///
/// # Errors
/// [`ClientError::BadAddress`] with the text, when it names no scheme.
pub fn index_scheme(network: &NetworkFile) -> Result<SchemeId, ClientError> {
    field(&network.index_scheme)
}

fn same_scheme(expected: SchemeId, found: SchemeId) -> Result<(), ClientError> {
    if expected == found {
        Ok(())
    } else {
        Err(ClientError::WrongScheme { expected, found })
    }
}

fn field<T: std::str::FromStr>(text: &str) -> Result<T, ClientError> {
    text.parse::<T>().map_err(|_| ClientError::BadAddress {
        text: text.to_owned(),
    })
}

impl Hospital {
    /// Reads an entry of the network file.
    ///
    /// # Errors
    /// [`ClientError::BadAddress`] with the field's text.
    pub fn of(entry: &HospitalEntry) -> Result<Self, ClientError> {
        let id: HospitalId = field(&entry.id)?;
        let identity: PublicKey = field(&entry.identity_key)?;
        Ok(Self {
            name: entry.name.clone(),
            id,
            identity,
            former_identities: entry
                .former_identity_keys
                .iter()
                .map(|key| field(key))
                .collect::<Result<_, _>>()?,
            server: field(&entry.server)?,
            keys: field(&entry.keys)?,
            index_key: field(&entry.index_key)?,
            chain: ChainId(field::<Hash>(&entry.chain_id)?),
        })
    }

    /// All hospitals of a network file.
    ///
    /// # Errors
    /// As [`Hospital::of`].
    pub fn all(network: &NetworkFile) -> Result<Vec<Self>, ClientError> {
        network.hospitals.iter().map(Self::of).collect()
    }
}

impl Alliance {
    /// Opens a session with the nodes of a network file, trusting the genesis that it names.
    ///
    /// # Errors
    /// [`ClientError::WrongGenesis`] when the genesis is another chain's, [`ClientError::WrongScheme`] when it
    /// names another index scheme; [`ClientError::BadAddress`], [`ClientError::NoNodes`],
    /// [`ClientError::Genesis`], [`ClientError::Start`].
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn connect(
        network: &NetworkFile,
        genesis: Genesis,
        options: ConnectOptions,
    ) -> Result<Self, ClientError> {
        check_genesis(network, &genesis)?;
        let mut nodes: Vec<PeerAddr> = Vec::new();
        for node in &network.alliance.nodes {
            nodes.push(field(&node.service)?);
        }
        Self::open(nodes, &genesis, options).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caduceus_cli::AllianceSection;

    fn network(scheme: &str) -> NetworkFile {
        NetworkFile {
            index_scheme: scheme.to_owned(),
            alliance: AllianceSection {
                genesis: "alliance.genesis".to_owned(),
                chain_id: "ab".repeat(32),
                nodes: Vec::new(),
            },
            hospitals: Vec::new(),
        }
    }

    #[test]
    fn a_network_file_names_the_scheme_of_its_genesis() {
        for scheme in SchemeId::ALL {
            let named = index_scheme(&network(scheme.as_str()));
            assert!(named.is_ok_and(|found| found == scheme));
            for other in SchemeId::ALL {
                assert_eq!(same_scheme(other, scheme).is_ok(), other == scheme);
            }
        }
        assert!(matches!(
            index_scheme(&network("pecks")),
            Err(ClientError::BadAddress { .. })
        ));
    }
}

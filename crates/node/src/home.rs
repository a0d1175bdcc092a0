//! A chain node's folder: `node.toml`, `node.key`, and what the node writes itself.

use crate::key_file::parse_key;
use crate::node::{BftSettings, Engine};
use crate::options::NodeOptions;
use crate::pow::PowSettings;
use caduceus_crypto::{SecretKey, decode_exact};
use caduceus_ledger::Genesis;
use caduceus_network::{Multiaddr, PeerAddr};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Largest genesis file.
const MAX_GENESIS_BYTES: usize = 4 * 1024 * 1024;

/// Which engine a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// Malachite BFT.
    Bft,
    /// One sequencer.
    Solo,
    /// One sequencer that mines each block: a research mode of a private chain.
    Pow,
}

impl EngineKind {
    /// Whether one validator decides alone.
    pub fn has_one_validator(self) -> bool {
        matches!(self, EngineKind::Solo | EngineKind::Pow)
    }

    /// Lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            EngineKind::Bft => "bft",
            EngineKind::Solo => "solo",
            EngineKind::Pow => "pow",
        }
    }
}

/// Another validator of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerEntry {
    /// Its service swarm.
    pub service: PeerAddr,
    /// Its consensus swarm.
    pub consensus: PeerAddr,
}

/// `node.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeFile {
    /// The node's name in logs.
    pub moniker: String,
    /// The genesis file, relative to the folder.
    pub genesis: PathBuf,
    /// The network file, relative to the folder.
    pub network: PathBuf,
    /// The engine.
    pub engine: EngineKind,
    /// Where the service swarm listens.
    pub service_listen: Multiaddr,
    /// Where the consensus swarm listens.
    pub consensus_listen: Multiaddr,
    /// The other validators.
    #[serde(default)]
    pub peers: Vec<PeerEntry>,
    /// What the operator set.
    #[serde(default)]
    pub options: NodeOptions,
}

impl NodeFile {
    /// The text of the file.
    ///
    /// # Errors
    /// What the encoder says; of a file that was read or made from typed values, nothing.
    pub fn to_text(&self) -> Result<String, toml::ser::Error> {
        toml::to_string_pretty(self)
    }
}

/// Why a node's folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file does not say what it should.
    #[error("{path}: {reason}")]
    Content {
        /// The path.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// A node's folder, read.
pub struct NodeHome {
    /// The folder.
    pub path: PathBuf,
    /// `node.toml`.
    pub file: NodeFile,
    /// The chain.
    pub genesis: Genesis,
    /// The node's key.
    pub key: SecretKey,
}

fn read(path: &Path) -> Result<Vec<u8>, HomeError> {
    std::fs::read(path).map_err(|source| HomeError::File {
        path: path.to_path_buf(),
        source,
    })
}

fn content(path: &Path, reason: impl std::fmt::Display) -> HomeError {
    HomeError::Content {
        path: path.to_path_buf(),
        reason: reason.to_string(),
    }
}

/// Reads a genesis file: borsh of [`Genesis`].
///
/// # Errors
/// [`HomeError`] names the file and what is wrong with it.
pub fn read_genesis(path: &Path) -> Result<Genesis, HomeError> {
    decode_exact(&read(path)?, MAX_GENESIS_BYTES).map_err(|e| content(path, e))
}

/// Reads a key file: see [`crate::key_file`].
///
/// # Errors
/// [`HomeError`] names the file and what is wrong with it.
pub fn read_key(path: &Path) -> Result<SecretKey, HomeError> {
    let bytes = Zeroizing::new(read(path)?);
    let text = std::str::from_utf8(&bytes).map_err(|e| content(path, e))?;
    parse_key(text).map_err(|e| content(path, e))
}

impl NodeHome {
    /// Reads the folder.
    ///
    /// # Errors
    /// [`HomeError`] names the file and what is wrong with it.
    pub fn load(path: &Path) -> Result<Self, HomeError> {
        let name = path.join("node.toml");
        let text = String::from_utf8(read(&name)?).map_err(|e| content(&name, e))?;
        let file: NodeFile = toml::from_str(&text).map_err(|e| content(&name, e))?;
        let genesis = read_genesis(&path.join(&file.genesis))?;
        let key = read_key(&path.join("node.key"))?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            genesis,
            key,
        })
    }

    /// The engine with its addresses.
    pub fn engine(&self) -> Engine {
        match self.file.engine {
            EngineKind::Solo => Engine::Solo,
            EngineKind::Pow => Engine::Pow(PowSettings::default()),
            EngineKind::Bft => Engine::Bft(BftSettings {
                listen: self.file.consensus_listen.clone(),
                peers: self.consensus_peers(),
            }),
        }
    }

    /// The other validators on the consensus swarm.
    pub fn consensus_peers(&self) -> Vec<Multiaddr> {
        self.file
            .peers
            .iter()
            .filter_map(|peer| peer.consensus.to_string().parse().ok())
            .collect()
    }

    /// The other validators on the service swarm.
    pub fn service_peers(&self) -> Vec<PeerAddr> {
        self.file
            .peers
            .iter()
            .map(|peer| peer.service.clone())
            .collect()
    }

    /// The network file's path.
    pub fn network_path(&self) -> PathBuf {
        self.path.join(&self.file.network)
    }
}

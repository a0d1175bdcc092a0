//! The homes of the two services: settings, and where the network's files are.
//!
//! `server.toml` and `keys.toml` may say `network` (a path, relative to the home), `hospital` (its name) and
//! `listen` (multiaddresses). All of them have defaults that fit a devnet: the network file two folders up, the
//! hospital whose key is in the home, and the address that the network file gives for the service.

use caduceus_cli::{CliError, HospitalEntry, NetworkFile, read_limited};
use caduceus_crypto::decode_exact;
use caduceus_ledger::{ChainId, Genesis};
use caduceus_network::{Multiaddr, PeerAddr};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Largest settings file, bytes.
const MAX_SETTINGS_BYTES: usize = 64 * 1024;
/// Largest genesis file, bytes.
const MAX_GENESIS_BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    network: Option<PathBuf>,
    hospital: Option<String>,
    listen: Vec<Multiaddr>,
}

/// A service's home, read.
pub(crate) struct Home {
    settings: Settings,
    network_path: PathBuf,
    /// The network.
    pub(crate) network: NetworkFile,
}

impl Home {
    /// Reads the settings and the network file, which may also be named from outside.
    pub(crate) fn load(
        home: &Path,
        settings: &str,
        network: Option<&Path>,
    ) -> Result<Self, CliError> {
        let path = home.join(settings);
        let settings = if path.exists() {
            let bytes = read_limited(&path, MAX_SETTINGS_BYTES)?;
            toml::from_str(&String::from_utf8_lossy(&bytes)).map_err(|error| {
                CliError::usage(
                    format!("{} is wrong: {error}", path.display()),
                    "it may have network, hospital and listen",
                )
            })?
        } else {
            Settings::default()
        };
        let network_path = match (network, &settings.network) {
            (Some(path), _) => path.to_path_buf(),
            (None, Some(path)) => home.join(path),
            (None, None) => home.join("../../network.toml"),
        };
        Ok(Self {
            network: NetworkFile::load(&network_path)?,
            settings,
            network_path,
        })
    }

    /// The hospital that the settings name, or else the first one that fits the home.
    pub(crate) fn hospital(
        &self,
        fits: impl Fn(&HospitalEntry) -> bool,
    ) -> Result<&HospitalEntry, CliError> {
        if let Some(name) = &self.settings.hospital {
            return self.network.hospital(name);
        }
        self.network
            .hospitals
            .iter()
            .find(|entry| fits(entry))
            .ok_or_else(|| {
                CliError::not_found(
                    format!(
                        "no hospital of {} has this home's keys",
                        self.network_path.display()
                    ),
                    "name the right network file with --network, or the right home with --home",
                )
            })
    }

    /// Where to listen: as the settings say, or else where the network file says the service is.
    pub(crate) fn listen(&self, service: &str) -> Result<Vec<Multiaddr>, CliError> {
        if !self.settings.listen.is_empty() {
            return Ok(self.settings.listen.clone());
        }
        match service.parse::<PeerAddr>() {
            Ok(address) => Ok(vec![address.address]),
            Err(error) => Err(CliError::usage(
                format!("the network file's address is wrong: {error}"),
                "get the network file again from whoever runs the network",
            )),
        }
    }

    /// The alliance's genesis, beside the network file.
    #[cfg(feature = "serve")]
    pub(crate) fn alliance_genesis(&self) -> Result<Genesis, CliError> {
        read_genesis(&self.network.genesis_path(&self.network_path))
    }

    /// The genesis of a chain: whichever `.genesis` file beside the network file has its identifier.
    pub(crate) fn genesis_of(&self, chain: &str) -> Result<Genesis, CliError> {
        let missing = || {
            CliError::not_found(
                format!(
                    "no .genesis file beside {} is of chain {chain}",
                    self.network_path.display()
                ),
                "put the hospital's genesis file beside the network file",
            )
        };
        let wanted: ChainId = chain.parse().map(ChainId).map_err(|_| missing())?;
        let folder = self.network_path.parent().unwrap_or_else(|| Path::new("."));
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        for entry in std::fs::read_dir(folder).map_err(|_| missing())? {
            let path = entry.map_err(|_| missing())?.path();
            if path.extension().is_none_or(|end| end != "genesis") {
                continue;
            }
            // Another chain's file may be of another version: it is not ours to judge.
            if let Ok(genesis) = read_genesis(&path)
                && genesis.chain_id() == wanted
            {
                return Ok(genesis);
            }
        }
        Err(missing())
    }
}

fn read_genesis(path: &Path) -> Result<Genesis, CliError> {
    let bytes = read_limited(path, MAX_GENESIS_BYTES)?;
    decode_exact(&bytes, MAX_GENESIS_BYTES).map_err(|error| {
        CliError::failure(
            format!("{} is no genesis: {error}", path.display()),
            "get it again from whoever runs the network",
        )
    })
}

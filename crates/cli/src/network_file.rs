//! `network.toml`: the root of trust of a network, and where its services are.

use crate::error::CliError;
use crate::files::read_limited;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Largest network file, bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// A network: one alliance and its hospitals. Keys and identifiers are hexadecimal, services are
/// multiaddresses that end in `/p2p/ID`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkFile {
    /// How records are indexed in this network: `tags` (where nothing is said), `peks` or `paeks`.
    #[serde(default = "default_index_scheme")]
    pub index_scheme: String,
    /// The alliance chain.
    pub alliance: AllianceSection,
    /// The hospitals, by name.
    #[serde(default)]
    pub hospitals: Vec<HospitalEntry>,
}

/// Names of the index schemes.
pub const INDEX_SCHEMES: [&str; 3] = ["tags", "peks", "paeks"];

fn default_index_scheme() -> String {
    INDEX_SCHEMES[0].to_owned()
}

/// The alliance chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllianceSection {
    /// Name of the genesis file, beside the network file.
    pub genesis: String,
    /// Hash of that genesis, 64 digits: what a client trusts.
    pub chain_id: String,
    /// The nodes that serve clients.
    pub nodes: Vec<NodeEntry>,
}

/// One hospital.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HospitalEntry {
    /// Name that people use for it, unique in the file.
    pub name: String,
    /// Hospital identifier, 64 digits.
    pub id: String,
    /// Identity key, 66 digits.
    pub identity_key: String,
    /// Identity keys that it had before, oldest first: the identifier is that of the oldest, and what was signed with
    /// them still binds it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_identity_keys: Vec<String>,
    /// Service of `hospital-server serve`.
    pub server: String,
    /// Service of `hospital-server keys`, for workstations.
    pub keys: String,
    /// Public index key I, 66 digits.
    pub index_key: String,
    /// Identifier of its private chain, 64 digits.
    pub chain_id: String,
    /// The nodes of its private chain.
    #[serde(default)]
    pub nodes: Vec<NodeEntry>,
}

/// One node of a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeEntry {
    /// Name that people use for it, unique on its chain.
    pub name: String,
    /// Its service.
    pub service: String,
    /// Its validator key, 66 digits.
    pub key: String,
    /// Of an alliance node, the name of the hospital that runs it: what its operator does is in that hospital's audit
    /// log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hospital: Option<String>,
}

/// Why a network file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetworkFileError {
    /// Not the TOML of a network.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// Not text.
    #[error("it is not UTF-8")]
    NotText,
    /// A key or identifier has the wrong form.
    #[error("{field}: {found:?} is not {digits} hexadecimal digits")]
    Hex {
        /// Where.
        field: String,
        /// Digits expected.
        digits: usize,
        /// What is there.
        found: String,
    },
    /// A service is not a multiaddress with a peer.
    #[error("{field}: {found:?} is not a multiaddress that ends in /p2p/ID")]
    Service {
        /// Where.
        field: String,
        /// What is there.
        found: String,
    },
    /// A name is empty, too long, or has characters that confuse.
    #[error("{field}: {found:?} is not a name of letters, digits, '-', '_', '.' and spaces")]
    Name {
        /// Where.
        field: String,
        /// What is there.
        found: String,
    },
    /// A name occurs twice.
    #[error("{field}: {name:?} occurs twice")]
    Repeated {
        /// Where.
        field: String,
        /// The name.
        name: String,
    },
    /// The genesis is not a plain file name.
    #[error("alliance.genesis: {found:?} is not a file name beside the network file")]
    Genesis {
        /// What is there.
        found: String,
    },
    /// Not the name of an index scheme.
    #[error("index_scheme: {found:?} is not one of tags, peks, paeks")]
    IndexScheme {
        /// What is there.
        found: String,
    },
    /// The alliance has no node, so nobody can be asked.
    #[error("alliance.nodes is empty")]
    NoNodes,
}

impl NetworkFile {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Usage, naming the file and the field; not found or denied for the file itself.
    pub fn load(path: &Path) -> Result<Self, CliError> {
        let bytes = read_limited(path, MAX_BYTES)?;
        Self::parse(&bytes).map_err(|error| {
            CliError::usage(
                format!("the network file {} is wrong: {error}", path.display()),
                "get it again from whoever runs the network",
            )
        })
    }

    /// Writes a file for everybody to read, whole or not at all.
    ///
    /// # Errors
    /// Failure, naming the file, also when the network itself does not pass the checks.
    pub fn save(&self, path: &Path) -> Result<(), CliError> {
        let failed = |reason: String| {
            CliError::failure(
                format!("cannot write {}: {reason}", path.display()),
                "a directory that is writable and has room",
            )
        };
        self.validate().map_err(|error| failed(error.to_string()))?;
        let text = toml::to_string_pretty(self).map_err(|error| failed(error.to_string()))?;
        replace(path, text.as_bytes()).map_err(|error| failed(error.to_string()))
    }

    /// Parses and checks the bytes of a file.
    ///
    /// # Errors
    /// [`NetworkFileError`] names the field.
    pub fn parse(bytes: &[u8]) -> Result<Self, NetworkFileError> {
        let text = std::str::from_utf8(bytes).map_err(|_| NetworkFileError::NotText)?;
        let file: Self = toml::from_str(text)?;
        file.validate()?;
        Ok(file)
    }

    /// Checks every field's form. Whether keys are points, and addresses can be dialled, shows at use.
    ///
    /// # Errors
    /// [`NetworkFileError`] names the field.
    pub fn validate(&self) -> Result<(), NetworkFileError> {
        let genesis = &self.alliance.genesis;
        if genesis.is_empty() || genesis.starts_with('.') || genesis.contains(['/', '\\', '\0']) {
            return Err(NetworkFileError::Genesis {
                found: genesis.clone(),
            });
        }
        if !INDEX_SCHEMES.contains(&self.index_scheme.as_str()) {
            return Err(NetworkFileError::IndexScheme {
                found: self.index_scheme.clone(),
            });
        }
        hex("alliance.chain_id", &self.alliance.chain_id, 64)?;
        if self.alliance.nodes.is_empty() {
            return Err(NetworkFileError::NoNodes);
        }
        nodes("alliance.nodes", &self.alliance.nodes)?;
        let mut names = BTreeSet::new();
        for hospital in &self.hospitals {
            let at = format!("hospitals.{}", hospital.name);
            name("hospitals.name", &hospital.name)?;
            if !names.insert(hospital.name.as_str()) {
                return Err(NetworkFileError::Repeated {
                    field: "hospitals.name".to_owned(),
                    name: hospital.name.clone(),
                });
            }
            hex(&format!("{at}.id"), &hospital.id, 64)?;
            hex(&format!("{at}.identity_key"), &hospital.identity_key, 66)?;
            for former in &hospital.former_identity_keys {
                hex(&format!("{at}.former_identity_keys"), former, 66)?;
            }
            hex(&format!("{at}.index_key"), &hospital.index_key, 66)?;
            hex(&format!("{at}.chain_id"), &hospital.chain_id, 64)?;
            service(&format!("{at}.server"), &hospital.server)?;
            service(&format!("{at}.keys"), &hospital.keys)?;
            nodes(&format!("{at}.nodes"), &hospital.nodes)?;
        }
        Ok(())
    }

    /// Where the genesis file of a network file is.
    pub fn genesis_path(&self, network_file: &Path) -> PathBuf {
        network_file.with_file_name(&self.alliance.genesis)
    }

    /// The hospital with this name, or with an identifier that begins with this text (8 digits or more).
    ///
    /// # Errors
    /// Not found, naming those there are.
    pub fn hospital(&self, name_or_id: &str) -> Result<&HospitalEntry, CliError> {
        let wanted = name_or_id.to_ascii_lowercase();
        let by_name = self.hospitals.iter().find(|h| h.name == name_or_id);
        let by_id = || {
            let long_enough = wanted.len() >= 8;
            let mut found = self
                .hospitals
                .iter()
                .filter(|h| long_enough && h.id.to_ascii_lowercase().starts_with(&wanted));
            // A beginning that fits two names neither.
            found.next().filter(|_| found.next().is_none())
        };
        by_name.or_else(by_id).ok_or_else(|| {
            let names: Vec<&str> = self.hospitals.iter().map(|h| h.name.as_str()).collect();
            CliError::not_found(
                format!("the network has no hospital {name_or_id:?}"),
                format!("one of: {}", names.join(", ")),
            )
        })
    }
}

fn hex(field: &str, found: &str, digits: usize) -> Result<(), NetworkFileError> {
    if found.len() == digits && found.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(NetworkFileError::Hex {
        field: field.to_owned(),
        digits,
        found: found.to_owned(),
    })
}

fn service(field: &str, found: &str) -> Result<(), NetworkFileError> {
    let well_formed = found.rsplit_once("/p2p/").is_some_and(|(address, id)| {
        address.len() > 1
            && address.starts_with('/')
            && !id.is_empty()
            && id.bytes().all(|b| b.is_ascii_alphanumeric())
    });
    if well_formed {
        return Ok(());
    }
    Err(NetworkFileError::Service {
        field: field.to_owned(),
        found: found.to_owned(),
    })
}

fn name(field: &str, found: &str) -> Result<(), NetworkFileError> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    let trimmed = found.trim();
    if !trimmed.is_empty()
        && trimmed == found
        && found.len() <= 64
        && !found.starts_with('.')
        && found.chars().all(plain)
    {
        return Ok(());
    }
    Err(NetworkFileError::Name {
        field: field.to_owned(),
        found: found.to_owned(),
    })
}

fn nodes(field: &str, entries: &[NodeEntry]) -> Result<(), NetworkFileError> {
    let mut names = BTreeSet::new();
    for node in entries {
        name(&format!("{field}.name"), &node.name)?;
        if !names.insert(node.name.as_str()) {
            return Err(NetworkFileError::Repeated {
                field: format!("{field}.name"),
                name: node.name.clone(),
            });
        }
        let at = format!("{field}.{}", node.name);
        service(&format!("{at}.service"), &node.service)?;
        hex(&format!("{at}.key"), &node.key, 66)?;
    }
    Ok(())
}

/// Replaces a file in one step. Its content is public, so it keeps the default mode.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let mut file = std::fs::File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests;

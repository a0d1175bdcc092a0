//! A server's configuration from its home, and its errors as people see them.

use super::{RegisterError, ServerConfig, ServerError};
use crate::clock::Clock;
use crate::database::DatabaseFailure;
use crate::home::Home;
use crate::key_file::read_key;
use caduceus_cli::{CliError, ExitCode};
use caduceus_crypto::PublicKey;
use caduceus_network::Limits;
use std::path::Path;

impl ServerConfig {
    /// Reads `identity.key`, `server.key` and, if it is there, `server.toml`. `network` names the network file
    /// in place of the settings.
    ///
    /// # Errors
    /// Not found, usage or failure, naming the file.
    pub fn from_home(home: &Path, network: Option<&Path>, clock: Clock) -> Result<Self, CliError> {
        let identity = read_key(&home.join("identity.key"))?;
        let server = read_key(&home.join("server.key"))?;
        let own = identity.public();
        let read = Home::load(home, "server.toml", network)?;
        let entry = read.hospital(|entry| entry.identity_key.parse::<PublicKey>() == Ok(own))?;
        Ok(Self {
            home: home.to_path_buf(),
            alliance_genesis: read.alliance_genesis()?,
            private_genesis: read.genesis_of(&entry.chain_id)?,
            hospital: entry.name.clone(),
            listen: read.listen(&entry.server)?,
            network: read.network.clone(),
            identity,
            server,
            limits: Limits::default(),
            journal: None,
            clock,
        })
    }
}

/// A database of a home as people see its failure.
pub(crate) fn database_error(error: &DatabaseFailure) -> CliError {
    match error {
        DatabaseFailure::Open {
            path,
            source: redb::Error::DatabaseAlreadyOpen,
        } => CliError::new(
            ExitCode::Locked,
            format!("{} is in use by another process", path.display()),
            "stop the other process, or name another --home",
        ),
        other => CliError::failure(
            other.to_string(),
            "check the disk, or restore the home from a backup",
        ),
    }
}

impl From<ServerError> for CliError {
    fn from(error: ServerError) -> Self {
        let what = error.to_string();
        match error {
            ServerError::Home(error) => error,
            ServerError::Map(_) => CliError::usage(
                what,
                "get the network file again from whoever runs the network",
            ),
            ServerError::OtherChain { .. }
            | ServerError::OtherKey { .. }
            | ServerError::OtherScheme { .. } => CliError::verification_failed(
                what,
                "use the home, the network file and the genesis of one hospital",
            ),
            ServerError::Alliance(_) => {
                CliError::failure(what, "get the genesis again from whoever runs the network")
            }
            ServerError::Register(RegisterError::Database(error)) | ServerError::Audit(error) => {
                database_error(&error)
            }
            ServerError::Service(_) => {
                CliError::failure(what, "free the address, or set listen in server.toml")
            }
            _ => CliError::failure(what, "check the disk, or restore the home from a backup"),
        }
    }
}

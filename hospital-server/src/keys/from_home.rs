//! A key service's configuration from its home, and its errors as people see them.

use super::{KeysConfig, KeysError, PairsError, index_key_path, service_key_path};
use crate::clock::Clock;
use crate::database::DatabaseFailure;
use crate::home::Home;
use crate::key_file::read_key;
use caduceus_cli::{CliError, ExitCode};
use caduceus_network::{Limits, Peer, PeerAddr};
use std::path::Path;

impl KeysConfig {
    /// Reads `keys.key`, `index.key` and, if it is there, `keys.toml`. `network` names the network file in place
    /// of the settings.
    ///
    /// # Errors
    /// Not found, usage or failure, naming the file.
    pub fn from_home(home: &Path, network: Option<&Path>, clock: Clock) -> Result<Self, CliError> {
        let key = read_key(&service_key_path(home))?;
        let index_key = read_key(&index_key_path(home))?;
        let own = key.public();
        let read = Home::load(home, "keys.toml", network)?;
        let entry = read.hospital(|entry| {
            let address = entry.keys.parse::<PeerAddr>();
            address.is_ok_and(|address| Peer::new(address.id, address.address).holds(&own))
        })?;
        Ok(Self {
            home: home.to_path_buf(),
            private_genesis: read.genesis_of(&entry.chain_id)?,
            hospital: entry.name.clone(),
            listen: read.listen(&entry.keys)?,
            network: read.network.clone(),
            key,
            index_key,
            limits: Limits::default(),
            journal: None,
            clock,
        })
    }
}

impl From<KeysError> for CliError {
    fn from(error: KeysError) -> Self {
        let what = error.to_string();
        match error {
            KeysError::Home(error) => error,
            KeysError::Map(_) => CliError::usage(
                what,
                "get the network file again from whoever runs the network",
            ),
            KeysError::OtherChain { .. }
            | KeysError::OtherKey { .. }
            | KeysError::OtherScheme { .. } => CliError::verification_failed(
                what,
                "use the home, the network file and the genesis of one hospital",
            ),
            KeysError::Genesis(_) => {
                CliError::failure(what, "get the genesis again from whoever runs the network")
            }
            KeysError::Pairs(PairsError::Database(DatabaseFailure::Open {
                path,
                source: redb::Error::DatabaseAlreadyOpen,
            })) => CliError::new(
                ExitCode::Locked,
                format!("{} is in use by another process", path.display()),
                "stop the other process, or name another --home",
            ),
            KeysError::Service(_) => {
                CliError::failure(what, "free the address, or set listen in keys.toml")
            }
            KeysError::Pairs(_) => {
                CliError::failure(what, "check the disk, or restore the home from a backup")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caduceus_crypto::index::SchemeId;

    #[test]
    fn a_chain_of_another_scheme_is_told_in_two_lines() {
        let error = CliError::from(KeysError::OtherScheme {
            expected: SchemeId::Paeks,
            found: SchemeId::Tags,
        });
        assert_eq!(error.exit, ExitCode::VerificationFailed);
        assert_eq!(
            error.to_string(),
            "error: the private genesis has index scheme tags, the network file says paeks\n\
             try: use the home, the network file and the genesis of one hospital"
        );
    }
}

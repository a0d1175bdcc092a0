//! `serve` and `keys`: the hospital's two services, until they are told to stop.
//!
//! `server.toml` and `keys.toml` have the same fields; paths are relative to the home:
//!
//! ```toml
//! hospital = "North"
//! network = "../network.toml"
//! private_genesis = "private-genesis.bin"
//! listen = ["/ip4/127.0.0.1/tcp/5001"]
//! ```

use std::path::{Path, PathBuf};

use caduceus_cli::{CliError, CommonArgs, NetworkFile, Output, read_limited, until_stopped};
use caduceus_crypto::decode_exact;
use caduceus_ledger::Genesis;
use caduceus_network::{Limits, Multiaddr, PeerAddr};
use hospital_server::system_clock;
use serde::Deserialize;

/// Largest settings file, bytes.
const MAX_SETTINGS_BYTES: usize = 64 * 1024;
/// Largest genesis file, bytes.
const MAX_GENESIS_BYTES: usize = 4 * 1024 * 1024;

/// `server.toml`, `keys.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceFile {
    /// Name in the network file, or the beginning of the identifier.
    hospital: String,
    /// The network file.
    network: PathBuf,
    /// Genesis of the private chain, borsh.
    private_genesis: PathBuf,
    /// Where to listen.
    listen: Vec<Multiaddr>,
}

/// A service's home, read.
struct ServiceHome {
    dir: PathBuf,
    file: ServiceFile,
    network_path: PathBuf,
    private_genesis: Genesis,
}

impl ServiceHome {
    fn load(common: &CommonArgs, settings: &str, dir: PathBuf) -> Result<Self, CliError> {
        let path = dir.join(settings);
        if !path.exists() {
            return Err(CliError::not_found(
                format!("{} does not exist", path.display()),
                "--home with the home of this service",
            ));
        }
        let bytes = read_limited(&path, MAX_SETTINGS_BYTES)?;
        let file: ServiceFile = toml::from_str(&String::from_utf8_lossy(&bytes)).map_err(|error| {
            CliError::usage(format!("{} is wrong: {error}", path.display()), "correct the file, or make the home anew")
        })?;
        let network_path = common.network.clone().unwrap_or_else(|| dir.join(&file.network));
        let private_genesis = genesis(&dir.join(&file.private_genesis))?;
        Ok(Self { dir, file, network_path, private_genesis })
    }
}

fn genesis(path: &Path) -> Result<Genesis, CliError> {
    let bytes = read_limited(path, MAX_GENESIS_BYTES)?;
    decode_exact::<Genesis>(&bytes, MAX_GENESIS_BYTES).map_err(|error| {
        CliError::verification_failed(
            format!("{} is no genesis: {error}", path.display()),
            "restore the file from whoever made the chain",
        )
    })
}

/// `serve`.
#[cfg(feature = "serve")]
pub(crate) async fn serve(common: &CommonArgs, output: &Output) -> Result<(), CliError> {
    use hospital_server::key_file::read_key;
    use hospital_server::server::{ServerConfig, start};

    let home = ServiceHome::load(common, "server.toml", common.home_dir("hospital-server")?)?;
    let network = NetworkFile::load(&home.network_path)?;
    let config = ServerConfig {
        alliance_genesis: genesis(&network.genesis_path(&home.network_path))?,
        network,
        private_genesis: home.private_genesis,
        hospital: home.file.hospital,
        listen: home.file.listen,
        identity: read_key(&home.dir.join("identity.key"))?,
        server: read_key(&home.dir.join("server.key"))?,
        home: home.dir,
        limits: Limits::default(),
        journal: None,
        clock: system_clock(),
    };
    let running = start(config).await.map_err(server_error)?;
    announce(output, "the hospital server", running.address());
    until_stopped().await?;
    running.stop().await;
    Ok(())
}

/// `keys`.
#[cfg(feature = "keys")]
pub(crate) async fn keys(common: &CommonArgs, output: &Output) -> Result<(), CliError> {
    use hospital_server::keys::{KeysConfig, start};

    let home = ServiceHome::load(common, "keys.toml", common.home_dir("hospital-keys")?)?;
    let config = KeysConfig {
        network: NetworkFile::load(&home.network_path)?,
        private_genesis: home.private_genesis,
        hospital: home.file.hospital,
        listen: home.file.listen,
        home: home.dir,
        limits: Limits::default(),
        journal: None,
        clock: system_clock(),
    };
    let running = start(config).await.map_err(keys_error)?;
    announce(output, "the key service", running.address());
    until_stopped().await?;
    running.stop().await;
    Ok(())
}

/// Says where the service is, once it is there.
fn announce(output: &Output, what: &str, address: Option<PeerAddr>) {
    match address {
        Some(address) => output.note(&format!("{what} answers at {address}")),
        None => output.note(&format!("{what} runs")),
    }
}

#[cfg(feature = "serve")]
fn server_error(error: hospital_server::server::ServerError) -> CliError {
    use hospital_server::server::ServerError;
    let what = format!("the hospital server does not start: {error}");
    match error {
        ServerError::Home(error) => error,
        ServerError::Map(_) => CliError::usage(what, NETWORK_HINT),
        ServerError::OtherChain { .. } | ServerError::OtherKey { .. } => {
            CliError::verification_failed(what, KEYS_HINT)
        }
        ServerError::Service(_) => CliError::failure(what, LISTEN_HINT),
        _ => CliError::locked(what, FILES_HINT),
    }
}

#[cfg(feature = "keys")]
fn keys_error(error: hospital_server::keys::KeysError) -> CliError {
    use hospital_server::keys::KeysError;
    let what = format!("the key service does not start: {error}");
    match error {
        KeysError::Home(error) => error,
        KeysError::Map(_) => CliError::usage(what, NETWORK_HINT),
        KeysError::OtherChain { .. } | KeysError::OtherKey { .. } => CliError::verification_failed(what, KEYS_HINT),
        KeysError::Service(_) => CliError::failure(what, LISTEN_HINT),
        _ => CliError::locked(what, FILES_HINT),
    }
}

const NETWORK_HINT: &str = "get the network file again from whoever runs the network, or correct the hospital's name";
const KEYS_HINT: &str = "the home, genesis and network file that belong together";
const LISTEN_HINT: &str = "an address of this machine that is free, in the settings' listen";
const FILES_HINT: &str = "check that no other process uses this home, and that the disk has room";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;

    #[test]
    fn a_home_that_is_none_is_told_so() {
        let dir = tempfile::tempdir().unwrap();
        let load = || ServiceHome::load(&CommonArgs::default(), "server.toml", dir.path().to_owned()).err().unwrap();
        assert_eq!(load().exit, ExitCode::NotFound);
        std::fs::write(dir.path().join("server.toml"), "hospital = 7").unwrap();
        assert_eq!(load().exit, ExitCode::Usage);
        let text = "hospital = \"North\"\nnetwork = \"network.toml\"\nprivate_genesis = \"private-genesis.bin\"\n\
                    listen = [\"/ip4/127.0.0.1/tcp/0\"]\n";
        std::fs::write(dir.path().join("server.toml"), text).unwrap();
        assert_eq!(load().exit, ExitCode::NotFound, "the genesis is missing");
        std::fs::write(dir.path().join("private-genesis.bin"), b"x").unwrap();
        assert_eq!(load().exit, ExitCode::VerificationFailed);
        assert_eq!(load().to_string().lines().count(), 2);
    }
}

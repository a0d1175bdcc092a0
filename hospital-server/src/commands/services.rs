//! `serve` and `keys`: the hospital's two services, until they are told to stop.

use caduceus_cli::{CliError, CommonArgs, Output, until_stopped};
use caduceus_network::PeerAddr;
use hospital_server::system_clock;

/// `serve`.
#[cfg(feature = "serve")]
pub(crate) async fn serve(common: &CommonArgs, output: &Output) -> Result<(), CliError> {
    use hospital_server::server::{ServerConfig, start};

    let home = common.home_dir("hospital-server")?;
    let config = ServerConfig::from_home(&home, common.network.as_deref(), system_clock())?;
    let running = start(config).await?;
    announce(output, "the hospital server", running.address());
    until_stopped().await?;
    running.stop().await;
    Ok(())
}

/// `keys`.
#[cfg(feature = "keys")]
pub(crate) async fn keys(common: &CommonArgs, output: &Output) -> Result<(), CliError> {
    use hospital_server::keys::{KeysConfig, start};

    let home = common.home_dir("hospital-keys")?;
    let config = KeysConfig::from_home(&home, common.network.as_deref(), system_clock())?;
    let running = start(config).await?;
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

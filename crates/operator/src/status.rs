//! `status`: asks a running node how it is doing.

use caduceus_cli::{CliError, Output};
use caduceus_crypto::SecretKey;
use caduceus_network::exchange::Health;
use caduceus_network::{Limits, PeerAddr, Service, ServiceConfig};
use caduceus_node::NodeHome;
use serde::Serialize;

#[derive(Serialize)]
struct Status {
    ready: bool,
    height: u64,
    head_time_ms: u64,
    detail: String,
}

/// Asks the node of a folder, and prints what it says.
///
/// # Errors
/// Unreachable, naming the command of `program` that starts it.
pub async fn status(home: &NodeHome, program: &str, output: &Output) -> Result<(), CliError> {
    let unreachable = |e: String| {
        CliError::unreachable(
            format!("the node does not answer: {e}"),
            format!("start it: {program} start --home DIR"),
        )
    };
    let key = SecretKey::generate(&mut rand_core::OsRng);
    let service = Service::start(ServiceConfig {
        key: &key,
        listen: Vec::new(),
        limits: Limits::default(),
    })
    .await
    .map_err(|e| unreachable(e.to_string()))?;
    let address = PeerAddr {
        id: caduceus_network::peer_id(&home.key.public()),
        address: home.file.service_listen.clone(),
    };
    let health = service
        .call::<Health>(&address, ())
        .await
        .map_err(|e| unreachable(e.to_string()))?;
    output.object(&Status {
        ready: health.ready,
        height: health.height,
        head_time_ms: health.head_time.0,
        detail: health.detail,
    })
}

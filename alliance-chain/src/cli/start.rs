//! `start`: runs a node until it is stopped.

use alliance_chain::node::{AllianceNode, AllianceNodeConfig};
use caduceus_cli::{CliError, NetworkFile, until_stopped};
use caduceus_node::{NodeHome, SystemClock};
use std::sync::Arc;

/// Runs the node of a folder.
pub(super) async fn run(home: NodeHome) -> Result<(), CliError> {
    let network = NetworkFile::load(&home.network_path())?;
    let moniker = home.file.moniker.clone();
    let node = AllianceNode::start(AllianceNodeConfig::from_home(
        home,
        &network,
        Arc::new(SystemClock),
    ))
    .await
    .map_err(|e| {
        CliError::failure(
            format!("the node does not start: {e}"),
            "mend what it names, then start again",
        )
    })?;
    tracing::info!(moniker, "running");
    until_stopped().await?;
    node.stop().await;
    Ok(())
}

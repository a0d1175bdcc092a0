//! `start`: runs a node until it is stopped. A hangup signal makes it read its peers and the network file again.

use alliance_chain::node::{AllianceNode, AllianceNodeConfig};
use caduceus_cli::{Asked, CliError, NetworkFile, Signals};
use caduceus_node::{NodeHome, SystemClock};
use caduceus_operator::take_up_deeds;
use std::path::Path;
use std::sync::Arc;

/// Runs the node of a folder.
pub(super) async fn run(home: NodeHome) -> Result<(), CliError> {
    let network = NetworkFile::load(&home.network_path())?;
    let moniker = home.file.moniker.clone();
    let path = home.path.clone();
    let mut signals = Signals::listen()?;
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
    let deeds = take_up_deeds(&path, &network, &node.service)?;
    tracing::info!(moniker, "running");
    while signals.next().await == Asked::Reload {
        match reload(&node, &path) {
            Ok(()) => tracing::info!(moniker, "peers and hospitals are read again"),
            Err(error) => tracing::warn!(moniker, %error, "nothing is read again"),
        }
    }
    if let Some(deeds) = deeds {
        deeds.abort();
    }
    node.stop().await;
    Ok(())
}

/// Reads the folder and the network file again; a mistake in either leaves the node as it is.
fn reload(node: &AllianceNode, path: &Path) -> Result<(), CliError> {
    let home = NodeHome::load(path)
        .map_err(|e| CliError::usage(e.to_string(), "mend the file, then send the signal again"))?;
    let network = NetworkFile::load(&home.network_path())?;
    node.reload(&home, &network);
    Ok(())
}

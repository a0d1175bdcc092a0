//! `status`: asks a running node how it is doing.

use crate::OwnNode;
use caduceus_cli::{CliError, Output};
use caduceus_network::exchange::Health;
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
    let node = OwnNode::of(home, program).await?;
    let health = node.call::<Health>(()).await?;
    output.object(&Status {
        ready: health.ready,
        height: health.height,
        head_time_ms: health.head_time.0,
        detail: health.detail,
    })
}

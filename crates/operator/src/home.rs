//! The folder that a node program works on.

use caduceus_cli::{CliError, CommonArgs};
use caduceus_node::NodeHome;

/// Reads the home that the arguments of a program name.
///
/// # Errors
/// Usage, when there is no node.
pub fn home(common: &CommonArgs, program: &str) -> Result<NodeHome, CliError> {
    let path = common.home_dir(program)?;
    NodeHome::load(&path).map_err(|e| {
        CliError::usage(
            format!("no node here: {e}"),
            "--home DIR of a node, as `sim devnet up` or your operator makes it",
        )
    })
}

//! `proxy`: what an operator asks of the proxy that a node is.

mod source;
mod status;

use caduceus_cli::{CliError, Output};
use caduceus_node::NodeHome;
use clap::Subcommand;

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum ProxyCommand {
    /// How many fragments it holds, for which grants, and whether its head is young enough to answer. Asks the node if
    /// it runs, and reads its store if not.
    Status,
}

/// Does it.
pub(super) async fn run(
    home: &NodeHome,
    what: &ProxyCommand,
    program: &str,
    output: &Output,
) -> Result<(), CliError> {
    match what {
        ProxyCommand::Status => {
            let source = source::Source::of(home, program).await?;
            output.object(&status::of(home, &source).await?)
        }
    }
}

//! `audit`: what can be said of the log as a whole.

use caduceus_cli::{CliError, CommonArgs, Output};
use caduceus_node::NodeHome;
use caduceus_operator::audit_verify;
use clap::Subcommand;

/// What to do with the log.
#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// Compare the log with what the alliance has on record of it, proved from the alliance's genesis alone. The node
    /// in --home may be running. Exit code 5, and both heads, if the log was rewritten.
    Verify,
}

/// Runs it.
pub(super) async fn run(
    home: &NodeHome,
    what: &Audit,
    common: &CommonArgs,
    output: &Output,
) -> Result<(), CliError> {
    let network = common
        .network
        .clone()
        .unwrap_or_else(|| home.network_path());
    match what {
        Audit::Verify => audit_verify(home, &network, output).await,
    }
}

//! Scenarios: a network under a load that somebody chose, and a verdict on what was promised of it.
//!
//! | scenario | promise |
//! |---|---|
//! | [`free_rider`] | a member that uses and never serves waits behind the others, and no clinical link waits for it |
//! | [`idle`] | every private header is on the alliance chain within a minute, also when nothing happens |

pub mod free_rider;
pub mod idle;

use caduceus_cli::{CliError, Output};
use clap::Subcommand;

/// Which scenario.
#[derive(Clone, Debug, Subcommand)]
pub enum RunCommand {
    /// Let one member search and never serve, under load, once in debt and once, as a control, not
    FreeRider(free_rider::FreeRiderOptions),
    /// Let a network idle, and measure how old a private header gets before the alliance has it on record
    Idle(idle::IdleOptions),
}

/// Runs a scenario and prints what it measured.
///
/// # Errors
/// Failure, when it could not be run to its end; verification failed, when a promise or a control broke.
pub async fn run(command: RunCommand, output: &Output) -> Result<(), CliError> {
    match command {
        RunCommand::FreeRider(options) => free_rider::run(&options, output).await,
        RunCommand::Idle(options) => idle::run(&options, output).await,
    }
}

fn stopped(error: &anyhow::Error) -> CliError {
    CliError::failure(
        format!("the scenario stopped: {error:#}"),
        "run it again with -v to see more",
    )
}

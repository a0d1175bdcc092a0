//! Break a network on purpose and count what it lost.

pub mod acknowledged;
pub mod membership;

use caduceus_cli::{CliError, Output};
use clap::Subcommand;

pub use self::membership::MembershipArgs;

/// What to do to a network.
#[derive(Debug, Subcommand)]
pub enum ChaosCommand {
    /// Members, validators and keys change under load: nothing acknowledged is lost or doubled, and a light client
    /// follows.
    Membership(MembershipArgs),
}

/// Does it and prints what came of it.
///
/// # Errors
/// Failure, when it could not be run to its end; verification failed, when a promise was broken.
pub async fn run(command: ChaosCommand, output: &Output) -> Result<(), CliError> {
    match command {
        ChaosCommand::Membership(arguments) => membership::run(&arguments, output).await,
    }
}

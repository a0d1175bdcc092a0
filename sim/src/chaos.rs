//! Break a network on purpose and count what it lost.

pub mod acknowledged;
pub mod audit;
pub mod crash;
pub mod files;
pub mod flips;
mod load;
pub mod membership;
mod pack;

use caduceus_cli::{CliError, Output};
use clap::Subcommand;

pub use self::audit::AuditArgs;
pub use self::crash::CrashArgs;
pub use self::files::FilesArgs;
pub use self::flips::FlipsArgs;
pub use self::membership::MembershipArgs;

/// What to break.
#[derive(Debug, Subcommand)]
pub enum ChaosCommand {
    /// kill -9 random nodes of a private chain under load; nothing acknowledged may be lost, nothing signed twice.
    Crash(CrashArgs),
    /// Change single bytes of a node's files; each must be detected or harmless.
    Flips(FlipsArgs),
    /// Damage, replace and remove the files of a killed node; it must work or refuse clearly.
    Files(FilesArgs),
    /// Change members, validators and keys under load; nothing acknowledged may be lost or doubled, and a light client
    /// follows.
    Membership(MembershipArgs),
    /// kill -9 a hospital's server between audit entries and actions; no action may be without its entry.
    Audit(AuditArgs),
}

/// Breaks it and prints what came of it.
///
/// # Errors
/// Verification failed, when a promise was broken; failure, when it could not be run to its end.
pub async fn run(command: ChaosCommand, output: &Output) -> Result<(), CliError> {
    match command {
        ChaosCommand::Crash(arguments) => crash::run(&arguments, output).await,
        ChaosCommand::Flips(arguments) => flips::run(&arguments, output).await,
        ChaosCommand::Files(arguments) => files::run(&arguments, output).await,
        ChaosCommand::Audit(arguments) => audit::run(&arguments, output).await,
        ChaosCommand::Membership(arguments) => membership::run(&arguments, output).await,
    }
}

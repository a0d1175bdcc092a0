//! Benches: what things cost on this machine, measured in one run.
//!
//! A bench makes its data from a seed, checks that the answers it times are right, and says in its output how it
//! measured.

pub mod audit;
pub mod chain;
pub mod latency;
pub(crate) mod measure;
pub mod search;
pub mod sync;

use caduceus_cli::{CliError, CommonArgs, Output};
use clap::Subcommand;

pub use self::audit::AuditBenchArgs;
pub use self::chain::ChainBenchArgs;
pub use self::latency::LatencyBenchArgs;
pub use self::search::SearchBenchArgs;
pub use self::sync::SyncBenchArgs;

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Search one corpus with each index scheme: the same queries, the answers checked against the plain text.
    Search(SearchBenchArgs),
    /// Link records on an alliance of real validators: how many a second, and where the time goes.
    Chain(ChainBenchArgs),
    /// Upload and search on an idle network, one at a time: what one person waits.
    Latency(LatencyBenchArgs),
    /// Log the audit trail of the iDASH 2018 competition on four validators and query it at each, beside PostgreSQL.
    Audit(AuditBenchArgs),
    /// Join a long chain by a snapshot, over real sockets, and compare every row.
    Sync(SyncBenchArgs),
}

/// Runs a bench and prints what it measured.
///
/// # Errors
/// Usage, when the arguments contradict each other; failure, when it could not be run to its end; verification
/// failed, when an answer was wrong.
pub async fn run(
    command: BenchCommand,
    common: &CommonArgs,
    output: &Output,
) -> Result<(), CliError> {
    match command {
        BenchCommand::Search(arguments) => {
            tokio::task::block_in_place(|| search::run(&arguments, common, output))
        }
        BenchCommand::Chain(arguments) => chain::run(&arguments, output).await,
        BenchCommand::Audit(arguments) => audit::run(&arguments, output).await,
        BenchCommand::Latency(arguments) => latency::run(&arguments, output).await,
        BenchCommand::Sync(arguments) => {
            tokio::task::block_in_place(|| sync::run(&arguments, common, output))
        }
    }
}

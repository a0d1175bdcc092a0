//! Benches: what things cost on this machine, measured in one run.
//!
//! A bench makes its data from a seed, checks that the answers it times are right, and says in its output how it
//! measured.

mod measure;
pub mod search;

use caduceus_cli::{CliError, CommonArgs, Output};
use clap::Subcommand;

pub use self::search::SearchBenchArgs;

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Search one corpus with each index scheme: the same queries, the answers checked against the plain text.
    Search(SearchBenchArgs),
}

/// Runs a bench and prints what it measured.
///
/// # Errors
/// Usage, when the arguments contradict each other; failure, when it could not be run to its end; verification
/// failed, when an answer was wrong.
pub fn run(command: BenchCommand, common: &CommonArgs, output: &Output) -> Result<(), CliError> {
    match command {
        BenchCommand::Search(arguments) => search::run(&arguments, common, output),
    }
}

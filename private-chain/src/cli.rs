//! The commands (DESIGN 8).

mod inspect;
mod start;
mod status;
mod validate;

use caduceus_cli::{CliError, CommonArgs, HiddenCommand, Output, Program};
use caduceus_node::NodeHome;
use clap::{Parser, Subcommand};
use inspect::Inspect;

/// Run, inspect and validate a node of a hospital's private chain.
#[derive(Debug, Parser)]
#[command(name = "private-chain", version, about)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the node in --home until stopped.
    Start,
    /// Say how a running node is doing.
    Status,
    /// Show what the node in --home stores (the node must not be running).
    Inspect {
        #[command(subcommand)]
        what: Inspect,
    },
    /// Check the whole chain that the node in --home stores, from its genesis (the node must not be running).
    Validate {
        /// Check hashes and certificates, without executing the transactions again.
        #[arg(long)]
        fast: bool,
    },
    #[command(flatten)]
    Hidden(HiddenCommand),
}

impl Program for Arguments {
    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn log_level(&self) -> u8 {
        self.common.verbose
    }
}

/// Runs a command.
pub(crate) async fn run(arguments: Arguments, output: Output) -> Result<(), CliError> {
    match arguments.command {
        Command::Start => start::run(home(&arguments.common)?).await,
        Command::Status => status::run(&home(&arguments.common)?, &output).await,
        Command::Inspect { what } => inspect::run(&home(&arguments.common)?, &what, &output),
        Command::Validate { fast } => validate::run(&home(&arguments.common)?, fast, &output),
        Command::Hidden(hidden) => hidden.run::<Arguments>(),
    }
}

fn home(common: &CommonArgs) -> Result<NodeHome, CliError> {
    let path = common.home_dir("private-chain")?;
    NodeHome::load(&path).map_err(|e| {
        CliError::usage(
            format!("no node here: {e}"),
            "--home DIR of a node, as `sim devnet up` or your operator makes it",
        )
    })
}

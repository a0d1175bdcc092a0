//! The commands (DESIGN 8).

mod inspect;
mod start;

use caduceus_cli::{CliError, CommonArgs, HiddenCommand, Output, Program};
use caduceus_operator::{home, status, validate};
use clap::{Parser, Subcommand};
use inspect::Inspect;
use private_chain::PrivateMachine;

/// Run, inspect and validate a node of a hospital's private chain.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, about)]
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

const PROGRAM: &str = "private-chain";

/// Runs a command.
pub(crate) async fn run(arguments: Arguments, output: Output) -> Result<(), CliError> {
    if let Command::Hidden(hidden) = &arguments.command {
        return hidden.run::<Arguments>();
    }
    let home = home(&arguments.common, PROGRAM)?;
    match arguments.command {
        Command::Start => start::run(home).await,
        Command::Status => status(&home, PROGRAM, &output).await,
        Command::Inspect { what } => inspect::run(&home, &what, &output),
        Command::Validate { fast } => validate(&home, &PrivateMachine, fast, &output),
        Command::Hidden(hidden) => hidden.run::<Arguments>(),
    }
}

//! The commands (DESIGN 8).

mod credits;
mod genesis;
mod inspect;
mod members;
mod proxy;
mod start;

use alliance_chain::AllianceMachine;
use caduceus_cli::{CliError, CommonArgs, HiddenCommand, Output, Program};
use caduceus_ledger::ChainKind;
use caduceus_node::NodeHome;
use caduceus_operator::{DeedKind, InitArgs, announce, command_line, home, init, status, validate};
use clap::{Parser, Subcommand};
use genesis::GenesisArgs;
use inspect::Inspect;
use members::Members;
use proxy::ProxyCommand;

/// Run, inspect and validate a node of the alliance chain.
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
    /// Make the genesis of an alliance from a TOML of its founders.
    Genesis(GenesisArgs),
    /// Make the folder of a new node in --home: its key and node.toml.
    Init(InitArgs),
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
    /// Say who belongs to the alliance, and change it together with the other members.
    Members {
        #[command(subcommand)]
        what: Members,
    },
    /// Look after the proxy that the node in --home is.
    Proxy {
        #[command(subcommand)]
        what: ProxyCommand,
    },
    /// Show what every member earned and spent in service credits.
    Credits,
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

const PROGRAM: &str = "alliance-chain";

impl Command {
    /// What the hospital's audit log says of the command; none for one that touches no node, or only asks whether it
    /// is well.
    fn kind(&self) -> Option<DeedKind> {
        match self {
            Command::Start => Some(DeedKind::Execute),
            Command::Inspect { .. }
            | Command::Validate { .. }
            | Command::Credits
            | Command::Proxy { .. } => Some(DeedKind::Read),
            Command::Members { what } => Some(what.kind()),
            Command::Genesis(_) | Command::Init(_) | Command::Status | Command::Hidden(_) => None,
        }
    }
}

/// Runs a command.
pub(crate) async fn run(arguments: Arguments, output: Output) -> Result<(), CliError> {
    if let Command::Hidden(hidden) = &arguments.command {
        return hidden.run::<Arguments>();
    }
    let command = match arguments.command {
        Command::Genesis(what) => return genesis::run(&what, &output),
        Command::Init(what) => {
            return init(
                &arguments.common,
                PROGRAM,
                ChainKind::Alliance,
                what,
                &output,
            );
        }
        command => command,
    };
    let home = home(&arguments.common, PROGRAM)?;
    let announced = match command.kind() {
        Some(kind) => Some(announce(&home, PROGRAM, kind, &command_line()).await?),
        None => None,
    };
    let outcome = carry_out(command, home, &output).await;
    match announced {
        Some(announced) => announced.ended(outcome),
        None => outcome,
    }
}

/// Does what was announced.
async fn carry_out(command: Command, home: NodeHome, output: &Output) -> Result<(), CliError> {
    match command {
        Command::Start => start::run(home).await,
        Command::Status => status(&home, PROGRAM, output).await,
        Command::Inspect { what } => inspect::run(&home, &what, output),
        Command::Validate { fast } => validate(&home, &AllianceMachine, fast, output),
        Command::Members { what } => members::run(&home, what, output).await,
        // Done above: they need no node.
        Command::Genesis(_) | Command::Init(_) => Ok(()),
        Command::Proxy { what } => proxy::run(&home, &what, PROGRAM, output).await,
        Command::Credits => credits::run(&home, output).await,
        Command::Hidden(hidden) => hidden.run::<Arguments>(),
    }
}

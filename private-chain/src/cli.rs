//! The commands (DESIGN 8).

mod audit;
mod genesis;
mod inspect;
mod members;
mod mine;
mod policy;
mod start;

use audit::Audit;
use caduceus_cli::{CliError, CommonArgs, HiddenCommand, Output, Program};
use caduceus_ledger::ChainKind;
use caduceus_node::NodeHome;
use caduceus_operator::{
    DeedKind, InitArgs, announce, command_line, home, init, make_key, status, validate,
};
use clap::{Parser, Subcommand};
use genesis::GenesisArgs;
use inspect::Inspect;
use members::Members;
use mine::Mine;
use policy::PolicyCommand;
use private_chain::PrivateMachine;
use std::path::PathBuf;

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
    /// Make a key file, for the hospital's identity or its server.
    Key { file: PathBuf },
    /// Make the genesis of a hospital's chain.
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
    /// Say who validates the chain and with which keys the hospital signs on it, and change that.
    Members {
        #[command(subcommand)]
        what: Members,
        /// The hospital's identity key
        #[arg(
            long,
            value_name = "KEY-FILE",
            global = true,
            default_value = "identity.key"
        )]
        identity: PathBuf,
    },
    /// Mine blocks as the logging paper does, with threads that compete, and print them: on the chain of the node in
    /// --home, which must run the engine pow and not be running, or on one that is gone afterwards.
    Mine(Mine),
    /// Judge the hospital's audit log.
    Audit {
        #[command(subcommand)]
        what: Audit,
    },
    /// Show, check and change the policies that decide who may do what.
    Policy {
        #[command(subcommand)]
        what: PolicyCommand,
        /// The hospital's identity key: it proposes, and a running node answers it
        #[arg(
            long,
            value_name = "KEY-FILE",
            global = true,
            default_value = "identity.key"
        )]
        identity: PathBuf,
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

impl Command {
    /// What the audit log says of the command; none for one that touches no node, or only asks whether it is well.
    fn kind(&self) -> Option<DeedKind> {
        match self {
            Command::Start => Some(DeedKind::Execute),
            Command::Inspect { .. } | Command::Validate { .. } => Some(DeedKind::Read),
            Command::Members { what, .. } => Some(what.kind()),
            Command::Audit { .. } => Some(DeedKind::AuditRead),
            Command::Policy { what, .. } => what.kind(),
            Command::Key { .. }
            | Command::Genesis(_)
            | Command::Init(_)
            | Command::Status
            | Command::Mine(_)
            | Command::Hidden(_) => None,
        }
    }
}

/// Runs a command.
pub(crate) async fn run(arguments: Arguments, output: Output) -> Result<(), CliError> {
    if let Command::Hidden(hidden) = &arguments.command {
        return hidden.run::<Arguments>();
    }
    let command = match arguments.command {
        Command::Key { file } => return make_key(&file, &output),
        Command::Genesis(what) => return genesis::run(what, &output),
        Command::Init(what) => {
            return init(
                &arguments.common,
                PROGRAM,
                ChainKind::Private,
                what,
                &output,
            );
        }
        Command::Mine(mine) => {
            return mine::run(&mine, &arguments.common, PROGRAM, &output).await;
        }
        Command::Policy {
            what: PolicyCommand::Check { file, asked },
            ..
        } => return policy::check(&file, &asked, &output),
        command => command,
    };
    let home = home(&arguments.common, PROGRAM)?;
    let announced = match command.kind() {
        Some(kind) => Some(announce(&home, PROGRAM, kind, &command_line()).await?),
        None => None,
    };
    let outcome = carry_out(command, &arguments.common, home, &output).await;
    match announced {
        Some(announced) => announced.ended(outcome),
        None => outcome,
    }
}

/// Does what was announced.
async fn carry_out(
    command: Command,
    common: &CommonArgs,
    home: NodeHome,
    output: &Output,
) -> Result<(), CliError> {
    match command {
        Command::Start => start::run(home).await,
        Command::Status => status(&home, PROGRAM, output).await,
        Command::Inspect { what } => inspect::run(&home, &what, output),
        Command::Validate { fast } => validate(&home, &PrivateMachine, fast, output),
        Command::Members { what, identity } => members::run(&home, what, &identity, output).await,
        Command::Audit { what } => audit::run(&home, &what, common, output).await,
        Command::Policy { what, identity } => policy::run(&home, what, &identity, output).await,
        // Done above: they need no node.
        Command::Key { .. } | Command::Genesis(_) | Command::Init(_) | Command::Mine(_) => Ok(()),
        Command::Hidden(hidden) => hidden.run::<Arguments>(),
    }
}

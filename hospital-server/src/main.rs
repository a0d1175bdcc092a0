//! `hospital-server`: the hospital's server and key service, and the doctor's workstation.

mod commands;

use std::process::ExitCode;

use caduceus_cli::{CliError, CommonArgs, HiddenCommand, Output, Program, run_main};
use clap::{Parser, Subcommand};

#[cfg(feature = "workstation")]
use crate::commands::{admin, desk, emergency, sharing, upload};

/// Keep patients' records, take them in, and serve the doctor's workstation
#[derive(Debug, Parser)]
#[command(name = "hospital-server", version)]
struct Arguments {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Command,
}

impl Program for Arguments {
    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn log_level(&self) -> u8 {
        let service = match self.command {
            #[cfg(feature = "serve")]
            Command::Serve => 1,
            #[cfg(feature = "keys")]
            Command::Keys => 1,
            _ => 0,
        };
        self.common.verbose.saturating_add(service)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server of the hospital whose home this is
    #[cfg(feature = "serve")]
    Serve,
    /// Run the index key service of the hospital whose home this is
    #[cfg(feature = "keys")]
    Keys,
    /// Make a home for a member of staff, with fresh keys
    #[cfg(feature = "workstation")]
    Init(desk::InitArgs),
    /// Patients of this hospital
    #[cfg(feature = "workstation")]
    Patient {
        #[command(subcommand)]
        command: desk::PatientCommand,
    },
    /// Seal, index and upload records of the patient whose card is presented
    #[cfg(feature = "workstation")]
    Upload(upload::UploadArgs),
    /// List the records uploaded from this home
    #[cfg(feature = "workstation")]
    Records,
    /// Enrol and suspend staff (where the hospital's identity key is)
    #[cfg(feature = "workstation")]
    Staff {
        #[command(subcommand)]
        command: admin::StaffCommand,
    },
    /// Vouch for data users (where the hospital's identity key is)
    #[cfg(feature = "workstation")]
    DataUser {
        #[command(subcommand)]
        command: admin::DataUserCommand,
    },
    /// Records that patients shared with you
    #[cfg(feature = "workstation")]
    Shared {
        #[command(subcommand)]
        command: sharing::SharedCommand,
    },
    /// The link between private chain and alliance
    #[cfg(feature = "workstation")]
    Link {
        #[command(subcommand)]
        command: sharing::LinkCommand,
    },
    /// Open records without their patient, where she opted in
    #[cfg(feature = "workstation")]
    Emergency {
        #[command(subcommand)]
        command: emergency::EmergencyCommand,
    },
    #[command(flatten)]
    Hidden(HiddenCommand),
}

fn main() -> ExitCode {
    run_main(|arguments: Arguments, output| run(arguments, output))
}

async fn run(arguments: Arguments, output: Output) -> Result<(), CliError> {
    let common = arguments.common;
    match arguments.command {
        #[cfg(feature = "serve")]
        Command::Serve => commands::services::serve(&common, &output).await,
        #[cfg(feature = "keys")]
        Command::Keys => commands::services::keys(&common, &output).await,
        #[cfg(feature = "workstation")]
        Command::Init(init) => desk::init(&common, &output, &init),
        #[cfg(feature = "workstation")]
        Command::Patient { command } => desk::patient(&common, &output, &command).await,
        #[cfg(feature = "workstation")]
        Command::Upload(upload) => upload::upload(&common, &output, &upload).await,
        #[cfg(feature = "workstation")]
        Command::Records => desk::records(&common, &output),
        #[cfg(feature = "workstation")]
        Command::Staff { command } => admin::staff(&common, &output, &command).await,
        #[cfg(feature = "workstation")]
        Command::DataUser { command } => admin::data_user(&common, &output, &command).await,
        #[cfg(feature = "workstation")]
        Command::Shared { command } => sharing::shared(&common, &output, &command).await,
        #[cfg(feature = "workstation")]
        Command::Link { command } => sharing::link(&common, &output, &command).await,
        #[cfg(feature = "workstation")]
        Command::Emergency { command } => emergency::emergency(&common, &output, &command).await,
        Command::Hidden(hidden) => hidden.run::<Arguments>(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}

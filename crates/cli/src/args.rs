//! The flags that every program has.

use crate::error::CliError;
use etcetera::BaseStrategy;
use serde::Deserialize;
use std::path::PathBuf;

/// How data is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputFormat {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON document a line.
    Ndjson,
    /// Comma-separated values with a header.
    Csv,
}

/// Flags to be flattened into a program's arguments: `#[command(flatten)] common: CommonArgs`. They may
/// stand before or after the subcommand.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Common options")]
pub struct CommonArgs {
    /// Print data in this format [default: table]
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        global = true,
        env = "CADUCEUS_OUTPUT"
    )]
    pub output: Option<OutputFormat>,

    /// Read settings from this file [default: HOME/config.toml, if there is one]
    #[arg(long, value_name = "FILE", global = true, env = "CADUCEUS_CONFIG")]
    pub config: Option<PathBuf>,

    /// Keep keys and data in this directory [default: the XDG data directory]
    #[arg(long, value_name = "DIR", global = true, env = "CADUCEUS_HOME")]
    pub home: Option<PathBuf>,

    /// Find the network through this file
    #[arg(long, value_name = "FILE", global = true, env = "CADUCEUS_NETWORK")]
    pub network: Option<PathBuf>,

    /// Say more on standard error; repeat for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

impl CommonArgs {
    /// The format to print in.
    pub fn format(&self) -> OutputFormat {
        self.output.unwrap_or_default()
    }

    /// The program's home: `--home`, or [`default_home`].
    ///
    /// # Errors
    /// Usage, when there is neither a flag nor a home directory of the user.
    pub fn home_dir(&self, program: &str) -> Result<PathBuf, CliError> {
        match &self.home {
            Some(home) => Ok(home.clone()),
            None => default_home(program),
        }
    }

    /// The network file named by `--network`.
    ///
    /// # Errors
    /// Usage, when it is not given.
    pub fn network_path(&self) -> Result<PathBuf, CliError> {
        self.network.clone().ok_or_else(|| {
            CliError::usage(
                "this command needs to know the network",
                "--network FILE (a devnet writes DIR/network.toml), or set CADUCEUS_NETWORK",
            )
        })
    }
}

/// Where a program keeps its keys and data when nothing else is said: `caduceus/PROGRAM` in the XDG data
/// directory.
///
/// # Errors
/// Usage, when the user has no home directory.
pub fn default_home(program: &str) -> Result<PathBuf, CliError> {
    match etcetera::choose_base_strategy() {
        Ok(strategy) => Ok(strategy.data_dir().join("caduceus").join(program)),
        Err(error) => Err(CliError::usage(
            format!("no home directory: {error}"),
            "name one with --home DIR",
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        common: CommonArgs,
        #[command(subcommand)]
        command: Command,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Command {
        Status,
    }

    #[test]
    fn flags_stand_before_or_after_the_subcommand() {
        Arguments::command().debug_assert();
        for line in [
            ["p", "--output", "ndjson", "-vv", "--home", "/x", "status"],
            ["p", "status", "--output", "ndjson", "-vv", "--home", "/x"],
        ] {
            let parsed = Arguments::try_parse_from(line).unwrap();
            assert!(matches!(parsed.command, Command::Status));
            assert_eq!(parsed.common.format(), OutputFormat::Ndjson);
            assert_eq!(parsed.common.verbose, 2);
            assert_eq!(parsed.common.home_dir("p").unwrap(), PathBuf::from("/x"));
        }
    }

    #[test]
    fn homes_are_apart() {
        let patient = default_home("patient-client").unwrap();
        assert!(patient.ends_with("caduceus/patient-client"));
        assert_ne!(patient, default_home("data-user-client").unwrap());
    }

    #[test]
    fn a_missing_network_is_a_usage_error() {
        let error = CommonArgs::default().network_path().unwrap_err();
        assert_eq!(error.exit, crate::ExitCode::Usage);
    }
}

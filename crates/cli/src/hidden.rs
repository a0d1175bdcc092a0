//! Shell completions and man pages: subcommands that packagers call.

use crate::error::CliError;
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::{self, Write};
use std::path::PathBuf;

/// Subcommands that help does not list: `#[command(flatten)] Hidden(HiddenCommand)` in a program's own
/// subcommands.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum HiddenCommand {
    /// Print the completions of a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the man page, or write one for each subcommand
    #[command(hide = true)]
    Man {
        /// Write the pages to this directory
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

impl HiddenCommand {
    /// Does it for the program whose arguments `P` are.
    ///
    /// # Errors
    /// Failure, when the pages cannot be written.
    pub fn run<P: CommandFactory>(&self) -> Result<(), CliError> {
        let mut text = Vec::new();
        let written = match self {
            Self::Completions { shell } => {
                completions::<P>(*shell, &mut text);
                Ok(())
            }
            Self::Man { dir: None } => clap_mangen::Man::new(P::command()).render(&mut text),
            Self::Man { dir: Some(dir) } => std::fs::create_dir_all(dir)
                .and_then(|()| clap_mangen::generate_to(P::command(), dir)),
        };
        written
            .and_then(|()| io::stdout().lock().write_all(&text))
            .map_err(|error| {
                CliError::failure(
                    format!("cannot write: {error}"),
                    "a directory that is writable and has room",
                )
            })
    }
}

fn completions<P: CommandFactory>(shell: Shell, text: &mut Vec<u8>) {
    let mut command = P::command();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, text);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    #[command(name = "program")]
    struct Arguments {
        #[command(subcommand)]
        command: Command,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Command {
        /// Show the state
        Status,
        #[command(flatten)]
        Hidden(HiddenCommand),
    }

    #[test]
    fn completions_know_the_subcommands() {
        let mut text = Vec::new();
        completions::<Arguments>(Shell::Bash, &mut text);
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("status"));
    }

    #[test]
    fn they_are_there_and_help_is_silent_about_them() {
        let parsed = Arguments::try_parse_from(["program", "completions", "zsh"]).unwrap();
        assert!(matches!(
            parsed.command,
            Command::Hidden(HiddenCommand::Completions { .. })
        ));
        let parsed = Arguments::try_parse_from(["program", "status"]).unwrap();
        assert!(matches!(parsed.command, Command::Status));
        let help = Arguments::command().render_long_help().to_string();
        assert!(help.contains("status") && !help.contains("completions"));
    }

    #[test]
    fn man_pages_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let command = HiddenCommand::Man {
            dir: Some(dir.path().join("man")),
        };
        command.run::<Arguments>().unwrap();
        assert!(dir.path().join("man/program.1").is_file());
        assert!(dir.path().join("man/program-status.1").is_file());
    }
}

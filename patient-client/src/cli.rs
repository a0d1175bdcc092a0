//! The commands (DESIGN 8).

mod consent;
mod context;
mod explain;
mod home;
mod log;
mod receipt_file;
mod records;
mod search;
mod verify;

use crate::cli::context::Context;
use caduceus_cli::{CliError, CommonArgs, HiddenCommand, Output, Program};
use clap::Parser;
use std::path::PathBuf;

/// Find, open and share your health records, and see who looked at them.
#[derive(Debug, Parser)]
#[command(name = "patient-client", version, about)]
pub(crate) struct Arguments {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Command,
}

impl Program for Arguments {
    fn common(&self) -> &CommonArgs {
        &self.common
    }
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make your keys; shows your 24-word recovery phrase, once
    Init,
    /// Make your keys again from the 24 words, read from standard input
    Restore,
    /// Show your meta-address and your cards, with QR codes
    Card {
        /// Add a card that you registered before, on another device
        #[arg(long, value_name = "CARD")]
        add: Option<String>,
    },
    /// Register with a hospital's card
    Register {
        /// The card's number, or the text of its QR code
        card: String,
        /// The one-time code that came with it
        #[arg(long, alias = "code", value_name = "CODE")]
        desk_code: String,
        /// Let the hospital's officers open your records together in an emergency, when you cannot be asked
        #[arg(long)]
        emergency: bool,
    },
    /// Let a hospital's officers open your records in an emergency, or no more
    Emergency {
        /// The hospital, by the name that card shows
        hospital: String,
        /// on or off
        #[arg(value_parser = ["on", "off"])]
        access: String,
    },
    /// Search your records
    Search(search::SearchArgs),
    /// Open a record
    Open {
        /// Number of a hit of the last search, or the record's hash
        record: String,
        /// Write it to this file, readable by you alone, instead of standard output
        #[arg(short, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// List the records that you know of, from searches and receipts
    Records {
        /// Keep this receipt, as the workstation handed it over
        #[arg(long, value_name = "FILE")]
        add_receipt: Vec<PathBuf>,
    },
    /// List what data users ask for
    Requests,
    /// Let a data user open records
    Grant(consent::GrantArgs),
    /// List your grants
    Grants,
    /// End a grant
    Revoke {
        /// Its number in `grants`, its hash, or the hash's beginning
        grant: String,
    },
    /// Show who looked at your records
    AccessLog,
    /// Check that everything of yours is linked, as promised, and found by what it says
    Verify(verify::VerifyArgs),
    #[command(flatten)]
    Hidden(HiddenCommand),
}

/// Runs the program.
pub(crate) async fn run(arguments: Arguments, output: Output) -> Result<(), CliError> {
    let Arguments { common, command } = arguments;
    if let Command::Hidden(hidden) = &command {
        return hidden.run::<Arguments>();
    }
    let context = Context::new(common, output)?;
    match command {
        Command::Init => home::init(&context),
        Command::Restore => home::restore(&context),
        Command::Card { add } => home::card(&context, add.as_deref()).await,
        Command::Register {
            card,
            desk_code,
            emergency,
        } => home::register(&context, &card, &desk_code, emergency).await,
        Command::Emergency { hospital, access } => {
            home::emergency(&context, &hospital, access == "on").await
        }
        Command::Search(args) => search::search(&context, args).await,
        Command::Open { record, out } => records::open(&context, &record, out.as_deref()).await,
        Command::Records { add_receipt } => records::list(&context, &add_receipt).await,
        Command::Requests => consent::requests(&context).await,
        Command::Grant(args) => consent::grant(&context, args).await,
        Command::Grants => consent::grants(&context).await,
        Command::Revoke { grant } => consent::revoke(&context, &grant).await,
        Command::AccessLog => log::access_log(&context).await,
        Command::Verify(args) => verify::verify(&context, args).await,
        Command::Hidden(hidden) => hidden.run::<Arguments>(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_search_is_explained_or_local_or_sent() {
        let parse = |line: &[&str]| Arguments::try_parse_from(line);
        assert!(parse(&["p", "search", "asthma", "--explain", "--no-versions"]).is_ok());
        assert!(parse(&["p", "search", "asthma", "--local"]).is_ok());
        assert!(parse(&["p", "search", "asthma", "--local", "--explain"]).is_err());
    }

    #[test]
    fn a_record_is_disclosed_in_evidence_only() {
        let parse = |line: &[&str]| Arguments::try_parse_from(line);
        assert!(parse(&["p", "verify"]).is_ok());
        assert!(parse(&["p", "verify", "--receipt", "a", "--receipt", "b"]).is_ok());
        assert!(parse(&["p", "verify", "--report", "dir", "--disclose"]).is_ok());
        assert!(parse(&["p", "verify", "--disclose"]).is_err());
    }

    #[test]
    fn a_grant_names_records_or_all() {
        let parse = |line: &[&str]| Arguments::try_parse_from(line);
        let key = "02".repeat(33);
        assert!(parse(&["p", "grant", "1", "2", "--to", &key, "--days", "7"]).is_ok());
        assert!(parse(&["p", "grant", "--all-of-last-search", "--to", &key]).is_ok());
        assert!(parse(&["p", "grant", "--to", &key]).is_err());
        assert!(parse(&["p", "grant", "1"]).is_err());
        assert!(parse(&["p", "grant", "1", "--all-of-last-search", "--to", &key]).is_err());
    }
}

//! What clap has to say, in two lines.

use crate::error::{CliError, ExitCode};
use clap::error::ErrorKind;

/// Shows help, the version, or a mistake, and says how to exit.
pub(crate) fn report(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that has gone away has seen enough.
            let _ = error.print();
            ExitCode::Ok
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::Usage
        }
        _ => {
            let error = two_lines(&error.render().to_string());
            error.report();
            error.exit
        }
    }
}

/// Condenses clap's report: the message with its list, then the tip or the usage line.
fn two_lines(text: &str) -> CliError {
    let mut what: Vec<&str> = Vec::new();
    let mut tips: Vec<&str> = Vec::new();
    let mut usage = None;
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with("For more information") {
            continue;
        }
        if let Some(rest) = line.strip_prefix("error: ") {
            what.push(rest);
        } else if let Some(rest) = line.strip_prefix("tip: ") {
            tips.push(rest);
        } else if let Some(rest) = line.strip_prefix("Usage: ") {
            usage = Some(rest);
        } else if usage.is_none() && tips.is_empty() {
            what.push(line);
        }
    }
    let todo = match (tips.is_empty(), usage) {
        (false, _) => format!("{}, or --help", tips.join("; ")),
        (true, Some(usage)) => format!("{usage}, or --help"),
        (true, None) => "--help".to_owned(),
    };
    CliError::usage(what.join(" "), todo)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    #[command(name = "program", version)]
    struct Arguments {
        #[command(subcommand)]
        _command: Command,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Command {
        Register {
            #[arg(value_name = "CARD")]
            _card: String,
            #[arg(long = "days")]
            _days: Option<u32>,
        },
        Search,
    }

    fn mistake(line: &[&str]) -> CliError {
        let error = Arguments::try_parse_from(line).unwrap_err();
        two_lines(&error.render().to_string())
    }

    #[test]
    fn each_mistake_is_two_lines_and_code_2() {
        let cases: [&[&str]; 5] = [
            &["program", "register"],
            &["program", "register", "CARD", "--unheard-of"],
            &["program", "register", "CARD", "--days", "soon"],
            &["program", "serch"],
            &["program", "search", "extra"],
        ];
        for line in cases {
            let error = mistake(line);
            assert_eq!(error.exit, ExitCode::Usage);
            assert_eq!(error.to_string().lines().count(), 2, "{error}");
            assert!(!error.what.is_empty(), "{line:?}");
            assert!(error.todo.ends_with("--help"), "{error}");
        }
    }

    #[test]
    fn the_missing_argument_is_named() {
        let error = mistake(&["program", "register"]);
        assert!(error.what.contains("<CARD>"), "{error}");
        assert!(error.todo.contains("program register"), "{error}");
    }

    #[test]
    fn a_near_miss_gets_clap_s_tip() {
        let error = mistake(&["program", "serch"]);
        assert!(error.todo.contains("search"), "{error}");
    }
}

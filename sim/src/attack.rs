//! Attacks on what the system promises, as programs (THREATS.md).
//!
//! | attack | against | what must come of it |
//! |---|---|---|
//! | [`guess`] | trapdoors, by a dictionary | falls on `peks`; on `tags` and `paeks` no better than chance |
//! | [`inject`] | searched keywords, by records of the attacker's making | nothing from records later than the trapdoor |
//! | [`frequency`] | searched keywords, by counting | nothing without a search; the rest is measured |
//! | [`link`] | records, searches, tokens and grants of one patient | no better than chance |
//! | [`forward`] | records of other days than a trapdoor's | no hit |
//! | [`collude`] | keys, by proxies and a data user together | the granted record's d, and nothing else |
//!
//! Each makes its victims with the code of the products, gives the attacker what the promise allows him, and prints
//! how often he succeeds, the chance level and the seed ([`report`]). Each has controls in which he must succeed, so
//! that an attack that silently does nothing is noticed. A broken promise or control is exit code 5.

pub mod collude;
pub mod forward;
pub mod frequency;
pub mod guess;
pub mod inject;
pub mod link;
pub mod report;

mod lexicon;
mod world;

use self::report::AttackReport;
use caduceus_cli::{CliError, CommonArgs, Output, OutputFormat};
use clap::Subcommand;

/// Which attack.
#[derive(Clone, Debug, Subcommand)]
pub enum AttackCommand {
    /// Guess the keywords of trapdoors with a dictionary
    Guess(guess::GuessOptions),
    /// Learn searched keywords from injected records
    Inject(inject::InjectOptions),
    /// Learn searched keywords from counts, with part of the plaintext known
    Frequency(frequency::FrequencyOptions),
    /// Link the records, searches, tokens and grants of one patient
    Link(link::LinkOptions),
    /// Use old trapdoors on new records
    Forward(forward::ForwardOptions),
    /// Let proxies collude with a data user
    Collude(collude::ColludeOptions),
}

/// Runs an attack and prints its report.
///
/// # Errors
/// Verification failed, when a promise or a control broke; failure, when standard output fails.
pub async fn run(
    command: AttackCommand,
    common: &CommonArgs,
    output: &Output,
) -> Result<(), CliError> {
    if common.format() == OutputFormat::Table {
        output.note("attacking; this takes up to a few minutes");
    }
    // Minutes of computing are nothing for the threads that serve sockets.
    let attack = tokio::task::spawn_blocking(move || report_of(&command));
    let report = attack.await.map_err(|stopped| {
        CliError::failure(
            format!("the attack stopped: {stopped}"),
            "run it again with -v to see more",
        )
    })?;
    report.print(output)?;
    report.verdict()
}

fn report_of(command: &AttackCommand) -> AttackReport {
    match command {
        AttackCommand::Guess(options) => guess::run(options),
        AttackCommand::Inject(options) => inject::run(options),
        AttackCommand::Frequency(options) => frequency::run(options),
        AttackCommand::Link(options) => link::run(options),
        AttackCommand::Forward(options) => forward::run(options),
        AttackCommand::Collude(options) => collude::run(options),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::index::SchemeId;
    use clap::Parser;

    #[derive(Parser)]
    struct Arguments {
        #[command(subcommand)]
        what: AttackCommand,
    }

    fn parsed(line: &[&str]) -> Result<AttackCommand, clap::Error> {
        Arguments::try_parse_from(line).map(|arguments| arguments.what)
    }

    #[test]
    fn every_attack_has_a_default_seed_and_guess_the_issues_size() {
        for name in ["guess", "inject", "frequency", "link", "forward", "collude"] {
            assert!(parsed(&["attack", name]).is_ok(), "{name}");
            assert!(parsed(&["attack", name, "--seed", "7"]).is_ok(), "{name}");
        }
        let line = ["attack", "guess", "--scheme", "paeks"];
        let AttackCommand::Guess(options) = parsed(&line).unwrap() else {
            panic!("guess was asked for");
        };
        assert_eq!(options.scheme, SchemeId::Paeks);
        assert_eq!(
            (options.words, options.trials, options.seed),
            (70_000, 200, 1)
        );
        assert!(parsed(&["attack", "guess", "--scheme", "rot13"]).is_err());
        assert!(parsed(&["attack", "link", "--pairs", "10"]).is_err());
    }
}

//! `policy`: which policy set decides who may do what, what it would decide, and how it is changed.

mod asked;
mod limits;
mod show;

use super::PROGRAM;
use asked::Asked;
use caduceus_cli::{CliError, Output, read_limited};
use caduceus_crypto::SecretKey;
use caduceus_ledger::Height;
use caduceus_network::exchange::Health;
use caduceus_node::NodeHome;
use caduceus_operator::{DeedKind, OwnNode, key_file};
use clap::Subcommand;
use private_chain::policy::{MAX_TEXT_BYTES, PolicyProblems, PolicySet, check_text};
use private_chain::{Policy, Tx};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Show the policy set in force and the one that follows it, as the node in --home has them, running or not.
    Show {
        /// Print the text of the set in force alone, to begin a new one with
        #[arg(long)]
        text: bool,
    },
    /// Check a policy file; with --action, say what it decides and which policies decide it. Needs no node.
    Check {
        /// The policies, in Cedar
        file: PathBuf,
        #[command(flatten)]
        asked: Asked,
    },
    /// Put a policy file in force on the chain, as the hospital, through the running node in --home.
    Propose {
        /// The policies, in Cedar
        file: PathBuf,
        /// First height that it judges: +N blocks from now, or a height
        #[arg(long, value_name = "+N|HEIGHT", default_value = "+10")]
        at: At,
        /// Bounds on actions, and how long audit entries are kept: slot_millis, per_slot, [per_action],
        /// [retention_months]
        #[arg(long, value_name = "TOML-FILE")]
        limits: Option<PathBuf>,
    },
}

impl PolicyCommand {
    /// What the audit log says of the command; none for one that touches no node.
    pub(super) fn kind(&self) -> Option<DeedKind> {
        match self {
            PolicyCommand::Show { .. } => Some(DeedKind::Read),
            PolicyCommand::Check { .. } => None,
            PolicyCommand::Propose { .. } => Some(DeedKind::Update),
        }
    }
}

/// When a policy begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// So many blocks after the newest.
    After(u64),
    /// At a height.
    Height(u64),
}

impl std::str::FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |digits: &str| {
            // A number may begin with a sign of its own, a height may not.
            let number = digits.bytes().all(|digit| digit.is_ascii_digit());
            let parsed = number.then(|| digits.parse::<u64>().ok()).flatten();
            parsed.ok_or_else(|| format!("{text:?} is neither a height nor +N"))
        };
        match text.strip_prefix('+') {
            Some(digits) => number(digits).map(At::After),
            None => number(text).map(At::Height),
        }
    }
}

impl At {
    fn height(self, now: u64) -> Height {
        Height(match self {
            At::After(blocks) => now.saturating_add(blocks),
            At::Height(height) => height,
        })
    }
}

/// Checks a file. Needs no node.
pub(super) fn check(file: &Path, asked: &Asked, output: &Output) -> Result<(), CliError> {
    let (_, set) = read(file)?;
    for warning in set.warnings() {
        output.note(&format!("{}: {warning}", file.display()));
    }
    match asked.question()? {
        Some(question) => output.object(&asked::answer(&set, &question)),
        None => output.object(&Checked {
            file: file.display().to_string(),
            policies: set.ids().map(str::to_owned).collect(),
            warnings: set.warnings().iter().map(ToString::to_string).collect(),
        }),
    }
}

/// Shows or proposes, at the node of a folder.
pub(super) async fn run(
    home: &NodeHome,
    what: PolicyCommand,
    identity: &Path,
    output: &Output,
) -> Result<(), CliError> {
    match what {
        PolicyCommand::Show { text } => show::run(home, identity, text, output).await,
        PolicyCommand::Check { file, asked } => check(&file, &asked, output),
        PolicyCommand::Propose { file, at, limits } => {
            let (text, _) = read(&file)?;
            let (limits, retention) = match limits {
                Some(path) => limits::read(&path)?,
                None => Default::default(),
            };
            let key = key_file(identity)?;
            let node = OwnNode::connect(home, PROGRAM, &key).await?;
            let body = Policy {
                generation: 0,
                text,
                limits,
                retention,
                applies_at: Height(0),
            };
            let done = propose(&node, &key, at, body, output).await;
            node.close().await;
            done
        }
    }
}

#[derive(Serialize)]
struct Checked {
    file: String,
    policies: Vec<String>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Proposed {
    generation: u64,
    applies_at: u64,
    height: u64,
    tx: String,
}

async fn propose(
    node: &OwnNode,
    identity: &SecretKey,
    at: At,
    body: Policy,
    output: &Output,
) -> Result<(), CliError> {
    let record = show::of_running(node).await?;
    let now = node.call::<Health>(()).await?.height;
    let body = Policy {
        generation: record.generation,
        applies_at: at.height(now),
        ..body
    };
    let (generation, applies_at) = (body.generation, body.applies_at.0);
    let tx = Tx::Policy(body.sign(&node.chain(), identity));
    let place = node.submit(tx.encode()).await?;
    output.object(&Proposed {
        generation,
        applies_at,
        height: place.height,
        tx: tx.id().to_string(),
    })
}

/// A file's text, which is a policy set.
fn read(file: &Path) -> Result<(String, PolicySet), CliError> {
    let name = file.display();
    let bytes = read_limited(file, MAX_TEXT_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|_| {
        CliError::verification_failed(
            format!("{name} is no text"),
            "a file with Cedar policies in UTF-8: begin with policy show --text",
        )
    })?;
    let set = check_text(&text).map_err(|problems| invalid(&name.to_string(), &problems))?;
    Ok((text, set))
}

/// The two lines of a file that is no policy set.
fn invalid(name: &str, problems: &PolicyProblems) -> CliError {
    let more = problems.problems().len().saturating_sub(1);
    let (what, first) = match problems {
        PolicyProblems::Schema(found) => ("does not validate", found.first()),
        PolicyProblems::Parse(found) => ("does not parse", found.first()),
        _ => ("is no policy set", None),
    };
    let first = first.map_or_else(|| problems.to_string(), ToString::to_string);
    let rest = match more {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    CliError::verification_failed(
        format!("{name} {what}: {first}{rest}"),
        "mend that line; what a policy can speak of is in docs/policy.md",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_a_height_or_a_distance() {
        assert_eq!("+7".parse(), Ok(At::After(7)));
        assert_eq!("7".parse(), Ok(At::Height(7)));
        assert_eq!(At::After(7).height(100), Height(107));
        assert_eq!(At::Height(7).height(100), Height(7));
        for bad in ["", "+", "soon", "-1", "++2"] {
            assert!(bad.parse::<At>().is_err(), "{bad}");
        }
    }
}

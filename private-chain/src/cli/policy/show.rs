//! `policy show`.

use super::super::PROGRAM;
use caduceus_cli::{CliError, ExitCode, Output, OutputFormat};
use caduceus_ledger::Height;
use caduceus_network::exchange::Health;
use caduceus_node::NodeHome;
use caduceus_operator::{OwnNode, key_file, open, unreadable};
use private_chain::policy::{
    DEFAULT_TEXT, PolicyRecord, PolicyVersion, in_force_by_default, parsed,
};
use private_chain::{query, state};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Serialize)]
struct Shown {
    /// Height that was looked at; the set in force judges the next one.
    height: u64,
    proposals: u64,
    in_force: Version,
    next: Option<Version>,
}

#[derive(Serialize)]
struct Version {
    /// None for the one that every chain begins with.
    generation: Option<u64>,
    since: u64,
    policies: Vec<String>,
    slot_millis: Option<u64>,
    per_slot: Option<u32>,
    per_action: BTreeMap<String, u32>,
    retention_months: BTreeMap<&'static str, u16>,
    text: String,
}

impl Version {
    fn of(version: Option<&PolicyVersion>) -> Self {
        let set = match version {
            None => Ok(in_force_by_default()),
            Some(version) => parsed(&version.text),
        };
        let policies = set.map_or_else(
            // Only a chain of another version of this program has such a text.
            |problems| vec![format!("unreadable: {problems}")],
            |set| set.ids().map(str::to_owned).collect(),
        );
        let limits = version.map(|version| version.limits.clone());
        let limits = limits.unwrap_or_default();
        let months = version.into_iter().flat_map(|v| &v.retention.months);
        Self {
            generation: version.map(|version| version.generation),
            since: version.map_or(0, |version| version.since.0),
            policies,
            slot_millis: limits.slot_millis,
            per_slot: limits.per_slot,
            per_action: limits.per_action,
            retention_months: months.map(|(c, months)| (c.as_str(), *months)).collect(),
            text: text_of(version).to_owned(),
        }
    }
}

impl Version {
    fn title(&self) -> String {
        match self.generation {
            None => "the set that every chain begins with".to_owned(),
            Some(generation) => format!("proposal {generation}, from height {}", self.since),
        }
    }

    fn lines(&self, set: &'static str) -> Vec<Line> {
        let line = |what, of: String, value: String| Line {
            set,
            what,
            of,
            value,
        };
        let policies = self.policies.iter();
        let mut lines: Vec<Line> = policies
            .map(|id| line("policy", id.clone(), String::new()))
            .collect();
        lines.extend(
            self.slot_millis
                .map(|length| line("slot", "milliseconds".to_owned(), length.to_string())),
        );
        lines.extend(
            self.per_slot
                .map(|most| line("at most a slot", "all entries".to_owned(), most.to_string())),
        );
        let actions = self.per_action.iter();
        lines.extend(
            actions.map(|(action, most)| line("at most a slot", action.clone(), most.to_string())),
        );
        let months = self.retention_months.iter();
        lines.extend(
            months.map(|(class, months)| {
                line("months kept", (*class).to_owned(), months.to_string())
            }),
        );
        lines
    }
}

fn text_of(version: Option<&PolicyVersion>) -> &str {
    version.map_or(DEFAULT_TEXT, |version| &version.text)
}

/// Shows what the node of a folder has: from its store, or from itself while it runs.
pub(super) async fn run(
    home: &NodeHome,
    identity: &Path,
    text: bool,
    output: &Output,
) -> Result<(), CliError> {
    let (record, height) = match stored(home) {
        Err(error) if error.exit == ExitCode::Locked => running(home, identity).await?,
        other => other?,
    };
    let next_height = Height(height + 1);
    let in_force = record.at(next_height);
    if text {
        return output.raw(text_of(in_force).as_bytes());
    }
    let to_come = record.next.as_ref().filter(|next| next.since > next_height);
    let shown = Shown {
        height,
        proposals: record.generation,
        in_force: Version::of(in_force),
        next: to_come.map(|next| Version::of(Some(next))),
    };
    match output.format() {
        OutputFormat::Table => shown.print(output),
        _ => output.object(&shown),
    }
}

#[derive(Serialize)]
struct Head {
    height: u64,
    proposals: u64,
    in_force: String,
    next: Option<String>,
}

/// What one set says, a line each.
#[derive(Serialize)]
struct Line {
    set: &'static str,
    what: &'static str,
    of: String,
    value: String,
}

impl Shown {
    /// For people: without the text, which `--text` prints.
    fn print(&self, output: &Output) -> Result<(), CliError> {
        output.object(&Head {
            height: self.height,
            proposals: self.proposals,
            in_force: self.in_force.title(),
            next: self.next.as_ref().map(Version::title),
        })?;
        let mut lines = self.in_force.lines("in force");
        lines.extend(self.next.iter().flat_map(|next| next.lines("next")));
        output.rows(&lines)
    }
}

fn stored(home: &NodeHome) -> Result<(PolicyRecord, u64), CliError> {
    let store = open(home)?;
    let snapshot = store.snapshot().map_err(unreadable)?;
    let tip = snapshot.tip().map_err(unreadable)?;
    let height = tip.map_or(0, |tip| tip.header.height.0);
    Ok((query::policy(&snapshot).map_err(unreadable)?, height))
}

async fn running(home: &NodeHome, identity: &Path) -> Result<(PolicyRecord, u64), CliError> {
    let node = OwnNode::connect(home, PROGRAM, &key_file(identity)?).await?;
    let found = async {
        let height = node.call::<Health>(()).await?.height;
        Ok((of_running(&node).await?, height))
    };
    let found = found.await;
    node.close().await;
    found
}

/// What a running node has.
pub(super) async fn of_running(node: &OwnNode) -> Result<PolicyRecord, CliError> {
    let key = state::policy();
    match node.state(key.bytes()).await? {
        None => Ok(PolicyRecord::default()),
        Some(bytes) => key.decode(&bytes).map_err(|error| {
            CliError::verification_failed(
                format!("the node's state does not decode: {error}"),
                format!("check its store: {PROGRAM} validate --home DIR"),
            )
        }),
    }
}

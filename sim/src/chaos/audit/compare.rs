//! What was done, held against what was logged.

use anyhow::Context;
use caduceus_crypto::Hash;
use private_chain::{Action, AuditEntry, Outcome};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// An answer that a client got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The request, 32 digits, where the client named it.
    pub request: Option<String>,
    /// What was asked for.
    pub subtype: &'static str,
    /// The record, if one.
    pub record: Option<Hash>,
    /// How it ended.
    pub outcome: Outcome,
}

/// A line of the vault's own file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct VaultCall {
    /// The request, 32 digits.
    pub request: String,
    /// `put`, `get` or `range`.
    pub kind: String,
    /// The record.
    pub record: String,
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// What clients were told.
    pub told: Vec<Told>,
    /// What the vault gave and took.
    pub vault: Vec<VaultCall>,
    /// What is on the chain.
    pub anchored: Vec<Hash>,
}

/// Reads the vault's own files of a server's home.
///
/// # Errors
/// When one cannot be read, or a line is none.
pub fn vault_calls(home: &Path) -> anyhow::Result<Vec<VaultCall>> {
    let mut calls = Vec::new();
    for entry in std::fs::read_dir(home).context("the server's home")? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with("vault-access") || !name.ends_with(".log") {
            continue;
        }
        let text = std::fs::read_to_string(&path).context("the vault's own file")?;
        // The server was killed: its last line may be half there, and nothing left for it.
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        for line in whole.lines() {
            calls.push(serde_json::from_str(line).with_context(|| format!("a line: {line}"))?);
        }
    }
    Ok(calls)
}

/// Entries of unknown outcome whose request has no entry that it was allowed. Those of index keys are left out: the key
/// service asks the server for an entry, and where the server dies on the way it cannot know whether there is one. It
/// gives no key then, and says later that the outcome is unknown.
pub fn unknown_alone(entries: &[AuditEntry]) -> usize {
    let allowed: BTreeSet<&str> = with(entries, Outcome::Success)
        .map(|entry| &*entry.request)
        .collect();
    with(entries, Outcome::Unknown)
        .filter(|entry| &*entry.subtype != "index-key" && !allowed.contains(&*entry.request))
        .count()
}

fn with(entries: &[AuditEntry], outcome: Outcome) -> impl Iterator<Item = &AuditEntry> {
    entries.iter().filter(move |entry| entry.outcome == outcome)
}

impl Done {
    /// Number of actions.
    pub fn count(&self) -> usize {
        self.told.len() + self.vault.len() + self.anchored.len()
    }

    /// Plants a call of the vault that nobody logged: a server with a bug.
    pub fn plant(&mut self) {
        self.vault.push(VaultCall {
            request: "5a".repeat(16),
            kind: "get".to_owned(),
            record: Hash([0x5a; 32]).to_string(),
        });
    }

    /// The actions without an entry, in words.
    pub fn unlogged(&self, entries: &[AuditEntry]) -> Vec<String> {
        let mut unlogged = Vec::new();
        let allowed: BTreeSet<(&str, String)> = with(entries, Outcome::Success)
            .filter_map(|entry| Some((&*entry.request, entry.record()?.to_string())))
            .collect();
        for call in &self.vault {
            if !allowed.contains(&(call.request.as_str(), call.record.clone())) {
                unlogged.push(format!(
                    "vault {} of {} for {}",
                    call.kind, call.record, call.request
                ));
            }
        }
        let written: BTreeSet<&Hash> = with(entries, Outcome::Success)
            .filter(|entry| matches!(entry.action, Action::Create | Action::Update))
            .filter_map(AuditEntry::record)
            .collect();
        for record in &self.anchored {
            if !written.contains(record) {
                unlogged.push(format!("anchor of {record}"));
            }
        }
        self.answers(entries, &mut unlogged);
        unlogged
    }

    /// An answer to a named request needs that request's entry; of the others, each needs one of its own.
    fn answers(&self, entries: &[AuditEntry], unlogged: &mut Vec<String>) {
        let by_request: BTreeSet<(&str, &str, Outcome)> = entries
            .iter()
            .map(|entry| (&*entry.request, &*entry.subtype, entry.outcome))
            .collect();
        let mut left: BTreeMap<(&str, Option<Hash>, Outcome), usize> = BTreeMap::new();
        for entry in entries {
            let key = (&*entry.subtype, entry.record().copied(), entry.outcome);
            *left.entry(key).or_default() += 1;
        }
        for told in &self.told {
            let logged = match &told.request {
                Some(request) => {
                    by_request.contains(&(request.as_str(), told.subtype, told.outcome))
                }
                None => match left.get_mut(&(told.subtype, told.record, told.outcome)) {
                    Some(count) if *count > 0 => {
                        *count -= 1;
                        true
                    }
                    _ => false,
                },
            };
            if !logged {
                unlogged.push(format!("answer {told:?}"));
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::{HospitalId, SecretKey, TimeMillis};

    fn entry(request: &str, subtype: &str, record: u8, outcome: Outcome) -> AuditEntry {
        AuditEntry {
            time: TimeMillis(1),
            actor: SecretKey::from_bytes(&[1; 32]).unwrap().public().into(),
            role: None,
            organisation: HospitalId([7; 32]),
            action: match subtype {
                "upload" => Action::Create,
                _ => Action::Read,
            },
            subtype: subtype.into(),
            outcome,
            reason: "".into(),
            patient: None,
            resource: Some(Hash([record; 32]).into()),
            purpose: "".into(),
            grant: None,
            source: "".into(),
            request: request.into(),
            reference: "".into(),
            statement: None,
        }
    }

    fn told(request: Option<&str>, subtype: &'static str, outcome: Outcome) -> Told {
        Told {
            request: request.map(str::to_owned),
            subtype,
            record: Some(Hash([1; 32])),
            outcome,
        }
    }

    #[test]
    fn each_action_without_an_entry_is_found() {
        let fetch = "fetch-record";
        let entries = [
            entry("a", "upload", 1, Outcome::Success),
            entry("b", fetch, 1, Outcome::Success),
            entry("b", fetch, 1, Outcome::Unknown),
            entry("c", "look", 1, Outcome::Denied),
            entry("d", fetch, 1, Outcome::Unknown),
        ];
        let call = |request: &str, record: u8| VaultCall {
            request: request.to_owned(),
            kind: "get".to_owned(),
            record: Hash([record; 32]).to_string(),
        };
        let good = Done {
            told: vec![
                told(None, "upload", Outcome::Success),
                told(None, fetch, Outcome::Success),
                told(Some("c"), "look", Outcome::Denied),
            ],
            vault: vec![call("a", 1), call("b", 1)],
            anchored: vec![Hash([1; 32])],
        };
        assert_eq!((good.unlogged(&entries).len(), good.count()), (0, 6));
        let bad: [fn(&mut Done); 6] = [
            Done::plant,
            |done| done.anchored.push(Hash([2; 32])),
            // The same read twice, with one entry; a request that was denied, said to be done.
            |done| done.told.push(done.told[1].clone()),
            |done| done.told[2].outcome = Outcome::Success,
            // A denied request's call; a record that its entry does not name.
            |done| done.vault[0].request = "c".to_owned(),
            |done| done.vault[0].record = Hash([9; 32]).to_string(),
        ];
        for change in bad {
            let mut done = good.clone();
            change(&mut done);
            assert_eq!(done.unlogged(&entries).len(), 1);
        }
        assert_eq!(unknown_alone(&entries), 1);
    }
}

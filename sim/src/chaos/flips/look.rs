//! Reads a home as a node's start does, and all of it, and says whether anything differs from the original.

use caduceus_ledger::{Address, Block, CertifiedHeader, ChainId, Height};
use caduceus_node::bft::wal::Own;
use caduceus_node::bft::{Signed, open_log};
use caduceus_node::guard::Step;
use caduceus_node::home::NodeFile;
use caduceus_node::{Chain, Guard, NodeHome, Store, SystemClock};
use private_chain::PrivateMachine;
use std::path::Path;
use std::sync::Arc;

/// What came of a flip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An error, or a part made anew, set aside or left out: the node knows.
    Detected,
    /// Everything is as it was.
    Harmless,
    /// `node.toml` says something else that it may say: the operator's own text, which nothing but its reader can
    /// judge. The chain is as it was.
    Settings,
    /// Something else was read as if it were true; what.
    Silent(String),
    /// A panic that no part of the node caught.
    Panic,
}

/// The rows of one height.
struct Row {
    block: Option<Block>,
    certified: Option<CertifiedHeader>,
    results: Vec<Vec<u8>>,
}

/// All that can be read from the original.
pub(super) struct Known {
    file: NodeFile,
    key: caduceus_crypto::PublicKey,
    store: Store,
    rows: Vec<Row>,
    /// What the key signed at the height after the last block.
    signed: Vec<Signed>,
    /// What the engine replays there.
    log: Vec<Vec<u8>>,
    pending: (Height, Block),
}

impl Known {
    /// Reads a copy of the undamaged home, which stays open. None unless the key signed a proposal of its own for the
    /// height after the last block.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn read(copy: &Path, signed: Vec<Signed>) -> anyhow::Result<Option<Self>> {
        let loaded = NodeHome::load(copy)?;
        let proposer = Address::of(&loaded.key.public());
        let chain = open(copy, loaded.genesis)?;
        let height = chain.tip().height.next();
        let signed: Vec<Signed> = signed
            .into_iter()
            .filter(|one| one.height == height.0)
            .collect();
        if !signed.iter().any(|one| one.step == Step::Prevote) {
            return Ok(None);
        }
        let block = chain.propose(0, proposer)?;
        if !signed.iter().any(|one| one.value == block.hash()) {
            return Ok(None);
        }
        let id = chain.id();
        drop(chain);
        let key = loaded.key.public();
        let (mut journal, _) = open_log(copy, id, &key, height.0)?;
        let log = journal.start_height(height.0)?;
        if log.is_empty() {
            return Ok(None);
        }
        let store = Store::open(&copy.join("chain.redb"))?;
        Ok(Some(Self {
            file: loaded.file,
            key,
            log,
            rows: rows(&store)?,
            store,
            signed,
            pending: (height, Block::clone(&block)),
        }))
    }

    /// Number of blocks.
    pub(super) fn heights(&self) -> usize {
        self.rows.len().saturating_sub(1)
    }

    /// Number of signatures whose guard is tested.
    pub(super) fn signatures(&self) -> usize {
        self.signed.len()
    }

    /// Opens a home with one byte changed, reads all of it, and compares.
    pub(super) fn compare(&self, home: &Path) -> Outcome {
        let compared = self.differences(home);
        match compared {
            Err(_) => Outcome::Detected,
            Ok(outcome) => outcome,
        }
    }

    fn differences(&self, home: &Path) -> anyhow::Result<Outcome> {
        let loaded = NodeHome::load(home)?;
        if loaded.key.public() != self.key {
            return Ok(Outcome::Silent("another key".to_owned()));
        }
        let settings = loaded.file != self.file;
        let chain = open(home, loaded.genesis)?;
        let id = chain.id();
        let pending = chain.pending(self.pending.0, &self.pending.1.hash());
        let (proposer, height) = (self.pending.1.header.proposer, self.pending.0);
        let proposed = (chain.tip().height.next() == height)
            .then(|| chain.propose(0, proposer))
            .transpose()?;
        drop(chain);
        if let Some(found) = &pending
            && **found != self.pending.1
        {
            return Ok(Outcome::Silent("another pending block".to_owned()));
        }
        let store = Store::open(&home.join("chain.redb"))?;
        if let Some(what) = store.first_difference(&self.store)? {
            return Ok(Outcome::Silent(what));
        }
        if let Some(what) = self.rows_differ(&rows(&store)?) {
            return Ok(Outcome::Silent(what));
        }
        drop(store);
        let guard_shows = self.guard_shows(home)?;
        let signing = self.signing(home, id)?;
        if signing != Outcome::Harmless {
            return Ok(signing);
        }
        // A damaged proposal is made anew; the guard keeps its signature from it.
        let remade = pending.is_none() || proposed.is_some_and(|block| *block != self.pending.1);
        let set_aside = home.join("index.redb.set-aside").exists();
        Ok(if remade || set_aside || guard_shows {
            Outcome::Detected
        } else if settings {
            Outcome::Settings
        } else {
            Outcome::Harmless
        })
    }

    fn rows_differ(&self, found: &[Row]) -> Option<String> {
        if found.len() != self.rows.len() {
            return Some(format!("{} heights of {}", found.len(), self.rows.len()));
        }
        for (height, (row, known)) in found.iter().zip(&self.rows).enumerate() {
            let what = if row.block != known.block {
                "block"
            } else if row.certified != known.certified {
                "header or certificate"
            } else if row.results != known.results {
                "results"
            } else {
                continue;
            };
            return Some(format!("height {height}: another {what}"));
        }
        None
    }

    /// Whether the guard by itself shows damage: if all is well nevertheless, the log made up for it.
    fn guard_shows(&self, home: &Path) -> anyhow::Result<bool> {
        let probe = home.join("probe");
        std::fs::copy(home.join("last-signed"), &probe)?;
        let mut guard = Guard::open(&probe)?;
        Ok(self.signed.iter().any(|one| {
            guard
                .record(one.height, one.round, one.step, one.value)
                .is_err()
        }))
    }

    /// Asks for signatures that must be refused, then for those that were given, then for what is to be replayed.
    fn signing(&self, home: &Path, chain: ChainId) -> anyhow::Result<Outcome> {
        let next = self.pending.0.0;
        let (mut journal, verdict) = open_log(home, chain, &self.key, next)?;
        if verdict.observe_until >= next || verdict.finding.is_some() {
            return Ok(Outcome::Detected);
        }
        for one in &self.signed {
            let mut other = own(one);
            other.value.0[0] ^= 1;
            if journal.request(other).is_ok() {
                return Ok(Outcome::Silent(format!(
                    "the guard forgot its {:?} of height {next}",
                    one.step
                )));
            }
        }
        for one in &self.signed {
            journal.request(own(one))?;
        }
        let replayed = journal.start_height(next)?;
        Ok(if replayed == self.log {
            Outcome::Harmless
        } else if self.log.starts_with(&replayed) {
            // A last entry that does not hold is taken for one that was interrupted. Nothing of this validator's own
            // was in it, else the node would observe; what others said may be said again.
            Outcome::Detected
        } else {
            Outcome::Silent("other entries are replayed".to_owned())
        })
    }
}

fn own(signed: &Signed) -> Own {
    Own {
        height: signed.height,
        round: signed.round,
        step: signed.step,
        value: signed.value,
    }
}

fn open(home: &Path, genesis: caduceus_ledger::Genesis) -> anyhow::Result<Chain> {
    Ok(Chain::open(
        home,
        genesis,
        Arc::new(PrivateMachine),
        Arc::new(SystemClock),
    )?)
}

fn rows(store: &Store) -> anyhow::Result<Vec<Row>> {
    let snapshot = store.snapshot()?;
    (0..=snapshot.newest_height()?)
        .map(|height| {
            let height = Height(height);
            Ok(Row {
                block: snapshot.block(height)?,
                certified: snapshot.certified(height)?,
                results: snapshot.results(height)?,
            })
        })
        .collect()
}

//! Reads a home as a node's start does, and all of it, and says whether anything differs from the original.

use caduceus_ledger::{Address, Block, CertifiedHeader, Height};
use caduceus_node::bft::Signed;
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
        drop(chain);
        let store = Store::open(&copy.join("chain.redb"))?;
        Ok(Some(Self {
            file: loaded.file,
            key: loaded.key.public(),
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
        if let Some(outcome) = self.guard(home) {
            return Ok(outcome);
        }
        // A damaged proposal is made anew; the guard keeps its signature from it.
        let remade = pending.is_none() || proposed.is_some_and(|block| *block != self.pending.1);
        let set_aside = home.join("index.redb.set-aside").exists();
        Ok(if remade || set_aside {
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

    /// Asks the guard for signatures that it must refuse, then for those that it gave.
    fn guard(&self, home: &Path) -> Option<Outcome> {
        let Ok(mut guard) = Guard::open(&home.join("last-signed")) else {
            return Some(Outcome::Detected);
        };
        for one in &self.signed {
            let mut other = one.value;
            other.0[0] ^= 1;
            if guard.record(one.height, one.round, one.step, other).is_ok() {
                return Some(Outcome::Silent(format!(
                    "the guard forgot its {:?} of height {}",
                    one.step, one.height
                )));
            }
        }
        let refuses = self.signed.iter().any(|one| {
            guard
                .record(one.height, one.round, one.step, one.value)
                .is_err()
        });
        refuses.then_some(Outcome::Detected)
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

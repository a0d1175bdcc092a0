//! The acknowledged set: what clients were told is committed, compared with what the nodes hold.
//!
//! An acknowledged transaction is in the final chain exactly once, on every honest node, at the place that the
//! client was told. One whose answer never came may be there or not, never twice. All nodes hold the same block
//! at every height that two of them have.

use anyhow::Context;
use caduceus_crypto::Hash;
use caduceus_ledger::{Height, find_tx, tx_id};
use caduceus_node::{Snapshot, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

#[cfg(test)]
mod tests;

/// Faults told by name in [`Findings::faults`]; the counts are complete.
const MAX_TOLD: usize = 20;

/// Where a client was told that its transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Height of the block.
    pub height: u64,
    /// Position in the block.
    pub index: u32,
}

#[derive(Default)]
struct Recorded {
    acknowledged: BTreeMap<Hash, Place>,
    timed_out: BTreeSet<Hash>,
    told_twice: Vec<Hash>,
}

/// What clients were told, gathered from many threads.
#[derive(Default)]
pub struct AcknowledgedSet(Mutex<Recorded>);

/// What the nodes hold of it. Counts are of transactions, each counted once a kind, whatever the number of nodes
/// that show the fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Transactions that a client was told are committed.
    pub acknowledged: usize,
    /// Transactions whose answer never came.
    pub timed_out: usize,
    /// Those of them that were committed nevertheless.
    pub timed_out_present: usize,
    /// Acknowledged, and absent from a node.
    pub lost: usize,
    /// Acknowledged, and elsewhere than the client was told, on a node or by another answer.
    pub misplaced: usize,
    /// In the chain of a node more than once.
    pub duplicated: usize,
    /// Heights at which two nodes hold different blocks.
    pub disagreeing: Vec<u64>,
    /// Heights between a node's first and last block that it cannot show.
    pub missing_heights: usize,
    /// Each node's newest height, in the order of the homes.
    pub heights: Vec<u64>,
    /// Transactions in the longest chain.
    pub transactions: usize,
    /// The first faults in words.
    pub faults: Vec<String>,
}

impl Findings {
    /// Whether every promise was kept.
    pub fn holds(&self) -> bool {
        self.lost == 0
            && self.misplaced == 0
            && self.duplicated == 0
            && self.missing_heights == 0
            && self.disagreeing.is_empty()
    }

    fn tell(&mut self, fault: String) {
        if self.faults.len() < MAX_TOLD {
            self.faults.push(fault);
        }
    }
}

impl AcknowledgedSet {
    fn lock(&self) -> MutexGuard<'_, Recorded> {
        self.0.lock().expect("no holder of this lock panics")
    }

    /// A client was told that a transaction is committed. One that timed out before and was sent again counts as
    /// acknowledged from now on.
    pub fn acknowledged(&self, id: Hash, place: Place) {
        let mut recorded = self.lock();
        recorded.timed_out.remove(&id);
        if recorded
            .acknowledged
            .insert(id, place)
            .is_some_and(|before| before != place)
        {
            recorded.told_twice.push(id);
        }
    }

    /// A client's answer never came: the transaction may be committed or not.
    pub fn timed_out(&self, id: Hash) {
        let mut recorded = self.lock();
        if !recorded.acknowledged.contains_key(&id) {
            recorded.timed_out.insert(id);
        }
    }

    /// Number of acknowledged transactions so far.
    pub fn count(&self) -> usize {
        self.lock().acknowledged.len()
    }

    /// Opens the stores of stopped nodes and compares. Every node must have had the time to catch up.
    ///
    /// # Errors
    /// When a store cannot be opened or read: that is a fault too, and the error names the home.
    pub fn check(&self, homes: &[PathBuf]) -> anyhow::Result<Findings> {
        let stores = homes
            .iter()
            .map(|home| open(home))
            .collect::<anyhow::Result<Vec<_>>>()?;
        self.check_stores(&stores)
    }

    /// [`AcknowledgedSet::check`] over stores that are open already.
    ///
    /// # Errors
    /// When a store cannot be read.
    pub fn check_stores(&self, stores: &[Store]) -> anyhow::Result<Findings> {
        let held = stores
            .iter()
            .map(|store| Held::read(store.snapshot()?))
            .collect::<anyhow::Result<Vec<_>>>()?;
        self.compare(&held)
    }

    fn compare(&self, nodes: &[Held]) -> anyhow::Result<Findings> {
        let recorded = self.lock();
        let mut findings = Findings {
            acknowledged: recorded.acknowledged.len(),
            timed_out: recorded.timed_out.len(),
            heights: nodes.iter().map(|node| node.tip).collect(),
            transactions: nodes
                .iter()
                .map(|node| node.places.len())
                .max()
                .unwrap_or(0),
            ..Findings::default()
        };
        let mut misplaced: BTreeSet<Hash> = recorded.told_twice.iter().copied().collect();
        for id in &misplaced {
            findings.tell(format!("{id}: told to be at two places"));
        }
        for (id, told) in &recorded.acknowledged {
            let mut lost = false;
            for (n, node) in nodes.iter().enumerate() {
                match node.place(id)? {
                    None => {
                        lost = true;
                        findings.tell(format!(
                            "{id}: told to be at {told:?}, absent from node {n}"
                        ));
                    }
                    Some(found) if found != *told => {
                        misplaced.insert(*id);
                        findings.tell(format!(
                            "{id}: told to be at {told:?}, at {found:?} on node {n}"
                        ));
                    }
                    Some(_) => {}
                }
            }
            findings.lost += usize::from(lost);
        }
        findings.misplaced = misplaced.len();
        for id in &recorded.timed_out {
            for node in nodes {
                if node.place(id)?.is_some() {
                    findings.timed_out_present += 1;
                    break;
                }
            }
        }
        let mut doubled: BTreeSet<&Hash> = BTreeSet::new();
        for (n, node) in nodes.iter().enumerate() {
            for (id, places) in node.places.iter().filter(|(_, places)| places.len() > 1) {
                doubled.insert(id);
                findings.tell(format!("{id}: on node {n} at {places:?}"));
            }
            findings.missing_heights += node.missing.len();
            for height in &node.missing {
                findings.tell(format!("node {n} has no block at height {height}"));
            }
        }
        findings.duplicated = doubled.len();
        findings.disagreeing = disagreeing(nodes);
        for height in findings.disagreeing.clone() {
            findings.tell(format!("height {height}: the nodes hold different blocks"));
        }
        Ok(findings)
    }
}

/// Heights at which not all nodes that have a block have the same.
fn disagreeing(nodes: &[Held]) -> Vec<u64> {
    let mut hashes: BTreeMap<u64, BTreeSet<Hash>> = BTreeMap::new();
    for node in nodes {
        for (height, hash) in &node.hashes {
            hashes.entry(*height).or_default().insert(*hash);
        }
    }
    let differ = hashes.into_iter().filter(|(_, found)| found.len() > 1);
    differ.map(|(height, _)| height).collect()
}

fn open(home: &Path) -> anyhow::Result<Store> {
    Store::open(&home.join("chain.redb"))
        .with_context(|| format!("the store of {} does not open", home.display()))
}

/// What one node holds.
struct Held {
    snapshot: Snapshot,
    tip: u64,
    /// Its oldest block above the genesis: a node that started from a snapshot has none below.
    first: u64,
    hashes: BTreeMap<u64, Hash>,
    places: BTreeMap<Hash, Vec<Place>>,
    missing: Vec<u64>,
}

impl Held {
    fn read(snapshot: Snapshot) -> anyhow::Result<Self> {
        let tip = snapshot.newest_height()?;
        let mut held = Self {
            snapshot,
            tip,
            first: tip + 1,
            hashes: BTreeMap::new(),
            places: BTreeMap::new(),
            missing: Vec::new(),
        };
        for height in 1..=tip {
            let Some(block) = held.snapshot.block(Height(height))? else {
                if held.first <= tip {
                    held.missing.push(height);
                }
                continue;
            };
            held.first = held.first.min(height);
            held.hashes.insert(height, block.hash());
            for (index, tx) in (0..).zip(&block.txs) {
                let place = Place { height, index };
                held.places.entry(tx_id(tx)).or_default().push(place);
            }
        }
        if tip > 0 && held.first > tip {
            held.missing.push(tip);
        }
        Ok(held)
    }

    /// Where the transaction stands: in the blocks, and, below the first block, by what the state says.
    fn place(&self, id: &Hash) -> anyhow::Result<Option<Place>> {
        if let Some(place) = self.places.get(id).and_then(|places| places.first()) {
            return Ok(Some(*place));
        }
        let told = find_tx(&self.snapshot, id)?.map(|place| Place {
            height: place.height.0,
            index: place.index,
        });
        Ok(told.filter(|place| place.height < self.first))
    }
}

//! Power cuts, simulated: writes that were not synced reach the medium in part, torn or not at all, and the store that
//! is opened from what is left holds every height that was acknowledged, whole, and nothing else.

use super::*;
use crate::database;
use caduceus_crypto::{SecretKey, TimeMillis};
use caduceus_ledger::{
    Address, BlockContext, ChainKind, DecodedTx, Genesis, INDEX_KEY_BYTES, INDEX_VALUE_BYTES,
    Overlay, Rejection, Space, StateMachine, TxFailure, Validator, build, genesis_state,
};
use redb::StorageBackend;
use std::any::Any;
use std::io;
use std::sync::Mutex;
use std::time::Instant;

const HEIGHTS: u64 = 10;
const TXS: usize = 6;

/// A seeded generator (SplitMix64): the same seed, the same cut.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

#[derive(Clone, Debug)]
enum Unsynced {
    Write(u64, Vec<u8>),
    Length(u64),
}

#[derive(Debug, Default)]
struct Medium {
    durable: Vec<u8>,
    current: Vec<u8>,
    unsynced: Vec<Unsynced>,
    writes: u64,
    /// The write at which power goes.
    cut_at: Option<u64>,
    /// The control: a sync says yes and does nothing.
    lies: bool,
}

impl Medium {
    fn step(&mut self) -> io::Result<()> {
        self.writes += 1;
        if self.cut_at.is_some_and(|cut| self.writes > cut) {
            return Err(io::Error::other("power is gone"));
        }
        Ok(())
    }

    /// What is on the medium after the cut: of the unsynced writes some, in their order, some of them torn.
    fn after_the_cut(&self, random: &mut Random) -> Vec<u8> {
        let mut left = self.durable.clone();
        for write in &self.unsynced {
            match (random.below(4), write) {
                (0, _) => {}
                (kind, Unsynced::Write(offset, bytes)) => {
                    let kept = if kind == 1 {
                        random.below(bytes.len() as u64 + 1) as usize
                    } else {
                        bytes.len()
                    };
                    let start = *offset as usize;
                    if left.len() < start + kept {
                        left.resize(start + kept, 0);
                    }
                    left[start..start + kept].copy_from_slice(&bytes[..kept]);
                }
                (_, Unsynced::Length(length)) => left.resize(*length as usize, 0),
            }
        }
        left
    }
}

#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Medium>>);

impl Disk {
    fn of(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Medium {
            durable: bytes.clone(),
            current: bytes,
            ..Medium::default()
        })))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Medium) -> T) -> T {
        work(&mut self.0.lock().unwrap())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.with(|medium| Ok(medium.current.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|medium| {
            let start = offset as usize;
            let bytes = medium
                .current
                .get(start..start + out.len())
                .ok_or(io::ErrorKind::UnexpectedEof)?;
            out.copy_from_slice(bytes);
            Ok(())
        })
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.with(|medium| {
            medium.step()?;
            medium.current.resize(length as usize, 0);
            medium.unsynced.push(Unsynced::Length(length));
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|medium| {
            medium.step()?;
            if !medium.lies {
                medium.durable = medium.current.clone();
                medium.unsynced.clear();
            }
            Ok(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|medium| {
            medium.step()?;
            let start = offset as usize;
            if medium.current.len() < start + data.len() {
                medium.current.resize(start + data.len(), 0);
            }
            medium.current[start..start + data.len()].copy_from_slice(data);
            medium.unsynced.push(Unsynced::Write(offset, data.to_vec()));
            Ok(())
        })
    }
}

/// Writes each transaction under its own bytes, and a row of the index.
struct Notes;

impl StateMachine for Notes {
    fn genesis(&self, _: &Genesis, state: &mut Overlay<'_>) -> Result<(), StateError> {
        state.put(Space::Auth, b"count", vec![0]);
        Ok(())
    }

    fn decode(&self, tx: &[u8]) -> Result<Arc<dyn Any + Send + Sync>, Rejection> {
        Ok(Arc::new(tx.to_vec()))
    }

    fn execute(
        &self,
        ctx: &BlockContext,
        tx: &DecodedTx,
        state: &mut Overlay<'_>,
    ) -> Result<Vec<u8>, TxFailure> {
        let tx = tx.content::<Vec<u8>>()?;
        state.put(Space::Auth, tx, ctx.height.0.to_le_bytes().to_vec());
        state.put(Space::Bulk, tx, tx.repeat(40));
        let mut row = [0u8; INDEX_KEY_BYTES];
        row.copy_from_slice(&tx[..INDEX_KEY_BYTES]);
        state.put(Space::Index, &row, vec![1; INDEX_VALUE_BYTES]);
        Ok(tx.clone())
    }

    fn finish(
        &self,
        _: &BlockContext,
        _: &[Vec<u8>],
        _: &mut Overlay<'_>,
    ) -> Result<Vec<u8>, StateError> {
        Ok(Vec::new())
    }
}

/// A chain executed once: its heights, and what a store holds after each.
struct History {
    genesis: Genesis,
    genesis_state: Executed,
    heights: Vec<(Block, Certificate, Executed)>,
    after: Vec<Store>,
}

impl History {
    fn new() -> Self {
        let key = SecretKey::derive(caduceus_crypto::domain::VOTE, &[1], &[]);
        let me = Address::of(&key.public());
        let validators = vec![Validator {
            key: key.public(),
            power: 1,
        }];
        let genesis = Genesis {
            kind: ChainKind::Private,
            name: "notes".into(),
            time: TimeMillis(1_000),
            validators: ValidatorSet::new(validators).unwrap(),
            app: Vec::new(),
        };
        let encoded = codec::encode(&genesis);
        let mut heights: Vec<(Block, Certificate, Executed)> = Vec::new();
        let mut after = Vec::new();
        let empty = Store::scratch().unwrap();
        let snapshot = empty.snapshot().unwrap();
        let first = genesis_state(&Notes, &genesis, &snapshot, &snapshot).unwrap();
        for height in 0..=HEIGHTS {
            let store = Store::scratch().unwrap();
            store.init(&encoded, &first).unwrap();
            for (block, certificate, executed) in &heights {
                store.commit(block, certificate, executed).unwrap();
            }
            if height < HEIGHTS {
                let snapshot = store.snapshot().unwrap();
                let tip = snapshot.tip().unwrap().unwrap();
                let txs: Vec<DecodedTx> = (0..TXS)
                    .map(|n| vec![(height as u8) * 16 + n as u8; 32])
                    .map(|tx| DecodedTx::new(&Notes, Arc::new(tx)).unwrap())
                    .collect();
                let (block, executed, refused) = build(
                    &Notes,
                    &snapshot,
                    &snapshot,
                    &tip.header,
                    TimeMillis(2_000 + height),
                    me,
                    txs,
                    100_000,
                )
                .unwrap();
                assert!(refused.is_empty());
                let certificate = Certificate {
                    height: block.header.height,
                    round: 0,
                    block: block.hash(),
                    signatures: Vec::new(),
                };
                heights.push((block, certificate, executed));
            }
            after.push(store);
        }
        Self {
            genesis,
            genesis_state: first,
            heights,
            after,
        }
    }

    /// A store that has run this far without trouble; its bytes.
    fn prepared(&self) -> (Vec<u8>, Vec<u8>) {
        let (chain, index) = (Disk::default(), Disk::default());
        let store = open(&chain, &index).unwrap();
        store
            .init(&codec::encode(&self.genesis), &self.genesis_state)
            .unwrap();
        drop(store);
        let bytes = |disk: &Disk| disk.with(|medium| medium.current.clone());
        (bytes(&chain), bytes(&index))
    }

    /// Commits heights until power goes. Returns how many were acknowledged.
    fn run(&self, store: &Store) -> u64 {
        for (n, (block, certificate, executed)) in self.heights.iter().enumerate() {
            if store.commit(block, certificate, executed).is_err() {
                return n as u64;
            }
            // The index has its own file and its own time to write.
            if n % 4 == 3 && store.index().flush().is_err() {
                return n as u64 + 1;
            }
        }
        HEIGHTS
    }

    /// What is wrong with a store of which so many heights were acknowledged.
    fn check(&self, store: &mut Store, acknowledged: u64) -> Result<(), String> {
        let text = |error: StoreError| error.to_string();
        let tip = store.newest_height().map_err(text)?;
        if !(acknowledged..=acknowledged + 1).contains(&tip) {
            return Err(format!(
                "tip {tip} after {acknowledged} heights were acknowledged"
            ));
        }
        let expected = &self.after[tip as usize];
        if store.lacks_index {
            store.rebuild_index(expected).map_err(text)?;
        }
        let snapshot = store.snapshot().map_err(text)?;
        for (block, certificate, executed) in &self.heights[..tip as usize] {
            let height = block.header.height;
            if snapshot.block(height).map_err(text)?.as_ref() != Some(block)
                || snapshot.certificate(height).map_err(text)?.as_ref() != Some(certificate)
                || snapshot.results(height).map_err(text)? != executed.results
            {
                return Err(format!("height {height} is not what was committed"));
            }
        }
        match store.first_difference(expected).map_err(text)? {
            Some(difference) => Err(difference),
            None => Ok(()),
        }
    }
}

fn open(chain: &Disk, index: &Disk) -> Result<Store, StoreError> {
    let create = |disk: &Disk, name: &str| {
        let disk = disk.clone();
        database::checked(Path::new(name), move || {
            Database::builder()
                .set_cache_size(1024 * 1024)
                .create_with_backend(disk)
        })
    };
    let db = create(chain, "chain.redb")?;
    // As in `Store::open`: a damaged index is made anew.
    let index = match create(index, "index.redb").and_then(|db| TagIndex::with(db, None)) {
        Err(StoreError::Corrupt { .. }) => TagIndex::scratch()?,
        opened => opened?,
    };
    Store::with(db, index, None)
}

/// One run with one cut. Returns what is wrong afterwards.
fn cut(
    history: &History,
    prepared: &(Vec<u8>, Vec<u8>),
    at: u64,
    seed: u64,
    lies: bool,
) -> Result<u64, String> {
    let mut random = Random(seed);
    let (chain, index) = (Disk::of(prepared.0.clone()), Disk::of(prepared.1.clone()));
    let store = open(&chain, &index).map_err(|e| e.to_string())?;
    for disk in [&chain, &index] {
        disk.with(|medium| {
            medium.lies = lies;
            medium.writes = 0;
        });
    }
    // Power goes for both files at once: at this write to the store's, or at one to the index's.
    chain.with(|medium| medium.cut_at = Some(at));
    index.with(|medium| medium.cut_at = (at % 3 == 0).then_some(at / 8));
    let acknowledged = history.run(&store);
    for disk in [&chain, &index] {
        disk.with(|medium| medium.cut_at = Some(0));
    }
    let left = |disk: &Disk, random: &mut Random| disk.with(|medium| medium.after_the_cut(random));
    let (chain, index) = (left(&chain, &mut random), left(&index, &mut random));
    drop(store);
    let mut store = open(&Disk::of(chain), &Disk::of(index)).map_err(|e| e.to_string())?;
    history.check(&mut store, acknowledged)?;
    // And the chain goes on from there.
    let tip = store.newest_height().map_err(|e| e.to_string())?;
    for (block, certificate, executed) in &history.heights[tip as usize..] {
        store
            .commit(block, certificate, executed)
            .map_err(|e| e.to_string())?;
    }
    history.check(&mut store, HEIGHTS)?;
    Ok(acknowledged)
}

/// Writes of a run without a cut.
fn writes_of_a_run(history: &History, prepared: &(Vec<u8>, Vec<u8>)) -> u64 {
    let (chain, index) = (Disk::of(prepared.0.clone()), Disk::of(prepared.1.clone()));
    let store = open(&chain, &index).unwrap();
    let before = chain.with(|medium| medium.writes);
    assert_eq!(history.run(&store), HEIGHTS);
    chain.with(|medium| medium.writes) - before
}

#[test]
fn no_torn_write_loses_or_changes_an_acknowledged_height() {
    let history = History::new();
    let prepared = history.prepared();
    let writes = writes_of_a_run(&history, &prepared);
    let begun = Instant::now();
    let mut reached = std::collections::BTreeSet::new();
    const CUTS: u64 = 400;
    for n in 0..CUTS {
        let at = n * writes / CUTS;
        match cut(&history, &prepared, at, 0xcad0 + n, false) {
            Ok(acknowledged) => drop(reached.insert(acknowledged)),
            Err(fault) => panic!(
                "cut at write {at} of {writes}, seed {}: {fault}",
                0xcad0 + n
            ),
        }
    }
    assert!(
        reached.len() as u64 >= HEIGHTS,
        "cuts after {reached:?} heights"
    );
    let time = begun.elapsed();
    println!(
        "{CUTS} power cuts over {writes} writes in {time:?} ({:.0} a second): 0 heights lost, 0 changed",
        CUTS as f64 / time.as_secs_f64()
    );
}

/// The control: on a medium that lies about syncs, heights are lost or files damaged, and it is noticed.
#[test]
fn a_medium_that_lies_about_syncs_is_caught() {
    let history = History::new();
    let prepared = history.prepared();
    let writes = writes_of_a_run(&history, &prepared);
    const CUTS: u64 = 60;
    let mut caught = 0;
    for n in CUTS / 4..CUTS {
        let at = n * writes / CUTS;
        caught += u64::from(cut(&history, &prepared, at, n, true).is_err());
    }
    assert!(caught > CUTS / 4, "{caught} of {} cuts", CUTS * 3 / 4);
    println!(
        "{caught} of {} power cuts without syncs were caught",
        CUTS * 3 / 4
    );
}

/// A medium that is full for a while: the height fails, reads go on, and the same height is written once there is room.
#[test]
fn a_store_whose_medium_failed_reads_on_and_writes_once_there_is_room() {
    let history = History::new();
    let prepared = history.prepared();
    let writes = writes_of_a_run(&history, &prepared);
    let mut failures = 0;
    for n in 1..40 {
        let at = n * writes / 40;
        let disk = Disk::of(prepared.0.clone());
        let create = |disk: Disk| {
            database::checked(Path::new("chain.redb"), move || {
                Database::builder().create_with_backend(disk)
            })
        };
        let db = create(disk.clone()).unwrap();
        let again = disk.clone();
        let opener: Opener = Box::new(move || {
            // A full disk takes what it takes: only new bytes fail, and only once.
            again.with(|medium| medium.cut_at = None);
            create(again.clone())
        });
        let mut store = Store::with(db, TagIndex::scratch().unwrap(), Some(opener)).unwrap();
        disk.with(|medium| {
            medium.writes = 0;
            medium.cut_at = Some(at);
        });
        let mut height = 0;
        while height < HEIGHTS {
            let (block, certificate, executed) = &history.heights[height as usize];
            match store.commit(block, certificate, executed) {
                Ok(()) => height += 1,
                Err(error) => {
                    assert!(error.is_medium(), "{error}");
                    failures += 1;
                    history.check(&mut store, height).unwrap();
                    // It may have reached the medium all the same.
                    height = store.newest_height().unwrap();
                }
            }
        }
        history.check(&mut store, HEIGHTS).unwrap();
    }
    assert!(failures > 20, "{failures}");
    println!(
        "{failures} failed writes: each store read on and committed the rest in the same process"
    );
}

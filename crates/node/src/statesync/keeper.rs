//! The snapshots that a node keeps, and the thread that makes them.

use super::attest::Attestations;
use super::folder::{self, Folder, SnapshotError};
use super::make::{Cut, make};
use super::{KEPT, SNAPSHOT_EVERY};
use crate::options::{Keep, NodeOptions};
use crate::store::Snapshot;
use caduceus_crypto::SecretKey;
use caduceus_ledger::{Height, ValidatorSet};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// A snapshot kept.
pub struct Kept {
    /// What is on disk.
    pub folder: Folder,
    attestations: Mutex<Attestations>,
}

impl Kept {
    fn attestations(&self) -> MutexGuard<'_, Attestations> {
        self.attestations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The attestations known so far.
    pub fn attested(&self) -> Attestations {
        self.attestations().clone()
    }

    /// Whether more than two thirds of the power attest to it.
    pub fn complete(&self) -> bool {
        let voters = &self.folder.manifest().voters;
        self.attestations().quorum(voters).is_ok()
    }

    /// Takes attestations that somebody sent, and writes down what is new.
    pub(crate) fn learn(&self, list: &[super::Attestation]) -> Result<(), SnapshotError> {
        let mut known = self.attestations();
        if known.add(list, self.folder.manifest()) {
            self.folder.save(&known)?;
        }
        Ok(())
    }
}

/// The snapshots of a node.
pub struct Keeper {
    root: PathBuf,
    every: u64,
    keep: Keep,
    kept: Mutex<BTreeMap<u64, Arc<Kept>>>,
    /// What the operator should do about this node's blocks.
    advice: Mutex<Option<String>>,
}

impl Keeper {
    /// Opens the snapshots in a node's folder. A damaged one is laid aside.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn open(home: &Path, options: &NodeOptions) -> Result<Self, SnapshotError> {
        let root = folder_of(home);
        std::fs::create_dir_all(&root).map_err(|e| folder::file_error(&root, e))?;
        let mut kept = BTreeMap::new();
        for (height, path) in folder::list(&root) {
            match Folder::open(&path) {
                Ok((folder, attestations)) if folder.manifest().height().0 == height => {
                    kept.insert(height, Arc::new(Kept::new(folder, attestations)));
                }
                Ok(_) => lay_aside(&root, height, &"it is of another height"),
                Err(error) => lay_aside(&root, height, &error),
            }
        }
        Ok(Self {
            root,
            every: options.snapshot_every.unwrap_or(SNAPSHOT_EVERY).max(1),
            keep: options.keep,
            kept: Mutex::new(kept),
            advice: Mutex::new(None),
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest snapshot.
    pub fn newest(&self) -> Option<Arc<Kept>> {
        self.lock().last_key_value().map(|(_, kept)| kept.clone())
    }

    /// The snapshot of a height.
    pub fn at(&self, height: Height) -> Option<Arc<Kept>> {
        self.lock().get(&height.0).cloned()
    }

    /// All of them, oldest first.
    pub fn all(&self) -> Vec<Arc<Kept>> {
        self.lock().values().cloned().collect()
    }

    /// What the operator should do, if anything.
    pub fn advice(&self) -> Option<String> {
        self.advice
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn advise(&self, advice: Option<String>) {
        let mut current = self.advice.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = advice.as_ref().filter(|_| *current != advice) {
            tracing::error!("{text}");
        }
        *current = advice;
    }

    /// Makes a snapshot of the state that a view shows, in the caller's time, and keeps it. The key attests, where it is
    /// that of one of the voters of the view's height.
    ///
    /// # Errors
    /// When the state cannot be read or the snapshot not written.
    pub fn make(
        &self,
        view: Snapshot,
        voters: ValidatorSet,
        key: &SecretKey,
    ) -> Result<(), SnapshotError> {
        self.make_until(Cut { view, voters }, key, &AtomicBool::new(false))
    }

    fn make_until(
        &self,
        cut: Cut,
        key: &SecretKey,
        stop: &AtomicBool,
    ) -> Result<(), SnapshotError> {
        let (folder, attestations) = make(&self.root, cut, key, stop)?;
        let manifest = folder.manifest();
        tracing::info!(
            height = manifest.height().0,
            bytes = manifest.bytes(),
            chunks = manifest.chunks(),
            "a snapshot is made"
        );
        self.take(folder, attestations);
        Ok(())
    }

    /// Keeps a new snapshot: it and the one before, and the newest that a quorum attests to.
    fn take(&self, folder: Folder, attestations: Attestations) {
        let height = folder.manifest().height();
        let mut kept = self.lock();
        kept.insert(height.0, Arc::new(Kept::new(folder, attestations)));
        let complete = kept
            .iter()
            .rev()
            .find(|(_, kept)| kept.complete())
            .map(|(height, _)| *height);
        let newest: Vec<u64> = kept.keys().rev().take(KEPT).copied().collect();
        kept.retain(|height, _| newest.contains(height) || Some(*height) == complete);
        let keep: Vec<u64> = kept.keys().copied().collect();
        if let Err(error) = folder::sweep(&self.root, &keep) {
            tracing::warn!(%error, "old snapshots could not be removed");
        }
    }

    /// A chunk to hand out. One that turns out damaged takes its snapshot with it.
    pub(crate) fn chunk(&self, height: Height, index: u32) -> Option<Vec<u8>> {
        let kept = self.at(height)?;
        if index >= kept.folder.manifest().chunks() {
            return None;
        }
        match kept.folder.chunk(index) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                let gone = self.lock().remove(&height.0).is_some();
                if gone {
                    lay_aside(&self.root, height.0, &error);
                }
                None
            }
        }
    }

    /// Height below which blocks need not be kept, where the operator wants them pruned: that of the older of the two
    /// newest snapshots that a quorum attests to.
    pub(crate) fn prune_below(&self) -> Option<u64> {
        if self.keep == Keep::All {
            return None;
        }
        let kept = self.lock();
        let mut complete = kept.iter().rev().filter(|(_, kept)| kept.complete());
        complete.nth(1).map(|(height, _)| height + 1)
    }
}

impl Kept {
    fn new(folder: Folder, attestations: Attestations) -> Self {
        Self {
            folder,
            attestations: Mutex::new(attestations),
        }
    }
}

/// Where the snapshots of a node are.
pub(crate) fn folder_of(home: &Path) -> PathBuf {
    home.join("snapshots")
}

fn lay_aside(root: &Path, height: u64, why: &dyn std::fmt::Display) {
    tracing::error!(height, %why, "a snapshot is damaged and no longer used; the next one replaces it");
    if let Err(error) = folder::set_aside(root, height) {
        tracing::error!(%error, "the damaged snapshot could not be laid aside");
    }
}

/// The thread that makes snapshots. It ends with its chain.
pub(crate) struct Maker {
    every: u64,
    queue: Option<SyncSender<Cut>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Maker {
    /// Starts it. The key attests, where it is that of a voter.
    pub(crate) fn start(keeper: Arc<Keeper>, key: SecretKey) -> Self {
        let (queue, cuts) = sync_channel::<Cut>(1);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let every = keeper.every;
        let thread = std::thread::Builder::new()
            .name("snapshots".to_owned())
            .spawn(move || {
                while let Ok(cut) = cuts.recv() {
                    match keeper.make_until(cut, &key, &stopped) {
                        Ok(()) => {}
                        Err(SnapshotError::Stopped) => return,
                        Err(error) => tracing::error!(%error, "a snapshot could not be made"),
                    }
                }
            })
            .map_err(|error| tracing::error!(%error, "no thread to make snapshots"))
            .ok();
        Self {
            every,
            queue: Some(queue),
            stop,
            thread,
        }
    }

    /// Whether a snapshot of this height is to be made.
    pub(crate) fn due(&self, height: Height) -> bool {
        height.0.is_multiple_of(self.every)
    }

    /// Hands the state over; never waits. While an older snapshot is being made and another waits, this one is not
    /// made.
    pub(crate) fn hand(&self, cut: Cut) {
        let Some(queue) = &self.queue else { return };
        match queue.try_send(cut) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                tracing::warn!("snapshots are made too slowly: one is left out");
            }
            Err(TrySendError::Disconnected(_)) => {
                tracing::warn!("the thread that makes snapshots is gone");
            }
        }
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.queue = None;
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the thread that makes snapshots panicked");
        }
    }
}

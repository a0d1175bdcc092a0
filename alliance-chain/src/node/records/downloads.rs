//! Downloads in progress and what is kept of them: one download a claim, within one bound of memory.

use super::Trouble;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

/// How long a download may take, and how long its bytes are served to the claim that it was made for.
pub(super) const DOWNLOAD_LIFE: Duration = Duration::from_secs(600);
/// How long a failed download is remembered for a caller that was told to ask again.
const FAILURE_LIFE: Duration = Duration::from_secs(60);
/// Downloads begun and not ended.
const MAX_DOWNLOADS: usize = 256;
/// Bytes of verified ciphertexts kept for the chunks to come.
pub(super) const CACHE_BYTES: usize = 512 * 1024 * 1024;

/// A claim's bytes: what downloads are known by. The claim names its caller.
pub(super) type Name = Vec<u8>;

/// A verified ciphertext, with its share of the memory's bound.
pub(super) struct Kept {
    pub(super) bytes: Vec<u8>,
    _share: OwnedSemaphorePermit,
}

impl Kept {
    pub(super) fn new(bytes: Vec<u8>, share: OwnedSemaphorePermit) -> Self {
        Self {
            bytes,
            _share: share,
        }
    }
}

pub(super) type Outcome = Result<Arc<Kept>, Trouble>;
/// None while the download runs.
pub(super) type Progress = watch::Receiver<Option<Outcome>>;

pub(super) struct Download {
    since: Instant,
    pub(super) progress: Progress,
}

impl Download {
    /// One that begins now.
    pub(super) fn new(progress: Progress) -> Self {
        Self {
            since: Instant::now(),
            progress,
        }
    }
}

/// Downloads by claim: those that run or failed, and verified ciphertexts.
#[derive(Default)]
pub(super) struct Downloads {
    pub(super) running: BTreeMap<Name, Download>,
    cached_bytes: usize,
    cached: BTreeMap<Name, (Instant, Arc<Kept>)>,
}

impl Downloads {
    /// Chunks after the first are served from memory, to the same claim only: a new claim asks the hospital
    /// again, so that each disclosure is in its log.
    pub(super) fn cached(&self, name: &Name) -> Option<Arc<Kept>> {
        self.cached
            .get(name)
            .filter(|(since, _)| since.elapsed() < DOWNLOAD_LIFE)
            .map(|(_, kept)| kept.clone())
    }

    /// Whether this claim was accepted before and its download is not forgotten.
    pub(super) fn knows(&self, name: &Name) -> bool {
        self.running.contains_key(name) || self.cached(name).is_some()
    }

    pub(super) fn put(&mut self, name: Name, kept: Arc<Kept>) {
        self.cached_bytes += kept.bytes.len();
        if let Some((_, old)) = self.cached.insert(name, (Instant::now(), kept)) {
            self.cached_bytes -= old.bytes.len();
        }
        loop {
            let oldest = self.cached.iter().min_by_key(|(_, (since, _))| *since);
            let Some((oldest, since)) = oldest.map(|(name, (since, _))| (name.clone(), *since))
            else {
                break;
            };
            let full = self.cached_bytes > CACHE_BYTES && self.cached.len() > 1;
            if !full && since.elapsed() < DOWNLOAD_LIFE {
                break;
            }
            if let Some((_, gone)) = self.cached.remove(&oldest) {
                self.cached_bytes -= gone.bytes.len();
            }
        }
    }

    /// Forgets failures that nobody asked for, and whether another download may begin.
    pub(super) fn has_room(&mut self) -> bool {
        self.running.retain(|_, download| {
            let limit = if download.progress.borrow().is_some() {
                FAILURE_LIFE
            } else {
                DOWNLOAD_LIFE * 2
            };
            download.since.elapsed() < limit
        });
        self.running.len() < MAX_DOWNLOADS
    }

    /// Forgets a download that has ended, unless another one has begun under its name.
    pub(super) fn forget(&mut self, name: &Name, progress: &Progress) {
        if self
            .running
            .get(name)
            .is_some_and(|download| download.progress.same_channel(progress))
        {
            self.running.remove(name);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::PERMIT_BYTES;
    use super::*;
    use tokio::sync::Semaphore;

    fn kept(memory: &Arc<Semaphore>, bytes: usize) -> Arc<Kept> {
        let permits = u32::try_from(bytes.div_ceil(PERMIT_BYTES)).unwrap();
        let share = memory.clone().try_acquire_many_owned(permits).unwrap();
        Arc::new(Kept::new(vec![7; bytes], share))
    }

    #[test]
    fn a_claim_gets_its_own_download_and_gives_its_memory_back() {
        let memory = Arc::new(Semaphore::new(100));
        let mut downloads = Downloads::default();
        let (one, other): (Name, Name) = (vec![1], vec![2]);
        downloads.put(one.clone(), kept(&memory, 10 * PERMIT_BYTES));
        assert!(downloads.knows(&one) && !downloads.knows(&other));
        assert_eq!(memory.available_permits(), 90);
        downloads.put(one.clone(), kept(&memory, 4 * PERMIT_BYTES));
        assert_eq!(downloads.cached_bytes, 4 * PERMIT_BYTES);
        assert_eq!(memory.available_permits(), 96);
        assert_eq!(
            downloads.cached(&one).unwrap().bytes.len(),
            4 * PERMIT_BYTES
        );
    }

    #[test]
    fn an_ended_download_is_forgotten_but_not_its_successor() {
        let mut downloads = Downloads::default();
        let name: Name = vec![1];
        let (_first, progress) = watch::channel(None);
        let (_second, successor) = watch::channel(None);
        downloads
            .running
            .insert(name.clone(), Download::new(successor.clone()));
        downloads.forget(&name, &progress);
        assert!(downloads.knows(&name) && downloads.has_room());
        downloads.forget(&name, &successor);
        assert!(!downloads.knows(&name));
    }
}

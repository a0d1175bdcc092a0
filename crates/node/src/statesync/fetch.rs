//! Fetches the chunks of a snapshot from several nodes at once.

use super::folder::{Draft, SnapshotError};
use super::manifest::chunk_hash;
use caduceus_crypto::Hash;
use caduceus_network::exchange::{SnapshotChunk, SnapshotChunkRequest};
use caduceus_network::{PeerAddr, Service};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::{JoinSet, block_in_place};

/// Chunks asked of one node at once.
const AT_ONCE: usize = 3;
/// Failures in a row after which a node is asked no more.
const MAX_FAILURES: u32 = 4;
/// Pause after a failure.
const PAUSE: Duration = Duration::from_millis(250);

/// Why the chunks did not all come.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// They cannot be written.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// Nobody is left to ask.
    #[error("{missing} of {chunks} chunks could not be had from any node")]
    NobodyLeft {
        /// Chunks that are missing.
        missing: usize,
        /// Chunks of the snapshot.
        chunks: usize,
    },
}

/// What all workers share.
struct Work {
    service: Service,
    draft: Arc<Draft>,
    height: u64,
    chunks: Vec<Hash>,
    /// Chunks that nobody is asked for now.
    queue: Mutex<VecDeque<u32>>,
    missing: Mutex<usize>,
    broken: Mutex<Option<SnapshotError>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fetches what the draft lacks. Returns the number of bytes fetched. A node that sends a wrong chunk, or fails again
/// and again, is asked no more; what it owed is asked of the others.
pub(crate) async fn fetch(
    service: &Service,
    peers: &[PeerAddr],
    draft: Arc<Draft>,
    height: u64,
    chunks: &[Hash],
) -> Result<u64, FetchError> {
    let lacking: VecDeque<u32> = block_in_place(|| {
        (0u32..)
            .zip(chunks)
            .filter(|(index, hash)| !draft.has(*index, hash))
            .map(|(index, _)| index)
            .collect()
    });
    let work = Arc::new(Work {
        service: service.clone(),
        draft,
        height,
        chunks: chunks.to_vec(),
        missing: Mutex::new(lacking.len()),
        queue: Mutex::new(lacking),
        broken: Mutex::new(None),
    });
    let mut workers = JoinSet::new();
    for peer in peers {
        let trust = Arc::new(Mutex::new(0u32));
        for _ in 0..AT_ONCE {
            workers.spawn(ask(work.clone(), peer.clone(), trust.clone()));
        }
    }
    let mut bytes = 0;
    while let Some(done) = workers.join_next().await {
        // A worker that panicked fetched nothing more; its chunk is missing then.
        bytes += done.unwrap_or(0);
    }
    if let Some(error) = lock(&work.broken).take() {
        return Err(error.into());
    }
    match *lock(&work.missing) {
        0 => Ok(bytes),
        missing => Err(FetchError::NobodyLeft {
            missing,
            chunks: chunks.len(),
        }),
    }
}

/// Asks one node until nothing is missing or it is not worth asking.
async fn ask(work: Arc<Work>, peer: PeerAddr, failures: Arc<Mutex<u32>>) -> u64 {
    let mut bytes = 0;
    loop {
        let over = *lock(&work.missing) == 0 || lock(&work.broken).is_some();
        if over || *lock(&failures) >= MAX_FAILURES {
            return bytes;
        }
        let next = lock(&work.queue).pop_front();
        let Some(index) = next else {
            // Another worker may yet fail and give a chunk back.
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let request = SnapshotChunkRequest {
            height: work.height,
            index,
        };
        let answer = work.service.call::<SnapshotChunk>(&peer, request).await;
        let expected = work.chunks[index as usize];
        match answer {
            Ok(reply) if chunk_hash(&reply.bytes) == expected => {
                *lock(&failures) = 0;
                if let Err(error) = block_in_place(|| work.draft.put(index, &reply.bytes)) {
                    *lock(&work.broken) = Some(error);
                    return bytes;
                }
                bytes += reply.bytes.len() as u64;
                *lock(&work.missing) -= 1;
                continue;
            }
            Ok(_) => {
                tracing::warn!(%peer, index, "a node sent a wrong chunk and is asked no more");
                *lock(&failures) = MAX_FAILURES;
            }
            Err(error) => {
                tracing::debug!(%peer, index, %error, "a chunk did not come");
                *lock(&failures) += 1;
            }
        }
        lock(&work.queue).push_back(index);
        tokio::time::sleep(PAUSE).await;
    }
}

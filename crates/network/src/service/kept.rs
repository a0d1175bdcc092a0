//! Streams of our calls that are kept for the next one: opening a stream takes a round trip of its own.

use crate::links::Mark;
use libp2p::{PeerId, Stream};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// For how long a caller keeps a stream. Less than [`CALLEE_WAITS`], so that it is seldom used while it is being closed.
const CALLER_KEEPS: Duration = Duration::from_secs(10);
/// How long a callee waits for the next request on a stream.
pub(super) const CALLEE_WAITS: Duration = Duration::from_secs(20);
/// Most streams of one exchange to one peer.
const MOST: usize = 8;

struct Kept {
    stream: Stream,
    mark: Mark,
    since: Instant,
}

/// See the module.
#[derive(Default)]
pub(super) struct KeptStreams(Mutex<HashMap<(PeerId, &'static str), Vec<Kept>>>);

impl KeptStreams {
    fn lock(&self) -> MutexGuard<'_, HashMap<(PeerId, &'static str), Vec<Kept>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a stream whose last response was read whole.
    pub(super) fn keep(&self, peer: PeerId, exchange: &'static str, stream: Stream, mark: Mark) {
        let mut kept = self.lock();
        let streams = kept.entry((peer, exchange)).or_default();
        if streams.len() < MOST {
            streams.push(Kept {
                stream,
                mark,
                since: Instant::now(),
            });
        }
    }

    /// The stream used last, if no connection was lost since.
    pub(super) fn take(&self, peer: PeerId, exchange: &'static str, mark: Mark) -> Option<Stream> {
        let mut kept = self.lock();
        let streams = kept.get_mut(&(peer, exchange))?;
        let newest = streams.pop()?;
        if newest.mark == mark && newest.since.elapsed() < CALLER_KEEPS {
            return Some(newest.stream);
        }
        // The others are older.
        kept.remove(&(peer, exchange));
        None
    }

    /// Drops all.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// Drops those that are kept long enough.
    pub(super) fn sweep(&self) {
        self.lock().retain(|_, streams| {
            streams.retain(|kept| kept.since.elapsed() < CALLER_KEEPS);
            !streams.is_empty()
        });
    }
}

//! The file in which a trusted head is kept: bytes as [`Trusted::to_disk`] makes them, replaced in one step.

use super::KeptError;
use caduceus_cli::{ExitCode, read_limited, write_private};
use caduceus_ledger::light::MAX_TRUSTED_BYTES;
use caduceus_ledger::{ChainId, Height, Trusted};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A head is written at most this often while a program runs, and when it ends: what is lost in a crash is how far
/// the last seconds went.
const INTERVAL: Duration = Duration::from_secs(10);

/// The head in a file; none if there is no file.
pub(super) fn read(path: &Path, chain: &ChainId) -> Result<Option<Trusted>, KeptError> {
    let bytes = match read_limited(path, MAX_TRUSTED_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.exit == ExitCode::NotFound => return Ok(None),
        // Too long, or not to be read.
        Err(error) => return Err(KeptError::File { detail: error.what }),
    };
    Trusted::from_disk(&bytes, chain)
        .map(Some)
        .map_err(|source| KeptError::Content {
            path: path.to_path_buf(),
            source,
        })
}

struct Written {
    height: Height,
    at: Option<Instant>,
}

/// Where heads are kept, and what is there.
pub(super) struct KeptFile {
    path: PathBuf,
    written: Mutex<Written>,
}

impl KeptFile {
    pub(super) fn new(path: PathBuf, kept: Option<&Trusted>) -> Self {
        let height = kept.map_or(Height::GENESIS, Trusted::height);
        Self {
            path,
            written: Mutex::new(Written { height, at: None }),
        }
    }

    /// Takes note of a head: the first one is written at once, later ones every so often.
    pub(super) fn note(&self, trusted: &Trusted) {
        let due = self
            .written
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .at
            .is_none_or(|at| at.elapsed() >= INTERVAL);
        if due {
            self.write(trusted);
        }
    }

    /// Writes a head that is higher than what is there. That it can't be written endangers nothing now, so the work
    /// goes on.
    pub(super) fn write(&self, trusted: &Trusted) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if trusted.height() <= written.height {
            return;
        }
        written.at = Some(Instant::now());
        match write_private(&self.path, &trusted.to_disk()) {
            Ok(()) => written.height = trusted.height(),
            Err(error) => tracing::warn!(%error, "the trusted head is not kept"),
        }
    }
}

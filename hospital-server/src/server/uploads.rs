//! Uploads in progress: chunks are written to a file of their own until the workstation says that all is there.
//!
//! They live as long as the process. A finished record is in the vault; after a crash the workstation uploads
//! the rest anew.

use caduceus_crypto::PublicKey;
use caduceus_crypto::record::MAX_RECORD_BYTES;
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Uploads open at once.
const MAX_OPEN: usize = 64;
/// Uploads open at once by one member of staff.
const MAX_OPEN_EACH: usize = 16;
/// Holes between the chunks of one upload.
const MAX_HOLES: usize = 1024;
/// How long an upload that does not grow is kept.
const IDLE: Duration = Duration::from_secs(3600);

/// Why a chunk or a finished upload is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// Too many uploads are open: for now.
    #[error("{limit} uploads are open already")]
    Full {
        /// The limit.
        limit: usize,
    },
    /// The chunk reaches beyond the largest record.
    #[error("a record of {found} bytes, at most {limit} allowed")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
        /// Where the chunk ends.
        found: u64,
    },
    /// The chunks are scattered over too many places.
    #[error("the chunks leave more than {limit} holes")]
    Holes {
        /// The limit.
        limit: usize,
    },
    /// No such upload of this caller.
    #[error("there is no such upload")]
    Unknown,
    /// Parts are missing, or there are more than announced.
    #[error("{found} of {expected} bytes are there")]
    Incomplete {
        /// Bytes announced.
        expected: u64,
        /// Bytes received.
        found: u64,
    },
    /// The disk failed.
    #[error("{path}: {source}")]
    Disk {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// The uploads in progress; clones share them. Everything here waits for the disk.
#[derive(Clone)]
pub(crate) struct Uploads {
    dir: Arc<PathBuf>,
    open: Arc<Mutex<HashMap<[u8; 16], Arc<Mutex<Upload>>>>>,
}

struct Upload {
    owner: PublicKey,
    path: PathBuf,
    file: File,
    parts: Parts,
    touched: Instant,
}

impl Drop for Upload {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

/// The bytes received so far: disjoint ranges in order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parts(Vec<(u64, u64)>);

impl Parts {
    /// Adds a range, merging it with its neighbours.
    fn add(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let first = self.0.partition_point(|part| part.1 < start);
        let after = self.0.partition_point(|part| part.0 <= end);
        let mut merged = (start, end);
        for part in &self.0[first..after] {
            merged = (merged.0.min(part.0), merged.1.max(part.1));
        }
        drop(self.0.splice(first..after, [merged]));
    }

    fn received(&self) -> u64 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    fn is_exactly(&self, total: u64) -> bool {
        self.0 == [(0, total)]
    }
}

impl Uploads {
    /// Opens the folder and empties it.
    pub(crate) fn open(dir: &Path) -> Result<Self, UploadError> {
        let at = |source| UploadError::Disk {
            path: dir.to_path_buf(),
            source,
        };
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(error)),
            _ => {}
        }
        fs::create_dir_all(dir).map_err(at)?;
        Ok(Self {
            dir: Arc::new(dir.to_path_buf()),
            open: Arc::new(Mutex::new(HashMap::new())),
        })
    }

    /// Writes a chunk; gives the bytes received so far.
    pub(crate) fn chunk(
        &self,
        owner: PublicKey,
        name: [u8; 16],
        offset: u64,
        bytes: &[u8],
    ) -> Result<u64, UploadError> {
        let (limit, end) = (
            MAX_RECORD_BYTES as u64,
            offset.saturating_add(bytes.len() as u64),
        );
        if end > limit {
            return Err(UploadError::TooLarge { limit, found: end });
        }
        let upload = self.find_or_begin(owner, name)?;
        let mut upload = upload.lock().unwrap_or_else(PoisonError::into_inner);
        if upload.parts.0.len() >= MAX_HOLES
            && upload.parts.0.last().is_none_or(|last| last.1 < offset)
        {
            return Err(UploadError::Holes { limit: MAX_HOLES });
        }
        upload
            .file
            .write_all_at(bytes, offset)
            .map_err(|source| UploadError::Disk {
                path: upload.path.clone(),
                source,
            })?;
        upload.parts.add(offset, end);
        upload.touched = Instant::now();
        Ok(upload.parts.received())
    }

    /// The bytes of an upload of which every part is there. It stays until it is discarded.
    pub(crate) fn whole(
        &self,
        owner: PublicKey,
        name: [u8; 16],
        total: u64,
    ) -> Result<Vec<u8>, UploadError> {
        let upload = self.find(owner, name).ok_or(UploadError::Unknown)?;
        let mut upload = upload.lock().unwrap_or_else(PoisonError::into_inner);
        upload.touched = Instant::now();
        if !upload.parts.is_exactly(total) {
            return Err(UploadError::Incomplete {
                expected: total,
                found: upload.parts.received(),
            });
        }
        let size = usize::try_from(total).map_err(|_| UploadError::TooLarge {
            limit: MAX_RECORD_BYTES as u64,
            found: total,
        })?;
        let mut bytes = vec![0u8; size];
        upload
            .file
            .read_exact_at(&mut bytes, 0)
            .map_err(|source| UploadError::Disk {
                path: upload.path.clone(),
                source,
            })?;
        Ok(bytes)
    }

    /// Forgets an upload.
    pub(crate) fn discard(&self, owner: PublicKey, name: [u8; 16]) {
        if self.find(owner, name).is_some() {
            self.lock().remove(&name);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 16], Arc<Mutex<Upload>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, owner: PublicKey, name: [u8; 16]) -> Option<Arc<Mutex<Upload>>> {
        let upload = self.lock().get(&name).cloned()?;
        let owned = upload.lock().unwrap_or_else(PoisonError::into_inner).owner == owner;
        owned.then_some(upload)
    }

    fn find_or_begin(
        &self,
        owner: PublicKey,
        name: [u8; 16],
    ) -> Result<Arc<Mutex<Upload>>, UploadError> {
        let mut open = self.lock();
        if let Some(upload) = open.get(&name) {
            let owned = upload.lock().unwrap_or_else(PoisonError::into_inner).owner == owner;
            return if owned {
                Ok(Arc::clone(upload))
            } else {
                Err(UploadError::Unknown)
            };
        }
        open.retain(|_, upload| {
            // One that is being written to is not idle.
            upload
                .try_lock()
                .map_or(true, |upload| upload.touched.elapsed() < IDLE)
        });
        let own = open
            .values()
            .filter(|upload| upload.lock().unwrap_or_else(PoisonError::into_inner).owner == owner)
            .count();
        if open.len() >= MAX_OPEN || own >= MAX_OPEN_EACH {
            let limit = if own >= MAX_OPEN_EACH {
                MAX_OPEN_EACH
            } else {
                MAX_OPEN
            };
            return Err(UploadError::Full { limit });
        }
        let path = self.dir.join(hex::encode(name));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| UploadError::Disk {
                path: path.clone(),
                source,
            })?;
        let upload = Arc::new(Mutex::new(Upload {
            owner,
            path,
            file,
            parts: Parts::default(),
            touched: Instant::now(),
        }));
        open.insert(name, Arc::clone(&upload));
        Ok(upload)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use caduceus_crypto::SecretKey;
    use rand_core::OsRng;

    fn key() -> PublicKey {
        SecretKey::generate(&mut OsRng).public()
    }

    #[test]
    fn parts_merge_in_any_order_and_count_once() {
        let mut parts = Parts::default();
        for (start, end) in [
            (10, 20),
            (0, 5),
            (30, 40),
            (15, 32),
            (0, 5),
            (5, 10),
            (7, 7),
        ] {
            parts.add(start, end);
        }
        assert_eq!(parts.0, [(0, 40)]);
        assert!(parts.is_exactly(40) && !parts.is_exactly(41));
        parts.add(50, 51);
        assert_eq!(parts.received(), 41);
        assert!(!parts.is_exactly(51));
    }

    #[test]
    fn an_upload_is_its_owners_and_must_be_complete() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("uploads");
        let uploads = Uploads::open(&dir).unwrap();
        let (doctor, other) = (key(), key());
        assert_eq!(uploads.chunk(doctor, [1; 16], 3, b"def").unwrap(), 3);
        assert!(matches!(
            uploads.chunk(other, [1; 16], 0, b"xyz"),
            Err(UploadError::Unknown)
        ));
        assert!(matches!(
            uploads.whole(doctor, [1; 16], 6),
            Err(UploadError::Incomplete {
                expected: 6,
                found: 3
            })
        ));
        assert_eq!(uploads.chunk(doctor, [1; 16], 0, b"abc").unwrap(), 6);
        assert_eq!(uploads.whole(doctor, [1; 16], 6).unwrap(), b"abcdef");
        assert!(uploads.whole(doctor, [1; 16], 5).is_err());
        assert!(matches!(
            uploads.whole(other, [1; 16], 6),
            Err(UploadError::Unknown)
        ));
        let beyond = uploads.chunk(doctor, [1; 16], MAX_RECORD_BYTES as u64, b"a");
        assert!(matches!(beyond, Err(UploadError::TooLarge { .. })));
        uploads.discard(doctor, [1; 16]);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
    }

    #[test]
    fn the_number_of_open_uploads_is_bounded() {
        let home = tempfile::tempdir().unwrap();
        let uploads = Uploads::open(&home.path().join("uploads")).unwrap();
        let greedy = key();
        for n in 0..16 {
            uploads.chunk(greedy, [n; 16], 0, b"a").unwrap();
        }
        assert!(matches!(
            uploads.chunk(greedy, [99; 16], 0, b"a"),
            Err(UploadError::Full { limit: 16 })
        ));
        for n in 16..64 {
            uploads.chunk(key(), [n; 16], 0, b"a").unwrap();
        }
        assert!(matches!(
            uploads.chunk(key(), [64; 16], 0, b"a"),
            Err(UploadError::Full { limit: 64 })
        ));
    }
}

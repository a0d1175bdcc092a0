//! Sealed records in files, each named by its record hash.
//!
//! A record is written to a temporary file, flushed, renamed, and the folder flushed, before the vault signs
//! for it. Whoever reads a record gets bytes that hash to its name, or is told that they do not.

use crate::database::blocking;
use caduceus_crypto::Hash;
use caduceus_crypto::record::{MAX_RECORD_BYTES, SealedView};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;

/// Records hashed at once: each may take [`MAX_RECORD_BYTES`] of memory.
const WHOLE_AT_ONCE: usize = 4;

/// Why the vault does not give or take a record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// Nothing is kept under this hash.
    #[error("record {record} is not in the vault")]
    Missing {
        /// The record.
        record: Hash,
    },
    /// What is kept hashes to something else.
    #[error("record {record} was altered: its bytes hash to {found}")]
    Tampered {
        /// The record.
        record: Hash,
        /// Record hash of the bytes; zero when they are no sealed record at all.
        found: Hash,
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

/// The folder of records; clones share it.
#[derive(Clone)]
pub(crate) struct Vault {
    inner: Arc<Inner>,
}

struct Inner {
    dir: PathBuf,
    next: AtomicU64,
    whole: Semaphore,
}

/// Record hash of sealed bytes; zero if they are not a sealed record.
pub(crate) fn record_hash(bytes: &[u8]) -> Hash {
    SealedView::parse(bytes).map_or(Hash::ZERO, |view| view.record_hash())
}

impl Vault {
    /// Opens or makes the folder, and removes what a crash left half written.
    pub(crate) fn open(dir: &Path) -> Result<Self, VaultError> {
        let at = |source| VaultError::Disk {
            path: dir.to_path_buf(),
            source,
        };
        fs::create_dir_all(dir).map_err(at)?;
        for entry in fs::read_dir(dir).map_err(at)? {
            let path = entry.map_err(at)?.path();
            if path.extension().is_some_and(|end| end == "tmp") {
                fs::remove_file(&path).map_err(at)?;
            }
        }
        Ok(Self {
            inner: Arc::new(Inner {
                dir: dir.to_path_buf(),
                next: AtomicU64::new(0),
                whole: Semaphore::new(WHOLE_AT_ONCE),
            }),
        })
    }

    /// Keeps a record for good. The bytes must hash to the name; keeping them again is harmless.
    pub(crate) async fn put(&self, record: Hash, bytes: Arc<Vec<u8>>) -> Result<(), VaultError> {
        let inner = Arc::clone(&self.inner);
        let _turn = self.turn().await;
        blocking(move || inner.put(record, &bytes)).await
    }

    /// The whole record, its hash checked.
    pub(crate) async fn get(&self, record: Hash) -> Result<Vec<u8>, VaultError> {
        let inner = Arc::clone(&self.inner);
        let _turn = self.turn().await;
        blocking(move || inner.get(record)).await
    }

    /// A part of a record that [`Vault::get`] just checked: the hash is not checked again.
    pub(crate) async fn range(
        &self,
        record: Hash,
        offset: u64,
        limit: usize,
    ) -> Result<Vec<u8>, VaultError> {
        let inner = Arc::clone(&self.inner);
        blocking(move || inner.range(record, offset, limit)).await
    }

    async fn turn(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.inner
            .whole
            .acquire()
            .await
            .expect("nobody closes the semaphore")
    }
}

impl Inner {
    fn path(&self, record: &Hash) -> PathBuf {
        self.dir.join(record.to_string())
    }

    fn put(&self, record: Hash, bytes: &[u8]) -> Result<(), VaultError> {
        let found = record_hash(bytes);
        if found != record {
            return Err(VaultError::Tampered { record, found });
        }
        let path = self.path(&record);
        match self.get(record) {
            Ok(_) => {
                // It may be the remains of a crash between rename and flush.
                return self
                    .flush_names()
                    .map_err(|source| VaultError::Disk { path, source });
            }
            // The caller has just shown good bytes: they mend what was altered.
            Err(VaultError::Missing { .. } | VaultError::Tampered { .. }) => {}
            Err(error) => return Err(error),
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let temporary = self.dir.join(format!("{}-{number}.tmp", record.short()));
        let outcome = write_new(&temporary, bytes)
            .and_then(|()| fs::rename(&temporary, &path))
            .and_then(|()| self.flush_names());
        if outcome.is_err() {
            // Best effort: what stays is removed at the next start.
            let _ = fs::remove_file(&temporary);
        }
        outcome.map_err(|source| VaultError::Disk { path, source })
    }

    fn flush_names(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    fn get(&self, record: Hash) -> Result<Vec<u8>, VaultError> {
        let mut bytes = Vec::new();
        let most = MAX_RECORD_BYTES as u64 + 1;
        self.file(&record)?
            .take(most)
            .read_to_end(&mut bytes)
            .map_err(|source| self.disk(&record, source))?;
        let found = record_hash(&bytes);
        if found == record {
            Ok(bytes)
        } else {
            Err(VaultError::Tampered { record, found })
        }
    }

    fn range(&self, record: Hash, offset: u64, limit: usize) -> Result<Vec<u8>, VaultError> {
        let file = self.file(&record)?;
        let disk = |source| self.disk(&record, source);
        let left = file.metadata().map_err(disk)?.len().saturating_sub(offset);
        let size = usize::try_from(left).unwrap_or(usize::MAX).min(limit);
        let mut bytes = vec![0u8; size];
        file.read_exact_at(&mut bytes, offset).map_err(disk)?;
        Ok(bytes)
    }

    fn file(&self, record: &Hash) -> Result<File, VaultError> {
        match File::open(self.path(record)) {
            Ok(file) => Ok(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(VaultError::Missing { record: *record })
            }
            Err(source) => Err(self.disk(record, source)),
        }
    }

    fn disk(&self, record: &Hash, source: io::Error) -> VaultError {
        VaultError::Disk {
            path: self.path(record),
            source,
        }
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use caduceus_crypto::record::{
        KeyWrap, RecordHeader, SUITE, VERSION, body_len, padme, preamble,
    };
    use caduceus_crypto::{Epoch, HospitalId, Pseudonym, SecretKey};
    use rand_core::OsRng;

    /// Bytes in the form of a sealed record; nobody can open them.
    pub(crate) fn sealed(fill: u8) -> Vec<u8> {
        let key = || SecretKey::generate(&mut OsRng).public();
        let header = RecordHeader {
            version: VERSION,
            suite: SUITE,
            hospital: HospitalId([7; 32]),
            pseudonym: Pseudonym {
                point: key(),
                ephemeral: key(),
                view_tag: fill,
            },
            delegating: key(),
            epoch: Epoch(20_000),
            padded_len: padme(1),
        };
        let wrap = KeyWrap {
            capsule: vec![fill; 100],
            wrapped_key: vec![fill; 72],
            key_commitment: [fill; 32],
        };
        let mut bytes = preamble(&header, &wrap);
        let body = usize::try_from(body_len(header.padded_len)).unwrap();
        bytes.resize(bytes.len() + body, fill);
        bytes
    }

    #[tokio::test]
    async fn what_is_kept_is_whole_and_survives_a_restart() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("vault");
        let bytes = Arc::new(sealed(1));
        let record = record_hash(&bytes);
        assert_ne!(record, Hash::ZERO);
        let vault = Vault::open(&dir).unwrap();
        assert!(matches!(
            vault.get(record).await,
            Err(VaultError::Missing { .. })
        ));
        vault.put(record, Arc::clone(&bytes)).await.unwrap();
        vault.put(record, Arc::clone(&bytes)).await.unwrap();
        fs::write(dir.join("half-0.tmp"), b"half").unwrap();

        let vault = Vault::open(&dir).unwrap();
        assert_eq!(vault.get(record).await.unwrap(), *bytes);
        assert_eq!(vault.range(record, 10, 5).await.unwrap(), bytes[10..15]);
        let end = bytes.len() as u64;
        assert_eq!(vault.range(record, end - 3, 100).await.unwrap().len(), 3);
        assert!(vault.range(record, end + 1, 100).await.unwrap().is_empty());
        let names: Vec<_> = fs::read_dir(&dir)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names, [std::ffi::OsString::from(record.to_string())]);
    }

    #[tokio::test]
    async fn an_altered_record_is_told_from_a_missing_one_and_mended_by_good_bytes() {
        let home = tempfile::tempdir().unwrap();
        let vault = Vault::open(home.path()).unwrap();
        let bytes = Arc::new(sealed(2));
        let record = record_hash(&bytes);
        let other = Arc::new(sealed(3));
        let wrong = vault.put(record, Arc::clone(&other)).await;
        assert!(matches!(wrong, Err(VaultError::Tampered { .. })));
        vault.put(record, Arc::clone(&bytes)).await.unwrap();

        let path = home.path().join(record.to_string());
        let mut altered = bytes.to_vec();
        *altered.last_mut().unwrap() ^= 1;
        fs::write(&path, &altered).unwrap();
        match vault.get(record).await {
            Err(VaultError::Tampered {
                record: named,
                found,
            }) => {
                assert_eq!((named, found), (record, record_hash(&altered)));
            }
            other => panic!("{other:?}"),
        }
        fs::write(&path, b"no record at all").unwrap();
        match vault.get(record).await {
            Err(VaultError::Tampered { found, .. }) => assert_eq!(found, Hash::ZERO),
            other => panic!("{other:?}"),
        }
        vault.put(record, Arc::clone(&bytes)).await.unwrap();
        assert_eq!(vault.get(record).await.unwrap(), *bytes);
    }
}

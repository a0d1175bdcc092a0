//! The proxy's key fragments, encrypted at rest, one file a grant.
//!
//! File: nonce (12) and AES-256-GCM of the borsh of [`Kept`], under a key derived from the node's; the grant
//! identifier is the file's name and its associated data. Erasing overwrites, then removes: on a copy-on-write
//! or flash medium that proves nothing (DESIGN 3.6).

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, SecretKey, domain, kdf};
use rand_core::{OsRng, RngCore};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Ending of a file that is being written.
const UNFINISHED: &str = "new";

/// What a proxy keeps for a grant.
#[derive(Clone, BorshSerialize, BorshDeserialize)]
pub struct Kept {
    /// Index of the proxy in the grant.
    pub index: u16,
    /// The verified key fragment.
    pub fragment: Vec<u8>,
    /// The purpose, as the patient gave it.
    pub purpose: String,
    /// Salt of the purpose commitment.
    pub purpose_salt: [u8; 32],
}

/// Why the fragment store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FragmentStoreError {
    /// A file could not be used.
    #[error("{path}: {source}")]
    File {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file was altered, or written under another key.
    #[error("{path}: altered, or written under another key")]
    Altered {
        /// The path.
        path: PathBuf,
    },
}

/// The folder of fragments.
pub struct FragmentStore {
    folder: PathBuf,
    cipher: Aes256Gcm,
}

impl FragmentStore {
    /// Opens or creates the folder, and removes files that were being written when the node last ended.
    ///
    /// # Errors
    /// When the folder cannot be made, or read.
    pub fn open(folder: &Path, key: &SecretKey) -> Result<Self, FragmentStoreError> {
        std::fs::create_dir_all(folder).map_err(|source| FragmentStoreError::File {
            path: folder.to_path_buf(),
            source,
        })?;
        remove_unfinished(folder)?;
        let secret = key.to_bytes();
        let derived: Zeroizing<[u8; 32]> = kdf(domain::STORE_KEY, &secret[..], &[b"fragments"]);
        Ok(Self {
            folder: folder.to_path_buf(),
            cipher: Aes256Gcm::new((&*derived).into()),
        })
    }

    fn path(&self, grant: &Hash) -> PathBuf {
        self.folder.join(grant.to_string())
    }

    /// Keeps a fragment; durable when it returns.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn put(&self, grant: &Hash, kept: &Kept) -> Result<(), FragmentStoreError> {
        let path = self.path(grant);
        let fail = |source| FragmentStoreError::File {
            path: path.clone(),
            source,
        };
        let mut nonce = [0u8; 12];
        OsRng.fill_bytes(&mut nonce);
        let plain = Zeroizing::new(caduceus_crypto::encode(kept));
        let sealed = self
            .cipher
            .encrypt(
                Nonce::from_slice(&nonce),
                Payload {
                    msg: &plain,
                    aad: grant.as_bytes(),
                },
            )
            .map_err(|_| FragmentStoreError::Altered { path: path.clone() })?;
        // A name of its own: the same fragment may be delivered twice at once.
        let temporary = self
            .folder
            .join(format!("{grant}.{:016x}.{UNFINISHED}", OsRng.next_u64()));
        let written = write_durably(&temporary, &[&nonce[..], &sealed[..]])
            .and_then(|()| std::fs::rename(&temporary, &path));
        if let Err(source) = written {
            // What is left of it goes when the store is opened next, at the latest.
            let _ = std::fs::remove_file(&temporary);
            return Err(fail(source));
        }
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(fail)
    }

    /// The fragment kept for a grant, if there is one.
    ///
    /// # Errors
    /// When the file cannot be read or was altered.
    pub fn get(&self, grant: &Hash) -> Result<Option<Kept>, FragmentStoreError> {
        let path = self.path(grant);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(FragmentStoreError::File { path, source }),
        };
        let altered = || FragmentStoreError::Altered { path: path.clone() };
        let (nonce, sealed) = bytes.split_at_checked(12).ok_or_else(altered)?;
        let plain = self
            .cipher
            .decrypt(
                Nonce::from_slice(nonce),
                Payload {
                    msg: sealed,
                    aad: grant.as_bytes(),
                },
            )
            .map_err(|_| altered())?;
        borsh::from_slice(&Zeroizing::new(plain))
            .map(Some)
            .map_err(|_| altered())
    }

    /// Overwrites and removes the fragment of a grant; nothing if there is none.
    ///
    /// # Errors
    /// When the file cannot be overwritten or removed.
    pub fn erase(&self, grant: &Hash) -> Result<(), FragmentStoreError> {
        let path = self.path(grant);
        let fail = |source| FragmentStoreError::File {
            path: path.clone(),
            source,
        };
        let Ok(length) = std::fs::metadata(&path).map(|m| m.len()) else {
            return Ok(());
        };
        let mut file = OpenOptions::new().write(true).open(&path).map_err(fail)?;
        file.write_all(&vec![0; length as usize]).map_err(fail)?;
        file.sync_all().map_err(fail)?;
        std::fs::remove_file(&path).map_err(fail)
    }

    /// The grants for which a fragment is kept.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn grants(&self) -> Result<Vec<Hash>, FragmentStoreError> {
        Self::grants_in(&self.folder)
    }

    /// The grants for which a folder has a fragment, without opening it: also while a node uses it. None where there
    /// is no folder.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn grants_in(folder: &Path) -> Result<Vec<Hash>, FragmentStoreError> {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => {
                return Err(FragmentStoreError::File {
                    path: folder.to_path_buf(),
                    source,
                });
            }
        };
        Ok(entries
            .flatten()
            .filter_map(|e| e.file_name().to_str()?.parse().ok())
            .collect())
    }
}

fn write_durably(path: &Path, parts: &[&[u8]]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()
}

fn remove_unfinished(folder: &Path) -> Result<(), FragmentStoreError> {
    let entries = std::fs::read_dir(folder).map_err(|source| FragmentStoreError::File {
        path: folder.to_path_buf(),
        source,
    })?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path
            .extension()
            .is_some_and(|extension| extension == UNFINISHED)
            && let Err(error) = std::fs::remove_file(&path)
        {
            tracing::warn!(%error, path = %path.display(), "an unfinished fragment could not be removed");
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_fragment_is_kept_sealed_checked_and_erased() {
        let folder = tempfile::tempdir().unwrap();
        let key = SecretKey::generate(&mut OsRng);
        let store = FragmentStore::open(folder.path(), &key).unwrap();
        let grant = Hash([7; 32]);
        let kept = Kept {
            index: 2,
            fragment: b"canary fragment".to_vec(),
            purpose: "HRESCH".into(),
            purpose_salt: [1; 32],
        };
        store.put(&grant, &kept).unwrap();
        assert_eq!(store.get(&grant).unwrap().unwrap().fragment, kept.fragment);
        assert_eq!(store.grants().unwrap(), [grant]);
        let path = folder.path().join(grant.to_string());
        let good = std::fs::read(&path).unwrap();
        assert!(!good.windows(6).any(|w| w == b"canary"));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            assert!(store.get(&grant).is_err(), "byte {at}");
        }
        // Under another grant's name it does not open either.
        std::fs::write(folder.path().join(Hash([8; 32]).to_string()), &good).unwrap();
        assert!(store.get(&Hash([8; 32])).is_err());
        store.erase(&grant).unwrap();
        assert!(store.get(&grant).unwrap().is_none());
        store.erase(&grant).unwrap();
    }

    #[test]
    fn the_same_fragment_may_be_put_twice_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let key = SecretKey::generate(&mut OsRng);
        let store = FragmentStore::open(folder.path(), &key).unwrap();
        let grant = Hash([7; 32]);
        let kept = Kept {
            index: 2,
            fragment: vec![5; 500],
            purpose: "HRESCH".into(),
            purpose_salt: [1; 32],
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| store.put(&grant, &kept).unwrap());
            }
        });
        assert_eq!(store.get(&grant).unwrap().unwrap().fragment, kept.fragment);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        // What a crash left is gone at the next start.
        std::fs::write(folder.path().join(format!("{grant}.0.new")), b"half").unwrap();
        let store = FragmentStore::open(folder.path(), &key).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(store.grants().unwrap(), [grant]);
    }
}

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
    /// Opens or creates the folder.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(folder: &Path, key: &SecretKey) -> Result<Self, FragmentStoreError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| FragmentStoreError::File { path: folder.to_path_buf(), source })?;
        let secret = key.to_bytes();
        let derived: Zeroizing<[u8; 32]> = kdf(domain::STORE_KEY, &secret[..], &[b"fragments"]);
        Ok(Self { folder: folder.to_path_buf(), cipher: Aes256Gcm::new((&*derived).into()) })
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
        let fail = |source| FragmentStoreError::File { path: path.clone(), source };
        let mut nonce = [0u8; 12];
        OsRng.fill_bytes(&mut nonce);
        let plain = Zeroizing::new(caduceus_crypto::encode(kept));
        let sealed = self
            .cipher
            .encrypt(Nonce::from_slice(&nonce), Payload { msg: &plain, aad: grant.as_bytes() })
            .map_err(|_| FragmentStoreError::Altered { path: path.clone() })?;
        let temporary = path.with_extension("new");
        let mut file = File::create(&temporary).map_err(fail)?;
        file.write_all(&nonce).and_then(|()| file.write_all(&sealed)).map_err(fail)?;
        file.sync_all().map_err(fail)?;
        std::fs::rename(&temporary, &path).map_err(fail)?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(fail)
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
            .decrypt(Nonce::from_slice(nonce), Payload { msg: sealed, aad: grant.as_bytes() })
            .map_err(|_| altered())?;
        borsh::from_slice(&Zeroizing::new(plain)).map(Some).map_err(|_| altered())
    }

    /// Overwrites and removes the fragment of a grant; nothing if there is none.
    ///
    /// # Errors
    /// When the file cannot be overwritten or removed.
    pub fn erase(&self, grant: &Hash) -> Result<(), FragmentStoreError> {
        let path = self.path(grant);
        let fail = |source| FragmentStoreError::File { path: path.clone(), source };
        let Ok(length) = std::fs::metadata(&path).map(|m| m.len()) else { return Ok(()) };
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
        let entries = std::fs::read_dir(&self.folder)
            .map_err(|source| FragmentStoreError::File { path: self.folder.clone(), source })?;
        Ok(entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect())
    }
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
        let kept = Kept { index: 2, fragment: b"canary fragment".to_vec(), purpose: "HRESCH".into(), purpose_salt: [1; 32] };
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
}

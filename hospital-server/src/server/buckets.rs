//! The keys of the audit log's retention buckets: one random key a class and month, in a file of its own.
//!
//! They live outside the database, whose copy-on-write pages would keep a destroyed key readable. Destroying a
//! file makes the bucket's entries unreadable while the chain still verifies (DESIGN 5.3).

use caduceus_cli::{CliError, create_private_dir, read_limited, write_private_new};
use private_chain::Bucket;
use rand_core::{OsRng, RngCore};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// A bucket's key.
pub(crate) type BucketKey = Zeroizing<[u8; 32]>;

/// A bucket's key cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BucketError {
    /// A file or the folder cannot be used.
    #[error("{0}")]
    File(CliError),
    /// A file does not hold 32 bytes.
    #[error("{path} does not hold a bucket key")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

/// The folder of bucket keys.
pub(crate) struct Buckets {
    dir: PathBuf,
    known: Mutex<HashMap<Bucket, BucketKey>>,
}

impl Buckets {
    /// Opens or makes the folder.
    pub(crate) fn open(dir: &Path) -> Result<Self, BucketError> {
        create_private_dir(dir).map_err(BucketError::File)?;
        Ok(Self {
            dir: dir.to_path_buf(),
            known: Mutex::new(HashMap::new()),
        })
    }

    fn path(&self, bucket: &Bucket) -> PathBuf {
        self.dir
            .join(format!("{}-{}.key", bucket.class.as_str(), bucket.month))
    }

    /// The key of a bucket, drawn now if there is none: for sealing.
    pub(crate) fn key(&self, bucket: &Bucket) -> Result<BucketKey, BucketError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = known.get(bucket) {
            return Ok(key.clone());
        }
        let key = match self.read(bucket)? {
            Some(key) => key,
            None => {
                let mut key = Zeroizing::new([0u8; 32]);
                OsRng.fill_bytes(&mut key[..]);
                // Durable before anything is sealed under it.
                write_private_new(&self.path(bucket), &key[..]).map_err(BucketError::File)?;
                key
            }
        };
        known.insert(*bucket, key.clone());
        Ok(key)
    }

    /// The key of a bucket, unless it was destroyed: for opening.
    pub(crate) fn living(&self, bucket: &Bucket) -> Result<Option<BucketKey>, BucketError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = known.get(bucket) {
            return Ok(Some(key.clone()));
        }
        let key = self.read(bucket)?;
        if let Some(key) = &key {
            known.insert(*bucket, key.clone());
        }
        Ok(key)
    }

    fn read(&self, bucket: &Bucket) -> Result<Option<BucketKey>, BucketError> {
        let path = self.path(bucket);
        if !path.exists() {
            return Ok(None);
        }
        let bytes = Zeroizing::new(read_limited(&path, 64).map_err(BucketError::File)?);
        let mut key = Zeroizing::new([0u8; 32]);
        if bytes.len() != key.len() {
            return Err(BucketError::Damaged { path });
        }
        key.copy_from_slice(&bytes);
        Ok(Some(key))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use private_chain::ActionClass;
    use std::os::unix::fs::PermissionsExt;

    const MAY: Bucket = Bucket {
        class: ActionClass::ClinicalRead,
        month: 24_292,
    };

    #[test]
    fn each_bucket_keeps_its_own_private_key() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("buckets");
        let buckets = Buckets::open(&dir).unwrap();
        assert!(buckets.living(&MAY).unwrap().is_none());
        let key = buckets.key(&MAY).unwrap();
        let june = Bucket {
            month: MAY.month + 1,
            ..MAY
        };
        let other = Bucket {
            class: ActionClass::Administration,
            ..MAY
        };
        assert_ne!(key, buckets.key(&june).unwrap());
        assert_ne!(key, buckets.key(&other).unwrap());
        assert_eq!(Buckets::open(&dir).unwrap().key(&MAY).unwrap(), key);
        let path = dir.join("clinical-read-24292.key");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        std::fs::remove_file(&path).unwrap();
        assert!(Buckets::open(&dir).unwrap().living(&MAY).unwrap().is_none());
        std::fs::write(&path, b"short").unwrap();
        let damaged = Buckets::open(&dir).unwrap().key(&MAY);
        assert!(matches!(damaged, Err(BucketError::Damaged { .. })));
    }
}

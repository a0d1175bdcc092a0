//! The keys of the retention buckets: a file each, wrapped by the node's own key.
//!
//! They are outside the chain's store, whose copy-on-write pages and backups keep old bytes. `<bucket>.key`, mode
//! 0600, [`FILE_BYTES`] bytes:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `CADBKEY1` |
//! | 16 | check of the wrapping key: which node can open it |
//! | 12 | nonce, random |
//! | 48 | the bucket's key under AES-256-GCM (SP 800-38D), with the bucket's name as associated data |
//! | 16 | checksum of all before: damage is told from the key of another node |
//!
//! `<bucket>.gone` says that the key was destroyed, and it is never made or taken in again.
//!
//! # Leakage
//! Who reads the folder learns which buckets there are, as everybody who reads the chain does. With the node's secret
//! key he learns every living bucket's key. Overwriting a file does not reach old blocks that a flash disk or a
//! snapshotting filesystem still keeps: those stay wrapped by the node's key.

pub(super) mod file;

use crate::audit::{Bucket, SecretBytes};
use caduceus_crypto::domain;
use caduceus_crypto::hash::kdf;
use caduceus_crypto::keys::SecretKey;
use file::{Wrapping, overwrite_and_remove, publish, sync_folder};
use rand_core::{OsRng, RngCore};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use zeroize::Zeroizing;

pub use file::FILE_BYTES;

/// Why a bucket's key cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The disk failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What failed.
        #[source]
        source: io::Error,
    },
    /// The file is cut short or grown.
    #[error("{}: {found} bytes, a bucket's key takes {FILE_BYTES}", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Bytes found.
        found: u64,
    },
    /// The file does not begin as a key file of this version does.
    #[error("{}: not the key of a bucket", path.display())]
    Form {
        /// The file.
        path: PathBuf,
    },
    /// The file was altered.
    #[error("{}: the file was altered", path.display())]
    Altered {
        /// The file.
        path: PathBuf,
    },
    /// The file is whole, and wrapped by the key of another node.
    #[error("{}: wrapped by the key of another node", path.display())]
    OtherNode {
        /// The file.
        path: PathBuf,
    },
    /// The bucket's key was destroyed for good.
    #[error("the key of {bucket} was destroyed")]
    Destroyed {
        /// The bucket.
        bucket: Bucket,
    },
    /// There is another key for that bucket.
    #[error("{bucket} has another key already")]
    Conflict {
        /// The bucket.
        bucket: Bucket,
    },
}

impl KeyError {
    /// Whether the file is useless as it is, and the key must come from elsewhere.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            KeyError::Length { .. }
                | KeyError::Form { .. }
                | KeyError::Altered { .. }
                | KeyError::OtherNode { .. }
        )
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> KeyError {
    let path = path.to_owned();
    move |source| KeyError::Io { path, source }
}

/// What is known of a bucket without asking the disk.
#[derive(Clone)]
enum Known {
    Key(SecretBytes),
    Gone,
}

/// The keys of a node's or a server's buckets. Safe to share; one process has the folder.
pub struct BucketKeys {
    dir: PathBuf,
    wrapping: Wrapping,
    list_key: SecretBytes,
    known: Mutex<BTreeMap<Bucket, Known>>,
}

impl std::fmt::Debug for BucketKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BucketKeys")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl BucketKeys {
    /// Opens the folder, makes it if there is none, and ends what a crash interrupted: a key that was to be destroyed
    /// is.
    ///
    /// # Errors
    /// [`KeyError::Io`] names the path.
    pub fn open(dir: impl Into<PathBuf>, wrapping: &SecretKey) -> Result<Self, KeyError> {
        let dir = dir.into();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(failed(&dir))?;
        let secret = wrapping.to_bytes();
        let keys = Self {
            wrapping: Wrapping::derive(&secret),
            list_key: kdf::<32>(domain::AUDIT_RUN_LIST, &secret[..], &[]),
            known: Mutex::default(),
            dir,
        };
        keys.finish()?;
        Ok(keys)
    }

    /// The key under which the index keeps its own list: this node's, not a bucket's.
    pub(super) fn list_key(&self) -> &SecretBytes {
        &self.list_key
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Bucket, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key_path(&self, bucket: &Bucket) -> PathBuf {
        self.dir.join(format!("{bucket}.key"))
    }

    fn gone_path(&self, bucket: &Bucket) -> PathBuf {
        self.dir.join(format!("{bucket}.gone"))
    }

    /// Names of files in the folder.
    fn names(&self) -> Result<Vec<String>, KeyError> {
        let failed = |source| KeyError::Io {
            path: self.dir.clone(),
            source,
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed)? {
            names.extend(entry.map_err(failed)?.file_name().into_string());
        }
        Ok(names)
    }

    /// Removes half-written files and keys whose destruction was begun.
    fn finish(&self) -> Result<(), KeyError> {
        let mut known = self.lock();
        let mut removed = false;
        for name in self.names()? {
            if name.ends_with(".new") {
                let path = self.dir.join(&name);
                overwrite_and_remove(&path).map_err(failed(&path))?;
                removed = true;
            } else if let Some(bucket) = parse(&name, ".gone") {
                let path = self.key_path(&bucket);
                removed |= overwrite_and_remove(&path).map_err(failed(&path))?;
                known.insert(bucket, Known::Gone);
            }
        }
        if removed {
            sync_folder(&self.dir).map_err(failed(&self.dir))?;
        }
        Ok(())
    }

    fn look_up(
        &self,
        known: &mut BTreeMap<Bucket, Known>,
        bucket: &Bucket,
    ) -> Result<Option<Known>, KeyError> {
        if let Some(found) = known.get(bucket) {
            return Ok(Some(found.clone()));
        }
        let path = self.key_path(bucket);
        let Some(key) = self.wrapping.read(&path, bucket)? else {
            return Ok(None);
        };
        known.insert(*bucket, Known::Key(key.clone()));
        Ok(Some(Known::Key(key)))
    }

    /// The bucket's key; none if there is none, or none any more.
    ///
    /// # Errors
    /// [`KeyError`] when the file cannot be read or is not what was written.
    pub fn get(&self, bucket: &Bucket) -> Result<Option<SecretBytes>, KeyError> {
        Ok(match self.look_up(&mut self.lock(), bucket)? {
            Some(Known::Key(key)) => Some(key),
            Some(Known::Gone) | None => None,
        })
    }

    /// Whether the bucket's key was destroyed.
    pub fn is_destroyed(&self, bucket: &Bucket) -> bool {
        matches!(self.lock().get(bucket), Some(Known::Gone))
    }

    /// The bucket's key; a fresh one, durable when this returns, if there is none.
    ///
    /// # Errors
    /// [`KeyError::Destroyed`], or another when a file is there and cannot be read: a second key for a bucket in use
    /// would leave its entries unreadable.
    pub fn draw(&self, bucket: &Bucket) -> Result<SecretBytes, KeyError> {
        let mut known = self.lock();
        match self.look_up(&mut known, bucket)? {
            Some(Known::Key(key)) => Ok(key),
            Some(Known::Gone) => Err(KeyError::Destroyed { bucket: *bucket }),
            None => {
                let mut key = Zeroizing::new([0u8; 32]);
                OsRng.fill_bytes(&mut key[..]);
                self.write(&mut known, bucket, &key)?;
                Ok(key)
            }
        }
    }

    /// Takes in a key that came from a peer; durable when this returns. A damaged file is replaced.
    ///
    /// # Errors
    /// [`KeyError::Destroyed`], [`KeyError::Conflict`], or what the disk says.
    pub fn insert(&self, bucket: &Bucket, key: SecretBytes) -> Result<(), KeyError> {
        let mut known = self.lock();
        match self.look_up(&mut known, bucket) {
            Ok(Some(Known::Key(present))) if present[..] == key[..] => Ok(()),
            Ok(Some(Known::Key(_))) => Err(KeyError::Conflict { bucket: *bucket }),
            Ok(Some(Known::Gone)) => Err(KeyError::Destroyed { bucket: *bucket }),
            Ok(None) => self.write(&mut known, bucket, &key),
            Err(error) if error.is_damage() => self.write(&mut known, bucket, &key),
            Err(error) => Err(error),
        }
    }

    fn write(
        &self,
        known: &mut BTreeMap<Bucket, Known>,
        bucket: &Bucket,
        key: &SecretBytes,
    ) -> Result<(), KeyError> {
        let path = self.key_path(bucket);
        publish(&path, &self.wrapping.wrap(bucket, key)).map_err(failed(&path))?;
        known.insert(*bucket, Known::Key(key.clone()));
        Ok(())
    }

    /// Destroys the bucket's key for good: first the note that it is gone, then the file is overwritten and removed.
    /// All of it is durable when this returns. Does nothing more the second time; a bucket that never had a key here
    /// gets none any more.
    ///
    /// # Errors
    /// What the disk says. The key is not used again all the same; opening the folder ends what is left.
    pub fn destroy(&self, bucket: &Bucket) -> Result<(), KeyError> {
        let mut known = self.lock();
        let (gone, path) = (self.gone_path(bucket), self.key_path(bucket));
        publish(&gone, b"").map_err(failed(&gone))?;
        known.insert(*bucket, Known::Gone);
        if overwrite_and_remove(&path).map_err(failed(&path))? {
            sync_folder(&self.dir).map_err(failed(&self.dir))?;
        }
        Ok(())
    }

    /// The buckets that have a key file here, readable or not, in order.
    ///
    /// # Errors
    /// [`KeyError::Io`] when the folder cannot be read.
    pub fn list(&self) -> Result<Vec<Bucket>, KeyError> {
        let known = self.lock();
        let names = self.names()?;
        let mut buckets: Vec<Bucket> = names
            .iter()
            .filter_map(|name| parse(name, ".key"))
            .filter(|bucket| !matches!(known.get(bucket), Some(Known::Gone)))
            .collect();
        buckets.sort_unstable();
        Ok(buckets)
    }
}

fn parse(name: &str, suffix: &str) -> Option<Bucket> {
    name.strip_suffix(suffix)?.parse().ok()
}

#[cfg(test)]
mod tests;

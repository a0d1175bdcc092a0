//! The keys of the retention buckets at the server: drawn here, and with a node of the chain before anything is sealed
//! under them, so that entries can be opened when this server's home is lost.

use super::LogError;
use super::delivery::Deliver;
use crate::database::blocking;
use caduceus_crypto::SecretKey;
use private_chain::Bucket;
use private_chain::audit::SecretBytes;
use private_chain::audit_log::{BucketKeys, KeyError};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The keys; clones share them.
#[derive(Clone)]
pub(crate) struct Ring {
    keys: Arc<BucketKeys>,
    /// Buckets whose key a node has too.
    shared: Arc<Mutex<BTreeSet<Bucket>>>,
}

impl Ring {
    /// Opens or makes the folder; the files are wrapped by the server key.
    pub(crate) fn open(dir: &Path, server: &SecretKey) -> Result<Self, KeyError> {
        Ok(Self {
            keys: Arc::new(BucketKeys::open(dir, server)?),
            shared: Arc::default(),
        })
    }

    /// The key of a bucket; none if there is none, or none any more. Waits for the disk.
    pub(crate) fn get(&self, bucket: &Bucket) -> Result<Option<SecretBytes>, KeyError> {
        self.keys.get(bucket)
    }

    /// The buckets that have a key here.
    pub(crate) fn list(&self) -> Result<Vec<Bucket>, KeyError> {
        self.keys.list()
    }

    /// Destroys a key for good.
    pub(crate) fn destroy(&self, bucket: &Bucket) -> Result<(), KeyError> {
        self.keys.destroy(bucket)
    }

    fn is_shared(&self, bucket: &Bucket) -> bool {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.contains(bucket)
    }

    /// The key here; none if there is none, or none that this server key opens: after a change of it, or damage.
    async fn here(&self, bucket: &Bucket) -> Result<Option<SecretBytes>, LogError> {
        let (keys, wanted) = (Arc::clone(&self.keys), *bucket);
        match blocking(move || keys.get(&wanted)).await {
            Ok(known) => Ok(known),
            Err(error) if error.is_damage() => {
                tracing::warn!(%bucket, %error, "a bucket's key is to come from a node");
                Ok(None)
            }
            Err(error) => Err(LogError::unavailable(error)),
        }
    }

    /// A key to open with, from here or from a node; none if it was destroyed.
    ///
    /// # Errors
    /// [`LogError::Unavailable`].
    pub(crate) async fn find(
        &self,
        delivery: &impl Deliver,
        bucket: &Bucket,
    ) -> Result<Option<SecretBytes>, LogError> {
        match self.here(bucket).await? {
            Some(key) => Ok(Some(key)),
            None if self.keys.is_destroyed(bucket) => Ok(None),
            None => delivery.bucket_key(bucket).await,
        }
    }

    /// A key to seal under: that which the nodes have, or a fresh one that one of them keeps when this returns.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] when no node answers, [`LogError::Entry`] when the bucket is retired.
    pub(crate) async fn ready(
        &self,
        delivery: &impl Deliver,
        bucket: &Bucket,
    ) -> Result<SecretBytes, LogError> {
        let known = match self.here(bucket).await? {
            Some(key) if self.is_shared(bucket) => return Ok(key),
            Some(key) => Some(key),
            // Another home of this server may have drawn one.
            None => delivery.bucket_key(bucket).await?,
        };
        let (keys, wanted) = (Arc::clone(&self.keys), *bucket);
        let key = blocking(move || match known {
            Some(key) => keys.insert(&wanted, key.clone()).map(|()| key),
            None => keys.draw(&wanted),
        });
        let key = key.await.map_err(refused)?;
        delivery.share_key(bucket, &key).await?;
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.insert(*bucket);
        Ok(key)
    }
}

fn refused(error: KeyError) -> LogError {
    match error {
        KeyError::Destroyed { .. } => LogError::Entry {
            detail: error.to_string(),
        },
        error => LogError::unavailable(error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::server::audit_log::testing::FakeChain;
    use private_chain::ActionClass;

    const BUCKET: Bucket = Bucket {
        class: ActionClass::ClinicalRead,
        month: 24_322,
    };

    fn open(dir: &Path) -> Ring {
        Ring::open(dir, &SecretKey::from_bytes(&[3; 32]).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_key_is_with_a_node_before_it_is_used_and_comes_back_from_there() {
        let home = tempfile::tempdir().unwrap();
        let chain = FakeChain::default();
        let ring = open(&home.path().join("keys"));
        chain.inner.lock().unwrap().away = true;
        assert!(ring.ready(&chain, &BUCKET).await.is_err());
        chain.inner.lock().unwrap().away = false;
        let key = ring.ready(&chain, &BUCKET).await.unwrap();
        assert_eq!(chain.inner.lock().unwrap().keys.get(&BUCKET), Some(&key));
        // A new home finds it at the nodes; a retired bucket has none any more.
        let other = open(&home.path().join("other"));
        assert_eq!(other.ready(&chain, &BUCKET).await.unwrap(), key);
        other.destroy(&BUCKET).unwrap();
        assert!(matches!(
            other.ready(&chain, &BUCKET).await,
            Err(LogError::Entry { .. } | LogError::Unavailable { .. })
        ));
        assert!(other.get(&BUCKET).unwrap().is_none());
    }
}

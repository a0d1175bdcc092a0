//! A chain in memory, and entries.

#![allow(clippy::unwrap_used)]

use super::{Deliver, Delivered, LogError};
use caduceus_crypto::{Hash, HospitalId, SecretKey, TimeMillis, encode};
use caduceus_ledger::{ChainId, tx_id};
use private_chain::audit::SecretBytes;
use private_chain::rules::AuditReceipt;
use private_chain::{Action, AuditBatch, AuditEntry, Bucket, Outcome, Tx};
use rand_core::OsRng;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An entry of this number.
pub(crate) fn entry(number: u64) -> AuditEntry {
    AuditEntry {
        time: TimeMillis(1_800_000_000_000),
        actor: SecretKey::generate(&mut OsRng).public().into(),
        role: None,
        organisation: HospitalId([7; 32]),
        action: Action::Read,
        subtype: "look".into(),
        outcome: Outcome::Success,
        reason: "".into(),
        patient: None,
        resource: None,
        purpose: "".into(),
        grant: None,
        source: "test".into(),
        request: format!("{number:032x}").into(),
        reference: "".into(),
        statement: None,
    }
}

/// A chain that takes each batch once, or is away.
#[derive(Clone, Default)]
pub(crate) struct FakeChain {
    pub(crate) inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) away: bool,
    /// Takes what it is given, and does not say so.
    pub(crate) silent: bool,
    pub(crate) batches: Vec<AuditBatch>,
    pub(crate) anchored: Vec<Hash>,
    /// Keys that were shared.
    pub(crate) keys: BTreeMap<Bucket, SecretBytes>,
    results: BTreeMap<Hash, Delivered>,
    entries: u64,
}

impl FakeChain {
    pub(crate) const ID: ChainId = ChainId(Hash([5; 32]));
}

impl Deliver for FakeChain {
    fn chain(&self) -> ChainId {
        Self::ID
    }

    async fn deliver(&self, tx: &[u8]) -> Result<Delivered, LogError> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let away = || LogError::unavailable("away");
        let mut inner = self.inner.lock().unwrap();
        if inner.away {
            return Err(away());
        }
        let id = tx_id(tx);
        if !inner.results.contains_key(&id) {
            let Ok(Tx::Audit(batch)) = Tx::decode(tx) else {
                panic!("a batch of entries");
            };
            let count = batch.entries.len() as u64;
            let receipt = AuditReceipt {
                first: inner.entries,
                count: u32::try_from(count).unwrap(),
                root: batch.root(),
            };
            inner.entries += count;
            inner.batches.push(batch);
            let delivered = Delivered {
                height: inner.batches.len() as u64,
                block_hash: Hash([1; 32]),
                result: encode(&receipt),
            };
            inner.results.insert(id, delivered);
        }
        if inner.silent {
            return Err(away());
        }
        Ok(inner.results[&id].clone())
    }

    async fn bucket_key(&self, bucket: &Bucket) -> Result<Option<SecretBytes>, LogError> {
        let inner = self.inner.lock().unwrap();
        if inner.away {
            return Err(LogError::unavailable("away"));
        }
        Ok(inner.keys.get(bucket).cloned())
    }

    async fn share_key(&self, bucket: &Bucket, key: &SecretBytes) -> Result<(), LogError> {
        let mut inner = self.inner.lock().unwrap();
        if inner.away {
            return Err(LogError::unavailable("away"));
        }
        let known = inner.keys.entry(*bucket).or_insert_with(|| key.clone());
        assert_eq!(known, key);
        Ok(())
    }

    async fn is_anchored(&self, record: &Hash) -> Result<bool, LogError> {
        Ok(self.inner.lock().unwrap().anchored.contains(record))
    }
}

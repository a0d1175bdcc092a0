//! Getting the keys of buckets whose entries wait: from the hospital's other nodes, and from its server.

use super::Shared;
use crate::audit::{BatchKey, Bucket, SecretBytes};
use crate::{PrivateMachine, query};
use caduceus_crypto::codec;
use caduceus_network::PeerAddr;
use caduceus_network::exchange::{
    BucketKeys, BucketKeysReply, BucketKeysRequest, BucketName, LivingKey, MAX_BUCKETS,
};
use caduceus_node::Node;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;
use tokio::task::{JoinHandle, block_in_place};
use tokio::time::Instant;

/// Longest pause between two rounds.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// Batches that are tried with a key before it is taken in.
const TRIED: usize = 64;

/// A round that is under way, and when the next may be.
#[derive(Default)]
pub(super) struct Fetching {
    pause: Duration,
    next: Option<Instant>,
    round: Option<JoinHandle<()>>,
}

/// A bucket as exchanges name it.
pub(super) fn name(bucket: &Bucket) -> BucketName {
    codec::encode(bucket)
        .try_into()
        .expect("a bucket is three bytes")
}

impl Fetching {
    /// Begins to ask all around for what is missing, with longer and longer pauses. Gives whether nothing is.
    pub(super) fn step(&mut self, shared: &Arc<Shared>, node: &Arc<Node<PrivateMachine>>) -> bool {
        let missing: BTreeMap<Bucket, u64> = shared.index.waiting().into_iter().collect();
        if missing.is_empty() {
            *self = Self::default();
            return true;
        }
        let busy = self
            .round
            .as_ref()
            .is_some_and(|round| !round.is_finished());
        if busy || self.next.is_some_and(|next| Instant::now() < next) {
            return false;
        }
        self.pause = (self.pause * 2).clamp(super::RETRY, MAX_PAUSE);
        self.next = Some(Instant::now() + self.pause);
        // A peer that is down takes its time to be so, and the index goes on meanwhile.
        let (shared, node) = (shared.clone(), Arc::downgrade(node));
        self.round = Some(tokio::spawn(round(shared, node, missing)));
        false
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        if let Some(round) = &self.round {
            round.abort();
        }
    }
}

/// Asks one peer after the other.
async fn round(
    shared: Arc<Shared>,
    node: Weak<Node<PrivateMachine>>,
    mut missing: BTreeMap<Bucket, u64>,
) {
    let server = shared
        .server
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    for peer in shared.relay.addresses().into_iter().chain(server) {
        for key in ask(&shared, &peer, &missing).await {
            let Some(node) = node.upgrade() else { return };
            if let Some(bucket) = block_in_place(|| take(&shared, &node, &peer, &missing, key)) {
                missing.remove(&bucket);
                shared.keyed.notify_one();
            }
        }
        if missing.is_empty() {
            return;
        }
    }
    let buckets: Vec<String> = missing.keys().map(Bucket::to_string).collect();
    let buckets = buckets.join(", ");
    tracing::warn!(buckets, "nobody gives the keys of buckets with entries");
}

async fn ask(shared: &Shared, peer: &PeerAddr, missing: &BTreeMap<Bucket, u64>) -> Vec<LivingKey> {
    let buckets = missing.keys().take(MAX_BUCKETS).map(name).collect();
    let request = BucketKeysRequest::Fetch { buckets };
    match shared.service.call::<BucketKeys>(peer, request).await {
        Ok(BucketKeysReply::Keys(keys)) => keys,
        Ok(_) => Vec::new(),
        Err(error) => {
            tracing::debug!(%peer, %error, "no bucket keys");
            Vec::new()
        }
    }
}

/// Takes in a key that was asked for and opens what waits for it. Gives its bucket.
fn take(
    shared: &Shared,
    node: &Node<PrivateMachine>,
    peer: &PeerAddr,
    missing: &BTreeMap<Bucket, u64>,
    given: LivingKey,
) -> Option<Bucket> {
    let bucket: Bucket = codec::decode_exact(&given.bucket, 3).ok()?;
    let start = *missing.get(&bucket)?;
    let key = SecretBytes::new(given.key);
    match opens(node, &bucket, start, &key) {
        Ok(true) => {}
        Ok(false) => {
            tracing::warn!(%peer, %bucket, "a peer gave a key that opens nothing");
            return None;
        }
        Err(error) => {
            tracing::warn!(%error, "the chain cannot be read");
            return None;
        }
    }
    match shared.keys.insert(&bucket, key) {
        Ok(()) => {
            tracing::info!(%peer, %bucket, "a bucket's key has come");
            Some(bucket)
        }
        Err(error) => {
            tracing::warn!(%bucket, %error, "a bucket's key is not kept");
            None
        }
    }
}

/// Whether a key opens an entry of the bucket: a wrong one would keep the right one out.
fn opens(
    node: &Node<PrivateMachine>,
    bucket: &Bucket,
    start: u64,
    key: &SecretBytes,
) -> Result<bool, String> {
    let snapshot = node.chain().snapshot().map_err(|e| e.to_string())?;
    let mut from = start;
    for _ in 0..TRIED {
        let batches = query::audit_batches(&snapshot, from, 1).map_err(|e| e.to_string())?;
        let Some((first, place, batch)) = batches.first() else {
            return Ok(false);
        };
        from = first + u64::from(place.count);
        let batch_key = BatchKey::derive(key, *bucket, &batch.id);
        let mut entries = (0u32..).zip(&batch.entries);
        if entries.any(|(index, sealed)| {
            sealed.bucket() == *bucket && batch_key.open(index, sealed).is_ok()
        }) {
            return Ok(true);
        }
    }
    Ok(false)
}

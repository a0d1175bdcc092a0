//! Forgetting what the chain retires, and saying so.

use super::Shared;
use crate::audit::Bucket;
use crate::tx::{SignedDestroyed, Tx};
use crate::{PrivateMachine, query, state};
use caduceus_crypto::SecretKey;
use caduceus_node::Node;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::task::block_in_place;
use tokio::time::Instant;

/// A word that is not on the chain after this time is said again.
const COMMIT: Duration = Duration::from_secs(20);

/// What is forgotten, and said to be.
pub(super) struct Retiring {
    key: SecretKey,
    forgotten: BTreeSet<Bucket>,
    /// On the chain.
    said: BTreeSet<Bucket>,
    /// Handed to the chain.
    saying: BTreeMap<Bucket, Instant>,
}

impl Retiring {
    pub(super) fn new(key: SecretKey) -> Self {
        Self {
            key,
            forgotten: BTreeSet::new(),
            said: BTreeSet::new(),
            saying: BTreeMap::new(),
        }
    }

    /// Forgets every retired bucket and, as a validator, says so on the chain. Gives whether all is done.
    pub(super) async fn step(&mut self, shared: &Shared, node: &Node<PrivateMachine>) -> bool {
        let to_say = match block_in_place(|| self.forget(shared, node)) {
            Ok(to_say) => to_say,
            Err(error) => {
                tracing::warn!(%error, "a retired bucket is not forgotten yet");
                return false;
            }
        };
        for bucket in &to_say {
            let handed = self.saying.get(bucket);
            if handed.is_some_and(|at| at.elapsed() < COMMIT) {
                continue;
            }
            let word = SignedDestroyed::sign(*bucket, &node.chain().id(), &self.key);
            match node.submit(Tx::Destroyed(word).encode()).await {
                Ok(_) => {
                    self.saying.insert(*bucket, Instant::now());
                }
                Err(error) => {
                    tracing::warn!(%bucket, %error, "the chain does not take the word that the bucket is forgotten");
                }
            }
        }
        to_say.is_empty()
    }

    /// Destroys keys and files. Gives the buckets of which the chain does not have this node's word.
    fn forget(
        &mut self,
        shared: &Shared,
        node: &Node<PrivateMachine>,
    ) -> Result<Vec<Bucket>, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let chain = node.chain();
        let snapshot = chain.snapshot().map_err(|e| text(&e))?;
        let is_voter = chain.next_validators().iter().any(|v| v.key == shared.own);
        let mut to_say = Vec::new();
        for (bucket, _) in query::retired_buckets(&snapshot).map_err(|e| text(&e))? {
            if self.forgotten.insert(bucket) {
                let done = shared
                    .keys
                    .destroy(&bucket)
                    .map_err(|e| text(&e))
                    .and_then(|()| shared.index.retire(&bucket).map_err(|e| text(&e)));
                if let Err(error) = done {
                    self.forgotten.remove(&bucket);
                    return Err(format!("{bucket}: {error}"));
                }
            }
            if is_voter && !self.said.contains(&bucket) {
                let word = state::destroyed(&bucket, &shared.own);
                if word.is_set(&snapshot).map_err(|e| text(&e))? {
                    tracing::info!(%bucket, "the chain has it that this node forgot the bucket");
                    self.said.insert(bucket);
                    self.saying.remove(&bucket);
                } else {
                    to_say.push(bucket);
                }
            }
        }
        Ok(to_say)
    }
}

//! Taking in what the chain has and the index has not.

use super::Shared;
use crate::audit::{AuditBatch, Place};
use crate::audit_log::IndexError;
use crate::state::BatchPlace;
use crate::tx::Tx;
use crate::{PrivateMachine, query};
use caduceus_crypto::Hash;
use caduceus_ledger::StateError;
use caduceus_node::{Node, StoreError};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Batches read at once: a snapshot of the store is not held for longer.
const AT_ONCE: usize = 32;

/// Why the index does not follow.
#[derive(Debug, thiserror::Error)]
pub(super) enum FollowError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("the chain has no block {0}, whose batches it has")]
    NoBlock(u64),
}

/// Takes in batches until there are none.
pub(super) async fn catch_up(
    shared: &Arc<Shared>,
    node: &Arc<Node<PrivateMachine>>,
) -> Result<(), FollowError> {
    loop {
        let (shared, node) = (shared.clone(), node.clone());
        let task = tokio::task::spawn_blocking(move || some(&shared, &node));
        match task.await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

/// Takes in some batches. Gives whether there may be more.
fn some(shared: &Shared, node: &Node<PrivateMachine>) -> Result<bool, FollowError> {
    // Read before the snapshot, which has this block at least.
    let height = node.chain().tip().height.0;
    let snapshot = node.chain().snapshot()?;
    let from = shared.index.indexed_up_to();
    let batches = query::audit_batches(&snapshot, from, AT_ONCE)?;
    let mut block: Option<(u64, Hash)> = None;
    for (first, place, batch) in &batches {
        let height = place.height.0;
        let block_hash = match block {
            Some((known, hash)) if known == height => hash,
            _ => snapshot
                .block_hash(place.height)?
                .ok_or(FollowError::NoBlock(height))?,
        };
        block = Some((height, block_hash));
        shared
            .index
            .ingest(*first, &whole(*first, place, batch, block_hash), batch)?;
    }
    shared.indexed.send_replace(shared.index.indexed_up_to());
    let more = batches.len() == AT_ONCE || shared.index.indexed_up_to() < from;
    if !more {
        shared.level.store(height, Ordering::Relaxed);
    }
    Ok(more)
}

/// Where a batch stands, as rows say it.
fn whole(first: u64, place: &BatchPlace, batch: &AuditBatch, block_hash: Hash) -> Place {
    Place {
        height: place.height.0,
        block_hash,
        block_time: place.time,
        // Borsh is canonical, so this is the transaction as it came.
        tx: Tx::Audit(batch.clone()).id(),
        batch: batch.id,
        first,
    }
}

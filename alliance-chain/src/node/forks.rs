//! A private chain's second header at a height, which the chain refuses, becomes a report (DESIGN 6.2).

use crate::AllianceMachine;
use crate::query::{self, Conflict};
use crate::state;
use crate::tx::{Checkpoint, Report, ReportKind, ReportProof, Tx};
use caduceus_crypto::{HospitalId, SecretKey};
use caduceus_ledger::Rejection;
use caduceus_node::{Node, StoreError, SubmitError};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::block_in_place;

/// The rule by which the chain refuses a second header.
const RULE: &str = "checkpoint_header_conflict";
/// How often, and how long, to look for the first header: it may still wait for its block.
const LOOKS: u32 = 20;
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
/// Forks remembered so that each is reported by this node once. The chain takes each once anyway.
const MAX_REMEMBERED: usize = 4096;
/// Refused checkpoints looked into at once. Others are passed over: a fork is offered again, or told by another node.
const MAX_TASKS: usize = 8;

/// Reports every fork that this node's chain refuses, under the node's own key.
pub(super) fn watch(node: &Arc<Node<AllianceMachine>>, key: SecretKey) {
    let watcher = Arc::new(Watcher {
        node: Arc::downgrade(node),
        key,
        reported: Mutex::new(BTreeSet::new()),
    });
    let tasks = Arc::new(Semaphore::new(MAX_TASKS));
    node.on_refusal(Arc::new(move |tx: &[u8], rejection: &Rejection| {
        if rejection.rule != RULE {
            return;
        }
        let Ok(permit) = tasks.clone().try_acquire_owned() else {
            return;
        };
        if let Ok(Tx::Checkpoint(checkpoint)) = Tx::decode(tx) {
            let watcher = watcher.clone();
            tokio::spawn(async move {
                watcher.report(checkpoint).await;
                drop(permit);
            });
        }
    }));
}

struct Watcher {
    /// The node holds the watcher.
    node: Weak<Node<AllianceMachine>>,
    key: SecretKey,
    reported: Mutex<BTreeSet<(HospitalId, u64)>>,
}

impl Watcher {
    async fn report(&self, checkpoint: Checkpoint) {
        let hospital = checkpoint.hospital;
        let Some(conflict) = self.find(&checkpoint).await else {
            return;
        };
        let height = conflict.height.0;
        let Some(node) = self.node.upgrade() else {
            return;
        };
        let is_new = {
            let mut reported = self.reported();
            reported.len() < MAX_REMEMBERED && reported.insert((hospital, height))
        };
        if !is_new {
            return;
        }
        tracing::error!(%hospital, height, recorded = %conflict.recorded, found = %conflict.found, "a private chain has forked");
        let report = fork_report(&self.key, checkpoint, &conflict);
        let tx = Tx::Report(report.sign(&node.chain().id(), &self.key)).encode();
        match node.submit(tx).await {
            Ok(_) => {}
            // Another node was first.
            Err(SubmitError::Rejected(why)) => {
                tracing::info!(rule = why.rule, %hospital, height, "the fork was not reported");
            }
            Err(error) => {
                tracing::warn!(%error, %hospital, height, "the fork is not reported yet");
                self.reported().remove(&(hospital, height));
            }
        }
    }

    /// The forks that this node reported.
    fn reported(&self) -> MutexGuard<'_, BTreeSet<(HospitalId, u64)>> {
        self.reported.lock().expect("no holder of this lock panics")
    }

    /// Where the checkpoint contradicts the committed state; none if it does not, or the fork is reported already.
    async fn find(&self, checkpoint: &Checkpoint) -> Option<Conflict> {
        for look in 0..LOOKS {
            if look > 0 {
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
            let node = self.node.upgrade()?;
            match block_in_place(|| look_up(&node, checkpoint)) {
                Ok(Some((_, true))) => return None,
                Ok(Some((conflict, false))) => return Some(conflict),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "a fork could not be looked up");
                    return None;
                }
            }
        }
        None
    }
}

/// A conflict and whether it is reported.
fn look_up(
    node: &Node<AllianceMachine>,
    checkpoint: &Checkpoint,
) -> Result<Option<(Conflict, bool)>, StoreError> {
    let snapshot = node.chain().snapshot()?;
    let hospital = &checkpoint.hospital;
    let Some(conflict) = query::conflict(&snapshot, hospital, &checkpoint.headers)? else {
        return Ok(None);
    };
    let reported = state::forked(hospital, conflict.height).is_set(&snapshot)?;
    Ok(Some((conflict, reported)))
}

/// The report of a refused checkpoint: its headers from the conflict on, and its certificate.
fn fork_report(key: &SecretKey, checkpoint: Checkpoint, conflict: &Conflict) -> Report {
    let second = checkpoint
        .headers
        .into_iter()
        .filter(|header| header.height >= conflict.height)
        .collect();
    Report {
        reporter: key.public(),
        kind: ReportKind::Fork,
        hospital: checkpoint.hospital,
        record: None,
        detail: format!(
            "private height {}: {} is on record, {} was offered",
            conflict.height, conflict.recorded, conflict.found
        ),
        proof: ReportProof::Fork {
            recorded: None,
            second,
            certificate: checkpoint.certificate,
        },
    }
}

//! The audit log of a node: follows the chain, forgets retired buckets and says so, gets the keys that it lacks, and
//! answers searches.
//!
//! `<home>/audit-keys` holds the buckets' keys, `<home>/audit` the index ([`crate::audit_log`]). One task does all that
//! changes them: it takes in new batches after each block, and what it cannot do now it tries again.

mod fetch;
mod follow;
mod judge;
mod retire;
mod serve;

use crate::PrivateMachine;
use crate::audit_log::{BucketKeys, Index, IndexError, KeyError, operator_key};
use caduceus_crypto::{PublicKey, SecretKey};
use caduceus_ledger::Header;
use caduceus_network::{PeerAddr, Service};
use caduceus_node::service::Authorise;
use caduceus_node::{Node, RelayPeers};
use fetch::Fetching;
use retire::Retiring;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::{JoinHandle, block_in_place};

/// Between two tries of what did not work.
const RETRY: Duration = Duration::from_secs(1);

/// Why the audit log of a node does not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditLogError {
    /// The bucket keys.
    #[error("the keys of the audit log: {0}")]
    Keys(#[from] KeyError),
    /// The index.
    #[error("the index of the audit log: {0}")]
    Index(#[from] IndexError),
}

/// What the task and the exchanges share.
struct Shared {
    /// Not kept alive: whoever drops the node may open its store again at once.
    node: Weak<Node<PrivateMachine>>,
    service: Service,
    keys: Arc<BucketKeys>,
    index: Arc<Index>,
    own: PublicKey,
    /// Of the commands on its machine.
    operator: PublicKey,
    relay: RelayPeers,
    /// Where the hospital's server is.
    server: RwLock<Option<PeerAddr>>,
    /// How far the index has come.
    indexed: watch::Sender<u64>,
    /// Height of a block whose entries the index has, all of them.
    level: AtomicU64,
    /// A key has come.
    keyed: Notify,
}

/// A node's audit log at work.
pub struct NodeAudit {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl NodeAudit {
    /// Opens keys and index in the node's folder, serves both exchanges and begins to follow the chain. Keys are given
    /// to the voters, to those whom the operator names and to the hospital's server; rows to the hospital's own keys and
    /// the operator's.
    pub(super) fn start(
        home: &Path,
        key: &SecretKey,
        service: &Service,
        node: &Arc<Node<PrivateMachine>>,
        relay: RelayPeers,
        server: Option<PeerAddr>,
        hospital: Authorise,
    ) -> Result<Self, AuditLogError> {
        let keys = Arc::new(BucketKeys::open(home.join("audit-keys"), key)?);
        let index = Index::open(home.join("audit"), keys.clone(), node.chain().id())?;
        let shared = Arc::new(Shared {
            node: Arc::downgrade(node),
            service: service.clone(),
            keys,
            indexed: watch::Sender::new(index.indexed_up_to()),
            level: AtomicU64::new(0),
            index: Arc::new(index),
            own: key.public(),
            operator: operator_key(key).public(),
            relay,
            server: RwLock::new(server),
            keyed: Notify::new(),
        });
        node.chain()
            .set_live_check(Arc::new(judge::Judge::new(&shared)));
        serve::keys(&shared);
        serve::rows(&shared, hospital);
        let (stop, stopped) = watch::channel(false);
        let tips = node.chain().watch_tip();
        let task = tokio::spawn(run(shared.clone(), key.clone(), tips, stopped));
        Ok(Self {
            shared,
            stop,
            task: Mutex::new(Some(task)),
        })
    }

    /// The index, for whoever is in the same process.
    pub fn index(&self) -> &Arc<Index> {
        &self.shared.index
    }

    /// The bucket keys.
    pub fn keys(&self) -> &Arc<BucketKeys> {
        &self.shared.keys
    }

    /// Follows how far the index has come: all entries before this number are taken in, but those without a key.
    pub fn watch_indexed(&self) -> watch::Receiver<u64> {
        self.shared.indexed.subscribe()
    }

    /// Where the hospital's server is from now on.
    pub(super) fn set_server(&self, server: Option<PeerAddr>) {
        let mut known = self
            .shared
            .server
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *known = server;
    }

    /// Ends the task and puts all rows into files.
    pub(super) async fn stop(&self) {
        self.stop.send_replace(true);
        let Some(task) = self.task.lock().await.take() else {
            return;
        };
        if let Err(error) = task.await {
            tracing::error!(%error, "the audit log's task ended badly");
        }
        if let Err(error) = block_in_place(|| self.shared.index.flush()) {
            tracing::warn!(%error, "the audit index was not written; it is made anew from the chain");
        }
    }
}

/// Does what there is to do after each block, and again in a while if it did not work.
async fn run(
    shared: Arc<Shared>,
    key: SecretKey,
    mut tips: watch::Receiver<Header>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut retiring = Retiring::new(key);
    let mut fetching = Fetching::default();
    loop {
        tips.mark_unchanged();
        let work = async {
            let node = shared.node.upgrade()?;
            let followed = follow::catch_up(&shared, &node).await;
            if let Err(error) = &followed {
                tracing::warn!(%error, "the audit index does not follow the chain");
            }
            let retired = retiring.step(&shared, &node).await;
            let fetched = fetching.step(&shared, &node);
            Some(followed.is_ok() && retired && fetched)
        };
        let done = tokio::select! {
            done = work => done,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        let Some(done) = done else { return };
        tokio::select! {
            changed = tips.changed() => if changed.is_err() { return },
            () = shared.keyed.notified() => {}
            () = tokio::time::sleep(RETRY), if !done => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
    }
}

//! Submitters: clients that send audit transactions to random live nodes and remember what they were told.

use super::acknowledged::{AcknowledgedSet, Place};
use super::pack::Pack;
use anyhow::Context;
use caduceus_crypto::{HospitalId, SecretKey};
use caduceus_ledger::{ChainId, tx_id};
use caduceus_network::exchange::{Submit, SubmitReply, SubmitRequest};
use caduceus_network::{Limits, PeerAddr, Service, ServiceConfig};
use caduceus_node::{Clock, SystemClock};
use private_chain::Tx;
use private_chain::audit::{Action, ActionClass, AuditEntry, DraftBatch, Outcome};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;

/// Longest that a client waits for an answer: more than a node lets it wait.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often one transaction is sent at the most.
const TRIES: usize = 3;

/// How much is sent.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Clients at once.
    pub submitters: usize,
    /// Pause of a client after an answer.
    pub pause: Duration,
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            submitters: 6,
            pause: Duration::from_millis(60),
        }
    }
}

struct Shared {
    set: AcknowledgedSet,
    live: Vec<AtomicBool>,
    addresses: Vec<PeerAddr>,
    in_flight: AtomicUsize,
    stop: AtomicBool,
    rejected: Mutex<Vec<String>>,
    service: Service,
    chain: ChainId,
    hospital: HospitalId,
    server: SecretKey,
}

/// Running submitters.
pub struct Load {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl Load {
    /// Starts submitters on the chain of a pack. All nodes count as live.
    ///
    /// # Errors
    /// When no service can be started.
    pub async fn start(pack: &Pack, rate: Rate, seed: u64) -> anyhow::Result<Self> {
        let hospital = pack.hospital();
        let service = Service::start(ServiceConfig {
            key: &hospital.server,
            listen: Vec::new(),
            limits: Limits::default(),
        })
        .await
        .context("the submitters' service")?;
        let shared = Arc::new(Shared {
            set: AcknowledgedSet::default(),
            live: pack
                .addresses()
                .iter()
                .map(|_| AtomicBool::new(true))
                .collect(),
            addresses: pack.addresses().to_vec(),
            in_flight: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            rejected: Mutex::default(),
            service,
            chain: hospital.genesis.chain_id(),
            hospital: hospital.id,
            server: hospital.server.clone(),
        });
        let mut tasks = JoinSet::new();
        for n in 0..rate.submitters {
            let rng = ChaCha20Rng::seed_from_u64(seed ^ ((n as u64 + 1) << 32));
            tasks.spawn(submit_until_stopped(shared.clone(), rate.pause, rng));
        }
        Ok(Self { shared, tasks })
    }

    /// What the submitters were told so far.
    pub fn told(&self) -> &AcknowledgedSet {
        &self.shared.set
    }

    /// Transactions sent and not answered now.
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::SeqCst)
    }

    /// Says whether clients should choose a node.
    pub fn set_live(&self, node: usize, live: bool) {
        self.shared.live[node].store(live, Ordering::SeqCst);
    }

    /// Rejections, which a chain that lost nothing never gives to these transactions.
    pub fn rejected(&self) -> Vec<String> {
        let rejected = self.shared.rejected.lock();
        rejected.expect("no holder of this lock panics").clone()
    }

    /// Waits until something is in flight. False if that does not come.
    pub async fn has_begun(&self, within: Duration) -> bool {
        let waiting = async {
            while self.in_flight() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(within, waiting).await.is_ok()
    }

    /// Lets every client finish what it waits for, then stops.
    pub async fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        while self.tasks.join_next().await.is_some() {}
    }

    /// Ends the service too.
    pub async fn shutdown(mut self) {
        self.stop().await;
        self.shared.service.shutdown().await;
    }
}

/// An audit transaction with one entry, unlike any other.
fn audit_tx(shared: &Shared, rng: &mut ChaCha20Rng) -> Vec<u8> {
    let entry = AuditEntry {
        time: SystemClock.now(),
        actor: shared.server.public().into(),
        role: None,
        organisation: shared.hospital,
        action: Action::Execute,
        subtype: "chaos".into(),
        outcome: Outcome::Success,
        reason: "".into(),
        patient: None,
        resource: None,
        purpose: "".into(),
        grant: None,
        source: "sim".into(),
        request: hex::encode(rng.r#gen::<[u8; 16]>()).into(),
        reference: "".into(),
        statement: None,
    };
    let mut draft = DraftBatch::new(rng);
    draft
        .push(&[7; 32], ActionClass::Administration, entry.time, &entry)
        .expect("a short entry can be sealed");
    Tx::audit(draft.sign(&shared.chain, &shared.server)).encode()
}

async fn submit_until_stopped(shared: Arc<Shared>, pause: Duration, mut rng: ChaCha20Rng) {
    while !shared.stop.load(Ordering::SeqCst) {
        let tx = audit_tx(&shared, &mut rng);
        for _ in 0..TRIES {
            let Some(node) = choose(&shared, &mut rng) else {
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            if send(&shared, node, &tx).await || rng.gen_bool(0.5) {
                break;
            }
        }
        tokio::time::sleep(pause.mul_f64(rng.gen_range(0.2..1.8))).await;
    }
}

fn choose(shared: &Shared, rng: &mut ChaCha20Rng) -> Option<usize> {
    let live: Vec<usize> = (0..shared.live.len())
        .filter(|n| shared.live[*n].load(Ordering::SeqCst))
        .collect();
    live.choose(rng).copied()
}

/// Sends once. True if the answer leaves nothing open.
async fn send(shared: &Shared, node: usize, tx: &[u8]) -> bool {
    let id = tx_id(tx);
    let request = SubmitRequest {
        tx: tx.to_vec(),
        wait: true,
    };
    shared.in_flight.fetch_add(1, Ordering::SeqCst);
    let call = shared
        .service
        .call::<Submit>(&shared.addresses[node], request);
    let answer = tokio::time::timeout(PATIENCE, call).await;
    shared.in_flight.fetch_sub(1, Ordering::SeqCst);
    match answer {
        Ok(Ok(SubmitReply::Committed { height, index, .. })) => {
            shared.set.acknowledged(id, Place { height, index });
            true
        }
        Ok(Ok(SubmitReply::Rejected { rule, detail })) => {
            let mut rejected = shared
                .rejected
                .lock()
                .expect("no holder of this lock panics");
            rejected.push(format!("{id}: {rule}: {detail}"));
            true
        }
        // No answer, or one that promises nothing.
        Ok(Ok(SubmitReply::Accepted | SubmitReply::Unavailable { .. }) | Err(_)) | Err(_) => {
            shared.set.timed_out(id);
            false
        }
    }
}

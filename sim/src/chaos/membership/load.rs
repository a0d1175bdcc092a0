//! Submitters that post requests of data users one after the other, and note what they were told.

use super::chain::{Answer, Chain, asking, submit_to};
use crate::chaos::acknowledged::{AcknowledgedSet, Place};
use crate::layout::HospitalLayout;
use alliance_chain::node::AllianceNode;
use alliance_chain::{Account, Purpose, Request, Tx};
use caduceus_crypto::{SecretKey, TimeMillis};
use caduceus_ledger::{ChainId, tx_id};
use caduceus_network::PeerAddr;
use caduceus_node::{Clock, SystemClock};
use rand_core::OsRng;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Requests that one data user may post a day, as the alliance's parameters have it.
const REQUESTS_EACH: usize = 250;
/// Data users of one submitter, one after the other.
const ACCOUNTS: usize = 12;
/// How often one transaction is sent before it counts as unanswered.
const ATTEMPTS: usize = 6;
const PAUSE: Duration = Duration::from_millis(20);

/// The running submitters.
pub struct Load {
    stop: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<anyhow::Result<()>>>,
}

struct Submitter {
    chain: ChainId,
    nodes: Vec<PeerAddr>,
    accounts: Vec<SecretKey>,
    number: usize,
    stop: Arc<AtomicBool>,
    refused: Arc<AtomicUsize>,
    acknowledged: Arc<AcknowledgedSet>,
}

impl Load {
    /// Makes the data users' accounts, vouched for by a hospital, and starts.
    pub async fn start(
        chain: &Chain<AllianceNode>,
        hospital: &HospitalLayout,
        submitters: usize,
        acknowledged: Arc<AcknowledgedSet>,
    ) -> anyhow::Result<Self> {
        let (stop, refused) = (Arc::default(), Arc::default());
        let id = chain.genesis.chain_id();
        let accounts = ACCOUNTS.min(256 / submitters);
        let mut tasks = Vec::new();
        for number in 0..submitters {
            let mut keys = Vec::new();
            for _ in 0..accounts {
                let key = SecretKey::generate(&mut OsRng);
                let body = Account {
                    data_user: key.public(),
                    receiving: SecretKey::generate(&mut OsRng).public(),
                    label: format!("submitter {number}"),
                    member: hospital.id,
                };
                let tx = Tx::Account(body.sign(&id, &hospital.identity));
                chain.submit(&tx.encode()).await?;
                keys.push(key);
            }
            let submitter = Submitter {
                chain: id,
                nodes: chain.addresses()?,
                accounts: keys,
                number,
                stop: Arc::clone(&stop),
                refused: Arc::clone(&refused),
                acknowledged: acknowledged.clone(),
            };
            tasks.push(tokio::spawn(submitter.run()));
        }
        Ok(Self {
            stop,
            refused,
            tasks,
        })
    }

    /// Stops; gives the number of transactions that a rule refused.
    pub async fn stop(self) -> anyhow::Result<usize> {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await??;
        }
        Ok(self.refused.load(Ordering::SeqCst))
    }
}

impl Submitter {
    async fn run(self) -> anyhow::Result<()> {
        let service = asking(&SecretKey::generate(&mut OsRng)).await?;
        let until = TimeMillis(SystemClock.now().0 + 24 * 3_600_000);
        for count in 0..self.accounts.len() * REQUESTS_EACH {
            if self.stop.load(Ordering::SeqCst) {
                break;
            }
            let key = &self.accounts[count / REQUESTS_EACH];
            let body = Request {
                data_user: key.public(),
                purpose: Purpose::Research,
                sought: format!("submitter {} number {count}", self.number),
                until,
            };
            let tx = Tx::Request(body.sign(&self.chain, key)).encode();
            self.submit(&service, &tx, count).await;
            tokio::time::sleep(PAUSE).await;
        }
        service.shutdown().await;
        Ok(())
    }

    /// Sends the same bytes to one node after the other until there is an answer.
    async fn submit(&self, service: &caduceus_network::Service, tx: &[u8], count: usize) {
        let id = tx_id(tx);
        for attempt in 0..ATTEMPTS {
            let node = &self.nodes[(self.number + count + attempt) % self.nodes.len()];
            match submit_to(service, node, tx).await {
                Answer::Committed(at) => {
                    let place = Place {
                        height: at.height,
                        index: at.index,
                    };
                    self.acknowledged.acknowledged(id, place);
                    return;
                }
                Answer::Refused(reason) => {
                    tracing::warn!(%reason, "a transaction of the load is refused");
                    self.refused.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                Answer::Unsettled(reason) => {
                    tracing::debug!(%reason, "sent again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        self.acknowledged.timed_out(id);
    }
}

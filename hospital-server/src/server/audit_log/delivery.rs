//! How the writer gets its transactions onto the private chain.

use super::LogError;
use crate::chain::{ChainClient, ChainError};
use crate::clock::Clock;
use caduceus_client::Trust;
use caduceus_crypto::{Hash, encode};
use caduceus_ledger::ChainId;
use caduceus_network::exchange::{
    BucketKeys, BucketKeysReply, BucketKeysRequest, BucketName, LivingKey,
};
use caduceus_network::{CallError, PeerAddr, Service};
use private_chain::audit::SecretBytes;
use private_chain::{Bucket, state};
use tokio::sync::mpsc;

/// A transaction that is in a block, proved by a certified header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Height of the block.
    pub height: u64,
    /// Hash of the block.
    pub block_hash: Hash,
    /// The transaction's result, in the chain's encoding.
    pub result: Vec<u8>,
}

/// Delivers transactions to one private chain. Delivering the same bytes again gives the same answer.
pub trait Deliver: Send + Sync + 'static {
    /// The chain.
    fn chain(&self) -> ChainId;

    /// Has a transaction committed, and its place proved.
    ///
    /// # Errors
    /// [`LogError::Entry`] when a rule of the chain refuses it; [`LogError::Unavailable`] when it may be committed
    /// later.
    fn deliver(&self, tx: &[u8]) -> impl Future<Output = Result<Delivered, LogError>> + Send;

    /// Whether the chain proves an anchor of this record.
    ///
    /// # Errors
    /// [`LogError::Unavailable`].
    fn is_anchored(&self, record: &Hash) -> impl Future<Output = Result<bool, LogError>> + Send;

    /// The key of a bucket, if a node of the chain has it.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] when no node answers.
    fn bucket_key(
        &self,
        bucket: &Bucket,
    ) -> impl Future<Output = Result<Option<SecretBytes>, LogError>> + Send;

    /// Has a node of the chain keep a key, durably.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] when none does; [`LogError::Entry`] when the bucket is retired.
    fn share_key(
        &self,
        bucket: &Bucket,
        key: &SecretBytes,
    ) -> impl Future<Output = Result<(), LogError>> + Send;
}

/// Delivery to the nodes of a chain.
#[derive(Clone)]
pub struct ChainDelivery(ChainClient);

impl ChainDelivery {
    /// To these nodes, believing what `trust` proves. The service's key must be one that the nodes take transactions
    /// from.
    pub fn new(service: Service, nodes: Vec<PeerAddr>, trust: Trust, clock: Clock) -> Self {
        Self(ChainClient::new(service, nodes, trust, clock))
    }
}

impl From<ChainClient> for ChainDelivery {
    fn from(client: ChainClient) -> Self {
        Self(client)
    }
}

impl Deliver for ChainDelivery {
    fn chain(&self) -> ChainId {
        self.0.chain()
    }

    async fn deliver(&self, tx: &[u8]) -> Result<Delivered, LogError> {
        match self.0.submit(tx).await {
            Ok(placed) => Ok(Delivered {
                height: placed.height,
                block_hash: placed.block_hash,
                result: placed.result,
            }),
            Err(ChainError::Rejected { rule, detail }) => {
                tracing::error!(%rule, %detail, "the private chain refuses audit entries");
                Err(LogError::Entry {
                    detail: format!("{rule}: {detail}"),
                })
            }
            Err(error) => Err(LogError::unavailable(error)),
        }
    }

    async fn is_anchored(&self, record: &Hash) -> Result<bool, LogError> {
        let found = self.0.state(state::record(record).bytes()).await;
        Ok(found.map_err(LogError::unavailable)?.is_some())
    }

    async fn bucket_key(&self, bucket: &Bucket) -> Result<Option<SecretBytes>, LogError> {
        let request = BucketKeysRequest::Fetch {
            buckets: vec![name(bucket)],
        };
        let mut answers = self.ask_all(request);
        let mut found = Err(LogError::unavailable("no node of the chain answers"));
        while let Some(answer) = answers.recv().await {
            match answer {
                Ok(BucketKeysReply::Keys(mut keys)) => match keys.pop() {
                    Some(living) => return Ok(Some(SecretBytes::new(living.key))),
                    None => found = Ok(None),
                },
                Ok(_) => found = Err(LogError::unavailable("an answer to another question")),
                Err(error) => tracing::debug!(%error, "no bucket keys from a node"),
            }
        }
        found
    }

    async fn share_key(&self, bucket: &Bucket, key: &SecretBytes) -> Result<(), LogError> {
        let request = BucketKeysRequest::Offer(LivingKey {
            bucket: name(bucket),
            key: **key,
        });
        let mut answers = self.ask_all(request);
        let mut last = "no node of the chain answers".to_owned();
        while let Some(answer) = answers.recv().await {
            match answer {
                // The other nodes get it from this one, if not from here.
                Ok(BucketKeysReply::Kept) => return Ok(()),
                Ok(BucketKeysReply::Gone) => {
                    return Err(LogError::Entry {
                        detail: format!("{bucket} is retired"),
                    });
                }
                Ok(BucketKeysReply::Conflict) => {
                    tracing::error!(%bucket, "a node has another key for this bucket");
                    last = format!("a node has another key for {bucket}");
                }
                Ok(_) => last = "an answer to another question".to_owned(),
                Err(error) => last = error.to_string(),
            }
        }
        Err(LogError::unavailable(last))
    }
}

/// A bucket as exchanges name it.
fn name(bucket: &Bucket) -> BucketName {
    encode(bucket).try_into().expect("a bucket is three bytes")
}

impl ChainDelivery {
    /// Asks all nodes at once; the answers come in any order. Who has heard enough drops the receiver: the questions
    /// are asked to their end all the same.
    fn ask_all(
        &self,
        request: BucketKeysRequest,
    ) -> mpsc::UnboundedReceiver<Result<BucketKeysReply, CallError>> {
        let (sender, answers) = mpsc::unbounded_channel();
        for node in self.0.nodes() {
            let (service, node) = (self.0.service().clone(), node.clone());
            let (request, sender) = (request.clone(), sender.clone());
            tokio::spawn(async move {
                let answer = service.call::<BucketKeys>(&node, request).await;
                // Nobody waits any more: it was asked all the same.
                let _ = sender.send(answer);
            });
        }
        answers
    }
}

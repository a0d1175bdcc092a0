//! How the writer gets its transactions onto the private chain.

use super::LogError;
use crate::chain::{ChainClient, ChainError};
use crate::clock::Clock;
use caduceus_client::Trust;
use caduceus_crypto::Hash;
use caduceus_ledger::ChainId;
use caduceus_network::{PeerAddr, Service};
use private_chain::state;

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
}

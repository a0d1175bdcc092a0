//! A chain as this package sees it: some nodes to ask, and a light client to judge what they say.
//!
//! Nodes are asked in turn, from the one that answered last, so that transactions which depend on each other
//! meet in one node's pool. An answer that does not verify is dropped and the next node asked.
//!
//! No node is believed alone. A commit counts with its proof. A refusal has no proof, so it counts once f + 1
//! distinct nodes refuse by the same rule, f being the most that may be faulty: one of them is honest then.
//!
//! Changes of the chain's voters are followed by light blocks, from whichever node has them. Heads below one that
//! was accepted before are refused, also after a restart.

mod follow;
mod pass;

use self::pass::{Pass, Unproved, Verdict};
use crate::clock::Clock;
use caduceus_client::Trust;
use caduceus_crypto::decode_exact;
#[cfg(feature = "serve")]
use caduceus_crypto::{Anchor, Hash};
#[cfg(feature = "serve")]
use caduceus_ledger::{CertifiedHeader, ChainId, TxProof, tx_id};
use caduceus_ledger::{Height, StateProofAt};
#[cfg(feature = "serve")]
use caduceus_network::exchange::{
    FetchAnchor, FetchAnchorRequest, Headers, HeadersRequest, Submit, SubmitReply, SubmitRequest,
};
use caduceus_network::exchange::{Query, QueryReply, QueryRequest};
use caduceus_network::{Exchange, PeerAddr, Service};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
#[cfg(feature = "serve")]
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Largest certified header or proof that is decoded, bytes.
const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;

/// How long nodes are asked one after the other before the caller is told that nobody answers.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is said of a node that has no block, hence no proof. For a state it counts like a rule.
const NO_BLOCK: &str = "no block yet";

/// Why the chain could not be asked or did not take a transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// A rule of the chain refuses the transaction: more nodes say so than may be faulty.
    #[error("{rule}: {detail}")]
    Rejected {
        /// The rule's name.
        rule: String,
        /// What it says.
        detail: String,
    },
    /// The chain has forked: two certified headers contradict each other.
    #[error("{detail}")]
    Forked {
        /// Both headers, and where the evidence is.
        detail: String,
    },
    /// No node answered in a way that counts. A transaction may still be committed later.
    #[error("no node of the chain answers: {detail}")]
    Unavailable {
        /// What the last node said.
        detail: String,
    },
}

impl ChainError {
    fn unavailable(detail: impl Into<String>) -> Self {
        Self::Unavailable {
            detail: detail.into(),
        }
    }
}

/// Where a transaction was committed, as proved by a certified header.
#[cfg(feature = "serve")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Height of the block.
    pub(crate) height: u64,
    /// Hash of the block.
    pub(crate) block_hash: Hash,
    /// The result, in the chain's encoding.
    pub(crate) result: Vec<u8>,
}

#[cfg(feature = "serve")]
impl Placed {
    /// Reads the place from a node's proof.
    fn proved(trust: &Trust, id: &Hash, document: &[u8]) -> Result<Self, Unproved> {
        let proof: TxProof = decode_exact(document, MAX_DOCUMENT_BYTES)?;
        trust.judge(|light| proof.verify(light, id))?;
        Ok(Self {
            height: proof.head.header.height.0,
            block_hash: proof.head.header.hash(),
            result: proof.result,
        })
    }
}

/// A client of one chain; clones share it.
#[derive(Clone)]
pub(crate) struct ChainClient {
    service: Service,
    nodes: Arc<[PeerAddr]>,
    trust: Arc<Trust>,
    clock: Clock,
    preferred: Arc<AtomicUsize>,
}

impl ChainClient {
    pub(crate) fn new(service: Service, nodes: Vec<PeerAddr>, trust: Trust, clock: Clock) -> Self {
        Self {
            service,
            nodes: nodes.into(),
            trust: Arc::new(trust),
            clock,
            preferred: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// Begins with another node from now on: for a caller that finds the present one's answers wanting.
    #[cfg(feature = "serve")]
    pub(crate) fn turn(&self) {
        self.preferred.fetch_add(1, Ordering::Relaxed);
    }

    /// Height of the highest header that was accepted.
    pub(crate) fn height(&self) -> Height {
        self.trust.highest()
    }

    /// Its nodes.
    #[cfg(feature = "serve")]
    pub(crate) fn nodes(&self) -> &[PeerAddr] {
        &self.nodes
    }

    /// What it asks them with.
    #[cfg(feature = "serve")]
    pub(crate) fn service(&self) -> &Service {
        &self.service
    }

    /// The chain.
    #[cfg(feature = "serve")]
    pub(crate) fn chain(&self) -> ChainId {
        self.trust.chain()
    }

    async fn ask<E, T>(
        &self,
        request: impl Fn() -> E::Request + Send,
        judge: impl Fn(E::Response) -> Verdict<T> + Send,
    ) -> Result<T, ChainError>
    where
        E: Exchange,
    {
        self.renew().await?;
        let mut pass = Pass::over(self);
        while let Some((index, node)) = pass.node() {
            let verdict = loop {
                let mut verdict = match self.service.call::<E>(node, request()).await {
                    Ok(response) => judge(response),
                    Err(error) => Verdict::Next(error.to_string()),
                };
                if !pass.followed(node, &mut verdict).await {
                    break verdict;
                }
            };
            if let Some(outcome) = pass.weigh((index, node), verdict) {
                return outcome;
            }
        }
        Err(pass.gave_up())
    }

    /// Submits a transaction, waits for its block and has the place proved, first by the node that says so.
    /// Submitting again what is committed gives the same answer.
    ///
    /// # Errors
    /// [`ChainError`].
    #[cfg(feature = "serve")]
    pub(crate) async fn submit(&self, tx: &[u8]) -> Result<Placed, ChainError> {
        let id = tx_id(tx);
        self.renew().await?;
        let mut pass = Pass::over(self);
        while let Some((index, node)) = pass.node() {
            let verdict = loop {
                let mut verdict = self.submit_to(node, tx, &id).await;
                if !pass.followed(node, &mut verdict).await {
                    break verdict;
                }
            };
            if let Some(outcome) = pass.weigh((index, node), verdict) {
                return outcome;
            }
        }
        Err(pass.gave_up())
    }

    #[cfg(feature = "serve")]
    async fn submit_to(&self, node: &PeerAddr, tx: &[u8], id: &Hash) -> Verdict<Placed> {
        let request = SubmitRequest {
            tx: tx.to_vec(),
            wait: true,
        };
        match self.service.call::<Submit>(node, request).await {
            Ok(SubmitReply::Committed { .. }) => match self.place(node, id).await {
                Ok(placed) => Verdict::Final(placed),
                Err(error) => {
                    tracing::warn!(node = %node, %error, "a node says committed and does not prove it");
                    match Verdict::from(error) {
                        Verdict::Next(reason) => {
                            Verdict::Next(format!("said to be committed, not proved: {reason}"))
                        }
                        verdict => verdict,
                    }
                }
            },
            Ok(SubmitReply::Rejected { rule, detail }) => Verdict::Refused { rule, detail },
            Ok(SubmitReply::Accepted) => {
                Verdict::Next("taken, but not committed in time".to_owned())
            }
            Ok(SubmitReply::Unavailable { detail }) => Verdict::Next(detail),
            Err(error) => Verdict::Next(error.to_string()),
        }
    }

    /// Has a node prove where a transaction was committed.
    #[cfg(feature = "serve")]
    async fn place(&self, node: &PeerAddr, id: &Hash) -> Result<Placed, Unproved> {
        let reply = self
            .service
            .call::<Query>(node, QueryRequest::Tx { id: *id })
            .await;
        match reply.map_err(|error| Unproved::None(error.to_string()))? {
            QueryReply::Found(document) => Placed::proved(&self.trust, id, &document),
            QueryReply::NotFound => Err(Unproved::None("it has no such transaction".to_owned())),
        }
    }

    /// Hands in a transaction without waiting for its block. That it was taken is only a node's word.
    ///
    /// # Errors
    /// [`ChainError`].
    #[cfg(feature = "serve")]
    pub(crate) async fn hand_in(&self, tx: &[u8]) -> Result<(), ChainError> {
        self.ask::<Submit, ()>(
            || SubmitRequest {
                tx: tx.to_vec(),
                wait: false,
            },
            |reply| match reply {
                SubmitReply::Committed { .. } | SubmitReply::Accepted => Verdict::Final(()),
                SubmitReply::Rejected { rule, detail } => Verdict::Refused { rule, detail },
                SubmitReply::Unavailable { detail } => Verdict::Next(detail),
            },
        )
        .await
    }

    /// What the state holds under a key, proved at a fresh head; none if proved absent, or before block 1,
    /// which counts like a refusal: for want of a proof, several nodes must say so.
    ///
    /// # Errors
    /// [`ChainError::Unavailable`].
    pub(crate) async fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ChainError> {
        let floor = self.trust.highest();
        let outcome = self
            .ask::<Query, Option<Vec<u8>>>(
                || QueryRequest::State { key: key.to_vec() },
                |reply| match reply {
                    QueryReply::NotFound => Verdict::Refused {
                        rule: NO_BLOCK.to_owned(),
                        detail: "the node has nothing to prove it with".to_owned(),
                    },
                    QueryReply::Found(document) => match self.proved(key, &document, floor) {
                        Ok(value) => Verdict::Final(value),
                        Err(error) => error.into(),
                    },
                },
            )
            .await;
        match outcome {
            // A state without a block proves nothing, neither presence nor absence.
            Err(ChainError::Rejected { rule, .. }) if rule == NO_BLOCK => Ok(None),
            other => other,
        }
    }

    fn proved(
        &self,
        key: &[u8],
        document: &[u8],
        floor: Height,
    ) -> Result<Option<Vec<u8>>, Unproved> {
        let proof: StateProofAt = decode_exact(document, MAX_DOCUMENT_BYTES)?;
        Ok(self.trust.state(&proof, key, (self.clock)(), floor)?)
    }

    /// The newest header, certified and fresh.
    ///
    /// # Errors
    /// [`ChainError::Unavailable`].
    #[cfg(feature = "serve")]
    pub(crate) async fn head(&self) -> Result<CertifiedHeader, ChainError> {
        let floor = self.trust.highest();
        self.ask::<Query, CertifiedHeader>(
            || QueryRequest::Head,
            |reply| match reply {
                QueryReply::NotFound => Verdict::Next(NO_BLOCK.to_owned()),
                QueryReply::Found(document) => match self.fresh(&document, floor) {
                    Ok(head) => Verdict::Final(head),
                    Err(error) => error.into(),
                },
            },
        )
        .await
    }

    #[cfg(feature = "serve")]
    fn fresh(&self, document: &[u8], floor: Height) -> Result<CertifiedHeader, Unproved> {
        let head: CertifiedHeader = decode_exact(document, MAX_DOCUMENT_BYTES)?;
        self.trust.accept_head(&head, (self.clock)(), floor)?;
        Ok(head)
    }

    /// Headers from a height on, at most `limit`, decoded but not verified; empty at the chain's end.
    ///
    /// # Errors
    /// [`ChainError::Unavailable`].
    #[cfg(feature = "serve")]
    pub(crate) async fn headers(
        &self,
        from: u64,
        limit: u16,
    ) -> Result<Vec<CertifiedHeader>, ChainError> {
        self.ask::<Headers, Vec<CertifiedHeader>>(
            || HeadersRequest {
                from: Some(from),
                limit,
            },
            |reply| {
                let mut headers = Vec::with_capacity(reply.items.len());
                for item in &reply.items {
                    match decode_exact::<CertifiedHeader>(item, MAX_DOCUMENT_BYTES) {
                        Ok(header) => headers.push(header),
                        Err(error) => return Verdict::Next(error.to_string()),
                    }
                }
                Verdict::Final(headers)
            },
        )
        .await
    }

    /// The anchor at a place of a private chain, unverified.
    ///
    /// # Errors
    /// [`ChainError::Unavailable`].
    #[cfg(feature = "serve")]
    pub(crate) async fn anchor(&self, height: u64, position: u32) -> Result<Anchor, ChainError> {
        self.ask::<FetchAnchor, Anchor>(
            || FetchAnchorRequest { height, position },
            |reply| match decode_exact::<Anchor>(&reply.anchor, MAX_DOCUMENT_BYTES) {
                Ok(anchor) => Verdict::Final(anchor),
                Err(error) => Verdict::Next(error.to_string()),
            },
        )
        .await
    }
}

#[cfg(test)]
mod tests;

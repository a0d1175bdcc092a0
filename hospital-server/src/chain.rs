//! A chain as this package sees it: some nodes to ask, and a light client to judge what they say.
//!
//! Nodes are asked in turn, from the one that answered last, so that transactions which depend on each other
//! meet in one node's pool. An answer that does not verify is dropped and the next node asked.

use crate::clock::Clock;
#[cfg(feature = "serve")]
use caduceus_crypto::{Anchor, Hash};
use caduceus_crypto::decode_exact;
use caduceus_ledger::light::{MAX_HEAD_AGE_MILLIS, check_fresh};
#[cfg(feature = "serve")]
use caduceus_ledger::{CertifiedHeader, ChainId};
use caduceus_ledger::{LightClient, StateProofAt};
use caduceus_network::exchange::{Query, QueryReply, QueryRequest};
#[cfg(feature = "serve")]
use caduceus_network::exchange::{
    FetchAnchor, FetchAnchorRequest, Headers, HeadersRequest, Submit, SubmitReply, SubmitRequest,
};
use caduceus_network::{Exchange, PeerAddr, Service};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Largest certified header or state proof that is decoded, bytes.
const MAX_DOCUMENT_BYTES: usize = 1024 * 1024;

/// How long nodes are asked one after the other before the caller is told that nobody answers.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is said of a node that has no block, hence no proof.
const NO_BLOCK: &str = "no block yet";

/// Why the chain could not be asked or did not take a transaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// A rule of the chain refuses the transaction.
    #[error("{rule}: {detail}")]
    Rejected {
        /// The rule's name.
        rule: String,
        /// What it says.
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

/// Where a transaction was committed.
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

/// What one node's answer amounts to.
enum Verdict<T> {
    /// The answer, or a refusal that every node would repeat.
    Final(Result<T, ChainError>),
    /// Ask the next node; says why.
    Next(String),
}

/// A client of one chain; clones share it.
#[derive(Clone)]
pub(crate) struct ChainClient {
    service: Service,
    nodes: Arc<[PeerAddr]>,
    light: Arc<LightClient>,
    clock: Clock,
    preferred: Arc<AtomicUsize>,
}

impl ChainClient {
    pub(crate) fn new(service: Service, nodes: Vec<PeerAddr>, light: LightClient, clock: Clock) -> Self {
        Self {
            service,
            nodes: nodes.into(),
            light: Arc::new(light),
            clock,
            preferred: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// The chain.
    #[cfg(feature = "serve")]
    pub(crate) fn chain(&self) -> ChainId {
        self.light.chain()
    }

    /// Who judges its headers.
    #[cfg(feature = "serve")]
    pub(crate) fn light(&self) -> &LightClient {
        &self.light
    }

    async fn ask<E, T>(
        &self,
        request: impl Fn() -> E::Request + Send,
        judge: impl Fn(E::Response) -> Verdict<T> + Send,
    ) -> Result<T, ChainError>
    where
        E: Exchange,
    {
        let started = Instant::now();
        let first = self.preferred.load(Ordering::Relaxed);
        let mut said = "the network file names no node".to_owned();
        for turn in 0..self.nodes.len() {
            let index = (first + turn) % self.nodes.len();
            let Some(node) = self.nodes.get(index) else {
                break;
            };
            said = match self.service.call::<E>(node, request()).await {
                Ok(response) => match judge(response) {
                    Verdict::Final(outcome) => {
                        self.preferred.store(index, Ordering::Relaxed);
                        return outcome;
                    }
                    Verdict::Next(reason) => reason,
                },
                Err(error) => error.to_string(),
            };
            tracing::debug!(node = %node, exchange = E::PROTOCOL, reason = %said, "asking the next node");
            if started.elapsed() > PATIENCE {
                break;
            }
        }
        Err(ChainError::unavailable(said))
    }

    /// Submits a transaction and waits for its block. Submitting again what is committed gives the same answer.
    ///
    /// # Errors
    /// [`ChainError`].
    #[cfg(feature = "serve")]
    pub(crate) async fn submit(&self, tx: &[u8]) -> Result<Placed, ChainError> {
        self.ask::<Submit, Placed>(
            || SubmitRequest {
                tx: tx.to_vec(),
                wait: true,
            },
            |reply| match reply {
                SubmitReply::Committed {
                    height,
                    block_hash,
                    result,
                    ..
                } => Verdict::Final(Ok(Placed {
                    height,
                    block_hash,
                    result,
                })),
                SubmitReply::Rejected { rule, detail } => {
                    Verdict::Final(Err(ChainError::Rejected { rule, detail }))
                }
                SubmitReply::Accepted => Verdict::Next("taken, but not committed in time".to_owned()),
                SubmitReply::Unavailable { detail } => Verdict::Next(detail),
            },
        )
        .await
    }

    /// Hands in a transaction without waiting for its block.
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
                SubmitReply::Committed { .. } | SubmitReply::Accepted => Verdict::Final(Ok(())),
                SubmitReply::Rejected { rule, detail } => {
                    Verdict::Final(Err(ChainError::Rejected { rule, detail }))
                }
                SubmitReply::Unavailable { detail } => Verdict::Next(detail),
            },
        )
        .await
    }

    /// What the state holds under a key, proved at a fresh head; none if proved absent, or before block 1.
    ///
    /// # Errors
    /// [`ChainError::Unavailable`].
    pub(crate) async fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ChainError> {
        let outcome = self
            .ask::<Query, Option<Vec<u8>>>(
                || QueryRequest::State { key: key.to_vec() },
                |reply| match reply {
                    QueryReply::NotFound => Verdict::Next(NO_BLOCK.to_owned()),
                    QueryReply::Found(document) => match self.proved(key, &document) {
                        Ok(value) => Verdict::Final(Ok(value)),
                        Err(reason) => Verdict::Next(reason),
                    },
                },
            )
            .await;
        match outcome {
            // A state without a block proves nothing, neither presence nor absence.
            Err(ChainError::Unavailable { detail }) if detail == NO_BLOCK => Ok(None),
            other => other,
        }
    }

    fn proved(&self, key: &[u8], document: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let proof: StateProofAt =
            decode_exact(document, MAX_DOCUMENT_BYTES).map_err(|error| error.to_string())?;
        let value = proof.verify(&self.light, key).map_err(|error| error.to_string())?;
        check_fresh(&proof.head.header, (self.clock)(), MAX_HEAD_AGE_MILLIS)
            .map_err(|error| error.to_string())?;
        Ok(value.map(<[u8]>::to_vec))
    }

    /// The newest header, certified and fresh.
    ///
    /// # Errors
    /// [`ChainError::Unavailable`].
    #[cfg(feature = "serve")]
    pub(crate) async fn head(&self) -> Result<CertifiedHeader, ChainError> {
        self.ask::<Query, CertifiedHeader>(
            || QueryRequest::Head,
            |reply| match reply {
                QueryReply::NotFound => Verdict::Next(NO_BLOCK.to_owned()),
                QueryReply::Found(document) => match self.fresh(&document) {
                    Ok(head) => Verdict::Final(Ok(head)),
                    Err(reason) => Verdict::Next(reason),
                },
            },
        )
        .await
    }

    #[cfg(feature = "serve")]
    fn fresh(&self, document: &[u8]) -> Result<CertifiedHeader, String> {
        let head: CertifiedHeader =
            decode_exact(document, MAX_DOCUMENT_BYTES).map_err(|error| error.to_string())?;
        self.light.verify_header(&head).map_err(|error| error.to_string())?;
        check_fresh(&head.header, (self.clock)(), MAX_HEAD_AGE_MILLIS).map_err(|error| error.to_string())?;
        Ok(head)
    }

    /// Headers from a height on, at most `limit`, decoded but not verified; empty at the chain's end.
    ///
    /// # Errors
    /// [`ChainError::Unavailable`].
    #[cfg(feature = "serve")]
    pub(crate) async fn headers(&self, from: u64, limit: u16) -> Result<Vec<CertifiedHeader>, ChainError> {
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
                Verdict::Final(Ok(headers))
            },
        )
        .await
    }

    /// The anchor at a place of a private chain, unverified.
    ///
    /// # Errors
    /// [`ChainError::Unavailable`].
    #[cfg(feature = "serve")]
    pub(crate) async fn anchor(
        &self,
        height: u64,
        position: u32,
    ) -> Result<Anchor, ChainError> {
        self.ask::<FetchAnchor, Anchor>(
            || FetchAnchorRequest { height, position },
            |reply| match decode_exact::<Anchor>(&reply.anchor, MAX_DOCUMENT_BYTES) {
                Ok(anchor) => Verdict::Final(Ok(anchor)),
                Err(error) => Verdict::Next(error.to_string()),
            },
        )
        .await
    }
}

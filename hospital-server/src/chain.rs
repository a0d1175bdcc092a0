//! A chain as this package sees it: some nodes to ask, and a light client to judge what they say.
//!
//! Nodes are asked in turn, from the one that answered last, so that transactions which depend on each other
//! meet in one node's pool. An answer that does not verify is dropped and the next node asked.
//!
//! No node is believed alone. A commit counts with its proof. A refusal has no proof, so it counts once f + 1
//! distinct nodes refuse by the same rule, f being the most that may be faulty: one of them is honest then.

use crate::clock::Clock;
use caduceus_crypto::decode_exact;
#[cfg(feature = "serve")]
use caduceus_crypto::{Anchor, Hash};
use caduceus_ledger::light::{MAX_HEAD_AGE_MILLIS, check_fresh};
#[cfg(feature = "serve")]
use caduceus_ledger::{CertifiedHeader, ChainId, TxProof, tx_id};
use caduceus_ledger::{LightClient, StateProofAt};
#[cfg(feature = "serve")]
use caduceus_network::exchange::{
    FetchAnchor, FetchAnchorRequest, Headers, HeadersRequest, Submit, SubmitReply, SubmitRequest,
};
use caduceus_network::exchange::{Query, QueryReply, QueryRequest};
use caduceus_network::{Exchange, PeerAddr, PeerId, Service};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

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
    fn proved(light: &LightClient, id: &Hash, document: &[u8]) -> Result<Self, String> {
        let proof: TxProof =
            decode_exact(document, MAX_DOCUMENT_BYTES).map_err(|error| error.to_string())?;
        proof.verify(light, id).map_err(|error| error.to_string())?;
        Ok(Self {
            height: proof.head.header.height.0,
            block_hash: proof.head.header.hash(),
            result: proof.result,
        })
    }
}

/// What one node's answer amounts to.
enum Verdict<T> {
    /// The answer: proved, or to be proved by the caller.
    Final(T),
    /// A refusal: only the node's word.
    Refused {
        /// The rule's name.
        rule: String,
        /// What it says.
        detail: String,
    },
    /// Ask the next node; says why.
    Next(String),
}

/// How many distinct nodes must refuse alike before one of them is honest for sure.
fn refusals_needed(validators: usize) -> usize {
    validators.saturating_sub(1) / 3 + 1
}

/// Who refuses by which rule.
#[derive(Default)]
struct Refusals(BTreeMap<String, BTreeSet<PeerId>>);

impl Refusals {
    /// Notes a refusal and gives the number of nodes that refuse by this rule.
    fn note(&mut self, rule: &str, node: PeerId) -> usize {
        let nodes = self.0.entry(rule.to_owned()).or_default();
        nodes.insert(node);
        nodes.len()
    }
}

/// One pass over the nodes, from the preferred one.
struct Pass<'a> {
    client: &'a ChainClient,
    started: Instant,
    first: usize,
    turn: usize,
    refusals: Refusals,
    said: String,
}

impl<'a> Pass<'a> {
    fn over(client: &'a ChainClient) -> Self {
        Self {
            client,
            started: Instant::now(),
            first: client.preferred.load(Ordering::Relaxed),
            turn: 0,
            refusals: Refusals::default(),
            said: "the network file names no node".to_owned(),
        }
    }

    /// The node to ask now; none if all were asked, or patience is at its end.
    fn node(&mut self) -> Option<(usize, &'a PeerAddr)> {
        let nodes: &'a [PeerAddr] = &self.client.nodes;
        let patient = self.turn == 0 || self.started.elapsed() <= PATIENCE;
        if self.turn >= nodes.len() || !patient {
            return None;
        }
        let index = self.first.wrapping_add(self.turn) % nodes.len();
        self.turn += 1;
        nodes.get(index).map(|node| (index, node))
    }

    /// What the pass ends with; none if the next node is to be asked.
    fn weigh<T>(
        &mut self,
        (index, node): (usize, &PeerAddr),
        verdict: Verdict<T>,
    ) -> Option<Result<T, ChainError>> {
        match verdict {
            Verdict::Final(answer) => {
                self.client.preferred.store(index, Ordering::Relaxed);
                return Some(Ok(answer));
            }
            Verdict::Refused { rule, detail } => {
                if self.refusals.note(&rule, node.id) >= self.client.refusals_needed {
                    return Some(Err(ChainError::Rejected { rule, detail }));
                }
                self.said = format!("{rule}: {detail}");
            }
            Verdict::Next(reason) => self.said = reason,
        }
        tracing::debug!(node = %node, reason = %self.said, "asking the next node");
        None
    }

    fn gave_up(self) -> ChainError {
        ChainError::unavailable(self.said)
    }
}

/// A client of one chain; clones share it.
#[derive(Clone)]
pub(crate) struct ChainClient {
    service: Service,
    nodes: Arc<[PeerAddr]>,
    light: Arc<LightClient>,
    clock: Clock,
    preferred: Arc<AtomicUsize>,
    refusals_needed: usize,
}

impl ChainClient {
    pub(crate) fn new(
        service: Service,
        nodes: Vec<PeerAddr>,
        light: LightClient,
        clock: Clock,
    ) -> Self {
        Self {
            service,
            nodes: nodes.into(),
            refusals_needed: refusals_needed(light.validators().count()),
            light: Arc::new(light),
            clock,
            preferred: Arc::new(AtomicUsize::new(0)),
        }
    }

    /// Begins with another node from now on: for a caller that finds the present one's answers wanting.
    #[cfg(feature = "serve")]
    pub(crate) fn turn(&self) {
        self.preferred.fetch_add(1, Ordering::Relaxed);
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
        let mut pass = Pass::over(self);
        while let Some((index, node)) = pass.node() {
            let verdict = match self.service.call::<E>(node, request()).await {
                Ok(response) => judge(response),
                Err(error) => Verdict::Next(error.to_string()),
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
        let mut pass = Pass::over(self);
        while let Some((index, node)) = pass.node() {
            let verdict = self.submit_to(node, tx, &id).await;
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
                Err(reason) => {
                    tracing::warn!(node = %node, %reason, "a node says committed and does not prove it");
                    Verdict::Next(format!("said to be committed, not proved: {reason}"))
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
    async fn place(&self, node: &PeerAddr, id: &Hash) -> Result<Placed, String> {
        let reply = self
            .service
            .call::<Query>(node, QueryRequest::Tx { id: *id })
            .await;
        match reply.map_err(|error| error.to_string())? {
            QueryReply::Found(document) => Placed::proved(&self.light, id, &document),
            QueryReply::NotFound => Err("it has no such transaction".to_owned()),
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
        let outcome = self
            .ask::<Query, Option<Vec<u8>>>(
                || QueryRequest::State { key: key.to_vec() },
                |reply| match reply {
                    QueryReply::NotFound => Verdict::Refused {
                        rule: NO_BLOCK.to_owned(),
                        detail: "the node has nothing to prove it with".to_owned(),
                    },
                    QueryReply::Found(document) => match self.proved(key, &document) {
                        Ok(value) => Verdict::Final(value),
                        Err(reason) => Verdict::Next(reason),
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

    fn proved(&self, key: &[u8], document: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let proof: StateProofAt =
            decode_exact(document, MAX_DOCUMENT_BYTES).map_err(|error| error.to_string())?;
        let value = proof
            .verify(&self.light, key)
            .map_err(|error| error.to_string())?;
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
                    Ok(head) => Verdict::Final(head),
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
        self.light
            .verify_header(&head)
            .map_err(|error| error.to_string())?;
        check_fresh(&head.header, (self.clock)(), MAX_HEAD_AGE_MILLIS)
            .map_err(|error| error.to_string())?;
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
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_refusal_counts_when_one_of_its_nodes_must_be_honest() {
        let needed: Vec<usize> = [0, 1, 3, 4, 6, 7, 10].map(refusals_needed).to_vec();
        assert_eq!(needed, [1, 1, 1, 2, 2, 3, 4]);
        let node = || {
            caduceus_network::peer_id(
                &caduceus_crypto::SecretKey::generate(&mut rand_core::OsRng).public(),
            )
        };
        let (one, two) = (node(), node());
        let mut refusals = Refusals::default();
        assert_eq!(refusals.note("rule", one), 1);
        // The same node twice, or another rule, adds nothing.
        assert_eq!(refusals.note("rule", one), 1);
        assert_eq!(refusals.note("other", two), 1);
        assert_eq!(refusals.note("rule", two), 2);
    }

    #[cfg(feature = "serve")]
    #[test]
    fn a_place_is_read_from_a_proof_that_holds() {
        use caduceus_crypto::{SecretKey, TimeMillis, domain, encode, merkle};
        use caduceus_ledger::{
            Address, Certificate, Header, Height, Validator, ValidatorSet, Vote, VoteKind,
        };
        use rand_core::OsRng;

        let (voter, chain) = (SecretKey::generate(&mut OsRng), ChainId(Hash([1; 32])));
        let set = ValidatorSet::new(vec![Validator {
            key: voter.public(),
            power: 1,
        }])
        .unwrap();
        let (txs, results) = (
            vec![b"one".to_vec(), b"two".to_vec()],
            vec![vec![1u8], vec![2u8]],
        );
        let header = Header {
            chain,
            height: Height(7),
            time: TimeMillis(1),
            proposer: Address::of(&voter.public()),
            parent: Hash::ZERO,
            txs_root: merkle::root(&txs),
            results_root: merkle::root(&results),
            state_root: Hash::ZERO,
            validators: set.hash(),
            next_validators: set.hash(),
            extra: Vec::new(),
        };
        let block = header.hash();
        let vote = Vote {
            chain,
            kind: VoteKind::Precommit,
            height: header.height,
            round: 0,
            block: Some(block),
        };
        let certificate = Certificate {
            height: header.height,
            round: 0,
            block,
            signatures: vec![(
                Address::of(&voter.public()),
                voter.sign(domain::VOTE, &vote.sign_bytes()),
            )],
        };
        let proof = TxProof {
            head: CertifiedHeader {
                header,
                certificate,
            },
            tx: txs[1].clone(),
            tx_proof: merkle::prove(&txs, 1),
            result: results[1].clone(),
            result_proof: merkle::prove(&results, 1),
        };
        let light = LightClient::trusting(chain, set);
        let id = tx_id(&txs[1]);
        let placed = Placed::proved(&light, &id, &encode(&proof)).unwrap();
        assert_eq!(
            placed,
            Placed {
                height: 7,
                block_hash: block,
                result: vec![2],
            }
        );
        assert!(Placed::proved(&light, &tx_id(&txs[0]), &encode(&proof)).is_err());
        let mut forged = proof.clone();
        forged.result = vec![9];
        assert!(Placed::proved(&light, &id, &encode(&forged)).is_err());
        let mut unsigned = proof;
        unsigned.head.certificate.signatures.clear();
        assert!(Placed::proved(&light, &id, &encode(&unsigned)).is_err());
    }
}

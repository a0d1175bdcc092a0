//! Submission of a transaction, up to its proof.

use crate::error::ClientError;
use crate::head::document;
use crate::session::Alliance;
use alliance_chain::Tx;
use caduceus_crypto::{Hash, TimeMillis};
use caduceus_ledger::{Height, TxProof, tx_id};
use caduceus_network::exchange::{
    MAX_TX_BYTES, Query, QueryRequest, Submit, SubmitReply, SubmitRequest,
};
use caduceus_network::{CallError, PeerAddr, PeerId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Pause between two rounds over the nodes while none takes the transaction.
const PAUSE: Duration = Duration::from_millis(400);
/// Once a node has refused, how long each other one is waited for: it confirms at once, or commits.
const CONFIRMATION: Duration = Duration::from_secs(5);
/// Rounds over the nodes while some refuse, too few to be believed, and no other takes the transaction.
const ROUNDS: usize = 3;

const _: () = assert!(
    MAX_TX_BYTES == caduceus_ledger::block::MAX_TX_BYTES,
    "what fits a block fits a request"
);

/// A committed transaction, proved under a certified header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// Its identifier.
    pub id: Hash,
    /// Height of its block.
    pub height: Height,
    /// Its position in the block.
    pub index: u64,
    /// Time of its block.
    pub time: TimeMillis,
    /// Its result in the chain's encoding.
    pub result: Vec<u8>,
}

/// What became of a submission to one node.
enum Attempt {
    Committed,
    /// By a rule: its name, and what it says.
    Refused(String, String),
    /// The node may have it, but it is not committed.
    Waiting(String),
    NotThere(String),
}

impl Alliance {
    /// Submits a transaction, waits for its block and proves it. Nodes are tried in turn with the same bytes,
    /// which a chain commits once. One node's word is neither success nor refusal: a commitment is proved, and
    /// a refusal counts once so many nodes give the same rule that one of them is honest.
    ///
    /// # Errors
    /// [`ClientError::Rejected`] by a rule; [`ClientError::Unreachable`] when no node is there, or too few to
    /// confirm a refusal; [`ClientError::NoQuorum`] when a node took it and it was not committed within the
    /// session's timeout: it may be committed later, nothing is half done; [`ClientError::Unverified`] when the
    /// proof does not hold.
    pub async fn submit(&self, tx: &Tx) -> Result<Proved, ClientError> {
        let bytes = tx.encode();
        if bytes.len() > MAX_TX_BYTES {
            let detail = format!("{} bytes, at most {MAX_TX_BYTES} fit a block", bytes.len());
            return Err(ClientError::Rejected {
                rule: "too_large".to_owned(),
                detail,
            });
        }
        let id = tx_id(&bytes);
        let started = Instant::now();
        let mut waiting: Option<String> = None;
        let mut refusals = Refusals::new(self.opinions());
        let mut absent = String::new();
        let mut round = 1;
        loop {
            for (index, node) in self.in_turn() {
                let Some(mut left) = self.timeout().checked_sub(started.elapsed()) else {
                    return Err(self.gave_up(&id, started, waiting.or(refusals.told()), absent));
                };
                if !refusals.is_empty() {
                    left = left.min(CONFIRMATION);
                }
                match self.attempt(&node, &bytes, left).await {
                    Attempt::Committed => {
                        self.prefer(index);
                        match self.prove(&id).await {
                            Err(ClientError::NotFound { .. }) => {
                                tracing::warn!(%node, %id, "said to be committed, but no node proves it");
                                waiting = Some("said to be committed, but not proved".to_owned());
                            }
                            proved => return proved,
                        }
                    }
                    Attempt::Refused(rule, detail) => {
                        if refusals.add(node.id, &rule, &detail) {
                            return Err(ClientError::Rejected { rule, detail });
                        }
                    }
                    Attempt::Waiting(detail) => waiting = Some(detail),
                    Attempt::NotThere(reason) => absent = reason,
                }
            }
            if waiting.is_none() && (refusals.is_empty() || round >= ROUNDS) {
                let reason = refusals.told().unwrap_or(absent);
                return Err(ClientError::Unreachable {
                    who: "the alliance".to_owned(),
                    reason,
                });
            }
            round += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Nodes of which at least one is honest while less than a third of the validators are not; all there are,
    /// if the session knows fewer.
    fn opinions(&self) -> usize {
        let validators = self.trust().validators();
        let known: BTreeSet<PeerId> = self.nodes().iter().map(|node| node.id).collect();
        (validators.saturating_sub(1) / 3 + 1).min(known.len())
    }

    async fn attempt(&self, node: &PeerAddr, bytes: &[u8], left: Duration) -> Attempt {
        let request = SubmitRequest {
            tx: bytes.to_vec(),
            wait: true,
        };
        let call = self.service().call::<Submit>(node, request);
        let Ok(outcome) = tokio::time::timeout(left, call).await else {
            return Attempt::Waiting("no answer in time".to_owned());
        };
        match outcome {
            Ok(SubmitReply::Committed { .. }) => Attempt::Committed,
            Ok(SubmitReply::Rejected { rule, detail }) => Attempt::Refused(rule, detail),
            Ok(SubmitReply::Accepted) => Attempt::Waiting("accepted, not committed".to_owned()),
            Ok(SubmitReply::Unavailable { detail }) => Attempt::Waiting(detail),
            Err(CallError::Timeout) => Attempt::Waiting(CallError::Timeout.to_string()),
            Err(error) => Attempt::NotThere(error.to_string()),
        }
    }

    /// The error after the timeout.
    fn gave_up(
        &self,
        id: &Hash,
        started: Instant,
        waiting: Option<String>,
        absent: String,
    ) -> ClientError {
        let waited_millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(%id, waited_millis, "not committed in time");
        match waiting {
            Some(detail) => ClientError::NoQuorum {
                waited_millis,
                detail,
            },
            None => ClientError::Unreachable {
                who: "the alliance".to_owned(),
                reason: absent,
            },
        }
    }

    /// Proves a transaction that is committed.
    ///
    /// # Errors
    /// [`ClientError::NotFound`] when no node has it; [`ClientError::Unverified`], [`ClientError::Unreachable`].
    pub async fn prove(&self, id: &Hash) -> Result<Proved, ClientError> {
        self.ask::<Query, Proved>(
            || QueryRequest::Tx { id: *id },
            |reply| {
                let proof: TxProof = document(reply, "the transaction")?;
                self.trust().judge(|light| proof.verify(light, id))?;
                // Whoever reads state next must not be shown one from before this block. An old transaction's
                // head is refused here, and that is no fault of the proof.
                let _ = self
                    .trust()
                    .accept_head(&proof.head, self.now(), proof.head.header.height);
                Ok(Proved {
                    id: *id,
                    height: proof.head.header.height,
                    index: proof.tx_proof.index,
                    time: proof.head.header.time,
                    result: proof.result,
                })
            },
        )
        .await
    }
}

/// What nodes said last when they refused a transaction.
struct Refusals {
    enough: usize,
    by_node: BTreeMap<PeerId, (String, String)>,
}

impl Refusals {
    fn new(enough: usize) -> Self {
        Self {
            enough,
            by_node: BTreeMap::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.by_node.is_empty()
    }

    /// Notes a node's refusal. True when enough nodes have given its rule.
    fn add(&mut self, node: PeerId, rule: &str, detail: &str) -> bool {
        self.by_node
            .insert(node, (rule.to_owned(), detail.to_owned()));
        self.by_node
            .values()
            .filter(|(said, _)| said == rule)
            .count()
            >= self.enough
    }

    /// What is told of refusals that too few nodes share.
    fn told(&self) -> Option<String> {
        let (rule, detail) = self.by_node.values().next()?;
        Some(format!(
            "too few nodes confirm a refusal ({rule}: {detail})"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caduceus_crypto::SecretKey;
    use caduceus_network::peer_id;
    use rand_core::OsRng;

    fn node() -> PeerId {
        peer_id(&SecretKey::generate(&mut OsRng).public())
    }

    #[test]
    fn a_refusal_counts_once_enough_nodes_share_its_rule() {
        let (first, second, third) = (node(), node(), node());
        let mut refusals = Refusals::new(2);
        assert!(refusals.is_empty());
        assert!(!refusals.add(first, "revoke_already", "revoked"));
        assert!(
            !refusals.add(first, "revoke_already", "revoked"),
            "one node is one opinion"
        );
        assert!(
            !refusals.add(second, "revoke_unknown", "no such grant"),
            "another rule is another opinion"
        );
        assert!(refusals.told().is_some());
        assert!(refusals.add(third, "revoke_already", "revoked"));
    }

    #[test]
    fn with_one_validator_its_word_counts() {
        assert!(Refusals::new(1).add(node(), "rule", "detail"));
    }
}

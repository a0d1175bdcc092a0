//! Submission of a transaction, up to its proof.

use crate::error::ClientError;
use crate::head::document;
use crate::session::Alliance;
use alliance_chain::Tx;
use caduceus_crypto::{Hash, TimeMillis};
use caduceus_ledger::{Height, TxProof, tx_id};
use caduceus_network::exchange::{Query, QueryRequest, Submit, SubmitReply, SubmitRequest};
use caduceus_network::{CallError, PeerAddr};
use std::time::{Duration, Instant};

/// Pause between two rounds over the nodes while none takes the transaction.
const PAUSE: Duration = Duration::from_millis(400);

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
    Refused(ClientError),
    /// The node may have it, but it is not committed.
    Waiting(String),
    NotThere(String),
}

impl Alliance {
    /// Submits a transaction, waits for its block and proves it. Nodes are tried in turn with the same bytes,
    /// which a chain commits once.
    ///
    /// # Errors
    /// [`ClientError::Rejected`] by a rule; [`ClientError::Unreachable`] when no node is there;
    /// [`ClientError::NoQuorum`] when a node took it and it was not committed within the session's timeout: it
    /// may be committed later, nothing is half done; [`ClientError::Unverified`] when the proof does not hold.
    pub async fn submit(&self, tx: &Tx) -> Result<Proved, ClientError> {
        let bytes = tx.encode();
        let id = tx_id(&bytes);
        let started = Instant::now();
        let mut waiting: Option<String> = None;
        loop {
            let mut absent = String::new();
            for (index, node) in self.in_turn() {
                let Some(left) = self.timeout().checked_sub(started.elapsed()) else {
                    return Err(self.gave_up(&id, started, waiting, absent));
                };
                match self.attempt(&node, &bytes, left).await {
                    Attempt::Committed => {
                        self.prefer(index);
                        return self.prove(&id).await;
                    }
                    Attempt::Refused(error) => return Err(error),
                    Attempt::Waiting(detail) => waiting = Some(detail),
                    Attempt::NotThere(reason) => absent = reason,
                }
            }
            if waiting.is_none() {
                let who = "the alliance".to_owned();
                return Err(ClientError::Unreachable { who, reason: absent });
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn attempt(&self, node: &PeerAddr, bytes: &[u8], left: Duration) -> Attempt {
        let request = SubmitRequest { tx: bytes.to_vec(), wait: true };
        let call = self.service().call::<Submit>(node, request);
        let Ok(outcome) = tokio::time::timeout(left, call).await else {
            return Attempt::Waiting("no answer in time".to_owned());
        };
        match outcome {
            Ok(SubmitReply::Committed { .. }) => Attempt::Committed,
            Ok(SubmitReply::Rejected { rule, detail }) => {
                Attempt::Refused(ClientError::Rejected { rule, detail })
            }
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
            Some(detail) => ClientError::NoQuorum { waited_millis, detail },
            None => ClientError::Unreachable { who: "the alliance".to_owned(), reason: absent },
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
                let mut light = self.light();
                proof.verify(&light, id)?;
                // Whoever reads state next must not be shown one from before this block. An old transaction's
                // head is refused here, and that is no fault of the proof.
                let _ = light.accept_head(&proof.head, self.now());
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

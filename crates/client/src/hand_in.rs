//! Handing a transaction in without waiting for it: for what is said out of courtesy and must delay nobody.

use crate::error::ClientError;
use crate::session::Alliance;
use alliance_chain::Tx;
use caduceus_network::exchange::{Submit, SubmitReply, SubmitRequest};

/// Nodes that are offered the transaction before it is given up.
const NODES: usize = 2;

impl Alliance {
    /// Offers a transaction to a node or two, and does not wait for its block. That it was taken is one node's word.
    ///
    /// # Errors
    /// [`ClientError::Rejected`] by a rule, as one node tells; [`ClientError::Unreachable`] when none takes it.
    pub async fn hand_in(&self, tx: &Tx) -> Result<(), ClientError> {
        let mut reason = "no node answers".to_owned();
        for (_, node) in self.in_turn().into_iter().take(NODES) {
            let request = SubmitRequest {
                tx: tx.encode(),
                wait: false,
            };
            match self.service().call::<Submit>(&node, request).await {
                Ok(SubmitReply::Accepted | SubmitReply::Committed { .. }) => return Ok(()),
                Ok(SubmitReply::Rejected { rule, detail }) => {
                    return Err(ClientError::Rejected { rule, detail });
                }
                Ok(SubmitReply::Unavailable { detail }) => reason = detail,
                Err(error) => reason = error.to_string(),
            }
        }
        Err(ClientError::Unreachable {
            who: "the alliance".to_owned(),
            reason,
        })
    }
}

//! The newest vote of a validator and this node's tip: shown to who asks, and asked of the others.

use crate::bft::{Answer, SignedVote, Witness};
use crate::chain::Chain;
use crate::node::Node;
use crate::relay::RelayPeers;
use async_trait::async_trait;
use caduceus_crypto::codec;
use caduceus_ledger::{Address, StateMachine};
use caduceus_network::Service;
use caduceus_network::exchange::{LastVote, LastVoteReply, LastVoteRequest};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long one validator may take to answer before the others are enough.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// Longest signed vote, bytes.
const MAX_VOTE_BYTES: usize = 512;

pub(super) fn serve<M: StateMachine>(service: &Service, node: &Arc<Node<M>>) {
    let node = node.clone();
    service.serve::<LastVote, _, _>(
        |_| true,
        move |_, request| {
            let node = node.clone();
            async move {
                let vote = node.last_vote(&Address(request.validator));
                Ok(LastVoteReply {
                    tip: node.chain().tip().height.0,
                    vote: vote.map(|vote| codec::encode(&vote)),
                })
            }
        },
    );
}

/// Asks the other validators over the service swarm.
pub struct PeerWitness {
    service: Service,
    chain: Arc<Chain>,
    peers: RelayPeers,
}

impl PeerWitness {
    /// Asks these validators, as far as they are voters of the chain.
    pub fn new(service: Service, chain: Arc<Chain>, peers: RelayPeers) -> Self {
        Self {
            service,
            chain,
            peers,
        }
    }
}

#[async_trait]
impl Witness for PeerWitness {
    async fn ask(&self, of: Address) -> Vec<Answer> {
        let voters: BTreeMap<String, Address> = self
            .chain
            .next_validators()
            .iter()
            .map(|v| (crate::node::peer_id(&v.key).to_string(), v.address()))
            .collect();
        let mut asking = tokio::task::JoinSet::new();
        for peer in self.peers.addresses() {
            let Some(voter) = voters.get(&peer.id.to_string()).copied() else {
                continue;
            };
            let service = self.service.clone();
            asking.spawn(async move {
                let request = LastVoteRequest { validator: of.0 };
                let call = service.call::<LastVote>(&peer, request);
                let answer = tokio::time::timeout(ANSWER_WAIT, call).await.ok()?.ok()?;
                let vote = answer.vote.and_then(|bytes| {
                    codec::decode_exact::<SignedVote>(&bytes, MAX_VOTE_BYTES).ok()
                });
                Some(Answer {
                    witness: voter,
                    tip: answer.tip,
                    vote,
                })
            });
        }
        let mut answers = Vec::new();
        while let Some(answer) = asking.join_next().await {
            answers.extend(answer.ok().flatten());
        }
        answers
    }
}

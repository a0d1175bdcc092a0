//! Transactions handed from node to node (ADR 0003): to whom, and from whom they are taken. Both change while the
//! node runs: with the peers that its operator names, and with the voters of the chain.

use crate::node::{Node, TxRelay};
use async_trait::async_trait;
use caduceus_crypto::PublicKey;
use caduceus_ledger::{StateMachine, ValidatorSet};
use caduceus_network::exchange::{Relay, RelayRequest};
use caduceus_network::{Peer, PeerAddr, Service};
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// How long a transaction's hand-over to one validator may delay the proposal.
const RELAY_WAIT: Duration = Duration::from_millis(250);

#[derive(Default)]
struct Known {
    addresses: Vec<PeerAddr>,
    peers: BTreeSet<PublicKey>,
    voters: BTreeSet<PublicKey>,
}

/// Whom a node hands transactions to, and whose it takes; clones share it.
#[derive(Clone, Default)]
pub struct RelayPeers(Arc<RwLock<Known>>);

impl RelayPeers {
    /// The peers that the operator names.
    pub fn new(addresses: Vec<PeerAddr>) -> Self {
        let peers = Self::default();
        peers.set(addresses);
        peers
    }

    /// Replaces the peers that the operator names.
    pub fn set(&self, addresses: Vec<PeerAddr>) {
        let keys = addresses
            .iter()
            .filter_map(|peer| Peer::new(peer.id, peer.address.clone()).key)
            .collect();
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.addresses = addresses;
        known.peers = keys;
    }

    /// Replaces the voters.
    fn set_voters(&self, set: &ValidatorSet) {
        let voters = set.iter().map(|validator| validator.key).collect();
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .voters = voters;
    }

    /// Where to hand transactions.
    pub fn addresses(&self) -> Vec<PeerAddr> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .addresses
            .clone()
    }

    /// Whether a peer may hand transactions on: a voter of the next height, or one that the operator names.
    pub fn may_hand_on(&self, peer: &Peer) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        peer.key
            .as_ref()
            .is_some_and(|key| known.voters.contains(key) || known.peers.contains(key))
    }

    /// Keeps the voters those of a node's chain, until the chain is gone.
    pub fn follow<M: StateMachine>(&self, node: &Arc<Node<M>>) {
        let chain = Arc::downgrade(node.chain());
        let mut tips = node.chain().watch_tip();
        let first = node.chain().next_validators();
        let mut known = first.hash();
        self.set_voters(&first);
        let peers = self.clone();
        tokio::spawn(async move {
            while tips.changed().await.is_ok() {
                if tips.borrow_and_update().next_validators == known {
                    continue;
                }
                let Some(chain) = chain.upgrade() else { return };
                let set = chain.next_validators();
                known = set.hash();
                peers.set_voters(&set);
            }
        });
    }
}

/// Pushes transactions to the other validators over the service swarm (ADR 0003).
pub struct PeerRelay {
    service: Service,
    peers: RelayPeers,
}

impl PeerRelay {
    /// Hands transactions to these peers.
    pub fn new(service: Service, peers: RelayPeers) -> Self {
        Self { service, peers }
    }
}

#[async_trait]
impl TxRelay for PeerRelay {
    async fn relay(&self, tx: Arc<Vec<u8>>) {
        let mut sending = tokio::task::JoinSet::new();
        for peer in self.peers.addresses() {
            let (service, tx) = (self.service.clone(), tx.clone());
            sending.spawn(async move {
                let request = RelayRequest {
                    txs: vec![tx.as_ref().clone()],
                };
                if let Err(error) = service.call::<Relay>(&peer, request).await {
                    tracing::debug!(%error, %peer, "a validator did not take a transaction");
                }
            });
        }
        // A slow or dead validator delays the block by this much at the most; its copy still arrives.
        let all = async { while sending.join_next().await.is_some() {} };
        if tokio::time::timeout(RELAY_WAIT, all).await.is_err() {
            sending.detach_all();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::{SecretKey, domain};
    use caduceus_ledger::Validator;
    use caduceus_network::peer_id;

    fn key(n: u8) -> PublicKey {
        SecretKey::derive(domain::VOTE, &[n], &[]).public()
    }

    fn address(n: u8) -> PeerAddr {
        PeerAddr {
            id: peer_id(&key(n)),
            address: "/ip4/127.0.0.1/tcp/1".parse().unwrap(),
        }
    }

    fn may(peers: &RelayPeers, n: u8) -> bool {
        let address = address(n);
        peers.may_hand_on(&Peer::new(address.id, address.address))
    }

    #[test]
    fn voters_and_named_peers_hand_on_and_nobody_else() {
        let peers = RelayPeers::new(vec![address(1)]);
        let voters = |members: &[u8]| {
            let members = members.iter().map(|n| Validator {
                key: key(*n),
                power: 1,
            });
            ValidatorSet::new(members.collect()).unwrap()
        };
        peers.set_voters(&voters(&[2, 3]));
        assert_eq!(
            [0, 1, 2, 3].map(|n| may(&peers, n)),
            [false, true, true, true]
        );
        peers.set_voters(&voters(&[3, 4]));
        peers.clone().set(vec![address(0)]);
        assert_eq!(
            [0, 1, 2, 3, 4].map(|n| may(&peers, n)),
            [true, false, false, true, true]
        );
        assert_eq!(peers.addresses(), [address(0)]);
    }
}

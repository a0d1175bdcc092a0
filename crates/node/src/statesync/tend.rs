//! What a node does for its snapshots while it runs: gathers attestations, removes old blocks, and notices when the
//! others have removed the blocks that it lacks.

use super::attest::Attestation;
use super::keeper::{Keeper, Kept};
use super::manifest::Manifest;
use crate::node::Node;
use crate::relay::RelayPeers;
use crate::store::StoreError;
use caduceus_crypto::codec;
use caduceus_ledger::{StateMachine, ValidatorSet};
use caduceus_network::exchange::{SnapshotInfo, SnapshotInfoReply, SnapshotInfoRequest};
use caduceus_network::{PeerAddr, Service};
use std::sync::Weak;
use std::time::Duration;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::Instant;

/// How often the node looks.
const TICK: Duration = Duration::from_secs(1);
/// Longest wait between two rounds of asking for attestations.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// How often a node whose height does not change asks whether it can still catch up.
const LAG_CHECK: Duration = Duration::from_secs(30);
/// Pause between two writes that remove blocks.
const PRUNE_PAUSE: Duration = Duration::from_millis(20);

/// Runs until the node is gone.
pub(super) async fn tend<M: StateMachine>(
    service: Service,
    node: Weak<Node<M>>,
    peers: RelayPeers,
) {
    let mut gathering = Gathering::default();
    let mut lag = (0, Instant::now());
    loop {
        tokio::time::sleep(TICK).await;
        let Some(node) = node.upgrade() else { return };
        let keeper = node.snapshots().clone();
        gathering.go_on(&service, &peers.addresses(), &keeper).await;
        if let Some(below) = keeper.prune_below()
            && let Err(error) = prune(&node, below).await
        {
            tracing::warn!(%error, "old blocks could not be removed");
        }
        let tip = node.chain().tip().height.0;
        if tip != lag.0 {
            lag = (tip, Instant::now());
            keeper.advise(None);
        } else if lag.1.elapsed() >= LAG_CHECK {
            lag.1 = Instant::now();
            let replies = ask(&service, &peers.addresses(), None).await;
            keeper.advise(lagging(tip, &replies));
        }
    }
}

async fn prune<M: StateMachine>(node: &Node<M>, below: u64) -> Result<(), StoreError> {
    while block_in_place(|| node.chain().prune_step(below))? {
        tokio::time::sleep(PRUNE_PAUSE).await;
    }
    Ok(())
}

/// What to tell an operator whose node can no longer catch up by blocks.
fn lagging(tip: u64, replies: &[SnapshotInfoReply]) -> Option<String> {
    let ahead: Vec<_> = replies.iter().filter(|reply| reply.tip > tip).collect();
    let lowest = ahead.iter().map(|reply| reply.kept_from).min()?;
    (lowest > tip + 1).then(|| {
        format!(
            "this node is at height {tip} and nobody it knows keeps a block below {lowest}: stop it, move chain.redb \
             away (keep last-signed) and start it, which joins by a snapshot; or name an archive node as a peer"
        )
    })
}

/// Asks for attestations ever more rarely.
#[derive(Default)]
struct Gathering {
    height: u64,
    tries: u32,
    next: Option<Instant>,
}

impl Gathering {
    async fn go_on(&mut self, service: &Service, peers: &[PeerAddr], keeper: &Keeper) {
        let Some(kept) = keeper.newest().filter(|kept| !kept.complete()) else {
            return;
        };
        let height = kept.folder.manifest().height().0;
        if height != self.height {
            *self = Self {
                height,
                ..Self::default()
            };
        }
        if self.next.is_some_and(|next| Instant::now() < next) {
            return;
        }
        for reply in ask(service, peers, Some(height)).await {
            learn(&kept, reply);
        }
        self.tries += 1;
        let wait = MAX_WAIT.min(Duration::from_secs(1 << self.tries.min(6)));
        self.next = Some(Instant::now() + wait);
    }
}

/// Takes a peer's attestations to the same manifest. Another manifest that a validator signed is a grave matter: one of
/// the two executes wrongly.
fn learn(kept: &Kept, reply: SnapshotInfoReply) {
    let Some(offer) = reply.snapshot else { return };
    let limit = offer.attestations.len();
    let Ok(list) = codec::decode_exact::<Vec<Attestation>>(&offer.attestations, limit) else {
        return;
    };
    let ours = kept.folder.manifest();
    if offer.manifest == codec::encode(ours) {
        if let Err(error) = block_in_place(|| kept.learn(&list)) {
            tracing::warn!(%error, "attestations could not be written");
        }
        return;
    }
    let Ok(theirs) = Manifest::decode(&offer.manifest) else {
        return;
    };
    let hash = theirs.hash();
    for attestation in list.iter().take(ValidatorSet::MAX) {
        if attestation.verify(&hash, &ours.voters).is_ok() {
            tracing::error!(
                height = ours.height().0,
                validator = %attestation.signer,
                "a validator attests to another state than this node has: validate both nodes"
            );
        }
    }
}

async fn ask(service: &Service, peers: &[PeerAddr], height: Option<u64>) -> Vec<SnapshotInfoReply> {
    let mut asking = JoinSet::new();
    for peer in peers {
        let (service, peer) = (service.clone(), peer.clone());
        asking.spawn(async move {
            service
                .call::<SnapshotInfo>(&peer, SnapshotInfoRequest { height })
                .await
        });
    }
    let mut replies = Vec::new();
    while let Some(answered) = asking.join_next().await {
        // Who does not answer now is asked again later.
        replies.extend(answered.ok().and_then(Result::ok));
    }
    replies
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(tip: u64, kept_from: u64) -> SnapshotInfoReply {
        SnapshotInfoReply {
            tip,
            kept_from,
            snapshot: None,
        }
    }

    #[test]
    fn a_node_is_told_only_when_nobody_ahead_has_its_next_block() {
        assert_eq!(lagging(10, &[]), None);
        assert_eq!(lagging(10, &[reply(10, 1)]), None);
        // The next block is 11.
        assert_eq!(lagging(10, &[reply(50, 11)]), None);
        assert_eq!(lagging(10, &[reply(50, 41), reply(50, 1)]), None);
        // One that keeps everything but is not ahead helps nobody.
        let advice = lagging(10, &[reply(50, 41), reply(60, 31), reply(10, 1)]);
        assert!(
            advice.is_some_and(|text| text.contains("below 31") && text.contains("chain.redb"))
        );
    }
}

//! What a node tells others of its snapshots.

use super::keeper::Kept;
use super::tend::tend;
use crate::node::Node;
use crate::relay::RelayPeers;
use caduceus_crypto::codec;
use caduceus_ledger::{Height, StateMachine};
use caduceus_network::exchange::{
    SnapshotChunk, SnapshotChunkReply, SnapshotChunkRequest, SnapshotInfo, SnapshotInfoReply,
    SnapshotInfoRequest, SnapshotOffer,
};
use caduceus_network::{Refused, Service};
use std::sync::Arc;
use tokio::task::block_in_place;

/// Serves a node's snapshots to voters and to the peers that the operator names, and tends them: gathers the other validators' attestations from `peers`, and removes
/// old blocks where the operator wants that. Ends with the node.
pub fn serve_snapshots<M: StateMachine>(service: &Service, node: &Arc<Node<M>>, peers: RelayPeers) {
    let told = Arc::downgrade(node);
    let (asking, fetching) = (peers.clone(), peers.clone());
    service.serve::<SnapshotInfo, _, _>(
        move |peer| asking.may_hand_on(peer),
        move |_, request| {
            let node = told.upgrade();
            async move {
                let node = node.ok_or_else(|| Refused::because("the node is stopping"))?;
                block_in_place(|| info(&node, request))
            }
        },
    );
    let read = Arc::downgrade(node);
    service.serve::<SnapshotChunk, _, _>(
        move |peer| fetching.may_hand_on(peer),
        move |_, request: SnapshotChunkRequest| {
            let node = read.upgrade();
            async move {
                let node = node.ok_or_else(|| Refused::because("the node is stopping"))?;
                let keeper = node.snapshots();
                let chunk = block_in_place(|| keeper.chunk(Height(request.height), request.index));
                let bytes = chunk.ok_or_else(|| Refused::because("no such chunk"))?;
                Ok(SnapshotChunkReply { bytes })
            }
        },
    );
    tokio::spawn(tend(service.clone(), Arc::downgrade(node), peers));
}

fn info<M: StateMachine>(
    node: &Node<M>,
    request: SnapshotInfoRequest,
) -> Result<SnapshotInfoReply, Refused> {
    let view = node.chain().snapshot();
    let kept_from = view.and_then(|view| view.kept_from()).map_err(|error| {
        tracing::error!(%error, "the store failed");
        Refused::because("the store failed")
    })?;
    let keeper = node.snapshots();
    let kept = match request.height {
        None => keeper.newest(),
        Some(height) => keeper.at(Height(height)),
    };
    Ok(SnapshotInfoReply {
        tip: node.chain().tip().height.0,
        kept_from,
        snapshot: kept.map(|kept| offer(&kept)),
    })
}

fn offer(kept: &Kept) -> SnapshotOffer {
    let folder = &kept.folder;
    SnapshotOffer {
        manifest: codec::encode(folder.manifest()),
        certificate: codec::encode(folder.certificate()),
        attestations: codec::encode(&kept.attested().list()),
        chunks: folder.chunk_hashes().to_vec(),
    }
}

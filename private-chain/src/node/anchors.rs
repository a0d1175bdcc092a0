//! `fetch-anchor` and `tag-counters`.

use crate::state::AnchorRef;
use crate::{PrivateMachine, query};
use caduceus_crypto::codec;
use caduceus_ledger::Height;
use caduceus_network::exchange::{
    FetchAnchor, FetchAnchorReply, FetchAnchorRequest, TagCounters, TagCountersReply,
    TagCountersRequest,
};
use caduceus_network::{Refused, Service};
use caduceus_node::Node;
use caduceus_node::service::Authorise;
use std::sync::Arc;
use tokio::task::block_in_place;

/// Serves both: anchors to `anchor_readers` too.
pub fn serve(
    service: &Service,
    node: &Arc<Node<PrivateMachine>>,
    queriers: Authorise,
    anchor_readers: Authorise,
) {
    let (querier, chain) = (queriers.clone(), node.clone());
    service.serve::<FetchAnchor, _, _>(
        move |peer| anchor_readers(peer) || querier(peer),
        move |_, request| {
            let node = chain.clone();
            async move { block_in_place(|| anchor(&node, request)) }
        },
    );
    let chain = node.clone();
    service.serve::<TagCounters, _, _>(
        move |peer| queriers(peer),
        move |_, request: TagCountersRequest| {
            let node = chain.clone();
            async move {
                block_in_place(|| {
                    let snapshot = node.chain().snapshot().map_err(failed)?;
                    let committed =
                        query::committed_tags(&snapshot, &request.tags).map_err(failed)?;
                    Ok(TagCountersReply::new(&committed))
                })
            }
        },
    );
}

fn failed(error: impl std::fmt::Display) -> Refused {
    tracing::error!(%error, "the store failed");
    Refused::because("the store failed")
}

fn anchor(
    node: &Node<PrivateMachine>,
    request: FetchAnchorRequest,
) -> Result<FetchAnchorReply, Refused> {
    let snapshot = node.chain().snapshot().map_err(failed)?;
    let at = AnchorRef {
        height: Height(request.height),
        position: request.position,
    };
    let proved = query::anchor_proof(&snapshot, &at).map_err(failed)?;
    let certified = snapshot.certified(at.height).map_err(failed)?;
    let (Some(proved), Some(certified)) = (proved, certified) else {
        return Err(Refused::because("no such anchor"));
    };
    Ok(FetchAnchorReply {
        anchor: codec::encode(&proved.anchor),
        header: codec::encode(&certified.header),
        certificate: codec::encode(&certified.certificate),
        proof: codec::encode(&proved.proof),
    })
}

//! `light-blocks`: headers with the sets that they name, open to all.

use super::broken;
use crate::node::Node;
use caduceus_crypto::codec;
use caduceus_ledger::{Height, StateMachine, light};
use caduceus_network::exchange::{
    LightBlocks, LightBlocksReply, LightBlocksRequest, MAX_LIGHT_BLOCK_BYTES,
};
use caduceus_network::{Refused, Service};
use std::sync::Arc;
use tokio::task::block_in_place;

const _: () = assert!(
    MAX_LIGHT_BLOCK_BYTES == light::MAX_LIGHT_BLOCK_BYTES,
    "what the ledger makes fits a reply"
);

pub(super) fn serve<M: StateMachine>(service: &Service, node: &Arc<Node<M>>) {
    let node = node.clone();
    service.serve::<LightBlocks, _, _>(
        |_| true,
        move |_, request: LightBlocksRequest| {
            let node = node.clone();
            async move { block_in_place(|| answer(&node, &request)) }
        },
    );
}

fn answer<M: StateMachine>(
    node: &Node<M>,
    request: &LightBlocksRequest,
) -> Result<LightBlocksReply, Refused> {
    let snapshot = node.chain().snapshot().map_err(broken)?;
    let heights = if request.heights.is_empty() {
        vec![snapshot.newest_height().map_err(broken)?]
    } else {
        request.heights.clone()
    };
    let mut items = Vec::with_capacity(heights.len());
    for height in heights {
        let block = snapshot.light_block(Height(height)).map_err(broken)?;
        items.push(block.map_or_else(Vec::new, |block| codec::encode(&block)));
    }
    Ok(LightBlocksReply { items })
}

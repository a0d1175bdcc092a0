//! `linked-records`: what a hospital linked, block by block, read from the `Link` transactions of committed blocks.

use crate::AllianceMachine;
use crate::query::{self, MAX_LINKED_BYTES};
use caduceus_crypto::Hash;
use caduceus_ledger::{Block, Height, StateError, find_tx};
use caduceus_network::exchange::{self, LinkedRecords, LinkedRecordsReply, LinkedRecordsRequest};
use caduceus_network::{Refused, Service};
use caduceus_node::{Node, Snapshot};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::task::block_in_place;

/// Documents made at once: each reads and hashes several blocks.
const DOCUMENTS_AT_ONCE: usize = 4;

const _: () = assert!(MAX_LINKED_BYTES == exchange::MAX_LINKED_BYTES);

/// Serves `linked-records`.
pub fn serve(service: &Service, node: &Arc<Node<AllianceMachine>>) {
    let node = node.clone();
    let turns = Arc::new(Semaphore::new(DOCUMENTS_AT_ONCE));
    service.serve::<LinkedRecords, _, _>(
        |_| true,
        move |_, request| {
            let (node, turns) = (node.clone(), turns.clone());
            async move {
                let _turn = turns.acquire().await.expect("nobody closes the semaphore");
                let blocks = block_in_place(|| document(&node, &request))?;
                Ok(LinkedRecordsReply { blocks })
            }
        },
    );
}

fn failed(error: impl std::fmt::Display) -> Refused {
    tracing::error!(%error, "linked records could not be read");
    Refused::because("the store failed")
}

fn document(
    node: &Node<AllianceMachine>,
    request: &LinkedRecordsRequest,
) -> Result<Vec<u8>, Refused> {
    let snapshot = node.chain().snapshot().map_err(failed)?;
    let mut reader = Reader {
        snapshot: &snapshot,
        last: None,
    };
    query::linked_document(
        &snapshot,
        &request.hospital,
        Height(request.from),
        MAX_LINKED_BYTES,
        &mut |id| reader.tx(id),
    )
    .map_err(failed)
}

/// Reads committed transactions. A linker submits many links at once, so the next one is often in the same block.
struct Reader<'a> {
    snapshot: &'a Snapshot,
    last: Option<Block>,
}

impl Reader<'_> {
    fn tx(&mut self, id: &Hash) -> Result<Vec<u8>, StateError> {
        let lost = || StateError(format!("transaction {id} is not stored"));
        let place = find_tx(self.snapshot, id)?.ok_or_else(lost)?;
        let at_hand = self
            .last
            .take()
            .filter(|block| block.header.height == place.height);
        let block = match at_hand {
            Some(block) => block,
            None => self
                .snapshot
                .block(place.height)
                .map_err(|e| StateError(e.to_string()))?
                .ok_or_else(lost)?,
        };
        let tx = block.txs.get(place.index as usize).cloned();
        self.last = Some(block);
        tx.ok_or_else(lost)
    }
}

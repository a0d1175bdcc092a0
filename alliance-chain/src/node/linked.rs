//! `linked-records`: what a hospital linked, block by block, read from the `Link` transactions of committed blocks.
//!
//! A `Link` of a few bytes may stand in a block of a mebibyte, so what a request costs is bounded by the bytes of the
//! blocks read for it, not by those it gets; and a peer has one request under way at a time.

use crate::AllianceMachine;
use crate::query::{self, MAX_LINKED_BYTES};
use caduceus_crypto::Hash;
use caduceus_ledger::{Block, Height, StateError, StateView, find_tx};
use caduceus_network::exchange::{self, LinkedRecords, LinkedRecordsReply, LinkedRecordsRequest};
use caduceus_network::{PeerId, Refused, Service};
use caduceus_node::Node;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Semaphore;
use tokio::task::block_in_place;

/// Documents made at once: each reads and hashes several blocks.
const DOCUMENTS_AT_ONCE: usize = 4;
/// Bytes of blocks after which no other block is read for a document. The caller goes on where it ended.
const READ_BYTES: usize = 16 * 1024 * 1024;

const _: () = assert!(MAX_LINKED_BYTES == exchange::MAX_LINKED_BYTES);

/// Serves `linked-records`.
pub fn serve(service: &Service, node: &Arc<Node<AllianceMachine>>) {
    let node = node.clone();
    let turns = Arc::new(Semaphore::new(DOCUMENTS_AT_ONCE));
    let busy = Busy::default();
    service.serve::<LinkedRecords, _, _>(
        |_| true,
        move |peer, request| {
            let (node, turns, only) = (node.clone(), turns.clone(), busy.enter(peer.id));
            async move {
                let _only = only.ok_or_else(|| Refused::because("one document at a time"))?;
                let _turn = turns.acquire().await.expect("nobody closes the semaphore");
                let blocks = block_in_place(|| document(&node, &request))?;
                Ok(LinkedRecordsReply { blocks })
            }
        },
    );
}

/// The peers for which a document is being made, or waits for its turn.
#[derive(Clone, Default)]
struct Busy(Arc<Mutex<BTreeSet<PeerId>>>);

impl Busy {
    /// Notes a peer until what this gives is dropped; none while it is noted.
    fn enter(&self, peer: PeerId) -> Option<Entered> {
        self.peers().insert(peer).then(|| Entered {
            busy: self.clone(),
            peer,
        })
    }

    fn peers(&self) -> MutexGuard<'_, BTreeSet<PeerId>> {
        self.0.lock().expect("no holder of this lock panics")
    }
}

/// A peer that is noted as busy.
struct Entered {
    busy: Busy,
    peer: PeerId,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.busy.peers().remove(&self.peer);
    }
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
    let block = |height| {
        snapshot
            .block(height)
            .map_err(|e| StateError(e.to_string()))
    };
    let mut reader = Reader::new(&snapshot, &block);
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
    view: &'a dyn StateView,
    block: &'a dyn Fn(Height) -> Result<Option<Block>, StateError>,
    last: Option<Block>,
    read_bytes: usize,
}

impl<'a> Reader<'a> {
    fn new(
        view: &'a dyn StateView,
        block: &'a dyn Fn(Height) -> Result<Option<Block>, StateError>,
    ) -> Self {
        Self {
            view,
            block,
            last: None,
            read_bytes: 0,
        }
    }

    /// A transaction; none if it is in a block that would be one too many.
    fn tx(&mut self, id: &Hash) -> Result<Option<Vec<u8>>, StateError> {
        let lost = || StateError(format!("transaction {id} is not stored"));
        let place = find_tx(self.view, id)?.ok_or_else(lost)?;
        let at_hand = self
            .last
            .take()
            .filter(|block| block.header.height == place.height);
        let block = match at_hand {
            Some(block) => block,
            None if self.read_bytes >= READ_BYTES => return Ok(None),
            None => {
                let block = (self.block)(place.height)?.ok_or_else(lost)?;
                self.read_bytes += block.txs.iter().map(Vec::len).sum::<usize>();
                block
            }
        };
        let tx = block.txs.get(place.index as usize).cloned();
        self.last = Some(block);
        tx.ok_or_else(lost).map(Some)
    }
}

#[cfg(test)]
mod tests;

//! All that one hospital has linked: downloaded from one node, proved against the alliance's state (DESIGN 2.3).
//! With it a patient searches and checks by herself, and nobody learns what she looks for.

use crate::error::ClientError;
use crate::session::{Alliance, Doubt, Failures, PASSES, SECOND_PASS_AFTER};
use alliance_chain::RecordRef;
use alliance_chain::query::{self, LinkedBlock};
use alliance_chain::state::{self, LinkedHead};
use caduceus_crypto::evidence::AnchorLeaf;
use caduceus_crypto::index::{MAX_TAGS, SchemeId};
use caduceus_crypto::merkle::{self, InclusionProof};
use caduceus_crypto::{Hash, HospitalId, TimeMillis};
use caduceus_ledger::{CertifiedHeader, Height};
use caduceus_network::exchange::{
    LinkedRecords, LinkedRecordsReply, LinkedRecordsRequest, MAX_LINKED_BYTES,
};
use caduceus_network::{CallError, PeerAddr};
use std::time::Duration;

/// How long one node may take for a whole history. A page has its own limit: one that sends a record a minute would
/// hold a patient up for ever.
const NODE_LIMIT: Duration = Duration::from_secs(600);
/// Most bytes in memory of one page. A leaf takes some more there than on the wire.
const MAX_PAGE_BYTES: usize = 4 * MAX_LINKED_BYTES;

/// Every record that a hospital had linked when a head of the alliance was certified: none is missing, none is
/// altered, none is out of its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedHistory {
    /// The hospital.
    pub hospital: HospitalId,
    /// The alliance's header under which it is proved.
    pub head: CertifiedHeader,
    /// What the alliance's state says of it; none while nothing is linked.
    pub linked: Option<LinkedHead>,
    /// The private blocks that have anchors, lowest first.
    pub blocks: Vec<LinkedBlock>,
}

/// A record of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkedLeaf<'a> {
    /// Its place on the private chain.
    pub at: RecordRef,
    /// Time of its private block.
    pub time: TimeMillis,
    /// What is linked of it.
    pub leaf: &'a AnchorLeaf,
}

impl LinkedHistory {
    /// The private height up to which every anchored record is here; 0 if there is none.
    #[must_use]
    pub fn height(&self) -> Height {
        self.linked.map_or(Height::GENESIS, |linked| linked.height)
    }

    /// Number of records.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.linked.map_or(0, |linked| linked.records)
    }

    /// All records, in the order of the private chain.
    pub fn leaves(&self) -> impl Iterator<Item = LinkedLeaf<'_>> {
        self.blocks.iter().flat_map(leaves_of)
    }

    /// The anchors root of the private block of a record, and the proof that the record's leaf is under it; none
    /// for a place that holds no record.
    #[must_use]
    pub fn prove(&self, at: &RecordRef) -> Option<(Hash, InclusionProof)> {
        let block = self
            .blocks
            .iter()
            .find(|block| block.height.0 == at.height)?;
        let leaves: Vec<Vec<u8>> = block.leaves.iter().map(AnchorLeaf::to_bytes).collect();
        let index = usize::try_from(at.position).ok()?;
        (index < leaves.len()).then(|| (merkle::root(&leaves), merkle::prove(&leaves, index)))
    }
}

/// The records of one private block, by position.
pub fn leaves_of(block: &LinkedBlock) -> impl Iterator<Item = LinkedLeaf<'_>> {
    (0u32..)
        .zip(&block.leaves)
        .map(|(position, leaf)| LinkedLeaf {
            at: RecordRef {
                height: block.height.0,
                position,
            },
            time: block.time,
            leaf,
        })
}

/// Why one node did not bring the whole.
enum Miss {
    Call(CallError),
    Doubt(Doubt),
}

impl From<Doubt> for Miss {
    fn from(doubt: Doubt) -> Self {
        Miss::Doubt(doubt)
    }
}

impl Alliance {
    /// The next linked private blocks of a hospital from a private height on, as many as one answer holds; empty
    /// where nothing more is linked. One node's word, without proof: [`Alliance::all_linked`] proves.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`], [`ClientError::Unverified`] for a malformed answer.
    ///
    /// # Leakage
    /// The node learns that somebody follows this hospital's links.
    pub async fn linked_records(
        &self,
        hospital: HospitalId,
        from: Height,
    ) -> Result<Vec<LinkedBlock>, ClientError> {
        self.ask::<LinkedRecords, Vec<LinkedBlock>>(
            || LinkedRecordsRequest {
                hospital,
                from: from.0,
            },
            |reply| page(&reply),
        )
        .await
    }

    /// Every record that a hospital has linked up to a fresh head. A node whose answer has a record missing, added
    /// or altered is dropped for the next.
    ///
    /// # Errors
    /// Those of [`Alliance::get`]; [`ClientError::Unverified`] names a node whose history does not lead to the
    /// digest in the alliance's state; [`ClientError::NotFound`] when all nodes are behind that state.
    ///
    /// # Leakage
    /// As [`Alliance::linked_records`]: that somebody reads this hospital's links, not what for.
    pub async fn all_linked(&self, hospital: HospitalId) -> Result<LinkedHistory, ClientError> {
        let scheme = self.params().await?.scheme;
        let (linked, head) = self.get_at(&state::linked(&hospital)).await?;
        let blocks = match &linked {
            Some(linked) => self.download(hospital, scheme, linked).await?,
            None => Vec::new(),
        };
        Ok(LinkedHistory {
            hospital,
            head,
            linked,
            blocks,
        })
    }

    /// The history from one node that has it whole, so that a node which alters it can be named.
    async fn download(
        &self,
        hospital: HospitalId,
        scheme: SchemeId,
        linked: &LinkedHead,
    ) -> Result<Vec<LinkedBlock>, ClientError> {
        let mut failures = Failures::default();
        for pass in 0..PASSES {
            let mut worth_repeating = false;
            for (index, node) in self.in_turn() {
                let whole = self.download_from(&node, hospital, scheme, linked);
                let outcome = tokio::time::timeout(NODE_LIMIT, whole)
                    .await
                    .unwrap_or(Err(Miss::Call(CallError::Timeout)));
                match outcome {
                    Ok(blocks) => {
                        self.prefer(index);
                        return Ok(blocks);
                    }
                    Err(Miss::Call(error)) => failures.call(&node, &error),
                    Err(Miss::Doubt(doubt)) => {
                        worth_repeating |= matches!(doubt, Doubt::Behind(_) | Doubt::Missing(_));
                        failures.doubt(&node, doubt);
                    }
                }
            }
            if !worth_repeating || pass + 1 == PASSES {
                break;
            }
            tokio::time::sleep(SECOND_PASS_AFTER).await;
        }
        Err(failures.into_error())
    }

    async fn download_from(
        &self,
        node: &PeerAddr,
        hospital: HospitalId,
        scheme: SchemeId,
        linked: &LinkedHead,
    ) -> Result<Vec<LinkedBlock>, Miss> {
        let mut chain = Follower::new(linked, scheme);
        while !chain.is_done() {
            let request = LinkedRecordsRequest {
                hospital,
                from: chain.next.0,
            };
            let reply = self
                .service()
                .call::<LinkedRecords>(node, request)
                .await
                .map_err(Miss::Call)?;
            chain.take(page(&reply)?)?;
        }
        Ok(chain.blocks)
    }
}

fn page(reply: &LinkedRecordsReply) -> Result<Vec<LinkedBlock>, Doubt> {
    query::linked_blocks(&reply.blocks)
        .map_err(|error| Doubt::Unverified(format!("linked blocks: {error}")))
}

/// Bytes that are kept of a leaf.
fn kept_bytes_of(leaf: &AnchorLeaf) -> usize {
    size_of::<AnchorLeaf>()
        + size_of_val(leaf.entries.tags())
        + size_of_val(leaf.entries.peks())
        + size_of_val(leaf.entries.paeks())
}

/// Follows a hospital's links up to a proved head. Pure.
///
/// Only at the head does it show whether a node told the truth. Until then nothing is kept that no truth could hold:
/// no more records than the head counts, no leaf that the chain would not have admitted, no page larger than a
/// page may be.
struct Follower<'a> {
    head: &'a LinkedHead,
    scheme: SchemeId,
    digest: Hash,
    records: u64,
    next: Height,
    blocks: Vec<LinkedBlock>,
}

impl<'a> Follower<'a> {
    fn new(head: &'a LinkedHead, scheme: SchemeId) -> Self {
        Self {
            head,
            scheme,
            digest: Hash::ZERO,
            records: 0,
            next: Height::GENESIS.next(),
            blocks: Vec::new(),
        }
    }

    fn is_done(&self) -> bool {
        self.next > self.head.height
    }

    /// Takes the next blocks; at the head, compares what came of them with what is proved. What was linked since
    /// is left.
    fn take(&mut self, page: Vec<LinkedBlock>) -> Result<(), Doubt> {
        let before = self.blocks.len();
        let mut kept_bytes = 0usize;
        for block in page {
            if self.is_done() {
                break;
            }
            if block.height < self.next || block.height > self.head.height {
                return Err(Doubt::Unverified(format!(
                    "private height {} among the links where {} to {} belong",
                    block.height, self.next, self.head.height
                )));
            }
            let found = u64::try_from(block.leaves.len()).unwrap_or(u64::MAX);
            self.records = self.records.saturating_add(found);
            // Checked at once: a node must not feed a client without end.
            if block.leaves.is_empty() || self.records > self.head.records {
                return Err(self.differs());
            }
            for leaf in &block.leaves {
                self.check_leaf(leaf, block.height)?;
                kept_bytes = kept_bytes.saturating_add(kept_bytes_of(leaf));
            }
            if kept_bytes > MAX_PAGE_BYTES {
                return Err(Doubt::Unverified(format!(
                    "linked blocks of more than {MAX_PAGE_BYTES} bytes at once"
                )));
            }
            self.digest = block.digest_after(&self.digest);
            self.next = block.height.next();
            self.blocks.push(block);
        }
        if self.blocks.len() == before {
            return Err(Doubt::Missing(format!(
                "an alliance node with all links up to private height {}",
                self.head.height
            )));
        }
        if self.is_done() && (self.digest != self.head.digest || self.records != self.head.records)
        {
            return Err(self.differs());
        }
        Ok(())
    }

    /// The scheme and the number of a leaf's entries are as the chain admits them. Their points are not checked:
    /// that would cost far more than the digest, which covers them.
    fn check_leaf(&self, leaf: &AnchorLeaf, height: Height) -> Result<(), Doubt> {
        let (found, entries) = (leaf.entries.scheme(), leaf.entries.len());
        if found != self.scheme || entries == 0 || entries > MAX_TAGS {
            return Err(Doubt::Unverified(format!(
                "a record with {entries} index entries of scheme {found} at private height {height}"
            )));
        }
        Ok(())
    }

    fn differs(&self) -> Doubt {
        Doubt::Unverified(format!(
            "its linked records up to private height {} are not those of the alliance's state",
            self.next.0.saturating_sub(1)
        ))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

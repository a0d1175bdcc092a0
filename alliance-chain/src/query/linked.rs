//! What is linked, private block by private block, for clients that search or check by themselves.
//!
//! A client downloads every [`LinkedBlock`] of a hospital, computes the running digest over them
//! ([`LinkedBlock::digest_after`]) and compares it with the one in the proved [`LinkedHead`]: then nothing is
//! missing, altered or out of order up to the head's height.

use crate::state::{self, LinkedHead};
use crate::tx::Link;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::codec::{self, DecodeError};
use caduceus_crypto::evidence::AnchorLeaf;
use caduceus_crypto::keys::HospitalId;
use caduceus_crypto::time::TimeMillis;
use caduceus_crypto::{Hash, domain, hash, merkle};
use caduceus_ledger::{Height, StateError, StateView};
use std::ops::Range;

/// Largest document of linked blocks, bytes of borsh.
pub const MAX_LINKED_BYTES: usize = 4 * 1024 * 1024;

/// The anchors of one linked private block. Bytes: height `u64`, time `u64`, leaves (count, each).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LinkedBlock {
    /// Height of the private block.
    pub height: Height,
    /// Its time.
    pub time: TimeMillis,
    /// Every anchor of that block, by position.
    pub leaves: Vec<AnchorLeaf>,
}

impl LinkedBlock {
    /// The RFC 6962 root over the encoded leaves: what the private header says as its anchors root.
    pub fn root(&self) -> Hash {
        let leaves: Vec<Vec<u8>> = self.leaves.iter().map(codec::encode).collect();
        merkle::root(&leaves)
    }

    /// The running digest after this block, from the one before it ([`Hash::ZERO`] before the first).
    pub fn digest_after(&self, previous: &Hash) -> Hash {
        linked_digest(previous, self.height, self.time, &self.root())
    }

    /// The encoded block that an encoded `Link` transaction holds; none if the bytes are no such transaction.
    ///
    /// Nothing is decoded: each pseudonym would cost two square roots, for bytes that were checked when they were
    /// linked and that the reader checks again. Both encodings end in the height and the leaves.
    pub fn encode_from_link(tx: &[u8], time: TimeMillis) -> Option<Vec<u8>> {
        let body = tx.strip_prefix(&[Link::VARIANT])?;
        let (_hospital, rest) = body.split_first_chunk::<32>()?;
        let (height, leaves) = rest.split_first_chunk::<8>()?;
        Some([&height[..], &time.0.to_le_bytes()[..], leaves].concat())
    }
}

/// The running digest over linked blocks: H(previous, height `u64`, time `u64` in milliseconds, anchors root), numbers
/// little-endian.
pub fn linked_digest(previous: &Hash, height: Height, time: TimeMillis, root: &Hash) -> Hash {
    hash(
        domain::INDEX_LINKED,
        &[
            &previous.0,
            &height.0.to_le_bytes(),
            &time.0.to_le_bytes(),
            &root.0,
        ],
    )
}

/// How far a hospital's records are linked; none before the first.
///
/// # Errors
/// When the store fails.
pub fn linked_head(
    view: &dyn StateView,
    hospital: &HospitalId,
) -> Result<Option<LinkedHead>, StateError> {
    state::linked(hospital).get(view)
}

/// A document of linked blocks: borsh of `Vec<LinkedBlock>` with the next ones from the private height `from` on, as
/// many as fit into `limit` bytes. `link_tx` gives the bytes of a committed `Link` by its identifier; none ends the
/// document, for a source that has read enough.
///
/// # Errors
/// When the store fails, or `link_tx` does.
pub fn linked_document(
    view: &dyn StateView,
    hospital: &HospitalId,
    from: Height,
    limit: usize,
    link_tx: &mut dyn FnMut(&Hash) -> Result<Option<Vec<u8>>, StateError>,
) -> Result<Vec<u8>, StateError> {
    let mut count = 0u32;
    let mut document = count.to_le_bytes().to_vec();
    for n in links_from(view, hospital, from)? {
        let place = state::link(hospital, n).require(view)?;
        let header = state::header(hospital, place.height).require(view)?;
        let Some(tx) = link_tx(&place.tx)? else {
            break;
        };
        let block = LinkedBlock::encode_from_link(&tx, header.time)
            .ok_or_else(|| StateError(format!("transaction {} is no link", place.tx)))?;
        if document.len() + block.len() > limit {
            break;
        }
        document.extend_from_slice(&block);
        count += 1;
    }
    document[..4].copy_from_slice(&count.to_le_bytes());
    Ok(document)
}

/// Reads a document of linked blocks.
///
/// # Errors
/// [`DecodeError`] when the bytes are no such document.
pub fn linked_blocks(document: &[u8]) -> Result<Vec<LinkedBlock>, DecodeError> {
    codec::decode_exact(document, MAX_LINKED_BYTES)
}

/// The numbers of the linked blocks from a private height on. Heights rise with the numbers, so halving finds it.
fn links_from(
    view: &dyn StateView,
    hospital: &HospitalId,
    from: Height,
) -> Result<Range<u64>, StateError> {
    let count = state::link_count(hospital).get(view)?.unwrap_or(0);
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if state::link(hospital, middle).require(view)?.height < from {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low..count)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::{Chain, PrivateBlocks, hospital, leaf};
    use crate::tx::Tx;
    use std::collections::BTreeMap;

    /// Private blocks 2, 3 and 6 have anchors. Gives the chain, the links, and the blocks that a client gets.
    fn linked() -> (Chain, BTreeMap<Hash, Vec<u8>>, Vec<LinkedBlock>) {
        let anchors = [
            vec![],
            vec![leaf(0), leaf(1)],
            vec![leaf(2)],
            vec![],
            vec![],
            vec![leaf(3)],
            vec![],
        ];
        let mut blocks = PrivateBlocks::new(0);
        for leaves in &anchors {
            blocks.push(leaves);
        }
        let mut chain = Chain::new();
        chain.accept(&Tx::Checkpoint(blocks.checkpoint(1, anchors.len())));
        let (mut links, mut expected) = (BTreeMap::new(), Vec::new());
        for (header, leaves) in blocks.headers.iter().zip(anchors) {
            if leaves.is_empty() {
                continue;
            }
            let tx = Tx::Link(Link {
                hospital: hospital(0),
                height: header.height,
                leaves: leaves.clone(),
            });
            chain.accept(&tx);
            links.insert(tx.id(), tx.encode());
            expected.push(LinkedBlock {
                height: header.height,
                time: header.time,
                leaves,
            });
        }
        (chain, links, expected)
    }

    fn from(
        chain: &Chain,
        links: &BTreeMap<Hash, Vec<u8>>,
        height: u64,
        limit: usize,
    ) -> Vec<LinkedBlock> {
        let mut link_tx = |id: &Hash| Ok(Some(links[id].clone()));
        let document =
            linked_document(chain, &hospital(0), Height(height), limit, &mut link_tx).unwrap();
        assert!(document.len() <= limit.max(4));
        linked_blocks(&document).unwrap()
    }

    #[test]
    fn a_document_begins_at_the_height_asked_for() {
        let (chain, links, expected) = linked();
        let mut compared = 0;
        for height in 0..9 {
            let wanted: Vec<_> = expected
                .iter()
                .filter(|block| block.height.0 >= height)
                .cloned()
                .collect();
            assert_eq!(from(&chain, &links, height, MAX_LINKED_BYTES), wanted);
            compared += wanted.len();
        }
        println!("{compared} blocks compared");
        assert_eq!(compared, 3 + 3 + 3 + 2 + 1 + 1 + 1);
        let mut none =
            |_: &Hash| -> Result<Option<Vec<u8>>, StateError> { panic!("nothing is linked") };
        let empty = linked_document(&chain, &hospital(1), Height(0), 100, &mut none).unwrap();
        assert!(linked_blocks(&empty).unwrap().is_empty());
    }

    #[test]
    fn a_document_keeps_its_limit_and_goes_on_where_it_ended() {
        let (chain, links, expected) = linked();
        let whole = codec::encode(&expected).len();
        assert_eq!(from(&chain, &links, 0, whole), expected);
        assert_eq!(from(&chain, &links, 0, whole - 1), expected[..2]);
        let next = expected[1].height.0 + 1;
        assert_eq!(from(&chain, &links, next, whole), expected[2..]);
        let first = codec::encode(&expected[..1]).len();
        assert_eq!(from(&chain, &links, 0, first), expected[..1]);
        assert!(from(&chain, &links, 0, first - 1).is_empty());
    }

    #[test]
    fn a_document_ends_where_its_source_does() {
        let (chain, links, expected) = linked();
        for wanted in 0..=expected.len() {
            let mut left = wanted;
            let mut link_tx = |id: &Hash| {
                let tx = (left > 0).then(|| links[id].clone());
                left = left.saturating_sub(1);
                Ok(tx)
            };
            let from = Height(0);
            let limit = MAX_LINKED_BYTES;
            let document =
                linked_document(&chain, &hospital(0), from, limit, &mut link_tx).unwrap();
            assert_eq!(linked_blocks(&document).unwrap(), expected[..wanted]);
        }
    }

    #[test]
    fn the_digest_shows_any_change() {
        let (chain, _, expected) = linked();
        let digest = |blocks: &[LinkedBlock]| {
            blocks
                .iter()
                .fold(Hash::ZERO, |before, block| block.digest_after(&before))
        };
        let head = linked_head(&chain, &hospital(0)).unwrap().unwrap();
        assert_eq!((head.height, head.records), (Height(6), 4));
        assert_eq!(digest(&expected), head.digest);
        assert_eq!(linked_head(&chain, &hospital(1)).unwrap(), None);

        let changes: [fn(&mut Vec<LinkedBlock>); 7] = [
            |blocks| blocks.truncate(2),
            |blocks| drop(blocks.remove(0)),
            |blocks| blocks.swap(0, 1),
            |blocks| blocks[1].height = Height(4),
            |blocks| blocks[1].time.0 += 1,
            |blocks| blocks[0].leaves.swap(0, 1),
            |blocks| blocks[2].leaves[0].record_hash.0[0] ^= 1,
        ];
        for (i, change) in changes.iter().enumerate() {
            let mut changed = expected.clone();
            change(&mut changed);
            assert_ne!(digest(&changed), head.digest, "change {i}");
        }
    }

    #[test]
    fn other_bytes_are_no_link() {
        let (_, links, _) = linked();
        let time = TimeMillis(1);
        let mut tx = links.into_values().next().unwrap();
        assert!(LinkedBlock::encode_from_link(&tx, time).is_some());
        assert!(LinkedBlock::encode_from_link(&tx[..40], time).is_none());
        tx[0] += 1;
        assert!(LinkedBlock::encode_from_link(&tx, time).is_none());
        assert!(LinkedBlock::encode_from_link(&[], time).is_none());
    }
}

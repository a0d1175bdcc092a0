//! Merkle trees of RFC 6962 (Certificate Transparency, section 2.1) over SHA3-256.
//!
//! A leaf hashes as H(0x00, leaf), a node as H(0x01, left, right); the root of nothing is H of the empty
//! string. Proofs are `ct-merkle`'s; roots are computed here, leaf by leaf, so that a stream is hashed as it
//! arrives.

use borsh::io::Read;
use borsh::{BorshDeserialize, BorshSerialize};
use ct_merkle::digest::Output;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{InclusionProof as CtInclusionProof, RootHash};
use sha3::{Digest, Sha3_256};

use crate::codec::invalid;
use crate::hash::Hash;

/// Root of the tree without leaves: SHA3-256 of the empty string.
pub const EMPTY: Hash = Hash([
    0xa7, 0xff, 0xc6, 0xf8, 0xbf, 0x1e, 0xd7, 0x66, 0x51, 0xc1, 0x47, 0x56, 0xa0, 0x61, 0xd6, 0x62,
    0xf5, 0x80, 0xff, 0x4d, 0xe4, 0x3b, 0x49, 0xfa, 0x82, 0xd8, 0x0a, 0x4b, 0x80, 0xf8, 0x43, 0x4a,
]);

/// Most leaves of a tree that a proof may speak of: 2^40.
pub const MAX_LEAVES: u64 = 1 << 40;

/// Root of these leaves, in order.
pub fn root(leaves: &[Vec<u8>]) -> Hash {
    let mut tree = RootBuilder::new();
    for leaf in leaves {
        tree.push(leaf);
    }
    tree.root()
}

/// Proof that the leaf at this index is under [`root`] of the leaves.
///
/// # Panics
/// When the index is not that of a leaf.
pub fn prove<L: AsRef<[u8]>>(leaves: &[L], index: usize) -> InclusionProof {
    assert!(index < leaves.len(), "the index is that of a leaf");
    let mut tree = MemoryBackedTree::<Sha3_256, &[u8]>::new();
    for leaf in leaves {
        tree.push(leaf.as_ref());
    }
    let path = tree
        .prove_inclusion(index)
        .as_bytes()
        .chunks_exact(32)
        .map(|hash| Hash(hash.try_into().expect("chunks of 32 bytes")))
        .collect();
    InclusionProof {
        index: index as u64,
        size: leaves.len() as u64,
        path,
    }
}

/// Computes a root while leaves arrive, in memory for one hash per level. Can be put away and gone on with.
///
/// Bytes: number of hashes 4, the roots of the complete subtrees 32 each, size 8.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize)]
pub struct RootBuilder {
    /// Roots of the complete subtrees, largest first: one for each bit set in `size`.
    complete: Vec<Hash>,
    size: u64,
}

impl RootBuilder {
    /// A tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a leaf.
    pub fn push(&mut self, leaf: &[u8]) {
        let mut node = leaf_hash(leaf);
        // As in binary addition, each trailing one of the size is a subtree to merge.
        let mut carry = self.size;
        while carry & 1 == 1 {
            let left = self
                .complete
                .pop()
                .expect("one subtree for each bit of the size");
            node = node_hash(&left, &node);
            carry >>= 1;
        }
        self.complete.push(node);
        self.size += 1;
    }

    /// Number of leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root of the leaves so far.
    pub fn root(&self) -> Hash {
        let mut subtrees = self.complete.iter().rev();
        let Some(smallest) = subtrees.next() else {
            return EMPTY;
        };
        subtrees.fold(*smallest, |right, left| node_hash(left, &right))
    }
}

impl BorshDeserialize for RootBuilder {
    fn deserialize_reader<R: Read>(reader: &mut R) -> borsh::io::Result<Self> {
        let count = u32::deserialize_reader(reader)?;
        if count > u64::BITS {
            return Err(invalid("more subtrees than a size has bits"));
        }
        let complete = (0..count)
            .map(|_| Hash::deserialize_reader(reader))
            .collect::<borsh::io::Result<Vec<_>>>()?;
        let size = u64::deserialize_reader(reader)?;
        if size > MAX_LEAVES || size.count_ones() != count {
            return Err(invalid("one subtree for each bit of the size"));
        }
        Ok(Self { complete, size })
    }
}

fn leaf_hash(leaf: &[u8]) -> Hash {
    Hash(
        Sha3_256::new_with_prefix([0x00])
            .chain_update(leaf)
            .finalize()
            .into(),
    )
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(
        Sha3_256::new_with_prefix([0x01])
            .chain_update(left.0)
            .chain_update(right.0)
            .finalize()
            .into(),
    )
}

/// A claim that a leaf stands at an index of a tree, with the sibling hashes from leaf to root.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct InclusionProof {
    /// Position of the leaf, from 0.
    pub index: u64,
    /// Leaves of the tree.
    pub size: u64,
    /// Siblings, lowest first.
    pub path: Vec<Hash>,
}

/// Why an inclusion proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadProof {
    /// The tree is larger than [`MAX_LEAVES`].
    #[error("a tree of {size} leaves is over the limit")]
    TooLarge {
        /// The claimed size.
        size: u64,
    },
    /// The index is not below the size.
    #[error("index {index} is not in a tree of {size} leaves")]
    OutOfRange {
        /// The claimed index.
        index: u64,
        /// The claimed size.
        size: u64,
    },
    /// A path from that index in a tree of that size has another length.
    #[error("a path of {found} hashes does not belong to this position")]
    PathLength {
        /// Hashes found.
        found: usize,
    },
    /// The path does not lead from the leaf to the root.
    #[error("the proof does not lead to the root")]
    WrongRoot,
}

impl InclusionProof {
    /// Checks that the leaf stands at `index` under the root.
    ///
    /// # Security
    /// The size is only as good as its source: a root does not commit to it, and some other sizes admit the
    /// same proof. The index is sound for the tree that the root stands for.
    ///
    /// # Errors
    /// [`BadProof`].
    pub fn verify(&self, root: &Hash, leaf: &[u8]) -> Result<(), BadProof> {
        let (index, size) = (self.index, self.size);
        // Beyond these bounds `ct-merkle` would panic.
        if size > MAX_LEAVES {
            return Err(BadProof::TooLarge { size });
        }
        if index >= size {
            return Err(BadProof::OutOfRange { index, size });
        }
        if self.path.len() != ct_merkle::indices_for_inclusion_proof(size, index).len() {
            return Err(BadProof::PathLength {
                found: self.path.len(),
            });
        }
        let path: Vec<u8> = self.path.iter().flat_map(|hash| hash.0).collect();
        let proof =
            CtInclusionProof::<Sha3_256>::try_from_bytes(path).map_err(|_| BadProof::WrongRoot)?;
        RootHash::<Sha3_256>::new(Output::<Sha3_256>::from(root.0), size)
            .verify_inclusion(&leaf, index, &proof)
            .map_err(|_| BadProof::WrongRoot)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

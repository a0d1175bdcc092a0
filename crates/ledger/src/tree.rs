//! The authenticated state: a Jellyfish Merkle tree over SHA3-256 (crate `jmt`), one version a height.

use crate::state::StateError;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, codec};
use jmt::proof::SparseMerkleProof;
use jmt::{JellyfishMerkleTree, KeyHash, RootHash};
use sha3::{Digest, Sha3_256};

mod check;

pub use self::check::{TreeFault, TreeSize, check};
pub use jmt::storage::{LeafNode, Node, NodeKey, TreeReader, TreeUpdateBatch};
pub use jmt::{KeyHash as TreeKey, OwnedValue, Version};

type Tree<'a, R> = JellyfishMerkleTree<'a, R, Sha3_256>;

/// The place of a state key in the tree.
pub fn tree_key(key: &[u8]) -> KeyHash {
    KeyHash(Sha3_256::digest(key).into())
}

fn broken(e: impl std::fmt::Display) -> StateError {
    StateError(format!("state tree: {e}"))
}

/// Applies a height's changes and returns the new root and the nodes to store.
///
/// # Errors
/// When the reader fails or the tree misses a node.
pub fn update<'k, R: TreeReader>(
    reader: &R,
    version: Version,
    changes: impl Iterator<Item = (&'k [u8], Option<Vec<u8>>)>,
) -> Result<(Hash, TreeUpdateBatch), StateError> {
    let changes: Vec<_> = changes.map(|(key, value)| (tree_key(key), value)).collect();
    let (root, batch) = Tree::new(reader)
        .put_value_set(changes, version)
        .map_err(broken)?;
    Ok((Hash(root.0), batch))
}

/// What the authenticated state holds, or does not hold, under one key.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StateProof {
    /// The state key.
    pub key: Vec<u8>,
    /// The value, or none if absent.
    pub value: Option<Vec<u8>>,
    /// Borsh of the tree's own proof.
    pub proof: Vec<u8>,
}

/// A state proof that does not lead to the root.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state proof does not lead to the certified state root")]
pub struct BadStateProof;

/// Proves presence or absence of a key at a version.
///
/// # Errors
/// When the reader fails or the version is unknown.
pub fn prove<R: TreeReader>(
    reader: &R,
    version: Version,
    key: &[u8],
) -> Result<StateProof, StateError> {
    let (value, proof) = Tree::new(reader)
        .get_with_proof(tree_key(key), version)
        .map_err(broken)?;
    Ok(StateProof {
        key: key.to_vec(),
        value,
        proof: codec::encode(&proof),
    })
}

impl StateProof {
    /// Checks the proof against a certified state root and returns the value, none meaning proved absent.
    ///
    /// # Errors
    /// [`BadStateProof`].
    pub fn verify(&self, root: &Hash) -> Result<Option<&[u8]>, BadStateProof> {
        let proof: SparseMerkleProof<Sha3_256> =
            borsh::from_slice(&self.proof).map_err(|_| BadStateProof)?;
        proof
            .verify(RootHash(root.0), tree_key(&self.key), self.value.as_ref())
            .map_err(|_| BadStateProof)?;
        Ok(self.value.as_deref())
    }
}

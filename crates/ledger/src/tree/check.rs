//! Checks a stored tree node by node, whatever the versions under which its nodes were written.

use super::{Node, NodeKey, TreeReader, Version};
use caduceus_crypto::Hash;
use jmt::ValueHash;
use jmt::storage::{LeafNode, NibblePath};
use sha3::Sha3_256;

/// What is wrong with a stored tree first, in the order of its paths.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TreeFault {
    /// A node that its parent names cannot be read.
    #[error("the state tree's node at path {path:?} is missing or damaged")]
    Missing {
        /// Nibbles from the root, in hexadecimal.
        path: String,
    },
    /// A node does not have the hash that its parent (or the header) names.
    #[error("the state tree's node at path {path:?} has another hash than is named above it")]
    WrongHash {
        /// Nibbles from the root, in hexadecimal.
        path: String,
    },
    /// A leaf's stored value is missing or another.
    #[error("the state tree's value at path {path:?} is not the leaf's")]
    WrongValue {
        /// Nibbles from the root, in hexadecimal.
        path: String,
    },
}

/// Nodes and leaves of a whole tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeSize {
    /// All nodes, leaves included.
    pub nodes: u64,
    /// Leaves, one a key.
    pub leaves: u64,
}

/// Reads the tree of a version from its root and checks every node and value against the root's hash.
///
/// # Errors
/// [`TreeFault`] names the first node that does not hold.
pub fn check<R: TreeReader>(
    reader: &R,
    version: Version,
    root: &Hash,
) -> Result<TreeSize, TreeFault> {
    let mut size = TreeSize::default();
    let path: NibblePath = std::iter::empty().collect();
    // Depth first, the lowest nibble next: at most 16 entries for each of 64 levels.
    let mut open = vec![(NodeKey::new(version, path), root.0)];
    while let Some((key, expected)) = open.pop() {
        let path = || format!("{:?}", key.nibble_path());
        let node = match reader.get_node_option(&key) {
            Ok(Some(node)) => node,
            Ok(None) | Err(_) => return Err(TreeFault::Missing { path: path() }),
        };
        size.nodes += 1;
        let found = match &node {
            Node::Null => return Err(TreeFault::WrongHash { path: path() }),
            Node::Internal(internal) => internal.hash::<Sha3_256>(),
            Node::Leaf(leaf) => leaf.hash::<Sha3_256>(),
        };
        if found != expected {
            return Err(TreeFault::WrongHash { path: path() });
        }
        match node {
            Node::Null => {}
            Node::Internal(internal) => {
                let mut below: Vec<_> = internal
                    .children_sorted()
                    .map(|(nibble, child)| {
                        let path: NibblePath = key
                            .nibble_path()
                            .nibbles()
                            .chain(std::iter::once(nibble))
                            .collect();
                        (NodeKey::new(child.version, path), child.hash)
                    })
                    .collect();
                below.reverse();
                open.append(&mut below);
            }
            Node::Leaf(leaf) => {
                size.leaves += 1;
                let value = reader
                    .get_value_option(version, leaf.key_hash())
                    .ok()
                    .flatten()
                    .ok_or_else(|| TreeFault::WrongValue { path: path() })?;
                let stored = LeafNode::new(leaf.key_hash(), ValueHash::with::<Sha3_256>(&value));
                if stored.hash::<Sha3_256>() != found {
                    return Err(TreeFault::WrongValue { path: path() });
                }
            }
        }
    }
    Ok(size)
}

//! The tree's generator and the tags' function, both AES-128 (FIPS 197), which decide the speed of a search.
//!
//! Notation: x a node's value, c 0 for its left and 1 for its right child (in the last byte), k the salt.
//! Child c of x is AES_k(x xor c) xor x xor c: the correlation-robust hash of garbled circuits, keyed by a salt
//! of the keyword and quarter, because under one key for all an attacker could try many trees at once.

use aes::cipher::{BlockEncrypt, KeyInit};
use aes::{Aes128, Block};

use crate::index::{CoverNode, TREE_DEPTH, Tag};

/// A tree's generator under its salt.
pub(super) struct Generator(Aes128);

impl Generator {
    pub(super) fn new(salt: &[u8; 16]) -> Self {
        Generator(Aes128::new(&Block::from(*salt)))
    }

    fn child(&self, seed: &[u8; 16], right: bool) -> [u8; 16] {
        let input = child_input(seed, right);
        let mut block = Block::from(input);
        self.0.encrypt_block(&mut block);
        xor(block.into(), input)
    }

    /// Both children of each node, in order.
    fn children(&self, level: &[[u8; 16]]) -> Vec<[u8; 16]> {
        let inputs: Vec<[u8; 16]> = level
            .iter()
            .flat_map(|seed| [child_input(seed, false), child_input(seed, true)])
            .collect();
        let mut blocks: Vec<Block> = inputs.iter().map(|input| Block::from(*input)).collect();
        self.0.encrypt_blocks(&mut blocks);
        blocks
            .into_iter()
            .zip(inputs)
            .map(|(block, input)| xor(block.into(), input))
            .collect()
    }

    /// The leaves of a node for the days `low` to `high` of the quarter, as (day, leaf), in order. Nothing
    /// outside these days is computed beyond a sibling.
    pub(super) fn leaves(&self, node: &CoverNode, low: u8, high: u8) -> Vec<(u8, [u8; 16])> {
        let (low, high) = (u32::from(low), u32::from(high));
        let mut first = u32::from(node.position);
        let mut level = vec![node.seed];
        for depth in node.depth..=TREE_DEPTH {
            if depth > node.depth {
                level = self.children(&level);
                first *= 2;
            }
            let shift = u32::from(TREE_DEPTH - depth);
            // Keep only the nodes that cover a wanted day.
            let skip = (low >> shift).saturating_sub(first) as usize;
            let keep = ((high >> shift) + 1).saturating_sub(first) as usize;
            level.truncate(keep);
            level.drain(..skip.min(level.len()));
            first += skip as u32;
        }
        (first..)
            .zip(level)
            .map(|(day, leaf)| (day as u8, leaf))
            .collect()
    }
}

/// One child of a node. `right` is c.
pub fn ggm_child(salt: &[u8; 16], seed: &[u8; 16], right: bool) -> [u8; 16] {
    Generator::new(salt).child(seed, right)
}

/// The node at a depth and position below a root, for those who hold the root.
///
/// # Panics
/// When the depth is over [`TREE_DEPTH`].
pub fn ggm_node(salt: &[u8; 16], root: &[u8; 16], depth: u8, position: u8) -> [u8; 16] {
    assert!(depth <= TREE_DEPTH, "the tree has no such depth");
    let generator = Generator::new(salt);
    let mut node = *root;
    for level in (0..depth).rev() {
        node = generator.child(&node, (position >> level) & 1 == 1);
    }
    node
}

/// The tag of the i-th record of a leaf's day: AES_leaf(i), i as a 128-bit big-endian number.
pub fn leaf_tag(leaf: &[u8; 16], i: u32) -> Tag {
    LeafTags::new(leaf).tag(i)
}

/// The tags of one leaf, its key expanded once.
pub(super) struct LeafTags(Aes128);

impl LeafTags {
    pub(super) fn new(leaf: &[u8; 16]) -> Self {
        LeafTags(Aes128::new(&Block::from(*leaf)))
    }

    pub(super) fn tag(&self, i: u32) -> Tag {
        Tag(self.encrypt(u128::from(i).to_be_bytes()))
    }

    fn encrypt(&self, block: [u8; 16]) -> [u8; 16] {
        let mut block = Block::from(block);
        self.0.encrypt_block(&mut block);
        block.into()
    }
}

fn child_input(seed: &[u8; 16], right: bool) -> [u8; 16] {
    let mut input = *seed;
    input[15] ^= u8::from(right);
    input
}

fn xor(a: [u8; 16], b: [u8; 16]) -> [u8; 16] {
    (u128::from_ne_bytes(a) ^ u128::from_ne_bytes(b)).to_ne_bytes()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn array(text: &str) -> [u8; 16] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    /// FIPS 197, appendix C.1.
    #[test]
    fn the_tag_function_is_aes_128() {
        let leaf = array("000102030405060708090a0b0c0d0e0f");
        let block = array("00112233445566778899aabbccddeeff");
        assert_eq!(
            hex::encode(LeafTags::new(&leaf).encrypt(block)),
            "69c4e0d86a7b0430d8cdb78070b4c55a"
        );
    }

    /// Computed with another AES.
    #[test]
    fn values_are_kept() {
        let key = array("000102030405060708090a0b0c0d0e0f");
        let seed = array("00112233445566778899aabbccddeeff");
        assert_eq!(
            leaf_tag(&key, 0).to_string(),
            "c6a13b37878f5b826f4f8162a1c8d879"
        );
        assert_eq!(
            leaf_tag(&key, 1).to_string(),
            "7346139595c0b41e497bbde365f42d0a"
        );
        assert_eq!(
            leaf_tag(&key, u32::MAX).to_string(),
            "57941ff3415881a0b2a7917ac5fa33b8"
        );
        assert_eq!(
            hex::encode(ggm_child(&key, &seed, false)),
            "69d5c2eb2e2e624750541d3bbc692ba5"
        );
        assert_eq!(
            hex::encode(ggm_child(&key, &seed, true)),
            "c33cbe2b7a0e7559b6da57cfc67cc7f1"
        );
        assert_eq!(
            hex::encode(ggm_node(&key, &seed, 7, 91)),
            "d7d68d8892cfc4a86eba1999d3418f7d"
        );
    }

    #[test]
    fn a_root_yields_the_leaves_of_its_days_only() {
        let (salt, seed) = ([1; 16], [2; 16]);
        let generator = Generator::new(&salt);
        let root = CoverNode {
            depth: 0,
            position: 0,
            seed,
        };
        let leaves = generator.leaves(&root, 0, 90);
        assert_eq!(leaves.len(), 91);
        for (at, (day, leaf)) in leaves.iter().enumerate() {
            assert_eq!(usize::from(*day), at);
            assert_eq!(*leaf, ggm_node(&salt, &seed, TREE_DEPTH, *day));
        }
        assert_eq!(
            generator.leaves(&root, 17, 17),
            vec![(17, ggm_node(&salt, &seed, 7, 17))]
        );
        assert_eq!(generator.leaves(&root, 0, 127).len(), 128);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_node_yields_its_part_of_the_roots_leaves(
            salt in any::<[u8; 16]>(),
            root in any::<[u8; 16]>(),
            depth in 0u8..=7,
            position in 0u8..128,
            a in 0u8..128,
            b in 0u8..128,
        ) {
            let position = position >> (TREE_DEPTH - depth);
            let width = 1u32 << (TREE_DEPTH - depth);
            let start = u32::from(position) * width;
            let (low, high) = (a.min(b), a.max(b));
            let node = CoverNode { depth, position, seed: ggm_node(&salt, &root, depth, position) };
            let expected: Vec<(u8, [u8; 16])> = (low..=high)
                .filter(|day| (start..start + width).contains(&u32::from(*day)))
                .map(|day| (day, ggm_node(&salt, &root, TREE_DEPTH, day)))
                .collect();
            prop_assert_eq!(Generator::new(&salt).leaves(&node, low, high), expected);
        }

        #[test]
        fn expansions_of_siblings_are_disjoint(
            salt in any::<[u8; 16]>(),
            root in any::<[u8; 16]>(),
            depth in 1u8..=7,
        ) {
            let generator = Generator::new(&salt);
            let mut seen = BTreeSet::new();
            for position in 0..(1u8 << depth) {
                let node = CoverNode { depth, position, seed: ggm_node(&salt, &root, depth, position) };
                for (day, leaf) in generator.leaves(&node, 0, 127) {
                    prop_assert!(seen.insert(leaf), "day {}", day);
                }
            }
            prop_assert_eq!(seen.len(), 128);
        }

        #[test]
        fn other_salts_and_roots_give_other_leaves(
            salt in any::<[u8; 16]>(),
            root in any::<[u8; 16]>(),
            bit in 0usize..128,
        ) {
            let node = CoverNode { depth: 0, position: 0, seed: root };
            let leaves = |salt: &[u8; 16], node: &CoverNode| -> BTreeSet<[u8; 16]> {
                Generator::new(salt).leaves(node, 0, 127).into_iter().map(|(_, leaf)| leaf).collect()
            };
            let here = leaves(&salt, &node);
            let (mut other_salt, mut other_node) = (salt, node.clone());
            other_salt[bit / 8] ^= 1 << (bit % 8);
            other_node.seed[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(here.is_disjoint(&leaves(&other_salt, &node)));
            // Flipping the last bit swaps the two halves below the root, which is why roots are random.
            if bit / 8 != 15 || bit % 8 != 0 {
                prop_assert!(here.is_disjoint(&leaves(&salt, &other_node)));
            }
        }

        #[test]
        fn tags_of_a_leaf_are_distinct(leaf in any::<[u8; 16]>(), i in any::<u32>(), j in any::<u32>()) {
            prop_assert_eq!(leaf_tag(&leaf, i) == leaf_tag(&leaf, j), i == j);
        }
    }
}

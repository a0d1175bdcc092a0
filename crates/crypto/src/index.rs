//! The keyword index, as a node sees it (DESIGN 3.4): entries, trapdoors, queries and their evaluation. No keyword
//! ever appears here; what turns keywords into entries and trapdoors is `caduceus-custody`.
//!
//! A network has one [`SchemeId`]. Under epoch tags, the default, a record is looked up by its tags; [`peks`] and
//! [`paeks`] are baselines that test every record. What follows is of epoch tags.
//!
//! Under a keyword's key a binary tree (GGM) of depth [`TREE_DEPTH`] covers the days of a quarter. The node at
//! depth d and position p covers the days p * 2^(7-d) to (p + 1) * 2^(7-d) - 1 of the quarter; a quarter has at
//! most 92 days, so the leaves from 92 on stand for nothing. A cover hands over nodes; their leaves follow from
//! them, the rest of the tree does not. The i-th record with the keyword on a day carries the tag
//! AES_leaf(i).
//!
//! # Leakage
//! A cover tells every member, for ever, which records match that slot in its range of days, and that two
//! covers that share a node belong together. A day that is not over yet tells also what is anchored later that
//! day. Tags without a cover tell their number, rounded up to 8.

pub mod paeks;
pub mod peks;

mod entries;
mod ggm;
mod query;
mod run;
mod scan;
mod scheme;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::hex_text::impl_hex_text;
use crate::time::Quarter;

pub use self::entries::{EntriesError, IndexEntries, MAX_TAGS, TAG_GROUP};
pub use self::ggm::{ggm_child, ggm_node, leaf_tag};
pub use self::paeks::{PaeksEntry, PaeksTrapdoor, PreparedPaeks};
pub use self::peks::{PeksEntry, PeksTrapdoor, PreparedPeks};
pub use self::query::{
    CheckedQuery, Clause, MAX_CLAUSES, MAX_LEAVES, MAX_NODES_PER_SLOT, MAX_QUERY_BYTES, MAX_SLOTS,
    Query, QueryError, Scan, Slots,
};
pub use self::run::{Hits, IndexView, MAX_HITS, RunError, Scanned, slot_matches};
pub use self::scheme::{SchemeId, UnknownScheme};
pub use crate::pairing::SchemeKey;

/// Depth of a keyword's tree: 128 leaves, of which a quarter uses at most 92.
pub const TREE_DEPTH: u8 = 7;

/// An index tag: the key under which a node finds a record. Unique per hospital.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Tag(pub [u8; 16]);

impl Tag {
    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl_hex_text!(Tag, 16, |bytes| Some(Tag(bytes)));

/// A node of a keyword's tree.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CoverNode {
    /// 0 (the root, a whole quarter) to 7 (one day).
    pub depth: u8,
    /// From the left, 0 to 2^depth - 1.
    pub position: u8,
    /// The node's value, from which its subtree follows.
    pub seed: [u8; 16],
}

/// The nodes of one quarter, left to right, and the salt of its tree.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct QuarterCover {
    /// The quarter.
    pub quarter: Quarter,
    /// AES key of the tree's generator, one for each keyword and quarter.
    pub salt: [u8; 16],
    /// Disjoint nodes, left to right.
    pub nodes: Vec<CoverNode>,
}

/// A trapdoor for one keyword over a range of days, quarter by quarter in order.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Cover {
    /// The quarters, earliest first.
    pub quarters: Vec<QuarterCover>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

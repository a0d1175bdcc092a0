//! Keywords, tokens and searches.
//!
//! Records 0 and 1 carry keyword 1, records 1 and 2 keyword 2, all anchored on the day of [`super::NOW`].

use super::{NOW, chain, hospital, secret};
use crate::tx::{Search, SignedSearch};
use caduceus_crypto::index::{
    Cover, CoverNode, Query, QuarterCover, TREE_DEPTH, Tag, ggm_node, leaf_tag,
};
use caduceus_crypto::keys::SecretKey;
use caduceus_ledger::Height;

fn salt(keyword: u8) -> [u8; 16] {
    [keyword; 16]
}

fn root(keyword: u8) -> [u8; 16] {
    [keyword + 100; 16]
}

/// The tag of the `i`-th record with a keyword.
fn keyword_tag(keyword: u8, i: u32) -> Tag {
    let day = NOW.epoch().day_of_quarter();
    leaf_tag(&ggm_node(&salt(keyword), &root(keyword), TREE_DEPTH, day), i)
}

/// The tags of record `i`.
pub fn keyword_tags(record: u8) -> Vec<Tag> {
    match record {
        0 => vec![keyword_tag(1, 0)],
        1 => vec![keyword_tag(1, 1), keyword_tag(2, 0)],
        2 => vec![keyword_tag(2, 1)],
        _ => Vec::new(),
    }
}

/// A cover of the whole quarter.
pub fn keyword_cover(keyword: u8) -> Cover {
    let node = CoverNode { depth: 0, position: 0, seed: root(keyword) };
    let quarter = NOW.epoch().quarter();
    Cover { quarters: vec![QuarterCover { quarter, salt: salt(keyword), nodes: vec![node] }] }
}

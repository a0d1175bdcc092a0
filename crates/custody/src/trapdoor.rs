//! Trapdoors: what lets a node find one keyword's records of a range of days, and no others (DESIGN 3.4).
//!
//! A cover is the roots of the whole quarters and, in the quarters at the two ends, the fewest tree nodes
//! whose leaves are exactly the days asked for. A part of a quarter never hands out a node that reaches
//! past its days, although the leaves behind the quarter's end carry no tags.

use caduceus_crypto::index::{Cover, CoverNode, QuarterCover, TREE_DEPTH};
use caduceus_crypto::time::{Epoch, Quarter};

use crate::index_key::QuarterKey;
use crate::tags::{KeywordKey, keyword_key};

/// The minimal cover of the days `from` to `to`, both included, under `keyword`. `keys` yields the
/// patient's key of each quarter in between. With `from` after `to` the cover is empty.
///
/// # Leakage
/// A trapdoor tells every member, for ever: the range's two ends, how many records match on which days,
/// which records match which keyword of one query (not only their conjunction), and that two covers are
/// of one keyword where they overlap. If `to` is today, also what is anchored later today. It tells
/// nothing about days before `from` or after `to`, and the keyword can't be tested by guessing.
#[must_use]
pub fn cover(keys: impl Fn(Quarter) -> QuarterKey, keyword: &str, from: Epoch, to: Epoch) -> Cover {
    let mut quarters = Vec::new();
    let mut quarter = from.quarter();
    while from <= to && quarter <= to.quarter() {
        let key = keyword_key(&keys(quarter), keyword);
        let first = from.max(quarter.first()).day_of_quarter();
        let last = to.min(quarter.last()).day_of_quarter();
        let whole = first == 0 && last == quarter.last().day_of_quarter();
        let places = if whole {
            vec![(0, 0)]
        } else {
            minimal_nodes(first, last)
        };
        quarters.push(quarter_cover(quarter, &key, &places));
        if quarter.next() == quarter {
            break;
        }
        quarter = quarter.next();
    }
    Cover { quarters }
}

fn quarter_cover(quarter: Quarter, key: &KeywordKey, places: &[(u8, u8)]) -> QuarterCover {
    let nodes = places
        .iter()
        .map(|(depth, position)| CoverNode {
            depth: *depth,
            position: *position,
            seed: *key.node(*depth, *position),
        })
        .collect();
    QuarterCover {
        quarter,
        salt: key.salt(),
        nodes,
    }
}

/// The fewest nodes, as (depth, position) from left to right, whose leaves are the days `first` to `last`
/// of a tree of 128: the largest aligned block that fits, again and again.
fn minimal_nodes(first: u8, last: u8) -> Vec<(u8, u8)> {
    let mut nodes = Vec::new();
    let mut start = u32::from(first);
    let end = u32::from(last) + 1;
    while start < end {
        let aligned = start.trailing_zeros().min(u32::from(TREE_DEPTH));
        let fitting = (end - start).ilog2();
        let height = aligned.min(fitting);
        let depth = u32::from(TREE_DEPTH) - height;
        nodes.push((small(depth), small(start >> height)));
        start += 1u32 << height;
    }
    nodes
}

fn small(number: u32) -> u8 {
    u8::try_from(number).expect("depths and positions of a tree of 128 leaves are below 128")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

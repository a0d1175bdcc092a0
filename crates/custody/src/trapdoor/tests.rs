//! Covers against the definition, and against the author's tags.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use caduceus_crypto::index::{
    Clause, IndexView, Query, Scanned, SchemeId, Slots, Tag, ggm_child, leaf_tag,
};
use proptest::prelude::*;

use super::*;
use crate::tags::tag_at;

const WORD: &str = "term:asthma";

fn key(quarter: Quarter) -> QuarterKey {
    let mut bytes = [5u8; 32];
    bytes[..2].copy_from_slice(&quarter.0.to_le_bytes());
    QuarterKey::from_bytes(quarter, &bytes)
}

fn date(year: u16, month: u8, day: u8) -> Epoch {
    Epoch::from_ymd(year, month, day).unwrap()
}

/// The leaves below the nodes of a cover, as (quarter, leaf number) with the leaf itself, computed as a
/// node does: from the cover's bytes alone.
fn expand(cover: &Cover) -> BTreeMap<(Quarter, u8), [u8; 16]> {
    let mut leaves = BTreeMap::new();
    for part in &cover.quarters {
        for node in &part.nodes {
            let height = TREE_DEPTH - node.depth;
            for below in 0..(1u32 << height) {
                let mut seed = node.seed;
                for level in (0..height).rev() {
                    seed = ggm_child(&part.salt, &seed, (below >> level) & 1 == 1);
                }
                let number = (u32::from(node.position) << height) + below;
                let place = (part.quarter, u8::try_from(number).unwrap());
                assert!(
                    leaves.insert(place, seed).is_none(),
                    "nodes overlap at {place:?}"
                );
            }
        }
    }
    leaves
}

/// Brute force: the least number of aligned blocks that tile `first..=last`, by dynamic programming.
fn least_blocks(first: u8, last: u8) -> usize {
    let (first, end) = (usize::from(first), usize::from(last) + 1);
    let mut least = vec![usize::MAX; 129];
    least[first] = 0;
    for start in first..end {
        for height in 0..=usize::from(TREE_DEPTH) {
            let size = 1 << height;
            if start % size == 0 && start + size <= end && least[start] != usize::MAX {
                least[start + size] = least[start + size].min(least[start] + 1);
            }
        }
    }
    least[end]
}

#[test]
fn nodes_tile_every_range_exactly_and_are_fewest() {
    let mut cases = 0;
    for first in 0..=91u8 {
        for last in first..=91 {
            let nodes = minimal_nodes(first, last);
            let mut next = u32::from(first);
            for (depth, position) in &nodes {
                let size = 1u32 << (TREE_DEPTH - depth);
                assert_eq!(u32::from(*position) * size, next);
                next += size;
            }
            assert_eq!(next, u32::from(last) + 1);
            assert_eq!(nodes.len(), least_blocks(first, last), "{first}..={last}");
            cases += 1;
        }
    }
    assert_eq!(cases, 92 * 93 / 2);
}

#[test]
fn whole_quarters_are_roots() {
    let whole = cover(key, WORD, date(2024, 1, 1), date(2024, 12, 31));
    assert_eq!(whole.quarters.len(), 4);
    for part in &whole.quarters {
        let shape: Vec<(u8, u8)> = part.nodes.iter().map(|n| (n.depth, n.position)).collect();
        assert_eq!(shape, vec![(0, 0)]);
    }
    let ends = cover(key, WORD, date(2024, 1, 2), date(2024, 12, 30));
    assert!(ends.quarters[0].nodes.len() > 1 && ends.quarters[3].nodes.len() > 1);
    assert_eq!(
        (ends.quarters[1].nodes.len(), ends.quarters[2].nodes.len()),
        (1, 1)
    );
    let other = cover(key, "term:gout", date(2024, 1, 1), date(2024, 3, 31));
    assert_ne!(other.quarters[0].salt, whole.quarters[0].salt);
    assert_ne!(
        other.quarters[0].nodes[0].seed,
        whole.quarters[0].nodes[0].seed
    );
}

#[test]
fn ten_years_take_at_most_sixty_nodes() {
    let mut most = 0;
    for shift in 0..366u32 {
        let from = Epoch(date(2014, 6, 1).0 + shift);
        let to = Epoch(from.0 + 3_652);
        let nodes: usize = cover(key, WORD, from, to)
            .quarters
            .iter()
            .map(|q| q.nodes.len())
            .sum();
        most = most.max(nodes);
    }
    assert!((40..=60).contains(&most), "{most}");
}

#[test]
fn an_inverted_range_is_empty_and_one_day_is_one_leaf() {
    let day = date(2026, 11, 20);
    assert!(cover(key, WORD, day, Epoch(day.0 - 1)).quarters.is_empty());
    assert!(
        cover(key, WORD, day, Epoch(day.0 - 200))
            .quarters
            .is_empty()
    );
    let one = cover(key, WORD, day, day);
    assert_eq!(one.quarters.len(), 1);
    assert_eq!(one.quarters[0].nodes.len(), 1);
    assert_eq!(one.quarters[0].nodes[0].depth, TREE_DEPTH);
}

/// A node's index of tags; records are (day, number).
struct TagIndex(BTreeMap<Tag, (u32, u32)>);

impl IndexView for TagIndex {
    type Record = (u32, u32);
    type Error = Infallible;

    fn probe(&mut self, tag: &Tag) -> Result<Option<(u32, u32)>, Infallible> {
        Ok(self.0.get(tag).copied())
    }

    fn nth(&mut self, _: u64) -> Result<Option<Scanned<(u32, u32)>>, Infallible> {
        Ok(None)
    }
}

/// The node's own matching finds what the author wrote in the range, and nothing else.
#[test]
fn a_node_finds_the_records_of_the_range_only() {
    let days: Vec<Epoch> = (0..400)
        .step_by(2)
        .map(|n| Epoch(date(2025, 1, 1).0 + n))
        .collect();
    let mut index = TagIndex(BTreeMap::new());
    for day in &days {
        for i in 0..(day.0 % 3 + 1) {
            index
                .0
                .insert(tag_at(&key(day.quarter()), WORD, *day, i), (day.0, i));
            index.0.insert(
                tag_at(&key(day.quarter()), "term:gout", *day, i),
                (day.0, i + 100),
            );
        }
    }
    let (from, to) = (date(2025, 2, 10), date(2025, 12, 3));
    let query = Query {
        clauses: vec![Clause {
            negative: false,
            slots: vec![0],
        }],
        slots: Slots::Tags(vec![cover(key, WORD, from, to)]),
    };
    let checked = query
        .verify(SchemeId::Tags, date(2020, 1, 1), date(2026, 6, 1))
        .unwrap();
    let found = checked.run(4096, 524_288, &mut index).unwrap();
    let expected: BTreeSet<(u32, u32)> = days
        .iter()
        .filter(|day| (from..=to).contains(*day))
        .flat_map(|day| (0..(day.0 % 3 + 1)).map(move |i| (day.0, i)))
        .collect();
    assert!(expected.len() > 100);
    assert_eq!(
        found.hits.iter().copied().collect::<BTreeSet<_>>(),
        expected
    );
    assert!(found.stopped_at.is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Expanding a cover yields exactly the author's tags of the range's days, and no leaf of a day
    /// outside of it. Leaves past a quarter's last day come with whole quarters only.
    #[test]
    fn a_cover_expands_to_exactly_the_days(start in 18_000u32..22_000, length in 0u32..400) {
        let (from, to) = (Epoch(start), Epoch(start + length));
        let made = cover(key, WORD, from, to);
        let leaves = expand(&made);
        let mut days = BTreeSet::new();
        for ((quarter, number), leaf) in &leaves {
            let day = Epoch(quarter.first().0 + u32::from(*number));
            if day > quarter.last() {
                let part = made.quarters.iter().find(|part| part.quarter == *quarter).unwrap();
                prop_assert_eq!(part.nodes[0].depth, 0);
                continue;
            }
            prop_assert!((from..=to).contains(&day));
            prop_assert_eq!(leaf_tag(leaf, 3), tag_at(&key(*quarter), WORD, day, 3));
            days.insert(day.0);
        }
        let expected: BTreeSet<u32> = (from.0..=to.0).collect();
        prop_assert_eq!(days, expected);
        let quarters: Vec<Quarter> = made.quarters.iter().map(|part| part.quarter).collect();
        prop_assert!(quarters.windows(2).all(|pair| pair[0].next() == pair[1]));
    }

    /// No node of a cover stands above a day outside of its range, and none of the values that follow from a cover
    /// leads to such a day: neither its leaf nor a node above it.
    #[test]
    fn a_cover_reveals_nothing_of_other_days(start in 18_000u32..22_000, length in 0u32..200, away in 1u32..100) {
        let (from, to) = (Epoch(start), Epoch(start + length));
        let made = cover(key, WORD, from, to);
        let mut derivable: BTreeSet<[u8; 16]> = BTreeSet::new();
        for part in &made.quarters {
            for node in &part.nodes {
                let mut level = vec![node.seed];
                for _ in node.depth..TREE_DEPTH {
                    derivable.extend(level.iter().copied());
                    level = level
                        .iter()
                        .flat_map(|seed| [false, true].map(|right| ggm_child(&part.salt, seed, right)))
                        .collect();
                }
                derivable.extend(level);
            }
        }
        let mut hidden = 0;
        for outside in [Epoch(from.0 - away), Epoch(from.0 - 1), Epoch(to.0 + 1), Epoch(to.0 + away)] {
            let (quarter, day) = (outside.quarter(), outside.day_of_quarter());
            let tree = keyword_key(&key(quarter), WORD);
            for depth in 0..=TREE_DEPTH {
                let position = day >> (TREE_DEPTH - depth);
                for part in made.quarters.iter().filter(|part| part.quarter == quarter) {
                    let above = |node: &CoverNode| (node.depth, node.position) == (depth, position);
                    prop_assert!(!part.nodes.iter().any(above), "a node stands above {outside}");
                }
                prop_assert!(!derivable.contains(&*tree.node(depth, position)), "{outside}, depth {depth}");
                hidden += 1;
            }
        }
        prop_assert_eq!(hidden, 4 * 8);
    }
}

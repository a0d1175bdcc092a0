use super::*;
use crate::time::Epoch;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

mod authors;
mod bounds;
mod entries;
mod look_up;
mod scan;

const Q: Quarter = Quarter(2024 * 4 + 1);
const SALT: [u8; 16] = [0x5a; 16];

/// The root seed of a keyword of the tests.
fn root(keyword: u8) -> [u8; 16] {
    [keyword; 16]
}

/// A node, also one that no tree has.
fn node(keyword: u8, depth: u8, position: u8) -> CoverNode {
    CoverNode {
        depth,
        position,
        seed: ggm_node(&SALT, &root(keyword), depth.min(TREE_DEPTH), position),
    }
}

fn cover(keyword: u8, nodes: &[(u8, u8)]) -> Cover {
    let nodes = nodes
        .iter()
        .map(|(depth, position)| node(keyword, *depth, *position))
        .collect();
    Cover {
        quarters: vec![QuarterCover {
            quarter: Q,
            salt: SALT,
            nodes,
        }],
    }
}

fn whole(keyword: u8) -> Cover {
    cover(keyword, &[(0, 0)])
}

fn positive(slots: &[u8]) -> Clause {
    Clause {
        negative: false,
        slots: slots.to_vec(),
    }
}

fn negative(slots: &[u8]) -> Clause {
    Clause {
        negative: true,
        slots: slots.to_vec(),
    }
}

fn query(clauses: Vec<Clause>, covers: Vec<Cover>) -> Query {
    Query {
        clauses,
        slots: Slots::Tags(covers),
    }
}

fn single(slot: Cover) -> Query {
    query(vec![positive(&[0])], vec![slot])
}

fn check(query: Query) -> Result<CheckedQuery, QueryError> {
    query.verify(SchemeId::Tags, Q.first(), Q.last())
}

/// An index: records by tag. A record is a number, its day and keywords are given.
#[derive(Default)]
struct Index {
    tags: BTreeMap<Tag, u32>,
    counters: BTreeMap<(u8, u8), u32>,
}

impl Index {
    fn add(&mut self, record: u32, day: u8, keywords: &[u8]) {
        for keyword in keywords {
            let counter = self.counters.entry((*keyword, day)).or_insert(0);
            let leaf = ggm_node(&SALT, &root(*keyword), TREE_DEPTH, day);
            self.tags.insert(leaf_tag(&leaf, *counter), record);
            *counter += 1;
        }
    }

    fn run(
        &self,
        query: &CheckedQuery,
        max_hits: usize,
        max_probes: u64,
    ) -> Result<Hits<u32>, RunError<Infallible>> {
        let plain = query.run(max_hits, max_probes, &mut &*self);
        let filtered = query.run(max_hits, max_probes, &mut Filtered(self));
        assert_eq!(plain, filtered, "a filter changes nothing but the time");
        plain
    }

    fn all(&self, query: &CheckedQuery) -> Vec<u32> {
        let found = self.run(query, usize::MAX, u64::MAX).unwrap();
        assert_eq!(found.stopped_at, None);
        found.hits
    }
}

impl IndexView for &Index {
    type Record = u32;
    type Error = Infallible;

    fn probe(&mut self, tag: &Tag) -> Result<Option<u32>, Infallible> {
        Ok(self.tags.get(tag).copied())
    }

    fn nth(&mut self, _: u64) -> Result<Option<Scanned<u32>>, Infallible> {
        panic!("a search by tags scans nothing")
    }
}

/// An index with a filter that knows all but every third absent tag.
struct Filtered<'a>(&'a Index);

impl IndexView for Filtered<'_> {
    type Record = u32;
    type Error = Infallible;

    fn probe(&mut self, tag: &Tag) -> Result<Option<u32>, Infallible> {
        Ok(self.0.tags.get(tag).copied())
    }

    fn absent(&mut self, tags: &[Tag]) -> Result<Vec<bool>, Infallible> {
        let known = |tag: &Tag| !self.0.tags.contains_key(tag) && !tag.0[0].is_multiple_of(3);
        Ok(tags.iter().map(known).collect())
    }

    fn nth(&mut self, _: u64) -> Result<Option<Scanned<u32>>, Infallible> {
        panic!("a search by tags scans nothing")
    }
}

/// Cannot be read.
struct Failing;

impl IndexView for Failing {
    type Record = u32;
    type Error = &'static str;

    fn probe(&mut self, _: &Tag) -> Result<Option<u32>, &'static str> {
        Err("disk")
    }

    fn nth(&mut self, _: u64) -> Result<Option<Scanned<u32>>, &'static str> {
        Err("disk")
    }
}

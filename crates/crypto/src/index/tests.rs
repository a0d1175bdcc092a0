use super::*;
use crate::time::Epoch;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

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

fn single(slot: Cover) -> Query {
    Query {
        clauses: vec![positive(&[0])],
        slots: vec![slot],
    }
}

fn check(query: Query) -> Result<CheckedQuery, QueryError> {
    query.verify(Q.first(), Q.last())
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
        query.run(max_hits, max_probes, &mut |tag: &Tag| {
            Ok(self.tags.get(tag).copied())
        })
    }

    fn all(&self, query: &CheckedQuery) -> Vec<u32> {
        let found = self.run(query, usize::MAX, u64::MAX).unwrap();
        assert_eq!(found.stopped_at, None);
        found.hits
    }
}

#[test]
fn entries_have_one_form() {
    let tags = |count: u8| (0..count).map(|i| Tag([i; 16])).collect::<Vec<Tag>>();
    let form = |scheme, tags| IndexEntries { scheme, tags }.check_form();
    assert_eq!(form(0, tags(8)), Ok(()));
    assert_eq!(form(0, tags(248)), Ok(()));
    assert_eq!(form(1, tags(8)), Err(EntriesError::Scheme { found: 1 }));
    assert_eq!(form(0, tags(0)), Err(EntriesError::Count { found: 0 }));
    let many: Vec<Tag> = (0..520u128).map(|i| Tag(i.to_be_bytes())).collect();
    assert_eq!(form(0, many[..512].to_vec()), Ok(()));
    assert_eq!(form(0, many), Err(EntriesError::Count { found: 520 }));
    assert_eq!(form(0, tags(7)), Err(EntriesError::NotPadded { found: 7 }));
    let mut swapped = tags(8);
    swapped.swap(3, 4);
    assert_eq!(form(0, swapped), Err(EntriesError::Unsorted { at: 4 }));
    let mut repeated = tags(8);
    repeated[5] = repeated[4];
    assert_eq!(form(0, repeated), Err(EntriesError::Repeated { at: 5 }));
}

#[test]
fn the_largest_query_fits_its_bytes() {
    let quarter = |i: u16| QuarterCover {
        quarter: Quarter(i),
        salt: SALT,
        nodes: vec![node(1, 0, 0)],
    };
    let slot = Cover {
        quarters: (0..64).map(quarter).collect(),
    };
    let clause = positive(&(0..64).collect::<Vec<u8>>());
    let query = Query {
        clauses: vec![clause; MAX_CLAUSES],
        slots: vec![slot; MAX_SLOTS],
    };
    let bytes = crate::codec::encode(&query);
    assert_eq!(bytes.len(), MAX_QUERY_BYTES);
    assert_eq!(
        crate::codec::decode_exact::<Query>(&bytes, MAX_QUERY_BYTES),
        Ok(query)
    );
}

#[test]
fn counts_are_bounded() {
    let no_clauses = Query {
        clauses: vec![],
        slots: vec![whole(1)],
    };
    assert_eq!(check(no_clauses), Err(QueryError::NoClauses));
    let nine = Query {
        clauses: vec![positive(&[0]); 9],
        slots: vec![whole(1)],
    };
    assert_eq!(
        check(nine),
        Err(QueryError::TooManyClauses { limit: 8, found: 9 })
    );
    let slots = Query {
        clauses: vec![positive(&[0])],
        slots: vec![whole(1); 65],
    };
    assert_eq!(
        check(slots),
        Err(QueryError::TooManySlots {
            limit: 64,
            found: 65
        })
    );
    let (first, today) = (Q.last(), Q.first());
    assert_eq!(
        single(whole(1)).verify(first, today),
        Err(QueryError::EmptyRange { first, today })
    );
    let at_the_bounds = Query {
        clauses: vec![positive(&(0..64).collect::<Vec<u8>>()); 8],
        slots: vec![whole(1); 64],
    };
    assert_eq!(check(at_the_bounds).unwrap().leaves(), 64 * 91);
}

#[test]
fn clauses_are_well_formed() {
    let two = |clauses| Query {
        clauses,
        slots: vec![whole(1), whole(2)],
    };
    assert_eq!(
        check(two(vec![positive(&[0, 1]), positive(&[])])),
        Err(QueryError::EmptyClause { clause: 1 })
    );
    assert_eq!(
        check(two(vec![positive(&[0, 2])])),
        Err(QueryError::UnknownSlot { clause: 0, slot: 2 })
    );
    assert_eq!(
        check(two(vec![positive(&[0, 255])])),
        Err(QueryError::UnknownSlot {
            clause: 0,
            slot: 255
        })
    );
    assert_eq!(
        check(two(vec![positive(&[0, 1, 0])])),
        Err(QueryError::RepeatedSlot { clause: 0, slot: 0 })
    );
    assert_eq!(
        check(two(vec![positive(&[0])])),
        Err(QueryError::UnusedSlot { slot: 1 })
    );
    assert_eq!(
        check(two(vec![negative(&[0, 1])])),
        Err(QueryError::NoPositiveClause)
    );
    assert!(check(two(vec![positive(&[0]), negative(&[1])])).is_ok());
    assert!(check(two(vec![positive(&[0, 1]), positive(&[1])])).is_ok());
}

#[test]
fn covers_are_disjoint_and_ordered() {
    let error = |slot: Cover| check(single(slot)).unwrap_err();
    assert_eq!(
        error(Cover { quarters: vec![] }),
        QueryError::EmptyCover { slot: 0 }
    );
    assert_eq!(error(cover(1, &[])), QueryError::EmptyCover { slot: 0 });
    assert_eq!(
        error(cover(1, &[(8, 0)])),
        QueryError::NoSuchNode {
            slot: 0,
            depth: 8,
            position: 0
        }
    );
    assert_eq!(
        error(cover(1, &[(0, 1)])),
        QueryError::NoSuchNode {
            slot: 0,
            depth: 0,
            position: 1
        }
    );
    assert_eq!(
        error(cover(1, &[(7, 128)])),
        QueryError::NoSuchNode {
            slot: 0,
            depth: 7,
            position: 128
        }
    );
    assert_eq!(
        error(cover(1, &[(7, 5), (7, 4)])),
        QueryError::Unordered { slot: 0 }
    );
    assert_eq!(
        error(cover(1, &[(7, 5), (7, 5)])),
        QueryError::Overlapping { slot: 0 }
    );
    assert_eq!(
        error(cover(1, &[(6, 2), (7, 5)])),
        QueryError::Overlapping { slot: 0 }
    );
    assert_eq!(
        error(cover(1, &[(7, 5), (6, 2)])),
        QueryError::Overlapping { slot: 0 }
    );
    let many: Vec<(u8, u8)> = (0..65).map(|day| (7, day)).collect();
    assert_eq!(
        error(cover(1, &many)),
        QueryError::TooManyNodes {
            slot: 0,
            limit: 64,
            found: 65
        }
    );
    assert!(check(single(cover(1, &many[..64]))).is_ok());

    let quarters = |list: [u16; 2]| {
        let quarter = |i: u16| QuarterCover {
            quarter: Quarter(i),
            salt: SALT,
            nodes: vec![node(1, 0, 0)],
        };
        single(Cover {
            quarters: list.map(quarter).to_vec(),
        })
        .verify(Epoch(0), Q.last())
    };
    assert!(quarters([Q.0 - 1, Q.0]).is_ok());
    assert_eq!(
        quarters([Q.0, Q.0]),
        Err(QueryError::Overlapping { slot: 0 })
    );
    assert_eq!(
        quarters([Q.0, Q.0 - 1]),
        Err(QueryError::Unordered { slot: 0 })
    );
}

#[test]
fn covers_stay_in_the_searchable_days() {
    let (first, today) = (Epoch(Q.first().0 + 10), Epoch(Q.first().0 + 20));
    let verify = |slot: Cover| {
        single(slot)
            .verify(first, today)
            .map(|query| query.leaves())
    };
    assert_eq!(verify(whole(1)), Ok(11));
    assert_eq!(verify(cover(1, &[(7, 10), (7, 20)])), Ok(2));
    assert_eq!(verify(cover(1, &[(4, 1), (4, 2)])), Ok(11));
    assert_eq!(
        verify(cover(1, &[(7, 9)])),
        Err(QueryError::OutsideRange { slot: 0 })
    );
    assert_eq!(
        verify(cover(1, &[(7, 21)])),
        Err(QueryError::OutsideRange { slot: 0 })
    );
    assert_eq!(
        verify(cover(1, &[(4, 1), (4, 2), (4, 3)])),
        Err(QueryError::OutsideRange { slot: 0 })
    );
    for other in [0, 1, Q.0 - 1, Q.0 + 1, u16::MAX] {
        let mut slot = whole(1);
        slot.quarters[0].quarter = Quarter(other);
        assert_eq!(
            verify(slot),
            Err(QueryError::OutsideRange { slot: 0 }),
            "quarter {other}"
        );
    }
    // The leaves after the quarter's last day stand for nothing.
    assert!(check(single(cover(1, &[(7, 90)]))).is_ok());
    assert_eq!(
        check(single(cover(1, &[(7, 91)]))),
        Err(QueryError::OutsideRange { slot: 0 })
    );
    assert_eq!(
        check(single(cover(1, &[(1, 0), (1, 1)]))).unwrap().leaves(),
        91
    );
    // Neither do the quarters before 1970, even where the range begins on the first day of all.
    let mut slot = whole(1);
    slot.quarters[0].quarter = Quarter(0);
    assert_eq!(
        single(slot).verify(Epoch(0), Epoch(5)),
        Err(QueryError::OutsideRange { slot: 0 })
    );
}

#[test]
fn leaves_are_bounded_over_all_slots() {
    let quarter = |i: u16| QuarterCover {
        quarter: Quarter(i),
        salt: SALT,
        nodes: vec![node(1, 0, 0)],
    };
    let slot = Cover {
        quarters: (Q.0 - 63..=Q.0).map(quarter).collect(),
    };
    let query = Query {
        clauses: vec![positive(&(0..12).collect::<Vec<u8>>())],
        slots: vec![slot; 12],
    };
    match query.verify(Epoch(0), Q.last()) {
        Err(QueryError::TooManyLeaves { limit, found }) => {
            assert_eq!(limit, MAX_LEAVES);
            assert!(found > MAX_LEAVES && found <= MAX_LEAVES + 92);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn search_finds_what_was_indexed() {
    let mut index = Index::default();
    index.add(1, 3, &[1, 2]);
    index.add(2, 3, &[1]);
    index.add(3, 40, &[1, 3]);
    index.add(4, 90, &[2, 3]);
    let ask = |clauses, slots| index.all(&check(Query { clauses, slots }).unwrap());

    assert_eq!(ask(vec![positive(&[0])], vec![whole(1)]), [1, 2, 3]);
    assert_eq!(ask(vec![positive(&[0])], vec![whole(9)]), [0u32; 0]);
    assert_eq!(
        ask(vec![positive(&[0, 1])], vec![whole(1), whole(2)]),
        [1, 2, 3, 4]
    );
    assert_eq!(
        ask(
            vec![positive(&[0]), positive(&[1])],
            vec![whole(1), whole(2)]
        ),
        [1]
    );
    assert_eq!(
        ask(
            vec![positive(&[0]), negative(&[1])],
            vec![whole(1), whole(2)]
        ),
        [2, 3]
    );
    assert_eq!(
        ask(
            vec![negative(&[1]), positive(&[0])],
            vec![whole(1), whole(3)]
        ),
        [1, 2]
    );
    assert_eq!(ask(vec![positive(&[0])], vec![cover(1, &[(7, 40)])]), [3]);
    assert_eq!(ask(vec![positive(&[0])], vec![cover(1, &[(7, 3)])]), [1, 2]);
    // A cover of other days, another salt, another keyword's seed: nothing.
    assert_eq!(
        ask(
            vec![positive(&[0])],
            vec![cover(1, &[(7, 4), (7, 39), (7, 41)])]
        ),
        [0u32; 0]
    );
    let mut salted = whole(1);
    salted.quarters[0].salt[0] ^= 1;
    assert_eq!(ask(vec![positive(&[0])], vec![salted]), [0u32; 0]);
}

#[test]
fn days_outside_the_range_are_not_probed() {
    let mut index = Index::default();
    for day in 0..91u8 {
        index.add(u32::from(day), day, &[1]);
    }
    let day = |at: u32| Epoch(Q.first().0 + at);
    let query = single(whole(1)).verify(day(10), day(20)).unwrap();
    let found = index.run(&query, usize::MAX, u64::MAX).unwrap();
    assert_eq!(found.hits, (10..=20).collect::<Vec<u32>>());
    assert_eq!(found.probes, 2 * 11);
    assert_eq!(query.leaves(), 11);
}

#[test]
fn hits_come_by_day_and_stop_where_told() {
    let mut index = Index::default();
    // The later day holds the lower numbers, so that the order of days shows.
    index.add(30, 1, &[1]);
    index.add(20, 1, &[1]);
    index.add(10, 2, &[1]);
    let query = check(single(whole(1))).unwrap();
    assert_eq!(index.all(&query), [20, 30, 10]);
    let found = index.run(&query, 2, u64::MAX).unwrap();
    assert_eq!((found.hits, found.stopped_at), (vec![20, 30], Some(10)));
    let found = index.run(&query, 0, u64::MAX).unwrap();
    assert_eq!((found.hits, found.stopped_at), (vec![], Some(20)));
    let found = index.run(&query, 3, u64::MAX).unwrap();
    assert_eq!((found.hits, found.stopped_at), (vec![20, 30, 10], None));
}

#[test]
fn probes_are_counted_and_bounded() {
    let mut index = Index::default();
    index.add(1, 0, &[1]);
    let query = check(single(whole(1))).unwrap();
    let found = index.run(&query, 9, u64::MAX).unwrap();
    assert_eq!(found.probes, 92, "a miss a day, and one hit");
    assert_eq!(index.run(&query, 9, 92).unwrap(), found);
    assert_eq!(
        index.run(&query, 9, 91),
        Err(RunError::TooManyProbes { limit: 91 })
    );
    // An index that never misses is bounded all the same.
    let mut next = 0u32;
    let endless: Result<Hits<u32>, RunError<Infallible>> = query.run(9, 1_000, &mut |_: &Tag| {
        next += 1;
        Ok(Some(next))
    });
    assert_eq!(endless, Err(RunError::TooManyProbes { limit: 1_000 }));
    let failing: Result<Hits<u32>, RunError<&str>> = query.run(9, 9, &mut |_: &Tag| Err("disk"));
    assert_eq!(failing, Err(RunError::Probe("disk")));
}

#[test]
fn a_record_under_two_tags_of_a_keyword_is_found_once() {
    let mut index = Index::default();
    index.add(1, 5, &[1]);
    index.add(1, 5, &[1]);
    index.add(1, 6, &[1]);
    assert_eq!(index.all(&check(single(whole(1))).unwrap()), [1]);
}

/// Records as (day, set of keywords 0 to 4).
fn some_records() -> impl Strategy<Value = Vec<(u8, BTreeSet<u8>)>> {
    let keywords = prop::collection::btree_set(0u8..5, 0..5);
    prop::collection::vec((0u8..91, keywords), 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_search_agrees_with_its_definition(
        records in some_records(),
        clauses in prop::collection::vec((any::<bool>(), prop::collection::btree_set(0u8..5, 1..4)), 1..5),
    ) {
        let mut index = Index::default();
        for (number, (day, keywords)) in records.iter().enumerate() {
            let keywords: Vec<u8> = keywords.iter().copied().collect();
            index.add(u32::try_from(number).unwrap(), *day, &keywords);
        }
        let mut query = Query { clauses: vec![positive(&[0, 1, 2, 3, 4])], slots: (0..5).map(whole).collect() };
        for (negative, slots) in &clauses {
            query.clauses.push(Clause { negative: *negative, slots: slots.iter().copied().collect() });
        }
        let found: BTreeSet<u32> = index.all(&check(query).unwrap()).into_iter().collect();
        for (number, (_, keywords)) in records.iter().enumerate() {
            let matches = !keywords.is_empty()
                && clauses.iter().all(|(negative, slots)| slots.is_disjoint(keywords) == *negative);
            prop_assert_eq!(found.contains(&u32::try_from(number).unwrap()), matches);
        }
    }

    #[test]
    fn any_query_bytes_decode_and_verify_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(query) = crate::codec::decode_exact::<Query>(&bytes, MAX_QUERY_BYTES) {
            let _ = query.verify(Epoch(0), Epoch(20_000));
        }
    }

    #[test]
    fn any_query_verifies_without_panic(
        nodes in prop::collection::vec((any::<u16>(), any::<u8>(), any::<u8>()), 1..6),
        first in any::<u32>(),
        today in any::<u32>(),
    ) {
        let quarters = nodes
            .into_iter()
            .map(|(quarter, depth, position)| QuarterCover {
                quarter: Quarter(quarter),
                salt: SALT,
                nodes: vec![CoverNode { depth, position, seed: SALT }],
            })
            .collect();
        if let Ok(query) = single(Cover { quarters }).verify(Epoch(first), Epoch(today)) {
            let none: Result<Hits<u32>, RunError<Infallible>> = query.run(1, u64::MAX, &mut |_: &Tag| Ok(None));
            prop_assert_eq!(none.unwrap().probes, query.leaves());
        }
    }
}

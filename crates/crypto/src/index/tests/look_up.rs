//! Searches by tags.

use super::*;

#[test]
fn search_finds_what_was_indexed() {
    let mut index = Index::default();
    index.add(1, 3, &[1, 2]);
    index.add(2, 3, &[1]);
    index.add(3, 40, &[1, 3]);
    index.add(4, 90, &[2, 3]);
    let ask = |clauses, slots| index.all(&check(query(clauses, slots)).unwrap());

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
    let query = single(whole(1))
        .verify(SchemeId::Tags, day(10), day(20))
        .unwrap();
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

/// Has every tag, each on another record.
struct Endless(u32);

impl IndexView for Endless {
    type Record = u32;
    type Error = Infallible;

    fn probe(&mut self, _: &Tag) -> Result<Option<u32>, Infallible> {
        self.0 += 1;
        Ok(Some(self.0))
    }

    fn nth(&mut self, _: u64) -> Result<Option<Scanned<u32>>, Infallible> {
        Ok(None)
    }
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
    assert_eq!(
        query.run(9, 1_000, &mut Endless(0)),
        Err(RunError::TooManyProbes { limit: 1_000 })
    );
    assert_eq!(query.run(9, 9, &mut Failing), Err(RunError::Probe("disk")));
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
        let mut query = query(vec![positive(&[0, 1, 2, 3, 4])], (0..5).map(whole).collect());
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
}

//! Queries of the scanned schemes: what matches, what is refused, in which order and at what cost.

use super::authors::{Author, Paeks, Peks};
use super::*;

/// The days of the tests' records are counted from here.
const DAY: u32 = 19_860;

fn day(at: u32) -> Epoch {
    Epoch(DAY + at)
}

/// A hospital's records, in the order of linking.
struct Records {
    records: Vec<Scanned<u32>>,
    /// Where the records of the days asked for are known to lie.
    span: Option<std::ops::Range<u64>>,
}

impl Records {
    /// Records 100, 101 and so on: day and keywords of each.
    fn of<A: Author>(author: &A, records: &[(u32, &[&str])]) -> Self {
        let scanned = |(number, (at, keywords)): (u32, &(u32, &[&str]))| Scanned {
            record: number,
            day: day(*at),
            entries: A::entries(author.list(u64::from(number), keywords)),
        };
        Records {
            records: (100..).zip(records).map(scanned).collect(),
            span: None,
        }
    }
}

impl IndexView for Records {
    type Record = u32;
    type Error = Infallible;

    fn probe(&mut self, _: &Tag) -> Result<Option<u32>, Infallible> {
        panic!("a scan looks up no tag")
    }

    fn nth(&mut self, n: u64) -> Result<Option<Scanned<u32>>, Infallible> {
        Ok(self.records.get(usize::try_from(n).unwrap()).cloned())
    }

    fn span(&mut self, _: Epoch, _: Epoch) -> Result<std::ops::Range<u64>, Infallible> {
        Ok(self.span.clone().unwrap_or(0..u64::MAX))
    }
}

fn scan_query<A: Author>(
    author: &A,
    clauses: Vec<Clause>,
    days: (u32, u32),
    keywords: &[&str],
) -> Query {
    let trapdoors = keywords
        .iter()
        .map(|keyword| author.trapdoor(keyword))
        .collect();
    Query {
        clauses,
        slots: A::slots(Scan {
            first: day(days.0),
            last: day(days.1),
            trapdoors,
        }),
    }
}

fn verify<A: Author>(query: Query) -> Result<CheckedQuery, QueryError> {
    query.verify(A::ID, day(0), day(100))
}

/// A query for one keyword over all days.
fn simple<A: Author>(author: &A, keyword: &str) -> Query {
    scan_query(author, vec![positive(&[0])], (0, 100), &[keyword])
}

fn trapdoors_match_their_keyword_only<A: Author>() {
    let (author, other) = (A::new(1), A::new(2));
    let keywords = ["a", "b", "", "a long keyword|with:signs"];
    let mut pairs = 0;
    for (seed, held) in (0u64..).zip(keywords) {
        let entries = A::entries(author.list(seed, &[held]));
        for asked in keywords {
            let slots = simple(&author, asked).slots;
            assert_eq!(
                slot_matches(&slots, 0, day(1), &entries),
                asked == held,
                "{held} {asked}"
            );
            let foreign = simple(&other, asked).slots;
            assert!(!slot_matches(&foreign, 0, day(1), &entries), "{asked}");
            pairs += 1;
        }
    }
    assert_eq!(pairs, 16);
    // Two entries of one keyword differ, two trapdoors do not.
    let twice = author.list(7, &["a", "a"]);
    assert_ne!(twice[0], twice[1]);
    assert_eq!(author.trapdoor("a"), author.trapdoor("a"));
}

fn an_altered_entry_matches_nothing<A: Author>() {
    let author = A::new(1);
    let slots = simple(&author, "w").slots;
    for bad in author.bad_entries() {
        assert!(!slot_matches(&slots, 0, day(1), &A::entries(vec![bad])));
    }
}

fn malformed_queries_are_refused<A: Author>() {
    let author = A::new(1);
    let good = || simple(&author, "w");
    let checked = verify::<A>(good()).unwrap();
    assert_eq!(checked.leaves(), 0);
    for expected in SchemeId::ALL.into_iter().filter(|scheme| *scheme != A::ID) {
        let found = A::ID;
        assert_eq!(
            good().verify(expected, day(0), day(100)),
            Err(QueryError::Scheme { expected, found })
        );
    }
    assert_eq!(
        single(whole(1)).verify(A::ID, Q.first(), Q.last()),
        Err(QueryError::Scheme {
            expected: A::ID,
            found: SchemeId::Tags
        })
    );
    assert_eq!(
        good().verify(A::ID, day(1), day(0)),
        Err(QueryError::EmptyRange {
            first: day(1),
            today: day(0)
        })
    );
    let of_days = |days| verify::<A>(scan_query(&author, vec![positive(&[0])], days, &["w"]));
    assert_eq!(
        of_days((3, 2)),
        Err(QueryError::ScanRange {
            first: day(3),
            last: day(2)
        })
    );
    assert_eq!(
        of_days((101, 200)),
        Err(QueryError::OutsideRange { slot: 0 })
    );
    assert!(of_days((100, 200)).is_ok());
    assert!(of_days((0, 0)).is_ok());
    assert_eq!(
        simple(&author, "w").verify(A::ID, day(101), day(102)),
        Err(QueryError::OutsideRange { slot: 0 })
    );
    let clauses = |clauses, keywords: &[&str]| {
        verify::<A>(scan_query(&author, clauses, (0, 100), keywords)).map(|_| ())
    };
    assert_eq!(clauses(vec![], &["a"]), Err(QueryError::NoClauses));
    assert_eq!(
        clauses(vec![positive(&[0]); 9], &["a"]),
        Err(QueryError::TooManyClauses { limit: 8, found: 9 })
    );
    assert_eq!(
        clauses(vec![positive(&[0])], &["a"; 65]),
        Err(QueryError::TooManySlots {
            limit: 64,
            found: 65
        })
    );
    assert_eq!(
        clauses(vec![positive(&[0])], &["a", "b"]),
        Err(QueryError::UnusedSlot { slot: 1 })
    );
    assert_eq!(
        clauses(vec![negative(&[0])], &["a"]),
        Err(QueryError::NoPositiveClause)
    );
    assert_eq!(
        clauses(vec![positive(&[0])], &[]),
        Err(QueryError::UnknownSlot { clause: 0, slot: 0 })
    );
    let bad = author.bad_trapdoors();
    for trapdoor in &bad {
        let query = Query {
            clauses: vec![positive(&[0, 1])],
            slots: A::slots(Scan {
                first: day(0),
                last: day(1),
                trapdoors: vec![author.trapdoor("a"), trapdoor.clone()],
            }),
        };
        assert_eq!(
            verify::<A>(query.clone()),
            Err(QueryError::BadTrapdoor { slot: 1 }),
            "{trapdoor:?}"
        );
        let entries = A::entries(author.list(1, &["w"]));
        assert!(!slot_matches(&query.slots, 1, day(0), &entries));
    }
    println!("{}: {} malformed trapdoors", A::ID, bad.len());
}

fn queries_have_one_encoding<A: Author>() {
    let author = A::new(1);
    let query = simple(&author, "w");
    let bytes = crate::codec::encode(&query);
    // Clauses: 4 + 1 + 4 + 1 bytes. Then the scheme.
    assert_eq!(bytes[10], A::ID as u8);
    assert_eq!(
        crate::codec::decode_exact::<Query>(&bytes, MAX_QUERY_BYTES),
        Ok(query)
    );
    let clause = positive(&(0..64).collect::<Vec<u8>>());
    let largest = scan_query(&author, vec![clause; 8], (0, 1), &["w"; 64]);
    let bytes = crate::codec::encode(&largest);
    assert!(bytes.len() <= MAX_QUERY_BYTES);
    assert_eq!(largest.slots.len(), 64);
    assert!(!largest.slots.is_empty());
    assert!(verify::<A>(largest).is_ok());
}

fn records_come_in_the_order_of_linking_and_stop_where_told<A: Author>() {
    let author = A::new(1);
    let mut view = Records::of(
        &author,
        &[
            (9, &["a", "x"]),
            (1, &["x", "a"]),
            (5, &["x", "y"]),
            (5, &["a", "a"]),
        ],
    );
    let query = verify::<A>(simple(&author, "a")).unwrap();
    let mut run = |max_hits| query.run(max_hits, u64::MAX, &mut view).unwrap();
    let all = run(3);
    assert_eq!(
        (&all.hits[..], all.stopped_at),
        (&[100, 101, 103][..], None)
    );
    // The first entry that matches ends the test of a slot: 1 + 2 + 2 + 1.
    assert_eq!(all.probes, 6);
    let two = run(2);
    assert_eq!((two.hits, two.stopped_at), (vec![100, 101], Some(103)));
    assert_eq!(two.probes, 6);
    let none = run(0);
    assert_eq!((none.hits, none.stopped_at), (vec![], Some(100)));
    assert_eq!(none.probes, 1);
}

fn days_outside_the_scan_are_passed_over<A: Author>() {
    let author = A::new(1);
    let records: Vec<(u32, &[&str])> = (0..10).map(|at| (at, &["a"][..])).collect();
    let mut view = Records::of(&author, &records);
    let of_days = |days, first, today| {
        scan_query(&author, vec![positive(&[0])], days, &["a"])
            .verify(A::ID, day(first), day(today))
            .unwrap()
    };
    let mut run = |query: CheckedQuery| query.run(99, u64::MAX, &mut view).unwrap();
    let found = run(of_days((3, 5), 0, 100));
    assert_eq!(found.hits, [103, 104, 105]);
    assert_eq!(
        found.probes, 10,
        "a test each, and one for each passed over"
    );
    // The searchable days count too.
    assert_eq!(run(of_days((3, 5), 4, 100)).hits, [104, 105]);
    assert_eq!(run(of_days((3, 5), 0, 3)).hits, [103]);
    assert_eq!(run(of_days((0, 100), 9, 9)).hits, [109]);
    // A view that knows where the days lie saves the rest, and is not asked for more.
    view.span = Some(3..5);
    let found = of_days((3, 5), 0, 100).run(99, 2, &mut view).unwrap();
    assert_eq!((found.hits, found.probes), (vec![103, 104], 2));
    for at in [2, 6] {
        let slots = scan_query(&author, vec![positive(&[0])], (3, 5), &["a"]).slots;
        let entries = &view.records[0].entries;
        assert!(!slot_matches(&slots, 0, day(at), entries));
        assert!(slot_matches(&slots, 0, day(3), entries));
        assert!(slot_matches(&slots, 0, day(5), entries));
        assert!(!slot_matches(&slots, 1, day(5), entries));
    }
}

fn clauses_are_cut_short<A: Author>() {
    let author = A::new(1);
    let keywords = ["a", "b", "c"];
    let run = |clauses, record: &[&str]| {
        let query = verify::<A>(scan_query(&author, clauses, (0, 100), &keywords)).unwrap();
        let mut view = Records::of(&author, &[(0, record)]);
        let found = query.run(9, u64::MAX, &mut view).unwrap();
        (!found.hits.is_empty(), found.probes)
    };
    // An alternative that matches ends its clause; the slots of other clauses are still tested.
    let any = || vec![positive(&[0, 1, 2])];
    assert_eq!(run(any(), &["a", "z"]), (true, 1));
    assert_eq!(run(any(), &["z", "b"]), (true, 2 + 2));
    assert_eq!(run(any(), &["z", "y"]), (false, 2 + 2 + 2));
    // A clause that fails ends the record.
    let all = || vec![positive(&[0]), positive(&[1]), positive(&[2])];
    assert_eq!(run(all(), &["z", "c"]), (false, 2));
    assert_eq!(run(all(), &["a", "z"]), (false, 1 + 2));
    assert_eq!(run(all(), &["a", "b", "c"]), (true, 1 + 2 + 3));
    // What excludes comes last, wherever it stands.
    let but = || vec![negative(&[1, 2]), positive(&[0])];
    assert_eq!(run(but(), &["z", "b"]), (false, 2));
    assert_eq!(run(but(), &["a", "b"]), (false, 1 + 2));
    assert_eq!(run(but(), &["a", "z"]), (true, 1 + 2 + 2));
    // A slot is tested once, in however many clauses it stands.
    let again = || vec![positive(&[0]), positive(&[1, 0]), negative(&[2, 1])];
    assert_eq!(run(again(), &["a", "z"]), (true, 1 + 2 + 2));
}

fn tests_are_bounded<A: Author>() {
    let author = A::new(1);
    let mut view = Records::of(&author, &[(0, &["x", "a"]), (0, &["x", "y", "z"])]);
    let query = verify::<A>(simple(&author, "a")).unwrap();
    assert_eq!(query.run(9, 5, &mut view).unwrap().probes, 5);
    for limit in 0..5 {
        assert_eq!(
            query.run(9, limit, &mut view),
            Err(RunError::TooManyProbes { limit })
        );
    }
    assert_eq!(query.run(9, 9, &mut Failing), Err(RunError::Probe("disk")));
    // Records of other days are bounded too.
    let later = verify::<A>(scan_query(&author, vec![positive(&[0])], (1, 2), &["a"])).unwrap();
    assert_eq!(later.run(9, 2, &mut view).unwrap().probes, 2);
    assert_eq!(
        later.run(9, 1, &mut view),
        Err(RunError::TooManyProbes { limit: 1 })
    );
}

fn entries_of_another_scheme_match_nothing<A: Author>() {
    let author = A::new(1);
    let slots = simple(&author, "a").slots;
    let query = verify::<A>(simple(&author, "a")).unwrap();
    let foreign = [
        IndexEntries::Tags(vec![Tag([1; 16])]),
        Peks::entries(Peks::new(1).list(1, &["a"])),
        Paeks::entries(Paeks::new(1).list(1, &["a"])),
    ];
    let mut tried = 0;
    for entries in foreign
        .into_iter()
        .filter(|entries| entries.scheme() != A::ID)
    {
        assert!(!slot_matches(&slots, 0, day(1), &entries));
        let scanned = Scanned {
            record: 1,
            day: day(1),
            entries,
        };
        let mut view = Records {
            records: vec![scanned],
            span: None,
        };
        assert!(query.run(9, 9, &mut view).unwrap().hits.is_empty());
        tried += 1;
    }
    assert_eq!(tried, 2);
}

macro_rules! of_both_schemes {
    ($($name:ident)+) => {
        mod peks {
            $(#[test] fn $name() { super::$name::<super::Peks>(); })+
        }

        mod paeks {
            $(#[test] fn $name() { super::$name::<super::Paeks>(); })+
        }
    };
}

of_both_schemes! {
    trapdoors_match_their_keyword_only
    an_altered_entry_matches_nothing
    malformed_queries_are_refused
    queries_have_one_encoding
    records_come_in_the_order_of_linking_and_stop_where_told
    days_outside_the_scan_are_passed_over
    clauses_are_cut_short
    tests_are_bounded
    entries_of_another_scheme_match_nothing
}

/// Without its search a patient's PAEKS entries tell nothing; with its receiver's key, which are alike.
#[test]
fn the_receivers_key_of_paeks_groups_entries_by_keyword() {
    use crate::pairing::{G1Affine, G2Affine, g1_from_bytes, g2_from_bytes, pair};
    use group::prime::PrimeCurveAffine;
    let author = Paeks::new(1);
    let receiver = g2_from_bytes(&author.trapdoor("searched for").receiver).unwrap();
    let entries = author.list(1, &["a", "b", "a", "b", "c"]);
    let point = |bytes: &[u8]| -> G1Affine { g1_from_bytes(bytes.try_into().unwrap()).unwrap() };
    let groups: Vec<_> = entries
        .iter()
        .map(|entry| {
            let (c1, c2) = entry.0.split_at(48);
            pair(&point(c1), &receiver) - pair(&point(c2), &G2Affine::generator())
        })
        .collect();
    assert!(groups[0] == groups[2] && groups[1] == groups[3]);
    assert!(groups[0] != groups[1] && groups[0] != groups[4]);
}

/// Whoever knows a PEKS public key confirms a guess of a trapdoor's keyword.
#[test]
fn a_peks_trapdoor_confirms_a_guess() {
    use crate::pairing::{G1Affine, PairingSecret, g2_from_bytes, hash_to_g2, pair};
    use group::prime::PrimeCurveAffine;
    let author = Peks::new(1);
    let h = PairingSecret::derive(crate::domain::PEKS_KEY, &1u64.to_le_bytes(), &[])
        .scheme_key()
        .point();
    let trapdoor = g2_from_bytes(&author.trapdoor("b").0).unwrap();
    let guessed = ["a", "b", "c"].map(|guess| {
        let h1 = hash_to_g2(crate::domain::PEKS_H1_DST, guess.as_bytes());
        pair(&h, &h1) == pair(&G1Affine::generator(), &trapdoor)
    });
    assert_eq!(guessed, [false, true, false]);
}

#[test]
fn a_slot_of_tags_matches_a_record_of_its_day() {
    let quarter_day = |at: u8| Epoch(Q.first().0 + u32::from(at));
    let entries = |day: u8, i: u32| {
        let leaf = ggm_node(&SALT, &root(1), TREE_DEPTH, day);
        let mut tags = vec![leaf_tag(&leaf, i), Tag([0; 16]), Tag([0xff; 16])];
        tags.sort();
        IndexEntries::Tags(tags)
    };
    let slots = Slots::Tags(vec![whole(2), cover(1, &[(7, 3), (6, 2)])]);
    for (at, inside) in [(2, false), (3, true), (4, true), (5, true), (6, false)] {
        for i in [0, 1, 63] {
            let entries = entries(at, i);
            assert_eq!(slot_matches(&slots, 1, quarter_day(at), &entries), inside);
            assert!(!slot_matches(&slots, 0, quarter_day(at), &entries));
            assert!(!slot_matches(&slots, 2, quarter_day(at), &entries));
        }
        assert!(!slot_matches(&slots, 1, quarter_day(at), &entries(at, 64)));
    }
    // Another day's tags, another quarter, nodes that no tree has.
    assert!(!slot_matches(&slots, 1, quarter_day(4), &entries(3, 0)));
    assert!(!slot_matches(&slots, 1, Q.next().first(), &entries(3, 0)));
    let none = Slots::Tags(vec![cover(1, &[(8, 3), (7, 200), (255, 255)])]);
    assert!(!slot_matches(&none, 0, quarter_day(3), &entries(3, 0)));
}

type Corpus = Vec<(u32, BTreeSet<usize>)>;

const KEYWORDS: [&str; 4] = ["a", "b", "c", "d"];

fn agrees_with_its_definition<A: Author>(
    corpus: &Corpus,
    clauses: &[(bool, BTreeSet<usize>)],
    days: (u32, u32),
) {
    let author = A::new(3);
    let words: Vec<Vec<&str>> = corpus
        .iter()
        .map(|(_, held)| {
            let held = held.iter().map(|at| KEYWORDS[*at]);
            held.chain(["padding"]).collect()
        })
        .collect();
    let records: Vec<(u32, &[&str])> = corpus
        .iter()
        .zip(&words)
        .map(|((at, _), words)| (*at, &words[..]))
        .collect();
    let mut view = Records::of(&author, &records);
    // All slots stand in some clause.
    let mut cnf = vec![positive(&[0, 1, 2, 3])];
    cnf.extend(clauses.iter().map(|(negative, slots)| {
        Clause {
            negative: *negative,
            slots: slots
                .iter()
                .map(|slot| u8::try_from(*slot).unwrap())
                .collect(),
        }
    }));
    let query = verify::<A>(scan_query(&author, cnf, days, &KEYWORDS)).unwrap();
    let expected: Vec<u32> = (100..)
        .zip(corpus)
        .filter(|(_, (at, held))| {
            (days.0..=days.1).contains(at)
                && !held.is_empty()
                && clauses
                    .iter()
                    .all(|(negative, slots)| slots.is_disjoint(held) == *negative)
        })
        .map(|(record, _)| record)
        .collect();
    let found = query.run(usize::MAX, u64::MAX, &mut view).unwrap();
    assert_eq!(found.hits, expected, "{}", A::ID);
    for cut in 0..expected.len() {
        let found = query.run(cut, u64::MAX, &mut view).unwrap();
        assert_eq!(found.hits, expected[..cut]);
        assert_eq!(found.stopped_at, Some(expected[cut]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_scan_agrees_with_its_definition(
        corpus in prop::collection::vec((0u32..6, prop::collection::btree_set(0usize..4, 0..4)), 0..6),
        clauses in prop::collection::vec((any::<bool>(), prop::collection::btree_set(0usize..4, 1..4)), 0..4),
        days in (0u32..6, 0u32..6),
    ) {
        let days = (days.0.min(days.1), days.0.max(days.1));
        agrees_with_its_definition::<Peks>(&corpus, &clauses, days);
        agrees_with_its_definition::<Paeks>(&corpus, &clauses, days);
    }

    #[test]
    fn any_entry_and_trapdoor_are_tested_without_panic(
        entry in any::<[u8; 96]>(),
        trapdoor in any::<[u8; 96]>(),
        token in any::<[u8; 288]>(),
        seed in any::<u64>(),
    ) {
        let mut peks = PeksEntry([0; 80]);
        peks.0.copy_from_slice(&entry[..80]);
        let _ = PeksTrapdoor(trapdoor).prepare();
        let _ = PaeksTrapdoor { token, receiver: trapdoor }.prepare();
        let a = Peks::new(seed).trapdoor("w").prepare().unwrap();
        prop_assert!(!a.matches(&peks));
        let b = Paeks::new(seed).trapdoor("w").prepare().unwrap();
        prop_assert!(!b.matches(&PaeksEntry(entry)));
        // With the flag of compression every second x is a point, in the subgroup or not.
        peks.0[0] = 0x80 | (peks.0[0] & 0x0f);
        prop_assert!(!a.matches(&peks));
        let mut paeks = PaeksEntry(entry);
        paeks.0[0] = 0x80 | (paeks.0[0] & 0x0f);
        paeks.0[48] = 0x80 | (paeks.0[48] & 0x0f);
        prop_assert!(!b.matches(&paeks));
    }
}

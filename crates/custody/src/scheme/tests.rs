//! What all schemes have in common, and where they differ: generic over [`IndexScheme`].

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use caduceus_crypto::index::{Clause, IndexView, MAX_TAGS, Query, Scanned, Tag, slot_matches};
use proptest::prelude::*;
use rand_core::{CryptoRng, RngCore};

use super::*;
use crate::fixtures::{patient, rng};
use crate::keyword::Keyword;
use crate::query::{KeywordClause, matches};
use crate::tags::author_entries;

const WORDS: [&str; 5] = ["aa", "bb", "cc", "dd", "ee"];

fn word(n: usize) -> Keyword {
    Keyword::term(WORDS[n]).unwrap()
}

fn base() -> Epoch {
    Epoch::from_ymd(2026, 11, 20).unwrap()
}

fn plus(days: u32) -> Epoch {
    Epoch(base().0 + days)
}

/// One hospital's index, as a node keeps it. Records are numbered in the order of linking.
#[derive(Default)]
struct Index {
    tags: BTreeMap<Tag, u32>,
    records: Vec<Scanned<u32>>,
}

impl Index {
    fn add(&mut self, day: Epoch, entries: IndexEntries) {
        let record = u32::try_from(self.records.len()).unwrap();
        for tag in entries.tags() {
            assert!(self.tags.insert(*tag, record).is_none(), "a tag twice");
        }
        self.records.push(Scanned {
            record,
            day,
            entries,
        });
    }
}

impl IndexView for Index {
    type Record = u32;
    type Error = Infallible;

    fn probe(&mut self, tag: &Tag) -> Result<Option<u32>, Infallible> {
        Ok(self.tags.get(tag).copied())
    }

    fn nth(&mut self, n: u64) -> Result<Option<Scanned<u32>>, Infallible> {
        let n = usize::try_from(n).unwrap();
        Ok(self.records.get(n).cloned())
    }
}

/// The day on which a record is anchored, and its keywords by number.
type Corpus = Vec<(Epoch, BTreeSet<usize>)>;

/// An index of a corpus, each entry admitted as nodes do, each keyword with the count of its day.
fn indexed<S: IndexScheme>(
    rng: &mut (impl CryptoRng + RngCore),
    hospital: &HospitalSide,
    corpus: &Corpus,
) -> Index {
    let mut index = Index::default();
    let mut counts: BTreeMap<(Epoch, usize), u32> = BTreeMap::new();
    for (day, numbers) in corpus {
        let words: Vec<(Keyword, u32)> = numbers
            .iter()
            .map(|n| {
                let count = counts.entry((*day, *n)).or_default();
                *count += 1;
                (word(*n), *count - 1)
            })
            .collect();
        let words: Vec<(&str, u32)> = words
            .iter()
            .map(|(keyword, count)| (keyword.as_str(), *count))
            .collect();
        let key = S::author_key(hospital, *day);
        let entries = S::index(rng, &key, *day, &words).unwrap();
        assert_eq!(entries.check(S::ID), Ok(()));
        assert_eq!(
            entries.len(),
            words.len().max(1).next_multiple_of(TAG_GROUP)
        );
        index.add(*day, entries);
    }
    index
}

/// The query as it travels: one slot for each keyword that occurs.
fn query<S: IndexScheme>(
    key: &S::PatientKey,
    clauses: &[KeywordClause],
    from: Epoch,
    to: Epoch,
) -> Query {
    let words: BTreeSet<&Keyword> = clauses.iter().flat_map(|clause| &clause.keywords).collect();
    let words: Vec<&str> = words.into_iter().map(Keyword::as_str).collect();
    let slot = |keyword: &Keyword| {
        let at = words.iter().position(|word| *word == keyword.as_str());
        u8::try_from(at.unwrap()).unwrap()
    };
    Query {
        clauses: clauses
            .iter()
            .map(|clause| Clause {
                negative: clause.negative,
                slots: clause.keywords.iter().map(&slot).collect(),
            })
            .collect(),
        slots: S::slots(key, &words, from, to),
    }
}

/// What the nodes answer to each query over a corpus.
fn answers<S: IndexScheme>(
    seed: u64,
    corpus: &Corpus,
    queries: &[Vec<KeywordClause>],
    from: Epoch,
    to: Epoch,
) -> Vec<BTreeSet<u32>> {
    let mut rng = rng(seed);
    let (hospital, patient) = S::keygen(&mut rng);
    let mut index = indexed::<S>(&mut rng, &hospital, corpus);
    let key = S::patient_key(&patient);
    queries
        .iter()
        .map(|clauses| {
            let checked = query::<S>(&key, clauses, from, to)
                .verify(S::ID, Epoch(base().0 - 500), plus(500))
                .unwrap();
            let found = checked.run(4_096, 65_536, &mut index).unwrap();
            assert_eq!(found.stopped_at, None);
            found.hits.into_iter().collect()
        })
        .collect()
}

/// What the keywords themselves answer.
fn plain_answer(
    corpus: &Corpus,
    clauses: &[KeywordClause],
    from: Epoch,
    to: Epoch,
) -> BTreeSet<u32> {
    (0u32..)
        .zip(corpus)
        .filter(|(_, (day, numbers))| {
            let words = numbers.iter().map(|n| word(*n)).collect();
            (from..=to).contains(day) && matches(clauses, &words)
        })
        .map(|(record, _)| record)
        .collect()
}

fn some_corpus() -> impl Strategy<Value = Corpus> {
    let record = (0u32..100, prop::collection::btree_set(0..WORDS.len(), 0..5));
    prop::collection::vec(record, 0..8).prop_map(|records| {
        records
            .into_iter()
            .map(|(day, numbers)| (plus(day), numbers))
            .collect()
    })
}

/// Clauses of which the first is positive.
fn some_clauses() -> impl Strategy<Value = Vec<KeywordClause>> {
    let clause = (
        any::<bool>(),
        prop::collection::btree_set(0..WORDS.len(), 1..4),
    );
    prop::collection::vec(clause, 1..4).prop_map(|clauses| {
        clauses
            .into_iter()
            .enumerate()
            .map(|(at, (negative, numbers))| KeywordClause {
                negative: negative && at > 0,
                keywords: numbers.into_iter().map(word).collect(),
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Over random corpora, days and queries in normal form, every scheme answers as the keywords themselves do.
    #[test]
    fn all_schemes_answer_as_plain_text(
        seed in any::<u64>(),
        corpus in some_corpus(),
        queries in prop::collection::vec(some_clauses(), 1..4),
        first in 0u32..60,
        days in 0u32..100,
    ) {
        let (from, to) = (plus(first), plus(first + days));
        let expected: Vec<BTreeSet<u32>> = queries
            .iter()
            .map(|clauses| plain_answer(&corpus, clauses, from, to))
            .collect();
        let tags = answers::<TagsScheme>(seed, &corpus, &queries, from, to);
        prop_assert_eq!(&tags, &expected);
        let peks = answers::<PeksScheme>(seed, &corpus, &queries, from, to);
        prop_assert_eq!(&peks, &expected);
        let paeks = answers::<PaeksScheme>(seed, &corpus, &queries, from, to);
        prop_assert_eq!(&paeks, &expected);
    }

    #[test]
    fn a_tags_trapdoor_matches_exactly_its_keyword(seed in any::<u64>(), held in some_words(), counts in some_counts()) {
        matches_exactly::<TagsScheme>(seed, &held, &counts, true)?;
    }

    #[test]
    fn a_peks_trapdoor_matches_exactly_its_keyword(seed in any::<u64>(), held in some_words(), counts in some_counts()) {
        matches_exactly::<PeksScheme>(seed, &held, &counts, false)?;
    }

    #[test]
    fn a_paeks_trapdoor_matches_exactly_its_keyword(seed in any::<u64>(), held in some_words(), counts in some_counts()) {
        matches_exactly::<PaeksScheme>(seed, &held, &counts, true)?;
    }
}

fn some_words() -> impl Strategy<Value = BTreeSet<usize>> {
    prop::collection::btree_set(0..WORDS.len(), 0..=WORDS.len())
}

fn some_counts() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(0u32..64, WORDS.len())
}

/// A trapdoor for a keyword matches a record's entries if the record holds the keyword, on the days that it is for,
/// with the keys of the patient that the record is of, and at the hospital that wrote it: the last where the scheme
/// binds trapdoors to a hospital. (peks does not: its keys are the patient's alone.)
fn matches_exactly<S: IndexScheme>(
    seed: u64,
    held: &BTreeSet<usize>,
    counts: &[u32],
    bound_to_hospital: bool,
) -> Result<(), TestCaseError> {
    let mut rng = rng(seed);
    let (hospital, her) = S::keygen(&mut rng);
    let stranger = PatientKeys::from_seed(&PatientSeed::generate(&mut rng));
    let (_, stranger) = register(S::ID, &hospital.service, hospital.hospital, stranger);
    let elsewhere = IndexKeyService::new(SecretKey::generate(&mut rng));
    let (_, her_elsewhere) = register(S::ID, &elsewhere, HospitalId([0x77; 32]), her.keys.clone());

    let key = S::author_key(&hospital, base());
    let words: Vec<(Keyword, u32)> = held.iter().map(|n| (word(*n), counts[*n])).collect();
    let words: Vec<(&str, u32)> = words
        .iter()
        .map(|(w, count)| (w.as_str(), *count))
        .collect();
    let entries = S::index(&mut rng, &key, base(), &words).unwrap();
    prop_assert_eq!(entries.check(S::ID), Ok(()));

    let asked: Vec<Keyword> = (0..WORDS.len()).map(word).collect();
    let asked: Vec<&str> = asked.iter().map(Keyword::as_str).collect();
    let ask = |side: &PatientSide, from: Epoch, to: Epoch| -> Vec<bool> {
        let slots = S::slots(&S::patient_key(side), &asked, from, to);
        assert_eq!((slots.scheme(), slots.len()), (S::ID, asked.len()));
        (0..asked.len())
            .map(|slot| slot_matches(&slots, slot, base(), &entries))
            .collect()
    };
    let truth: Vec<bool> = (0..WORDS.len()).map(|n| held.contains(&n)).collect();
    let never = vec![false; WORDS.len()];
    let (before, after) = (Epoch(base().0 - 1), plus(1));
    prop_assert_eq!(ask(&her, base(), base()), truth.clone());
    prop_assert_eq!(ask(&her, before, plus(200)), truth.clone());
    prop_assert_eq!(ask(&her, after, plus(200)), never.clone(), "other days");
    prop_assert_eq!(
        ask(&her, Epoch(base().0 - 200), before),
        never.clone(),
        "other days"
    );
    prop_assert_eq!(
        ask(&stranger, before, after),
        never.clone(),
        "another patient"
    );
    let there = if bound_to_hospital { never } else { truth };
    prop_assert_eq!(
        ask(&her_elsewhere, before, after),
        there,
        "another hospital"
    );
    Ok(())
}

/// What is known at run time only leads to the same entries and trapdoors as the trait.
fn runtime_agrees<S: IndexScheme>() {
    let mut rng = rng(60);
    let (hospital, her) = S::keygen(&mut rng);
    let words = ["term:asthma", "type:Condition", "term:asthma"];
    let visit_key = hospital.visit_key(S::ID, base());
    let key = author_key(S::ID, base().quarter(), &visit_key, &hospital.meta).unwrap();
    assert_eq!(key.scheme(), S::ID);
    let entries = match (&key, key.scan_entries(&mut rng, &words)) {
        (AuthorKey::Tags(key), None) => {
            let counted = words.map(|word| (word, 0u32));
            author_entries(&mut rng, key, base(), &counted).unwrap()
        }
        (AuthorKey::Peks(_) | AuthorKey::Paeks(_), Some(entries)) => entries.unwrap(),
        (key, _) => panic!("{key:?}"),
    };
    assert_eq!((entries.check(S::ID), entries.len()), (Ok(()), TAG_GROUP));

    let asked = ["type:Condition", "term:gout", "term:asthma"];
    let (from, to) = (Epoch(base().0 - 5), base());
    let (at, index) = (&her.hospital, &her.index);
    let slots = slots(S::ID, &her.keys, at, index, &asked, from, to);
    assert_eq!(slots, S::slots(&S::patient_key(&her), &asked, from, to));
    let found = [0, 1, 2].map(|slot| slot_matches(&slots, slot, base(), &entries));
    assert_eq!(found, [true, false, true], "{}", S::ID);
}

#[test]
fn the_scheme_may_be_known_at_run_time_only() {
    runtime_agrees::<TagsScheme>();
    runtime_agrees::<PeksScheme>();
    runtime_agrees::<PaeksScheme>();
}

#[test]
fn an_author_without_the_schemes_key_is_told_so() {
    let quarter = base().quarter();
    let plain = patient(1).meta();
    let with = |scheme| patient(1).with_scheme(scheme).meta();
    let zeros = [0u8; 32];
    assert!(author_key(SchemeId::Tags, quarter, &zeros, &plain).is_ok());
    for scheme in [SchemeId::Peks, SchemeId::Paeks] {
        assert_eq!(
            author_key(scheme, quarter, &[1; 32], &plain).unwrap_err(),
            SchemeKeyError::Missing { scheme }
        );
    }
    assert!(author_key(SchemeId::Peks, quarter, &zeros, &with(SchemeId::Peks)).is_ok());
    let scheme = SchemeId::Paeks;
    for bytes in [zeros, [0xff; 32]] {
        assert_eq!(
            author_key(scheme, quarter, &bytes, &with(scheme)).unwrap_err(),
            SchemeKeyError::VisitKey { scheme }
        );
    }
    assert!(author_key(scheme, quarter, &[1; 32], &with(scheme)).is_ok());
}

/// Padding, repetitions and refusals of one scheme.
fn has_one_form<S: IndexScheme>() {
    let mut rng = rng(61);
    let (hospital, _) = S::keygen(&mut rng);
    let key = S::author_key(&hospital, base());
    let names: Vec<String> = (0..=MAX_TAGS).map(|n| format!("term:word{n}")).collect();
    let counted = |count: usize| -> Vec<(&str, u32)> {
        names[..count]
            .iter()
            .map(|name| (name.as_str(), 0))
            .collect()
    };
    for (count, length) in [(0, 8), (1, 8), (8, 8), (9, 16)] {
        let entries = S::index(&mut rng, &key, base(), &counted(count)).unwrap();
        assert_eq!(entries.check(S::ID), Ok(()));
        assert_eq!(entries.len(), length, "{} {count}", S::ID);
    }
    let repeated = [("term:asthma", 0u32); 9];
    let entries = S::index(&mut rng, &key, base(), &repeated).unwrap();
    assert_eq!(entries.len(), 8);
    let mut refused = |words: &[(&str, u32)]| S::index(&mut rng, &key, base(), words).unwrap_err();
    assert_eq!(
        refused(&[("term:asthma", 0), ("", 0)]),
        IndexError::EmptyKeyword
    );
    assert_eq!(
        refused(&counted(MAX_TAGS + 1)),
        IndexError::TooManyKeywords {
            limit: MAX_TAGS,
            found: MAX_TAGS + 1
        }
    );
}

#[test]
fn entries_have_one_form_under_every_scheme() {
    has_one_form::<TagsScheme>();
    has_one_form::<PeksScheme>();
    has_one_form::<PaeksScheme>();
}

/// Two records of the same keywords on one day show nothing in common.
fn shares_nothing<S: IndexScheme>(counts: [u32; 2]) {
    let mut rng = rng(62);
    let (hospital, _) = S::keygen(&mut rng);
    let key = S::author_key(&hospital, base());
    let [one, two] = counts.map(|count| {
        let words = [("term:asthma", count), ("type:Condition", count)];
        let entries = S::index(&mut rng, &key, base(), &words).unwrap();
        // Points and masks stand in pieces of 16 bytes, or of a multiple.
        let bytes: Vec<u8> = match &entries {
            IndexEntries::Tags(tags) => tags.iter().flat_map(|tag| tag.0).collect(),
            IndexEntries::Peks(list) => list.iter().flat_map(|entry| entry.0).collect(),
            IndexEntries::Paeks(list) => list.iter().flat_map(|entry| entry.0).collect(),
        };
        bytes
            .chunks(16)
            .map(<[u8]>::to_vec)
            .collect::<BTreeSet<Vec<u8>>>()
    });
    assert!(one.len() >= TAG_GROUP && two.len() >= TAG_GROUP);
    assert!(one.is_disjoint(&two), "{}", S::ID);
}

#[test]
fn records_of_the_same_keywords_share_no_bytes() {
    shares_nothing::<TagsScheme>([0, 1]);
    shares_nothing::<PeksScheme>([0, 0]);
    shares_nothing::<PaeksScheme>([0, 0]);
}

#[test]
fn debug_shows_no_secret() {
    let (hospital, her) = PaeksScheme::keygen(&mut rng(63));
    assert_eq!(
        format!("{hospital:?}"),
        format!("HospitalSide({}, redacted)", hospital.hospital)
    );
    assert_eq!(
        format!("{her:?}"),
        format!("PatientSide({}, redacted)", her.hospital)
    );
}

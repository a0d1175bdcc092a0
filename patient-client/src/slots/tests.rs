use super::*;
use crate::testing::Clinic;
use caduceus_crypto::index::{IndexEntries, IndexView, Scanned, Slots, Tag};
use caduceus_custody::query::parse;
use caduceus_custody::scheme::{IndexScheme, PaeksScheme, PeksScheme, TagsScheme};
use std::convert::Infallible;

/// A hospital's records, each with its day, as a node indexes them; a record is its number.
struct Index(Vec<(Epoch, IndexEntries)>);

impl IndexView for Index {
    type Record = u64;
    type Error = Infallible;

    fn probe(&mut self, tag: &Tag) -> Result<Option<u64>, Infallible> {
        let at = |(_, entries): &(Epoch, IndexEntries)| entries.tags().contains(tag);
        Ok(self.0.iter().position(at).map(|number| number as u64))
    }

    fn nth(&mut self, n: u64) -> Result<Option<Scanned<u64>>, Infallible> {
        let row = self.0.get(n as usize).cloned();
        Ok(row.map(|(day, entries)| Scanned {
            record: n,
            day,
            entries,
        }))
    }
}

fn day(year: u16, month: u8, day: u8) -> Epoch {
    Epoch::from_ymd(year, month, day).unwrap()
}

fn queries_find_what_they_mean<S: IndexScheme>() {
    let mut clinic = Clinic::<S>::new(22);
    let records: [(Epoch, &[&str]); 4] = [
        (day(2026, 2, 3), &["term:asthma", "term:cough"]),
        (day(2026, 2, 3), &["term:asthma"]),
        (day(2026, 5, 30), &["term:cough", "type:Condition"]),
        (
            day(2026, 11, 20),
            &["term:asthma", "term:cough", "type:Condition"],
        ),
    ];
    let rows = records
        .into_iter()
        .map(|(day, keywords)| (day, clinic.record(day, keywords).leaf.entries))
        .collect();
    let mut index = Index(rows);
    let with = clinic.with();
    let mut search = |text: &str, from: Epoch, to: Epoch| {
        let clauses = parse(text).unwrap().compile().unwrap();
        let query = compile_slots(&with, &clauses, from, to);
        let checked = query.verify(S::ID, from, to).unwrap();
        checked.run(100, 100_000, &mut index).unwrap().hits
    };
    let (from, to) = (day(2026, 1, 15), day(2026, 11, 20));
    assert_eq!(search("asthma", from, to), [0, 1, 3]);
    assert_eq!(search("asthma cough", from, to), [0, 3]);
    assert_eq!(search("asthma OR type:Condition", from, to), [0, 1, 2, 3]);
    assert_eq!(search("asthma NOT cough", from, to), [1]);
    assert!(search("gout", from, to).is_empty());
    // Other days than those asked for are not found.
    assert_eq!(search("asthma", day(2026, 2, 4), to), [3]);
    assert_eq!(search("asthma", from, day(2026, 11, 19)), [0, 1]);
}

#[test]
fn queries_find_what_they_mean_under_every_scheme() {
    queries_find_what_they_mean::<TagsScheme>();
    queries_find_what_they_mean::<PeksScheme>();
    queries_find_what_they_mean::<PaeksScheme>();
}

fn a_keyword_takes_one_slot<S: IndexScheme>() {
    let clinic = Clinic::<S>::new(23);
    let clauses = parse("(asthma OR cough) AND (asthma OR gout)")
        .unwrap()
        .compile()
        .unwrap();
    let (from, to) = (day(2026, 1, 1), day(2026, 3, 31));
    let query = compile_slots(&clinic.with(), &clauses, from, to);
    assert_eq!(query.slots.len(), 3);
    assert_eq!(query.clauses.len(), 2);
    query.verify(S::ID, from, to).unwrap();
}

#[test]
fn a_keyword_in_two_clauses_takes_one_slot() {
    a_keyword_takes_one_slot::<TagsScheme>();
    a_keyword_takes_one_slot::<PeksScheme>();
    a_keyword_takes_one_slot::<PaeksScheme>();
}

#[test]
fn windows_cover_the_range_within_the_bounds() {
    let clinic = Clinic::<TagsScheme>::new(24);
    let words: Vec<String> = (0..40).map(|number| format!("word{number}")).collect();
    let clauses = parse(&words.join(" OR ")).unwrap().compile().unwrap();
    let (from, to) = (day(2015, 1, 2), day(2026, 11, 20));
    let parts = windows(SchemeId::Tags, &clauses, from, to);
    assert!(parts.len() > 1);
    assert_eq!((parts[0].0, parts[parts.len() - 1].1), (from, to));
    for pair in parts.windows(2) {
        assert_eq!(pair[0].1.0 + 1, pair[1].0.0);
    }
    for (first, last) in &parts {
        let query = compile_slots(&clinic.with(), &clauses, *first, *last);
        query.verify(SchemeId::Tags, from, to).unwrap();
    }
    let one = parse("asthma").unwrap().compile().unwrap();
    assert_eq!(windows(SchemeId::Tags, &one, to, to), [(to, to)]);
    for scheme in SchemeId::ALL {
        assert!(windows(scheme, &clauses, to, from).is_empty());
    }
}

#[test]
fn a_scan_is_one_window_however_long() {
    let clinic = Clinic::<PeksScheme>::new(25);
    let clauses = parse("asthma OR cough").unwrap().compile().unwrap();
    let (from, to) = (day(1990, 1, 1), day(2026, 11, 20));
    for scheme in [SchemeId::Peks, SchemeId::Paeks] {
        assert_eq!(windows(scheme, &clauses, from, to), [(from, to)]);
    }
    let query = compile_slots(&clinic.with(), &clauses, from, to);
    let Slots::Peks(scan) = &query.slots else {
        panic!("another scheme");
    };
    assert_eq!((scan.first, scan.last), (from, to));
    assert_eq!(query.verify(SchemeId::Peks, from, to).unwrap().leaves(), 0);
}

use super::*;
use crate::local::linked_entries;
use crate::testing::Clinic;
use caduceus_custody::scheme::{IndexScheme, PaeksScheme, PeksScheme, TagsScheme};

fn today() -> Epoch {
    Epoch::from_ymd(2026, 11, 20).unwrap()
}

fn keywords(words: &[&str]) -> BTreeSet<Keyword> {
    words
        .iter()
        .map(|word| Keyword::term(word).unwrap())
        .collect()
}

fn expected(own: usize, words: &[&str]) -> Expected {
    Expected {
        own,
        day: today(),
        keywords: keywords(words),
    }
}

/// What is wrong with her records, when all of these are linked.
fn look<S: IndexScheme>(
    clinic: &Clinic<S>,
    own: &[OwnRecord],
    said: &[Expected],
    all: &[OwnRecord],
) -> Vec<Misindexed> {
    let history = clinic.history(all);
    let linked = linked_entries(own, &history);
    inspect(&clinic.with(), own, said, &linked)
}

fn missing(wrong: &Misindexed) -> Vec<&str> {
    let missing = wrong.missing.iter();
    missing.map(|each| each.keyword.as_str()).collect()
}

fn a_missing_keyword_is_found<S: IndexScheme>() {
    let mut clinic = Clinic::<S>::new(61);
    let own = [
        clinic.record(today(), &["term:asthma", "term:cough"]),
        clinic.record(today(), &["term:cough"]),
    ];
    let right = [expected(0, &["asthma", "cough"]), expected(1, &["cough"])];
    assert!(look(&clinic, &own, &right, &own).is_empty());
    // The second record says asthma and gout too, but was not indexed so.
    let said = [
        expected(0, &["asthma", "cough"]),
        expected(1, &["asthma", "cough", "gout"]),
    ];
    let wrong = look(&clinic, &own, &said, &own);
    assert_eq!(wrong.len(), 1);
    assert_eq!((wrong[0].own, wrong[0].day), (1, today()));
    assert_eq!(missing(&wrong[0]), ["term:asthma", "term:gout"]);
    let stops: Vec<Option<u32>> = wrong[0]
        .missing
        .iter()
        .map(|each| each.stop.map(|stop| stop.counter))
        .collect();
    if S::ID == SchemeId::Tags {
        // The first record has asthma number 0; nobody has gout.
        assert_eq!(stops, [Some(1), Some(0)]);
    } else {
        assert_eq!(stops, [None, None]);
    }
    assert!(wrong[0].gaps.is_empty());
}

#[test]
fn a_missing_keyword_is_found_under_every_scheme() {
    a_missing_keyword_is_found::<TagsScheme>();
    a_missing_keyword_is_found::<PeksScheme>();
    a_missing_keyword_is_found::<PaeksScheme>();
}

#[test]
fn a_gap_is_found_between_two_records() {
    let mut clinic = Clinic::<TagsScheme>::new(62);
    let own = [
        clinic.record_numbered(today(), &[("term:asthma", 0), ("term:cough", 0)]),
        clinic.record_numbered(today(), &[("term:asthma", 2), ("term:cough", 1)]),
        clinic.record_numbered(today(), &[("term:asthma", 3)]),
    ];
    let said = [
        expected(0, &["asthma", "cough"]),
        expected(1, &["asthma", "cough"]),
        expected(2, &["asthma"]),
    ];
    let wrong = look(&clinic, &own, &said, &own);
    assert_eq!(wrong.len(), 1);
    assert_eq!(wrong[0].own, 1);
    assert!(wrong[0].missing.is_empty());
    let [(gap, tag)] = wrong[0].gaps.as_slice() else {
        panic!("{} gaps", wrong[0].gaps.len());
    };
    assert_eq!((gap.first_missing, gap.missing), (1, 1));
    assert_eq!(gap.before, Some(own[0].found));
    assert_eq!(gap.after, own[1].found);
    // A record that carries the missing number closes it, opened or not, hers or not.
    let closing = clinic.record_numbered(today(), &[("term:asthma", 1)]);
    assert!(closing.leaf.entries.tags().contains(tag));
    let mut with_it = own.to_vec();
    with_it.push(closing.clone());
    assert!(look(&clinic, &with_it, &said, &with_it).is_empty());
    assert!(look(&clinic, &own, &said, &with_it).is_empty());
}

#[test]
fn a_gap_before_an_unopened_record_is_found() {
    let mut clinic = Clinic::<TagsScheme>::new(63);
    let own = [
        clinic.record_numbered(today(), &[("term:asthma", 0)]),
        clinic.record_numbered(today(), &[("term:asthma", 2)]),
    ];
    let said = [expected(0, &["asthma"])];
    let wrong = look(&clinic, &own, &said, &own);
    assert_eq!(wrong.len(), 1);
    assert_eq!(wrong[0].own, 1);
    assert_eq!(wrong[0].gaps[0].0.before, Some(own[0].found));
}

#[test]
fn tags_of_a_neighbouring_day_are_not_missing() {
    let mut clinic = Clinic::<TagsScheme>::new(64);
    let mut late = clinic.record(today(), &["term:asthma"]);
    late.day = Epoch(today().0 + 1);
    let own = [late];
    for sealed in [today(), Epoch(today().0 + 1)] {
        let said = [Expected {
            own: 0,
            day: sealed,
            keywords: keywords(&["asthma"]),
        }];
        assert!(look(&clinic, &own, &said, &own).is_empty());
    }
}

/// More records of a day with a keyword than a byte counts, as a ward round makes: nothing is wrong.
#[test]
fn a_busy_day_is_not_wrongly_indexed() {
    const RECORDS: usize = 300;
    let mut clinic = Clinic::<TagsScheme>::new(65);
    let own: Vec<OwnRecord> = (0..RECORDS)
        .map(|_| clinic.record(today(), &["term:asthma"]))
        .collect();
    let said: Vec<Expected> = (0..RECORDS).map(|at| expected(at, &["asthma"])).collect();
    assert!(look(&clinic, &own, &said, &own).is_empty());
    // Of which one is left out: all behind it are hidden, the first of them is told.
    let mut others = own.clone();
    let hidden = others.remove(280);
    let said: Vec<Expected> = (0..RECORDS - 1)
        .map(|at| expected(at, &["asthma"]))
        .collect();
    let wrong = look(&clinic, &others, &said, &others);
    assert_eq!(wrong.len(), 1);
    let (gap, tag) = &wrong[0].gaps[0];
    assert_eq!((wrong[0].own, gap.first_missing), (280, 280));
    assert!(hidden.leaf.entries.tags().contains(tag));
    assert!(wrong[0].missing.is_empty());
    println!("{RECORDS} records of one keyword on one day");
}

#[test]
fn what_is_numbered_far_behind_a_gap_misses_its_keyword() {
    let mut clinic = Clinic::<TagsScheme>::new(66);
    let own = [
        clinic.record_numbered(today(), &[("term:asthma", 0)]),
        clinic.record_numbered(today(), &[("term:asthma", GAP + 2)]),
    ];
    let said = [expected(0, &["asthma"]), expected(1, &["asthma"])];
    let wrong = look(&clinic, &own, &said, &own);
    assert_eq!(wrong.len(), 1);
    assert_eq!(missing(&wrong[0]), ["term:asthma"]);
    assert_eq!(wrong[0].missing[0].stop.map(|stop| stop.counter), Some(1));
    // One number nearer it is behind a gap.
    let near = clinic.record_numbered(today(), &[("term:asthma", GAP + 1)]);
    let own = [own[0].clone(), near];
    let wrong = look(&clinic, &own, &said, &own);
    assert_eq!(wrong.len(), 1);
    assert!(wrong[0].missing.is_empty());
    assert_eq!(wrong[0].gaps[0].0.missing, GAP);
}

#[test]
fn a_gap_on_a_neighbouring_day_is_told_of_that_day() {
    let mut clinic = Clinic::<TagsScheme>::new(67);
    let tags_day = Epoch(today().0 + 1);
    let mut own = [
        clinic.record_numbered(tags_day, &[("term:asthma", 0)]),
        clinic.record_numbered(tags_day, &[("term:asthma", 2)]),
    ];
    // Their private blocks, and the headers of the records, are of the day before.
    for each in &mut own {
        each.day = today();
    }
    let said = [expected(0, &["asthma"]), expected(1, &["asthma"])];
    let wrong = look(&clinic, &own, &said, &own);
    assert_eq!(wrong.len(), 1);
    assert_eq!((wrong[0].own, wrong[0].day), (1, tags_day));
    assert_eq!(wrong[0].gaps[0].0.first_missing, 1);
}

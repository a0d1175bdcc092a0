use super::*;
use crate::fixtures::rng;
use crate::index_key::IndexKeyService;
use crate::scheme::{
    HospitalSide, IndexScheme, PaeksScheme, PatientSide, PeksScheme, TagsScheme, register,
};
use crate::seed::PatientSeed;
use caduceus_crypto::keys::SecretKey;
use rand_chacha::ChaCha20Rng;

fn day() -> Epoch {
    Epoch::from_ymd(2026, 11, 20).unwrap()
}

fn always() -> RangeInclusive<Epoch> {
    Epoch(0)..=Epoch(40_000)
}

/// Her records on `day()`, and all tags.
fn linked<'a>(own: &'a [IndexEntries], others: &[IndexEntries]) -> LinkedEntries<'a> {
    let tags = own.iter().chain(others).flat_map(IndexEntries::tags);
    let tags = tags.copied().collect();
    let own = own.iter().map(|entries| OwnEntries {
        day: day(),
        entries,
    });
    LinkedEntries::new(own.collect(), tags)
}

fn seeker<'a, S: IndexScheme>(patient: &PatientSide, linked: &'a LinkedEntries<'a>) -> Seeker<'a> {
    let PatientSide {
        keys,
        hospital,
        index,
    } = patient;
    Seeker::new(S::ID, keys, hospital, index, linked)
}

fn tagged(
    rng: &mut ChaCha20Rng,
    hospital: &HospitalSide,
    day: Epoch,
    numbered: &[(&str, u32)],
) -> IndexEntries {
    let key = TagsScheme::author_key(hospital, day);
    TagsScheme::index(rng, &key, day, numbered).unwrap()
}

/// Under each scheme: her own keywords are found, also when asked for again; others are not; nothing is found with
/// another patient's keys, nor in entries of another scheme.
fn finds_its_own<S: IndexScheme>() {
    let mut rng = rng(40);
    let (hospital, patient) = S::keygen(&mut rng);
    let key = S::author_key(&hospital, day());
    let own: Vec<IndexEntries> = [
        &[("term:asthma", 0), ("type:Condition", 0), ("year:2026", 0)][..],
        &[("term:asthma", 1), ("year:2026", 1)][..],
    ]
    .iter()
    .map(|written| S::index(&mut rng, &key, day(), written).unwrap())
    .collect();
    let linked = linked(&own, &[]);
    let expected: [(&str, &[usize]); 5] = [
        ("year:2026", &[0, 1]),
        ("term:gout", &[]),
        ("term:asthma", &[0, 1]),
        ("year:2026", &[0, 1]),
        ("type:Condition", &[0]),
    ];
    let mut hers = seeker::<S>(&patient, &linked);
    let second = BTreeSet::from([1, 7]);
    for (keyword, records) in expected {
        let found = hers.records(keyword, &always(), None);
        assert_eq!(found, records.iter().copied().collect(), "{keyword}");
        let found = hers.records(keyword, &always(), Some(&second));
        assert_eq!(found.contains(&1), records.contains(&1), "{keyword}");
        assert!(found.len() < 2);
        let (before, after) = (Epoch(day().0 - 1), Epoch(day().0 + 1));
        assert!(hers.records(keyword, &(Epoch(0)..=before), None).is_empty());
        assert!(
            hers.records(keyword, &(after..=Epoch(40_000)), None)
                .is_empty()
        );
    }
    let seed = PatientSeed::generate(&mut rng);
    let stranger = PatientSide {
        keys: PatientKeys::from_seed(&seed).with_scheme(S::ID),
        ..patient.clone()
    };
    let mut hers = seeker::<S>(&stranger, &linked);
    for (keyword, _) in expected {
        assert!(hers.records(keyword, &always(), None).is_empty());
    }
    let mut others = 0;
    for scheme in SchemeId::ALL.into_iter().filter(|scheme| *scheme != S::ID) {
        let (at, index) = (&patient.hospital, &patient.index);
        let mut other = Seeker::new(scheme, &patient.keys, at, index, &linked);
        for (keyword, _) in expected {
            assert!(other.records(keyword, &always(), None).is_empty());
        }
        others += 1;
    }
    assert_eq!(others, 2);
}

#[test]
fn every_scheme_finds_its_own_keywords_only() {
    finds_its_own::<TagsScheme>();
    finds_its_own::<PeksScheme>();
    finds_its_own::<PaeksScheme>();
}

/// More records of a keyword on one day than a byte counts.
#[test]
fn a_day_of_many_records_has_no_end_but_its_own() {
    const RECORDS: u32 = 700;
    let mut rng = rng(41);
    let (hospital, patient) = TagsScheme::keygen(&mut rng);
    let own: Vec<IndexEntries> = (0..RECORDS)
        .map(|number| tagged(&mut rng, &hospital, day(), &[("term:asthma", number)]))
        .collect();
    let linked = linked(&own, &[]);
    let mut hers = seeker::<TagsScheme>(&patient, &linked);
    let found = hers.records("term:asthma", &always(), None);
    assert_eq!(found.len(), own.len());
    let numbers = hers.numbers("term:asthma", &BTreeSet::from([day()]), 0);
    let numbers = &numbers[&day()];
    assert_eq!(numbers.stop, RECORDS);
    for (record, number) in (0..RECORDS).enumerate() {
        assert_eq!(numbers.of(record), Some(number));
    }
    let next = tagged(&mut rng, &hospital, day(), &[("term:asthma", RECORDS)]);
    assert!(next.tags().contains(&numbers.stop_tag));
    assert_eq!(
        hers.tag("term:asthma", day(), RECORDS),
        Some(numbers.stop_tag)
    );
    println!("{RECORDS} records of one keyword on one day");
}

#[test]
fn a_search_stops_at_a_gap_and_a_check_looks_behind_it() {
    let mut rng = rng(42);
    let (hospital, patient) = TagsScheme::keygen(&mut rng);
    let mut write = |number| tagged(&mut rng, &hospital, day(), &[("term:asthma", number)]);
    let own = [write(0), write(2), write(9)];
    let strangers = [write(1)];
    let ask = |others: &[IndexEntries], gap: u32| {
        let linked = linked(&own, others);
        let mut hers = seeker::<TagsScheme>(&patient, &linked);
        let numbers = hers.numbers("term:asthma", &BTreeSet::from([day()]), gap);
        let numbers = numbers[&day()].clone();
        let found = hers.records("term:asthma", &always(), None);
        (numbers, found.into_iter().collect::<Vec<usize>>())
    };
    let (numbers, found) = ask(&[], 0);
    assert_eq!((numbers.stop, found), (1, vec![0]));
    assert_eq!(numbers.carried, BTreeMap::from([(0, Some(0))]));
    // One missing number is looked over, six are not.
    let (numbers, _) = ask(&[], 1);
    let carried = BTreeMap::from([(0, Some(0)), (2, Some(1))]);
    assert_eq!((numbers.stop, &numbers.carried), (1, &carried));
    let (numbers, found) = ask(&[], 6);
    assert_eq!(numbers.own().collect::<Vec<_>>(), [(0, 0), (2, 1), (9, 2)]);
    // What is looked over is still not found.
    assert_eq!((numbers.stop, found), (1, vec![0]));
    // Another's record closes the gap as well as hers would.
    let (numbers, found) = ask(&strangers, 0);
    assert_eq!((numbers.stop, found), (3, vec![0, 1]));
    assert_eq!(numbers.carried[&1], None);
}

#[test]
fn tags_count_by_their_own_day() {
    let mut rng = rng(43);
    let (hospital, patient) = TagsScheme::keygen(&mut rng);
    // The last day of a quarter, the day after, and one too far away.
    let block = Epoch::from_ymd(2026, 3, 31).unwrap();
    for (ahead, seen) in [(0, true), (1, true), (2, false), (90, false)] {
        let tags_day = Epoch(block.0 + ahead);
        let entries = tagged(&mut rng, &hospital, tags_day, &[("term:asthma", 0)]);
        let own = OwnEntries {
            day: block,
            entries: &entries,
        };
        let linked = LinkedEntries::new(vec![own], entries.tags().to_vec());
        let mut hers = seeker::<TagsScheme>(&patient, &linked);
        let mut found = |days| !hers.records("term:asthma", &days, None).is_empty();
        assert_eq!(found(always()), seen, "{ahead}");
        assert_eq!(found(tags_day..=tags_day), seen, "{ahead}");
        assert!(!found(Epoch(tags_day.0 + 1)..=Epoch(40_000)));
        let places = hers.places("term:asthma", &always(), None);
        assert_eq!(places, seen.then_some((0, tags_day)).into_iter().collect());
    }
    assert_eq!(
        possible_days(SchemeId::Tags, Epoch(0)),
        [Epoch(0), Epoch(1)]
    );
    for scheme in [SchemeId::Peks, SchemeId::Paeks] {
        assert_eq!(possible_days(scheme, block), [block]);
    }
}

/// Another hospital's I gives another pair: nothing is found with it, but for peks, whose keys know no hospital.
#[test]
fn the_pair_matters_where_the_scheme_knows_pairs() {
    fn found_elsewhere<S: IndexScheme>() -> usize {
        let mut rng = rng(44);
        let (hospital, patient) = S::keygen(&mut rng);
        let key = S::author_key(&hospital, day());
        let own = [S::index(&mut rng, &key, day(), &[("term:asthma", 0)]).unwrap()];
        let service = IndexKeyService::new(SecretKey::generate(&mut rng));
        let (_, there) = register(S::ID, &service, HospitalId([9; 32]), patient.keys);
        let linked = linked(&own, &[]);
        let mut hers = seeker::<S>(&there, &linked);
        hers.records("term:asthma", &always(), None).len()
    }
    assert_eq!(found_elsewhere::<TagsScheme>(), 0);
    assert_eq!(found_elsewhere::<PaeksScheme>(), 0);
    assert_eq!(found_elsewhere::<PeksScheme>(), 1);
}

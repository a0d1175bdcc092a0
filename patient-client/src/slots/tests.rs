use super::*;
use caduceus_crypto::index::Tag;
use caduceus_crypto::keys::{HospitalId, SecretKey};
use caduceus_custody::patient::PatientKeys;
use caduceus_custody::query::parse;
use caduceus_custody::seed::PatientSeed;
use caduceus_custody::tags::tag_at;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::collections::BTreeMap;
use std::convert::Infallible;

struct World {
    patient: PatientKeys,
    index: caduceus_crypto::PublicKey,
    hospital: HospitalId,
}

impl World {
    fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(22);
        Self {
            patient: PatientKeys::from_seed(&PatientSeed::generate(&mut rng)),
            index: SecretKey::generate(&mut rng).public(),
            hospital: HospitalId([1; 32]),
        }
    }

    fn key(&self, quarter: Quarter) -> QuarterKey {
        self.patient
            .quarter_key(&self.hospital, &self.index, &quarter)
    }

    /// An index of records, each with its day and keywords; a record is its number.
    fn index(&self, records: &[(Epoch, &[&str])]) -> BTreeMap<Tag, u32> {
        let mut counts: BTreeMap<(Epoch, &str), u32> = BTreeMap::new();
        let mut index = BTreeMap::new();
        for (number, (day, keywords)) in records.iter().enumerate() {
            for keyword in keywords.iter().copied() {
                let i = counts.entry((*day, keyword)).or_default();
                index.insert(
                    tag_at(&self.key(day.quarter()), keyword, *day, *i),
                    number as u32,
                );
                *i += 1;
            }
        }
        index
    }
}

fn day(year: u16, month: u8, day: u8) -> Epoch {
    Epoch::from_ymd(year, month, day).unwrap()
}

fn search(
    world: &World,
    index: &BTreeMap<Tag, u32>,
    text: &str,
    from: Epoch,
    to: Epoch,
) -> Vec<u32> {
    let clauses = parse(text).unwrap().compile().unwrap();
    let query = compile_slots(&clauses, |quarter| world.key(quarter), from, to);
    let checked = query.verify(from, to).unwrap();
    let mut probe = |tag: &Tag| -> Result<Option<u32>, Infallible> { Ok(index.get(tag).copied()) };
    checked.run(100, 100_000, &mut probe).unwrap().hits
}

#[test]
fn queries_find_what_they_mean() {
    let world = World::new();
    let records: [(Epoch, &[&str]); 4] = [
        (day(2026, 2, 3), &["term:asthma", "term:cough"]),
        (day(2026, 2, 3), &["term:asthma"]),
        (day(2026, 5, 30), &["term:cough", "type:Condition"]),
        (
            day(2026, 11, 20),
            &["term:asthma", "term:cough", "type:Condition"],
        ),
    ];
    let index = world.index(&records);
    let (from, to) = (day(2026, 1, 15), day(2026, 11, 20));
    let found = |text: &str| search(&world, &index, text, from, to);
    assert_eq!(found("asthma"), [0, 1, 3]);
    assert_eq!(found("asthma cough"), [0, 3]);
    assert_eq!(found("asthma OR type:Condition"), [0, 1, 2, 3]);
    assert_eq!(found("asthma NOT cough"), [1]);
    assert!(found("gout").is_empty());
    // Other days than those asked for are not found.
    assert_eq!(search(&world, &index, "asthma", day(2026, 2, 4), to), [3]);
    assert_eq!(
        search(&world, &index, "asthma", from, day(2026, 11, 19)),
        [0, 1]
    );
}

#[test]
fn a_keyword_in_two_clauses_takes_one_slot() {
    let world = World::new();
    let clauses = parse("(asthma OR cough) AND (asthma OR gout)")
        .unwrap()
        .compile()
        .unwrap();
    let query = compile_slots(
        &clauses,
        |quarter| world.key(quarter),
        day(2026, 1, 1),
        day(2026, 3, 31),
    );
    assert_eq!(query.slots.len(), 3);
    assert_eq!(query.clauses.len(), 2);
    query.verify(day(2026, 1, 1), day(2026, 3, 31)).unwrap();
}

#[test]
fn windows_cover_the_range_within_the_bounds() {
    let world = World::new();
    let words: Vec<String> = (0..40).map(|number| format!("word{number}")).collect();
    let clauses = parse(&words.join(" OR ")).unwrap().compile().unwrap();
    let (from, to) = (day(2015, 1, 2), day(2026, 11, 20));
    let parts = windows(&clauses, from, to);
    assert!(parts.len() > 1);
    assert_eq!((parts[0].0, parts[parts.len() - 1].1), (from, to));
    for pair in parts.windows(2) {
        assert_eq!(pair[0].1.0 + 1, pair[1].0.0);
    }
    for (first, last) in &parts {
        let query = compile_slots(&clauses, |quarter| world.key(quarter), *first, *last);
        query.verify(from, to).unwrap();
    }
    assert!(windows(&clauses, to, from).is_empty());
    let one = parse("asthma").unwrap().compile().unwrap();
    assert_eq!(windows(&one, to, to), [(to, to)]);
}

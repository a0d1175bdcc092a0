use super::*;
use crate::testing::{Clinic, leaf};
use caduceus_crypto::Hash;
use caduceus_custody::query::parse;
use caduceus_custody::scheme::{IndexScheme, PaeksScheme, PeksScheme, TagsScheme};

fn day(month: u8, day: u8) -> Epoch {
    Epoch::from_ymd(2026, month, day).unwrap()
}

fn numbers(records: &[OwnRecord], is_hit: impl Fn(&OwnRecord) -> bool) -> Vec<u64> {
    records
        .iter()
        .filter(|own| is_hit(own))
        .map(|own| own.found.record.height)
        .collect()
}

/// The answers to queries over records that she recognises; all schemes give the same.
fn answers<S: IndexScheme>() -> Vec<Vec<u64>> {
    let mut clinic = Clinic::<S>::new(51);
    let records = [
        clinic.record(day(2, 3), &["term:asthma", "term:cough"]),
        clinic.record(day(2, 3), &["term:asthma"]),
        clinic.record(day(5, 30), &["term:cough", "type:Condition"]),
        clinic.record(
            day(11, 20),
            &["term:asthma", "term:cough", "type:Condition"],
        ),
    ];
    let ask = |text: &str, from: Epoch, to: Epoch| {
        let clauses = parse(text).unwrap().compile().unwrap();
        let with = clinic.with();
        numbers(&records, |own| is_hit(&with, &clauses, (from, to), own))
    };
    let (from, to) = (day(1, 15), day(11, 20));
    vec![
        ask("asthma", from, to),
        ask("asthma cough", from, to),
        ask("asthma OR type:Condition", from, to),
        ask("asthma NOT cough", from, to),
        ask("(asthma OR cough) type:Condition NOT gout", from, to),
        ask("gout", from, to),
        ask("asthma", day(2, 4), to),
        ask("asthma", from, day(11, 19)),
    ]
}

#[test]
fn her_own_eyes_see_what_trapdoors_would_find() {
    let expected: Vec<Vec<u64>> = vec![
        vec![1, 2, 4],
        vec![1, 4],
        vec![1, 2, 3, 4],
        vec![2],
        vec![3, 4],
        vec![],
        vec![4],
        vec![1, 2],
    ];
    assert_eq!(answers::<TagsScheme>(), expected);
    assert_eq!(answers::<PeksScheme>(), expected);
    assert_eq!(answers::<PaeksScheme>(), expected);
    println!("{} queries under each scheme", expected.len());
}

#[test]
fn tags_of_a_neighbouring_day_count_by_their_own_day() {
    let mut clinic = Clinic::<TagsScheme>::new(52);
    let clauses = parse("asthma").unwrap().compile().unwrap();
    let tags_day = day(4, 1);
    let mut own = clinic.record(tags_day, &["term:asthma"]);
    // The last day of March and the day after the tags' own; the quarter changes between.
    for block_day in [day(3, 31), tags_day, day(4, 2)] {
        own.day = block_day;
        let with = clinic.with();
        let hit = |from, to| is_hit(&with, &clauses, (from, to), &own);
        assert!(hit(tags_day, tags_day), "block of {block_day}");
        assert!(!hit(day(1, 1), day(3, 31)), "block of {block_day}");
        assert!(!hit(day(4, 2), day(12, 31)), "block of {block_day}");
    }
    // Two days apart is more than the private chain admits.
    own.day = day(4, 3);
    assert!(!is_hit(
        &clinic.with(),
        &clauses,
        (day(1, 1), day(12, 31)),
        &own
    ));
    assert_eq!(
        possible_days(SchemeId::Tags, Epoch(0)),
        [Epoch(0), Epoch(1)]
    );
    for scheme in [SchemeId::Peks, SchemeId::Paeks] {
        assert_eq!(possible_days(scheme, tags_day), [tags_day]);
    }
}

fn amends(own: &OwnRecord) -> String {
    Keyword::amends(&own.found.record_hash).to_string()
}

fn replacements_under<S: IndexScheme>() {
    let mut clinic = Clinic::<S>::new(53);
    let first = clinic.record(day(2, 3), &["term:asthma"]);
    let other = clinic.record(day(2, 3), &["term:asthma"]);
    let second = clinic.record(day(5, 30), &["term:copd", &amends(&first)]);
    let third = clinic.record(day(11, 20), &["term:copd", &amends(&second)]);
    let own = [first, other, second, third];
    let found: Vec<FoundRecord> = own.iter().map(|each| each.found).collect();
    let relation = |newer: usize, older: usize| Replacement {
        hospital: found[0].hospital,
        newer: found[newer].record_hash,
        older: found[older].record_hash,
    };
    let with = clinic.with();
    let all = indexed_replacements(&with, &own, &found[..2], &[]);
    assert_eq!(all, [relation(2, 0), relation(3, 2)]);
    assert!(indexed_replacements(&with, &own, &found[1..2], &[]).is_empty());
    // What is known already is not looked for, what follows it is.
    let rest = indexed_replacements(&with, &own, &found[..1], &[relation(2, 0)]);
    assert_eq!(rest, [relation(3, 2)]);
}

#[test]
fn newer_versions_are_seen_in_the_index() {
    replacements_under::<TagsScheme>();
    replacements_under::<PeksScheme>();
    replacements_under::<PaeksScheme>();
}

#[tokio::test]
async fn her_records_are_told_from_all_others() {
    let mut clinic = Clinic::<TagsScheme>::new(54);
    let mine: Vec<OwnRecord> = (1..=9)
        .map(|n| clinic.record(day(2, n), &["term:asthma"]))
        .collect();
    let mut history = clinic.history(&mine);
    for (number, block) in (1u8..).zip(&mut history.blocks) {
        block.leaves.push(leaf(number));
        // A record of another patient.
        let mut stranger = Clinic::<TagsScheme>::new(55);
        block
            .leaves
            .push(stranger.record(day(2, 1), &["term:asthma"]).leaf);
    }
    let history = Arc::new(history);
    let found = own_records(clinic.with().keys, &history).await;
    assert_eq!(found, mine);
    let nothing = Arc::new(LinkedHistory {
        linked: None,
        blocks: Vec::new(),
        ..LinkedHistory::clone(&history)
    });
    assert!(own_records(clinic.with().keys, &nothing).await.is_empty());
    let elsewhere = Arc::new(LinkedHistory {
        hospital: HospitalId(Hash([9; 32]).0),
        ..LinkedHistory::clone(&history)
    });
    assert!(own_records(clinic.with().keys, &elsewhere).await.is_empty());
}

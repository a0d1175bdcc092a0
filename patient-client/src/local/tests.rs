use super::*;
use crate::testing::{Clinic, leaf};
use caduceus_crypto::index::IndexEntries;
use caduceus_custody::query::parse;
use caduceus_custody::scheme::{IndexScheme, PaeksScheme, PeksScheme, TagsScheme};

fn day(month: u8, day: u8) -> Epoch {
    Epoch::from_ymd(2026, month, day).unwrap()
}

/// The places of the hits of a query over these days.
fn found<S: IndexScheme>(
    clinic: &Clinic<S>,
    records: &[OwnRecord],
    text: &str,
    days: RangeInclusive<Epoch>,
) -> Vec<u64> {
    let clauses = parse(text).unwrap().compile().unwrap();
    let history = clinic.history(records);
    let linked = linked_entries(records, &history);
    let mut seeker = seeker(&clinic.with(), &linked);
    hits(&mut seeker, &clauses, &days)
        .into_iter()
        .map(|at| records[at].found.record.height)
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
    let ask = |text: &str, from: Epoch, to: Epoch| found(&clinic, &records, text, from..=to);
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

/// An honest day on which a keyword has more records than a byte counts.
#[test]
fn a_busy_day_is_seen_whole() {
    const RECORDS: usize = 300;
    let mut clinic = Clinic::<TagsScheme>::new(56);
    let records: Vec<OwnRecord> = (0..RECORDS)
        .map(|_| clinic.record(day(2, 3), &["term:asthma"]))
        .collect();
    let seen = found(&clinic, &records, "asthma", day(2, 3)..=day(2, 3));
    assert_eq!(seen.len(), RECORDS);
    println!("{RECORDS} records of one keyword on one day");
}

/// As a node's search, which stops at the first number that is missing.
#[test]
fn what_a_gap_hides_from_nodes_is_no_hit() {
    let mut clinic = Clinic::<TagsScheme>::new(59);
    let records = [
        clinic.record_numbered(day(2, 3), &[("term:asthma", 0)]),
        clinic.record_numbered(day(2, 3), &[("term:asthma", 2)]),
    ];
    let seen = found(&clinic, &records, "asthma", day(1, 1)..=day(12, 31));
    assert_eq!(seen, [1]);
}

#[test]
fn tags_of_a_neighbouring_day_count_by_their_own_day() {
    let mut clinic = Clinic::<TagsScheme>::new(52);
    let tags_day = day(4, 1);
    let mut own = [clinic.record(tags_day, &["term:asthma"])];
    // The last day of March and the day after the tags' own; the quarter changes between.
    for block_day in [day(3, 31), tags_day, day(4, 2)] {
        own[0].day = block_day;
        let hit = |from, to| found(&clinic, &own, "asthma", from..=to) == [1];
        assert!(hit(tags_day, tags_day), "block of {block_day}");
        assert!(!hit(day(1, 1), day(3, 31)), "block of {block_day}");
        assert!(!hit(day(4, 2), day(12, 31)), "block of {block_day}");
    }
    // Two days apart is more than the private chain admits.
    own[0].day = day(4, 3);
    assert!(found(&clinic, &own, "asthma", day(1, 1)..=day(12, 31)).is_empty());
}

/// Tags of two days in one record, which no workstation makes: nodes look at a day by itself, and so does she.
#[test]
fn clauses_hold_on_one_day() {
    let mut clinic = Clinic::<TagsScheme>::new(60);
    let mut own = clinic.record(day(4, 1), &["term:asthma"]);
    let other = clinic.record(day(4, 2), &["term:cough"]);
    let tags = [own.leaf.entries.tags(), other.leaf.entries.tags()].concat();
    own.leaf.entries = IndexEntries::Tags(tags);
    let own = [own];
    let year = || day(1, 1)..=day(12, 31);
    for text in ["asthma", "cough", "asthma OR cough", "asthma NOT cough"] {
        assert_eq!(found(&clinic, &own, text, year()), [1], "{text}");
    }
    assert!(found(&clinic, &own, "asthma cough", year()).is_empty());
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
    let rival = clinic.record(day(11, 20), &["term:cough", &amends(&first)]);
    let own = [first, other, second, third, rival];
    let found: Vec<FoundRecord> = own.iter().map(|each| each.found).collect();
    let relation = |newer: usize, older: usize| Replacement {
        hospital: found[0].hospital,
        newer: found[newer].record_hash,
        older: found[older].record_hash,
    };
    let history = clinic.history(&own);
    let linked = linked_entries(&own, &history);
    let ask = |hits: &[FoundRecord], known: &[Replacement]| {
        let mut seeker = seeker(&clinic.with(), &linked);
        indexed_replacements(&mut seeker, &own, hits, known)
    };
    let all = [relation(2, 0), relation(4, 0), relation(3, 2)];
    assert_eq!(ask(&found[..2], &[]), all);
    assert!(ask(&found[1..2], &[]).is_empty());
    // What is known already is not told again; what follows it is, and what rivals it.
    assert_eq!(ask(&found[..1], &all[..1]), all[1..]);
    assert_eq!(ask(&found[3..4], &[all[2], all[0]]), all[1..2]);
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
        hospital: HospitalId([9; 32]),
        ..LinkedHistory::clone(&history)
    });
    assert!(own_records(clinic.with().keys, &elsewhere).await.is_empty());
}

//! The oracle on its own, and against what the clients do.
#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::disallowed_methods)]

use std::path::PathBuf;

use caduceus_custody::fhir::{keywords, split};
use caduceus_custody::keyword::Keyword;
use caduceus_custody::query::{DateRange, compile, matches, parse};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use serde_json::json;

use super::*;
use crate::generator::patients;

fn record(id: usize, resource: &serde_json::Value) -> OracleRecord {
    let json = resource.to_string().into_bytes();
    OracleRecord {
        id,
        hospital: 0,
        patient: 0,
        json,
        own_terms: Vec::new(),
    }
}

fn word(text: &str) -> Want {
    Want::Word(text.to_owned())
}

#[test]
fn the_oracle_reads_records() {
    let visit = |start: &str| json!({"resourceType": "Encounter", "period": {"start": start}});
    let mut records = vec![
        record(
            1,
            &json!({"resourceType": "Bundle", "entry": [
            {"resource": {"resourceType": "Patient", "name": [{"text": "Ann Gout"}]}},
            {"resource": visit("2019-05-01T23:00:00-08:00")},
            {"resource": {"resourceType": "Condition", "code": {"coding": [
                {"system": "http://snomed.info/sct", "code": "83901003", "display": "Sj\u{f6}gren's syndrome"}]}}}]}),
        ),
        record(2, &visit("2020-01")),
        record(
            3,
            &json!({"resourceType": "Condition", "code": {"text": "GOUT"}, "note": [{"text": "asthma"}]}),
        ),
    ];
    records[1].own_terms.push("Knee trial".to_owned());
    records.push(OracleRecord {
        json: b"not json".to_vec(),
        ..record(4, &json!({}))
    });

    let found = |want: Want| {
        matching(&records, &want)
            .into_iter()
            .collect::<Vec<usize>>()
    };
    assert_eq!(found(word("SJOGREN")), [1]);
    assert_eq!(found(word("sjo\u{308}gren syndrome")), [1]);
    assert_eq!(found(word("gout")), [3], "a name isn't searched");
    assert_eq!(found(word("asthma")), [0; 0], "prose isn't searched");
    assert_eq!(found(word("trial")), [2]);
    assert_eq!(found(word("!")), [0; 0]);
    assert_eq!(found(Want::Code("83901003".into())), [1]);
    assert_eq!(
        found(Want::Code("http://snomed.info/sct|83901003".into())),
        [1]
    );
    assert_eq!(
        found(Want::Code("http://loinc.org|83901003".into())),
        [0; 0]
    );
    assert_eq!(found(Want::Type("condition".into())), [1, 3]);
    assert_eq!(found(Want::Type("Patient".into())), [0; 0]);
    assert_eq!(
        found(Want::Between("2019-05-01".into(), "2020-01-01".into())),
        [1, 2]
    );
    assert_eq!(
        found(Want::Between("2019-05-02".into(), "2019-12-31".into())),
        [0; 0]
    );
    let either = Want::Or(vec![word("gout"), word("knee")]);
    assert_eq!(found(either.clone()), [2, 3]);
    let without = Want::And(vec![either, Want::Not(Box::new(word("gout")))]);
    assert_eq!(found(without), [2]);
}

/// The records of generated patients, every third with terms of the doctor's own.
fn generated() -> Vec<OracleRecord> {
    let bundles = patients(11, 25, 1..=8, &["Hilltop", "Lakeside"]);
    records_of(&bundles)
}

fn records_of(bundles: &[Vec<u8>]) -> Vec<OracleRecord> {
    let mut records: Vec<OracleRecord> = Vec::new();
    for (patient, bundle) in bundles.iter().enumerate() {
        for record in split(bundle).unwrap().encounters {
            let id = records.len();
            let own_terms = if id % 3 == 0 {
                vec![
                    format!("Ward {}", id % 7),
                    "n\u{ba} 12 M\u{fc}ller".to_owned(),
                ]
            } else {
                Vec::new()
            };
            records.push(OracleRecord {
                id,
                hospital: 0,
                patient,
                json: record.bundle_json,
                own_terms,
            });
        }
    }
    records
}

fn indexed(record: &OracleRecord) -> BTreeSet<Keyword> {
    let own: Vec<&str> = record.own_terms.iter().map(String::as_str).collect();
    keywords(&record.json, &own).unwrap()
}

/// All that both sides say of a record.
fn assert_agreement(records: &[OracleRecord]) {
    for record in records {
        let facts = Facts::of(record);
        let mut expected: BTreeSet<String> = BTreeSet::new();
        expected.extend(facts.words.iter().map(|word| format!("term:{word}")));
        expected.extend(facts.codes.iter().map(|code| format!("code:{code}")));
        expected.extend(facts.types.iter().map(|kind| format!("type:{kind}")));
        expected.extend(
            facts
                .qualified
                .iter()
                .map(|(system, code)| format!("{system}|{code}")),
        );
        if let Some(day) = facts.started() {
            expected.insert(format!("decade:{}0", &day[..3]));
            expected.insert(format!("year:{}", &day[..4]));
            expected.insert(format!("month:{}", &day[..7]));
            expected.insert(format!("day:{day}"));
        }
        let found: BTreeSet<String> = indexed(record).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "record {}", record.id);
    }
}

#[test]
fn index_and_oracle_agree_on_generated_patients() {
    let records = generated();
    assert!(records.len() > 25);
    assert_agreement(&records);
}

#[test]
fn index_and_oracle_agree_on_synthea() {
    let shared = match std::env::var_os("CADUCEUS_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
    };
    let folder = shared.join("fhir/synthea-r4");
    let Ok(listing) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: {} is absent", folder.display());
        return;
    };
    let bundles: Vec<Vec<u8>> = listing
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect();
    assert_agreement(&records_of(&bundles));
}

/// A query as typed, and the same as the oracle takes it.
fn drawn(rng: &mut ChaCha20Rng) -> (String, Want) {
    const WORDS: [&str; 8] = [
        "asthma",
        "disorder",
        "tablet",
        "blood",
        "Sj\u{f6}gren",
        "oral",
        "smoker",
        "ward",
    ];
    let mut any = || {
        let text = WORDS[rng.gen_range(0..WORDS.len())];
        (text.to_owned(), word(text))
    };
    let ((first, one), (second, two), (third, three)) = (any(), any(), any());
    match rng.gen_range(0..5) {
        0 => (first, one),
        1 => (format!("{first} {second}"), Want::And(vec![one, two])),
        2 => (
            format!("({first} OR {second}) NOT {third}"),
            Want::And(vec![Want::Or(vec![one, two]), Want::Not(Box::new(three))]),
        ),
        3 => (
            format!("{first} OR ({second} AND {third})"),
            Want::Or(vec![one, Want::And(vec![two, three])]),
        ),
        _ => (
            format!("{first} type:Condition code:38341003 OR {second}"),
            Want::Or(vec![
                Want::And(vec![
                    one,
                    Want::Type("Condition".into()),
                    Want::Code("38341003".into()),
                ]),
                two,
            ]),
        ),
    }
}

#[test]
fn queries_find_what_the_oracle_finds() {
    let records = generated();
    let oracle = Oracle::new(&records);
    let index: Vec<BTreeSet<Keyword>> = records.iter().map(indexed).collect();
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let mut hits = 0;
    for _ in 0..400 {
        let (text, mut want) = drawn(&mut rng);
        let dates = rng.gen_bool(0.5).then(|| {
            let year = rng.gen_range(2015..=2022);
            (
                format!("{year}-0{}-15", rng.gen_range(1..=9)),
                format!("{}-06-30", year + 2),
            )
        });
        let range = dates
            .as_ref()
            .map(|(from, to)| DateRange::parse(from, to).unwrap());
        if let Some((from, to)) = dates {
            want = Want::And(vec![want, Want::Between(from, to)]);
        }
        // A contradiction, such as asthma without asthma, is refused; the oracle finds nothing.
        let expected = oracle.matching(&want);
        let Ok(clauses) = compile(Some(&parse(&text).unwrap()), range.as_ref()) else {
            assert!(expected.is_empty(), "{text}");
            continue;
        };
        let found: BTreeSet<usize> = records
            .iter()
            .zip(&index)
            .filter(|(_, held)| matches(&clauses, held))
            .filter(|(record, _)| range.is_none_or(|range| range.admits(&record.json)))
            .map(|(record, _)| record.id)
            .collect();
        assert_eq!(found, expected, "{text} in {range:?}");
        hits += found.len();
    }
    assert!(hits > 100, "the queries found only {hits} records");
}

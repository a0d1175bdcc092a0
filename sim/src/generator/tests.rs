//! What is generated is what it is said to be.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use caduceus_custody::fhir::{ClinicalDate, keywords, split, validate};
use serde_json::Value;

use super::resources::calendar;
use super::*;

const HOSPITALS: [&str; 3] = ["Hilltop", "Lakeside", "St. Ann's"];

#[test]
fn one_seed_gives_the_same_bytes() {
    let all = patients(7, 6, 1..=4, &HOSPITALS);
    assert_eq!(all, patients(7, 6, 1..=4, &HOSPITALS));
    assert_eq!(
        all[..3],
        patients(7, 3, 1..=4, &HOSPITALS),
        "a patient doesn't depend on the count"
    );
    assert_ne!(all, patients(8, 6, 1..=4, &HOSPITALS));
    let distinct: BTreeSet<&Vec<u8>> = all.iter().collect();
    assert_eq!(distinct.len(), 6);
}

#[test]
fn histories_are_fhir_and_split_by_encounter() {
    let known: BTreeSet<String> = HOSPITALS
        .iter()
        .map(|name| organisation_reference(name))
        .collect();
    let decade = ClinicalDate::new(2015, 1, 1).unwrap()..=ClinicalDate::new(2024, 12, 31).unwrap();
    let mut hospitals = BTreeSet::new();
    for bundle in patients(1, 40, 2..=9, &HOSPITALS) {
        validate(&bundle).unwrap();
        let history = split(&bundle).unwrap();
        assert!((2..=9).contains(&history.encounters.len()));
        assert!(history.birth_date.is_some() && history.gender.is_some());
        for record in &history.encounters {
            assert!(known.contains(&record.organisation.reference));
            assert!(HOSPITALS.contains(&record.organisation.name.as_str()));
            hospitals.insert(record.organisation.name.clone());
            assert!(decade.contains(&ClinicalDate::parse(&record.started).unwrap()));
            let found = keywords(&record.bundle_json, &[]).unwrap();
            assert!(found.len() > 8);
        }
    }
    assert_eq!(hospitals.len(), 3, "patients are seen at every hospital");
}

#[test]
fn every_reference_leads_somewhere() {
    for bundle in patients(2, 10, 0..=5, &HOSPITALS) {
        let bundle: Value = serde_json::from_slice(&bundle).unwrap();
        let urls: Vec<&str> = bundle["entry"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["fullUrl"].as_str().unwrap())
            .collect();
        let distinct: BTreeSet<&str> = urls.iter().copied().collect();
        assert_eq!(distinct.len(), urls.len());
        let text = bundle.to_string();
        for (at, key) in text.match_indices("\"reference\":\"") {
            let url = text[at + key.len()..].split('"').next().unwrap();
            assert!(distinct.contains(url), "{url}");
        }
    }
}

#[test]
fn days_become_dates() {
    assert_eq!(calendar(0), (2015, 1, 1));
    assert_eq!(calendar(365 + 31 + 28), (2016, 2, 29));
    assert_eq!(calendar(DAYS - 1), (2024, 12, 31));
}

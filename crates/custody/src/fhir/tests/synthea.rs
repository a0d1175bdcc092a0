//! The Synthea bundles (shared/data/fhir/synthea-r4), when they are there.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::*;
use crate::keyword::Keyword;

/// The bundles by name; none, and a printed word, when the folder is absent.
fn bundles() -> Vec<(String, Vec<u8>)> {
    let shared = match std::env::var_os("CADUCEUS_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    };
    let folder = shared.join("fhir/synthea-r4");
    let Ok(listing) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: {} is absent", folder.display());
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = listing.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "json"))
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect()
}

fn resources(bundle: &[u8]) -> Vec<Value> {
    let bundle: Value = serde_json::from_slice(bundle).unwrap();
    bundle["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["resource"].clone())
        .collect()
}

#[test]
fn synthea_histories_are_split_without_loss() {
    for (name, bundle) in bundles() {
        let history = split(&bundle).unwrap();
        let all = resources(&bundle);
        let encounters = all
            .iter()
            .filter(|resource| resource["resourceType"] == "Encounter")
            .count();
        assert_eq!(history.encounters.len(), encounters, "{name}");
        assert!(
            !history.patient_name.is_empty() && history.birth_date.is_some(),
            "{name}"
        );

        let mut landed: BTreeSet<String> = BTreeSet::new();
        for record in &history.encounters {
            assert_eq!(validate(&record.bundle_json), Ok(()), "{name}");
            assert!(
                record.organisation.reference.starts_with("urn:uuid:"),
                "{name}"
            );
            assert!(!record.organisation.name.is_empty(), "{name}");
            assert_eq!(
                clinical_date(&record.bundle_json),
                ClinicalDate::parse(&record.started),
                "{name}"
            );
            let held = resources(&record.bundle_json);
            assert_eq!(held.len(), record.resource_count, "{name}");
            assert_eq!(held[0]["resourceType"], "Patient", "{name}");
            assert_eq!(held[1]["resourceType"], "Encounter", "{name}");
            landed.extend(held.iter().map(Value::to_string));
        }
        let missing: Vec<&Value> = all
            .iter()
            .filter(|resource| !landed.contains(&resource.to_string()))
            .collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
    }
}

#[test]
fn synthea_records_fit_the_index_and_keep_names_out() {
    for (name, bundle) in bundles() {
        let history = split(&bundle).unwrap();
        let person = Keyword::terms(&history.patient_name);
        for record in &history.encounters {
            let plan = plan(&record.bundle_json, &[]).unwrap();
            assert!(plan.dropped.is_empty(), "{name}: {}", plan.dropped.len());
            assert!(
                plan.kept
                    .contains(&Keyword::resource_type("Encounter").unwrap()),
                "{name}"
            );
            assert!(
                plan.kept
                    .iter()
                    .any(|keyword| keyword.as_str().starts_with("day:")),
                "{name}"
            );
            assert!(
                person.iter().all(|word| !plan.kept.contains(word)),
                "{name}: {person:?}"
            );
        }
    }
}

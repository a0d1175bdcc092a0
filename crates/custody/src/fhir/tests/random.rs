//! Random reference graphs: whatever is linked to whatever, nothing is lost and everything linked is there.

use std::collections::BTreeSet;

use super::*;

const KINDS: [&str; 9] = [
    "Encounter",
    "Observation",
    "Goal",
    "Provenance",
    "Practitioner",
    "Organization",
    "Location",
    "Claim",
    "Medication",
];

/// Numerical Recipes' linear congruential generator; enough to draw test cases.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

fn drawn(draw: &mut Draw) -> Vec<Value> {
    let size = 1 + draw.below(14);
    let patient = draw.below(size);
    let mut resources = Vec::new();
    for at in 0..size {
        let kind = if at == patient {
            "Patient"
        } else {
            KINDS[draw.below(KINDS.len())]
        };
        let links: Vec<Value> = (0..draw.below(4))
            .map(|_| json!({"reference": format!("urn:uuid:{}", draw.below(size + 1))}))
            .collect();
        let mut resource = json!({"resourceType": kind, "id": at.to_string(), "link": links});
        if kind == "Encounter" && draw.below(4) > 0 {
            let start = format!("{}-0{}-11", 2010 + draw.below(3), 1 + draw.below(9));
            resource["period"] = json!({"start": start});
        }
        resources.push(resource);
    }
    resources
}

#[test]
fn nothing_is_lost_however_a_history_is_linked() {
    for seed in 0..3_000 {
        let mut draw = Draw(seed);
        let resources = drawn(&mut draw);
        let urls: Vec<String> = (0..resources.len())
            .map(|at| format!("urn:uuid:{at}"))
            .collect();
        let entries: Vec<(&str, Value)> = urls
            .iter()
            .map(String::as_str)
            .zip(resources.iter().cloned())
            .collect();
        let history = split(&transaction(&entries)).unwrap();

        let encounters = resources
            .iter()
            .filter(|resource| resource["resourceType"] == "Encounter")
            .count();
        assert_eq!(history.encounters.len(), encounters.max(1), "seed {seed}");
        let mut landed: BTreeSet<String> = BTreeSet::new();
        for record in &history.encounters {
            let listed = contents(record);
            let distinct: BTreeSet<String> = listed.iter().cloned().collect();
            assert_eq!(
                distinct.len(),
                listed.len(),
                "seed {seed}: twice in one record"
            );
            assert!(listed[0].starts_with("Patient:"), "seed {seed}");
            if encounters > 0 {
                let own = listed
                    .iter()
                    .filter(|name| name.starts_with("Encounter:"))
                    .count();
                assert_eq!(own, 1, "seed {seed}: one encounter a record");
                everything_that_references_it_is_there(record, &resources, &distinct, seed);
            }
            assert_eq!(validate(&record.bundle_json), Ok(()), "seed {seed}");
            landed.extend(listed);
        }
        assert_eq!(landed.len(), resources.len(), "seed {seed}");
        let starts: Vec<&str> = history
            .encounters
            .iter()
            .map(|record| record.started.as_str())
            .collect();
        let dated: Vec<&str> = starts
            .iter()
            .copied()
            .filter(|start| !start.is_empty())
            .collect();
        assert!(
            dated.is_sorted() && starts.starts_with(&dated),
            "seed {seed}: {starts:?}"
        );
    }
}

fn everything_that_references_it_is_there(
    record: &EncounterRecord,
    resources: &[Value],
    names: &BTreeSet<String>,
    seed: u64,
) {
    let support = [
        "Patient",
        "Practitioner",
        "Organization",
        "Location",
        "Encounter",
    ];
    for resource in resources {
        let kind = resource["resourceType"].as_str().unwrap();
        let links = resource["link"].as_array().unwrap();
        let linked = links
            .iter()
            .any(|link| link["reference"] == record.encounter_reference.as_str());
        if linked && !support.contains(&kind) {
            let name = format!("{kind}:{}", resource["id"].as_str().unwrap());
            assert!(names.contains(&name), "seed {seed}: {name} is missing");
        }
    }
}

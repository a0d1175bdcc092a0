//! Splitting and indexing, on small bundles, on random ones and on Synthea's when they are there.
#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::disallowed_methods)]

mod indexing;
mod random;
mod synthea;

use serde_json::{Value, json};

use super::*;

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// Wraps resources, each with its full URL, into a transaction.
fn transaction(entries: &[(&str, Value)]) -> Vec<u8> {
    let entries: Vec<Value> = entries
        .iter()
        .map(|(url, resource)| json!({"fullUrl": url, "resource": resource, "request": {"method": "POST"}}))
        .collect();
    bytes(&json!({"resourceType": "Bundle", "type": "transaction", "entry": entries}))
}

/// The resources of a record as `Type` or `Type:id`.
fn contents(record: &EncounterRecord) -> Vec<String> {
    let bundle: Value = serde_json::from_slice(&record.bundle_json).unwrap();
    assert_eq!(bundle["type"], "collection");
    let list = bundle["entry"].as_array().unwrap();
    assert_eq!(list.len(), record.resource_count);
    list.iter()
        .map(|entry| {
            assert_eq!(entry.get("request"), None);
            let resource = &entry["resource"];
            let kind = resource["resourceType"].as_str().unwrap();
            match resource["id"].as_str() {
                Some(id) => format!("{kind}:{id}"),
                None => kind.to_owned(),
            }
        })
        .collect()
}

/// Two encounters at two hospitals, linked in every way the split knows.
fn history() -> Vec<u8> {
    let to = |reference: &str| json!({"reference": reference});
    transaction(&[
        (
            "urn:uuid:p",
            json!({"resourceType": "Patient", "birthDate": "1980-01-02", "gender": "female",
            "name": [{"use": "nickname", "text": "Bee"}, {"use": "official", "given": ["Ann", "B"], "family": "Poe"}]}),
        ),
        // Out of order on purpose: the first is the earlier one.
        (
            "urn:uuid:e2",
            json!({"resourceType": "Encounter", "id": "e2", "period": {"start": "2020-05-01T09:00:00Z"},
            "subject": to("urn:uuid:p"), "serviceProvider": {"reference": "Organization?identifier=npi|2", "display": "Lakeside"},
            "partOf": to("urn:uuid:e1")}),
        ),
        (
            "urn:uuid:e1",
            json!({"resourceType": "Encounter", "id": "e1", "period": {"start": "2019-12-31T23:00:00-05:00"},
            "subject": to("urn:uuid:p"), "serviceProvider": to("Organization/o1"),
            "participant": [{"individual": to("urn:uuid:dr")}]}),
        ),
        (
            "https://a.org/Organization/o1",
            json!({"resourceType": "Organization", "id": "o1", "name": "Hilltop"}),
        ),
        (
            "urn:uuid:dr",
            json!({"resourceType": "Practitioner", "id": "dr"}),
        ),
        (
            "urn:uuid:c",
            json!({"resourceType": "Claim", "id": "c", "item": [{"encounter": [to("urn:uuid:e1")]},
            {"encounter": [to("Encounter/e2")]}]}),
        ),
        (
            "urn:uuid:plan",
            json!({"resourceType": "CarePlan", "id": "plan", "encounter": to("urn:uuid:e2"),
            "goal": [to("urn:uuid:goal")]}),
        ),
        (
            "urn:uuid:goal",
            json!({"resourceType": "Goal", "id": "goal", "subject": to("urn:uuid:p")}),
        ),
        (
            "urn:uuid:order",
            json!({"resourceType": "MedicationRequest", "id": "order", "encounter": to("urn:uuid:e2")}),
        ),
        (
            "urn:uuid:disp",
            json!({"resourceType": "MedicationDispense", "id": "disp",
            "authorizingPrescription": [to("urn:uuid:order")]}),
        ),
        (
            "urn:uuid:alg",
            json!({"resourceType": "AllergyIntolerance", "id": "alg", "patient": to("urn:uuid:p")}),
        ),
        (
            "urn:uuid:lost",
            json!({"resourceType": "Practitioner", "id": "lost"}),
        ),
        (
            "urn:uuid:prov",
            json!({"resourceType": "Provenance", "id": "prov", "target": [to("urn:uuid:e1"),
            to("urn:uuid:e2"), to("urn:uuid:alg")]}),
        ),
    ])
}

#[test]
fn each_encounter_gets_what_belongs_to_it() {
    let history = split(&history()).unwrap();
    assert_eq!(history.patient_name, "Ann B Poe");
    assert_eq!(history.birth_date.as_deref(), Some("1980-01-02"));
    assert_eq!(history.gender.as_deref(), Some("female"));
    let [first, second] = history.encounters.as_slice() else {
        panic!("two encounters")
    };

    assert_eq!(first.encounter_reference, "urn:uuid:e1");
    assert_eq!(first.started, "2019-12-31T23:00:00-05:00");
    assert_eq!(
        first.organisation.reference,
        "https://a.org/Organization/o1"
    );
    assert_eq!(first.organisation.name, "Hilltop");
    assert_eq!(
        contents(first),
        [
            "Patient",
            "Encounter:e1",
            "Organization:o1",
            "Practitioner:dr",
            "Claim:c",
            "AllergyIntolerance:alg",
            "Practitioner:lost",
            "Provenance:prov"
        ]
    );

    assert_eq!(second.encounter_reference, "urn:uuid:e2");
    assert_eq!(
        second.organisation.reference,
        "Organization?identifier=npi|2"
    );
    assert_eq!(second.organisation.name, "Lakeside");
    assert_eq!(
        contents(second),
        [
            "Patient",
            "Encounter:e2",
            "Claim:c",
            "CarePlan:plan",
            "Goal:goal",
            "MedicationRequest:order",
            "MedicationDispense:disp",
            "Provenance:prov"
        ]
    );
}

#[test]
fn a_history_without_encounters_is_one_record() {
    let bundle = bytes(
        &json!({"resourceType": "Bundle", "type": "document", "entry": [
        {"resource": {"resourceType": "Composition", "date": "2021-02-03", "custodian": {"reference": "Organization/o"}}},
        {"resource": {"resourceType": "Observation"}},
        {"resource": {"resourceType": "Patient", "name": [{"text": "Ann Poe"}]}},
        {"resource": {"resourceType": "Organization", "id": "o", "name": "Hilltop"}},
        {"request": {"method": "DELETE", "url": "Observation/9"}}]}),
    );
    let history = split(&bundle).unwrap();
    let [only] = history.encounters.as_slice() else {
        panic!("one record")
    };
    assert_eq!(
        contents(only),
        ["Patient", "Composition", "Observation", "Organization:o"]
    );
    assert_eq!(
        only.organisation,
        Organisation {
            reference: "Organization/o".into(),
            name: "Hilltop".into()
        }
    );
    assert_eq!(
        (only.encounter_reference.as_str(), only.started.as_str()),
        ("", "2021-02-03")
    );
}

#[test]
fn a_resource_keeps_its_bytes() {
    let resource = r#"{ "resourceType":"Observation", "valueQuantity":{"value":1.50, "x":0.056074335445735486} }"#;
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"batch","entry":[{{"resource":{{"resourceType":"Patient"}}}},
            {{"fullUrl":"urn:\"q\"","resource":{resource}}}]}}"#
    );
    let history = split(bundle.as_bytes()).unwrap();
    let record = String::from_utf8(history.encounters[0].bundle_json.clone()).unwrap();
    assert!(record.contains(resource), "{record}");
    assert!(record.contains(r#""fullUrl":"urn:\"q\"""#), "{record}");
}

#[test]
fn what_is_no_fhir_is_told_apart() {
    let too_large = vec![b' '; MAX_FHIR_BYTES + 1];
    let limit = FhirError::TooLarge {
        limit: MAX_FHIR_BYTES,
        found: MAX_FHIR_BYTES + 1,
    };
    assert_eq!(validate(&too_large), Err(limit.clone()));
    assert_eq!(split(&too_large), Err(limit));

    let not_fhir = |found: Option<&str>| FhirError::NotFhir {
        found: found.map(str::to_owned),
    };
    let empty = br#"{"resourceType":"Bundle","entry":[{"request":{}}]}"#;
    let cases: [(&[u8], FhirError, FhirError); 7] = [
        (
            b"{\n \"a\": nul}",
            FhirError::NotJson {
                line: 2,
                column: 10,
            },
            FhirError::NotJson {
                line: 2,
                column: 10,
            },
        ),
        (b"[]", not_fhir(None), not_fhir(None)),
        (b"{}", not_fhir(None), not_fhir(None)),
        (
            br#"{"resourceType":"Hospital"}"#,
            not_fhir(Some("Hospital")),
            not_fhir(Some("Hospital")),
        ),
        (empty, FhirError::EmptyBundle, FhirError::EmptyBundle),
        (
            br#"{"resourceType":"Bundle"}"#,
            FhirError::EmptyBundle,
            FhirError::EmptyBundle,
        ),
        (
            br#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Blob"}}]}"#,
            not_fhir(Some("Blob")),
            not_fhir(Some("Blob")),
        ),
    ];
    for (document, validated, divided) in cases {
        let shown = String::from_utf8_lossy(document);
        assert_eq!(validate(document), Err(validated), "{shown}");
        assert_eq!(split(document), Err(divided), "{shown}");
    }

    let single = br#"{"resourceType":"Observation"}"#;
    assert_eq!(validate(single), Ok(()));
    assert_eq!(
        split(single),
        Err(FhirError::NotABundle {
            found: "Observation".into()
        })
    );
    let nobody =
        br#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Observation"}}]}"#;
    assert_eq!(split(nobody), Err(FhirError::NoPatient));
    let two = transaction(&[
        ("a", json!({"resourceType": "Patient"})),
        ("b", json!({"resourceType": "Patient"})),
    ]);
    assert_eq!(split(&two), Err(FhirError::SeveralPatients { found: 2 }));
}

#[test]
fn a_broken_resource_is_placed_in_the_whole_document() {
    // The shallow pass takes a lone surrogate for granted.
    let bundle = b"{\"resourceType\":\"Bundle\",\n\"entry\":[{\"resource\":\n{\"resourceType\":\"\\ud800\"}}]}";
    assert!(matches!(
        split(bundle),
        Err(FhirError::NotJson { line: 3, .. })
    ));
    let deep = format!(
        r#"{{"resourceType":"Patient","x":{}{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    assert!(matches!(
        validate(deep.as_bytes()),
        Err(FhirError::NotJson { .. })
    ));
}

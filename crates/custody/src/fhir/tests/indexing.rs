//! From a record to its keywords.

use std::collections::BTreeSet;

use super::*;
use crate::keyword::Keyword;

fn strings(keywords: &BTreeSet<Keyword>) -> Vec<&str> {
    keywords.iter().map(Keyword::as_str).collect()
}

#[test]
fn a_record_is_found_by_its_codes_words_types_and_dates() {
    let record = bytes(
        &json!({"resourceType": "Bundle", "type": "collection", "entry": [
        {"resource": {"resourceType": "Patient", "name": [{"family": "Hypertension"}], "birthDate": "1960-01-01"}},
        {"resource": {"resourceType": "Encounter", "period": {"start": "2024-05-17T08:00:00+02:00"},
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"}}},
        {"resource": {"resourceType": "Condition", "code": {
            "coding": [{"system": "http://snomed.info/sct", "code": "38341003", "display": "Hypertension"}],
            "text": "High blood pressure"}}}]}),
    );
    let found = keywords(&record, &["Dr. M\u{fc}ller's \u{201c}salt\u{201d} trial"]).unwrap();
    assert_eq!(
        strings(&found),
        [
            "code:38341003",
            "code:amb",
            "day:2024-05-17",
            "decade:2020",
            "http://snomed.info/sct|38341003",
            "http://terminology.hl7.org/CodeSystem/v3-ActCode|AMB",
            "month:2024-05",
            "term:blood",
            "term:dr",
            "term:high",
            "term:hypertension",
            "term:muller",
            "term:pressure",
            "term:salt",
            "term:trial",
            "type:Condition",
            "type:Encounter",
            "year:2024"
        ]
    );
    assert_eq!(
        keywords(br#"{"resourceType":"Patient","id":"1"}"#, &[])
            .unwrap()
            .len(),
        0
    );
}

#[test]
fn what_finds_no_room_is_dropped_in_the_order_told() {
    let coding = |n: u32| json!({"system": "s", "code": format!("c{n:03}"), "display": format!("{:x>1$}", n, n as usize % 9 + 4)});
    let record = |codings: u32| {
        let list: Vec<Value> = (0..codings).map(coding).collect();
        bytes(&json!({"resourceType": "Condition", "code": {"coding": list}}))
    };
    let roomy = plan(&record(100), &["own"]).unwrap();
    assert_eq!((roomy.kept.len(), roomy.dropped.len()), (302, 0));

    let tight = plan(&record(180), &["own"]).unwrap();
    assert_eq!((tight.kept.len(), tight.dropped.len()), (MAX_KEYWORDS, 142));
    assert!(
        tight
            .dropped
            .iter()
            .all(|keyword| keyword.as_str().starts_with("s|"))
    );
    assert_eq!(tight.dropped.last().unwrap().as_str(), "s|c179");

    let tighter = plan(&record(300), &["own"]).unwrap();
    assert_eq!(tighter.kept.len(), MAX_KEYWORDS);
    let kept = strings(&tighter.kept);
    assert_eq!(
        kept.iter()
            .filter(|keyword| keyword.starts_with("code:"))
            .count(),
        300
    );
    assert_eq!(
        kept.iter()
            .filter(|keyword| keyword.starts_with("s|"))
            .count(),
        0
    );
    let shortest_kept = kept
        .iter()
        .filter(|k| k.starts_with("term:x"))
        .map(|k| k.len())
        .min();
    let longest_dropped = tighter
        .dropped
        .iter()
        .map(Keyword::as_str)
        .filter(|k| k.starts_with("term:"));
    assert!(longest_dropped.map(str::len).max() <= shortest_kept);

    let full = plan(&record(500), &["own"]).unwrap();
    assert!(full.kept.contains(&Keyword::term("own").unwrap()));
    assert!(
        full.kept
            .contains(&Keyword::resource_type("Condition").unwrap())
    );
    assert_eq!(
        strings(&full.kept)
            .iter()
            .filter(|keyword| keyword.starts_with("code:"))
            .count(),
        398
    );

    let many: Vec<String> = (0..65).map(|n| format!("own{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let refused = FhirError::TooManyOwnTerms {
        limit: MAX_OWN_WORDS,
        found: 65,
    };
    assert_eq!(plan(&record(1), &many), Err(refused));
}

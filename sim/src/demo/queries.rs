//! Searches by patients, compared with a plaintext oracle; then every record opened.

use super::Narrator;
use super::summary::{SearchRow, Summary};
use super::world::World;
use crate::oracle::{OracleRecord, Want, matching};
use anyhow::Context;
use caduceus_crypto::Hash;
use patient_client::SearchSpec;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// The term that a doctor added to one record.
pub const OWN_TERM: &str = "Schüttelfrost";

struct Question {
    patient: usize,
    text: String,
    from: Option<String>,
    to: Option<String>,
    hospital: Option<usize>,
    want: Want,
}

impl Question {
    fn new(patient: usize, text: impl Into<String>, want: Want) -> Self {
        Self {
            patient,
            text: text.into(),
            from: None,
            to: None,
            hospital: None,
            want,
        }
    }
}

/// A condition of a patient: its display words and its code, read from the plaintext.
struct Finding {
    words: Vec<String>,
    code: String,
}

fn findings(records: &[&OracleRecord], kind: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for record in records {
        let Ok(bundle) = serde_json::from_slice::<Value>(&record.json) else {
            continue;
        };
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        for resource in entries.iter().map(|entry| &entry["resource"]) {
            if resource["resourceType"] != kind {
                continue;
            }
            let field = if kind == "Immunization" {
                "vaccineCode"
            } else {
                "code"
            };
            let coding = &resource[field]["coding"][0];
            let (Some(display), Some(code)) = (coding["display"].as_str(), coding["code"].as_str())
            else {
                continue;
            };
            let words: Vec<String> = display
                .split(|c: char| !c.is_alphanumeric())
                .filter(|word| {
                    word.len() >= 5 && word.is_ascii() && word.chars().all(char::is_alphabetic)
                })
                .map(str::to_lowercase)
                .filter(|word| !["disorder", "finding", "situation"].contains(&word.as_str()))
                .collect();
            if !words.is_empty() {
                found.push(Finding {
                    words,
                    code: code.to_owned(),
                });
            }
        }
    }
    found
}

/// Years in which a patient's encounters began, ascending.
fn years(records: &[&OracleRecord]) -> Vec<String> {
    let mut years = BTreeSet::new();
    for record in records {
        let Ok(bundle) = serde_json::from_slice::<Value>(&record.json) else {
            continue;
        };
        for entry in bundle["entry"].as_array().into_iter().flatten() {
            let resource = &entry["resource"];
            if resource["resourceType"] == "Encounter"
                && let Some(year) = resource["period"]["start"]
                    .as_str()
                    .and_then(|start| start.get(..4))
            {
                years.insert(year.to_owned());
            }
        }
    }
    years.into_iter().collect()
}

fn questions(world: &World) -> anyhow::Result<Vec<Question>> {
    let word = |text: &str| Want::Word(text.to_owned());
    let kind = |text: &str| Want::Type(text.to_owned());
    let of = |patient: usize| -> Vec<&OracleRecord> {
        world
            .records
            .iter()
            .map(|r| &r.oracle)
            .filter(|r| r.patient == patient)
            .collect()
    };
    let first = world
        .records
        .first()
        .map(|r| r.oracle.patient)
        .context("no records")?;
    let own = of(first);
    let conditions = findings(&own, "Condition");
    // The commonest word, so that the answers have something to tell apart.
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for word in conditions.iter().flat_map(|c| &c.words) {
        *counts.entry(word).or_default() += 1;
    }
    let a = counts
        .iter()
        .max_by_key(|(word, count)| (**count, std::cmp::Reverse(**word)))
        .map(|(word, _)| (*word).to_owned())
        .context("the first patient has no condition with a display")?;
    let code = conditions
        .iter()
        .find(|c| c.words.contains(&a))
        .map(|c| c.code.clone())
        .context("the word's code")?;
    let b = conditions
        .iter()
        .flat_map(|c| &c.words)
        .chain(
            findings(&own, "Observation")
                .iter()
                .flat_map(|f| f.words.iter())
                .collect::<Vec<_>>(),
        )
        .find(|w| **w != a)
        .cloned()
        .context("only one word in all records")?;
    let span = years(&own);
    let middle = span
        .get(span.len() / 2)
        .context("no encounter has a start")?
        .clone();
    let term_owner = world
        .records
        .iter()
        .find(|r| !r.oracle.own_terms.is_empty())
        .map_or(first, |r| r.oracle.patient);
    let (from, to) = (format!("{middle}-01-01"), format!("{middle}-12-31"));
    let between = Want::Between(from.clone(), to.clone());
    let mut list = vec![
        Question::new(first, a.clone(), word(&a)),
        Question::new(first, format!("code:{code}"), Want::Code(code.clone())),
        Question::new(
            first,
            format!("{a} AND type:Condition"),
            Want::And(vec![word(&a), kind("Condition")]),
        ),
        Question::new(
            first,
            format!("{a} OR {b}"),
            Want::Or(vec![word(&a), word(&b)]),
        ),
        Question::new(
            first,
            format!("type:Encounter NOT {a}"),
            Want::And(vec![kind("Encounter"), Want::Not(Box::new(word(&a)))]),
        ),
        Question {
            from: Some(from),
            to: Some(to),
            ..Question::new(
                first,
                "type:Encounter",
                Want::And(vec![kind("Encounter"), between]),
            )
        },
        Question::new(first, "xylophone", word("xylophone")),
        Question {
            hospital: world.people[first].cards.keys().next().copied(),
            ..Question::new(first, "type:Encounter", kind("Encounter"))
        },
        Question::new(term_owner, OWN_TERM, word(OWN_TERM)),
        Question::new(term_owner, "schuttelfrost", word("schuttelfrost")),
        Question::new(
            first,
            format!("(code:{code} OR {b}) AND type:Encounter"),
            Want::And(vec![
                Want::Or(vec![Want::Code(code), word(&b)]),
                kind("Encounter"),
            ]),
        ),
    ];
    // The same word, asked by another patient, finds hers alone.
    if let Some(other) = world
        .records
        .iter()
        .map(|r| r.oracle.patient)
        .find(|p| *p != first)
    {
        list.push(Question::new(other, a.clone(), word(&a)));
        list.push(Question::new(
            other,
            "type:Observation",
            kind("Observation"),
        ));
    }
    Ok(list)
}

/// Asks every question.
pub async fn run(
    world: &mut World,
    narrator: &Narrator,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    for question in questions(world)? {
        let hospitals: Vec<usize> = match question.hospital {
            Some(only) => vec![only],
            None => world.people[question.patient]
                .cards
                .keys()
                .copied()
                .collect(),
        };
        let own: Vec<OracleRecord> = world
            .records
            .iter()
            .filter(|r| {
                r.oracle.patient == question.patient && hospitals.contains(&r.oracle.hospital)
            })
            .map(|r| r.oracle.clone())
            .collect();
        let expected: BTreeSet<Hash> = matching(&own, &question.want)
            .into_iter()
            .map(|id| world.records[id].record_hash)
            .collect();
        let spec = SearchSpec {
            text: question.text.clone(),
            from: question.from.clone(),
            to: question.to.clone(),
            hospitals: hospitals
                .iter()
                .map(|h| world.layout.hospitals[*h].id)
                .collect(),
            ..SearchSpec::text("")
        };
        let begun = Instant::now();
        let outcome = world.people[question.patient].patient.search(&spec).await?;
        let ms = begun.elapsed().as_millis() as u64;
        let found: BTreeSet<Hash> = outcome.records.iter().map(|r| r.record_hash).collect();
        let mut text = question.text;
        if let (Some(from), Some(to)) = (&spec.from, &spec.to) {
            text = format!("{text} from {from} to {to}");
        }
        // `search` fails unless each hospital's answer is proved; it is whole if none stopped early.
        let verified = outcome.hospitals.len() == hospitals.len()
            && outcome.hospitals.iter().all(|h| h.complete);
        let row = SearchRow {
            query: text,
            hospitals: hospitals
                .iter()
                .map(|h| world.layout.hospitals[*h].name.clone())
                .collect(),
            expected: expected.len(),
            found: found.len(),
            same_records: expected == found,
            verified,
            ms,
        };
        narrator.tell(format!(
            "{} searches {:?}: {} of {} records, verified, {} ms",
            world.people[question.patient].name, row.query, row.found, row.expected, row.ms
        ));
        summary.searches.push(row);
    }
    Ok(())
}

/// Every patient opens every record of hers; each must be the uploaded one, byte for byte.
pub async fn open_all(
    world: &mut World,
    narrator: &Narrator,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let sources: BTreeMap<Hash, usize> = world
        .records
        .iter()
        .map(|r| (r.record_hash, r.oracle.id))
        .collect();
    let mut same = true;
    for number in 0..world.people.len() {
        let spec = SearchSpec::text("type:Encounter");
        let outcome = world.people[number].patient.search(&spec).await?;
        for found in &outcome.records {
            let opened = world.people[number].patient.open(found).await?;
            let source = sources
                .get(&found.record_hash)
                .map(|id| &world.records[*id].oracle.json);
            same &= source.is_some_and(|json| *json == opened.plaintext);
            summary.records_opened += 1;
            world.found.insert(found.record_hash, *found);
        }
        narrator.tell(format!(
            "{} opened {} records",
            world.people[number].name,
            outcome.records.len()
        ));
    }
    summary.opened_match_source = same;
    Ok(())
}

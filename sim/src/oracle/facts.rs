//! What a record says, read straight from its JSON.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;

use super::OracleRecord;

/// Resources about persons, places and money: what they say doesn't count.
const NOT_CLINICAL: &str = " Account AuditEvent Binary ChargeItem ChargeItemDefinition Claim ClaimResponse \
    Coverage CoverageEligibilityRequest CoverageEligibilityResponse Endpoint EnrollmentRequest \
    EnrollmentResponse ExplanationOfBenefit HealthcareService InsurancePlan Invoice Location MessageHeader \
    OperationOutcome Organization OrganizationAffiliation Parameters Patient PaymentNotice \
    PaymentReconciliation Person Practitioner PractitionerRole Provenance RelatedPerson Schedule Slot \
    Subscription ";

/// What a record says.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) words: BTreeSet<String>,
    /// ASCII lower case.
    pub(super) codes: BTreeSet<String>,
    pub(super) qualified: BTreeSet<(String, String)>,
    pub(super) types: BTreeSet<String>,
    encounters: BTreeSet<String>,
    documents: BTreeSet<String>,
}

impl Facts {
    pub(super) fn of(record: &OracleRecord) -> Self {
        let mut facts = Self::default();
        for term in &record.own_terms {
            facts.words.extend(words_of(term));
        }
        let Ok(document) = serde_json::from_slice::<Value>(&record.json) else {
            return facts;
        };
        // What is still to be read, each value with the name it goes by.
        let mut todo: Vec<(&str, &Value)> = vec![("", &document)];
        while let Some((name, value)) = todo.pop() {
            if let Some(items) = value.as_array() {
                todo.extend(items.iter().map(|item| (name, item)));
            } else if let Some(object) = value.as_object() {
                facts.read(name, object, &mut todo);
            }
        }
        facts
    }

    /// The day of the first encounter, else of the first document, as YYYY-MM-DD.
    pub(super) fn started(&self) -> Option<String> {
        self.encounters
            .first()
            .or_else(|| self.documents.first())
            .cloned()
    }

    fn read<'a>(
        &mut self,
        name: &str,
        object: &'a Map<String, Value>,
        todo: &mut Vec<(&'a str, &'a Value)>,
    ) {
        if let Some(kind) = string(object, "resourceType") {
            if kind == "Bundle" {
                let entries = object.get("entry").and_then(Value::as_array);
                for entry in entries.map(Vec::as_slice).unwrap_or_default() {
                    todo.extend(entry.get("resource").map(|resource| ("", resource)));
                }
                return;
            }
            if NOT_CLINICAL.contains(&format!(" {kind} ")) {
                return;
            }
            self.types.insert(kind.to_owned());
            let period = object.get("period").and_then(Value::as_object);
            let start = period.and_then(|period| string(period, "start"));
            match kind {
                "Encounter" => self.encounters.extend(start.and_then(first_day)),
                "Composition" => self
                    .documents
                    .extend(string(object, "date").and_then(first_day)),
                _ => {}
            }
        }

        if name == "coding" || looks_like_coding(object) {
            if let Some(code) = string(object, "code")
                .map(str::trim)
                .filter(|code| !code.is_empty())
            {
                self.codes.insert(code.to_ascii_lowercase());
                let system = string(object, "system").map(str::trim).unwrap_or_default();
                if !system.is_empty() {
                    self.qualified.insert((system.to_owned(), code.to_owned()));
                }
            }
            self.words
                .extend(string(object, "display").map(words_of).unwrap_or_default());
        }
        let has_codings = object.get("coding").is_some_and(Value::is_array);
        if has_codings || looks_like_bare_text(name, object) {
            self.words
                .extend(string(object, "text").map(words_of).unwrap_or_default());
        }

        for (member, value) in object {
            let named = matches!(
                member.as_str(),
                "identifier" | "meta" | "address" | "telecom" | "contact" | "photo"
            );
            if !named && !member.ends_with("Identifier") {
                todo.push((member.as_str(), value));
            }
        }
    }
}

fn string<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str()
}

/// A Coding outside a list of them: a class, a modality, a value.
fn looks_like_coding(object: &Map<String, Value>) -> bool {
    let is_unit = string(object, "system") == Some("http://unitsofmeasure.org");
    string(object, "code").is_some()
        && !is_unit
        && object.keys().all(|member| {
            matches!(
                member.trim_start_matches('_'),
                "id" | "extension" | "system" | "version" | "code" | "display" | "userSelected"
            )
        })
}

/// A concept that its author put in words only; prose and names look alike.
fn looks_like_bare_text(name: &str, object: &Map<String, Value>) -> bool {
    let prose = matches!(
        name,
        "note"
            | "progress"
            | "dosage"
            | "dosageInstruction"
            | "name"
            | "address"
            | "referenceRange"
            | "item"
            | "processNote"
    ) || ["Annotation", "Dosage", "HumanName", "Address"]
        .iter()
        .any(|end| name.ends_with(end));
    !prose
        && string(object, "text").is_some()
        && object
            .keys()
            .all(|member| matches!(member.trim_start_matches('_'), "id" | "extension" | "text"))
}

/// `2014-05-17T10:00:00Z`, `2014-05` or `2014` as a day.
fn first_day(text: &str) -> Option<String> {
    let day = match text.len() {
        4 => format!("{text}-01-01"),
        7 => format!("{text}-01"),
        _ => text.get(..10)?.to_owned(),
    };
    let shape: String = day
        .chars()
        .map(|letter| if letter.is_ascii_digit() { '0' } else { letter })
        .collect();
    (shape == "0000-00-00").then_some(day)
}

/// The words of a text: decomposed, without the accents of U+0300 to U+036F, in lower case, two bytes or more,
/// cut after 64 characters.
pub(super) fn words_of(text: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut word = String::new();
    for letter in text.nfkd().chain(std::iter::once(' ')) {
        if ('\u{300}'..='\u{36f}').contains(&letter) {
            continue;
        }
        if letter.is_alphanumeric() {
            word.extend(
                letter
                    .to_lowercase()
                    .map(|small| if small == '\u{3c2}' { '\u{3c3}' } else { small }),
            );
        } else if word.len() >= 2 {
            words.insert(word.chars().take(64).collect());
            word.clear();
        } else {
            word.clear();
        }
    }
    words
}

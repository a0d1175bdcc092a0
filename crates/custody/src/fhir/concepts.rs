//! Walks a record and collects what it can be found by: rules 1 to 5 of [`crate::fhir`].

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::date::ClinicalDate;
use super::entries_of;
use super::resource_types::{is_administrative, is_known};
use crate::keyword::fold;

/// Units of measurement: a Quantity that carries no value still isn't a Coding.
const UCUM: &str = "http://unitsofmeasure.org";

/// All members a Coding may have (FHIR R4, datatypes, Coding).
const CODING_MEMBERS: &[&str] = &[
    "id",
    "extension",
    "system",
    "version",
    "code",
    "display",
    "userSelected",
];

/// All members of a concept that has nothing but its text.
const TEXT_MEMBERS: &[&str] = &["id", "extension", "text"];

/// Members that name persons and things; nothing below them counts.
const NOT_ENTERED: &[&str] = &[
    "identifier",
    "meta",
    "address",
    "telecom",
    "contact",
    "photo",
];

/// Elements that can look like a concept with text alone, but hold prose or a name (from the R4 schema: all
/// elements whose type has a string `text`).
const PROSE: &[&str] = &[
    "note",
    "progress",
    "dosage",
    "dosageInstruction",
    "name",
    "address",
    "referenceRange",
    "item",
    "processNote",
];

/// The same for `value[x]` and its like.
const PROSE_SUFFIXES: &[&str] = &["Annotation", "Dosage", "HumanName", "Address"];

/// What a record can be found by.
#[derive(Debug, Default)]
pub(super) struct Concepts {
    /// Types of the clinical resources.
    pub(super) types: BTreeSet<String>,
    /// System (empty when there is none) and code.
    pub(super) codings: BTreeSet<(String, String)>,
    /// Folded words of displays and texts.
    pub(super) words: BTreeSet<String>,
    encounter_start: Option<ClinicalDate>,
    document_date: Option<ClinicalDate>,
}

impl Concepts {
    /// Walks a resource. The depth is bounded by the JSON parser.
    pub(super) fn of(resource: &Value) -> Self {
        let mut concepts = Self::default();
        if resource.get("resourceType").is_some() {
            concepts.enter(resource, "resource");
        }
        concepts
    }

    /// Rule 5.
    pub(super) fn clinical_date(&self) -> Option<ClinicalDate> {
        self.encounter_start.or(self.document_date)
    }

    fn enter(&mut self, value: &Value, name: &str) {
        match value {
            Value::Object(members) => self.enter_object(value, members, name),
            Value::Array(items) => {
                for item in items {
                    self.enter(item, name);
                }
            }
            _ => {}
        }
    }

    fn enter_object(&mut self, object: &Value, members: &Map<String, Value>, name: &str) {
        if let Some(kind) = text_of(members, "resourceType") {
            // Rule 1.
            if kind == "Bundle" {
                for resource in entries_of(object).filter_map(|entry| entry.get("resource")) {
                    self.enter(resource, "resource");
                }
                return;
            }
            if is_administrative(kind) || !is_known(kind) {
                return;
            }
            self.types.insert(kind.to_owned());
            self.note_date(kind, object);
        }
        if is_coding(members, name) {
            self.add_coding(members);
        }
        if is_concept(members, name) {
            self.add_words(text_of(members, "text"));
        }
        for (member, value) in members {
            // Rule 2.
            if !NOT_ENTERED.contains(&member.as_str()) && !member.ends_with("Identifier") {
                self.enter(value, member);
            }
        }
    }

    fn add_coding(&mut self, coding: &Map<String, Value>) {
        if let Some(code) = text_of(coding, "code") {
            let system = text_of(coding, "system").unwrap_or_default();
            self.codings.insert((system.to_owned(), code.to_owned()));
        }
        self.add_words(text_of(coding, "display"));
    }

    fn add_words(&mut self, text: Option<&str>) {
        self.words.extend(text.map(fold).unwrap_or_default());
    }

    /// Rule 5: the earliest of each kind.
    fn note_date(&mut self, kind: &str, resource: &Value) {
        let (place, earliest) = match kind {
            "Encounter" => ("/period/start", &mut self.encounter_start),
            "Composition" => ("/date", &mut self.document_date),
            _ => return,
        };
        let found = resource
            .pointer(place)
            .and_then(Value::as_str)
            .and_then(ClinicalDate::parse);
        if let Some(found) = found {
            *earliest = Some(earliest.map_or(found, |known| known.min(found)));
        }
    }
}

fn text_of<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str)
}

fn only_members(members: &Map<String, Value>, allowed: &[&str]) -> bool {
    members
        .keys()
        .all(|member| allowed.contains(&member.strip_prefix('_').unwrap_or(member)))
}

/// Rule 3.
fn is_coding(members: &Map<String, Value>, name: &str) -> bool {
    name == "coding"
        || (text_of(members, "code").is_some()
            && text_of(members, "system") != Some(UCUM)
            && only_members(members, CODING_MEMBERS))
}

/// Rule 4.
fn is_concept(members: &Map<String, Value>, name: &str) -> bool {
    if members.get("coding").is_some_and(Value::is_array) {
        return true;
    }
    text_of(members, "text").is_some()
        && only_members(members, TEXT_MEMBERS)
        && !PROSE.contains(&name)
        && !PROSE_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(resource: &Value) -> Vec<String> {
        Concepts::of(resource).words.into_iter().collect()
    }

    #[test]
    fn codings_are_found_wherever_they_stand() {
        let found = Concepts::of(&json!({
            "resourceType": "ImagingStudy",
            "series": [{"modality": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "DX"},
                        "bodySite": {"code": "51299004", "display": "Clavicle"}}],
            "extension": [{"url": "x", "valueCodeableConcept": {"coding": [{"display": "Left side"}]}}],
        }));
        assert!(found.codings.contains(&(
            "http://dicom.nema.org/resources/ontology/DCM".into(),
            "DX".into()
        )));
        assert!(found.codings.contains(&(String::new(), "51299004".into())));
        let words: Vec<String> = found.words.into_iter().collect();
        assert_eq!(words, ["clavicle", "left", "side"]);
    }

    #[test]
    fn quantities_are_not_codings() {
        let found = Concepts::of(&json!({
            "resourceType": "Observation",
            "valueQuantity": {"value": 70, "unit": "kg", "system": UCUM, "code": "kg"},
            "component": [{"valueQuantity": {"system": UCUM, "code": "mm[Hg]"}}],
        }));
        assert!(found.codings.is_empty() && found.words.is_empty());
    }

    #[test]
    fn text_counts_for_concepts_and_not_for_prose() {
        assert_eq!(
            words(&json!({"resourceType": "Condition", "code": {"text": "Gout"}})),
            ["gout"]
        );
        assert_eq!(
            words(&json!({"resourceType": "Condition", "note": [{"text": "Seen with Mr Doe"}]})),
            [""; 0]
        );
        let order = json!({"resourceType": "MedicationRequest", "dosageInstruction": [{"text": "daily",
            "route": {"text": "oral"}}]});
        assert_eq!(words(&order), ["oral"]);
        let narrative = json!({"resourceType": "Condition", "text": {"status": "generated", "div": "<div>x</div>"}});
        assert_eq!(words(&narrative), [""; 0]);
    }

    #[test]
    fn persons_are_not_indexed() {
        let found = Concepts::of(&json!({
            "resourceType": "Bundle",
            "entry": [
                {"resource": {"resourceType": "Patient", "name": [{"text": "Jane Roe"}],
                    "maritalStatus": {"coding": [{"system": "s", "code": "M", "display": "Married"}]}}},
                {"resource": {"resourceType": "Observation",
                    "contained": [{"resourceType": "Practitioner", "qualification": [{"code": {"text": "MD"}}]}],
                    "identifier": [{"type": {"coding": [{"code": "ACSN"}]}, "value": "1"}],
                    "meta": {"tag": [{"system": "t", "code": "synthetic"}]},
                    "subject": {"reference": "Patient/1", "display": "Jane Roe"}}},
                {"resource": {"resourceType": "Claim", "type": {"coding": [{"code": "institutional"}]}}},
            ],
        }));
        assert_eq!(found.types.into_iter().collect::<Vec<_>>(), ["Observation"]);
        assert!(found.codings.is_empty() && found.words.is_empty());
    }
}

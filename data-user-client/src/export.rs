//! Opened FHIR as NDJSON, one file a resource type: the shape of FHIR Bulk Data output.
//!
//! A resource keeps its bytes but for insignificant whitespace, since decimals lose their precision when they
//! pass through a float. The same resource in several records (the patient, in each) is written once.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::value::RawValue;

/// Why a document has no resources to export.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Not JSON.
    #[error("not JSON: line {line}, column {column}")]
    NotJson {
        /// Line of the first fault, from 1.
        line: usize,
        /// Column of the first fault.
        column: usize,
    },
    /// JSON without a usable `resourceType`.
    #[error("not a FHIR resource")]
    NotFhir,
}

/// Lines by resource type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ndjson {
    lines: BTreeMap<String, Vec<String>>,
    seen: BTreeSet<(String, String)>,
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "resourceType")]
    kind: String,
}

#[derive(Deserialize)]
struct Bundle<'a> {
    #[serde(borrow, default)]
    entry: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
}

impl Ndjson {
    /// Adds a document: each resource of a Bundle, or the one resource that it is.
    ///
    /// # Errors
    /// [`ExportError`]; nothing is added then.
    pub fn add(&mut self, document: &[u8]) -> Result<(), ExportError> {
        let text = std::str::from_utf8(document).map_err(|_| ExportError::NotFhir)?;
        if kind_of(text)? != "Bundle" {
            return self.add_all(&[text]);
        }
        let bundle: Bundle<'_> = serde_json::from_str(text).map_err(|fault| wrong(&fault))?;
        let resources: Vec<&str> = bundle
            .entry
            .iter()
            .filter_map(|entry| entry.resource.map(RawValue::get))
            .collect();
        self.add_all(&resources)
    }

    fn add_all(&mut self, resources: &[&str]) -> Result<(), ExportError> {
        let mut new = Vec::with_capacity(resources.len());
        for resource in resources {
            let kind = kind_of(resource)?;
            // The type becomes a file name.
            if kind.is_empty() || !kind.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(ExportError::NotFhir);
            }
            new.push((kind, compact(resource)));
        }
        for (kind, line) in new {
            if self.seen.insert((kind.clone(), line.clone())) {
                self.lines.entry(kind).or_default().push(line);
            }
        }
        Ok(())
    }

    /// The resource types with their number of resources, in alphabetical order.
    pub fn types(&self) -> impl Iterator<Item = (&str, usize)> {
        self.lines
            .iter()
            .map(|(kind, lines)| (kind.as_str(), lines.len()))
    }

    /// The file of a type: one resource a line; none for a type that does not occur.
    #[must_use]
    pub fn file(&self, kind: &str) -> Option<String> {
        let lines = self.lines.get(kind)?;
        let mut text = lines.join("\n");
        text.push('\n');
        Some(text)
    }
}

fn kind_of(text: &str) -> Result<String, ExportError> {
    // serde would read a list as the struct's fields in order.
    if text.trim_start().starts_with('[') {
        return Err(ExportError::NotFhir);
    }
    let head: Head = serde_json::from_str(text).map_err(|fault| wrong(&fault))?;
    Ok(head.kind)
}

fn wrong(fault: &serde_json::Error) -> ExportError {
    if fault.is_data() {
        ExportError::NotFhir
    } else {
        ExportError::NotJson {
            line: fault.line(),
            column: fault.column(),
        }
    }
}

/// Well-formed JSON without whitespace between its tokens, so that it is one line.
fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut inside, mut escaped) = (false, false);
    for letter in json.chars() {
        if inside {
            out.push(letter);
            match letter {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => inside = false,
                _ => {}
            }
        } else if !matches!(letter, ' ' | '\t' | '\n' | '\r') {
            out.push(letter);
            inside = letter == '"';
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn resources_go_to_their_types_once_and_keep_their_digits() {
        let mut ndjson = Ndjson::default();
        let first = br#"{"resourceType": "Bundle", "type": "collection", "entry": [
            {"resource": {"resourceType": "Patient", "id": "p", "name": [{"text": "A  \"B\"  C"}]}},
            {"fullUrl": "urn:x", "resource": {"resourceType": "Observation", "valueQuantity": {"value": 1.50}}},
            {"request": {"method": "DELETE"}}
        ]}"#;
        let second = br#"{"resourceType":"Bundle","entry":[
            {"resource": {"resourceType": "Patient", "id": "p", "name": [{"text": "A  \"B\"  C"}]}}]}"#;
        ndjson.add(first).unwrap();
        ndjson.add(second).unwrap();
        ndjson.add(br#"{"resourceType":"Condition"}"#).unwrap();
        let types: Vec<(&str, usize)> = ndjson.types().collect();
        assert_eq!(
            types,
            [("Condition", 1), ("Observation", 1), ("Patient", 1)]
        );
        assert_eq!(
            ndjson.file("Observation").unwrap(),
            "{\"resourceType\":\"Observation\",\"valueQuantity\":{\"value\":1.50}}\n"
        );
        assert!(ndjson.file("Patient").unwrap().contains(r#"A  \"B\"  C"#));
        assert_eq!(ndjson.file("Encounter"), None);
    }

    #[test]
    fn what_is_no_fhir_is_refused_and_adds_nothing() {
        let mut ndjson = Ndjson::default();
        assert!(matches!(ndjson.add(b"{"), Err(ExportError::NotJson { .. })));
        assert_eq!(ndjson.add(b"{\"a\":1}"), Err(ExportError::NotFhir));
        assert_eq!(ndjson.add(b"[]"), Err(ExportError::NotFhir));
        assert_eq!(ndjson.add(&[0xff]), Err(ExportError::NotFhir));
        let escape = br#"{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient"}},
            {"resource":{"resourceType":"../x"}}]}"#;
        assert_eq!(ndjson.add(escape), Err(ExportError::NotFhir));
        assert_eq!(ndjson.types().count(), 0);
    }
}

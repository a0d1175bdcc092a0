//! The entries of a bundle, each with its own bytes: a record keeps a resource exactly as it was written, as
//! FHIR's decimals lose their precision when they pass through a float.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use serde_json::value::RawValue;

use super::{FhirError, not_json, resource_types, type_of};

/// Types whose content the split itself reads; of the others only the links are kept.
const READ: &[&str] = &[
    "Composition",
    "Encounter",
    "Location",
    "Organization",
    "Patient",
];

type RawMembers<'a> = BTreeMap<String, &'a RawValue>;

/// One entry that holds a resource.
pub(super) struct Entry<'a> {
    pub(super) full_url: Option<String>,
    /// The resource, byte for byte.
    pub(super) raw: &'a RawValue,
    pub(super) kind: String,
    pub(super) id: Option<String>,
    /// Every `reference` in the resource, at any depth.
    pub(super) references: BTreeSet<String>,
    /// System (empty when there is none) and value of each of the resource's identifiers.
    pub(super) identifiers: Vec<(String, String)>,
    /// The resource itself, for the types in [`READ`].
    pub(super) details: Option<Value>,
}

impl Entry<'_> {
    /// How the rest of the bundle names this resource: its full URL, else `Type/id`, else nothing.
    pub(super) fn reference(&self) -> String {
        match (&self.full_url, &self.id) {
            (Some(url), _) => url.clone(),
            (None, Some(id)) => format!("{}/{id}", self.kind),
            (None, None) => String::new(),
        }
    }
}

/// The entries of a Bundle that hold a resource, in order. Entries without one (a DELETE in a transaction)
/// carry no content.
pub(super) fn entries(bytes: &[u8]) -> Result<Vec<Entry<'_>>, FhirError> {
    let bundle: RawMembers<'_> = serde_json::from_slice(bytes).map_err(|fault| {
        // Well-formed so far, but not an object.
        if fault.is_data() {
            FhirError::NotFhir { found: None }
        } else {
            not_json(&fault)
        }
    })?;
    match string(bundle.get("resourceType")) {
        Some(kind) if kind == "Bundle" => {}
        Some(found) if resource_types::is_known(&found) => {
            return Err(FhirError::NotABundle { found });
        }
        found => return Err(FhirError::NotFhir { found }),
    }
    let Some(list) = bundle.get("entry").copied() else {
        return Err(FhirError::EmptyBundle);
    };
    let list: Vec<RawMembers<'_>> =
        serde_json::from_str(list.get()).map_err(|_| FhirError::EmptyBundle)?;

    let mut entries = Vec::new();
    for members in &list {
        if let Some(raw) = members.get("resource").copied() {
            entries.push(entry(bytes, string(members.get("fullUrl")), raw)?);
        }
    }
    if entries.is_empty() {
        return Err(FhirError::EmptyBundle);
    }
    Ok(entries)
}

fn entry<'a>(
    bundle: &[u8],
    full_url: Option<String>,
    raw: &'a RawValue,
) -> Result<Entry<'a>, FhirError> {
    let resource: Value =
        serde_json::from_str(raw.get()).map_err(|fault| fault_in(bundle, &fault))?;
    let kind = type_of(&resource)?.to_owned();
    let mut references = BTreeSet::new();
    collect_references(&resource, &mut references);
    let identifiers = match resource.get("identifier") {
        Some(Value::Array(list)) => list.iter().filter_map(identifier).collect(),
        Some(one) => identifier(one).into_iter().collect(),
        None => Vec::new(),
    };
    let id = resource
        .get("id")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let details = READ.contains(&kind.as_str()).then_some(resource);
    Ok(Entry {
        full_url,
        raw,
        kind,
        id,
        references,
        identifiers,
        details,
    })
}

/// Where in the whole document a resource is broken. The first pass over a resource is shallow, so its faults
/// show up here, counted from its own start.
fn fault_in(bundle: &[u8], fault: &serde_json::Error) -> FhirError {
    match serde_json::from_slice::<Value>(bundle) {
        Err(placed) => not_json(&placed),
        Ok(_) => not_json(fault),
    }
}

fn string(raw: Option<&&RawValue>) -> Option<String> {
    raw.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok())
}

fn identifier(identifier: &Value) -> Option<(String, String)> {
    let value = identifier.get("value").and_then(Value::as_str)?;
    let system = identifier
        .get("system")
        .and_then(Value::as_str)
        .unwrap_or_default();
    Some((system.to_owned(), value.to_owned()))
}

fn collect_references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("reference").and_then(Value::as_str) {
                found.insert(reference.to_owned());
            }
            for member in members.values() {
                collect_references(member, found);
            }
        }
        Value::Array(items) => {
            for item in items {
                collect_references(item, found);
            }
        }
        _ => {}
    }
}

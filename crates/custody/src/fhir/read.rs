//! Reads what people want to see of a history: the patient's name, and where an encounter took place.

use serde_json::Value;

use super::bundle::Entry;
use super::links::Resolver;
use super::split::Organisation;

/// A string at a JSON pointer (RFC 6901); `None` when it is absent, no string or blank.
pub(super) fn text_at(value: &Value, pointer: &str) -> Option<String> {
    let text = value.pointer(pointer)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The patient's name for people to read: the official one, else the usual one, else the first. Empty when the
/// source has none.
pub(super) fn patient_name(patient: &Value) -> String {
    let names: Vec<&Value> = list(patient, "name");
    let used_as = |wanted: &str| {
        names
            .iter()
            .find(|name| name.get("use").and_then(Value::as_str) == Some(wanted))
    };
    let name = used_as("official")
        .or_else(|| used_as("usual"))
        .or_else(|| names.first());
    name.map(|name| human_name(name)).unwrap_or_default()
}

fn human_name(name: &Value) -> String {
    if let Some(text) = text_at(name, "/text") {
        return text;
    }
    let given = list(name, "given").into_iter().chain(name.get("family"));
    let parts: Vec<&str> = given.filter_map(Value::as_str).collect();
    parts.join(" ")
}

/// The organisation that answers for an encounter: its service provider, else who runs the place where it
/// happened. Empty when the source doesn't tell.
pub(super) fn organisation_of_encounter(
    encounter: &Value,
    entries: &[Entry<'_>],
    resolver: &Resolver,
) -> Organisation {
    if let Some(found) = organisation(encounter.get("serviceProvider"), entries, resolver) {
        return found;
    }
    let places = list(encounter, "location");
    places
        .into_iter()
        .filter_map(|place| place.pointer("/location/reference").and_then(Value::as_str))
        .filter_map(|reference| entries[resolver.resolve(reference)?].details.as_ref())
        .find_map(|place| organisation(place.get("managingOrganization"), entries, resolver))
        .unwrap_or_default()
}

/// The organisation that a `Reference` names: the bundle's own name for it when the bundle holds it, else the
/// reference as written, else its identifier as `system|value`.
pub(super) fn organisation(
    reference: Option<&Value>,
    entries: &[Entry<'_>],
    resolver: &Resolver,
) -> Option<Organisation> {
    let holder = reference?;
    let display = text_at(holder, "/display");
    if let Some(written) = text_at(holder, "/reference") {
        let Some(entry) = resolver.resolve(&written).map(|at| &entries[at]) else {
            return Some(Organisation {
                reference: written,
                name: display.unwrap_or_default(),
            });
        };
        let own_name = entry
            .details
            .as_ref()
            .and_then(|details| text_at(details, "/name"));
        let canonical = entry.reference();
        return Some(Organisation {
            reference: if canonical.is_empty() {
                written
            } else {
                canonical
            },
            name: own_name.or(display).unwrap_or_default(),
        });
    }
    let identifier = text_at(holder, "/identifier/value").map(|value| {
        let system = text_at(holder, "/identifier/system").unwrap_or_default();
        format!("{system}|{value}")
    });
    if identifier.is_none() && display.is_none() {
        return None;
    }
    Some(Organisation {
        reference: identifier.unwrap_or_default(),
        name: display.unwrap_or_default(),
    })
}

fn list<'a>(value: &'a Value, member: &str) -> Vec<&'a Value> {
    value
        .get(member)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .collect()
}

//! Resolves the references inside a bundle (FHIR R4, Bundle, 3.1.1.3; http, 3.1.0.11.2 for conditional ones).

use std::collections::BTreeMap;

use super::bundle::Entry;

/// Finds the entry that a reference names.
pub(super) struct Resolver {
    by_url: BTreeMap<String, usize>,
    /// `Type/id`, and whether the entry has a full URL of its own.
    by_type_and_id: BTreeMap<String, (usize, bool)>,
    /// Resource type, system, value.
    by_identifier: BTreeMap<(String, String, String), usize>,
    /// Resource type, value, whatever the system.
    by_value: BTreeMap<(String, String), usize>,
}

impl Resolver {
    /// Of two entries under one name the first counts.
    pub(super) fn new(entries: &[Entry<'_>]) -> Self {
        let mut resolver = Self {
            by_url: BTreeMap::new(),
            by_type_and_id: BTreeMap::new(),
            by_identifier: BTreeMap::new(),
            by_value: BTreeMap::new(),
        };
        for (at, entry) in entries.iter().enumerate() {
            if let Some(url) = &entry.full_url {
                resolver.by_url.entry(url.clone()).or_insert(at);
            }
            if let Some(id) = &entry.id {
                let name = format!("{}/{id}", entry.kind);
                resolver
                    .by_type_and_id
                    .entry(name)
                    .or_insert((at, entry.full_url.is_some()));
            }
            for (system, value) in &entry.identifiers {
                let kind = &entry.kind;
                let full = (kind.clone(), system.clone(), value.clone());
                resolver.by_identifier.entry(full).or_insert(at);
                resolver
                    .by_value
                    .entry((kind.clone(), value.clone()))
                    .or_insert(at);
            }
        }
        // A `urn:uuid:` reference to an entry that shows its UUID only as its id.
        for (at, entry) in entries.iter().enumerate() {
            if let Some(id) = &entry.id {
                resolver
                    .by_url
                    .entry(format!("urn:uuid:{id}"))
                    .or_insert(at);
            }
        }
        resolver
    }

    /// The entry that a reference names: by full URL, as `Type/id`, or conditionally
    /// (`Organization?identifier=system|value`). An absolute URL that is no entry's full URL matches by its
    /// end only an entry without one: elsewhere it names another server's resource.
    pub(super) fn resolve(&self, reference: &str) -> Option<usize> {
        if reference.starts_with('#') {
            return None;
        }
        if let Some(at) = self.by_url.get(reference) {
            return Some(*at);
        }
        if let Some((path, query)) = reference.split_once('?') {
            return self.resolve_conditional(path, query);
        }
        let unversioned = match reference.split_once("/_history/") {
            Some((resource, _)) => resource,
            None => reference,
        };
        if let Some(at) = self.by_url.get(unversioned) {
            return Some(*at);
        }
        let mut segments = unversioned.rsplit('/');
        let (id, kind) = (segments.next()?, segments.next()?);
        let (at, has_url) = *self.by_type_and_id.get(&format!("{kind}/{id}"))?;
        let relative = segments.next().is_none();
        (relative || !has_url).then_some(at)
    }

    fn resolve_conditional(&self, path: &str, query: &str) -> Option<usize> {
        let kind = path.rsplit('/').next()?.to_owned();
        let token = query
            .split('&')
            .find_map(|part| part.strip_prefix("identifier="))?;
        let token = percent_decoded(token)?;
        match token.split_once('|') {
            Some((system, value)) => self
                .by_identifier
                .get(&(kind, system.to_owned(), value.to_owned()))
                .copied(),
            None => self.by_value.get(&(kind, token)).copied(),
        }
    }
}

/// RFC 3986, 2.1. `None` when the result isn't text.
fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'%' {
            decoded.push(first);
            continue;
        }
        let (high, low) = (tail.first()?, tail.get(1)?);
        let digit = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        decoded.push(digit(*high)? * 16 + digit(*low)?);
        rest = tail.get(2..)?;
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::bundle;
    use super::*;

    #[test]
    fn every_kind_of_reference_is_resolved() {
        let bundle = br#"{"resourceType":"Bundle","entry":[
            {"fullUrl":"urn:uuid:aa","resource":{"resourceType":"Patient","id":"p"}},
            {"fullUrl":"https://a.org/fhir/Encounter/e","resource":{"resourceType":"Encounter","id":"e"}},
            {"resource":{"resourceType":"Organization","id":"o",
                "identifier":[{"system":"https://ids.org/x","value":"7"}]}},
            {"resource":{"resourceType":"Observation","id":"0f9c"}}]}"#;
        let resolver = Resolver::new(&bundle::entries(bundle).unwrap());
        let cases = [
            ("urn:uuid:aa", Some(0)),
            ("Patient/p", Some(0)),
            ("Patient/p/_history/2", Some(0)),
            ("https://a.org/fhir/Encounter/e", Some(1)),
            ("https://a.org/fhir/Encounter/e/_history/3", Some(1)),
            ("https://b.org/fhir/Encounter/e", None),
            ("Encounter/e", Some(1)),
            ("https://b.org/fhir/Organization/o", Some(2)),
            ("Organization?identifier=https://ids.org/x|7", Some(2)),
            (
                "Organization?identifier=https%3A%2F%2Fids.org%2Fx%7C7",
                Some(2),
            ),
            ("Organization?identifier=7", Some(2)),
            ("Organization?identifier=https://ids.org/y|7", None),
            ("Practitioner?identifier=7", None),
            ("Organization?name=x", None),
            ("Organization?identifier=%7", None),
            ("urn:uuid:0f9c", Some(3)),
            ("#o", None),
            ("o", None),
            ("", None),
        ];
        for (reference, expected) in cases {
            assert_eq!(resolver.resolve(reference), expected, "{reference}");
        }
    }
}

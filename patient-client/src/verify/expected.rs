//! The keywords that the author of a record should have indexed, recomputed from the opened record (DESIGN 2.2, 3.4).
//! Pure.

use caduceus_crypto::Hash;
use caduceus_custody::amend;
use caduceus_custody::fhir::{self, FhirError};
use caduceus_custody::keyword::Keyword;
use caduceus_custody::open::Opened;
use std::collections::BTreeSet;

/// Name of the sealed record's field with the doctor's own terms: UTF-8, one a line, as workstations write it.
const TERMS_FIELD: &str = "terms";
/// Media type of FHIR in JSON: such a record is indexed by what it says, any other by the doctor's terms alone.
const FHIR_JSON: &str = "application/fhir+json";

/// The keywords of an opened record.
///
/// # Errors
/// [`FhirError`] for a record that calls itself FHIR and is none: no workstation makes one.
pub(super) fn keywords_of(opened: &Opened) -> Result<BTreeSet<Keyword>, FhirError> {
    let terms = opened.fields.get(TERMS_FIELD).map(Vec::as_slice);
    keywords(
        &opened.media_type,
        &opened.plaintext,
        terms.unwrap_or_default(),
        amend::replaced(opened).as_ref(),
    )
}

fn keywords(
    media_type: &str,
    plaintext: &[u8],
    terms: &[u8],
    replaced: Option<&Hash>,
) -> Result<BTreeSet<Keyword>, FhirError> {
    let terms = String::from_utf8_lossy(terms);
    let terms: Vec<&str> = terms.lines().collect();
    let mut keywords = if is_fhir_json(media_type) {
        fhir::plan(plaintext, &terms)?.kept
    } else {
        terms.iter().flat_map(|text| Keyword::terms(text)).collect()
    };
    keywords.extend(replaced.map(amend::amends_keyword));
    Ok(keywords)
}

fn is_fhir_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(FHIR_JSON)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn texts(
        media_type: &str,
        plaintext: &[u8],
        terms: &[u8],
        replaced: Option<&Hash>,
    ) -> Vec<String> {
        keywords(media_type, plaintext, terms, replaced)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_record_has_the_keywords_of_its_content_and_of_its_authors_terms() {
        let condition = br#"{"resourceType":"Condition","code":{"text":"Gout"}}"#;
        assert_eq!(
            texts(
                "application/fhir+json; charset=utf-8",
                condition,
                b"left toe",
                None
            ),
            ["term:gout", "term:left", "term:toe", "type:Condition"]
        );
        // Another file has its author's terms and nothing else.
        assert_eq!(
            texts("application/pdf", condition, b"Chest X-ray\nchest", None),
            ["term:chest", "term:ray"]
        );
        assert!(texts("text/plain", b"gout", b"", None).is_empty());
    }

    #[test]
    fn a_newer_version_has_the_keyword_of_the_one_it_replaces() {
        let old = Hash([7; 32]);
        let amends = format!("amends:{old}");
        assert_eq!(
            texts("text/plain", b"", b"toe", Some(&old)),
            [amends.as_str(), "term:toe"]
        );
        let condition = br#"{"resourceType":"Condition"}"#;
        assert_eq!(
            texts(FHIR_JSON, condition, b"", Some(&old)),
            [amends.as_str(), "type:Condition"]
        );
    }

    #[test]
    fn what_calls_itself_fhir_and_is_none_has_no_keywords_to_compare() {
        assert!(keywords(FHIR_JSON, b"not json", b"", None).is_err());
    }
}

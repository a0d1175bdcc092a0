//! What a record can be found by: its keywords, its index entries, and the sealed fields from which the patient
//! recomputes them (DESIGN 3.4).

use std::sync::Arc;

use caduceus_crypto::index::IndexEntries;
use caduceus_crypto::time::Epoch;
use caduceus_custody::amend::{AMENDS_FIELD, amends_keyword};
use caduceus_custody::fhir;
use caduceus_custody::frame::Fields;
use caduceus_custody::keyword::Keyword;
use caduceus_custody::scheme::AuthorKey;
use caduceus_custody::tags::{IndexError, TagRequest};
use rand_core::OsRng;

use super::counters::Counters;
use super::error::WorkstationError;
use super::upload::UploadInput;
use super::visit::Visit;

/// Media type of FHIR in JSON: such a record is indexed by what it says.
pub const FHIR_JSON: &str = "application/fhir+json";

/// Name of the sealed record's field with the doctor's own terms: UTF-8, one a line, as they were typed. With
/// them the patient's client recomputes the keywords.
pub const TERMS_FIELD: &str = "terms";

/// The keywords of a plaintext, and how many found no room: what the doctor can look at before she uploads.
///
/// # Errors
/// [`WorkstationError::Fhir`] for a FHIR document that is none, or too many terms.
pub fn keywords_of(input: &UploadInput) -> Result<(Vec<Keyword>, usize), WorkstationError> {
    let (mut words, dropped) = content_words(input)?;
    // Nothing drops it: the room for it is beyond what a document may fill.
    words.extend(input.amends.as_ref().map(amends_keyword));
    Ok((words, dropped))
}

fn content_words(input: &UploadInput) -> Result<(Vec<Keyword>, usize), WorkstationError> {
    let terms: Vec<&str> = input.own_terms.iter().map(String::as_str).collect();
    if is_fhir_json(&input.media_type) {
        let plan = fhir::plan(&input.bytes, &terms)?;
        return Ok((plan.kept.into_iter().collect(), plan.dropped.len()));
    }
    let mut words: Vec<Keyword> = terms.iter().flat_map(|text| Keyword::terms(text)).collect();
    words.sort();
    words.dedup();
    if words.len() > fhir::MAX_OWN_WORDS {
        let (limit, found) = (fhir::MAX_OWN_WORDS, words.len());
        return Err(fhir::FhirError::TooManyOwnTerms { limit, found }.into());
    }
    Ok((words, 0))
}

/// Whether a media type is FHIR in JSON, whatever its parameters.
pub fn is_fhir_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(FHIR_JSON)
}

/// A record's index entries, and what to remember of them once they are anchored.
pub(super) struct Indexed {
    pub(super) entries: IndexEntries,
    counted: Option<Counted>,
}

/// The counters that a record's tags took; scanned entries have none.
struct Counted {
    day: Epoch,
    keywords: Vec<String>,
    counts: Vec<u32>,
}

impl Indexed {
    /// The record is anchored: its counters are used up.
    pub(super) fn anchored(&self, counters: &mut Counters) {
        if let Some(counted) = &self.counted {
            counters
                .of_day(counted.day)
                .committed(&counted.keywords, &counted.counts);
        }
    }
}

impl Visit {
    /// Makes the index entries of a record by the network's scheme. With `tags` a private node says which
    /// counters are next; entries that are scanned need nobody.
    pub(super) async fn index(
        &mut self,
        day: Epoch,
        keywords: &[Keyword],
    ) -> Result<Indexed, WorkstationError> {
        let key = self.author_key(day).await?;
        if let AuthorKey::Tags(key) = key.as_ref() {
            let request = TagRequest::new(key, day, keywords.iter().map(Keyword::as_str))?;
            let counts = self.counts(day, &request).await?;
            return Ok(Indexed {
                entries: request.entries(&mut OsRng, &counts)?,
                counted: Some(Counted {
                    day,
                    keywords: request.keywords().to_vec(),
                    counts,
                }),
            });
        }
        let words: Vec<String> = keywords.iter().map(ToString::to_string).collect();
        // Off the runtime's own threads: hundreds of pairings take a while.
        let entries = tokio::task::spawn_blocking(move || scanned(&key, &words))
            .await
            .expect("indexing neither panics nor is cancelled")?;
        Ok(Indexed {
            entries,
            counted: None,
        })
    }
}

/// The entries of a scheme that is scanned.
fn scanned(key: &Arc<AuthorKey>, words: &[String]) -> Result<IndexEntries, IndexError> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    key.scan_entries(&mut OsRng, &words)
        .expect("only tags need counters, and those were asked for")
}

/// What is sealed beside the plaintext.
pub(super) fn sealed_fields(input: &UploadInput) -> Fields {
    let (terms, mut fields) = (&input.own_terms, Fields::new());
    if let Some(replaced) = &input.amends {
        fields.insert(AMENDS_FIELD.to_owned(), replaced.as_bytes().to_vec());
    }
    if !terms.is_empty() {
        let lines: Vec<String> = terms
            .iter()
            .map(|term| term.replace(['\n', '\r'], " "))
            .collect();
        fields.insert(TERMS_FIELD.to_owned(), lines.join("\n").into_bytes());
    }
    fields
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::hash::Hash;
    use caduceus_crypto::index::MAX_TAGS;
    use std::collections::BTreeSet;

    fn input(media_type: &str, bytes: &[u8], terms: &[&str]) -> UploadInput {
        UploadInput {
            bytes: bytes.to_vec(),
            media_type: media_type.to_owned(),
            own_terms: terms.iter().map(|term| (*term).to_owned()).collect(),
            amends: None,
        }
    }

    #[test]
    fn other_files_are_found_by_the_doctors_words_alone() {
        let (words, dropped) = keywords_of(&input(
            "application/pdf",
            b"%PDF",
            &["Chest X-ray", "chest"],
        ))
        .unwrap();
        let words: Vec<&str> = words.iter().map(Keyword::as_str).collect();
        assert_eq!(words, ["term:chest", "term:ray"]);
        assert_eq!(dropped, 0);
        let many: Vec<String> = (0..65).map(|n| format!("word{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(keywords_of(&input("text/plain", b"", &many)).is_err());
    }

    #[test]
    fn fhir_is_found_by_what_it_says_and_must_be_fhir() {
        let condition = br#"{"resourceType":"Condition","code":{"text":"Gout"}}"#;
        let (words, _) = keywords_of(&input(
            "application/fhir+json; charset=utf-8",
            condition,
            &["toe"],
        ))
        .unwrap();
        let words: Vec<&str> = words.iter().map(Keyword::as_str).collect();
        assert_eq!(words, ["term:gout", "term:toe", "type:Condition"]);
        assert!(keywords_of(&input(FHIR_JSON, b"not json", &[])).is_err());
    }

    #[test]
    fn terms_are_kept_one_a_line() {
        let kept = input("text/plain", b"", &["chest\npain", "left arm"]);
        let fields = sealed_fields(&kept);
        assert_eq!(fields[TERMS_FIELD], b"chest pain\nleft arm");
        assert_eq!(fields.len(), 1);
        assert!(sealed_fields(&input("text/plain", b"", &[])).is_empty());
    }

    #[test]
    fn what_is_replaced_is_a_keyword_and_a_sealed_field() {
        let old = Hash([0xab; 32]);
        let expected = format!("amends:{}", "ab".repeat(32));
        let kinds: [(&str, &[u8]); 2] = [
            ("application/pdf", b"%PDF"),
            (FHIR_JSON, br#"{"resourceType":"Condition"}"#),
        ];
        for (media_type, bytes) in kinds {
            let first = input(media_type, bytes, &["gout"]);
            let next = UploadInput {
                amends: Some(old),
                ..first.clone()
            };
            let words = |input: &UploadInput| -> BTreeSet<String> {
                let (words, dropped) = keywords_of(input).unwrap();
                assert_eq!(dropped, 0);
                words.iter().map(ToString::to_string).collect()
            };
            let (before, after) = (words(&first), words(&next));
            assert_eq!(after.len(), before.len() + 1, "{media_type}");
            assert!(after.is_superset(&before) && after.contains(&expected));
            assert_eq!(sealed_fields(&next)[AMENDS_FIELD], old.as_bytes());
            assert!(!sealed_fields(&first).contains_key(AMENDS_FIELD));
        }
    }

    /// The most that a document can be found by, and the record it replaces: all of it has room.
    #[test]
    fn the_replaced_record_has_room_beside_the_most_keywords() {
        let codings: Vec<String> = (0..600)
            .map(|n| format!(r#"{{"system":"http://loinc.org","code":"{n}-1"}}"#))
            .collect();
        let document = format!(
            r#"{{"resourceType":"Condition","code":{{"coding":[{}]}}}}"#,
            codings.join(",")
        );
        let mut full = input(FHIR_JSON, document.as_bytes(), &[]);
        full.amends = Some(Hash([1; 32]));
        let (words, dropped) = keywords_of(&full).unwrap();
        assert_eq!(words.len(), fhir::MAX_KEYWORDS + 1);
        assert!(words.len() <= MAX_TAGS && dropped > 0);
        assert!(words.contains(&amends_keyword(&Hash([1; 32]))));
    }

    #[test]
    fn counters_are_used_up_by_tags_alone() {
        let day = Epoch(20_000);
        let tags = Indexed {
            entries: IndexEntries::Tags(Vec::new()),
            counted: Some(Counted {
                day,
                keywords: vec!["term:gout".to_owned()],
                counts: vec![4],
            }),
        };
        let scanned = Indexed {
            entries: IndexEntries::Peks(Vec::new()),
            counted: None,
        };
        let mut counters = Counters::default();
        scanned.anchored(&mut counters);
        assert_eq!(counters.of_day(day).next("term:gout"), None);
        tags.anchored(&mut counters);
        assert_eq!(counters.of_day(day).next("term:gout"), Some(5));
    }
}

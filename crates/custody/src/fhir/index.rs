//! From a record to its keywords (DESIGN 3.4).

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::concepts::Concepts;
use super::{FhirError, parse};
use crate::keyword::Keyword;

/// Most keywords of one record. Index entries allow 512 tags, padding included; the margin is for what later
/// versions add. Of 289 Synthea encounters the largest has 205.
pub const MAX_KEYWORDS: usize = 400;

/// Most words of the doctor's own on one record.
pub const MAX_OWN_WORDS: usize = 64;

/// The keywords of a record, and what found no room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeywordPlan {
    /// At most [`MAX_KEYWORDS`].
    pub kept: BTreeSet<Keyword>,
    /// What the record could be found by in addition, were there room; what went first comes last. Normally
    /// empty. To be shown to the author before upload.
    pub dropped: Vec<Keyword>,
}

/// The keywords of a record: [`plan`] without what was dropped.
///
/// # Errors
/// As [`plan`].
pub fn keywords(record_json: &[u8], own_terms: &[&str]) -> Result<BTreeSet<Keyword>, FhirError> {
    plan(record_json, own_terms).map(|plan| plan.kept)
}

/// The keywords of a record, which is a Bundle or a single resource, with the doctor's own terms. The same
/// bytes and terms always give the same keywords: a patient recomputes them to check the index.
///
/// A record of more than [`MAX_KEYWORDS`] loses, in this order:
/// 1. `system|code`, the last in alphabetical order first: the bare `code:` still finds the record;
/// 2. `term:` of displays and texts, the shortest first and of equal length the last in alphabetical order:
///    short words tell the least apart;
/// 3. `code:`, the last in alphabetical order first.
///
/// The doctor's own words, `type:` and the dates are never dropped (at most 64, about 110 and 4).
///
/// # Errors
/// Those of [`super::validate`], and [`FhirError::TooManyOwnTerms`].
///
/// # Leakage
/// How many keywords a record has shows, rounded up to a multiple of 8, as the number of its tags.
pub fn plan(record_json: &[u8], own_terms: &[&str]) -> Result<KeywordPlan, FhirError> {
    let concepts = Concepts::of(&parse(record_json)?);

    let own: BTreeSet<Keyword> = own_terms
        .iter()
        .flat_map(|text| Keyword::terms(text))
        .collect();
    if own.len() > MAX_OWN_WORDS {
        return Err(FhirError::TooManyOwnTerms {
            limit: MAX_OWN_WORDS,
            found: own.len(),
        });
    }
    let mut kept = own;
    kept.extend(
        concepts
            .types
            .iter()
            .filter_map(|kind| Keyword::resource_type(kind)),
    );
    if let Some(date) = concepts.clinical_date() {
        kept.extend(Keyword::dates(date));
    }

    let mut dropped = Vec::new();
    for keyword in by_worth(&concepts) {
        if kept.len() < MAX_KEYWORDS || kept.contains(&keyword) {
            kept.insert(keyword);
        } else {
            dropped.push(keyword);
        }
    }
    Ok(KeywordPlan { kept, dropped })
}

/// What may be dropped, the most valuable first; distinct within each kind.
fn by_worth(concepts: &Concepts) -> Vec<Keyword> {
    let codes: BTreeSet<Keyword> = concepts
        .codings
        .iter()
        .filter_map(|(_, code)| Keyword::code(code))
        .collect();
    let mut words: Vec<&String> = concepts.words.iter().collect();
    words.sort_by_key(|word| (Reverse(word.chars().count()), *word));
    let codings: BTreeSet<Keyword> = concepts
        .codings
        .iter()
        .filter_map(|(system, code)| Keyword::coding(system, code))
        .collect();

    let terms = words.into_iter().map(|word| Keyword::of_folded(word));
    codes.into_iter().chain(terms).chain(codings).collect()
}

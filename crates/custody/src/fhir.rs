//! FHIR R4 as Caduceus reads it: check a document, split a patient's history into records, and say under which
//! keywords a record can be found (DESIGN 3.3, 3.4).
//!
//! # Which fields count
//! These rules are the contract between whoever indexes a record and whoever checks the index (the patient,
//! who recomputes it, and the plaintext oracle of the simulation, which implements them a second time).
//!
//! 1. A *resource* is an object with a string `resourceType`. Of a Bundle, the `resource` of each entry counts
//!    and nothing else. A resource of an administrative type ([`is_administrative`]) or of an unknown one
//!    isn't entered at all; this holds for contained resources too. Everything else is clinical, and its type
//!    is a `type:` keyword.
//! 2. Inside a clinical resource these members aren't entered, at any depth, as they name persons and things:
//!    `identifier` and whatever ends with `Identifier`, `meta`, `address`, `telecom`, `contact`, `photo`.
//! 3. A *Coding* is an object that stands in a list called `coding`; or any object with a string `code` and no
//!    members but `id`, `extension`, `system`, `version`, `code`, `display`, `userSelected` (with or without a
//!    leading `_`), unless its system is UCUM (that is a Quantity's unit). Its `code` gives `code:` and, with a
//!    `system`, `system|code`; the words of its `display` give `term:`.
//! 4. A *concept* is an object with a list `coding`; or one with a string `text` and no members but `id`,
//!    `extension`, `text`, `_text`, unless it is called `note`, `progress`, `dosage`, `dosageInstruction`,
//!    `name`, `address`, `referenceRange`, `item`, `processNote`, or ends with `Annotation`, `Dosage`,
//!    `HumanName` or `Address` (there, text is prose or a name). The words of its `text` give `term:`.
//! 5. The clinical day of a record is the earliest `period.start` of its Encounters; if none has one, the
//!    earliest `date` of its Compositions; else it has none. It is the day as written, in the zone of whoever
//!    wrote it; a partial date stands for its first day.
//! 6. The doctor's own terms are folded to words like any display.
//!
//! So names, addresses and identifiers of persons are never keywords; nor is prose.

mod bundle;
mod concepts;
mod date;
mod homes;
mod index;
mod links;
mod read;
mod resource_types;
mod split;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub(crate) use self::date::Unit;
pub use self::date::{ClinicalDate, clinical_date, clinical_day};
pub use self::index::{KeywordPlan, MAX_KEYWORDS, MAX_OWN_WORDS, keywords, plan};
pub use self::resource_types::{is_administrative, searchable_type};
pub use self::split::{EncounterRecord, MAX_SPLIT_BYTES, Organisation, PatientHistory, split};

/// Largest FHIR document accepted, in bytes (64 MiB). Other media types stream without a limit.
pub const MAX_FHIR_BYTES: usize = 64 * 1024 * 1024;

/// Why a document isn't accepted as FHIR R4.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FhirError {
    /// The document, or what it would be split into, is too large.
    #[error("{found} bytes are more than the {limit} that are accepted")]
    TooLarge {
        /// Most bytes accepted.
        limit: usize,
        /// Bytes found.
        found: usize,
    },
    /// The bytes aren't JSON (RFC 8259), or are nested more than 127 deep.
    #[error("not JSON: line {line}, column {column}")]
    NotJson {
        /// Line of the first fault, counted from 1.
        line: usize,
        /// Column of the first fault, counted from 1; 0 at the start of a line.
        column: usize,
    },
    /// JSON, but the document or an entry of its bundle isn't a resource of FHIR R4.
    #[error("not a FHIR R4 resource (resourceType: {found:?})")]
    NotFhir {
        /// The `resourceType` found; `None` when there is none.
        found: Option<String>,
    },
    /// A bundle without any resource.
    #[error("the bundle holds no resource")]
    EmptyBundle,
    /// A single resource where a patient's history, a Bundle, is needed.
    #[error("a Bundle is needed, this is a {found}")]
    NotABundle {
        /// The resource's type.
        found: String,
    },
    /// A history without its patient.
    #[error("the bundle holds no Patient")]
    NoPatient,
    /// A history of more than one patient: nobody's record may end up under another's name.
    #[error("the bundle holds {found} Patients, not one")]
    SeveralPatients {
        /// Patients found.
        found: usize,
    },
    /// The doctor's own terms fold to too many words.
    #[error("{found} words of one's own are more than the {limit} that are indexed")]
    TooManyOwnTerms {
        /// Most distinct words accepted.
        limit: usize,
        /// Distinct words found.
        found: usize,
    },
}

/// Checks that bytes are JSON and a FHIR R4 resource, and that a Bundle holds resources and nothing else.
/// This is the light structural check; the official schema, when the operator names it, is checked elsewhere.
///
/// # Errors
/// [`FhirError::TooLarge`] (before anything is parsed), [`FhirError::NotJson`], [`FhirError::NotFhir`],
/// [`FhirError::EmptyBundle`].
pub fn validate(bytes: &[u8]) -> Result<(), FhirError> {
    parse(bytes).map(|_| ())
}

/// Parses a document and checks it like [`validate`].
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, FhirError> {
    check_size(bytes)?;
    let document: Value = serde_json::from_slice(bytes).map_err(|fault| not_json(&fault))?;
    if type_of(&document)? == "Bundle" {
        let mut filled = false;
        for resource in entries_of(&document).filter_map(|entry| entry.get("resource")) {
            type_of(resource)?;
            filled = true;
        }
        if !filled {
            return Err(FhirError::EmptyBundle);
        }
    }
    Ok(document)
}

fn check_size(bytes: &[u8]) -> Result<(), FhirError> {
    if bytes.len() > MAX_FHIR_BYTES {
        return Err(FhirError::TooLarge {
            limit: MAX_FHIR_BYTES,
            found: bytes.len(),
        });
    }
    Ok(())
}

fn not_json(fault: &serde_json::Error) -> FhirError {
    FhirError::NotJson {
        line: fault.line(),
        column: fault.column(),
    }
}

/// The `resourceType` of a resource, when FHIR R4 has it.
fn type_of(resource: &Value) -> Result<&str, FhirError> {
    match resource.get("resourceType").and_then(Value::as_str) {
        Some(kind) if resource_types::is_known(kind) => Ok(kind),
        found => Err(FhirError::NotFhir {
            found: found.map(str::to_owned),
        }),
    }
}

/// The entries of a Bundle; none when `entry` isn't a list.
fn entries_of(bundle: &Value) -> impl Iterator<Item = &Value> {
    bundle
        .get("entry")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

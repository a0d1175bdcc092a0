//! Files on the way to becoming records: what kind each is, and into which records it falls.

use std::fmt;
use std::fs;
use std::path::Path;

use caduceus_cli::{CliError, read_limited};
use caduceus_custody::fhir::{self, FhirError, MAX_FHIR_BYTES, Organisation};
use caduceus_custody::frame::MAX_PLAINTEXT_BYTES;

use super::error::WorkstationError;
use super::indexing::{FHIR_JSON, is_fhir_json};

/// Longest list of organisations in an error, in names.
const MAX_NAMED: usize = 8;

/// One record to be.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    /// Where it comes from, for people: the file's name, and the encounter's start if it is one of several.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// The plaintext.
    pub bytes: Vec<u8>,
    /// Where the encounter took place; nothing for what is no encounter.
    pub organisation: Organisation,
    /// When the encounter started, as in the source; may be empty.
    pub started: String,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("media_type", &self.media_type)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// The media type by a file's extension; JSON is taken for FHIR.
#[must_use]
pub fn media_type_of(path: &Path) -> &'static str {
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "json" => FHIR_JSON,
        "pdf" => "application/pdf",
        "dcm" | "dicom" => "application/dicom",
        "txt" => "text/plain",
        "xml" => "application/xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "tif" | "tiff" => "image/tiff",
        _ => "application/octet-stream",
    }
}

/// Reads a file: a FHIR Bundle becomes a record an encounter, anything else one record. With `organisation`, only
/// encounters of the organisation with that name or reference are kept.
///
/// # Errors
/// Not found or denied for the file; usage for what is no FHIR, too large, or holds no encounter there.
pub fn read(
    path: &Path,
    media_type: Option<&str>,
    organisation: Option<&str>,
) -> Result<Vec<Document>, CliError> {
    let media_type = media_type.unwrap_or_else(|| media_type_of(path));
    let fhir = is_fhir_json(media_type);
    let limit = if fhir {
        MAX_FHIR_BYTES
    } else {
        usize::try_from(MAX_PLAINTEXT_BYTES).unwrap_or(usize::MAX)
    };
    check_length(path, limit)?;
    let bytes = read_limited(path, limit)?;
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    if !fhir {
        return Ok(vec![Document {
            name,
            media_type: media_type.to_owned(),
            bytes,
            organisation: Organisation::default(),
            started: String::new(),
        }]);
    }
    let documents = split(&name, media_type, bytes)
        .map_err(|fault| in_file(path, WorkstationError::Fhir(fault)))?;
    match organisation {
        Some(wanted) => only_of(path, documents, wanted),
        None => Ok(documents),
    }
}

/// Splits FHIR into records: a Bundle by encounter; a single resource is one record.
///
/// # Errors
/// [`FhirError`].
pub fn split(name: &str, media_type: &str, bytes: Vec<u8>) -> Result<Vec<Document>, FhirError> {
    fhir::validate(&bytes)?;
    let history = match fhir::split(&bytes) {
        Ok(history) => history,
        Err(FhirError::NotABundle { .. }) => {
            return Ok(vec![Document {
                name: name.to_owned(),
                media_type: media_type.to_owned(),
                bytes,
                organisation: Organisation::default(),
                started: String::new(),
            }]);
        }
        Err(other) => return Err(other),
    };
    let several = history.encounters.len() > 1;
    let document = |record: fhir::EncounterRecord| Document {
        name: if several && !record.started.is_empty() {
            format!("{name} ({})", record.started)
        } else {
            name.to_owned()
        },
        media_type: media_type.to_owned(),
        bytes: record.bundle_json,
        organisation: record.organisation,
        started: record.started,
    };
    Ok(history.encounters.into_iter().map(document).collect())
}

fn only_of(path: &Path, documents: Vec<Document>, wanted: &str) -> Result<Vec<Document>, CliError> {
    let mut known: Vec<String> = Vec::new();
    for document in &documents {
        let name = &document.organisation.name;
        if !name.is_empty() && !known.contains(name) {
            known.push(name.clone());
        }
    }
    let is_wanted = |document: &Document| {
        let Organisation { name, reference } = &document.organisation;
        name.eq_ignore_ascii_case(wanted) || reference == wanted
    };
    let kept: Vec<Document> = documents.into_iter().filter(is_wanted).collect();
    if !kept.is_empty() {
        return Ok(kept);
    }
    let listed = known
        .iter()
        .take(MAX_NAMED)
        .map(String::as_str)
        .collect::<Vec<&str>>()
        .join(", ");
    Err(CliError::not_found(
        format!("{} holds no encounter at {wanted:?}", path.display()),
        if listed.is_empty() {
            "the command without --organisation: the file names none".to_owned()
        } else {
            format!("--organisation with one of: {listed}")
        },
    ))
}

/// Tells a file that is too large before it is read.
fn check_length(path: &Path, limit: usize) -> Result<(), CliError> {
    let Ok(metadata) = fs::metadata(path) else {
        // Reading it says why.
        return Ok(());
    };
    let found = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if found <= limit {
        return Ok(());
    }
    Err(in_file(
        path,
        WorkstationError::Fhir(FhirError::TooLarge { limit, found }),
    ))
}

/// Names the file in an error about its content.
fn in_file(path: &Path, error: WorkstationError) -> CliError {
    let mut error = CliError::from(error);
    error.what = format!("{}: {}", path.display(), error.what);
    error
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;

    const HISTORY: &str = r#"{"resourceType":"Bundle","type":"transaction","entry":[
        {"fullUrl":"urn:p","resource":{"resourceType":"Patient","id":"p"}},
        {"fullUrl":"urn:north","resource":{"resourceType":"Organization","id":"n","name":"North"}},
        {"fullUrl":"urn:e1","resource":{"resourceType":"Encounter","id":"e1","subject":{"reference":"urn:p"},
            "period":{"start":"2024-05-17"},"serviceProvider":{"reference":"urn:north","display":"North"}}},
        {"fullUrl":"urn:e2","resource":{"resourceType":"Encounter","id":"e2","subject":{"reference":"urn:p"},
            "period":{"start":"2024-06-01"},"serviceProvider":{"reference":"urn:south","display":"South"}}}]}"#;

    fn read_text(
        name: &str,
        text: &[u8],
        organisation: Option<&str>,
    ) -> Result<Vec<Document>, CliError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        read(&path, None, organisation)
    }

    #[test]
    fn a_history_falls_into_its_encounters() {
        let all = read_text("history.json", HISTORY.as_bytes(), None).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].name, "history.json (2024-05-17)");
        let north = read_text("history.json", HISTORY.as_bytes(), Some("north")).unwrap();
        assert_eq!(north.len(), 1);
        assert_eq!(north[0].started, "2024-05-17");
        let nowhere = read_text("history.json", HISTORY.as_bytes(), Some("West")).unwrap_err();
        assert_eq!(nowhere.exit, ExitCode::NotFound);
        assert!(nowhere.todo.contains("North"), "{nowhere}");
    }

    #[test]
    fn other_files_are_one_record() {
        let one = read_text("scan.pdf", b"%PDF", None).unwrap();
        assert_eq!(
            (one.len(), one[0].media_type.as_str()),
            (1, "application/pdf")
        );
        let one = read_text("c.json", br#"{"resourceType":"Condition"}"#, None).unwrap();
        assert_eq!((one.len(), one[0].media_type.as_str()), (1, FHIR_JSON));
    }

    #[test]
    fn each_mistake_is_two_lines_and_code_2() {
        for text in [
            "hello",
            "{}",
            r#"{"resourceType":"Bundle","type":"collection","entry":[]}"#,
        ] {
            let error = read_text("x.json", text.as_bytes(), None).unwrap_err();
            assert_eq!(error.exit, ExitCode::Usage, "{error}");
            assert_eq!(error.to_string().lines().count(), 2, "{error}");
            assert!(error.what.contains("x.json"), "{error}");
        }
    }

    #[test]
    fn a_file_over_64_mib_is_refused_unread() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big.json");
        fs::File::create(&path)
            .unwrap()
            .set_len(64 * 1024 * 1024 + 1)
            .unwrap();
        let error = read(&path, None, None).unwrap_err();
        assert_eq!(error.exit, ExitCode::Usage, "{error}");
        let missing = read(&dir.path().join("absent.json"), None, None).unwrap_err();
        assert_eq!(missing.exit, ExitCode::NotFound);
    }
}

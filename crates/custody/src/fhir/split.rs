//! Splits a patient's history into records, one an encounter (DESIGN 3.3).

use super::bundle::{self, Entry};
use super::date::ClinicalDate;
use super::homes;
use super::links::Resolver;
use super::read::{organisation, organisation_of_encounter, patient_name, text_at};
use super::{FhirError, check_size};

/// Most bytes that all records of one history may have together (512 MiB). What many encounters share is
/// repeated in each, so a small history could otherwise be blown up.
pub const MAX_SPLIT_BYTES: usize = 512 * 1024 * 1024;

/// A patient's history, split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatientHistory {
    /// The patient's name as people read it; empty when the source has none.
    pub patient_name: String,
    /// FHIR `date`, as in the source.
    pub birth_date: Option<String>,
    /// FHIR `AdministrativeGender`, as in the source.
    pub gender: Option<String>,
    /// The records, in the order in which the encounters started; those without a start come last. At least
    /// one: a history without an encounter is a single record.
    pub encounters: Vec<EncounterRecord>,
}

/// What becomes one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncounterRecord {
    /// A FHIR Bundle of type `collection`. Each resource is byte for byte that of the source.
    pub bundle_json: Vec<u8>,
    /// Where the encounter took place.
    pub organisation: Organisation,
    /// The bundle's own name for the encounter (its full URL, else `Encounter/id`); empty for a history
    /// without one.
    pub encounter_reference: String,
    /// When the encounter started, as in the source (RFC 3339, or a date); empty when the source doesn't tell.
    /// For a history without an encounter: the date of its document, if any.
    pub started: String,
    /// Resources in the bundle.
    pub resource_count: usize,
}

/// A hospital or practice as the source names it. Records of one organisation have the same `reference`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Organisation {
    /// The bundle's own name for it (full URL, else `Type/id`); when the bundle doesn't hold it, the reference
    /// as written, or its identifier as `system|value`; empty when the source doesn't tell.
    pub reference: String,
    /// Its name, else what the reference displays; may be empty.
    pub name: String,
}

/// Splits a Bundle of any type into a `collection` Bundle per encounter. Which resource goes where is told in
/// DESIGN 3.3: the Patient, the encounter, its organisation and practitioners, and all that references it;
/// what belongs to no encounter goes with the first. Every resource lands in at least one record.
///
/// # Errors
/// [`FhirError::TooLarge`], [`FhirError::NotJson`], [`FhirError::NotFhir`], [`FhirError::NotABundle`],
/// [`FhirError::EmptyBundle`], [`FhirError::NoPatient`], [`FhirError::SeveralPatients`].
pub fn split(bundle: &[u8]) -> Result<PatientHistory, FhirError> {
    check_size(bundle)?;
    let entries = bundle::entries(bundle)?;
    let patient = the_patient(&entries)?;
    let resolver = Resolver::new(&entries);
    let links: Vec<Vec<usize>> = entries
        .iter()
        .map(|entry| {
            entry
                .references
                .iter()
                .filter_map(|name| resolver.resolve(name))
                .collect()
        })
        .collect();

    let encounters = encounters_in_order(&entries);
    let records = if encounters.is_empty() {
        vec![whole(&entries, &resolver, patient)]
    } else {
        let members = homes::assign(&entries, &links, &encounters, patient);
        let lists: Vec<Vec<usize>> = encounters
            .iter()
            .zip(&members)
            .map(|(encounter, members)| in_order(&[patient, *encounter], members.iter().copied()))
            .collect();
        check_total(&entries, &lists)?;
        encounters
            .iter()
            .zip(&lists)
            .map(|(encounter, members)| record(&entries, &resolver, *encounter, members))
            .collect()
    };

    let details = entries[patient].details.as_ref();
    Ok(PatientHistory {
        patient_name: details.map(patient_name).unwrap_or_default(),
        birth_date: details.and_then(|patient| text_at(patient, "/birthDate")),
        gender: details.and_then(|patient| text_at(patient, "/gender")),
        encounters: records,
    })
}

fn the_patient(entries: &[Entry<'_>]) -> Result<usize, FhirError> {
    let patients: Vec<usize> = (0..entries.len())
        .filter(|at| entries[*at].kind == "Patient")
        .collect();
    match patients.as_slice() {
        [] => Err(FhirError::NoPatient),
        [only] => Ok(*only),
        several => Err(FhirError::SeveralPatients {
            found: several.len(),
        }),
    }
}

/// The Encounters, earliest first, those without a start last, and otherwise in the order of the source.
fn encounters_in_order(entries: &[Entry<'_>]) -> Vec<usize> {
    let mut encounters: Vec<(bool, Option<ClinicalDate>, String, usize)> = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        if entry.kind == "Encounter" {
            let started = started(entry);
            let day = ClinicalDate::parse(&started);
            encounters.push((day.is_none(), day, started, at));
        }
    }
    encounters.sort();
    encounters.into_iter().map(|(_, _, _, at)| at).collect()
}

fn started(encounter: &Entry<'_>) -> String {
    let details = encounter.details.as_ref();
    details
        .and_then(|details| text_at(details, "/period/start"))
        .unwrap_or_default()
}

/// First those named, then the others in the order of the source.
fn in_order(first: &[usize], members: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut list = first.to_vec();
    list.extend(members.filter(|member| !first.contains(member)));
    list
}

fn check_total(entries: &[Entry<'_>], lists: &[Vec<usize>]) -> Result<(), FhirError> {
    let found: usize = lists
        .iter()
        .flatten()
        .map(|at| entries[*at].raw.get().len())
        .fold(0, usize::saturating_add);
    if found > MAX_SPLIT_BYTES {
        return Err(FhirError::TooLarge {
            limit: MAX_SPLIT_BYTES,
            found,
        });
    }
    Ok(())
}

fn record(
    entries: &[Entry<'_>],
    resolver: &Resolver,
    encounter: usize,
    members: &[usize],
) -> EncounterRecord {
    let entry = &entries[encounter];
    let organisation = entry
        .details
        .as_ref()
        .map(|details| organisation_of_encounter(details, entries, resolver))
        .unwrap_or_default();
    EncounterRecord {
        bundle_json: collection(entries, members),
        organisation,
        encounter_reference: entry.reference(),
        started: started(entry),
        resource_count: members.len(),
    }
}

/// A history without an encounter.
fn whole(entries: &[Entry<'_>], resolver: &Resolver, patient: usize) -> EncounterRecord {
    let members = in_order(&[patient], 0..entries.len());
    let details_of = |kind: &str| {
        entries
            .iter()
            .filter(|entry| entry.kind == kind)
            .find_map(|entry| entry.details.as_ref())
    };
    let document = details_of("Composition");
    let place = |holder: Option<&serde_json::Value>, member: &str| {
        organisation(
            holder.and_then(|holder| holder.get(member)),
            entries,
            resolver,
        )
    };
    EncounterRecord {
        bundle_json: collection(entries, &members),
        organisation: place(document, "custodian")
            .or_else(|| place(details_of("Patient"), "managingOrganization"))
            .unwrap_or_default(),
        encounter_reference: String::new(),
        started: document
            .and_then(|document| text_at(document, "/date"))
            .unwrap_or_default(),
        resource_count: members.len(),
    }
}

/// Writes a `collection` Bundle. What an entry said about its transaction is left out; its full URL and its
/// resource stay as they are.
fn collection(entries: &[Entry<'_>], members: &[usize]) -> Vec<u8> {
    let mut json = br#"{"resourceType":"Bundle","type":"collection","entry":["#.to_vec();
    for (nth, at) in members.iter().enumerate() {
        let entry = &entries[*at];
        if nth > 0 {
            json.push(b',');
        }
        json.push(b'{');
        if let Some(url) = &entry.full_url {
            json.extend_from_slice(br#""fullUrl":"#);
            json.extend_from_slice(serde_json::Value::from(url.as_str()).to_string().as_bytes());
            json.push(b',');
        }
        json.extend_from_slice(br#""resource":"#);
        json.extend_from_slice(entry.raw.get().as_bytes());
        json.push(b'}');
    }
    json.extend_from_slice(b"]}");
    json
}

//! Makes synthetic patients: FHIR R4 transaction bundles like those a hospital's EHR exports.
//!
//! The persons are invented; the codes and displays are real (SNOMED CT, LOINC, RxNorm, CVX). A patient has a
//! home organisation and a few complaints that come back, so that words are as unevenly spread as in life.
//! One seed gives the same bytes everywhere and always: no clock, no operating system randomness.

mod catalogue;
mod resources;
#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha20Rng;
use serde_json::{Value, json};

use self::catalogue::{COMPLAINTS, Complaint, FAMILY_NAMES, FEMALE_NAMES, MALE_NAMES};
use self::resources::Visit;

/// The first year in which patients are seen.
pub const FIRST_YEAR: u32 = 2015;

/// Days on which patients are seen: the ten years 2015 to 2024.
const DAYS: u32 = 3653;

/// Histories of `count` patients, each a transaction Bundle as JSON: the Patient, the organisations and
/// practitioners that saw her, and as many encounters as drawn from `encounters_per_patient`, each with what
/// was found and done. Clinical dates lie in the ten years from [`FIRST_YEAR`].
///
/// Patient n is the same whatever the count. An organisation is the same resource in every bundle
/// ([`organisation_reference`]).
///
/// # Panics
/// When there is no organisation, or the range is empty.
#[must_use]
pub fn patients(
    seed: u64,
    count: usize,
    encounters_per_patient: RangeInclusive<usize>,
    organisations: &[&str],
) -> Vec<Vec<u8>> {
    assert!(!organisations.is_empty(), "patients are seen somewhere");
    assert!(
        !encounters_per_patient.is_empty(),
        "some number of encounters is possible"
    );
    (0_u64..)
        .take(count)
        .map(|nth| {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            rng.set_stream(nth);
            let encounters = rng.gen_range(encounters_per_patient.clone());
            let bundle = history(&mut rng, encounters, organisations);
            serde_json::to_vec(&bundle).expect("a JSON value can always be written")
        })
        .collect()
}

/// The full URL of the Organization of that name in every generated bundle.
#[must_use]
pub fn organisation_reference(name: &str) -> String {
    Organisation::named(name).url
}

/// A hospital and its one doctor.
struct Organisation {
    name: String,
    /// `urn:uuid:` of the Organization.
    url: String,
    /// `urn:uuid:` of the Practitioner.
    practitioner_url: String,
    practitioner_name: (String, String),
}

impl Organisation {
    /// Always the same for the same name.
    fn named(name: &str) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(fnv1a(name.as_bytes()));
        Self {
            name: name.to_owned(),
            url: new_url(&mut rng),
            practitioner_url: new_url(&mut rng),
            practitioner_name: (
                (*pick(&mut rng, FEMALE_NAMES)).to_owned(),
                (*pick(&mut rng, FAMILY_NAMES)).to_owned(),
            ),
        }
    }
}

/// FNV-1a, 64 bits: turns a name into a seed.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn history(rng: &mut ChaCha20Rng, encounters: usize, organisations: &[&str]) -> Value {
    let person = Person::drawn(rng);
    let home = rng.gen_range(0..organisations.len());
    let recurring: Vec<&Complaint> = (0..rng.gen_range(1..=3))
        .map(|_| pick(rng, COMPLAINTS))
        .collect();

    let mut moments: Vec<u32> = (0..encounters)
        .map(|_| rng.gen_range(0..DAYS) * MINUTES_A_DAY + office_hour(rng))
        .collect();
    moments.sort_unstable();

    let mut seen_at: Vec<Organisation> = Vec::new();
    let mut visits = Vec::new();
    for moment in moments {
        let elsewhere = rng.gen_bool(0.3);
        let place = if elsewhere {
            rng.gen_range(0..organisations.len())
        } else {
            home
        };
        let name = organisations[place];
        let at = match seen_at.iter().position(|known| known.name == name) {
            Some(at) => at,
            None => {
                seen_at.push(Organisation::named(name));
                seen_at.len() - 1
            }
        };
        let visit = Visit {
            moment,
            organisation: &seen_at[at],
        };
        visits.extend(match rng.gen_range(0..10) {
            0..=2 => visit.check_up(rng, &person),
            3..=7 => {
                let complaint = *pick(rng, &recurring);
                visit.for_complaint(rng, &person, complaint)
            }
            _ => {
                let complaint = pick(rng, COMPLAINTS);
                visit.for_complaint(rng, &person, complaint)
            }
        });
    }

    let mut entries = vec![person.entry()];
    entries.extend(seen_at.iter().flat_map(Organisation::entries));
    entries.extend(visits);
    json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})
}

/// Whom a history is about.
struct Person {
    url: String,
    gender: &'static str,
    given: &'static str,
    family: &'static str,
    birth_date: String,
    height_cm: u32,
    weight_kg: u32,
    smokes: bool,
}

impl Person {
    fn drawn(rng: &mut ChaCha20Rng) -> Self {
        let female = rng.gen_bool(0.5);
        Self {
            url: new_url(rng),
            gender: if female { "female" } else { "male" },
            given: *pick(rng, if female { FEMALE_NAMES } else { MALE_NAMES }),
            family: *pick(rng, FAMILY_NAMES),
            birth_date: format!(
                "{}-{:02}-{:02}",
                rng.gen_range(1930..=1996),
                rng.gen_range(1..=12),
                rng.gen_range(1..=28)
            ),
            height_cm: rng.gen_range(150..=195),
            weight_kg: rng.gen_range(48..=115),
            smokes: rng.gen_bool(0.25),
        }
    }
}

const MINUTES_A_DAY: u32 = 24 * 60;

/// A minute of the day between eight and five.
fn office_hour(rng: &mut ChaCha20Rng) -> u32 {
    8 * 60 + 5 * rng.gen_range(0..108)
}

fn pick<'a, T>(rng: &mut ChaCha20Rng, list: &'a [T]) -> &'a T {
    &list[rng.gen_range(0..list.len())]
}

/// A random UUID (RFC 9562, version 4) as a URN.
fn new_url(rng: &mut ChaCha20Rng) -> String {
    let mut bytes = [0_u8; 16];
    rng.fill_bytes(&mut bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut url = String::from("urn:uuid:");
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            url.push('-');
        }
        url.push_str(&format!("{byte:02x}"));
    }
    url
}

//! Two records of each of many patients, made as a workstation makes them: pseudonym, seal, tags.

use super::classifier::Pairs;
use super::features::Public;
use crate::attack::lexicon;
use crate::attack::report::Counted;
use crate::attack::world::{day, rng};
use caduceus_crypto::index::IndexEntries;
use caduceus_crypto::keys::{HospitalId, SecretKey};
use caduceus_crypto::record::{RecordHeader, parse};
use caduceus_custody::index_key::IndexKeyService;
use caduceus_custody::patient::PatientKeys;
use caduceus_custody::seal::{SealRequest, Sealed, seal};
use caduceus_custody::seed::PatientSeed;
use caduceus_custody::tags::author_entries;
use rand::Rng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;

/// The days of the first and of the second record, all of one quarter. They don't overlap, so that no two records
/// of a patient share a day where those of two patients might.
const FIRST_DAYS: (u32, u32) = (0, 44);
const SECOND_DAYS: (u32, u32) = (45, 89);
/// Bytes of a record's body that the classifier reads: enough, as the cipher treats all alike.
const BODY_READ: usize = 64;

/// Which visits a patient's records tell of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// Any, dealt out at random: nothing in the text ties two records of a patient together.
    Dealt,
    /// Her own, with the complaints that come back.
    Lived,
}

/// A mistake to plant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// None.
    None,
    /// Authors use one ephemeral key a patient.
    ReusedEphemeral,
    /// The view tag is the patient's and not the record's: one byte.
    ConstantViewTag,
}

/// A record, without its body.
pub(super) struct Made {
    pub(super) sealed: Sealed,
    pub(super) entries: IndexEntries,
    pub(super) keywords: Vec<String>,
    pub(super) day: u32,
    key_wrap: [Vec<u8>; 2],
    body_start: Vec<u8>,
    stored_bytes: usize,
}

/// A patient with her two records.
pub(super) struct Patient {
    pub(super) keys: PatientKeys,
    pub(super) records: [Made; 2],
}

/// The hospital of them all.
pub(super) struct Hospital {
    pub(super) id: HospitalId,
    pub(super) service: IndexKeyService,
    /// By history, its records with their keywords.
    contents: Vec<Vec<(Vec<u8>, Vec<String>)>>,
}

impl Hospital {
    /// A hospital whose patients come with `histories` different histories.
    pub(super) fn new(seed: u64, histories: usize) -> Self {
        let mut rng = rng(seed, 1);
        let contents = lexicon::encounters(seed, histories, 2)
            .into_par_iter()
            .map(|records| {
                let with_keywords = records.into_iter().map(|json| {
                    let keywords = lexicon::keywords(&json);
                    (json, keywords)
                });
                with_keywords.collect()
            })
            .collect();
        Self {
            id: HospitalId([0x22; 32]),
            service: IndexKeyService::new(SecretKey::generate(&mut rng)),
            contents,
        }
    }

    /// `count` patients with two records each.
    pub(super) fn patients(&self, seed: u64, count: usize, contents: Contents) -> Vec<Patient> {
        let purpose = match contents {
            Contents::Dealt => 1_u64 << 32,
            Contents::Lived => 2_u64 << 32,
        };
        (0..count)
            .into_par_iter()
            .map(|number| {
                let stream = purpose + u64::try_from(number).expect("a count fits");
                self.patient(&mut rng(seed, stream), number, contents)
            })
            .collect()
    }

    fn patient(&self, rng: &mut ChaCha20Rng, number: usize, contents: Contents) -> Patient {
        let keys = PatientKeys::from_seed(&PatientSeed::generate(rng));
        let own = &self.contents[number % self.contents.len()];
        let mut record = |nth: usize, days: (u32, u32)| {
            let (json, keywords) = match contents {
                Contents::Lived => &own[nth % own.len()],
                Contents::Dealt => {
                    let history = &self.contents[rng.gen_range(0..self.contents.len())];
                    &history[rng.gen_range(0..history.len())]
                }
            };
            let on = rng.gen_range(days.0..=days.1);
            self.record(rng, &keys, on, json, keywords)
        };
        let records = [record(0, FIRST_DAYS), record(1, SECOND_DAYS)];
        Patient { keys, records }
    }

    fn record(
        &self,
        rng: &mut ChaCha20Rng,
        keys: &PatientKeys,
        on: u32,
        json: &[u8],
        keywords: &[String],
    ) -> Made {
        let request = SealRequest {
            hospital: self.id,
            meta: keys.meta(),
            epoch: day(on),
            media_type: "application/fhir+json",
            plaintext: json,
            visit: None,
        };
        let mut sealed = seal(rng, request).expect("a visit's bundle can be sealed");
        let quarter = day(on).quarter();
        let pair_secret = keys.pair_secret(&self.id);
        let key = self
            .service
            .quarter_key(&keys.meta().view, &pair_secret, &quarter);
        let counted: Vec<(&str, u32)> = keywords.iter().map(|word| (word.as_str(), 0)).collect();
        let entries = author_entries(rng, &key, day(on), &counted);
        let bytes = std::mem::take(&mut sealed.bytes);
        let view = parse(&bytes).expect("sealing checked that the record parses");
        let start = view.segments().next().unwrap_or_default();
        Made {
            entries: entries.expect("a visit has fewer keywords than a record may have"),
            keywords: keywords.to_vec(),
            day: on,
            key_wrap: [view.wrap.wrapped_key, view.wrap.key_commitment.to_vec()],
            body_start: start[..BODY_READ.min(start.len())].to_vec(),
            stored_bytes: bytes.len(),
            sealed,
        }
    }
}

impl Made {
    /// All that an alliance node, the hospital's vault and an observer see of the record, under this header.
    fn public(&self, header: &RecordHeader) -> Public {
        let fields = vec![
            header.pseudonym.point.as_bytes().to_vec(),
            header.pseudonym.ephemeral.as_bytes().to_vec(),
            vec![header.pseudonym.view_tag],
            header.delegating.as_bytes().to_vec(),
            self.sealed.record_hash.as_bytes().to_vec(),
            self.sealed.header_hash.as_bytes().to_vec(),
            self.sealed.capsule.clone(),
            self.key_wrap[0].clone(),
            self.key_wrap[1].clone(),
            self.body_start.clone(),
        ];
        let numbers = vec![
            self.entries.len() as f64,
            header.padded_len as f64,
            self.stored_bytes as f64,
            f64::from(self.day),
        ];
        Public::new(fields, numbers, self.entries.tags().iter().map(|tag| tag.0))
    }
}

/// For how many patients a public value of her first record stands in her second.
pub(super) fn repeated(patients: &[Patient], fault: Fault) -> Counted {
    let repeats = patients.par_iter().map(|patient| {
        let [first, second] = &patient.records;
        let second = planted(first, second, fault);
        first.public(&first.sealed.header).repeats(&second)
    });
    Counted::of(repeats.collect::<Vec<bool>>())
}

/// Pairs of one patient's records, and of the first record of one with the second of the next.
pub(super) fn pairs(patients: &[Patient], fault: Fault) -> Pairs {
    let public: Vec<[Public; 2]> = patients
        .par_iter()
        .map(|patient| {
            let [first, second] = &patient.records;
            [
                first.public(&first.sealed.header),
                planted(first, second, fault),
            ]
        })
        .collect();
    pairs_of(&public)
}

/// Each first with its own second, and with the next one's second.
pub(super) fn pairs_of(public: &[[Public; 2]]) -> Pairs {
    let with = |shift: usize| -> Vec<Vec<f64>> {
        (0..public.len())
            .into_par_iter()
            .map(|at| public[at][0].beside(&public[(at + shift) % public.len()][1]))
            .collect()
    };
    Pairs {
        together: with(0),
        apart: with(1),
    }
}

/// The second record as it would look if its author had made the mistake.
fn planted(first: &Made, second: &Made, fault: Fault) -> Public {
    let mut header = second.sealed.header;
    match fault {
        Fault::None => {}
        Fault::ReusedEphemeral => {
            header.pseudonym.ephemeral = first.sealed.header.pseudonym.ephemeral;
        }
        Fault::ConstantViewTag => {
            header.pseudonym.view_tag = first.sealed.header.pseudonym.view_tag;
        }
    }
    second.public(&header)
}

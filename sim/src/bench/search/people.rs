//! The author's and the patient's side of every index scheme: keys, entries, queries.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use caduceus_cli::Progress;
use caduceus_crypto::codec::encode;
use caduceus_crypto::index::{IndexEntries, Query, SchemeId};
use caduceus_crypto::keys::{HospitalId, SecretKey};
use caduceus_crypto::time::Epoch;
use caduceus_custody::index_key::IndexKeyService;
use caduceus_custody::patient::PatientKeys;
use caduceus_custody::scheme::{HospitalSide, IndexScheme, PatientSide, register};
use caduceus_custody::seed::PatientSeed;
use rand::RngCore;
use rayon::prelude::*;

use super::asked::Asked;
use super::corpus::{Corpus, Draw, Part, stream};

/// The hospital and its patients. Keys follow from the seed.
pub(super) struct People {
    seed: u64,
    hospital: HospitalId,
    service: IndexKeyService,
}

/// A query that is ready to be sent.
pub(super) struct Ready {
    /// What nodes get.
    pub(super) query: Query,
    /// What the patient's client took to make it.
    pub(super) client: Duration,
    /// Bytes of its trapdoors.
    pub(super) trapdoor_bytes: usize,
}

impl People {
    pub(super) fn new(seed: u64) -> Self {
        let rng = &mut stream(seed, Draw::Hospital, 0);
        let mut hospital = [0u8; 32];
        rng.fill_bytes(&mut hospital);
        Self {
            seed,
            hospital: HospitalId(hospital),
            service: IndexKeyService::new(SecretKey::generate(rng)),
        }
    }

    /// What the hospital and a patient hold of each other after she registered.
    fn sides(&self, scheme: SchemeId, patient: usize) -> (HospitalSide, PatientSide) {
        let seed = PatientSeed::generate(&mut stream(self.seed, Draw::Patient, patient));
        let keys = PatientKeys::from_seed(&seed);
        register(scheme, &self.service, self.hospital, keys)
    }

    /// The index entries of these records, in order, as the hospital's authors make them one after the other.
    /// Works on all cores, a patient each.
    pub(super) fn author<S: IndexScheme>(
        &self,
        corpus: &Corpus,
        parts: &[Part],
        progress: &Progress,
    ) -> anyhow::Result<Vec<IndexEntries>> {
        let done = AtomicUsize::new(0);
        let made: Vec<Vec<IndexEntries>> = parts
            .par_iter()
            .map(|(patient, records)| -> anyhow::Result<Vec<IndexEntries>> {
                let entries = self.author_one::<S>(corpus, *patient, records.clone())?;
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                progress.set_steps(done as u64, parts.len() as u64);
                Ok(entries)
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(made.into_iter().flatten().collect())
    }

    fn author_one<S: IndexScheme>(
        &self,
        corpus: &Corpus,
        patient: usize,
        records: Range<usize>,
    ) -> anyhow::Result<Vec<IndexEntries>> {
        let draw = match S::ID {
            SchemeId::Tags => Draw::TagEntries,
            SchemeId::Peks => Draw::PeksEntries,
            SchemeId::Paeks => Draw::PaeksEntries,
        };
        let rng = &mut stream(self.seed, draw, patient);
        let (hospital, _) = self.sides(S::ID, patient);
        // How many records of a day have a keyword so far: what a workstation asks the chain for.
        let mut committed: BTreeMap<(Epoch, u32), u32> = BTreeMap::new();
        let mut entries = Vec::with_capacity(records.len());
        for record in &corpus.records[records] {
            let mut keywords: Vec<(&str, u32)> = Vec::with_capacity(record.keywords.len());
            for keyword in &record.keywords {
                let count = committed.entry((record.day, *keyword)).or_default();
                keywords.push((corpus.keywords[*keyword as usize].as_str(), *count));
                *count += 1;
            }
            let key = S::author_key(&hospital, record.day);
            let made = S::index(rng, &key, record.day, &keywords)
                .with_context(|| format!("a record of patient {patient} cannot be indexed"))?;
            entries.push(made);
        }
        Ok(entries)
    }

    /// The query as its patient's client makes it, over all days of the corpus.
    pub(super) fn ready<S: IndexScheme>(&self, corpus: &Corpus, asked: &Asked) -> Ready {
        let (_, patient) = self.sides(S::ID, asked.patient);
        let keywords: Vec<&str> = asked
            .keywords
            .iter()
            .map(|keyword| corpus.keywords[*keyword as usize].as_str())
            .collect();
        let begun = Instant::now();
        let key = S::patient_key(&patient);
        let slots = S::slots(&key, &keywords, corpus.first, corpus.today);
        let client = begun.elapsed();
        let trapdoor_bytes = encode(&slots).len();
        Ready {
            query: Query {
                clauses: asked.clauses.clone(),
                slots,
            },
            client,
            trapdoor_bytes,
        }
    }
}

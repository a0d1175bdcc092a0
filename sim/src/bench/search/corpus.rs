//! The corpus in plain text: whose record, of which day, with which keywords.

use std::ops::Range;

use caduceus_crypto::index::TAG_GROUP;
use caduceus_crypto::time::Epoch;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlainRecord {
    /// Day of anchoring.
    pub(super) day: Epoch,
    /// Indices into the corpus's keywords, ascending, none twice.
    pub(super) keywords: Vec<u32>,
}

/// The records of one hospital. A record is its index in `records`.
#[derive(Clone, Debug)]
pub(super) struct Corpus {
    /// Canonical keywords.
    pub(super) keywords: Vec<String>,
    /// The records of each patient, by day.
    pub(super) patients: Vec<Range<usize>>,
    /// All records, patient by patient.
    pub(super) records: Vec<PlainRecord>,
    /// First day of anchoring.
    pub(super) first: Epoch,
    /// Last day of anchoring.
    pub(super) today: Epoch,
    /// Where the records come from, for people.
    pub(super) source: String,
}

/// Records of one patient: her number and a range of the corpus.
pub(super) type Part = (usize, Range<usize>);

impl Corpus {
    /// Without records. Its days end on a fixed one, so that a seed gives the same corpus whenever it is used.
    pub(super) fn empty(keywords: Vec<String>, days: u32, source: String) -> Self {
        let today = Epoch::from_ymd(2026, 8, 17).expect("August has 31 days");
        let first = Epoch(today.0 - days.saturating_sub(1));
        Self {
            keywords,
            patients: Vec::new(),
            records: Vec::new(),
            first,
            today,
            source,
        }
    }

    /// Adds a patient with these records, whose days are in any order.
    pub(super) fn push(&mut self, mut records: Vec<PlainRecord>) {
        records.sort_by_key(|record| record.day);
        let start = self.records.len();
        self.records.append(&mut records);
        self.patients.push(start..self.records.len());
    }

    /// Each patient with all her records.
    pub(super) fn parts(&self) -> Vec<Part> {
        self.patients.iter().cloned().enumerate().collect()
    }

    /// Keywords over all records.
    pub(super) fn occurrences(&self) -> usize {
        self.records
            .iter()
            .map(|record| record.keywords.len())
            .sum()
    }

    /// Index entries of all records: keywords, padded as every scheme pads them.
    pub(super) fn entries(&self) -> usize {
        self.records
            .iter()
            .map(|record| record.keywords.len().max(1).next_multiple_of(TAG_GROUP))
            .sum()
    }

    /// The keywords that a patient's records have, ascending.
    pub(super) fn keywords_of(&self, patient: usize) -> Vec<u32> {
        let mut all: Vec<u32> = self.records[self.patients[patient].clone()]
            .iter()
            .flat_map(|record| record.keywords.iter().copied())
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// What random numbers are drawn for. Each use has streams of its own, so that one more draw here changes
/// nothing there.
#[derive(Clone, Copy)]
pub(super) enum Draw {
    History = 1,
    Hospital,
    Patient,
    TagEntries,
    PeksEntries,
    PaeksEntries,
    Queries,
    Growth,
    Filler,
}

/// The `nth` stream of a use.
pub(super) fn stream(seed: u64, draw: Draw, nth: usize) -> ChaCha20Rng {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    rng.set_stream(((draw as u64) << 48) | nth as u64);
    rng
}

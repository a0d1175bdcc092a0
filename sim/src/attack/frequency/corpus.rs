//! Histories with the statistics of 615 Synthea patients: 698 codes in all and about 70 a patient, eight of them
//! everybody's; about 29 records a patient, with 9.5 codes each (median 5, 95th percentile 28, at most 73).

use caduceus_custody::keyword::Keyword;
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::TAU;

/// Codes in all.
pub(super) const CODES: usize = 698;
/// Codes that every patient has.
const COMMON: usize = 8;
/// Codes of a patient: log-normal.
const PATIENT_CODES: Spread = Spread {
    median: 66.0,
    sigma: 0.35,
    low: 20,
    high: 200,
};
/// Codes of a record: log-normal.
const RECORD_CODES: Spread = Spread {
    median: 5.0,
    sigma: 1.08,
    low: 1,
    high: 73,
};

struct Spread {
    median: f64,
    sigma: f64,
    low: usize,
    high: usize,
}

impl Spread {
    fn draw(&self, rng: &mut ChaCha20Rng) -> usize {
        // Box and Muller: two even numbers give a normal one.
        let (u, v): (f64, f64) = (1.0 - rng.gen_range(0.0..1.0), rng.gen_range(0.0..1.0));
        let normal = (-2.0 * u.ln()).sqrt() * (TAU * v).cos();
        let drawn = self.median * (self.sigma * normal).exp();
        (drawn.round() as usize).clamp(self.low, self.high)
    }
}

/// A code's canonical keyword.
pub(super) fn name(code: usize) -> String {
    let keyword = Keyword::code(&format!("{}", 10_000_000 + code * 7_919));
    keyword.expect("digits are a code").as_str().to_owned()
}

/// A patient's records, each a set of codes below [`CODES`].
pub(super) struct History {
    pub(super) records: Vec<BTreeSet<usize>>,
}

impl History {
    pub(super) fn new(rng: &mut ChaCha20Rng) -> Self {
        let of_patient = PATIENT_CODES.draw(rng);
        let mut own: Vec<usize> = (0..COMMON).collect();
        let rest: Vec<usize> = (COMMON..CODES).collect();
        own.extend(drawn(rng, &rest, of_patient - COMMON, 1.0));
        // Which codes come back often is a patient's own matter.
        own.shuffle(rng);
        let count = rng.gen_range(12..=46);
        let records = (0..count)
            .map(|_| {
                let codes = RECORD_CODES.draw(rng).min(own.len());
                drawn(rng, &own, codes, 0.8)
            })
            .collect();
        Self { records }
    }

    /// All codes of all records, repeated ones counted.
    pub(super) fn codes(&self) -> usize {
        self.records.iter().map(BTreeSet::len).sum()
    }

    /// The codes that occur.
    pub(super) fn distinct(&self) -> Vec<usize> {
        let all: BTreeSet<usize> = self.records.iter().flatten().copied().collect();
        all.into_iter().collect()
    }

    /// A part of the records, one at least, and their numbers.
    pub(super) fn known(&self, rng: &mut ChaCha20Rng, percent: usize) -> Known {
        let mut numbers: Vec<usize> = (0..self.records.len()).collect();
        numbers.shuffle(rng);
        numbers.truncate((self.records.len() * percent / 100).max(1));
        let mut places: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::new();
        for number in &numbers {
            let place = u32::try_from(*number).expect("a history is short");
            for code in &self.records[*number] {
                places.entry(*code).or_default().insert(place);
            }
        }
        Known {
            records: numbers.len(),
            located: numbers
                .iter()
                .map(|number| u32::try_from(*number).expect("a history is short"))
                .collect(),
            places,
        }
    }
}

/// What the attacker has in plain text.
pub(super) struct Known {
    /// How many records.
    pub(super) records: usize,
    /// Their numbers on the chain. Only the attacker who located them may look.
    pub(super) located: BTreeSet<u32>,
    /// By code, the known records with it.
    pub(super) places: BTreeMap<usize, BTreeSet<u32>>,
}

impl Known {
    /// How likely a blind guess among the known codes is this one.
    pub(super) fn chance(&self, code: usize) -> f64 {
        if self.places.contains_key(&code) {
            1.0 / self.places.len() as f64
        } else {
            0.0
        }
    }
}

/// `count` distinct members of a list, the n-th (from 1) with a weight of n to the power of -`exponent` (Zipf).
fn drawn(rng: &mut ChaCha20Rng, list: &[usize], count: usize, exponent: f64) -> BTreeSet<usize> {
    let mut total = 0.0;
    let sums: Vec<f64> = (1..=list.len())
        .map(|rank| {
            total += (rank as f64).powf(-exponent);
            total
        })
        .collect();
    let mut picked = BTreeSet::new();
    while picked.len() < count.min(list.len()) {
        let point = rng.gen_range(0.0..total);
        let at = sums.partition_point(|sum| *sum <= point);
        picked.insert(list[at.min(list.len() - 1)]);
    }
    picked
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::attack::world::rng;

    #[test]
    fn histories_have_the_statistics_of_synthea() {
        let mut rng = rng(1, 0);
        let histories: Vec<History> = (0..200).map(|_| History::new(&mut rng)).collect();
        let records: usize = histories.iter().map(|history| history.records.len()).sum();
        let codes: usize = histories.iter().map(History::codes).sum();
        let mut sizes: Vec<usize> = histories
            .iter()
            .flat_map(|history| history.records.iter().map(BTreeSet::len))
            .collect();
        sizes.sort_unstable();
        let mean = codes as f64 / records as f64;
        let (median, p95) = (sizes[sizes.len() / 2], sizes[sizes.len() * 95 / 100]);
        assert!((7.5..11.0).contains(&mean), "{mean} codes a record");
        assert!((4..=6).contains(&median), "median {median}");
        assert!((23..=33).contains(&p95), "95th percentile {p95}");
        assert!(sizes[sizes.len() - 1] <= 73 && sizes[0] >= 1);
    }

    #[test]
    fn every_code_has_its_own_name() {
        let names: BTreeSet<String> = (0..CODES).map(name).collect();
        assert_eq!(names.len(), CODES);
    }
}

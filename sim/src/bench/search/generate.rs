//! Records with the statistics of 615 Synthea patients (18,098 encounters): 698 codes in use; 29.4 records a
//! patient; 9.5 codes a record (median 5, 95th percentile 28, at most 73); 70 codes a patient (95th percentile
//! 121); 8 codes that every patient has.
//!
//! How often a code occurs follows Zipf's law. Most codes of a patient come back from visit to visit, as chronic
//! conditions and their medication do; the rest is drawn from all codes. Every tenth visit falls on the day of
//! another, so that several records of a day carry the same keyword.

use std::ops::RangeInclusive;

use caduceus_crypto::time::Epoch;
use caduceus_custody::keyword::Keyword;
use rand::Rng;

use super::corpus::{Corpus, Draw, PlainRecord, stream};

/// Codes in use.
const CODES: u32 = 698;

/// Codes that every patient has: the first ones.
const COMMON: u32 = 8;

/// Records of a patient.
const RECORDS: RangeInclusive<usize> = 9..=50;

/// Codes a record as (share of the records, codes that they do not exceed), linear in between. The mean is 9.5.
const SIZES: [(f64, f64); 8] = [
    (0.0, 1.0),
    (0.25, 2.3),
    (0.5, 5.0),
    (0.75, 13.0),
    (0.9, 22.0),
    (0.95, 28.0),
    (0.99, 45.0),
    (1.0, 73.0),
];

/// Codes that come back, beside the common ones.
const RECURRING: RangeInclusive<usize> = 8..=43;

/// Largest share of codes drawn from all instead of the recurring ones; a patient's share lies below it.
const FRESH: f64 = 0.14;

/// How fast popularity falls with rank: over all codes, and over the recurring ones of a patient.
const EXPONENT: f64 = 1.0;
const EXPONENT_RECURRING: f64 = 0.5;

/// Share of records on the day of another one.
const SAME_DAY: f64 = 0.1;

/// Draws that repeat a code of the record before the next one is taken from all codes: a record may have more
/// codes than come back.
const PATIENCE: u32 = 16;

/// A corpus of so many records, anchored over so many days.
pub(super) fn corpus(seed: u64, records: usize, days: u32) -> Corpus {
    let keywords = (0..CODES)
        .map(|code| Keyword::code(&format!("{}", 10_000_000 + code)).expect("digits are a code"))
        .map(|keyword| keyword.as_str().to_owned())
        .collect();
    let source = "generated: the statistics of 615 Synthea patients".to_owned();
    let mut corpus = Corpus::empty(keywords, days, source);
    let popular = Zipf::new((CODES - COMMON) as usize, EXPONENT);
    let mut nth = 0;
    while corpus.records.len() < records {
        let left = records - corpus.records.len();
        let rng = &mut stream(seed, Draw::History, nth);
        let drawn = rng.gen_range(RECORDS);
        // A patient of too few records could not have all common codes: the last one takes them too.
        let count = if left < drawn + RECORDS.start() {
            left
        } else {
            drawn
        };
        let history = history(rng, count, &popular, corpus.first, days);
        corpus.push(history);
        nth += 1;
    }
    corpus
}

/// How many keywords a record has.
pub(super) fn size(rng: &mut impl Rng) -> usize {
    let share: f64 = rng.r#gen();
    let codes = SIZES
        .windows(2)
        .find(|pair| share <= pair[1].0)
        .map_or(1.0, |pair| {
            let ((from, low), (to, high)) = (pair[0], pair[1]);
            low + (high - low) * (share - from) / (to - from)
        });
    codes.round() as usize
}

fn history(
    rng: &mut impl Rng,
    count: usize,
    popular: &Zipf,
    first: Epoch,
    days: u32,
) -> Vec<PlainRecord> {
    let sizes: Vec<usize> = (0..count).map(|_| size(rng)).collect();
    let mut contents: Vec<Vec<u32>> = vec![Vec::new(); count];
    deal_common(rng, &sizes, &mut contents);

    let wanted = COMMON as usize + rng.gen_range(RECURRING);
    let mut recurring: Vec<u32> = (0..COMMON).collect();
    while recurring.len() < wanted {
        let code = any(rng, popular);
        if !recurring.contains(&code) {
            recurring.push(code);
        }
    }
    let habit = Zipf::new(wanted, EXPONENT_RECURRING);
    let fresh = rng.gen_range(0.0..FRESH);
    for (codes, size) in contents.iter_mut().zip(&sizes) {
        let mut repeated = 0;
        while codes.len() < *size {
            let code = if repeated < PATIENCE && !rng.gen_bool(fresh) {
                recurring[habit.draw(rng)]
            } else {
                any(rng, popular)
            };
            if codes.contains(&code) {
                repeated += 1;
            } else {
                codes.push(code);
            }
        }
        codes.sort_unstable();
    }
    days_of(rng, count, first, days)
        .into_iter()
        .zip(contents)
        .map(|(day, keywords)| PlainRecord { day, keywords })
        .collect()
}

/// A code that is not common, by its popularity.
fn any(rng: &mut impl Rng, popular: &Zipf) -> u32 {
    COMMON + u32::try_from(popular.draw(rng)).expect("there are 698 codes")
}

/// Puts each common code into some record, as far as there is room.
fn deal_common(rng: &mut impl Rng, sizes: &[usize], contents: &mut [Vec<u32>]) {
    for code in 0..COMMON {
        let open: Vec<usize> = (0..sizes.len())
            .filter(|at| contents[*at].len() < sizes[*at])
            .collect();
        if !open.is_empty() {
            contents[open[rng.gen_range(0..open.len())]].push(code);
        }
    }
}

/// Days of anchoring, in no order.
pub(super) fn days_of(rng: &mut impl Rng, count: usize, first: Epoch, days: u32) -> Vec<Epoch> {
    let mut drawn: Vec<Epoch> = Vec::with_capacity(count);
    for _ in 0..count {
        let day = match drawn.last() {
            Some(before) if rng.gen_bool(SAME_DAY) => *before,
            _ => Epoch(first.0 + rng.gen_range(0..days)),
        };
        drawn.push(day);
    }
    drawn
}

/// Ranks from 0, each as likely as 1 / (rank + 1)^exponent.
struct Zipf {
    cumulative: Vec<f64>,
}

impl Zipf {
    fn new(ranks: usize, exponent: f64) -> Self {
        let mut total = 0.0;
        let cumulative = (0..ranks)
            .map(|rank| {
                total += ((rank + 1) as f64).powf(-exponent);
                total
            })
            .collect();
        Self { cumulative }
    }

    fn draw(&self, rng: &mut impl Rng) -> usize {
        let last = self.cumulative.len() - 1;
        let at = rng.gen_range(0.0..self.cumulative[last]);
        self.cumulative.partition_point(|sum| *sum <= at).min(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::measure::percentile;
    use std::collections::BTreeSet;

    /// As many records as the source has.
    fn sample() -> Corpus {
        corpus(7, 18_098, 3650)
    }

    fn mean(values: &[usize]) -> f64 {
        values.iter().sum::<usize>() as f64 / values.len() as f64
    }

    fn near(found: f64, expected: f64, tolerance: f64) {
        assert!(
            (found - expected).abs() <= tolerance,
            "{found}, not {expected} within {tolerance}"
        );
    }

    #[test]
    fn records_are_as_large_as_those_of_the_source() {
        let sizes: Vec<usize> = sample()
            .records
            .iter()
            .map(|record| record.keywords.len())
            .collect();
        assert_eq!(sizes.len(), 18_098);
        near(mean(&sizes), 9.5, 0.3);
        assert_eq!(percentile(&sizes, 50), 5);
        near(percentile(&sizes, 95) as f64, 28.0, 2.0);
        let (smallest, largest) = (percentile(&sizes, 0), percentile(&sizes, 100));
        assert_eq!(smallest, 1);
        assert!((65..=73).contains(&largest), "{largest}");
    }

    #[test]
    fn patients_have_as_many_codes_as_those_of_the_source() {
        let corpus = sample();
        let distinct: Vec<usize> = (0..corpus.patients.len())
            .map(|patient| corpus.keywords_of(patient).len())
            .collect();
        near(distinct.len() as f64, 615.0, 30.0);
        near(mean(&distinct), 70.0, 6.0);
        near(percentile(&distinct, 95) as f64, 121.0, 12.0);
        let records: Vec<usize> = corpus.patients.iter().map(ExactSizeIterator::len).collect();
        near(mean(&records), 29.4, 1.5);
    }

    #[test]
    fn some_codes_are_everywhere_and_most_are_rare() {
        let corpus = sample();
        let mut by_code = vec![0usize; corpus.keywords.len()];
        let mut patients_of = vec![0usize; corpus.keywords.len()];
        for patient in 0..corpus.patients.len() {
            for code in corpus.keywords_of(patient) {
                patients_of[code as usize] += 1;
            }
        }
        for record in &corpus.records {
            assert!(record.keywords.windows(2).all(|pair| pair[0] < pair[1]));
            for code in &record.keywords {
                by_code[*code as usize] += 1;
            }
        }
        let everywhere = patients_of
            .iter()
            .filter(|patients| **patients == corpus.patients.len())
            .count();
        assert!(everywhere >= 8, "{everywhere}");
        let used = by_code.iter().filter(|count| **count > 0).count();
        assert!(used >= 690, "{used} of 698 codes");
        by_code.sort_unstable_by(|a, b| b.cmp(a));
        let top: usize = by_code[..70].iter().sum();
        let share = top as f64 / corpus.occurrences() as f64;
        assert!((0.55..=0.8).contains(&share), "{share}");
        let distinct: BTreeSet<&String> = corpus.keywords.iter().collect();
        assert_eq!(distinct.len(), 698);
    }

    #[test]
    fn days_fill_the_range_and_some_coincide() {
        let corpus = sample();
        assert_eq!(corpus.today.0 - corpus.first.0, 3649);
        let days: Vec<u32> = corpus.records.iter().map(|record| record.day.0).collect();
        assert!(percentile(&days, 0) >= corpus.first.0);
        assert!(percentile(&days, 1) < corpus.first.0 + 73);
        assert!(percentile(&days, 99) > corpus.today.0 - 73);
        assert!(percentile(&days, 100) <= corpus.today.0);
        let mut same = 0;
        for patient in &corpus.patients {
            let records = &corpus.records[patient.clone()];
            assert!(records.windows(2).all(|pair| pair[0].day <= pair[1].day));
            same += records
                .windows(2)
                .filter(|pair| pair[0].day == pair[1].day)
                .count();
        }
        near(same as f64 / 18_098.0, 0.1, 0.02);
    }

    #[test]
    fn a_seed_gives_one_corpus_and_any_number_of_records() {
        for records in [1, 8, 9, 17, 300] {
            let made = corpus(3, records, 10);
            assert_eq!(made.records.len(), records);
            assert_eq!(made.patients.last().map(|last| last.end), Some(records));
        }
        assert_eq!(corpus(3, 300, 10).records, corpus(3, 300, 10).records);
        assert_ne!(corpus(3, 300, 10).records, corpus(4, 300, 10).records);
    }
}

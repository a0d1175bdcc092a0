//! How the time of a search grows with the records of others: the same patients, the same records of theirs and
//! the same queries, in an index of more and more records.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use caduceus_cli::Progress;
use caduceus_crypto::index::{IndexEntries, TAG_GROUP, Tag};
use caduceus_node::tag_index::TagIndex;
use rand::RngCore;

use super::asked::single_queries;
use super::corpus::{Corpus, Draw, stream};
use super::people::People;
use super::report::GrowthRow;
use super::tags::{Asks, Filler, found, matches, middle, probes, rows, search};
use super::{Options, agree, generate};
use crate::bench::measure::{median, millis, seconds};

/// The smallest index of the series.
const SMALLEST: usize = 1_000;

/// Queries of the series.
const QUERIES: usize = 60;

/// What was measured, and whether all answers were right.
pub(super) struct Growth {
    pub(super) rows: Vec<GrowthRow>,
    pub(super) same_answers: bool,
}

/// Measures. `entries` are those of the corpus; where the series goes beyond it, the tags of further records are
/// random bytes, as those of other patients are to whoever lacks their keys.
pub(super) fn run(
    people: &People,
    corpus: &Corpus,
    entries: &[IndexEntries],
    options: &Options,
    folder: &Path,
    progress: &Progress,
) -> anyhow::Result<Growth> {
    let sizes = sizes(corpus, options.growth_to);
    let Some(smallest) = sizes.first().copied() else {
        return Ok(Growth {
            rows: Vec::new(),
            same_answers: true,
        });
    };
    let rng = &mut stream(options.seed, Draw::Growth, 0);
    let asked = single_queries(rng, corpus, &askers(corpus, smallest), QUERIES);
    let asks = Asks::of(people, corpus, &asked);
    let index = TagIndex::open(&folder.join("growth.redb"))?;
    let mut filler = Filler::new(&index);
    let mut growth = Growth {
        rows: Vec::with_capacity(sizes.len()),
        same_answers: true,
    };
    let mut records = 0;
    for size in sizes {
        progress.message(format!("growth: {size} records"));
        let begun = Instant::now();
        for record in records..size {
            match entries.get(record) {
                Some(entries) => filler.add(rows(record, entries.tags()))?,
                None => filler.add(rows(record, &random_tags(options.seed, record)))?,
            }
        }
        records = size;
        filler.flush()?;
        let build = begun.elapsed();
        let searched = search(corpus, &index, &asks.ready, options.rounds)?;
        growth.same_answers &= agree(&asked, found(&searched));
        let sizes = index.stats()?;
        growth.rows.push(GrowthRow {
            records: size,
            records_with_random_tags: size.saturating_sub(entries.len()),
            tags: filler.added,
            search_ms_p50: millis(middle(&searched)),
            probes_p50: median(&probes(&searched)),
            matches: matches(&searched),
            queries: searched.len(),
            added_in_s: seconds(build),
            table_bytes: sizes.table_bytes,
            filter_bytes: sizes.filter_bytes,
        });
    }
    Ok(growth)
}

/// Powers of ten up to the corpus or `growth_to`; the corpus, and a tenth of it. None in which no patient fits.
fn sizes(corpus: &Corpus, growth_to: Option<usize>) -> BTreeSet<usize> {
    let all = corpus.records.len();
    let most = growth_to.unwrap_or(0).max(all);
    let mut sizes = BTreeSet::from([all / 10, all, most]);
    let powers = std::iter::successors(Some(SMALLEST), |size| size.checked_mul(10));
    sizes.extend(powers.take_while(|size| *size <= most));
    let least = corpus
        .patients
        .first()
        .map_or(usize::MAX, |first| first.end);
    sizes.retain(|size| *size >= least);
    sizes
}

/// The first patients, with half of the smallest index between them, or the first alone.
fn askers(corpus: &Corpus, smallest: usize) -> Vec<usize> {
    let fitting = corpus
        .patients
        .iter()
        .take_while(|records| records.end <= smallest / 2)
        .count();
    (0..fitting.max(1)).collect()
}

/// As many tags as a record of the corpus's statistics has.
fn random_tags(seed: u64, record: usize) -> Vec<Tag> {
    let rng = &mut stream(seed, Draw::Filler, record);
    let count = generate::size(rng).max(1).next_multiple_of(TAG_GROUP);
    (0..count)
        .map(|_| {
            let mut tag = [0u8; 16];
            rng.fill_bytes(&mut tag);
            Tag(tag)
        })
        .collect()
}

/// How much longer a search takes for ten times the records: the largest ratio between neighbours of the
/// series, brought to a factor of ten. None with fewer than two sizes.
pub(super) fn largest_ratio_per_decade(rows: &[GrowthRow]) -> Option<f64> {
    rows.windows(2)
        .map(|pair| {
            let decades = (pair[1].records as f64 / pair[0].records as f64).log10();
            (pair[1].search_ms_p50 / pair[0].search_ms_p50).powf(1.0 / decades)
        })
        .reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(records: usize, search_ms_p50: f64) -> GrowthRow {
        GrowthRow {
            records,
            records_with_random_tags: 0,
            tags: 0,
            search_ms_p50,
            probes_p50: 0,
            matches: 0,
            queries: 0,
            added_in_s: 0.0,
            table_bytes: 0,
            filter_bytes: 0,
        }
    }

    #[test]
    fn ratios_are_brought_to_a_factor_of_ten() {
        assert_eq!(largest_ratio_per_decade(&[row(10, 1.0)]), None);
        let ratio = |rows: &[GrowthRow]| largest_ratio_per_decade(rows).unwrap_or(0.0);
        assert!((ratio(&[row(10, 1.0), row(1_000, 4.0)]) - 2.0).abs() < 1e-9);
        let three = [row(10, 1.0), row(100, 1.5), row(1_000, 1.2)];
        assert!((ratio(&three) - 1.5).abs() < 1e-9);
    }

    #[test]
    fn sizes_are_those_that_a_patient_fits_in() {
        let corpus = generate::corpus(1, 30_000, 3650);
        let sizes_to = |to| sizes(&corpus, to).into_iter().collect::<Vec<_>>();
        assert_eq!(sizes_to(None), [1_000, 3_000, 10_000, 30_000]);
        assert_eq!(
            sizes_to(Some(1_000_000)),
            [1_000, 3_000, 10_000, 30_000, 100_000, 1_000_000]
        );
        let small = generate::corpus(1, 20, 3650);
        assert_eq!(sizes(&small, None), BTreeSet::from([20]));
        let who = askers(&corpus, 1_000);
        assert!((10..=55).contains(&who.len()));
        assert!(corpus.patients[who.len() - 1].end <= 500);
        assert_eq!(askers(&small, 20), [0]);
    }

    #[test]
    fn random_tags_look_like_those_of_records() {
        let counts: Vec<usize> = (0..2_000)
            .map(|record| random_tags(1, record).len())
            .collect();
        assert!(
            counts
                .iter()
                .all(|count| count % TAG_GROUP == 0 && *count > 0)
        );
        let mean = counts.iter().sum::<usize>() as f64 / 2_000.0;
        assert!((12.0..15.0).contains(&mean), "{mean}");
        assert_ne!(random_tags(1, 0), random_tags(1, 1));
    }
}

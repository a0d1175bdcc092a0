//! PEKS and PAEKS: a node tests every entry. A sample is scanned and the time scaled to the corpus.

use std::convert::Infallible;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::Context;
use caduceus_cli::Progress;
use caduceus_crypto::codec::encode;
use caduceus_crypto::index::{Hits, IndexEntries, IndexView, Scanned, Tag};
use caduceus_crypto::time::Epoch;
use caduceus_custody::scheme::IndexScheme;
use rayon::prelude::*;

use super::asked::{Asked, Questions};
use super::corpus::{Corpus, Part};
use super::people::{People, Ready};
use super::report::{BooleanReport, SchemeReport};
use super::tags::Outcome;
use super::{Options, agree};
use crate::bench::measure::{median, millis, percentile, rounded, seconds};

/// A linked record as a node keeps it.
#[derive(Clone)]
struct Linked {
    record: usize,
    day: Epoch,
    entries: IndexEntries,
}

/// Linked records, in the order of linking.
struct LinkedView<'a>(&'a [Linked]);

impl IndexView for LinkedView<'_> {
    type Record = usize;
    type Error = Infallible;

    fn probe(&mut self, _: &Tag) -> Result<Option<usize>, Infallible> {
        Ok(None)
    }

    fn nth(&mut self, n: u64) -> Result<Option<Scanned<usize>>, Infallible> {
        let at = usize::try_from(n).unwrap_or(usize::MAX);
        Ok(self.0.get(at).map(|linked| Scanned {
            record: linked.record,
            day: linked.day,
            entries: linked.entries.clone(),
        }))
    }
}

/// The records that are scanned: all of those who ask, then others, `least` records or all if there are fewer.
pub(super) fn sample(corpus: &Corpus, asking: &[usize], least: usize) -> Vec<Part> {
    let mut asks = vec![false; corpus.patients.len()];
    let mut parts: Vec<Part> = Vec::new();
    let mut records = 0;
    for patient in asking {
        asks[*patient] = true;
        parts.push((*patient, corpus.patients[*patient].clone()));
        records += corpus.patients[*patient].len();
    }
    for (patient, range) in corpus.parts() {
        if records >= least {
            break;
        }
        if !asks[patient] {
            let taken = range.len().min(least - records);
            parts.push((patient, range.start..range.start + taken));
            records += taken;
        }
    }
    parts
}

/// The sample under one scheme.
struct Index {
    linked: Vec<Linked>,
    /// Where the records of each sampled patient are in `linked`.
    places: Vec<(usize, Range<usize>)>,
    built: Duration,
}

impl Index {
    fn build<S: IndexScheme>(
        people: &People,
        corpus: &Corpus,
        parts: &[Part],
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let entries = people.author::<S>(corpus, parts, progress)?;
        let built = begun.elapsed();
        let records = parts.iter().flat_map(|(_, records)| records.clone());
        let linked = records
            .zip(entries)
            .map(|(record, entries)| Linked {
                record,
                day: corpus.records[record].day,
                entries,
            })
            .collect();
        let mut start = 0;
        let mut places = Vec::with_capacity(parts.len());
        for (patient, records) in parts {
            places.push((*patient, start..start + records.len()));
            start += records.len();
        }
        Ok(Self {
            linked,
            places,
            built,
        })
    }

    /// The records of one patient.
    fn of(&self, patient: usize) -> &[Linked] {
        match self.places.iter().find(|(held, _)| *held == patient) {
            Some((_, range)) => &self.linked[range.clone()],
            None => &[],
        }
    }

    fn entries(&self) -> usize {
        self.linked.iter().map(|linked| linked.entries.len()).sum()
    }

    fn bytes(&self) -> usize {
        self.linked
            .iter()
            .map(|linked| encode(&linked.entries).len())
            .sum()
    }
}

/// One search, as a node runs it.
fn search<S: IndexScheme>(
    corpus: &Corpus,
    linked: &[Linked],
    ready: &Ready,
) -> anyhow::Result<(Hits<usize>, Duration)> {
    let query = ready.query.clone();
    let begun = Instant::now();
    let checked = query
        .verify(S::ID, corpus.first, corpus.today)
        .context("a query is refused")?;
    let mut hits = checked
        .run(usize::MAX, u64::MAX, &mut LinkedView(linked))
        .context("a search failed")?;
    let took = begun.elapsed();
    hits.hits.sort_unstable();
    Ok((hits, took))
}

/// Searches for answers alone, each over the records of whoever asks, on all cores.
fn answers<S: IndexScheme>(
    people: &People,
    corpus: &Corpus,
    index: &Index,
    asked: &[Asked],
) -> anyhow::Result<Vec<Hits<usize>>> {
    asked
        .par_iter()
        .map(|asked| {
            let ready = people.ready::<S>(corpus, asked);
            search::<S>(corpus, index.of(asked.patient), &ready).map(|(hits, _)| hits)
        })
        .collect()
}

/// Builds the sample's index and scans it: the first queries for one keyword over the whole sample, each timed
/// alone on this thread; more of them, and boolean ones, over the records of whoever asks, for their answers.
pub(super) fn run<S: IndexScheme>(
    people: &People,
    corpus: &Corpus,
    questions: &Questions,
    options: &Options,
    progress: &Progress,
) -> anyhow::Result<Outcome> {
    let name = S::ID;
    progress.message(format!("{name}: making the entries of a sample"));
    let parts = sample(corpus, &questions.patients, options.sample);
    let index = Index::build::<S>(people, corpus, &parts, progress)?;
    let sampled_entries = index.entries();
    let all_entries = corpus.entries();
    let whole = index.linked.len() == corpus.records.len();
    let scale = if whole {
        1.0
    } else {
        all_entries as f64 / sampled_entries.max(1) as f64
    };

    progress.message(format!("{name}: scanning"));
    let ready: Vec<Ready> = questions
        .singles
        .iter()
        .map(|asked| people.ready::<S>(corpus, asked))
        .collect();
    let scans = options.compared();
    let mut times: Vec<Duration> = Vec::with_capacity(scans);
    let mut scanned: Vec<Hits<usize>> = Vec::with_capacity(scans);
    for (done, ready) in (1u64..).zip(&ready[..scans]) {
        let (hits, took) = search::<S>(corpus, &index.linked, ready)?;
        times.push(took);
        scanned.push(hits);
        progress.set_steps(done, scans as u64);
    }

    progress.message(format!("{name}: comparing answers"));
    let more = &questions.singles[scans..];
    let more = &more[..more.len().min(options.checks)];
    let booleans = &questions.booleans[..questions.booleans.len().min(options.checks)];
    let more_hits = answers::<S>(people, corpus, &index, more)?;
    let boolean_hits = answers::<S>(people, corpus, &index, booleans)?;
    let same_answers = agree(&questions.singles[..scans], found(&scanned))
        && agree(more, found(&more_hits))
        && agree(booleans, found(&boolean_hits));

    let scaled = |time: Duration| millis(time.mul_f64(scale));
    let report = SchemeReport {
        scheme: S::ID,
        search_ms_p50: scaled(median(&times)),
        search_ms_p99: scaled(percentile(&times, 99)),
        matches: matches(&scanned),
        index_bytes_per_tag: rounded(index.bytes() as f64 / sampled_entries.max(1) as f64, 2),
        trapdoor_bytes: median(&collected(&ready, |ready| ready.trapdoor_bytes)),
        extrapolated: !whole,
        queries: scanned.len(),
        runs_per_query: 1,
        matches_of_all_queries: matches(&scanned),
        probes_p50: median(&collected(&scanned, |hits| hits.probes)),
        first_run_ms_p50: None,
        client_ms_p50: millis(median(&collected(&ready, |ready| ready.client))),
        author_s: seconds(index.built.mul_f64(scale)),
        build_s: seconds(index.built.mul_f64(scale)),
        index_bytes: (index.bytes() as f64 * scale).round() as u64,
        file_bytes: None,
        filter_bytes: None,
        sampled_records: index.linked.len(),
        sampled_entries,
        scale: rounded(scale, 4),
        measured_ms_p50: millis(median(&times)),
        boolean: BooleanReport {
            queries: boolean_hits.len(),
            matches: matches(&boolean_hits),
            probes_p50: median(&collected(&boolean_hits, |hits| hits.probes)),
            search_ms_p50: None,
            search_ms_p99: None,
        },
        answers_compared: scanned.len() + more_hits.len() + boolean_hits.len(),
        same_answers,
    };
    Ok(Outcome {
        report,
        query_ms: times.into_iter().map(scaled).collect(),
    })
}

fn collected<T, U>(values: &[T], get: impl Fn(&T) -> U) -> Vec<U> {
    values.iter().map(get).collect()
}

fn matches(hits: &[Hits<usize>]) -> usize {
    hits.iter().map(|hits| hits.hits.len()).sum()
}

fn found(hits: &[Hits<usize>]) -> impl Iterator<Item = &[usize]> {
    hits.iter().map(|hits| hits.hits.as_slice())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{generate, quiet};
    use super::*;
    use caduceus_custody::scheme::{PaeksScheme, PeksScheme};

    #[test]
    fn a_sample_has_all_records_of_who_asks_and_enough_others() {
        let corpus = generate::corpus(2, 400, 400);
        let asking = [5, 2];
        let of = |parts: &[Part]| parts.iter().map(|(_, range)| range.len()).sum::<usize>();
        let parts = sample(&corpus, &asking, 200);
        assert_eq!(of(&parts), 200);
        assert_eq!(parts[0], (5, corpus.patients[5].clone()));
        assert_eq!(parts[1], (2, corpus.patients[2].clone()));
        let mut records: Vec<usize> = parts.iter().flat_map(|(_, range)| range.clone()).collect();
        records.sort_unstable();
        records.dedup();
        assert_eq!(records.len(), 200, "none twice");
        assert_eq!(of(&sample(&corpus, &asking, 10_000)), 400);
        let few = sample(&corpus, &asking, 1);
        assert_eq!(few.len(), 2, "those who ask are scanned whole");
    }

    /// Two records whose entries were swapped give other answers, and that is noticed.
    fn notices_swapped_entries<S: IndexScheme>() {
        let corpus = generate::corpus(2, 40, 400);
        let people = People::new(2);
        let mut questions = Questions::draw(&corpus, 2, 40, 4, 0);
        questions.singles.retain(|asked| {
            (1..corpus.patients[asked.patient].len()).contains(&asked.answer.len())
        });
        let asked = &questions.singles[..1];
        let own = (asked[0].patient, corpus.patients[asked[0].patient].clone());
        let mut index = Index::build::<S>(&people, &corpus, &[own], &quiet()).unwrap();
        let hits = answers::<S>(&people, &corpus, &index, asked).unwrap();
        assert!(agree(asked, found(&hits)));

        let matching = |linked: &Linked| asked[0].answer.contains(&linked.record);
        let hit = index.linked.iter().position(matching).unwrap();
        let miss = index.linked.iter().position(|one| !matching(one)).unwrap();
        let other = index.linked[miss].entries.clone();
        index.linked[hit].entries = other;
        let hits = answers::<S>(&people, &corpus, &index, asked).unwrap();
        assert!(!agree(asked, found(&hits)));
    }

    #[test]
    fn swapped_entries_are_noticed() {
        notices_swapped_entries::<PeksScheme>();
        notices_swapped_entries::<PaeksScheme>();
    }
}

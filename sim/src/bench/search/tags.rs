//! Epoch tags, looked up where an alliance node looks them up: in the index's own file behind its filter.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use caduceus_cli::Progress;
use caduceus_crypto::index::{IndexEntries, IndexView, Scanned, SchemeId, Tag};
use caduceus_custody::scheme::TagsScheme;
use caduceus_node::store::StoreError;
use caduceus_node::tag_index::{IndexKey, IndexRow, IndexValue, TagIndex, TagIndexView};

use super::asked::{Asked, Questions};
use super::corpus::Corpus;
use super::people::{People, Ready};
use super::report::{BooleanReport, SchemeReport};
use super::{Options, agree};
use crate::bench::measure::{median, millis, percentile, rounded, seconds};

/// The hospital's ordinal.
const ORDINAL: u32 = 0;

/// Records that a private block anchors.
const BLOCK: usize = 16;

/// Records that enter the index at a time.
const RUN_RECORDS: usize = 50_000;

/// Rows that wait in memory before they are written (128 MiB).
const MOST_ROWS: usize = 1 << 22;

/// What one query of a run did.
#[derive(Clone, Debug, Default)]
pub(super) struct Searched {
    /// The first time it ran; the index was warm, what this query touches was not.
    pub(super) first: Duration,
    /// The times after that.
    pub(super) times: Vec<Duration>,
    /// Look-ups.
    pub(super) probes: u64,
    /// Records found, ascending, cut off by no bound.
    pub(super) found: Vec<usize>,
}

/// The index as the search rule sees it.
struct NodeView(TagIndexView);

impl IndexView for NodeView {
    type Record = usize;
    type Error = StoreError;

    fn probe(&mut self, tag: &Tag) -> Result<Option<usize>, StoreError> {
        Ok(self.0.get(&key(tag))?.as_ref().map(record_at))
    }

    fn absent(&mut self, tags: &[Tag]) -> Result<Vec<bool>, StoreError> {
        let keys: Vec<IndexKey> = tags.iter().map(key).collect();
        Ok(self.0.absent(&keys))
    }

    fn nth(&mut self, _: u64) -> Result<Option<Scanned<usize>>, StoreError> {
        Ok(None)
    }
}

fn key(tag: &Tag) -> IndexKey {
    let mut key = [0u8; 20];
    key[..4].copy_from_slice(&ORDINAL.to_be_bytes());
    key[4..].copy_from_slice(tag.as_bytes());
    key
}

/// Height and position of a record, in the order of the corpus.
fn place(record: usize) -> IndexValue {
    let position = u32::try_from(record % BLOCK).expect("a block has few records");
    let mut value = [0u8; 12];
    value[..8].copy_from_slice(&((record / BLOCK) as u64).to_le_bytes());
    value[8..].copy_from_slice(&position.to_le_bytes());
    value
}

fn record_at(value: &IndexValue) -> usize {
    let (height, position) = value.split_at(8);
    let height = u64::from_le_bytes(height.try_into().expect("8 bytes were split off"));
    let position = u32::from_le_bytes(position.try_into().expect("4 bytes are left"));
    height as usize * BLOCK + position as usize
}

/// The rows of a record with these tags.
pub(super) fn rows(record: usize, tags: &[Tag]) -> impl Iterator<Item = IndexRow> + '_ {
    let value = place(record);
    tags.iter().map(move |tag| (key(tag), value))
}

/// Fills an index record by record, in runs, and flushes it.
pub(super) struct Filler<'i> {
    index: &'i TagIndex,
    height: u64,
    rows: Vec<IndexRow>,
    records: usize,
    /// Rows added so far.
    pub(super) added: usize,
}

impl<'i> Filler<'i> {
    pub(super) fn new(index: &'i TagIndex) -> Self {
        Self {
            index,
            height: 0,
            rows: Vec::new(),
            records: 0,
            added: 0,
        }
    }

    pub(super) fn add(&mut self, rows: impl Iterator<Item = IndexRow>) -> anyhow::Result<()> {
        let before = self.rows.len();
        self.rows.extend(rows);
        self.added += self.rows.len() - before;
        self.records += 1;
        if self.records == RUN_RECORDS {
            self.end_run();
            if self.index.rows_in_memory() >= MOST_ROWS {
                self.index.flush()?;
            }
        }
        Ok(())
    }

    /// Everything added is in the table after it.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        self.end_run();
        Ok(self.index.flush()?)
    }

    fn end_run(&mut self) {
        self.height += 1;
        self.records = 0;
        self.index.add(self.height, std::mem::take(&mut self.rows));
    }
}

/// Runs each query once, then `rounds` times, on this thread. A round runs all queries before it repeats one, so
/// that a query finds the processor's caches as others left them. Timed is what a node does to execute a search:
/// a view of the index, the check of all bounds, the search.
pub(super) fn search(
    corpus: &Corpus,
    index: &TagIndex,
    queries: &[Ready],
    rounds: usize,
) -> anyhow::Result<Vec<Searched>> {
    let mut searched = vec![Searched::default(); queries.len()];
    for round in 0..=rounds {
        for (ready, done) in queries.iter().zip(&mut searched) {
            let query = ready.query.clone();
            let begun = Instant::now();
            let mut view = NodeView(index.view()?);
            let checked = query
                .verify(SchemeId::Tags, corpus.first, corpus.today)
                .context("a query is refused")?;
            let hits = checked
                .run(usize::MAX, u64::MAX, &mut view)
                .context("a search failed")?;
            let took = begun.elapsed();
            if round == 0 {
                done.first = took;
                done.probes = hits.probes;
                done.found = hits.hits;
                done.found.sort_unstable();
            } else {
                done.times.push(took);
            }
        }
    }
    Ok(searched)
}

/// A scheme's part of the report, and the time of each query for one keyword in milliseconds.
pub(super) struct Outcome {
    pub(super) report: SchemeReport,
    pub(super) query_ms: Vec<f64>,
}

/// Builds the index of the whole corpus and searches it. Returns the entries too: growth needs them.
pub(super) fn run(
    people: &People,
    corpus: &Corpus,
    questions: &Questions,
    options: &Options,
    folder: &Path,
    progress: &Progress,
) -> anyhow::Result<(Outcome, Vec<IndexEntries>)> {
    progress.message("tags: making the index");
    let begun = Instant::now();
    let entries = people.author::<TagsScheme>(corpus, &corpus.parts(), progress)?;
    let author = begun.elapsed();
    let index = TagIndex::open(&folder.join("tags.redb"))?;
    let mut filler = Filler::new(&index);
    for (record, entries) in entries.iter().enumerate() {
        filler.add(rows(record, entries.tags()))?;
    }
    filler.flush()?;
    let tags = filler.added;
    let build = begun.elapsed();
    let sizes = index.stats()?;

    progress.message("tags: searching");
    let singles = Asks::of(people, corpus, &questions.singles);
    let searched = search(corpus, &index, &singles.ready, options.rounds)?;
    let several = Asks::of(people, corpus, &questions.booleans);
    let boolean = search(corpus, &index, &several.ready, options.rounds)?;

    let same_answers =
        agree(&questions.singles, found(&searched)) && agree(&questions.booleans, found(&boolean));
    let query_ms: Vec<f64> = searched
        .iter()
        .map(|one| millis(median(&one.times)))
        .collect();
    let report = SchemeReport {
        scheme: SchemeId::Tags,
        search_ms_p50: millis(middle(&searched)),
        search_ms_p99: millis(tail(&searched)),
        matches: matches(&searched[..options.compared()]),
        index_bytes_per_tag: rounded(sizes.table_bytes as f64 / tags.max(1) as f64, 2),
        trapdoor_bytes: median(&singles.trapdoor_bytes()),
        extrapolated: false,
        queries: searched.len(),
        runs_per_query: options.rounds,
        matches_of_all_queries: matches(&searched),
        probes_p50: median(&probes(&searched)),
        first_run_ms_p50: Some(millis(median(
            &searched.iter().map(|one| one.first).collect::<Vec<_>>(),
        ))),
        client_ms_p50: millis(median(&singles.client_times())),
        author_s: seconds(author),
        build_s: seconds(build),
        index_bytes: sizes.table_bytes,
        file_bytes: Some(sizes.file_bytes),
        filter_bytes: Some(sizes.filter_bytes),
        sampled_records: corpus.records.len(),
        sampled_entries: tags,
        scale: 1.0,
        measured_ms_p50: millis(middle(&searched)),
        boolean: BooleanReport {
            queries: boolean.len(),
            matches: matches(&boolean),
            probes_p50: median(&probes(&boolean)),
            search_ms_p50: Some(millis(middle(&boolean))),
            search_ms_p99: Some(millis(tail(&boolean))),
        },
        answers_compared: searched.len() + boolean.len(),
        same_answers,
    };
    Ok((Outcome { report, query_ms }, entries))
}

/// Queries that are ready.
pub(super) struct Asks {
    pub(super) ready: Vec<Ready>,
}

impl Asks {
    pub(super) fn of(people: &People, corpus: &Corpus, asked: &[Asked]) -> Self {
        Self {
            ready: asked
                .iter()
                .map(|asked| people.ready::<TagsScheme>(corpus, asked))
                .collect(),
        }
    }

    fn client_times(&self) -> Vec<Duration> {
        self.ready.iter().map(|ready| ready.client).collect()
    }

    fn trapdoor_bytes(&self) -> Vec<usize> {
        self.ready
            .iter()
            .map(|ready| ready.trapdoor_bytes)
            .collect()
    }
}

/// The median over the queries of each one's median.
pub(super) fn middle(searched: &[Searched]) -> Duration {
    let medians: Vec<Duration> = searched.iter().map(|one| median(&one.times)).collect();
    median(&medians)
}

/// The 99th percentile of all runs of all queries.
fn tail(searched: &[Searched]) -> Duration {
    let all: Vec<Duration> = searched
        .iter()
        .flat_map(|one| one.times.iter().copied())
        .collect();
    percentile(&all, 99)
}

pub(super) fn probes(searched: &[Searched]) -> Vec<u64> {
    searched.iter().map(|one| one.probes).collect()
}

pub(super) fn matches(searched: &[Searched]) -> usize {
    searched.iter().map(|one| one.found.len()).sum()
}

/// The answers, query by query.
pub(super) fn found(searched: &[Searched]) -> impl Iterator<Item = &[usize]> {
    searched.iter().map(|one| one.found.as_slice())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{generate, quiet};
    use super::*;

    #[test]
    fn a_place_names_its_record() {
        for record in [0, 1, 15, 16, 17, 999_999] {
            assert_eq!(record_at(&place(record)), record);
        }
        assert_ne!(place(16), place(1));
    }

    /// An index with one record's rows pointing to another record gives another answer, and that is noticed.
    #[test]
    fn a_wrong_row_is_noticed() {
        let corpus = generate::corpus(2, 60, 400);
        let people = People::new(2);
        let entries = people
            .author::<TagsScheme>(&corpus, &corpus.parts(), &quiet())
            .unwrap();
        let questions = Questions::draw(&corpus, 2, 60, 6, 3);
        let victim = questions.singles[0].answer[0];
        let asks = Asks::of(&people, &corpus, &questions.singles);
        for (shift, right) in [(0, true), (1, false)] {
            let folder = tempfile::tempdir().unwrap();
            let index = TagIndex::open(&folder.path().join("x.redb")).unwrap();
            let mut filler = Filler::new(&index);
            for (record, entries) in entries.iter().enumerate() {
                let named = record + if record == victim { shift * 1_000 } else { 0 };
                filler.add(rows(named, entries.tags())).unwrap();
            }
            filler.flush().unwrap();
            assert_eq!(index.rows_in_memory(), 0);
            let searched = search(&corpus, &index, &asks.ready, 1).unwrap();
            assert_eq!(agree(&questions.singles, found(&searched)), right);
        }
    }
}

//! What the bench prints.

use caduceus_cli::{CliError, Output, OutputFormat};
use caduceus_crypto::index::SchemeId;
use serde::Serialize;

use super::corpus::Corpus;
use super::{Options, growth};
use crate::bench::measure::{Machine, percentile, rounded};

/// The corpus.
#[derive(Clone, Debug, Serialize)]
pub(super) struct CorpusReport {
    pub(super) records: usize,
    pub(super) patients: usize,
    pub(super) days: u32,
    pub(super) first_day: String,
    pub(super) last_day: String,
    /// Distinct keywords.
    pub(super) keywords: usize,
    /// Index entries of all records, padding included.
    pub(super) entries: usize,
    pub(super) mean_keywords: f64,
    pub(super) keywords_p50: usize,
    pub(super) keywords_p95: usize,
    pub(super) keywords_max: usize,
    pub(super) seed: u64,
    pub(super) source: String,
}

/// One scheme. Times and sizes of an extrapolated one are scaled to the corpus unless said otherwise.
#[derive(Clone, Debug, Serialize)]
pub(super) struct SchemeReport {
    pub(super) scheme: SchemeId,
    pub(super) search_ms_p50: f64,
    pub(super) search_ms_p99: f64,
    /// Over the queries that every scheme of the run was asked.
    pub(super) matches: usize,
    /// On disk for tags, as it is sent for the others; an entry is one keyword of one record, or padding.
    pub(super) index_bytes_per_tag: f64,
    pub(super) trapdoor_bytes: usize,
    pub(super) extrapolated: bool,
    /// Timed queries for one keyword.
    pub(super) queries: usize,
    pub(super) runs_per_query: usize,
    pub(super) matches_of_all_queries: usize,
    /// Look-ups of tags, tests of entries. Not scaled.
    pub(super) probes_p50: u64,
    pub(super) first_run_ms_p50: Option<f64>,
    pub(super) client_ms_p50: f64,
    /// Making the entries, on all cores.
    pub(super) author_s: f64,
    /// The same and what a node adds.
    pub(super) build_s: f64,
    pub(super) index_bytes: u64,
    pub(super) file_bytes: Option<u64>,
    pub(super) filter_bytes: Option<u64>,
    pub(super) sampled_records: usize,
    pub(super) sampled_entries: usize,
    /// Entries of the corpus over entries of the sample.
    pub(super) scale: f64,
    /// Before scaling.
    pub(super) measured_ms_p50: f64,
    pub(super) boolean: BooleanReport,
    /// Queries whose answer was compared with the plain text.
    pub(super) answers_compared: usize,
    pub(super) same_answers: bool,
}

/// Queries for several keywords.
#[derive(Clone, Debug, Serialize)]
pub(super) struct BooleanReport {
    pub(super) queries: usize,
    pub(super) matches: usize,
    pub(super) probes_p50: u64,
    /// None where they ran for their answers alone.
    pub(super) search_ms_p50: Option<f64>,
    pub(super) search_ms_p99: Option<f64>,
}

/// Tags in an index of one size.
#[derive(Clone, Debug, Serialize)]
pub(super) struct GrowthRow {
    pub(super) records: usize,
    /// Of these, beyond the corpus.
    pub(super) records_with_random_tags: usize,
    pub(super) tags: usize,
    pub(super) search_ms_p50: f64,
    pub(super) probes_p50: u64,
    pub(super) matches: usize,
    pub(super) queries: usize,
    /// Adding what the size before lacked.
    pub(super) added_in_s: f64,
    pub(super) table_bytes: u64,
    pub(super) filter_bytes: u64,
}

/// The corpus against a tenth of it, with the same matches.
#[derive(Clone, Debug, Serialize)]
pub(super) struct EqualMatches {
    pub(super) records_from: usize,
    pub(super) records_to: usize,
    pub(super) matches: usize,
    pub(super) ratio: f64,
}

/// See the module.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) corpus: CorpusReport,
    pub(super) results: Vec<SchemeReport>,
    pub(super) same_answers: bool,
    /// Medians over medians, as printed.
    pub(super) ratio_peks_over_tags: Option<f64>,
    pub(super) ratio_paeks_over_tags: Option<f64>,
    /// The same query in both, the smallest ratio of all.
    pub(super) smallest_ratio_peks_over_tags: Option<f64>,
    pub(super) smallest_ratio_paeks_over_tags: Option<f64>,
    pub(super) growth: Vec<GrowthRow>,
    pub(super) growth_ratio_per_decade: Option<f64>,
    pub(super) equal_matches: Option<EqualMatches>,
    pub(super) machine: Machine,
    pub(super) notes: Vec<String>,
}

impl CorpusReport {
    pub(super) fn of(corpus: &Corpus, seed: u64) -> Self {
        let sizes: Vec<usize> = corpus
            .records
            .iter()
            .map(|record| record.keywords.len())
            .collect();
        let mean = corpus.occurrences() as f64 / sizes.len().max(1) as f64;
        Self {
            records: corpus.records.len(),
            patients: corpus.patients.len(),
            days: corpus.today.0 - corpus.first.0 + 1,
            first_day: corpus.first.to_string(),
            last_day: corpus.today.to_string(),
            keywords: corpus.keywords.len(),
            entries: corpus.entries(),
            mean_keywords: rounded(mean, 2),
            keywords_p50: percentile(&sizes, 50),
            keywords_p95: percentile(&sizes, 95),
            keywords_max: percentile(&sizes, 100),
            seed,
            source: corpus.source.clone(),
        }
    }
}

impl EqualMatches {
    pub(super) fn of(rows: &[GrowthRow], records: usize) -> Option<Self> {
        let of_size = |size| rows.iter().find(|row| row.records == size);
        let (from, to) = (of_size(records / 10)?, of_size(records)?);
        Some(Self {
            records_from: from.records,
            records_to: to.records,
            matches: to.matches,
            ratio: rounded(to.search_ms_p50 / from.search_ms_p50, 3),
        })
    }
}

/// How the numbers came about.
pub(super) fn notes(
    options: &Options,
    results: &[SchemeReport],
    rows: &[GrowthRow],
) -> Vec<String> {
    let mut notes = vec![format!(
        "tags: a search is a view of the index on disk, the check of every bound and the look-ups, on one thread. \
         All queries ran once, then {} times in turn; p50 is the median of each query's median, p99 that of all \
         runs, first_run_ms_p50 that of the run that is not counted",
        options.rounds
    )];
    if let Some(scan) = results.iter().find(|one| one.scheme != SchemeId::Tags) {
        notes.push(format!(
            "peks and paeks: the first {} of the queries, each once over {} records ({} entries) on one thread; \
             more queries and the boolean ones over the records of whoever asks, for their answers",
            scan.queries, scan.sampled_records, scan.sampled_entries
        ));
        if scan.extrapolated {
            notes.push(format!(
                "peks and paeks: search_ms, author_s, build_s and index_bytes are scaled by {}, the entries of \
                 the corpus over those of the sample; measured_ms_p50 and probes_p50 are not",
                scan.scale
            ));
        }
    }
    notes.push(format!(
        "matches: over the first {} queries, which every scheme was asked; one query in ten asks for a keyword \
         drawn from all",
        options.compared()
    ));
    notes.push(
        "client_ms: making the trapdoor on the patient's machine, which is not part of search_ms"
            .to_owned(),
    );
    if rows.iter().any(|row| row.records_with_random_tags > 0) {
        notes.push(
            "growth: beyond the corpus the tags of further records are random bytes, which tags are to whoever \
             lacks the keys"
                .to_owned(),
        );
    }
    notes
}

#[derive(Serialize)]
struct SchemeLine {
    scheme: SchemeId,
    search_ms_p50: String,
    search_ms_p99: String,
    times_slower: String,
    matches: usize,
    probes: u64,
    bytes_a_tag: f64,
    trapdoor_bytes: usize,
    client_ms: String,
    build_s: String,
    extrapolated: &'static str,
    answers: String,
}

#[derive(Serialize)]
struct GrowthLine {
    records: usize,
    tags: usize,
    search_ms_p50: String,
    probes: u64,
    matches: usize,
    table_mib: String,
}

impl Report {
    /// Prints it in the user's format.
    pub(super) fn print(&self, output: &Output) -> Result<(), CliError> {
        match output.format() {
            OutputFormat::Json | OutputFormat::Ndjson => output.object(self),
            OutputFormat::Csv => output.rows(&self.scheme_lines()),
            OutputFormat::Table => self.tables(output),
        }
    }

    fn scheme_lines(&self) -> Vec<SchemeLine> {
        let tags = self
            .results
            .iter()
            .find(|one| one.scheme == SchemeId::Tags)
            .map(|one| one.search_ms_p50);
        let line = |one: &SchemeReport| SchemeLine {
            scheme: one.scheme,
            search_ms_p50: format!("{:.3}", one.search_ms_p50),
            search_ms_p99: format!("{:.3}", one.search_ms_p99),
            times_slower: tags.map_or_else(String::new, |tags| {
                format!("{:.0}", one.search_ms_p50 / tags)
            }),
            matches: one.matches,
            probes: one.probes_p50,
            bytes_a_tag: one.index_bytes_per_tag,
            trapdoor_bytes: one.trapdoor_bytes,
            client_ms: format!("{:.3}", one.client_ms_p50),
            build_s: format!("{:.1}", one.build_s),
            extrapolated: if one.extrapolated { "yes" } else { "no" },
            answers: format!(
                "{} of {}",
                if one.same_answers { "right" } else { "WRONG" },
                one.answers_compared
            ),
        };
        self.results.iter().map(line).collect()
    }

    fn tables(&self, output: &Output) -> Result<(), CliError> {
        let corpus = &self.corpus;
        output.note(&format!(
            "{} records of {} patients over {} days; {} keywords, {} a record, {} entries; seed {}; {}",
            corpus.records,
            corpus.patients,
            corpus.days,
            corpus.keywords,
            corpus.mean_keywords,
            corpus.entries,
            corpus.seed,
            corpus.source
        ));
        output.rows(&self.scheme_lines())?;
        if !self.growth.is_empty() {
            let lines: Vec<GrowthLine> = self
                .growth
                .iter()
                .map(|row| GrowthLine {
                    records: row.records,
                    tags: row.tags,
                    search_ms_p50: format!("{:.3}", row.search_ms_p50),
                    probes: row.probes_p50,
                    matches: row.matches,
                    table_mib: format!("{:.1}", row.table_bytes as f64 / f64::from(1 << 20)),
                })
                .collect();
            output.rows(&lines)?;
        }
        if let Some(equal) = &self.equal_matches {
            output.note(&format!(
                "ten times the records, {} matches as before: {} times the time; at most {} times a decade",
                equal.matches,
                equal.ratio,
                self.growth_ratio_per_decade.unwrap_or(equal.ratio)
            ));
        }
        for (name, ratio, smallest) in [
            (
                "peks",
                self.ratio_peks_over_tags,
                self.smallest_ratio_peks_over_tags,
            ),
            (
                "paeks",
                self.ratio_paeks_over_tags,
                self.smallest_ratio_paeks_over_tags,
            ),
        ] {
            if let (Some(ratio), Some(smallest)) = (ratio, smallest) {
                output.note(&format!(
                    "{name} takes {ratio} times as long as tags, and {smallest} times at least for one query"
                ));
            }
        }
        for note in &self.notes {
            output.note(note);
        }
        Ok(())
    }
}

/// The parts of the report that follow from the growth.
pub(super) fn ratio_per_decade(rows: &[GrowthRow]) -> Option<f64> {
    growth::largest_ratio_per_decade(rows).map(|ratio| rounded(ratio, 3))
}

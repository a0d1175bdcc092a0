//! The index schemes side by side: one corpus, the same queries, and the answers of each compared with the plain
//! text (DESIGN 11).
//!
//! Tags are looked up in the index file of an alliance node; PEKS and PAEKS test every entry of a sample, and
//! their times are scaled to the corpus, which the report says. All entries and trapdoors are made by the
//! author's and the patient's side of the product.

mod asked;
mod bundles;
mod corpus;
mod generate;
mod growth;
mod people;
mod report;
mod scan;
mod tags;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use anyhow::Context;
use caduceus_cli::{CliError, CommonArgs, Output, Progress};
use caduceus_crypto::index::SchemeId;
use caduceus_custody::scheme::{PaeksScheme, PeksScheme};
use clap::Args;

use self::asked::{Asked, Questions};
use self::corpus::Corpus;
use self::people::People;
use self::report::{CorpusReport, EqualMatches, Report};
use self::tags::Outcome;
use super::measure::{Machine, rounded};

/// Records of the corpus when nothing else is said.
const RECORDS: u32 = 100_000;

/// Boolean queries.
const BOOLEANS: usize = 50;

/// Timed runs of a query that takes less than a few milliseconds.
const ROUNDS: usize = 7;

/// Queries of each kind that scans answer over the records of whoever asks.
const CHECKS: usize = 20;

/// Records to which growth is measured with `--growth`.
const GROWTH: usize = 1_000_000;

/// What to search.
#[derive(Clone, Debug, Args)]
pub struct SearchBenchArgs {
    /// Records of the corpus [default: 100000; with --bundles, what they hold]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    records: Option<u32>,
    /// Days over which the records are anchored; every query covers them all
    #[arg(long, value_name = "D", default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=4500))]
    days: u32,
    /// Schemes to compare
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "tags,peks,paeks"
    )]
    schemes: Vec<SchemeId>,
    /// Seed of the corpus, the keys and the queries
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Take the records from the FHIR bundles (*.json) of a folder, one patient each
    #[arg(long, value_name = "DIR")]
    bundles: Option<PathBuf>,
    /// Records that peks and paeks scan; their times are scaled to the corpus
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(2_000..))]
    sample: u32,
    /// Queries for one keyword
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    queries: u32,
    /// How many of them peks and paeks are timed with: each takes as long as it takes to test the sample
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    scan_queries: u32,
    /// Measure growth up to a million records; without it, up to those of the corpus
    #[arg(long)]
    growth: bool,
}

/// The same for a run, bounds included that the command line does not offer.
#[derive(Clone, Debug)]
struct Options {
    schemes: Vec<SchemeId>,
    seed: u64,
    sample: usize,
    queries: usize,
    booleans: usize,
    scan_queries: usize,
    checks: usize,
    rounds: usize,
    growth_to: Option<usize>,
}

impl Options {
    fn scans(&self) -> bool {
        self.schemes.iter().any(|scheme| *scheme != SchemeId::Tags)
    }

    /// How many of the queries for one keyword every scheme is timed with.
    fn compared(&self) -> usize {
        if self.scans() {
            self.scan_queries.min(self.queries)
        } else {
            self.queries
        }
    }
}

/// Runs the bench and prints the report.
///
/// # Errors
/// Usage, when the folder of bundles is none; failure, when the bench could not be run to its end; verification
/// failed, when an answer was wrong.
pub fn run(arguments: &SearchBenchArgs, _: &CommonArgs, output: &Output) -> Result<(), CliError> {
    let progress = output.progress("making the corpus");
    let corpus = corpus_of(arguments)?;
    let report = bench(&corpus, &arguments.options(), &progress).map_err(|error| {
        CliError::failure(
            format!("the bench stopped: {error:#}"),
            "room for the index in TMPDIR, or fewer --records",
        )
    })?;
    drop(progress);
    report.print(output)?;
    if report.same_answers {
        return Ok(());
    }
    let wrong: Vec<&str> = report
        .results
        .iter()
        .filter(|one| !one.same_answers)
        .map(|one| one.scheme.as_str())
        .collect();
    Err(CliError::verification_failed(
        format!(
            "answers differ from the plain text ({})",
            if wrong.is_empty() {
                "growth".to_owned()
            } else {
                wrong.join(", ")
            }
        ),
        "report it with the command line: the seed makes it happen again",
    ))
}

fn corpus_of(arguments: &SearchBenchArgs) -> Result<Corpus, CliError> {
    let (seed, days) = (arguments.seed, arguments.days);
    let Some(folder) = &arguments.bundles else {
        let records = size(arguments.records.unwrap_or(RECORDS));
        return Ok(generate::corpus(seed, records, days));
    };
    bundles::corpus(folder, seed, arguments.records.map(size), days).map_err(|error| {
        CliError::usage(
            format!("cannot take records from bundles: {error:#}"),
            "--bundles DIR with FHIR R4 bundles (*.json), one patient each, or leave it out",
        )
    })
}

fn size(number: u32) -> usize {
    usize::try_from(number).expect("an index has 32 bits at least")
}

impl SearchBenchArgs {
    fn options(&self) -> Options {
        Options {
            schemes: SchemeId::ALL
                .into_iter()
                .filter(|scheme| self.schemes.contains(scheme))
                .collect(),
            seed: self.seed,
            sample: size(self.sample),
            queries: size(self.queries),
            booleans: BOOLEANS,
            scan_queries: size(self.scan_queries),
            checks: CHECKS,
            rounds: ROUNDS,
            growth_to: self.growth.then_some(GROWTH),
        }
    }
}

/// Runs every scheme over the corpus.
fn bench(corpus: &Corpus, options: &Options, progress: &Progress) -> anyhow::Result<Report> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let people = People::new(options.seed);
    // Three quarters of the sample for those who ask, the rest for records of others.
    let room = options.sample / 4 * 3;
    let questions = Questions::draw(
        corpus,
        options.seed,
        room,
        options.queries,
        options.booleans,
    );
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut grown = None;
    for scheme in &options.schemes {
        let outcome = match scheme {
            SchemeId::Tags => {
                let (outcome, entries) = tags::run(
                    &people,
                    corpus,
                    &questions,
                    options,
                    folder.path(),
                    progress,
                )?;
                grown = Some(growth::run(
                    &people,
                    corpus,
                    &entries,
                    options,
                    folder.path(),
                    progress,
                )?);
                outcome
            }
            SchemeId::Peks => {
                scan::run::<PeksScheme>(&people, corpus, &questions, options, progress)?
            }
            SchemeId::Paeks => {
                scan::run::<PaeksScheme>(&people, corpus, &questions, options, progress)?
            }
        };
        outcomes.push(outcome);
    }
    let ratio = |scheme| {
        let (scan, tags) = (of(&outcomes, scheme)?, of(&outcomes, SchemeId::Tags)?);
        Some(rounded(
            scan.report.search_ms_p50 / tags.report.search_ms_p50,
            1,
        ))
    };
    let smallest = |scheme| {
        let (scan, tags) = (of(&outcomes, scheme)?, of(&outcomes, SchemeId::Tags)?);
        let ratios = scan.query_ms.iter().zip(&tags.query_ms);
        ratios
            .map(|(scan, tags)| scan / tags)
            .reduce(f64::min)
            .map(|ratio| rounded(ratio, 1))
    };
    let (rows, growth_right) = match grown {
        Some(grown) => (grown.rows, grown.same_answers),
        None => (Vec::new(), true),
    };
    let (ratio_peks_over_tags, ratio_paeks_over_tags) =
        (ratio(SchemeId::Peks), ratio(SchemeId::Paeks));
    let (smallest_ratio_peks_over_tags, smallest_ratio_paeks_over_tags) =
        (smallest(SchemeId::Peks), smallest(SchemeId::Paeks));
    let results: Vec<_> = outcomes.into_iter().map(|outcome| outcome.report).collect();
    Ok(Report {
        corpus: CorpusReport::of(corpus, options.seed),
        same_answers: growth_right && results.iter().all(|one| one.same_answers),
        ratio_peks_over_tags,
        ratio_paeks_over_tags,
        smallest_ratio_peks_over_tags,
        smallest_ratio_paeks_over_tags,
        growth_ratio_per_decade: report::ratio_per_decade(&rows),
        equal_matches: EqualMatches::of(&rows, corpus.records.len()),
        machine: Machine::here(),
        notes: report::notes(options, &results, &rows),
        results,
        growth: rows,
    })
}

fn of(outcomes: &[Outcome], scheme: SchemeId) -> Option<&Outcome> {
    outcomes
        .iter()
        .find(|outcome| outcome.report.scheme == scheme)
}

/// Whether these are the answers of the plain text, query by query.
fn agree<'f>(asked: &[Asked], mut found: impl Iterator<Item = &'f [usize]>) -> bool {
    asked
        .iter()
        .all(|asked| found.next() == Some(asked.answer.as_slice()))
        && found.next().is_none()
}

#[cfg(test)]
fn quiet() -> Progress {
    Output::new(caduceus_cli::OutputFormat::Json).progress("")
}

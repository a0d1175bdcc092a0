//! What counting gives: recovering searched keywords from how many and which records match, with part of the
//! plaintext known, and recognising a known record by its number of tags.
//!
//! Access pattern attacks apply to every index whose answers can be seen (Islam, Kuzu and Kantarcioglu, NDSS 2012;
//! Cash, Grubbs, Perry and Ristenpart, CCS 2015), ours too: a search tells all members which records match. How much
//! that gives is measured here, not bounded. What is promised is that nothing can be counted *without* a search: no
//! tag is on the chain twice, so the number of a keyword's records doesn't show.

mod corpus;
mod identify;
mod recover;
mod unsearched;

use self::corpus::History;
use self::recover::Observed;
use super::report::{AttackReport, Bound, Counted, Finding, Kind};
use super::world::{MemoryIndex, Pair, day, rng};
use caduceus_crypto::index::{Clause, IndexEntries, MAX_HITS, Query, SchemeId, TAG_GROUP};
use caduceus_custody::scheme::{IndexScheme, TagsScheme};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;

/// Parts of a patient's records that the attacker has in plain text, in percent.
const KNOWN_PERCENT: &[usize] = &[10, 25, 50, 75, 100];
/// Days over which a patient's records are spread, all of them searched.
const YEAR: u32 = 364;
/// Records that a hospital anchors in a day, for the smaller pool.
const DAY_POOL: usize = 30;

/// Options of `attack frequency`.
#[derive(Clone, Debug, clap::Args)]
pub struct FrequencyOptions {
    /// Patients, each with a history of about 29 records
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    pub patients: u32,
    /// Searches of each patient, for a keyword each
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub searches: u32,
    /// The same seed gives the same report
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Runs the attack.
#[must_use]
pub fn run(options: &FrequencyOptions) -> AttackReport {
    attack(options, true)
}

/// One patient's records on the chain, and what her searches showed.
struct Case {
    history: History,
    entries: Vec<IndexEntries>,
    observed: Vec<Observed>,
}

/// With `counting` off the author never counts and every record is of one day: the mistake that would let tags
/// repeat.
fn attack(options: &FrequencyOptions, counting: bool) -> AttackReport {
    let cases: Vec<Case> = (0..options.patients)
        .into_par_iter()
        .map(|number| Case::new(options, number, counting))
        .collect();
    let mut rng = rng(options.seed, 1);
    let mut findings = vec![
        Finding::rate(
            Kind::Promise,
            "keywords of several records whose repetition shows on the chain, without a search",
            unsearched::repeated_tags(&cases),
            0.0,
        )
        .of(SchemeId::Tags)
        .given("all tags on the chain")
        .judged(Bound::SuccessAtMost(0.0)),
    ];
    findings.extend(recovery(&mut rng, &cases));
    findings.extend(identification(&mut rng, &cases));
    findings.push(
        Finding::rate(
            Kind::Comparison,
            "keywords of several records whose repetition shows once the patient has searched for anything",
            unsearched::repeated_under_paeks(options.seed),
            0.0,
        )
        .of(SchemeId::Paeks)
        .given("all entries on the chain and y * g2, which every trapdoor carries"),
    );
    let records: usize = cases.iter().map(|case| case.history.records.len()).sum();
    let notes = vec![format!(
        "{} patients, {records} records; {} codes in all and {:.1} a record, as measured over Synthea's patients; a \
         code is one keyword here. Which records match is the same under every scheme",
        cases.len(),
        corpus::CODES,
        cases.iter().map(|case| case.history.codes()).sum::<usize>() as f64 / records.max(1) as f64,
    )];
    AttackReport::new(
        "frequency",
        Some(SchemeId::Tags),
        options.seed,
        findings,
        notes,
    )
}

impl Case {
    fn new(options: &FrequencyOptions, number: u32, counting: bool) -> Self {
        let mut rng = rng(options.seed, 1_000 + u64::from(number));
        let history = History::new(&mut rng);
        let mut pair = Pair::<TagsScheme>::new(&mut rng);
        let mut index = MemoryIndex::default();
        let mut entries = Vec::new();
        for (at, codes) in history.records.iter().enumerate() {
            let names: Vec<String> = codes.iter().map(|code| corpus::name(*code)).collect();
            let keywords: Vec<&str> = names.iter().map(String::as_str).collect();
            let made = if counting {
                let at = u32::try_from(at).expect("a history is short");
                let on = day((at * 13) % (YEAR + 1));
                let made = pair.record(&mut rng, on, &keywords);
                index.link(on, made.clone());
                made
            } else {
                let author = TagsScheme::author_key(&pair.hospital, day(0));
                let counted: Vec<(&str, u32)> = keywords.iter().map(|word| (*word, 0)).collect();
                let made = TagsScheme::index(&mut rng, &author, day(0), &counted);
                made.expect("a record of few keywords can be indexed")
            };
            entries.push(made);
        }
        let mut searched = history.distinct();
        searched.shuffle(&mut rng);
        searched.truncate(options.searches as usize);
        let observed = searched
            .into_iter()
            .map(|code| Observed {
                code,
                hits: search(&pair, &mut index, code),
            })
            .collect();
        Self {
            history,
            entries,
            observed,
        }
    }
}

/// The records that a search for one keyword over all days returns, as the chain runs it.
fn search(pair: &Pair<TagsScheme>, index: &mut MemoryIndex, code: usize) -> Vec<u32> {
    // A year's cover is a few roots, so one search reaches all of it.
    let query = Query {
        clauses: vec![Clause {
            negative: false,
            slots: vec![0],
        }],
        slots: pair.trapdoor(&corpus::name(code), day(0), day(YEAR)),
    };
    let checked = query.verify(SchemeId::Tags, day(0), day(YEAR));
    let checked = checked.expect("the patient's cover is well-formed");
    let found = checked.run(MAX_HITS, u64::MAX, index);
    let mut hits = found.expect("an index in memory can be read").hits;
    hits.sort_unstable();
    hits
}

/// Recovery rates by the part of the plaintext that is known.
fn recovery(rng: &mut ChaCha20Rng, cases: &[Case]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for percent in KNOWN_PERCENT {
        let (mut counting, mut identified) = (Counted::default(), Counted::default());
        let (mut unique, mut chance) = (Counted::default(), 0.0);
        for case in cases {
            let known = case.history.known(rng, *percent);
            let guesses =
                recover::by_counting(rng, &known, &case.observed, case.history.records.len());
            for (observed, guess) in case.observed.iter().zip(guesses) {
                counting.note(guess == Some(observed.code));
                chance += known.chance(observed.code);
            }
            for observed in &case.observed {
                let candidates = recover::by_pattern(&known, observed);
                let guess = candidates.choose(rng).copied();
                identified.note(guess == Some(observed.code));
                if candidates.len() == 1 {
                    unique.note(guess == Some(observed.code));
                }
            }
        }
        let chance = chance / counting.trials.max(1) as f64;
        findings.push(
            Finding::rate(
                Kind::StatedLeakage,
                format!("searches recovered by count and co-occurrence, {percent} % of the records known"),
                counting,
                chance,
            )
            .of(SchemeId::Tags)
            .given("plaintext of part of the records, and which records each search returns"),
        );
        findings.push(
            Finding::rate(
                Kind::StatedLeakage,
                format!(
                    "searches recovered by pattern, {percent} % of the records known and located"
                ),
                identified,
                chance,
            )
            .of(SchemeId::Tags)
            .given("the same, and which records on the chain the known ones are (their author)"),
        );
        if *percent == 100 {
            findings.push(
                Finding::rate(
                    Kind::Control,
                    "searches recovered whose pattern is unique, all records known and located",
                    unique,
                    chance,
                )
                .of(SchemeId::Tags)
                .given(
                    "all records in plaintext, their places, and which of them each search returns",
                )
                .judged(Bound::SuccessAtLeast(1.0)),
            );
        }
    }
    findings
}

/// Recognition of known records by their number of tags.
fn identification(rng: &mut ChaCha20Rng, cases: &[Case]) -> Vec<Finding> {
    let pool: Vec<(usize, usize)> = cases
        .iter()
        .flat_map(|case| case.history.records.iter().zip(&case.entries))
        .map(|(codes, entries)| (codes.len(), entries.len()))
        .collect();
    let mut findings = Vec::new();
    for size in [DAY_POOL, pool.len()] {
        for (padded, name) in [
            (true, format!("padded to {TAG_GROUP}")),
            (false, "without padding".to_owned()),
        ] {
            let numbers: Vec<usize> = pool
                .iter()
                .map(|(plain, on_chain)| if padded { *on_chain } else { *plain })
                .collect();
            let (counted, chance) = identify::by_number(rng, &numbers, size);
            let kind = if padded {
                Kind::StatedLeakage
            } else {
                Kind::Comparison
            };
            let what =
                format!("known record recognised among {size} by its number of tags, {name}");
            findings.push(
                Finding::rate(kind, what, counted, chance)
                    .of(SchemeId::Tags)
                    .given("the record in plaintext and the numbers of tags on the chain"),
            );
        }
    }
    findings
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;

    const SMALL: FrequencyOptions = FrequencyOptions {
        patients: 4,
        searches: 8,
        seed: 1,
    };

    #[test]
    fn searches_give_keywords_away_and_tags_alone_do_not() {
        let report = run(&SMALL);
        report.verdict().unwrap();
        assert!(report.promises[0].trials > 20, "{:?}", report.promises[0]);
        let rates: Vec<f64> = report
            .stated_leakage
            .iter()
            .filter(|finding| finding.what.contains("by pattern"))
            .map(|finding| finding.success_rate)
            .collect();
        assert_eq!(rates.len(), KNOWN_PERCENT.len());
        assert!(rates[4] > rates[0] && rates[4] > 0.5, "{rates:?}");
        let paeks = report.comparisons.last().unwrap();
        assert!(
            paeks.trials > 0 && paeks.successes == paeks.trials,
            "{paeks:?}"
        );
    }

    #[test]
    fn tags_that_repeat_fail_the_command() {
        let report = attack(&SMALL, false);
        assert_eq!(
            report.verdict().unwrap_err().exit,
            ExitCode::VerificationFailed
        );
        assert_eq!(report.promises[0].holds, Some(false));
        assert_eq!(report.promises[0].successes, report.promises[0].trials);
    }
}

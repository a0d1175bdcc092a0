//! Random queries over the live network, each compared with what the plaintext says.

use super::summary::{Percentiles, Summary};
use super::world::World;
use super::{DemoOptions, Narrator};
use crate::oracle::{Oracle, OracleRecord, Vocabulary, Want};
use anyhow::Context;
use caduceus_crypto::Hash;
use caduceus_custody::query::{self, QueryCompileError};
use patient_client::SearchSpec;
use rand::Rng;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Instant;

/// Clauses of one query, and alternatives in one clause, at most.
const MAX_CLAUSES: usize = 3;
const MAX_ALTERNATIVES: usize = 3;
/// Queries told of while they run.
const TOLD_EVERY: usize = 100;

/// What became of the random queries.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RandomSummary {
    /// Queries asked.
    pub asked: usize,
    /// Those whose answer was, record for record, that of the plaintext, and proved.
    pub equal: usize,
    /// Those with at least one match.
    pub with_matches: usize,
    /// Records found in all.
    pub found: usize,
    /// From the query to the verified answer.
    pub ms: Percentiles,
    /// The first query whose answer differed, if any did.
    pub first_difference: Option<String>,
}

/// A query as it is typed, and as the oracle takes it.
struct Drawn {
    text: String,
    want: Want,
    years: Option<(String, String)>,
}

/// One word, code or type of a patient's records, or a word that is in none.
fn literal(rng: &mut ChaCha20Rng, vocabulary: &Vocabulary) -> (String, Want) {
    let pick = |rng: &mut ChaCha20Rng, from: &BTreeSet<String>| {
        let all: Vec<&String> = from.iter().collect();
        all.choose(rng).map(|word| (*word).clone())
    };
    let drawn = match rng.gen_range(0..10) {
        0..=4 => pick(rng, &vocabulary.words).map(|word| (format!("\"{word}\""), Want::Word(word))),
        5..=6 => {
            pick(rng, &vocabulary.codes).map(|code| (format!("code:{code}"), Want::Code(code)))
        }
        7..=8 => {
            pick(rng, &vocabulary.types).map(|kind| (format!("type:{kind}"), Want::Type(kind)))
        }
        _ => None,
    };
    drawn.unwrap_or_else(|| {
        let word = format!("absent{}", rng.gen_range(0..1_000_000));
        (word.clone(), Want::Word(word))
    })
}

fn clause(rng: &mut ChaCha20Rng, vocabulary: &Vocabulary) -> (String, Want) {
    let count = rng.gen_range(1..=MAX_ALTERNATIVES);
    let (texts, wants): (Vec<String>, Vec<Want>) =
        (0..count).map(|_| literal(rng, vocabulary)).unzip();
    (format!("({})", texts.join(" OR ")), Want::Or(wants))
}

/// A query that some record could match; those that contradict themselves are refused before anything is sent.
fn draw(rng: &mut ChaCha20Rng, vocabulary: &Vocabulary) -> Drawn {
    loop {
        let drawn = draw_any(rng, vocabulary);
        let compiled = query::parse(&drawn.text).map(|parsed| query::compile(Some(&parsed), None));
        if !matches!(compiled, Ok(Err(QueryCompileError::NeverMatches))) {
            return drawn;
        }
    }
}

fn draw_any(rng: &mut ChaCha20Rng, vocabulary: &Vocabulary) -> Drawn {
    let positive = rng.gen_range(1..=MAX_CLAUSES);
    let mut texts = Vec::new();
    let mut wants = Vec::new();
    for _ in 0..positive {
        let (text, want) = clause(rng, vocabulary);
        texts.push(text);
        wants.push(want);
    }
    let mut text = texts.join(" AND ");
    if rng.gen_bool(0.25) {
        let (excluded, want) = clause(rng, vocabulary);
        text = format!("{text} AND NOT {excluded}");
        wants.push(Want::Not(Box::new(want)));
    }
    // Matches of a search with clinical dates are opened one by one, so there are few of them.
    let years = (rng.gen_bool(0.03)).then(|| {
        let from = rng.gen_range(1990..=2025);
        let to = rng.gen_range(from..=2026);
        (format!("{from}-01-01"), format!("{to}-12-31"))
    });
    if let Some((from, to)) = &years {
        wants.push(Want::Between(from.clone(), to.clone()));
    }
    Drawn {
        text,
        want: Want::And(wants),
        years,
    }
}

/// Asks so many random queries of random patients.
pub async fn run(
    world: &mut World,
    options: &DemoOptions,
    narrator: &Narrator,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    if options.queries == 0 {
        return Ok(());
    }
    let mut rng = ChaCha20Rng::seed_from_u64(options.seed);
    let oracles: Vec<Oracle> = (0..world.people.len())
        .map(|patient| {
            let own: Vec<OracleRecord> = world
                .records
                .iter()
                .map(|record| record.oracle.clone())
                .filter(|record| record.patient == patient)
                .collect();
            Oracle::new(&own)
        })
        .collect();
    let vocabularies: Vec<Vocabulary> = oracles.iter().map(Oracle::vocabulary).collect();
    let mut outcome = RandomSummary::default();
    let mut times = Vec::new();
    for number in 0..options.queries {
        let patient = rng.gen_range(0..world.people.len());
        let drawn = draw(&mut rng, &vocabularies[patient]);
        let expected: BTreeSet<Hash> = oracles[patient]
            .matching(&drawn.want)
            .into_iter()
            .map(|id| world.records[id].record_hash)
            .collect();
        let (from, to) = drawn.years.clone().unzip();
        let spec = SearchSpec {
            from,
            to,
            ..SearchSpec::text(&drawn.text)
        };
        let begun = Instant::now();
        let answer = world.people[patient]
            .patient
            .search(&spec)
            .await
            .with_context(|| format!("the query {:?}", drawn.text))?;
        times.push(begun.elapsed().as_millis() as u64);
        let found: BTreeSet<Hash> = answer.records.iter().map(|r| r.record_hash).collect();
        let whole = answer.hospitals.iter().all(|hospital| hospital.complete);
        outcome.asked += 1;
        outcome.found += found.len();
        outcome.with_matches += usize::from(!expected.is_empty());
        if whole && found == expected {
            outcome.equal += 1;
        } else if outcome.first_difference.is_none() {
            outcome.first_difference = Some(format!(
                "{:?} of {}: {} found, {} expected",
                drawn.text,
                world.people[patient].name,
                found.len(),
                expected.len()
            ));
        }
        if (number + 1) % TOLD_EVERY == 0 {
            narrator.tell(format!(
                "{} random queries: {} equal the plaintext",
                outcome.asked, outcome.equal
            ));
        }
    }
    outcome.ms = Percentiles::of(times);
    summary.random_queries = Some(outcome);
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_query_drawn_can_be_asked() {
        let set = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect();
        let vocabulary = Vocabulary {
            words: set(&["asthma", "acute", "or", "not"]),
            codes: set(&["38341003", "8302-2"]),
            types: set(&["Condition", "Observation"]),
        };
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let mut negative = 0;
        for _ in 0..2000 {
            let drawn = draw(&mut rng, &vocabulary);
            let parsed = query::parse(&drawn.text).unwrap();
            query::compile(Some(&parsed), None).unwrap();
            negative += usize::from(drawn.text.contains(" NOT "));
        }
        assert!(negative > 50);
    }
}

//! Offline dictionary guessing: is this trapdoor for that word?
//!
//! Boneh, Di Crescenzo, Ostrovsky and Persiano's scheme falls to it by design (Byun, Rhee, Park and Lee, SDM 2006):
//! e(h, H1(w)) = e(g1, T) can be computed by all who know the patient's public key. Under epoch tags and PAEKS the
//! attacker tries all that public values allow. Where no word passes his test he guesses at random.
//!
//! The searched words are drawn evenly from the dictionary, so that the chance level is one in its size and the
//! figure shows what the test is worth, not how well the attacker knows patients.

mod paeks;
mod peks;
mod tags;

use super::lexicon;
use super::report::{AttackReport, Bound, Counted, Finding, Kind};
use super::world::{Pair, day, rng};
use caduceus_crypto::index::{IndexEntries, SchemeId, Slots, slot_matches};
use caduceus_crypto::time::Epoch;
use caduceus_custody::scheme::IndexScheme;
use rand::Rng;
use rand_chacha::ChaCha20Rng;

/// What a guess may reach beyond chance.
const MARGIN: f64 = 0.01;
/// What an attacker with the secrets reaches at least.
const SURE: f64 = 0.99;
/// Searched words that one record of the victim has.
const KEYWORDS_A_RECORD: usize = 16;

/// Options of `attack guess`.
#[derive(Clone, Debug, clap::Args)]
pub struct GuessOptions {
    /// Index scheme: tags, peks or paeks
    #[arg(long, value_name = "SCHEME", default_value_t = SchemeId::Tags)]
    pub scheme: SchemeId,
    /// Words in the attacker's dictionary
    #[arg(long, value_name = "N", default_value_t = 70_000, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub words: u32,
    /// Trapdoors to guess
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub trials: u32,
    /// The same seed gives the same report
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Runs the attack.
#[must_use]
pub fn run(options: &GuessOptions) -> AttackReport {
    let findings = match options.scheme {
        SchemeId::Tags => tags::attack(options, false),
        SchemeId::Peks => peks::attack(options),
        SchemeId::Paeks => paeks::attack(options, false),
    };
    let notes = vec![format!(
        "a dictionary of {} words, among them those of the demo's patients; the searched words are drawn from it \
         evenly, and a guess is one word",
        options.words
    )];
    AttackReport::new("guess", Some(options.scheme), options.seed, findings, notes)
}

/// The victim's records and searches, and the words that were searched.
struct Scene<S: IndexScheme> {
    pair: Pair<S>,
    dictionary: Vec<String>,
    /// Indices into the dictionary.
    searched: Vec<usize>,
    trapdoors: Vec<Slots>,
    /// Her records.
    chain: Vec<IndexEntries>,
}

/// The day of her records, and the first and the last day of her searches: all of one quarter.
const RECORDS: u32 = 40;
const SEARCHED: (u32, u32) = (33, 60);

fn record_day() -> Epoch {
    day(RECORDS)
}

impl<S: IndexScheme> Scene<S> {
    fn new(options: &GuessOptions) -> Self {
        let mut rng = rng(options.seed, 1);
        let mut pair = Pair::<S>::new(&mut rng);
        let dictionary = lexicon::dictionary(options.seed, options.words as usize);
        let searched: Vec<usize> = (0..options.trials)
            .map(|_| rng.gen_range(0..dictionary.len()))
            .collect();
        let chain = searched
            .chunks(KEYWORDS_A_RECORD)
            .map(|chunk| {
                let mut keywords: Vec<&str> =
                    chunk.iter().map(|word| &*dictionary[*word]).collect();
                keywords.sort_unstable();
                keywords.dedup();
                pair.record(&mut rng, record_day(), &keywords)
            })
            .collect();
        let trapdoors = searched
            .iter()
            .map(|word| pair.trapdoor(&dictionary[*word], day(SEARCHED.0), day(SEARCHED.1)))
            .collect();
        Self {
            pair,
            dictionary,
            searched,
            trapdoors,
            chain,
        }
    }

    /// How often a table names the searched word. Where it names none, the attacker draws one.
    fn score(&self, rng: &mut ChaCha20Rng, guess: impl Fn(&Slots) -> Option<usize>) -> Counted {
        let outcomes = self.trapdoors.iter().zip(&self.searched);
        Counted::of(outcomes.map(|(trapdoor, word)| {
            let drawn = rng.gen_range(0..self.dictionary.len());
            guess(trapdoor).unwrap_or(drawn) == *word
        }))
    }

    fn chance(&self) -> f64 {
        1.0 / self.dictionary.len() as f64
    }

    /// The trapdoors are no dummies: each finds the record with its word.
    fn trapdoors_live(&self) -> Finding {
        let outcomes = self.trapdoors.iter().enumerate();
        let counted = Counted::of(outcomes.map(|(n, trapdoor)| {
            let entries = &self.chain[n / KEYWORDS_A_RECORD];
            slot_matches(trapdoor, 0, record_day(), entries)
        }));
        Finding::rate(
            Kind::Control,
            "each trapdoor finds the record with its word",
            counted,
            0.0,
        )
        .given("the trapdoor and the record")
        .of(S::ID)
        .judged(Bound::SuccessAtLeast(1.0))
    }

    /// A guess that must be no better than chance.
    fn no_better_than_chance(&self, what: &str, counted: Counted) -> Finding {
        Finding::rate(Kind::Promise, what, counted, self.chance())
            .of(S::ID)
            .judged(Bound::SuccessAtMost(self.chance() + MARGIN))
    }

    /// A guess that must succeed.
    fn sure(&self, kind: Kind, what: &str, counted: Counted) -> Finding {
        Finding::rate(kind, what, counted, self.chance())
            .of(S::ID)
            .judged(Bound::SuccessAtLeast(SURE))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;

    fn options(scheme: SchemeId) -> GuessOptions {
        GuessOptions {
            scheme,
            words: 1_000,
            trials: 20,
            seed: 1,
        }
    }

    #[test]
    fn peks_falls_to_a_dictionary_and_the_others_do_not() {
        for scheme in SchemeId::ALL {
            let report = run(&options(scheme));
            report.verdict().unwrap();
            let first = &report.promises[0];
            assert_eq!(first.trials, 20);
            if scheme == SchemeId::Peks {
                assert_eq!(first.successes, 20);
            } else {
                assert!(first.success_rate <= first.chance + MARGIN);
            }
            assert!(report.controls.len() >= 2, "{scheme}");
        }
    }

    #[test]
    fn a_scheme_that_can_be_guessed_fails_the_command() {
        for (scheme, findings) in [
            (SchemeId::Tags, tags::attack(&options(SchemeId::Tags), true)),
            (
                SchemeId::Paeks,
                paeks::attack(&options(SchemeId::Paeks), true),
            ),
        ] {
            let report = AttackReport::new("guess", Some(scheme), 1, findings, Vec::new());
            let error = report.verdict().unwrap_err();
            assert_eq!(error.exit, ExitCode::VerificationFailed, "{scheme}");
            assert_eq!(report.promises[0].holds, Some(false), "{scheme}");
        }
    }

    #[test]
    fn one_seed_gives_one_report() {
        let report = |seed| {
            let options = GuessOptions {
                seed,
                ..options(SchemeId::Tags)
            };
            serde_json::to_string(&run(&options)).unwrap()
        };
        assert_eq!(report(3), report(3));
    }
}

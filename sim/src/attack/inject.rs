//! File injection (Zhang, Katz and Papamanthou, USENIX Security 2016, section 4: binary search). The attacker has a
//! malicious doctor upload records of his choice for the victim. Record j of ceil(log2 of the universe) carries
//! every keyword whose number has bit j set; which of them a search returns spells the searched keyword out.
//!
//! Records that lie in a trapdoor's days are matched by it, whatever the scheme: that is what a search is, and it is
//! admitted. What differs is a record that is injected after the trapdoor was made: under epoch tags it has tags of
//! another day, to which the trapdoor says nothing; a trapdoor of the scanned schemes has no date.

use super::lexicon;
use super::report::{AttackReport, Bound, Counted, Finding, Kind};
use super::world::{Pair, Wielded, day, rng};
use caduceus_crypto::index::{IndexEntries, MAX_TAGS, SchemeId, Slots, slot_matches};
use caduceus_crypto::time::Epoch;
use caduceus_custody::scheme::{IndexScheme, PaeksScheme, PeksScheme, TagsScheme};
use rand::Rng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;

/// What the guesses of an attacker without an answer may reach beyond chance.
const MARGIN: f64 = 0.01;
/// Days of the searches.
const SEARCHED: (u32, u32) = (33, 60);
/// When records are injected: inside of the days searched, on the last of them, and after.
const INSIDE: u32 = 40;
const AFTER: u32 = 61;

/// Options of `attack inject`.
#[derive(Clone, Debug, clap::Args)]
pub struct InjectOptions {
    /// Index scheme: tags, peks or paeks
    #[arg(long, value_name = "SCHEME", default_value_t = SchemeId::Tags)]
    pub scheme: SchemeId,
    /// Keywords that the victim may search for
    #[arg(long, value_name = "N", default_value_t = 698, value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub universe: u32,
    /// Searches to recover [default: 200; 20 for the scanned schemes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub trials: Option<u32>,
    /// The same seed gives the same report
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Runs the attack.
#[must_use]
pub fn run(options: &InjectOptions) -> AttackReport {
    let findings = attack(options, AFTER);
    let notes = vec![format!(
        "{} keywords, {} injected records; the searched keywords are drawn evenly from the universe. That a search \
         returns what lies in its days, injected or not, is admitted; the last day of a range is open until it ends",
        options.universe,
        records_needed(options.universe as usize)
    )];
    AttackReport::new(
        "inject",
        Some(options.scheme),
        options.seed,
        findings,
        notes,
    )
}

/// `late` is the day of the records that are injected after the trapdoors were made.
fn attack(options: &InjectOptions, late: u32) -> Vec<Finding> {
    match options.scheme {
        SchemeId::Tags => under::<TagsScheme>(options, late),
        SchemeId::Peks => under::<PeksScheme>(options, late),
        SchemeId::Paeks => under::<PaeksScheme>(options, late),
    }
}

fn under<S: IndexScheme>(options: &InjectOptions, late: u32) -> Vec<Finding> {
    let mut rng = rng(options.seed, 1);
    let mut pair = Pair::<S>::new(&mut rng);
    let universe = lexicon::codes(&mut rng, options.universe as usize);
    let searched: Vec<usize> = (0..options.trials.unwrap_or(default_trials(options.scheme)))
        .map(|_| rng.gen_range(0..universe.len()))
        .collect();
    let trapdoors: Vec<Slots> = searched
        .iter()
        .map(|word| pair.trapdoor(&universe[*word], day(SEARCHED.0), day(SEARCHED.1)))
        .collect();
    let chance = 1.0 / universe.len() as f64;

    let inside = Injected::upload(&mut rng, &mut pair, &universe, day(INSIDE));
    let last = Injected::upload(&mut rng, &mut pair, &universe, day(SEARCHED.1));
    let after = Injected::upload(&mut rng, &mut pair, &universe, day(late));

    // The chain itself answers for the days asked for; beyond them the attacker applies the trapdoor himself.
    let asked = |injected: &Injected| injected.asked(&trapdoors);
    let forced = after.forced(&trapdoors);
    let recovered = |rng: &mut ChaCha20Rng, answers: &[Vec<bool>]| {
        let outcomes = answers.iter().zip(&searched);
        Counted::of(outcomes.map(|(answer, word)| {
            let drawn = rng.gen_range(0..universe.len());
            spelt(answer, universe.len()).unwrap_or(drawn) == *word
        }))
    };
    let given = "the universe, the injected records, which of them each search returns";
    let in_time = recovered(&mut rng, &asked(&inside));
    let same_day = recovered(&mut rng, &asked(&last));
    let too_late = recovered(&mut rng, &forced);
    let touched = Counted::of(forced.iter().flatten().copied());

    let mut findings = vec![
        Finding::rate(
            Kind::Control,
            "searches recovered, records injected before and inside of the days searched (admitted)",
            in_time,
            chance,
        )
        .given(given)
        .judged(Bound::SuccessAtLeast(1.0)),
        Finding::rate(
            Kind::StatedLeakage,
            "searches recovered, records injected inside of the days searched",
            in_time,
            chance,
        )
        .given(given),
        Finding::rate(
            Kind::StatedLeakage,
            "searches recovered, records injected on the last day of the range, after the search",
            same_day,
            chance,
        )
        .given(given),
    ];
    let adaptive = Finding::rate(
        Kind::Promise,
        "searches recovered, records injected after the days searched",
        too_late,
        chance,
    )
    .given("the same, and the trapdoors, applied to records of any day");
    let matched = Finding::rate(
        Kind::Promise,
        "injected records of later days that a trapdoor matches",
        touched,
        0.0,
    )
    .given("the trapdoors and the injected records");
    if options.scheme == SchemeId::Tags {
        findings.insert(0, adaptive.judged(Bound::SuccessAtMost(chance + MARGIN)));
        findings.insert(1, matched.judged(Bound::SuccessAtMost(0.0)));
    } else {
        // A trapdoor without a date: what the literature says of the scheme.
        findings.insert(0, adaptive.judged(Bound::SuccessAtLeast(1.0)));
        findings.push(Finding {
            kind: Kind::StatedLeakage,
            ..matched
        });
    }
    findings
        .into_iter()
        .map(|finding| finding.of(options.scheme))
        .collect()
}

fn default_trials(scheme: SchemeId) -> u32 {
    match scheme {
        SchemeId::Tags => 200,
        SchemeId::Peks | SchemeId::Paeks => 20,
    }
}

/// Bits of the largest keyword number. Numbers count from 1, so that no answer at all is no keyword's.
fn records_needed(universe: usize) -> u32 {
    usize::BITS - universe.leading_zeros()
}

/// The injected records of one day, the j-th being that of bit j.
struct Injected {
    day: Epoch,
    records: Vec<IndexEntries>,
}

impl Injected {
    /// The malicious doctor's uploads, each of at most [`MAX_TAGS`] keywords.
    fn upload<S: IndexScheme>(
        rng: &mut ChaCha20Rng,
        pair: &mut Pair<S>,
        universe: &[String],
        day: Epoch,
    ) -> Self {
        let records = (0..records_needed(universe.len()))
            .map(|bit| {
                let numbered = (1_usize..).zip(universe);
                let keywords: Vec<&str> = numbered
                    .filter(|(number, _)| (number >> bit) & 1 == 1)
                    .map(|(_, keyword)| keyword.as_str())
                    .collect();
                assert!(
                    keywords.len() <= MAX_TAGS,
                    "half of the universe fits a record"
                );
                pair.record(rng, day, &keywords)
            })
            .collect();
        Self { day, records }
    }

    /// What the chain answers to each search.
    fn asked(&self, trapdoors: &[Slots]) -> Vec<Vec<bool>> {
        self.answers(trapdoors, |trapdoor| {
            move |entries: &IndexEntries| slot_matches(trapdoor, 0, self.day, entries)
        })
    }

    /// What each trapdoor matches in the hands of the attacker.
    fn forced(&self, trapdoors: &[Slots]) -> Vec<Vec<bool>> {
        self.answers(trapdoors, |trapdoor| {
            let wielded = Wielded::of(trapdoor);
            move |entries: &IndexEntries| wielded.matches(entries)
        })
    }

    fn answers<'a, M: Fn(&IndexEntries) -> bool>(
        &self,
        trapdoors: &'a [Slots],
        matcher: impl Fn(&'a Slots) -> M + Sync,
    ) -> Vec<Vec<bool>> {
        trapdoors
            .par_iter()
            .map(|trapdoor| {
                let matches = matcher(trapdoor);
                self.records
                    .iter()
                    .map(|entries| matches(entries))
                    .collect()
            })
            .collect()
    }
}

/// The keyword whose number the answers spell; none when they spell no keyword's.
fn spelt(answers: &[bool], universe: usize) -> Option<usize> {
    let bits = answers.iter().enumerate();
    let number: usize = bits.map(|(bit, found)| usize::from(*found) << bit).sum();
    number.checked_sub(1).filter(|index| *index < universe)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;

    fn options(scheme: SchemeId) -> InjectOptions {
        InjectOptions {
            scheme,
            universe: if scheme == SchemeId::Tags { 698 } else { 30 },
            trials: Some(if scheme == SchemeId::Tags { 12 } else { 3 }),
            seed: 1,
        }
    }

    #[test]
    fn answers_spell_every_keyword_and_no_other() {
        for universe in [2_usize, 7, 8, 698] {
            let bits = records_needed(universe);
            for index in 0..universe {
                let answers: Vec<bool> =
                    (0..bits).map(|bit| ((index + 1) >> bit) & 1 == 1).collect();
                assert_eq!(spelt(&answers, universe), Some(index));
            }
            let none = vec![false; bits as usize];
            assert_eq!(spelt(&none, universe), None);
        }
        assert_eq!(records_needed(698), 10);
        assert_eq!(spelt(&[true; 10], 698), None);
    }

    #[test]
    fn late_injection_works_on_the_scanned_schemes_only() {
        for scheme in SchemeId::ALL {
            let report = run(&options(scheme));
            report.verdict().unwrap();
            let late = &report.promises[0];
            assert_eq!(late.trials, u64::from(options(scheme).trials.unwrap()));
            if scheme == SchemeId::Tags {
                assert!(late.success_rate <= late.chance + MARGIN);
                assert_eq!(report.promises[1].successes, 0);
                assert_eq!(report.promises[1].trials, 12 * 10);
            } else {
                assert_eq!(late.successes, late.trials);
            }
            // In time all schemes give the keyword away, which is admitted.
            assert_eq!(
                report.stated_leakage[0].successes,
                report.stated_leakage[0].trials
            );
        }
    }

    /// A scheme whose trapdoors reached later days would be found out: here the late records are not late.
    #[test]
    fn trapdoors_without_an_end_fail_the_command() {
        let options = options(SchemeId::Tags);
        let findings = attack(&options, SEARCHED.1);
        let report = AttackReport::new("inject", Some(options.scheme), 1, findings, Vec::new());
        assert_eq!(
            report.verdict().unwrap_err().exit,
            ExitCode::VerificationFailed
        );
        assert_eq!(report.promises[0].holds, Some(false));
        assert_eq!(report.promises[1].holds, Some(false));
    }
}

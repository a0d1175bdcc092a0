//! Old trapdoors on new records, and new trapdoors on old ones. A trapdoor for the days a to b must be worth nothing
//! before a and after b, also to a member that keeps it, ignores its days, and derives from its nodes all that can
//! be derived.

use super::lexicon;
use super::report::{AttackReport, Bound, Counted, Finding, Kind};
use super::world::{Pair, Wielded, day, rng};
use caduceus_crypto::index::{IndexEntries, SchemeId, Slots, slot_matches};
use caduceus_custody::scheme::{IndexScheme, PaeksScheme, PeksScheme, TagsScheme};
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;

/// The days that the trapdoors are for: parts of two quarters, with a whole one between them.
const FROM: u32 = 75;
const TO: u32 = 200;
/// Days before and after, the nearest ones among them: of the same quarters and of others.
const BEFORE: &[u32] = &[0, 30, 68, 73, 74];
const AFTER: &[u32] = &[201, 202, 207, 230, 300];
/// Days inside, the first and the last among them.
const INSIDE: &[u32] = &[75, 76, 100, 150, 200];
/// Keywords of a record.
const KEYWORDS_A_RECORD: usize = 8;

/// Options of `attack forward`.
#[derive(Clone, Debug, clap::Args)]
pub struct ForwardOptions {
    /// Trapdoors against epoch tags, a keyword each
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(8..=10_000))]
    pub keywords: u32,
    /// Trapdoors against each scanned scheme; each is tested on every record
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(8..=10_000))]
    pub scanned: u32,
    /// The same seed gives the same report
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Runs the attack.
#[must_use]
pub fn run(options: &ForwardOptions) -> AttackReport {
    attack(options, TO)
}

/// `to` is the last day of the trapdoors; the records of [`AFTER`] stay where they are.
fn attack(options: &ForwardOptions, to: u32) -> AttackReport {
    let tags = Outcome::of::<TagsScheme>(options.seed, options.keywords, to);
    let mut findings = vec![
        tags.outside(
            Kind::Promise,
            "records after the range, matched",
            tags.after,
        )
        .judged(Bound::SuccessAtMost(0.0)),
        tags.outside(
            Kind::Promise,
            "records before the range, matched",
            tags.before,
        )
        .judged(Bound::SuccessAtMost(0.0)),
        tags.inside().judged(Bound::SuccessAtLeast(1.0)),
        Finding::rate(
            Kind::StatedLeakage,
            "records of the last day, made after the trapdoor, matched",
            tags.same_day,
            0.0,
        )
        .of(SchemeId::Tags)
        .given("the trapdoor: its last day is open until it ends"),
    ];
    for outcome in [
        Outcome::of::<PeksScheme>(options.seed, options.scanned, to),
        Outcome::of::<PaeksScheme>(options.seed, options.scanned, to),
    ] {
        findings.push(outcome.inside().judged(Bound::SuccessAtLeast(1.0)));
        findings.push(outcome.outside(
            Kind::Comparison,
            "records after the range, matched",
            outcome.after,
        ));
        findings.push(outcome.outside(
            Kind::Comparison,
            "records before the range, matched",
            outcome.before,
        ));
    }
    let notes = vec![format!(
        "trapdoors for {} to {}, records of {} days before and {} days after; of each cover the attacker derives \
         every node and takes each for a leaf, with {} tags",
        day(FROM),
        day(to),
        BEFORE.len(),
        AFTER.len(),
        super::world::TAGS_OF_A_DAY
    )];
    AttackReport::new("forward", None, options.seed, findings, notes)
}

/// Which of the records with its keyword each trapdoor matched.
struct Outcome {
    scheme: SchemeId,
    before: Counted,
    inside: Counted,
    after: Counted,
    same_day: Counted,
}

/// A record: its entries, and the numbers of its keywords.
struct Record {
    day: u32,
    keywords: Vec<usize>,
    entries: IndexEntries,
}

impl Outcome {
    fn of<S: IndexScheme>(seed: u64, keywords: u32, to: u32) -> Self {
        let mut rng = rng(seed, 1);
        let mut pair = Pair::<S>::new(&mut rng);
        let words = lexicon::codes(&mut rng, keywords as usize);
        let mut on = |rng: &mut ChaCha20Rng, days: &[u32]| records(rng, &mut pair, &words, days);
        let before = on(&mut rng, BEFORE);
        let inside = on(&mut rng, INSIDE);
        let after = on(&mut rng, AFTER);
        // Made when the trapdoors were out, on a day that they still cover.
        let same_day = on(&mut rng, &[to]);

        let trapdoors: Vec<Slots> = words
            .iter()
            .map(|word| pair.trapdoor(word, day(FROM), day(to)))
            .collect();

        let counts: Vec<[Counted; 4]> = trapdoors
            .par_iter()
            .enumerate()
            .map(|(word, trapdoor)| {
                let wielded = Wielded::of(trapdoor);
                let with_word = |records: &[Record], matches: &dyn Fn(&Record) -> bool| {
                    let having = records
                        .iter()
                        .filter(|record| record.keywords.contains(&word));
                    Counted::of(having.map(matches))
                };
                let forced = |record: &Record| wielded.matches(&record.entries);
                let asked =
                    |record: &Record| slot_matches(trapdoor, 0, day(record.day), &record.entries);
                [
                    with_word(&before, &forced),
                    with_word(&inside, &asked),
                    with_word(&after, &forced),
                    with_word(&same_day, &asked),
                ]
            })
            .collect();
        let mut sums = [Counted::default(); 4];
        for count in counts {
            for (sum, more) in sums.iter_mut().zip(count) {
                sum.add(more);
            }
        }
        let [before, inside, after, same_day] = sums;
        Self {
            scheme: S::ID,
            before,
            inside,
            after,
            same_day,
        }
    }

    fn outside(&self, kind: Kind, what: &str, counted: Counted) -> Finding {
        Finding::rate(kind, what, counted, 0.0)
            .of(self.scheme)
            .given("the trapdoor, its days ignored, and the records with its keyword")
    }

    fn inside(&self) -> Finding {
        Finding::rate(
            Kind::Control,
            "records inside of the range, matched",
            self.inside,
            0.0,
        )
        .of(self.scheme)
        .given("the trapdoor and the records with its keyword")
    }
}

/// On each day records that carry, between them, each keyword once.
fn records<S: IndexScheme>(
    rng: &mut ChaCha20Rng,
    pair: &mut Pair<S>,
    words: &[String],
    days: &[u32],
) -> Vec<Record> {
    let mut made = Vec::new();
    for on in days {
        let numbers: Vec<usize> = (0..words.len()).collect();
        for chunk in numbers.chunks(KEYWORDS_A_RECORD) {
            let keywords: Vec<&str> = chunk.iter().map(|word| words[*word].as_str()).collect();
            made.push(Record {
                day: *on,
                keywords: chunk.to_vec(),
                entries: pair.record(rng, day(*on), &keywords),
            });
        }
    }
    made
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;

    const SMALL: ForwardOptions = ForwardOptions {
        keywords: 8,
        scanned: 8,
        seed: 1,
    };

    #[test]
    fn old_trapdoors_match_no_new_record_under_tags_and_all_under_the_others() {
        let report = run(&SMALL);
        report.verdict().unwrap();
        for promise in &report.promises {
            assert_eq!((promise.trials, promise.successes), (8 * 5, 0));
        }
        assert_eq!(report.controls.len(), 3);
        for matched in report.controls.iter().chain(&report.comparisons) {
            assert_eq!(
                (matched.trials, matched.successes),
                (8 * 5, 8 * 5),
                "{matched:?}"
            );
        }
        assert_eq!(report.stated_leakage[0].successes, 8);
    }

    #[test]
    fn trapdoors_that_reach_too_far_fail_the_command() {
        let report = attack(&SMALL, AFTER[1]);
        assert_eq!(
            report.verdict().unwrap_err().exit,
            ExitCode::VerificationFailed
        );
        // Of the five days after the range two are inside of it now.
        assert_eq!(report.promises[0].successes, 8 * 2);
        assert_eq!(report.promises[1].holds, Some(true));
    }
}

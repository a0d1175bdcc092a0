//! Linking what one patient does: her records, her searches, her tokens, her grants.
//!
//! A classifier gets every public field of two objects ([`features`]) and learns, from pairs whose truth is known, to
//! say whether they are one patient's. Its advantage is |true positive rate - false positive rate| on other pairs.
//! The promise holds for records that were never returned by one search nor granted to one key, and for searches
//! whose covers share no quarter; what links is printed apart, as stated leakage.

mod classifier;
mod features;
mod grants;
mod records;
mod searches;
mod tokens;

use self::classifier::{Classifier, Pairs};
use self::features::Public;
use self::records::{Contents, Fault, Hospital, Patient};
use self::searches::Ranges;
use self::tokens::Issuing;
use super::report::{AttackReport, Bound, Counted, Finding, Kind};
use super::world::rng;
use alliance_chain::tx::SignedSearch;
use caduceus_crypto::index::SchemeId;
use caduceus_crypto::token::{MIN_MODULUS_BITS, TokenIssuer};
use rayon::prelude::*;

/// What a classifier may gain over chance.
const LIMIT: f64 = 0.05;
/// What it gains at least where a mistake was planted.
const FOUND: f64 = 0.9;
/// What the token issuer may gain, beside three standard errors.
const MARGIN: f64 = 0.01;
/// Histories that the patients' records are taken from, at most.
const HISTORIES: usize = 400;
/// Pairs on which stated leakage is shown, at most.
const SHOWN: usize = 200;

/// Options of `attack link`.
#[derive(Clone, Debug, clap::Args)]
pub struct LinkOptions {
    /// Pairs of each kind that the classifier is tested on; it is trained on as many others
    #[arg(long, value_name = "N", default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(500..=100_000))]
    pub pairs: u32,
    /// Tokens that the issuer tries to match
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    pub tokens: u32,
    /// The same seed gives the same report
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Runs the attack.
#[must_use]
pub fn run(options: &LinkOptions) -> AttackReport {
    attack(options, LIMIT, Fault::None)
}

/// `limit` is what a classifier may gain; `fault` is what the records' authors do wrong.
fn attack(options: &LinkOptions, limit: f64, fault: Fault) -> AttackReport {
    let (seed, pairs) = (options.seed, options.pairs as usize);
    let hospital = Hospital::new(seed, HISTORIES.min(pairs));
    let issuer = TokenIssuer::generate(&mut rng(seed, 3), MIN_MODULUS_BITS)
        .expect("a random number generator that works finds a key");

    let dealt = hospital.patients(seed, 2 * pairs, Contents::Dealt);
    let mut findings = of_records(&dealt, limit, fault);
    findings.extend(of_habits(&hospital, seed, pairs));
    findings.extend(of_searches(&hospital, &issuer, seed, pairs, limit));
    findings.extend(of_grants(&hospital, &dealt, seed, limit));
    findings.extend(of_tokens(&issuer, seed, options.tokens as usize));
    let shown = &dealt[..SHOWN.min(dealt.len())];
    findings.push(
        Finding::rate(
            Kind::StatedLeakage,
            "records returned by one search: all of one patient",
            searches::co_hits(&hospital, shown),
            0.0,
        )
        .given("the search and its result"),
    );
    let notes = vec![
        "features: of every public field equality, equal bits and bytes, first and last byte; of counts, sizes and \
         times equality and distance; runs of bytes shared across fields, tags shared or near; logistic regression"
            .to_owned(),
        "records of one hospital, their days drawn alike for all patients: that visits cluster in time and place is \
         no matter of the index"
            .to_owned(),
        "two covers of one keyword in one quarter carry the same salt, also where their days don't overlap".to_owned(),
    ];
    AttackReport::new("link", Some(SchemeId::Tags), seed, findings, notes)
}

const FIELDS: &str = "all public fields of both, and as many pairs whose truth is known";

/// Trains on the first half and tests on the second.
fn tested(train: &Pairs, test: &Pairs, kind: Kind, what: &str) -> Finding {
    let (positive, negative) = Classifier::train(train).test(test);
    Finding::classifier(kind, what, positive, negative).given(FIELDS)
}

/// The same over objects of which each patient has two.
fn tested_halves(public: &[[Public; 2]], kind: Kind, what: &str) -> Finding {
    let (train, test) = public.split_at(public.len() / 2);
    tested(
        &records::pairs_of(train),
        &records::pairs_of(test),
        kind,
        what,
    )
}

fn of_records(patients: &[Patient], limit: f64, fault: Fault) -> Vec<Finding> {
    let (train, test) = patients.split_at(patients.len() / 2);
    let with = |fault: Fault, kind: Kind, what: &str| {
        let pairs = (records::pairs(train, fault), records::pairs(test, fault));
        tested(&pairs.0, &pairs.1, kind, what)
    };
    vec![
        with(
            fault,
            Kind::Promise,
            "records of one patient, never returned by one search nor granted to one key",
        )
        .judged(Bound::AdvantageAtMost(limit)),
        Finding::rate(
            Kind::Promise,
            "patients whose two records have a public value in common",
            records::repeated(patients, fault),
            0.0,
        )
        .given("all public fields of both")
        .judged(Bound::SuccessAtMost(0.0)),
        with(
            Fault::ReusedEphemeral,
            Kind::Control,
            "records whose authors reuse a patient's ephemeral key",
        )
        .judged(Bound::AdvantageAtLeast(FOUND)),
        with(
            Fault::ConstantViewTag,
            Kind::Control,
            "records whose view tag, one byte, is the patient's",
        )
        .judged(Bound::AdvantageAtLeast(FOUND)),
    ]
}

/// Records with what patients really come back with: number of tags and size tell what the text does.
fn of_habits(hospital: &Hospital, seed: u64, pairs: usize) -> Vec<Finding> {
    let patients = hospital.patients(seed, pairs, Contents::Lived);
    let (train, test) = patients.split_at(patients.len() / 2);
    let finding = tested(
        &records::pairs(train, Fault::None),
        &records::pairs(test, Fault::None),
        Kind::StatedLeakage,
        "records of one patient whose complaints come back: number of tags (rounded up to 8) and size",
    );
    vec![finding]
}

fn of_searches(
    hospital: &Hospital,
    issuer: &TokenIssuer,
    seed: u64,
    pairs: usize,
    limit: f64,
) -> Vec<Finding> {
    let apart = searches::made(hospital, issuer, seed, 2 * pairs, Ranges::Apart);
    let shown = SHOWN.min(pairs);
    let quarter = searches::made(hospital, issuer, seed, shown, Ranges::OneQuarter);
    let overlapping = searches::made(hospital, issuer, seed, shown, Ranges::Overlapping);
    let linked = |what: &str, made: &[[SignedSearch; 2]]| {
        let counted = Counted::of(made.iter().map(searches::share_a_value));
        Finding::rate(Kind::StatedLeakage, what, counted, 0.0).given("both transactions")
    };
    vec![
        tested_halves(
            &searches::public(&apart),
            Kind::Promise,
            "searches of one patient in two quarters, under blind tokens",
        )
        .judged(Bound::AdvantageAtMost(limit)),
        tested_halves(
            &searches::public(&quarter),
            Kind::Control,
            "searches of one patient for one keyword in one quarter (the covers' salt)",
        )
        .judged(Bound::AdvantageAtLeast(FOUND)),
        linked(
            "two searches for one keyword whose covers overlap",
            &overlapping,
        ),
        linked(
            "two searches for one keyword in one quarter, of different days (the salt)",
            &quarter,
        ),
    ]
}

fn of_grants(hospital: &Hospital, patients: &[Patient], seed: u64, limit: f64) -> Vec<Finding> {
    let apart = grants::made(hospital, patients, seed, false);
    let shown = &patients[..SHOWN.min(patients.len())];
    let together = grants::made(hospital, shown, seed, true);
    let named = together
        .par_iter()
        .map(|[a, b]| a.body.data_user == b.body.data_user && a.body.receiving == b.body.receiving);
    let named = Counted::of(named.collect::<Vec<bool>>());
    vec![
        tested_halves(
            &grants::public(&apart),
            Kind::Promise,
            "grants of one patient's records to two data users",
        )
        .judged(Bound::AdvantageAtMost(limit)),
        tested_halves(
            &grants::public(&together),
            Kind::Control,
            "grants of one patient's records to one data user",
        )
        .judged(Bound::AdvantageAtLeast(FOUND)),
        Finding::rate(
            Kind::StatedLeakage,
            "two records granted to one key: both grants name it",
            named,
            0.0,
        )
        .given("both transactions"),
    ]
}

fn of_tokens(issuer: &TokenIssuer, seed: u64, count: usize) -> Vec<Finding> {
    let chance = 1.0 / count as f64;
    let error = (chance * (1.0 - chance) / count as f64).sqrt();
    let shown = count.min(SHOWN);
    vec![
        Finding::rate(
            Kind::Promise,
            "spent tokens matched with their issue",
            tokens::matched(issuer, seed, count, Issuing::Blind),
            chance,
        )
        .given("the issuer's key, all blinded messages and signatures, all tokens spent")
        .judged(Bound::SuccessAtMost(chance + MARGIN + 3.0 * error)),
        Finding::rate(
            Kind::Control,
            "spent tokens matched with their issue, had it not been blind",
            tokens::matched(issuer, seed, shown, Issuing::Clear),
            1.0 / shown as f64,
        )
        .given("keys and signatures as issued, all tokens spent")
        .judged(Bound::SuccessAtLeast(1.0)),
    ]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;

    const SMALL: LinkOptions = LinkOptions {
        pairs: 60,
        tokens: 40,
        seed: 1,
    };

    /// So few pairs are noisy: three standard errors of them.
    const NOISE: f64 = 0.28;

    #[test]
    fn nothing_links_but_what_is_stated() {
        let report = attack(&SMALL, NOISE, Fault::None);
        report.verdict().unwrap();
        assert_eq!(
            report.promises.len(),
            5,
            "records (2), searches, grants, tokens"
        );
        assert!(report.controls.len() >= 5);
        for leak in &report.stated_leakage {
            if leak.what.contains("complaints") {
                continue;
            }
            assert!(leak.trials > 0 && leak.successes == leak.trials, "{leak:?}");
        }
    }

    #[test]
    fn an_author_who_reuses_a_key_fails_the_command() {
        let report = attack(&SMALL, NOISE, Fault::ReusedEphemeral);
        assert_eq!(
            report.verdict().unwrap_err().exit,
            ExitCode::VerificationFailed
        );
        let broken: Vec<Option<bool>> = report.promises.iter().map(|found| found.holds).collect();
        assert_eq!(broken[..2], [Some(false); 2]);
        assert!(broken[2..].iter().all(|holds| *holds == Some(true)));
    }
}

//! What an attack found, and whether a promise or a control broke.
//!
//! Every figure says what the attacker was given, how often the attack was tried and how often it succeeded, and
//! what somebody who knows nothing would have reached (the chance level). Figures are of four kinds
//! ([`Kind`]); only the first two can fail a run.

use caduceus_cli::{CliError, Output, OutputFormat};
use caduceus_crypto::index::SchemeId;
use serde::{Serialize, Serializer};
use std::fmt;

/// What a figure is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Something that the system promises, or, of a baseline, what its literature says of it.
    Promise,
    /// The same attack where it must succeed (or must be powerless): a harness that does nothing is noticed.
    Control,
    /// Leakage that the design admits; measured, not judged.
    StatedLeakage,
    /// Another scheme or a weaker design, beside ours; measured, not judged.
    Comparison,
}

/// Where a figure has to lie. Rates are fractions of 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// The success rate is at most this.
    SuccessAtMost(f64),
    /// The success rate is at least this.
    SuccessAtLeast(f64),
    /// The advantage is at most this.
    AdvantageAtMost(f64),
    /// The advantage is at least this.
    AdvantageAtLeast(f64),
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SuccessAtMost(limit) => write!(f, "success <= {limit:.6}"),
            Self::SuccessAtLeast(limit) => write!(f, "success >= {limit:.6}"),
            Self::AdvantageAtMost(limit) => write!(f, "advantage <= {limit:.6}"),
            Self::AdvantageAtLeast(limit) => write!(f, "advantage >= {limit:.6}"),
        }
    }
}

impl Serialize for Bound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What it is there for.
    pub kind: Kind,
    /// The index scheme, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<SchemeId>,
    /// What was tried.
    pub what: String,
    /// How often.
    pub trials: u64,
    /// How often it succeeded; for a classifier the pairs that it put right.
    pub successes: u64,
    /// Successes among the trials, 0 to 1.
    pub success_rate: f64,
    /// What somebody who knows nothing reaches, 0 to 1.
    pub chance: f64,
    /// Success rate less chance level; for a classifier |true positive rate - false positive rate|.
    pub advantage: f64,
    /// Half the width of the 95 % confidence interval of the advantage (normal approximation).
    pub ci95: f64,
    /// Where the figure has to lie, if it is judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
    /// Whether it lies there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holds: Option<bool>,
    /// What the attacker was given.
    pub given: String,
}

/// Quantile of the normal distribution for 95 %, both sides.
const Z95: f64 = 1.96;

impl Finding {
    /// A success rate: `successes` of `trials`, against a chance level. A run without a trial has the rate 0,
    /// and no bound holds for it.
    pub fn rate(kind: Kind, what: impl Into<String>, counted: Counted, chance: f64) -> Self {
        let rate = counted.rate();
        let ci95 = Z95 * (rate * (1.0 - rate) / counted.trials.max(1) as f64).sqrt();
        Self {
            kind,
            scheme: None,
            what: what.into(),
            trials: counted.trials,
            successes: counted.successes,
            success_rate: rate,
            chance,
            advantage: rate - chance,
            ci95,
            bound: None,
            holds: None,
            given: String::new(),
        }
    }

    /// A classifier's work on pairs: `positive` counts the pairs that belong together and were found to,
    /// `negative` those that don't and were found to belong together all the same.
    pub fn classifier(
        kind: Kind,
        what: impl Into<String>,
        positive: Counted,
        negative: Counted,
    ) -> Self {
        let (tpr, fpr) = (positive.rate(), negative.rate());
        let variance = tpr * (1.0 - tpr) / positive.trials.max(1) as f64
            + fpr * (1.0 - fpr) / negative.trials.max(1) as f64;
        let right = Counted {
            successes: positive.successes + negative.trials - negative.successes,
            trials: positive.trials + negative.trials,
        };
        let trials = positive.trials.min(negative.trials);
        Self {
            advantage: (tpr - fpr).abs(),
            ci95: Z95 * variance.sqrt(),
            // A class without a pair makes no classifier.
            trials: if trials == 0 { 0 } else { right.trials },
            ..Self::rate(kind, what, right, 0.5)
        }
    }

    /// Names the scheme.
    #[must_use]
    pub fn of(mut self, scheme: SchemeId) -> Self {
        self.scheme = Some(scheme);
        self
    }

    /// Says what the attacker was given.
    #[must_use]
    pub fn given(mut self, given: impl Into<String>) -> Self {
        self.given = given.into();
        self
    }

    /// Judges the figure.
    #[must_use]
    pub fn judged(mut self, bound: Bound) -> Self {
        let holds = match bound {
            Bound::SuccessAtMost(limit) => self.success_rate <= limit,
            Bound::SuccessAtLeast(limit) => self.success_rate >= limit,
            Bound::AdvantageAtMost(limit) => self.advantage <= limit,
            Bound::AdvantageAtLeast(limit) => self.advantage >= limit,
        };
        self.bound = Some(bound);
        self.holds = Some(self.trials > 0 && holds);
        self
    }

    fn broken(&self) -> bool {
        self.holds == Some(false)
    }
}

/// Successes among trials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How often it succeeded.
    pub successes: u64,
    /// How often it was tried.
    pub trials: u64,
}

impl Counted {
    /// Counts the trues.
    pub fn of(outcomes: impl IntoIterator<Item = bool>) -> Self {
        let mut counted = Self::default();
        for outcome in outcomes {
            counted.note(outcome);
        }
        counted
    }

    /// One more trial.
    pub fn note(&mut self, success: bool) {
        self.trials += 1;
        self.successes += u64::from(success);
    }

    /// All of `more`, too.
    pub fn add(&mut self, more: Counted) {
        self.trials += more.trials;
        self.successes += more.successes;
    }

    /// Successes among the trials; 0 without a trial.
    pub fn rate(&self) -> f64 {
        self.successes as f64 / self.trials.max(1) as f64
    }
}

/// All that one attack found. The fields up to `given` repeat the first finding, for those who want one figure.
#[derive(Clone, Debug, Serialize)]
pub struct AttackReport {
    /// The attack's name, as on the command line.
    pub attack: &'static str,
    /// The index scheme attacked, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<SchemeId>,
    /// The same seed gives the same report.
    pub seed: u64,
    /// How often the attack was tried.
    pub trials: u64,
    /// How often it succeeded, 0 to 1.
    pub success_rate: f64,
    /// What somebody who knows nothing reaches, 0 to 1.
    pub chance: f64,
    /// Success rate less chance level; for a classifier |true positive rate - false positive rate|.
    pub advantage: f64,
    /// What the attacker was given.
    pub given: String,
    /// Whether every judged figure lies where it has to.
    pub holds: bool,
    /// What is promised.
    pub promises: Vec<Finding>,
    /// Where the attack must succeed, or be powerless.
    pub controls: Vec<Finding>,
    /// What the design admits.
    pub stated_leakage: Vec<Finding>,
    /// Other schemes and weaker designs.
    pub comparisons: Vec<Finding>,
    /// What is to be known of the figures.
    pub notes: Vec<String>,
}

impl AttackReport {
    /// Sorts findings by their kind. An attack without a promise or without a control does not hold.
    pub fn new(
        attack: &'static str,
        scheme: Option<SchemeId>,
        seed: u64,
        findings: Vec<Finding>,
        notes: Vec<String>,
    ) -> Self {
        let of = |kind: Kind| -> Vec<Finding> {
            let picked = findings.iter().filter(|finding| finding.kind == kind);
            picked.cloned().collect()
        };
        let (promises, controls) = (of(Kind::Promise), of(Kind::Control));
        let whole = !promises.is_empty() && !controls.is_empty();
        let first = promises.first();
        Self {
            attack,
            scheme,
            seed,
            trials: first.map_or(0, |finding| finding.trials),
            success_rate: first.map_or(0.0, |finding| finding.success_rate),
            chance: first.map_or(0.0, |finding| finding.chance),
            advantage: first.map_or(0.0, |finding| finding.advantage),
            given: first
                .map(|finding| finding.given.clone())
                .unwrap_or_default(),
            holds: whole && !findings.iter().any(Finding::broken),
            promises,
            controls,
            stated_leakage: of(Kind::StatedLeakage),
            comparisons: of(Kind::Comparison),
            notes,
        }
    }

    /// The findings of all kinds.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.promises
            .iter()
            .chain(&self.controls)
            .chain(&self.stated_leakage)
            .chain(&self.comparisons)
    }

    /// Prints the report.
    ///
    /// # Errors
    /// When standard output fails.
    pub fn print(&self, output: &Output) -> Result<(), CliError> {
        match output.format() {
            OutputFormat::Table => self.print_tables(output),
            OutputFormat::Json | OutputFormat::Ndjson => output.object(self),
            OutputFormat::Csv => {
                let rows: Vec<Row> = self.findings().map(|finding| self.row(finding)).collect();
                output.rows(&rows)
            }
        }
    }

    fn print_tables(&self, output: &Output) -> Result<(), CliError> {
        let scheme = self.scheme.map_or("", |scheme| scheme.as_str());
        output.note(&format!(
            "attack {} {scheme}, seed {}",
            self.attack, self.seed
        ));
        for (title, findings) in [
            ("what is promised", &self.promises),
            ("controls", &self.controls),
            (
                "stated leakage (admitted, not judged)",
                &self.stated_leakage,
            ),
            ("for comparison", &self.comparisons),
        ] {
            if findings.is_empty() {
                continue;
            }
            output.note(&format!("\n{title}:"));
            let rows: Vec<Row> = findings.iter().map(|finding| self.row(finding)).collect();
            output.rows(&rows)?;
        }
        for note in &self.notes {
            output.note(note);
        }
        Ok(())
    }

    fn row(&self, finding: &Finding) -> Row {
        Row {
            kind: finding.kind,
            scheme: finding.scheme.map_or("", |scheme| scheme.as_str()),
            what: finding.what.clone(),
            trials: finding.trials,
            success_rate: format!("{:.5}", finding.success_rate),
            chance: format!("{:.5}", finding.chance),
            advantage: format!("{:.5}", finding.advantage),
            ci95: format!("{:.5}", finding.ci95),
            bound: finding
                .bound
                .map(|bound| bound.to_string())
                .unwrap_or_default(),
            holds: match finding.holds {
                None => "",
                Some(true) => "yes",
                Some(false) => "NO",
            },
            seed: self.seed,
            given: finding.given.clone(),
        }
    }

    /// Whether all that is judged holds.
    ///
    /// # Errors
    /// Verification failed, with the figures that don't.
    pub fn verdict(&self) -> Result<(), CliError> {
        if self.holds {
            return Ok(());
        }
        let broken: Vec<String> = self
            .findings()
            .filter(|finding| finding.broken())
            .map(|finding| {
                let bound = finding.bound.map(|bound| bound.to_string());
                format!(
                    "{} (rate {:.5}, advantage {:.5}, {} trials; {} wanted)",
                    finding.what,
                    finding.success_rate,
                    finding.advantage,
                    finding.trials,
                    bound.unwrap_or_default()
                )
            })
            .collect();
        let what = if broken.is_empty() {
            "the attack measured no promise, or had no control".to_owned()
        } else {
            broken.join("; ")
        };
        Err(CliError::verification_failed(
            format!("attack {} with seed {}: {what}", self.attack, self.seed),
            "another --seed and more trials, to see whether it is more than noise",
        ))
    }
}

#[derive(Serialize)]
struct Row {
    kind: Kind,
    scheme: &'static str,
    what: String,
    trials: u64,
    success_rate: String,
    chance: String,
    advantage: String,
    ci95: String,
    bound: String,
    holds: &'static str,
    seed: u64,
    given: String,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_cli::ExitCode;

    fn rate(kind: Kind, successes: u64, trials: u64, bound: Bound) -> Finding {
        Finding::rate(kind, "guess", Counted { successes, trials }, 0.1).judged(bound)
    }

    fn report(findings: Vec<Finding>) -> AttackReport {
        AttackReport::new("guess", Some(SchemeId::Tags), 7, findings, Vec::new())
    }

    #[test]
    fn a_report_holds_when_every_judged_figure_does() {
        let good = report(vec![
            rate(Kind::Promise, 1, 100, Bound::SuccessAtMost(0.01)),
            rate(Kind::Control, 99, 100, Bound::SuccessAtLeast(0.99)),
            Finding::rate(
                Kind::StatedLeakage,
                "all",
                Counted {
                    successes: 9,
                    trials: 9,
                },
                0.0,
            ),
        ]);
        assert!(good.verdict().is_ok());
        assert_eq!((good.trials, good.seed), (100, 7));
        assert!((good.success_rate - 0.01).abs() < 1e-12);
        assert!((good.advantage + 0.09).abs() < 1e-12);
        let json = serde_json::to_value(&good).unwrap();
        assert_eq!(json["scheme"], "tags");
        assert_eq!(json["promises"][0]["bound"], "success <= 0.010000");
        assert_eq!(json["stated_leakage"][0]["successes"], 9);
        assert!(json["stated_leakage"][0].get("holds").is_none());
    }

    #[test]
    fn a_broken_promise_or_control_fails_the_command() {
        let promise = |n| rate(Kind::Promise, n, 100, Bound::SuccessAtMost(0.01));
        let control = |n| rate(Kind::Control, n, 100, Bound::SuccessAtLeast(0.99));
        for broken in [
            vec![promise(2), control(100)],
            vec![promise(0), control(98)],
            vec![promise(0)],
            vec![control(100)],
            vec![],
            vec![
                rate(Kind::Promise, 0, 0, Bound::SuccessAtMost(0.01)),
                control(100),
            ],
        ] {
            let error = report(broken).verdict().unwrap_err();
            assert_eq!(error.exit, ExitCode::VerificationFailed);
            assert_eq!(error.to_string().lines().count(), 2);
        }
        assert!(report(vec![promise(1), control(99)]).verdict().is_ok());
    }

    #[test]
    fn a_classifier_is_judged_by_its_advantage() {
        let half = |successes| Counted {
            successes,
            trials: 1000,
        };
        let blind = Finding::classifier(Kind::Promise, "link", half(510), half(500));
        assert!((blind.advantage - 0.01).abs() < 1e-12);
        assert!((blind.success_rate - 0.505).abs() < 1e-12);
        assert!(blind.ci95 > 0.04 && blind.ci95 < 0.05);
        assert_eq!(
            blind.clone().judged(Bound::AdvantageAtMost(0.05)).holds,
            Some(true)
        );
        // A classifier that is always wrong knows as much as one that is always right.
        let inverted = Finding::classifier(Kind::Promise, "link", half(0), half(1000));
        assert_eq!(
            inverted.judged(Bound::AdvantageAtMost(0.05)).holds,
            Some(false)
        );
        let empty = Finding::classifier(Kind::Promise, "link", half(1), Counted::default());
        assert_eq!(empty.judged(Bound::AdvantageAtMost(1.0)).holds, Some(false));
    }
}

//! Outcomes, counted.

use super::look::Outcome;
use serde::Serialize;
use std::collections::BTreeMap;

/// Silent faults told in words.
const MAX_TOLD: usize = 20;

/// Outcomes of the flips of one kind of file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    flips: u32,
    silent: u32,
    panics: u32,
    detected: u32,
    harmless: u32,
    /// `node.toml` only: it says something else that an operator may write.
    settings: u32,
}

impl Counts {
    fn add(&mut self, outcome: &Outcome) {
        self.flips += 1;
        match outcome {
            Outcome::Detected => self.detected += 1,
            Outcome::Harmless => self.harmless += 1,
            Outcome::Settings => self.settings += 1,
            Outcome::Silent(_) => self.silent += 1,
            Outcome::Panic => self.panics += 1,
        }
    }
}

/// The report.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    all: Counts,
    seed: u64,
    heights: usize,
    bytes: u64,
    by_file: BTreeMap<String, Counts>,
    pub(super) wall_s: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<String>,
}

impl Report {
    pub(super) fn new(seed: u64, heights: usize, bytes: u64) -> Self {
        Self {
            seed,
            heights,
            bytes,
            ..Self::default()
        }
    }

    /// Counts one flip of a file of this kind. `place` says where, for faults.
    pub(super) fn add(&mut self, kind: &str, place: &str, outcome: &Outcome) {
        self.all.add(outcome);
        self.by_file
            .entry(kind.to_owned())
            .or_default()
            .add(outcome);
        let fault = match outcome {
            Outcome::Silent(what) => format!("{place}: {what}"),
            Outcome::Panic => format!("{place}: panic"),
            Outcome::Detected | Outcome::Harmless | Outcome::Settings => return,
        };
        if self.faults.len() < MAX_TOLD {
            self.faults.push(fault);
        }
    }

    /// The broken promise, in words.
    pub(super) fn broken(&self) -> Option<String> {
        let Counts { silent, panics, .. } = self.all;
        (silent + panics > 0).then(|| format!("{silent} silent flips, {panics} panics"))
    }

    /// Whether it tested anything: some flips must have been noticed in every kind of file.
    pub(super) fn blind(&self) -> Option<&str> {
        let blind = self
            .by_file
            .iter()
            .find(|(_, counts)| counts.detected == 0 && counts.flips > 20);
        blind.map(|(kind, _)| kind.as_str())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_silent_flip_or_panic_breaks_the_promise_and_is_told() {
        let mut report = Report::new(1, 3, 100);
        report.add("a", "a at 1", &Outcome::Detected);
        report.add("b", "b at 2", &Outcome::Harmless);
        assert_eq!(report.broken(), None);
        report.add("a", "a at 3", &Outcome::Silent("another block".to_owned()));
        assert_eq!(report.broken().unwrap(), "1 silent flips, 0 panics");
        report.add("b", "b at 4", &Outcome::Panic);
        assert_eq!(report.broken().unwrap(), "1 silent flips, 1 panics");
        assert_eq!(report.faults, ["a at 3: another block", "b at 4: panic"]);
        assert_eq!(
            (report.by_file["a"].flips, report.by_file["b"].harmless),
            (2, 1)
        );
    }

    #[test]
    fn a_kind_of_file_in_which_nothing_is_ever_noticed_is_named() {
        let mut report = Report::new(1, 3, 100);
        for _ in 0..21 {
            report.add("seen", "", &Outcome::Detected);
            report.add("blind", "", &Outcome::Harmless);
        }
        assert_eq!(report.blind(), Some("blind"));
    }
}

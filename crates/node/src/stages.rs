//! How long the stages of a transaction and its block take on this node.
//!
//! Kept always, because they cost a few nanoseconds: an operator's first question about a slow chain is where the
//! time goes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What a node does with a transaction and its block, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// A transaction is decoded and run against the rules on entry.
    Check,
    /// An own block is made from waiting transactions, and made durable.
    Propose,
    /// Another's block is executed and judged.
    Execute,
    /// From a block that is executed here to its decision.
    Vote,
    /// A decided block is written, durably, and what waits is checked again.
    Commit,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Stage; 5] = [
        Stage::Check,
        Stage::Propose,
        Stage::Execute,
        Stage::Vote,
        Stage::Commit,
    ];

    /// Lower-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Check => "check",
            Stage::Propose => "propose",
            Stage::Execute => "execute",
            Stage::Vote => "vote",
            Stage::Commit => "commit",
        }
    }
}

/// Samples of a stage that are kept: the newest ones.
const KEPT: usize = 4096;

#[derive(Clone, Debug, Default)]
struct Samples {
    /// A ring, once it is full.
    newest: Vec<Duration>,
    count: u64,
    total: Duration,
}

/// What a stage took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// How often it ran.
    pub count: u64,
    /// All its time.
    pub total: Duration,
    /// Median of the newest times.
    pub p50: Duration,
    /// The time that 99 % of the newest times do not exceed.
    pub p99: Duration,
}

/// The times of one node.
#[derive(Debug, Default)]
pub struct Stages([Mutex<Samples>; 5]);

fn lock(samples: &Mutex<Samples>) -> MutexGuard<'_, Samples> {
    samples.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stages {
    /// Notes that a stage ran from `begun` until now.
    pub fn ran(&self, stage: Stage, begun: Instant) {
        self.took(stage, begun.elapsed());
    }

    fn took(&self, stage: Stage, time: Duration) {
        let mut samples = lock(&self.0[stage as usize]);
        let at = (samples.count % KEPT as u64) as usize;
        if samples.newest.len() < KEPT {
            samples.newest.push(time);
        } else {
            samples.newest[at] = time;
        }
        samples.count += 1;
        samples.total += time;
    }

    /// What a stage took so far.
    pub fn of(&self, stage: Stage) -> StageTimes {
        let samples = lock(&self.0[stage as usize]).clone();
        let mut sorted = samples.newest;
        sorted.sort_unstable();
        let rank = |percent: usize| {
            let at = (sorted.len() * percent).div_ceil(100).max(1) - 1;
            sorted.get(at).copied().unwrap_or_default()
        };
        StageTimes {
            count: samples.count,
            total: samples.total,
            p50: rank(50),
            p99: rank(99),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_newest_times_and_totals_of_all() {
        let stages = Stages::default();
        assert_eq!(stages.of(Stage::Commit), StageTimes::default());
        for millis in 1..=100 {
            stages.took(Stage::Check, Duration::from_millis(millis));
        }
        let times = stages.of(Stage::Check);
        assert_eq!(
            (times.count, times.total),
            (100, Duration::from_millis(5050))
        );
        assert_eq!(times.p50, Duration::from_millis(50));
        assert_eq!(times.p99, Duration::from_millis(99));
        for _ in 0..KEPT {
            stages.took(Stage::Check, Duration::from_millis(7));
        }
        let times = stages.of(Stage::Check);
        assert_eq!(
            (times.p50, times.p99),
            (Duration::from_millis(7), Duration::from_millis(7))
        );
        assert_eq!(times.count, 100 + KEPT as u64);
        assert_eq!(stages.of(Stage::Vote).count, 0);
    }
}

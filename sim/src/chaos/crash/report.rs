//! What a run measured, and which promises it found broken.

use super::control::Control;
use crate::chaos::acknowledged::Findings;
use caduceus_node::bft::Signed;
use caduceus_node::guard::Step;
use caduceus_node::validate::Fault;
use serde::Serialize;
use std::time::Duration;

/// Faults told in words.
const MAX_TOLD: usize = 20;

/// Kills by how many nodes they took.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Kills {
    one: u32,
    two: u32,
    all: u32,
    /// Of nodes that were just starting.
    while_starting: u32,
}

/// Transactions in flight when nodes were killed.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct InFlight {
    least: usize,
    most: usize,
    all: usize,
}

/// The report. Recovery is the time from a node's start to its own commit of a new height, level with the others.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) cycles: u32,
    validators: u8,
    seed: u64,
    acknowledged: usize,
    timed_out: usize,
    timed_out_present: usize,
    lost: usize,
    duplicated: usize,
    misplaced: usize,
    rejected: usize,
    disagreeing_heights: usize,
    missing_heights: usize,
    signatures: usize,
    double_signatures: usize,
    max_recovery_s: f64,
    p50_recovery_s: f64,
    kills: Kills,
    in_flight: InFlight,
    heights: u64,
    transactions: usize,
    validated: bool,
    control_caught: bool,
    control_kills: u32,
    pub(super) wall_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stuck: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<String>,
    #[serde(skip)]
    pub(super) highest_seen: u64,
    #[serde(skip)]
    recoveries: Vec<Duration>,
}

/// Seconds, to the millisecond.
pub(super) fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000.0).round() / 1_000.0
}

impl Report {
    pub(super) fn new(seed: u64, validators: u8) -> Self {
        Self {
            cycles: 0,
            validators,
            seed,
            acknowledged: 0,
            timed_out: 0,
            timed_out_present: 0,
            lost: 0,
            duplicated: 0,
            misplaced: 0,
            rejected: 0,
            disagreeing_heights: 0,
            missing_heights: 0,
            signatures: 0,
            double_signatures: 0,
            max_recovery_s: 0.0,
            p50_recovery_s: 0.0,
            kills: Kills::default(),
            in_flight: InFlight::default(),
            heights: 0,
            transactions: 0,
            validated: true,
            control_caught: false,
            control_kills: 0,
            wall_s: 0.0,
            stuck: None,
            faults: Vec::new(),
            highest_seen: 0,
            recoveries: Vec::new(),
        }
    }

    fn tell(&mut self, fault: String) {
        if self.faults.len() < MAX_TOLD {
            self.faults.push(fault);
        }
    }

    pub(super) fn killed(&mut self, victims: usize, nodes: usize, in_flight: usize) {
        match victims {
            1 => self.kills.one += 1,
            all if all == nodes => self.kills.all += 1,
            _ => self.kills.two += 1,
        }
        let first = self.in_flight.all == 0;
        self.in_flight.least = if first {
            in_flight
        } else {
            self.in_flight.least.min(in_flight)
        };
        self.in_flight.most = self.in_flight.most.max(in_flight);
        self.in_flight.all += in_flight;
    }

    pub(super) fn killed_again(&mut self) {
        self.kills.while_starting += 1;
    }

    pub(super) fn seen(&mut self, height: u64) {
        self.highest_seen = self.highest_seen.max(height);
    }

    pub(super) fn recovered(&mut self, after: Duration) {
        self.recoveries.push(after);
        self.recoveries.sort_unstable();
        let last = self.recoveries.len() - 1;
        self.max_recovery_s = seconds(self.recoveries[last]);
        self.p50_recovery_s = seconds(self.recoveries[last / 2]);
    }

    pub(super) fn found(&mut self, findings: &Findings) {
        self.acknowledged = findings.acknowledged;
        self.timed_out = findings.timed_out;
        self.timed_out_present = findings.timed_out_present;
        self.lost = findings.lost;
        self.duplicated = findings.duplicated;
        self.misplaced = findings.misplaced;
        self.disagreeing_heights = findings.disagreeing.len();
        self.missing_heights = findings.missing_heights;
        self.heights = findings.heights.iter().copied().max().unwrap_or(0);
        self.transactions = findings.transactions;
        for fault in &findings.faults {
            self.tell(fault.clone());
        }
    }

    pub(super) fn rejected(&mut self, rejected: Vec<String>) {
        self.rejected = rejected.len();
        for rejection in rejected {
            self.tell(rejection);
        }
    }

    pub(super) fn validated(&mut self, node: usize, fault: Option<Fault>) {
        if let Some(fault) = fault {
            self.validated = false;
            self.tell(format!(
                "node {node}, height {}: {}",
                fault.height, fault.what
            ));
        }
    }

    pub(super) fn signed(&mut self, signed: &[Signed], doubled: &[(u64, u32, Step)]) {
        self.signatures += signed.len();
        self.double_signatures += doubled.len();
        for (height, round, step) in doubled {
            self.tell(format!(
                "height {height} round {round} {step:?}: signed twice"
            ));
        }
    }

    pub(super) fn control(&mut self, control: Control) {
        self.control_caught = control.double_signatures > 0;
        self.control_kills = control.tries;
    }

    /// The broken promises, in words.
    pub(super) fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (count, what) in [
            (self.lost, "acknowledged transactions lost"),
            (self.duplicated, "transactions committed twice"),
            (self.misplaced, "transactions elsewhere than told"),
            (self.rejected, "good transactions rejected"),
            (self.disagreeing_heights, "heights at which nodes disagree"),
            (self.missing_heights, "heights missing"),
            (self.double_signatures, "double signatures"),
        ] {
            if count > 0 {
                broken.push(format!("{count} {what}"));
            }
        }
        if !self.validated {
            broken.push("a chain does not validate".to_owned());
        }
        if self.acknowledged == 0 || self.signatures == 0 {
            broken.push("nothing was acknowledged".to_owned());
        }
        if !self.control_caught {
            broken.push("the control found no double signature".to_owned());
        }
        broken.extend(self.stuck.clone());
        broken
    }
}

//! How consensus is doing. A process that lives may still make no progress; this says so.

use super::heard::{Heard, SignedVote};
use crate::node::HEARTBEAT;
use caduceus_ledger::{Address, Certificate, ChainId, ValidatorSet};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Time without a height, while there is work, after which a chain is called stalled.
pub const STALLED_AFTER: Duration = Duration::from_secs(15);

/// See the module. Shared by the engine, the watchdog and whoever is asked for `health`.
pub struct Progress(Mutex<State>);

struct State {
    working_on: (u64, u32),
    heard: Heard,
    observing: Option<(u64, String)>,
    /// What it waits for before it votes.
    asking: Option<String>,
    misbehaviours: u64,
    trouble: Option<String>,
    /// When the last height was committed, or the node started.
    committed: Instant,
    /// Since when there has been work without a height.
    busy: Option<Instant>,
}

/// What an operator wants to know of consensus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Height and round that it works on.
    pub working_on: (u64, u32),
    /// Voting power of the validators heard in this height and round, this node's own included.
    pub power_heard: u64,
    /// Voting power of all.
    pub power_total: u64,
    /// The others that were not heard.
    pub silent: Vec<Address>,
    /// The node only observes until this height has passed; 0 if it votes, [`u64::MAX`] as long as the others have not
    /// told.
    pub observing_until: u64,
    /// Heights at which validators were seen to misbehave.
    pub misbehaviours: u64,
    /// How long there has been work and no height, once that is too long.
    pub stalled: Option<Duration>,
    /// What is wrong: why it stopped, or observes.
    pub trouble: Option<String>,
}

impl Report {
    /// Voting power that decides: more than two thirds.
    pub fn power_needed(&self) -> u64 {
        self.power_total * 2 / 3 + 1
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self(Mutex::new(State {
            working_on: (0, 0),
            heard: Heard::default(),
            observing: None,
            asking: None,
            misbehaviours: 0,
            trouble: None,
            committed: Instant::now(),
            busy: None,
        }))
    }
}

impl Progress {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().expect("no holder of this lock panics"))
    }

    pub(crate) fn committed(&self) {
        self.with(|state| {
            state.committed = Instant::now();
            state.busy = None;
            state.trouble = None;
        });
    }

    pub(super) fn round(&self, height: u64, round: u32) {
        self.with(|state| state.working_on = (height, round));
    }

    pub(super) fn misbehaved(&self, count: u64) {
        self.with(|state| state.misbehaviours = count);
    }

    pub(super) fn observe(&self, until: u64, why: String) {
        self.with(|state| state.observing = (until > 0).then_some((until, why)));
    }

    pub(super) fn asks(&self, text: Option<String>) {
        self.with(|state| state.asking = text);
    }

    pub(crate) fn trouble_is(&self, text: Option<String>) {
        self.with(|state| state.trouble = text);
    }

    pub(super) fn hear(&self, chain: ChainId, voters: &ValidatorSet, vote: &SignedVote) {
        self.with(|state| state.heard.hear(chain, voters, vote));
    }

    pub(super) fn hear_certificate(&self, chain: ChainId, certificate: &Certificate) {
        self.with(|state| state.heard.take(chain, certificate));
    }

    /// The newest vote of a validator that this node has seen, with its signature.
    pub fn last_vote(&self, of: &Address) -> Option<SignedVote> {
        self.with(|state| state.heard.last(of).cloned())
    }

    /// Notes whether there is work, every second or so.
    pub(crate) fn tick(&self, waiting: usize) {
        self.with(|state| {
            let work = waiting > 0 || state.committed.elapsed() > HEARTBEAT;
            state.busy = work.then(|| state.busy.unwrap_or_else(Instant::now));
        });
    }

    /// How it stands, for the voters of the height that comes next.
    pub fn report(&self, voters: &ValidatorSet, me: &Address) -> Report {
        self.with(|state| {
            let observing_until = state.observing.as_ref().map_or(0, |(until, _)| *until);
            let mut silent = Vec::new();
            let mut power_heard = 0;
            for voter in voters.iter() {
                let address = voter.address();
                let heard = if address == *me {
                    observing_until == 0
                } else {
                    state.heard.reached(&address, state.working_on)
                };
                if heard {
                    power_heard += voter.power;
                } else if address != *me {
                    silent.push(address);
                }
            }
            Report {
                working_on: state.working_on,
                power_heard,
                power_total: voters.iter().map(|v| v.power).sum(),
                silent,
                observing_until,
                misbehaviours: state.misbehaviours,
                stalled: state
                    .busy
                    .map(|since| since.elapsed())
                    .filter(|time| *time > STALLED_AFTER),
                trouble: match (&state.trouble, &state.asking) {
                    (Some(trouble), Some(asking)) => Some(format!("{trouble}; {asking}")),
                    (Some(text), None) | (None, Some(text)) => Some(text.clone()),
                    (None, None) => state.observing.as_ref().map(|(_, why)| why.clone()),
                },
            }
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::{SecretKey, domain};
    use caduceus_ledger::Validator;

    fn voters() -> ValidatorSet {
        let voters = (0..4)
            .map(|n| Validator {
                key: SecretKey::derive(domain::VOTE, &[n], &[]).public(),
                power: 1,
            })
            .collect();
        ValidatorSet::new(voters).unwrap()
    }

    #[test]
    fn work_without_a_height_for_too_long_is_a_stall() {
        let voters = voters();
        let me = voters.iter().next().unwrap().address();
        let progress = Progress::default();
        progress.tick(0);
        assert_eq!(progress.report(&voters, &me).stalled, None);
        progress.tick(3);
        assert_eq!(
            progress.report(&voters, &me).stalled,
            None,
            "it has just begun"
        );
        let back = |time: Duration| Instant::now().checked_sub(time).unwrap();
        progress.with(|state| state.busy = Some(back(STALLED_AFTER + Duration::from_secs(2))));
        progress.tick(3);
        let report = progress.report(&voters, &me);
        assert!(report.stalled.unwrap() > STALLED_AFTER);
        assert_eq!(
            (
                report.power_heard,
                report.power_needed(),
                report.silent.len()
            ),
            (1, 3, 3)
        );
        progress.committed();
        progress.tick(3);
        assert_eq!(progress.report(&voters, &me).stalled, None);
        // An overdue heartbeat is work too.
        progress.with(|state| state.committed = back(HEARTBEAT + Duration::from_secs(1)));
        progress.tick(0);
        progress.with(|state| {
            let since = state.busy.unwrap();
            state.busy = since.checked_sub(STALLED_AFTER + Duration::from_secs(1));
        });
        progress.tick(0);
        assert!(progress.report(&voters, &me).stalled.is_some());
    }

    #[test]
    fn a_node_that_observes_is_not_among_those_heard() {
        let voters = voters();
        let me = voters.iter().next().unwrap().address();
        let progress = Progress::default();
        progress.observe(9, "why".to_owned());
        let report = progress.report(&voters, &me);
        assert_eq!((report.power_heard, report.observing_until), (0, 9));
        assert_eq!(report.trouble.as_deref(), Some("why"));
        progress.asks(Some("waits".to_owned()));
        let told = |progress: &Progress| progress.report(&voters, &me).trouble;
        assert_eq!(told(&progress).as_deref(), Some("waits"));
        progress.trouble_is(Some("wrong".to_owned()));
        assert_eq!(told(&progress).as_deref(), Some("wrong; waits"));
        progress.trouble_is(None);
        progress.asks(None);
        progress.observe(0, String::new());
        assert_eq!(told(&progress), None);
        assert_eq!(progress.report(&voters, &me).power_heard, 1);
    }
}

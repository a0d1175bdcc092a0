//! Asks the other validators, before this one votes, what it signed and how far they are.
//!
//! A vote that its guard does not know tells that its folder is an old copy; its own signature is proof, so a liar can
//! hide a vote but not invent one. A tip above its own tells that it was away or is an old copy, also to those who have
//! forgotten its votes; it is believed if validators of a third of the power are that far, since not all of them lie.
//! What is committed there needs no vote of this node, so no height waits for it.

use super::{Barred, Run};
use crate::bft::heard::SignedVote;
use crate::bft::wal::{Journal, Own};
use crate::guard::Step;
use async_trait::async_trait;
use caduceus_crypto::Hash;
use caduceus_ledger::{Address, ValidatorSet, Vote, VoteKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long the engine waits for the answers before it starts without a vote.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two turns.
const TURN: Duration = Duration::from_millis(300);
/// Why a node observes that has no answers.
pub(super) const UNTOLD: &str = "observing until other validators have told what this node signed, and it is as far as they are";

/// What a validator told of another.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Who told.
    pub witness: Address,
    /// The newest height that it has committed.
    pub tip: u64,
    /// The newest vote that it has seen of the other.
    pub vote: Option<SignedVote>,
}

/// Those who may have seen what this validator signed.
#[async_trait]
pub trait Witness: Send + Sync + 'static {
    /// Asks the other validators once for the newest vote of a validator.
    async fn ask(&self, of: Address) -> Vec<Answer>;
}

/// Where they are named once they can be reached.
pub type Witnesses = Arc<RwLock<Option<Arc<dyn Witness>>>>;

/// What the others told.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// Votes of this validator, signatures checked.
    signed: BTreeSet<Own>,
    /// The newest height that is committed for sure.
    tip: u64,
}

impl Told {
    /// The heights that are barred by it, for a node that goes on at height `next`.
    pub fn weigh(&self, journal: &Journal, next: u64) -> Barred {
        let unknown = self
            .signed
            .iter()
            .filter(|own| !journal.knows(own))
            .map(|own| own.height)
            .max()
            .unwrap_or(0);
        let until = unknown.max(self.tip);
        if until < next {
            return Barred::default();
        }
        let why = if unknown < next {
            format!(
                "observing until height {until} has passed: other validators are that far, and this node may have \
                 voted there"
            )
        } else {
            tracing::error!(
                unknown,
                known = journal.height(),
                "other validators have votes of this one that its guard does not know: its folder is an old copy"
            );
            format!(
                "observing until height {until} has passed: this node cast a vote of height {unknown} that its \
                 folder does not know, which is an old copy"
            )
        };
        Barred { until, why }
    }
}

#[derive(Clone)]
enum State {
    Waiting,
    /// The node is not among the voters: there is nothing to ask yet.
    NoVoter,
    Told(Told),
}

/// The asking goes on, turn by turn, until there is an answer or this is dropped.
pub(super) struct Asking {
    state: watch::Receiver<State>,
    answered: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Asking {
    pub fn start(run: Run) -> Self {
        let (sender, state) = watch::channel(State::Waiting);
        let answered = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(ask(run, sender, answered.clone()));
        Self {
            state,
            answered,
            task,
        }
    }

    /// Ends it. When this returns nothing of it holds the chain any more.
    pub async fn end(mut self) {
        self.task.abort();
        // Whether it was done or is aborted is the same.
        let _ = (&mut self.task).await;
    }

    /// Waits for the answer, but not for ever: a node without it can still observe. True if told to stop.
    pub async fn settle(&mut self, stop: &mut watch::Receiver<bool>) -> bool {
        let state = &mut self.state;
        let settled = async move {
            let _ = state
                .wait_for(|state| !matches!(state, State::Waiting))
                .await;
        };
        tokio::select! {
            _ = tokio::time::timeout(PATIENCE, settled) => *stop.borrow(),
            _ = stop.changed() => *stop.borrow(),
        }
    }

    /// What was told, once it was.
    pub fn told(&self) -> Option<Told> {
        match &*self.state.borrow() {
            State::Told(told) => Some(told.clone()),
            State::Waiting | State::NoVoter => None,
        }
    }

    /// Whether the node is a voter who waits for the answer.
    pub fn is_due(&self) -> bool {
        matches!(&*self.state.borrow(), State::Waiting)
    }

    /// Set once there is an answer and an observing node has caught up with it.
    pub fn answered(&self) -> Arc<AtomicBool> {
        self.answered.clone()
    }
}

async fn ask(run: Run, state: watch::Sender<State>, answered: Arc<AtomicBool>) {
    let told = inquire(&run, &state).await;
    let tip = told.tip;
    run.progress.asks(None);
    state.send_replace(State::Told(told));
    // An engine that observes already need not be started twice.
    while run.chain.tip().height.0 < tip {
        tokio::time::sleep(TURN).await;
    }
    answered.store(true, Ordering::SeqCst);
}

/// Asks until more than two thirds of the voting power have answered, this node's own included: without them nothing
/// is decided anyway. The voters are looked up at each turn, since they change while the node catches up.
async fn inquire(run: &Run, state: &watch::Sender<State>) -> Told {
    let me = Address::of(&run.key.public());
    let mut told = Told::default();
    let mut tips: BTreeMap<Address, u64> = BTreeMap::new();
    loop {
        let witnesses = run
            .witnesses
            .read()
            .expect("no holder of this lock panics")
            .clone();
        let Some(witnesses) = witnesses else {
            return told;
        };
        let voters = run.chain.next_validators();
        if voters.iter().all(|v| v.address() == me) {
            return told;
        }
        if voters.iter().all(|v| v.address() != me) {
            run.progress.asks(None);
            state.send_replace(State::NoVoter);
            tokio::time::sleep(TURN).await;
            continue;
        }
        if matches!(state.send_replace(State::Waiting), State::NoVoter) {
            run.progress.observe(u64::MAX, UNTOLD.to_owned());
        }
        for answer in witnesses.ask(me).await {
            tips.insert(answer.witness, answer.tip);
            if let Some(vote) = answer.vote
                && vote.vote.chain == run.chain.id()
                && vote.is_by(&run.key.public())
            {
                told.signed.insert(own(&vote.vote));
            }
        }
        tips.remove(&me);
        let total: u64 = voters.iter().map(|v| v.power).sum();
        let heard: u64 = voters
            .iter()
            .filter(|v| v.address() == me || tips.contains_key(&v.address()))
            .map(|v| v.power)
            .sum();
        if heard * 3 > total * 2 {
            told.tip = committed(&tips, &voters);
            return told;
        }
        run.progress.asks(Some(format!(
            "waiting for other validators before it votes: {heard} of {total} voting power answer, {} needed",
            total * 2 / 3 + 1
        )));
        tokio::time::sleep(TURN).await;
    }
}

/// A vote as the guard knows it.
fn own(vote: &Vote) -> Own {
    Own {
        height: vote.height.0,
        round: vote.round,
        step: match vote.kind {
            VoteKind::Prevote => Step::Prevote,
            VoteKind::Precommit => Step::Precommit,
        },
        value: vote.block.unwrap_or(Hash::ZERO),
    }
}

/// The highest height that validators of a third of the power say they have committed; 0 if so few answered.
fn committed(tips: &BTreeMap<Address, u64>, voters: &ValidatorSet) -> u64 {
    let total: u64 = voters.iter().map(|v| v.power).sum();
    let mut claims: Vec<(u64, u64)> = voters
        .iter()
        .filter_map(|v| Some((*tips.get(&v.address())?, v.power)))
        .collect();
    claims.sort_unstable_by(|a, b| b.cmp(a));
    let mut power = 0;
    for (tip, of) in claims {
        power += of;
        if power * 3 >= total {
            return tip;
        }
    }
    0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::{SecretKey, domain};
    use caduceus_ledger::Validator;

    fn voters(count: u8) -> ValidatorSet {
        let voters = (0..count).map(|n| Validator {
            key: SecretKey::derive(domain::VOTE, &[n], &[]).public(),
            power: 1,
        });
        ValidatorSet::new(voters.collect()).unwrap()
    }

    #[test]
    fn a_tip_is_believed_if_a_third_of_the_power_is_that_far() {
        let cases: [(u8, &[u64], u64); 8] = [
            (2, &[9], 9),
            (3, &[9, 4], 9),
            (4, &[9], 0),
            (4, &[u64::MAX, 9], 9),
            (4, &[u64::MAX, 9, 8], 9),
            (4, &[7, 9, 9], 9),
            (7, &[u64::MAX, u64::MAX, 9, 8], 9),
            (7, &[9, 9, 0, 0, 9], 9),
        ];
        for (count, claims, expected) in cases {
            let voters = voters(count);
            let tips = voters
                .iter()
                .map(|v| v.address())
                .zip(claims.iter().copied());
            assert_eq!(
                committed(&tips.collect(), &voters),
                expected,
                "{count} voters, {claims:?}"
            );
        }
    }

    fn told(signed: &[Own], tip: u64) -> Told {
        Told {
            signed: signed.iter().copied().collect(),
            tip,
        }
    }

    #[test]
    fn unknown_votes_and_higher_tips_bar_and_the_bar_is_durable() {
        let vote = |step, value| Own {
            height: 7,
            round: 0,
            step,
            value: Hash([value; 32]),
        };
        let open = |home: &std::path::Path| Journal::open(home, 7, &|_| Ok(None)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        journal.start_height(7).unwrap();
        let known = vote(Step::Prevote, 1);
        journal.request(known).unwrap();
        journal.append(7, b"prevote", Some(known)).unwrap();
        let until = |told: Told| told.weigh(&journal, 7).until;
        assert_eq!(until(told(&[], 0)), 0);
        assert_eq!(until(told(&[known], 6)), 0, "it knows its vote and tip");
        assert_eq!(until(told(&[vote(Step::Prevote, 2)], 6)), 7);
        assert_eq!(until(told(&[known, vote(Step::Precommit, 1)], 6)), 7);
        assert_eq!(until(told(&[known], 9)), 9, "the others have forgotten");
        let of_old = Own {
            height: 3,
            ..vote(Step::Precommit, 1)
        };
        assert_eq!(until(told(&[of_old], 6)), 0, "its height has passed");

        let barred = told(&[vote(Step::Precommit, 1)], 9).weigh(&journal, 7);
        assert!(barred.why.contains("old copy"), "{}", barred.why);
        journal.bar(barred.until).unwrap();
        drop(journal);
        let (mut journal, verdict) = open(dir.path());
        assert_eq!(verdict.observe_until, 9);
        journal.start_height(8).unwrap();
        for height in 7..=9 {
            let own = Own {
                height,
                ..vote(Step::Precommit, 1)
            };
            assert!(journal.request(own).unwrap_err().is_refusal(), "{height}");
        }
        let own = Own {
            height: 10,
            ..vote(Step::Prevote, 1)
        };
        journal.request(own).unwrap();
    }
}

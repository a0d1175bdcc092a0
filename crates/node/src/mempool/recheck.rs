//! What waits, checked again on the state after a block, without holding the pool.

use caduceus_ledger::{
    BlockContext, Class, DecodedTx, Overlay, Rejection, StateError, StateMachine, StateView,
    TxFailure, apply,
};
use std::collections::{BTreeMap, BTreeSet};

/// Transactions to check, in the order in which a block takes them.
pub struct Recheck {
    /// By their places in the order of arrival.
    pub(super) txs: Vec<(u64, DecodedTx)>,
    /// Whether the order is that of arrival.
    pub(super) by_arrival: bool,
    /// The first place that is not among them.
    pub(super) untried: Option<u64>,
}

/// A refusal.
pub(super) struct Refusal {
    pub(super) rejection: Rejection,
    /// Whether its rule says that it may pass.
    pub(super) transient: bool,
}

/// What a check found, by place.
pub struct Checked {
    pub(super) classes: Vec<(u64, Class)>,
    /// Those refused only because they depend on one that comes later.
    pub(super) stuck: BTreeSet<u64>,
    pub(super) refused: BTreeMap<u64, Refusal>,
    /// The first place whose transaction may still come: not tried, or refused for a passing reason.
    pub(super) awaited: Option<u64>,
}

impl Recheck {
    /// Applies all to `state`, which lies over `view`. Out of the order of arrival the refused are tried once more,
    /// after all others and in that order: what another class held back from them is there then.
    ///
    /// # Errors
    /// When the store fails.
    pub fn run(
        self,
        machine: &dyn StateMachine,
        ctx: &BlockContext,
        view: &dyn StateView,
        state: &mut Overlay<'_>,
    ) -> Result<Checked, StateError> {
        let mut checked = Checked {
            classes: Vec::with_capacity(self.txs.len()),
            stuck: BTreeSet::new(),
            refused: BTreeMap::new(),
            awaited: None,
        };
        let mut again = BTreeMap::new();
        for (at, tx) in &self.txs {
            checked.classes.push((*at, machine.class(tx, view)?));
            if let Some(refusal) = tried(machine, ctx, tx, state)? {
                again.insert(*at, tx);
                checked.refused.insert(*at, refusal);
            }
        }
        if !self.by_arrival {
            for (at, tx) in again {
                if checked
                    .refused
                    .get(&at)
                    .is_some_and(|first| !first.transient)
                {
                    checked.stuck.insert(at);
                }
                match tried(machine, ctx, tx, state)? {
                    None => checked.refused.remove(&at),
                    Some(refusal) => checked.refused.insert(at, refusal),
                };
            }
        }
        let passing = checked
            .refused
            .iter()
            .filter(|(_, refusal)| refusal.transient)
            .map(|(at, _)| *at);
        checked.awaited = passing.chain(self.untried).min();
        Ok(checked)
    }
}

fn tried(
    machine: &dyn StateMachine,
    ctx: &BlockContext,
    tx: &DecodedTx,
    state: &mut Overlay<'_>,
) -> Result<Option<Refusal>, StateError> {
    match apply(machine, ctx, 0, tx, state) {
        Ok(_) => Ok(None),
        Err(TxFailure::Rejected(rejection)) => Ok(Some(Refusal {
            transient: machine.is_transient(rejection.rule),
            rejection,
        })),
        Err(TxFailure::State(error)) => Err(error),
    }
}

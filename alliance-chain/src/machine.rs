//! The alliance chain as a state machine: genesis, one transaction, end of block.

use crate::genesis::AllianceGenesis;
use crate::rules::{self, Rule, member::put_new_member};
use crate::state;
use crate::tx::Tx;
use caduceus_ledger::{
    BlockContext, Class, DecodedTx, Genesis, Overlay, Rejection, StateError, StateMachine,
    StateView, TxFailure,
};
use std::any::Any;
use std::sync::Arc;

/// The rules of the alliance chain.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllianceMachine;

impl StateMachine for AllianceMachine {
    fn genesis(&self, genesis: &Genesis, state: &mut Overlay<'_>) -> Result<(), StateError> {
        let own = AllianceGenesis::decode(&genesis.app).map_err(|e| StateError(e.to_string()))?;
        state::params().put(state, &own.params);
        state::generation().put(state, &0);
        state::proxies().put(state, &own.proxies);
        state::operators().put(state, &own.operators);
        for member in own.members {
            put_new_member(member, state)?;
        }
        Ok(())
    }

    fn decode(&self, tx: &[u8]) -> Result<Arc<dyn Any + Send + Sync>, Rejection> {
        match Tx::decode(tx) {
            Ok(tx) => Ok(Arc::new(tx)),
            Err(error) => Err(Rule::Malformed(error).into()),
        }
    }

    fn execute(
        &self,
        ctx: &BlockContext,
        tx: &DecodedTx,
        state: &mut Overlay<'_>,
    ) -> Result<Vec<u8>, TxFailure> {
        let content: &Tx = tx.content()?;
        rules::apply(ctx, tx.id(), content, state).map_err(TxFailure::from)
    }

    fn is_transient(&self, rule: &str) -> bool {
        rules::is_transient(rule)
    }

    fn class(&self, tx: &DecodedTx, view: &dyn StateView) -> Result<Class, StateError> {
        rules::credits::class(tx.content()?, view)
    }

    fn finish(
        &self,
        ctx: &BlockContext,
        txs: &[Vec<u8>],
        state: &mut Overlay<'_>,
    ) -> Result<Vec<u8>, StateError> {
        if !txs.is_empty() {
            rules::credits::block_proposed(ctx, state)?;
        }
        let budget = state::budget();
        if budget.is_set(state)? {
            budget.clear(state);
        }
        let changed = state::block_validators();
        if changed.is_set(state)? {
            changed.clear(state);
        }
        Ok(Vec::new())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::query;
    use crate::testing::{self, Chain, Store};

    #[test]
    fn genesis_fills_the_state() {
        let chain = Chain::new();
        let genesis = testing::alliance_genesis();
        assert_eq!(query::params(&chain).unwrap(), genesis.params);
        assert_eq!(query::proxies(&chain).unwrap(), genesis.proxies);
        assert_eq!(query::members(&chain).unwrap().len(), genesis.members.len());
        for member in &genesis.members {
            assert_eq!(
                query::member(&chain, &member.hospital)
                    .unwrap()
                    .unwrap()
                    .member,
                *member
            );
        }
    }

    #[test]
    fn a_genesis_of_something_else_is_refused() {
        let mut genesis = testing::genesis();
        genesis.app = vec![1, 2, 3];
        let store = Store::default();
        let mut state = Overlay::new(&store);
        assert!(AllianceMachine.genesis(&genesis, &mut state).is_err());
    }

    #[test]
    fn bytes_that_are_no_transaction_are_refused() {
        let mut chain = Chain::new();
        chain.refuse_bytes(&[], "malformed");
        chain.refuse_bytes(&[255; 40], "malformed");
    }

    #[test]
    fn the_header_has_no_extra_bytes() {
        assert!(Chain::new().finish_block().is_empty());
    }
}

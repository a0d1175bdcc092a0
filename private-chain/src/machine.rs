//! The private chain as a state machine: genesis, one transaction, end of block.

use crate::genesis::PrivateGenesis;
use crate::rules::{self, Rule};
use crate::state::{self, AnchorRef, HospitalKeys};
use crate::tx::Tx;
use caduceus_crypto::{Hash, codec, merkle};
use caduceus_ledger::{
    BlockContext, DecodedTx, Genesis, Overlay, Rejection, StateError, StateMachine, TxFailure,
};
use std::any::Any;
use std::sync::Arc;

/// What a private header says about the anchors of its block. Bytes: root (32), count (u32 little-endian).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnchorsExtra {
    /// RFC 6962 root over the borsh of the block's `AnchorLeaf`s, by position.
    pub root: Hash,
    /// Number of anchors in the block.
    pub count: u32,
}

impl AnchorsExtra {
    /// Encoded length in bytes.
    pub const BYTES: usize = 36;

    /// The bytes of `Header::extra`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.root.as_bytes().to_vec();
        bytes.extend_from_slice(&self.count.to_le_bytes());
        bytes
    }

    /// Reads `Header::extra`; none unless it is exactly [`Self::BYTES`] long.
    pub fn parse(extra: &[u8]) -> Option<Self> {
        let (root, rest) = extra.split_first_chunk::<32>()?;
        let count: [u8; 4] = rest.try_into().ok()?;
        Some(Self {
            root: Hash(*root),
            count: u32::from_le_bytes(count),
        })
    }
}

/// The rules of a hospital's private chain.
#[derive(Clone, Copy, Debug, Default)]
pub struct PrivateMachine;

impl StateMachine for PrivateMachine {
    fn genesis(&self, genesis: &Genesis, state: &mut Overlay<'_>) -> Result<(), StateError> {
        let own = PrivateGenesis::decode(&genesis.app).map_err(|e| StateError(e.to_string()))?;
        state::genesis().put(state, &own);
        state::hospital_keys().put(state, &HospitalKeys::first(&own));
        state::audit_count().put(state, &0);
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
        rules::apply(ctx, content, state).map_err(TxFailure::from)
    }

    fn is_transient(&self, rule: &str) -> bool {
        rules::is_transient(rule)
    }

    fn finish(
        &self,
        ctx: &BlockContext,
        _txs: &[Vec<u8>],
        state: &mut Overlay<'_>,
    ) -> Result<Vec<u8>, StateError> {
        let counter = state::block_anchors();
        let count = counter.get(state)?.unwrap_or(0);
        let mut leaves = Vec::new();
        for position in 0..count {
            let anchor = state::anchor(&AnchorRef {
                height: ctx.height,
                position,
            })
            .require(state)?;
            leaves.push(codec::encode(&anchor.leaf()));
        }
        if count > 0 {
            counter.clear(state);
        }
        let changed = state::block_validators();
        if changed.is_set(state)? {
            changed.clear(state);
        }
        Ok(AnchorsExtra {
            root: merkle::root(&leaves),
            count,
        }
        .to_bytes())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::query;
    use crate::testing::{self, Chain};
    use crate::tx::Role;

    #[test]
    fn the_header_commits_to_the_anchors_of_its_block() {
        let mut chain = Chain::new();
        chain.enrol(&testing::author(), Role::Physician);
        let anchors = [testing::anchor(1), testing::anchor(2)];
        for (position, anchor) in anchors.iter().enumerate() {
            let result = chain.accept(&crate::Tx::anchor(anchor.clone(), [0; 16]));
            assert_eq!(
                query::anchor_result(&result).unwrap(),
                u32::try_from(position).unwrap()
            );
        }
        let leaves: Vec<Vec<u8>> = anchors.iter().map(|a| codec::encode(&a.leaf())).collect();
        let height = chain.height;
        let extra = AnchorsExtra::parse(&chain.finish_block()).unwrap();
        assert_eq!(
            extra,
            AnchorsExtra {
                root: merkle::root(&leaves),
                count: 2
            }
        );
        assert_eq!(query::leaves_at(&chain, height).unwrap().len(), 2);

        let empty = AnchorsExtra::parse(&chain.finish_block()).unwrap();
        assert_eq!(
            empty,
            AnchorsExtra {
                root: merkle::root(&[]),
                count: 0
            }
        );
    }

    #[test]
    fn positions_start_again_at_each_block() {
        let mut chain = Chain::new();
        chain.enrol(&testing::author(), Role::Physician);
        chain.accept(&crate::Tx::anchor(testing::anchor(1), [0; 16]));
        chain.finish_block();
        let result = chain.accept(&crate::Tx::anchor(testing::anchor(2), [0; 16]));
        assert_eq!(query::anchor_result(&result).unwrap(), 0);
    }

    #[test]
    fn extra_has_one_length() {
        let good = AnchorsExtra {
            root: Hash([1; 32]),
            count: 7,
        };
        assert_eq!(AnchorsExtra::parse(&good.to_bytes()), Some(good));
        assert_eq!(&good.to_bytes()[32..], &[7u8, 0, 0, 0]);
        assert_eq!(AnchorsExtra::parse(&good.to_bytes()[..35]), None);
        assert_eq!(AnchorsExtra::parse(&[0; 37]), None);
    }

    #[test]
    fn bytes_that_are_no_transaction_are_refused() {
        let mut chain = Chain::new();
        chain.refuse_bytes(&[], "malformed");
        chain.refuse_bytes(&[255; 40], "malformed");
    }

    #[test]
    fn a_genesis_of_something_else_is_refused() {
        let mut genesis = testing::genesis();
        genesis.app = vec![1, 2, 3];
        let store = testing::Store::default();
        let mut state = Overlay::new(&store);
        assert!(PrivateMachine.genesis(&genesis, &mut state).is_err());
    }
}

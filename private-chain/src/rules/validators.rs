//! Rules of `Validators`.

use super::{Failure, ensure, refuse};
use crate::state;
use crate::tx::SignedValidators;
use caduceus_ledger::{
    BlockContext, Overlay, SetChangeError, check_set_change, put_validators, validators,
};

/// Why a change of the voters is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValidatorsError {
    /// Signed at another place in the order of changes.
    #[error("the change is number {found}, number {expected} is next")]
    Generation {
        /// The next number.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// The voters are these already.
    #[error("these are the validators already")]
    Same,
    /// The voters cannot change like that.
    #[error("the validators: {0}")]
    Step(#[source] SetChangeError),
    /// The voters changed in this block already: a second small step would make a large one of both.
    #[error("the validators change in this block already, once a block is allowed")]
    Block,
    /// Not signed by the hospital's identity key.
    #[error("the change is not signed by the hospital's identity key")]
    NotSigned,
}

impl ValidatorsError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            ValidatorsError::Generation { .. } => "validators_generation",
            ValidatorsError::Same => "validators_same",
            ValidatorsError::Step(_) => "validators_step",
            ValidatorsError::Block => "validators_block",
            ValidatorsError::NotSigned => "validators_not_signed",
        }
    }
}

/// Changes the voters from the next height on. Light clients see one step a height, so there is one change a block.
/// The result is empty.
pub(super) fn apply(
    ctx: &BlockContext,
    tx: &SignedValidators,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let key = state::hospital_keys();
    let mut keys = key.require(state)?;
    let (expected, found) = (keys.generation, tx.body.generation);
    ensure(found == expected, || ValidatorsError::Generation {
        expected,
        found,
    })?;
    // Before the step, which is judged by the set that this block ends with; after the signature, since what is
    // refused for this block only is kept.
    let changed = state::block_validators();
    let in_this_block = changed.is_set(state)?;
    let is_signed = || tx.is_signed_by(&ctx.chain, &keys.identity);
    ensure(!in_this_block || !is_signed(), || ValidatorsError::Block)?;
    let now = validators(state)?;
    check_set_change(&now, &tx.body.set).or_else(|e| match e {
        SetChangeError::Same => refuse(ValidatorsError::Same),
        other => refuse(ValidatorsError::Step(other)),
    })?;
    ensure(is_signed(), || ValidatorsError::NotSigned)?;
    put_validators(state, &tx.body.set);
    changed.put(state, &true);
    keys.generation += 1;
    key.put(state, &keys);
    Ok(Vec::new())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::{self, Chain, voters};
    use crate::tx::{Tx, Validators};
    use caduceus_crypto::keys::SecretKey;
    use caduceus_ledger::ChainId;

    fn signed(generation: u64, members: &[(u8, u64)], chain: ChainId, by: &SecretKey) -> Tx {
        let body = Validators {
            generation,
            set: voters(members),
        };
        Tx::Validators(body.sign(&chain, by))
    }

    const THREE: [(u8, u64); 3] = [(3, 1), (4, 1), (5, 1)];
    const FOUR: [(u8, u64); 4] = [(3, 1), (4, 1), (5, 1), (6, 1)];

    #[test]
    fn the_hospital_names_the_voters_step_by_step() {
        let mut chain = Chain::new();
        let good = |generation, members: &[(u8, u64)]| {
            signed(generation, members, testing::chain(), &testing::identity())
        };
        assert_eq!(validators(&chain).unwrap(), voters(&THREE));
        assert!(chain.accept(&good(0, &FOUR)).is_empty());
        assert_eq!(validators(&chain).unwrap(), voters(&FOUR));
        chain.refuse(&good(0, &THREE), "validators_generation");
        chain.finish_block();
        chain.accept(&good(1, &THREE));
        assert_eq!(validators(&chain).unwrap(), voters(&THREE));
        let keys = state::hospital_keys().require(&chain).unwrap();
        assert_eq!(keys.generation, 2);
    }

    #[test]
    fn the_voters_change_once_a_block() {
        let mut chain = Chain::new();
        let (own, identity) = (testing::chain(), testing::identity());
        chain.accept(&signed(0, &FOUR, own, &identity));
        let second = signed(1, &THREE, own, &identity);
        chain.refuse(&second, "validators_block");
        assert!(crate::rules::is_transient("validators_block"));
        let forged = signed(1, &THREE, own, &testing::server());
        chain.refuse(&forged, "validators_not_signed");
        assert_eq!(validators(&chain).unwrap(), voters(&FOUR));
        chain.finish_block();
        assert!(!state::block_validators().is_set(&chain).unwrap());
        chain.accept(&second);
        assert_eq!(validators(&chain).unwrap(), voters(&THREE));
    }

    #[test]
    fn each_rule_refuses() {
        let (own, other) = (testing::chain(), testing::other_chain());
        let (identity, server) = (testing::identity(), testing::server());
        let cases = [
            (signed(1, &FOUR, own, &identity), "validators_generation"),
            (signed(0, &THREE, own, &identity), "validators_same"),
            (
                signed(0, &[(3, 1), (7, 1)], own, &identity),
                "validators_step",
            ),
            (signed(0, &FOUR, own, &server), "validators_not_signed"),
            (signed(0, &FOUR, other, &identity), "validators_not_signed"),
        ];
        for (tx, rule) in &cases {
            let mut chain = Chain::new();
            chain.refuse(tx, rule);
            assert_eq!(validators(&chain).unwrap(), voters(&THREE), "{rule}");
        }
        println!("{} refusals", cases.len());
    }
}

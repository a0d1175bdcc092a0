//! The rules of the bench's chain: a transaction is a note, and writes a row of each kind as the chains' own do.

use caduceus_crypto::{domain, hash};
use caduceus_ledger::{
    BlockContext, DecodedTx, Genesis, INDEX_KEY_BYTES, INDEX_VALUE_BYTES, Overlay, Rejection,
    Space, StateError, StateMachine, TxFailure,
};
use std::any::Any;
use std::sync::Arc;

/// Authenticated rows that notes are spread over: members, accounts, grants.
const ACCOUNTS: u64 = 20_000;
/// Tags of a note.
const TAGS: u64 = 8;

/// See the module.
pub(super) struct Notes;

/// The transaction with this number.
pub(super) fn note(number: u64) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

/// The index key of a note's tag: as random as a real one.
fn tag(number: u64, n: u64) -> [u8; INDEX_KEY_BYTES] {
    let digest = hash(domain::SIM_SEED, &[&number.to_le_bytes(), &n.to_le_bytes()]);
    let mut key = [0; INDEX_KEY_BYTES];
    key.copy_from_slice(&digest.as_bytes()[..INDEX_KEY_BYTES]);
    key
}

impl StateMachine for Notes {
    fn genesis(&self, _: &Genesis, _: &mut Overlay<'_>) -> Result<(), StateError> {
        Ok(())
    }

    fn decode(&self, tx: &[u8]) -> Result<Arc<dyn Any + Send + Sync>, Rejection> {
        let number = <[u8; 8]>::try_from(tx).map_err(|_| Rejection {
            rule: "not_a_number",
            detail: "a note is a number of 8 bytes".to_owned(),
        })?;
        Ok(Arc::new(u64::from_le_bytes(number)))
    }

    fn execute(
        &self,
        ctx: &BlockContext,
        tx: &DecodedTx,
        state: &mut Overlay<'_>,
    ) -> Result<Vec<u8>, TxFailure> {
        let number = *tx.content::<u64>()?;
        let bytes = note(number);
        let account = (number % ACCOUNTS).to_be_bytes();
        state.put(Space::Auth, &account, bytes.clone());
        state.put(
            Space::Bulk,
            &[b"note", bytes.as_slice()].concat(),
            vec![0x6e; 256],
        );
        let mut place = [0; INDEX_VALUE_BYTES];
        place[..8].copy_from_slice(&ctx.height.0.to_le_bytes());
        for n in 0..TAGS {
            state.put(Space::Index, &tag(number, n), place.to_vec());
        }
        Ok(Vec::new())
    }

    fn finish(
        &self,
        _: &BlockContext,
        _: &[Vec<u8>],
        _: &mut Overlay<'_>,
    ) -> Result<Vec<u8>, StateError> {
        Ok(Vec::new())
    }
}

//! What a running node judges on top of the rules must not enter what is replayed: a chain that was decided by others
//! goes on, also where this node would not have voted.

use crate::support::{Words, genesis, key};
use caduceus_ledger::{Address, BlockError, DecodedTx, Rejection};
use caduceus_node::{Chain, LiveCheck, SubmitError, SystemClock};
use std::sync::Arc;

struct NoSecrets;

impl LiveCheck for NoSecrets {
    fn judge(&self, tx: &DecodedTx) -> Result<(), Rejection> {
        if tx.bytes().starts_with(b"secret") {
            return Err(Rejection {
                rule: "secret",
                detail: "not for this node".to_owned(),
            });
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_check_keeps_transactions_out_and_history_in() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = genesis(4);
    let open = |name: &str| {
        let home = dir.path().join(name);
        Chain::open(
            &home,
            genesis.clone(),
            Arc::new(Words),
            Arc::new(SystemClock),
        )
        .unwrap()
    };
    let strict = open("strict");
    strict.set_live_check(Arc::new(NoSecrets));
    match strict.offer(b"secret 1".to_vec()) {
        Err(SubmitError::Rejected(rejection)) => assert_eq!(rejection.rule, "secret"),
        other => panic!("expected a refusal, got {:?}", other.map(|offer| offer.id)),
    }
    strict.offer(b"word".to_vec()).unwrap();

    let lax = open("lax");
    lax.offer(b"plain".to_vec()).unwrap();
    lax.offer(b"secret 2".to_vec()).unwrap();
    let block = lax.propose(0, Address::of(&key(1).public())).unwrap();
    assert_eq!(block.txs.len(), 2);
    match strict.validate(&block, true) {
        Err(BlockError::Transaction { index, rejection }) => {
            assert_eq!((index, rejection.rule), (1, "secret"));
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
    // Decided by the others all the same: it is history then.
    assert_eq!(strict.validate(&block, false), Ok(()));
}

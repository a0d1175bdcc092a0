//! One proposer must not be able to move chain time: a block ahead of the validator's clock was once judged
//! valid when it claimed to be a re-proposal, or when it had been executed before.

use crate::support::{Words, genesis, key};
use caduceus_crypto::TimeMillis;
use caduceus_ledger::{Address, BlockError};
use caduceus_node::{Chain, Clock, SystemClock};
use std::sync::Arc;

struct Ahead(u64);

impl Clock for Ahead {
    fn now(&self) -> TimeMillis {
        TimeMillis(SystemClock.now().0 + self.0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_from_the_future_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = genesis(4);
    let open = |name: &str, ahead: u64| {
        Chain::open(
            &dir.path().join(name),
            genesis.clone(),
            Arc::new(Words),
            Arc::new(Ahead(ahead)),
        )
        .unwrap()
    };
    let honest = open("honest", 0);
    let mut cases = 0;
    for (name, ahead, allowed) in [
        ("near", 2_000, true),
        ("hour", 3_600_000, false),
        ("century", 3_155_760_000_000, false),
    ] {
        let block = open(name, ahead)
            .propose(0, Address::of(&key(1).public()))
            .unwrap();
        let refused =
            |outcome: Result<(), BlockError>| matches!(outcome, Err(BlockError::TimeAhead { .. }));
        assert_eq!(refused(honest.validate(&block, true)), !allowed, "{name}");
        // A synced block was judged by others at its time; having executed it makes it no younger.
        assert_eq!(honest.validate(&block, false), Ok(()), "{name}");
        assert_eq!(
            refused(honest.validate(&block, true)),
            !allowed,
            "{name}, executed before"
        );
        cases += 1;
    }
    println!("{cases} clocks tried");
}

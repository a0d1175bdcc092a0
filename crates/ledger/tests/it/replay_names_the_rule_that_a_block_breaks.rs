use crate::support::{Chain, Note, put, refused};
use caduceus_crypto::{Hash, TimeMillis};
use caduceus_ledger::block::MAX_TX_BYTES;
use caduceus_ledger::execute::VALIDATORS_KEY;
use caduceus_ledger::{
    Block, BlockError, ChainId, ChainKind, Header, Height, Rejection, StateError,
};

const OTHER: Hash = Hash([9; 32]);

/// A chain of height 1, and a good block of height 2.
fn next() -> (Chain, Block) {
    let mut chain = Chain::new();
    let (_, executed, _) = chain.build(vec![put("a", "0")]);
    chain.commit(&executed);
    let (block, _, _) = chain.build(vec![put("a", "1"), put("b", "2"), put("c", "3")]);
    assert_eq!(chain.replay(&block).unwrap().header, block.header);
    (chain, block)
}

/// Why the good block is refused once it is changed.
fn refusal(change: impl FnOnce(&mut Block)) -> BlockError {
    let (chain, mut block) = next();
    change(&mut block);
    chain.replay(&block).unwrap_err()
}

#[test]
fn another_chain() {
    let error = refusal(|block| block.header.chain = ChainId(OTHER));
    assert_eq!(error, BlockError::OtherChain);
}

#[test]
fn another_height() {
    for height in [0, 1, 3, u64::MAX] {
        let error = refusal(|block| block.header.height = Height(height));
        let expected = BlockError::WrongHeight {
            expected: Height(2),
            found: Height(height),
        };
        assert_eq!(error, expected);
    }
}

#[test]
fn another_parent() {
    let (chain, _) = next();
    let error = refusal(|block| block.header.parent = OTHER);
    let expected = BlockError::WrongParent {
        expected: chain.tip.hash(),
        found: OTHER,
    };
    assert_eq!(error, expected);
}

#[test]
fn a_time_that_does_not_increase() {
    let (chain, _) = next();
    let parent = chain.tip.time;
    for found in [parent, TimeMillis(parent.0 - 1), TimeMillis(0)] {
        let error = refusal(|block| block.header.time = found);
        assert_eq!(error, BlockError::TimeNotIncreasing { parent, found });
    }
}

#[test]
fn a_body_over_the_limit() {
    let (chain, block) = next();
    let found: usize = block.txs.iter().map(|tx| tx.len() + 4).sum();
    assert!(chain.replay_within(&block, found).is_ok());
    let limit = found - 1;
    assert_eq!(
        chain.replay_within(&block, limit).unwrap_err(),
        BlockError::TooLarge { limit, found }
    );
    // Empty transactions have a length too.
    let error = refusal(|block| block.txs = vec![Vec::new(); 120_000]);
    let expected = BlockError::TooLarge {
        limit: 448 * 1024,
        found: 480_000,
    };
    assert_eq!(error, expected);
}

#[test]
fn a_transaction_over_the_limit() {
    let (chain, mut block) = next();
    let body = ChainKind::Alliance.max_block_bytes();
    block.txs[1] = vec![0; MAX_TX_BYTES + 1];
    let refused = chain.replay_within(&block, body).unwrap_err();
    assert!(
        matches!(&refused, BlockError::Transaction { index: 1, rejection } if rejection.rule == "too_large"),
        "{refused}"
    );

    // The largest one passes: variant 1, two lengths of 4, a key of 1.
    let largest = Note::Put {
        key: vec![b'k'],
        value: vec![0; MAX_TX_BYTES - 10],
    };
    assert_eq!(largest.bytes().len(), MAX_TX_BYTES);
    let (block, _, left_out) = chain.try_build(vec![largest.bytes()], body).unwrap();
    assert_eq!((block.txs.len(), left_out.len()), (1, 0));
    let replayed = chain.replay_within(&block, body).unwrap();
    assert_eq!(replayed.header, block.header);
}

#[test]
fn a_transaction_that_a_rule_refuses() {
    for index in 0..3 {
        let error = refusal(|block| block.txs[index] = refused("a"));
        let rejection = Rejection {
            rule: "refused",
            detail: "this note is refused".into(),
        };
        assert_eq!(error, BlockError::Transaction { index, rejection });
    }
    let BlockError::Transaction { index, rejection } = refusal(|block| block.txs.push(Vec::new()))
    else {
        panic!("bytes that are no transaction were accepted");
    };
    assert_eq!((index, rejection.rule), (3, "malformed"));
}

#[test]
fn a_header_that_execution_does_not_give() {
    let changes: [(&'static str, fn(&mut Header)); 6] = [
        ("transactions root", |h| h.txs_root = OTHER),
        ("results root", |h| h.results_root = OTHER),
        ("state root", |h| h.state_root = OTHER),
        ("validators", |h| h.validators = OTHER),
        ("next validators", |h| h.next_validators = OTHER),
        ("extra bytes", |h| h.extra.push(0)),
    ];
    for (field, change) in changes {
        let error = refusal(|block| change(&mut block.header));
        assert_eq!(error, BlockError::HeaderDiffers { field });
    }
    // The time is in the state, so a later one needs another root.
    let error = refusal(|block| block.header.time = TimeMillis(block.header.time.0 + 1));
    let expected = BlockError::HeaderDiffers {
        field: "state root",
    };
    assert_eq!(error, expected);
}

#[test]
fn a_body_that_is_not_the_headers() {
    let changes: [fn(&mut Vec<Vec<u8>>); 4] = [
        |txs| txs.truncate(2),
        |txs| txs.clear(),
        |txs| txs.swap(0, 1),
        |txs| txs.push(put("d", "4")),
    ];
    for change in changes {
        let error = refusal(|block| change(&mut block.txs));
        let expected = BlockError::HeaderDiffers {
            field: "transactions root",
        };
        assert_eq!(error, expected);
    }
}

#[test]
fn a_store_that_fails_says_nothing_about_the_block() {
    let error = refusal(|block| block.txs[2] = Note::Broken.bytes());
    assert_eq!(error, BlockError::State(StateError("broken".into())));

    let key = VALIDATORS_KEY.to_vec();
    let error = refusal(|block| block.txs[2] = Note::Delete { key }.bytes());
    assert!(matches!(error, BlockError::State(_)), "{error}");
}

#[test]
fn the_cheap_rules_come_first() {
    // Each block breaks a rule and all that are checked after it.
    let worst = |block: &mut Block| {
        block.header.state_root = OTHER;
        block.txs[0] = refused("a");
    };
    let error = refusal(|block| {
        worst(block);
        block.header.time = TimeMillis(0);
    });
    assert!(matches!(error, BlockError::TimeNotIncreasing { .. }));
    let error = refusal(|block| {
        worst(block);
        block.header.time = TimeMillis(0);
        block.header.parent = OTHER;
    });
    assert!(matches!(error, BlockError::WrongParent { .. }));
    let error = refusal(worst);
    assert!(matches!(error, BlockError::Transaction { index: 0, .. }));
}

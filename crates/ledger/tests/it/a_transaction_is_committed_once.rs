use crate::support::{Chain, put, refused};
use caduceus_ledger::{BlockError, Height, TxPlace, find_tx, tx_id};

/// Position and rule of the refused transaction.
fn refused_at(error: BlockError) -> (usize, &'static str) {
    match error {
        BlockError::Transaction { index, rejection } => (index, rejection.rule),
        other => panic!("expected a refused transaction, got {other:?}"),
    }
}

#[test]
fn twice_in_one_block_is_already_committed() {
    let chain = Chain::new();
    let (tx, other) = (put("a", "1"), put("b", "2"));
    let (block, executed, left_out) = chain.build(vec![tx.clone(), other, tx.clone()]);
    assert_eq!(block.txs.len(), 2);
    assert_eq!(executed.results.len(), 2);
    assert_eq!(left_out.len(), 1);
    assert_eq!(left_out[0].0, tx_id(&tx));
    assert_eq!(left_out[0].1.rule, "already_committed");

    let mut twice = block;
    twice.txs.push(tx);
    let error = chain.replay(&twice).unwrap_err();
    assert_eq!(refused_at(error), (2, "already_committed"));
}

#[test]
fn in_two_blocks_is_already_committed() {
    let mut chain = Chain::new();
    let tx = put("a", "1");
    let (_, executed, _) = chain.build(vec![put("b", "0"), tx.clone()]);
    chain.commit(&executed);
    for height in 2..5u64 {
        let own = put("b", &height.to_string());
        let (block, executed, left_out) = chain.build(vec![tx.clone(), own.clone()]);
        assert_eq!(block.txs, [own]);
        assert_eq!(left_out.len(), 1);
        assert_eq!(left_out[0].1.rule, "already_committed");
        assert_eq!(
            left_out[0].1.detail,
            "this transaction is already in block 1"
        );

        let mut again = block;
        again.txs.push(tx.clone());
        let error = chain.replay(&again).unwrap_err();
        assert_eq!(refused_at(error), (1, "already_committed"));
        chain.commit(&executed);
    }
}

#[test]
fn the_place_of_a_committed_transaction_is_found() {
    let mut chain = Chain::new();
    let first = [put("a", "1"), put("b", "2")];
    let (bad, absent) = (refused("a"), put("never", ""));
    let candidates = vec![bad.clone(), first[0].clone(), first[1].clone()];
    let (_, executed, _) = chain.build(candidates);
    assert_eq!(find_tx(&chain.store, &tx_id(&first[0])), Ok(None));
    chain.commit(&executed);
    let second = put("c", "3");
    let (_, executed, _) = chain.build(vec![second.clone()]);
    chain.commit(&executed);
    for (tx, height, index) in [(&first[0], 1, 0), (&first[1], 1, 1), (&second, 2, 0)] {
        let place = TxPlace {
            height: Height(height),
            index,
        };
        assert_eq!(find_tx(&chain.store, &tx_id(tx)), Ok(Some(place)));
    }
    assert_eq!(find_tx(&chain.store, &tx_id(&bad)), Ok(None));
    assert_eq!(find_tx(&chain.store, &tx_id(&absent)), Ok(None));
}

#[test]
fn what_did_not_fit_is_committed_later() {
    let mut chain = Chain::new();
    let (full, late) = (put("b", "2"), put("a", "1"));
    let limit = full.len() + 4;
    let candidates = vec![full, late.clone()];
    let (block, executed, left_out) = chain.try_build(candidates, limit).unwrap();
    assert_eq!((block.txs.len(), left_out.len()), (1, 0));
    chain.commit(&executed);
    let (block, _, left_out) = chain.build(vec![late.clone()]);
    assert_eq!(block.txs, [late]);
    assert!(left_out.is_empty());
}

use crate::support::{Chain, Note, address, genesis, put, refused, set};
use caduceus_crypto::{Hash, merkle};
use caduceus_ledger::execute::{TIP_KEY, VALIDATORS_KEY};
use caduceus_ledger::{
    BlockContext, ChainKind, DecodedTx, Height, Overlay, Rejection, Space, StateError,
    StateMachine, StateView, TxFailure, ValidatorSet, apply, tree, tx_id,
};
use proptest::prelude::*;
use std::sync::Arc;

fn note_key() -> impl Strategy<Value = Vec<u8>> {
    (0u8..12).prop_map(|n| vec![b'n', n])
}

fn note() -> impl Strategy<Value = Note> {
    prop_oneof![
        6 => (note_key(), prop::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(key, value)| Note::Put { key, value }),
        3 => note_key().prop_map(|key| Note::Delete { key }),
        1 => note_key().prop_map(|key| Note::Refused { key }),
        1 => prop::collection::vec(1u64..5, 1..5).prop_map(|powers| Note::Voters(set(&powers))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn builder_and_replica_agree_block_by_block(
        blocks in prop::collection::vec(prop::collection::vec(note(), 0..8), 1..5),
    ) {
        let mut builder = Chain::new();
        let mut replica = Chain::new();
        prop_assert_eq!(&builder.tip, &replica.tip);
        for notes in blocks {
            let candidates: Vec<Vec<u8>> = notes.iter().map(Note::bytes).collect();
            let parent = builder.tip.clone();
            let (block, built, left_out) = builder.build(candidates.clone());
            let replayed = replica.replay(&block).unwrap();
            prop_assert_eq!(&replayed.header, &block.header);
            prop_assert_eq!(&replayed.header, &built.header);
            prop_assert_eq!(&replayed.results, &built.results);
            prop_assert_eq!(&replayed.writes, &built.writes);
            prop_assert_eq!(&replayed.tree, &built.tree);
            prop_assert_eq!(&replayed.next_validators, &built.next_validators);

            prop_assert!(block.body_matches());
            prop_assert_eq!(block.txs.len() + left_out.len(), candidates.len());
            prop_assert_eq!(built.results.len(), block.txs.len());
            prop_assert_eq!(block.header.height, parent.height.next());
            prop_assert_eq!(block.header.parent, parent.hash());
            prop_assert_eq!(block.header.validators, parent.next_validators);
            prop_assert_eq!(block.header.next_validators, built.next_validators.hash());

            builder.commit(&built);
            replica.commit(&replayed);
        }
    }
}

#[test]
fn the_genesis_state_is_version_0_of_the_tree() {
    let chain = Chain::new();
    let genesis = genesis();
    let header = &chain.tip;
    assert_eq!(header.chain, genesis.chain_id());
    assert_eq!(header.height, Height::GENESIS);
    assert_eq!(header.time, genesis.time);
    assert_eq!(header.parent, Hash::ZERO);
    assert_eq!(header.txs_root, merkle::EMPTY);
    assert_eq!(header.results_root, merkle::EMPTY);
    assert_eq!(header.validators, genesis.validators.hash());
    assert_eq!(header.next_validators, genesis.validators.hash());
    let voters = tree::prove(&chain.store, 0, VALIDATORS_KEY).unwrap();
    let proved = voters.verify(&header.state_root).unwrap().unwrap();
    let decoded: ValidatorSet = borsh::from_slice(proved).unwrap();
    assert_eq!(decoded, genesis.validators);
    let tip = tree::prove(&chain.store, 0, TIP_KEY).unwrap();
    assert!(tip.verify(&header.state_root).unwrap().is_some());
}

#[test]
fn build_leaves_refused_transactions_out_without_a_trace() {
    let chain = Chain::new();
    let (good, bad) = ([put("a", "1"), put("b", "2")], refused("a"));
    let junk = DecodedTx::new(&chain.machine, Arc::new(vec![0xff; 9])).unwrap_err();
    assert_eq!(junk.rule, "malformed");
    let candidates = vec![bad.clone(), good[0].clone(), good[1].clone()];
    let (block, executed, left_out) = chain.build(candidates);
    assert_eq!(block.txs, good);
    assert_eq!(executed.results.len(), 2);
    let told: Vec<(Hash, &str)> = left_out.iter().map(|(id, why)| (*id, why.rule)).collect();
    assert_eq!(told, [(tx_id(&bad), "refused")]);

    let (alone, executed_alone, nothing) = chain.build(good.to_vec());
    assert!(nothing.is_empty());
    assert_eq!(alone, block);
    assert_eq!(executed_alone.writes, executed.writes);
    assert_eq!(executed_alone.tree, executed.tree);
}

#[test]
fn what_does_not_fit_is_left_for_later_and_not_refused() {
    let chain = Chain::new();
    let txs = vec![put("a", "1"), put("b", "2"), put("c", "3")];
    let two = txs[0].len() + txs[1].len() + 8;
    for (limit, fitting) in [
        (two, 2),
        (two - 1, 1),
        (txs[0].len() + 4, 1),
        (4, 0),
        (0, 0),
    ] {
        let (block, _, left_out) = chain.try_build(txs.clone(), limit).unwrap();
        assert_eq!(block.txs, txs[..fitting], "{limit} bytes");
        assert!(left_out.is_empty());
        let replayed = chain.replay_within(&block, limit).unwrap();
        assert_eq!(replayed.header, block.header);
    }
}

#[test]
fn each_block_gets_its_own_extra_bytes() {
    let chain = Chain::with_extra(vec![7; 64]);
    let (block, _, _) = chain.build(vec![put("a", "1")]);
    assert_eq!(block.header.extra, [7; 64]);
    assert_eq!(chain.replay(&block).unwrap().header, block.header);

    let limit = ChainKind::Private.max_block_bytes();
    let too_long = Chain::with_extra(vec![7; 65]);
    assert!(too_long.try_build(Vec::new(), limit).is_err());
}

#[test]
fn new_voters_vote_on_the_next_block() {
    let mut chain = Chain::new();
    let new = set(&[1, 1]);
    let (block, executed, _) = chain.build(vec![Note::Voters(new.clone()).bytes()]);
    assert_eq!(block.header.validators, genesis().validators.hash());
    assert_eq!(block.header.next_validators, new.hash());
    assert_eq!(executed.next_validators, new);
    chain.commit(&executed);
    let (next, _, _) = chain.build(Vec::new());
    assert_eq!(next.header.validators, new.hash());
}

#[test]
fn a_broken_store_stops_the_builder() {
    let chain = Chain::new();
    let limit = ChainKind::Private.max_block_bytes();
    let broken = vec![put("a", "1"), Note::Broken.bytes()];
    let error = chain.try_build(broken, limit).unwrap_err();
    assert_eq!(error, StateError("broken".into()));
}

#[test]
fn a_transaction_changes_the_state_as_a_whole_or_not_at_all() {
    let chain = Chain::new();
    let ctx = BlockContext {
        chain: chain.tip.chain,
        height: Height(1),
        time: chain.tip.time,
        proposer: address(0),
    };
    let mut state = Overlay::new(&chain.store);
    let failure = apply(
        &chain.machine,
        &ctx,
        0,
        &chain.decoded(refused("a")),
        &mut state,
    )
    .unwrap_err();
    assert_eq!(
        failure,
        TxFailure::Rejected(Rejection {
            rule: "refused",
            detail: "this note is refused".into()
        })
    );
    let failure = apply(
        &chain.machine,
        &ctx,
        0,
        &chain.decoded(Note::Broken.bytes()),
        &mut state,
    )
    .unwrap_err();
    assert_eq!(failure, TxFailure::State(StateError("broken".into())));
    assert_eq!(state.get(Space::Auth, b"a"), Ok(None));

    let result = apply(
        &chain.machine,
        &ctx,
        0,
        &chain.decoded(put("a", "1")),
        &mut state,
    )
    .unwrap();
    assert_eq!(result, 1u64.to_le_bytes());
    assert_eq!(state.get(Space::Auth, b"a"), Ok(Some(b"1".to_vec())));
    // The note, the number of notes, and the transaction's place.
    assert_eq!(state.into_writes().len(), 3);
}

#[test]
fn a_machine_calls_no_refusal_transient_unless_it_says_so() {
    assert!(!Chain::new().machine.is_transient("refused"));
}

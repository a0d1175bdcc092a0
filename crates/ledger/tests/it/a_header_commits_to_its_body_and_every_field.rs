use crate::support::{Chain, genesis, header, put, set};
use caduceus_crypto::{Hash, TimeMillis, merkle};
use caduceus_ledger::execute::first_difference;
use caduceus_ledger::{
    Address, Block, ChainId, ChainKind, Executed, Genesis, Header, Height, tx_id,
};
use std::collections::BTreeSet;

const OTHER: Hash = Hash([9; 32]);

type Change = fn(&mut Header);

/// Every field of a header, under the name that a refused block is told.
fn changes() -> [(&'static str, Change); 11] {
    [
        ("header", |h| h.chain = ChainId(OTHER)),
        ("header", |h| h.height = Height(99)),
        ("header", |h| h.time = TimeMillis(h.time.0 + 1)),
        ("header", |h| h.proposer = Address([9; 20])),
        ("header", |h| h.parent = OTHER),
        ("transactions root", |h| h.txs_root = OTHER),
        ("results root", |h| h.results_root = OTHER),
        ("state root", |h| h.state_root = OTHER),
        ("validators", |h| h.validators = OTHER),
        ("next validators", |h| h.next_validators = OTHER),
        ("extra bytes", |h| h.extra.push(0)),
    ]
}

fn sample() -> Header {
    let voters = set(&[3, 3, 2, 1]);
    header(7, &voters, &voters)
}

fn block() -> (Block, Executed) {
    let txs = vec![put("a", "1"), put("b", "2"), put("c", "3")];
    let (block, executed, _) = Chain::new().build(txs);
    (block, executed)
}

#[test]
fn a_header_is_told_from_one_that_differs_in_any_field() {
    let header = sample();
    let mut hashes = BTreeSet::from([header.hash()]);
    for (at, (_, change)) in changes().into_iter().enumerate() {
        let mut other = header.clone();
        change(&mut other);
        assert!(hashes.insert(other.hash()), "field {at}");
    }
    assert_eq!(hashes.len(), 12);
    assert_eq!(header.hash(), header.clone().hash());
}

#[test]
fn the_first_difference_names_each_field() {
    let header = sample();
    assert_eq!(first_difference(&header, &header), None);
    for (at, (name, change)) in changes().into_iter().enumerate() {
        let mut other = header.clone();
        change(&mut other);
        assert_eq!(first_difference(&other, &header), Some(name), "field {at}");
        assert_eq!(first_difference(&header, &other), Some(name), "field {at}");
    }
}

#[test]
fn the_first_of_two_differences_is_named() {
    let header = sample();
    // In the order in which they are compared: roots before sets, the rest of the header last.
    let ordered: Vec<(&'static str, Change)> = changes().into_iter().skip(5).collect();
    for pair in ordered.windows(2) {
        let mut other = header.clone();
        pair[1].1(&mut other);
        pair[0].1(&mut other);
        other.height = Height(99);
        assert_eq!(first_difference(&other, &header), Some(pair[0].0));
    }
}

#[test]
fn a_body_matches_its_header_and_no_other() {
    let (block, _) = block();
    assert!(block.body_matches());
    assert_eq!(block.hash(), block.header.hash());
    let changes: [fn(&mut Vec<Vec<u8>>); 7] = [
        |txs| txs.swap(0, 1),
        |txs| txs.push(Vec::new()),
        |txs| txs.push(txs[2].clone()),
        |txs| txs.truncate(2),
        |txs| txs.clear(),
        |txs| txs[1][0] ^= 1,
        |txs| txs[1].push(0),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut other = block.clone();
        change(&mut other.txs);
        assert!(!other.body_matches(), "change {at}");
        // The identifier is the header's alone, which is why the body is compared.
        assert_eq!(other.hash(), block.hash());
    }
    let mut other = block;
    other.header.txs_root = OTHER;
    assert!(!other.body_matches());
}

#[test]
fn an_empty_body_has_a_root_too() {
    let (empty, executed, _) = Chain::new().build(Vec::new());
    assert_eq!(empty.header.txs_root, merkle::EMPTY);
    assert_eq!(empty.header.results_root, merkle::EMPTY);
    assert!(empty.body_matches());
    assert!(executed.results.is_empty());
}

#[test]
fn the_roots_are_over_transactions_and_results() {
    let (block, executed) = block();
    assert_eq!(block.header.txs_root, merkle::root(&block.txs));
    assert_eq!(block.header.results_root, merkle::root(&executed.results));
    let ids: BTreeSet<Hash> = block.txs.iter().map(|tx| tx_id(tx)).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn a_chain_is_named_by_every_field_of_its_genesis() {
    let genesis = genesis();
    let changes: [fn(&mut Genesis); 5] = [
        |g| g.kind = ChainKind::Alliance,
        |g| g.name.push('2'),
        |g| g.time = TimeMillis(g.time.0 + 1),
        |g| g.validators = set(&[3, 3, 2, 2]),
        |g| g.app.push(0),
    ];
    let mut chains = BTreeSet::from([genesis.chain_id()]);
    for (at, change) in changes.into_iter().enumerate() {
        let mut other = genesis.clone();
        change(&mut other);
        assert!(chains.insert(other.chain_id()), "field {at}");
    }
    assert_eq!(genesis.chain_id(), genesis.clone().chain_id());
}

//! A checker that finds nothing is worth nothing: each fault is planted in real stores and must be found.

use super::{AcknowledgedSet, Findings, Place};
use caduceus_crypto::{Hash, SecretKey, TimeMillis, domain, encode, merkle};
use caduceus_ledger::{
    Address, Block, BlockContext, Certificate, ChainKind, DecodedTx, Executed, Genesis, Height,
    Overlay, Rejection, StateError, StateMachine, TxFailure, Validator, ValidatorSet, build,
    genesis_state, tx_id,
};
use caduceus_node::Store;
use std::any::Any;
use std::sync::Arc;
use tempfile::TempDir;

/// Takes everything, keeps nothing.
struct Anything;

impl StateMachine for Anything {
    fn genesis(&self, _: &Genesis, _: &mut Overlay<'_>) -> Result<(), StateError> {
        Ok(())
    }

    fn decode(&self, tx: &[u8]) -> Result<Arc<dyn Any + Send + Sync>, Rejection> {
        Ok(Arc::new(tx.to_vec()))
    }

    fn execute(
        &self,
        _: &BlockContext,
        _: &DecodedTx,
        _: &mut Overlay<'_>,
    ) -> Result<Vec<u8>, TxFailure> {
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

fn genesis() -> Genesis {
    let key = SecretKey::derive(domain::VOTE, &[1], &[]).public();
    Genesis {
        kind: ChainKind::Private,
        name: "checked".into(),
        time: TimeMillis(1_000),
        validators: ValidatorSet::new(vec![Validator { key, power: 1 }]).unwrap(),
        app: Vec::new(),
    }
}

/// A node's home, filled block by block.
struct Node {
    home: TempDir,
    store: Store,
}

impl Node {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("chain.redb")).unwrap();
        let view = store.snapshot().unwrap();
        let first = genesis_state(&Anything, &genesis(), &view, &view).unwrap();
        store.init(&encode(&genesis()), &first).unwrap();
        Self { home, store }
    }

    fn build(&self, txs: &[&str]) -> (Block, Executed) {
        let view = self.store.snapshot().unwrap();
        let tip = view.tip().unwrap().unwrap().header;
        let candidates = txs
            .iter()
            .map(|tx| DecodedTx::new(&Anything, Arc::new(tx.as_bytes().to_vec())).unwrap());
        let time = TimeMillis(tip.time.0 + 1);
        let made = build(
            &Anything,
            &view,
            &view,
            &tip,
            time,
            Address::default(),
            candidates,
            1 << 20,
        );
        let (block, executed, refused) = made.unwrap();
        assert!(refused.is_empty());
        (block, executed)
    }

    fn store(&self, block: &Block, executed: &Executed) {
        let certificate = Certificate {
            height: block.header.height,
            round: 0,
            block: block.hash(),
            signatures: Vec::new(),
        };
        self.store.commit(block, &certificate, executed).unwrap();
    }

    fn block(&self, txs: &[&str]) {
        let (block, executed) = self.build(txs);
        self.store(&block, &executed);
    }

    /// A block with one transaction more than its rules allow.
    fn forged(&self, txs: &[&str], more: &str) {
        let (mut block, mut executed) = self.build(txs);
        block.txs.push(more.as_bytes().to_vec());
        block.header.txs_root = merkle::root(&block.txs);
        executed.header = block.header.clone();
        self.store(&block, &executed);
    }
}

fn id(tx: &str) -> Hash {
    tx_id(tx.as_bytes())
}

fn at(height: u64, index: u32) -> Place {
    Place { height, index }
}

/// Two nodes with the blocks [a, b], [c].
fn two() -> [Node; 2] {
    [Node::new(), Node::new()].map(|node| {
        node.block(&["a", "b"]);
        node.block(&["c"]);
        node
    })
}

/// a, b and c acknowledged where they are.
fn told() -> AcknowledgedSet {
    let set = AcknowledgedSet::default();
    set.acknowledged(id("a"), at(1, 0));
    set.acknowledged(id("b"), at(1, 1));
    set.acknowledged(id("c"), at(2, 0));
    set
}

/// Checks with the nodes stopped, from their homes.
fn check<const N: usize>(set: &AcknowledgedSet, nodes: [Node; N]) -> Findings {
    let homes: Vec<TempDir> = nodes.map(|node| node.home).into();
    let paths: Vec<_> = homes.iter().map(|home| home.path().to_path_buf()).collect();
    set.check(&paths).unwrap()
}

#[test]
fn what_was_told_and_is_there_holds() {
    let set = told();
    set.timed_out(id("never came"));
    let findings = check(&set, two());
    assert!(findings.holds(), "{:?}", findings.faults);
    assert_eq!((findings.acknowledged, findings.transactions), (3, 3));
    assert_eq!((findings.timed_out, findings.timed_out_present), (1, 0));
    assert_eq!(findings.heights, [2, 2]);
}

#[test]
fn one_told_and_absent_from_all_is_lost() {
    let set = told();
    set.acknowledged(id("d"), at(2, 1));
    let findings = check(&set, two());
    assert_eq!((findings.lost, findings.holds()), (1, false));
    assert!(findings.faults[0].contains("absent"));
}

#[test]
fn one_absent_from_one_node_is_lost() {
    let behind = Node::new();
    behind.block(&["a", "b"]);
    let [whole, _] = two();
    let findings = check(&told(), [whole, behind]);
    assert_eq!((findings.lost, findings.duplicated), (1, 0));
    assert_eq!(findings.heights, [2, 1]);
    assert!(findings.disagreeing.is_empty() && !findings.holds());
}

#[test]
fn one_at_another_place_is_misplaced() {
    let set = told();
    set.acknowledged(id("b"), at(2, 1));
    let findings = check(&set, two());
    assert_eq!((findings.misplaced, findings.lost), (1, 0));
    assert!(!findings.holds());
}

#[test]
fn one_in_two_blocks_is_duplicated_acknowledged_or_not() {
    for (doubled, acknowledged) in [("a", true), ("late", false)] {
        let nodes = [Node::new(), Node::new()].map(|node| {
            node.block(&["a", "b"]);
            node.block(&["c", "late"]);
            node.forged(&["d"], doubled);
            node
        });
        let set = told();
        set.timed_out(id("late"));
        let findings = check(&set, nodes);
        assert_eq!(
            findings.duplicated, 1,
            "{doubled}, acknowledged {acknowledged}"
        );
        assert_eq!((findings.lost, findings.timed_out_present), (0, 1));
        assert!(!findings.holds());
    }
}

#[test]
fn one_twice_in_a_block_is_duplicated() {
    let node = Node::new();
    node.forged(&["a"], "a");
    let set = AcknowledgedSet::default();
    set.acknowledged(id("a"), at(1, 0));
    assert_eq!(check(&set, [node]).duplicated, 1);
}

#[test]
fn a_node_with_another_block_disagrees() {
    let other = Node::new();
    other.block(&["a", "b"]);
    other.block(&["c", "of my own"]);
    let [whole, _] = two();
    let findings = check(&told(), [whole, other]);
    assert_eq!(findings.disagreeing, [2]);
    assert_eq!((findings.lost, findings.holds()), (0, false));
}

#[test]
fn a_hole_in_the_chain_is_found() {
    let node = Node::new();
    node.block(&["a", "b"]);
    let (mut block, mut executed) = node.build(&["c"]);
    block.header.height = Height(3);
    executed.header = block.header.clone();
    node.store(&block, &executed);
    let findings = check(&AcknowledgedSet::default(), [node]);
    assert_eq!((findings.missing_heights, findings.holds()), (1, false));
}

#[test]
fn one_that_timed_out_and_was_sent_again_counts_once() {
    let set = AcknowledgedSet::default();
    set.timed_out(id("a"));
    set.acknowledged(id("a"), at(1, 0));
    set.timed_out(id("a"));
    assert_eq!(set.count(), 1);
    let findings = check(&set, two());
    assert_eq!((findings.acknowledged, findings.timed_out), (1, 0));
    assert!(findings.holds());
}

#![allow(clippy::unwrap_used)]

use super::*;
use caduceus_crypto::TimeMillis;
use caduceus_ledger::{
    Address, BlockContext, ChainId, Genesis, Height, Overlay, Pairs, Space, StateError,
    StateMachine, StateView, TxFailure, Writes, apply,
};
use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Heavy transactions that a block takes.
const HEAVY: u8 = 2;
/// Bytes of a transaction of the tests.
const BYTES: usize = 40;

/// Words with a name, a class, and perhaps a word that must be there before them. A block takes few heavy ones.
struct Words;

#[derive(Clone, Copy)]
struct Word {
    class: Class,
    name: u16,
    needs: u16,
    heavy: bool,
}

fn word(class: Class, name: u16) -> Word {
    Word {
        class,
        name,
        needs: 0,
        heavy: false,
    }
}

impl Word {
    fn encode(self) -> Vec<u8> {
        let class = match self.class {
            Class::Urgent => 0,
            Class::Normal => 1,
            Class::Indebted => 2,
        };
        let mut tx = vec![class, u8::from(self.heavy)];
        tx.extend(self.name.to_be_bytes());
        tx.extend(self.needs.to_be_bytes());
        tx.resize(BYTES, 7);
        tx
    }

    fn decoded(self) -> DecodedTx {
        DecodedTx::new(&Words, Arc::new(self.encode())).unwrap()
    }

    fn id(self) -> Hash {
        self.decoded().id()
    }
}

fn refused(rule: &'static str) -> TxFailure {
    Rejection {
        rule,
        detail: String::new(),
    }
    .into()
}

impl StateMachine for Words {
    fn genesis(&self, _: &Genesis, _: &mut Overlay<'_>) -> Result<(), StateError> {
        Ok(())
    }

    fn decode(&self, tx: &[u8]) -> Result<Arc<dyn Any + Send + Sync>, Rejection> {
        Ok(Arc::new(tx.to_vec()))
    }

    fn execute(
        &self,
        _: &BlockContext,
        tx: &DecodedTx,
        state: &mut Overlay<'_>,
    ) -> Result<Vec<u8>, TxFailure> {
        let tx: &Vec<u8> = tx.content()?;
        let (name, needs) = (&tx[2..4], &tx[4..6]);
        if needs != [0, 0] && state.get(Space::Bulk, needs)?.is_none() {
            return Err(refused("needs_another"));
        }
        if state.get(Space::Bulk, name)?.is_some() {
            return Err(refused("taken"));
        }
        if tx[1] == 1 {
            let used = state.get(Space::Bulk, b"heavy")?.map_or(0, |used| used[0]);
            if used >= HEAVY {
                return Err(refused("no_budget"));
            }
            state.put(Space::Bulk, b"heavy", vec![used + 1]);
        }
        state.put(Space::Bulk, name, vec![1]);
        Ok(Vec::new())
    }

    fn is_transient(&self, rule: &str) -> bool {
        rule == "no_budget"
    }

    fn class(&self, tx: &DecodedTx, _: &dyn StateView) -> Result<Class, StateError> {
        Ok(match tx.bytes()[0] {
            0 => Class::Urgent,
            1 => Class::Normal,
            _ => Class::Indebted,
        })
    }

    fn finish(
        &self,
        _: &BlockContext,
        _: &[Vec<u8>],
        state: &mut Overlay<'_>,
    ) -> Result<Vec<u8>, StateError> {
        state.delete(Space::Bulk, b"heavy");
        Ok(Vec::new())
    }
}

#[derive(Default)]
struct Memory(BTreeMap<(Space, Vec<u8>), Vec<u8>>);

impl StateView for Memory {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.0.get(&(space, key.to_vec())).cloned())
    }

    fn scan(&self, space: Space, prefix: &[u8], limit: usize) -> Result<Pairs, StateError> {
        let from = self.0.range((space, prefix.to_vec())..);
        Ok(from
            .take_while(|((s, key), _)| *s == space && key.starts_with(prefix))
            .take(limit)
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect())
    }
}

fn context() -> BlockContext {
    BlockContext {
        chain: ChainId::default(),
        height: Height(1),
        time: TimeMillis(1),
        proposer: Address::default(),
    }
}

/// A pool and the state of its chain.
struct Node {
    pool: Mempool,
    state: Memory,
    ahead: Writes,
}

impl Node {
    /// Blocks hold this many transactions.
    fn of_room(transactions: usize) -> Self {
        Self {
            pool: Mempool::new(transactions * (BYTES + FRAMING)),
            state: Memory::default(),
            ahead: Writes::new(),
        }
    }

    /// As a node's chain admits; the rule that refuses otherwise.
    fn offer(&mut self, word: Word) -> Result<Taken, &'static str> {
        let tx = word.decoded();
        match self.pool.room(&tx.id(), word.class, tx.bytes().len()) {
            Room::Known => return Err("known"),
            Room::None => return Err("full"),
            Room::Some => {}
        }
        let mut state = Overlay::with(&self.state, std::mem::take(&mut self.ahead));
        let outcome = apply(&Words, &context(), 0, &tx, &mut state);
        self.ahead = state.into_writes();
        let for_now = match outcome {
            Ok(_) => false,
            Err(TxFailure::Rejected(rejection)) if Words.is_transient(rejection.rule) => true,
            Err(TxFailure::Rejected(rejection)) => return Err(rejection.rule),
            Err(failure) => panic!("{failure}"),
        };
        Ok(self.pool.push(tx, word.class, for_now))
    }

    fn take(&mut self, word: Word) {
        assert_eq!(self.offer(word), Ok(Taken::In(Vec::new())));
    }

    /// Names of the candidates, in order.
    fn next(&self) -> Vec<u16> {
        names(&self.pool.candidates().txs)
    }

    /// Makes and commits a block, as the chain does. Gives its transactions and what was dropped.
    fn block(&mut self) -> (Vec<u16>, Vec<(Hash, Rejection)>) {
        let candidates = self.pool.candidates();
        let mut state = Overlay::new(&self.state);
        let (mut block, mut dropped) = (Vec::new(), Vec::new());
        for tx in candidates.txs {
            match apply(&Words, &context(), 0, &tx, &mut state) {
                Ok(_) => block.push(tx),
                Err(TxFailure::Rejected(rejection)) => dropped.push((tx.id(), rejection)),
                Err(failure) => panic!("{failure}"),
            }
        }
        let may_pass = |(_, why): &(Hash, Rejection)| Words.is_transient(why.rule);
        if !candidates.by_arrival || dropped.iter().any(may_pass) {
            dropped.clear();
        }
        Words.finish(&context(), &[], &mut state).unwrap();
        for (key, value) in state.into_writes() {
            match value {
                Some(value) => self.state.0.insert(key, value),
                None => self.state.0.remove(&key),
            };
        }
        self.pool.remove(dropped.iter().map(|(id, _)| id));
        let ids: Vec<Hash> = block.iter().map(DecodedTx::id).collect();
        self.pool.committed(&ids);
        let recheck = self.pool.recheck(RECHECK_BYTES);
        let mut state = Overlay::new(&self.state);
        let checked = recheck
            .run(&Words, &context(), &self.state, &mut state)
            .unwrap();
        self.ahead = state.into_writes();
        let more = self.pool.checked(checked);
        self.pool.remove(more.iter().map(|(id, _)| id));
        dropped.extend(more);
        (names(&block), dropped)
    }
}

fn names(txs: &[DecodedTx]) -> Vec<u16> {
    txs.iter()
        .map(|tx| u16::from_be_bytes([tx.bytes()[2], tx.bytes()[3]]))
        .collect()
}

#[test]
fn while_all_fit_the_order_is_that_of_arrival() {
    let mut node = Node::of_room(6);
    let classes = [Class::Indebted, Class::Normal, Class::Urgent];
    for (name, class) in (1..).zip(classes.into_iter().cycle().take(6)) {
        node.take(word(class, name));
    }
    assert!(node.pool.candidates().by_arrival);
    assert_eq!(node.next(), [1, 2, 3, 4, 5, 6]);
    node.take(word(Class::Urgent, 7));
    assert!(!node.pool.candidates().by_arrival);
    assert_eq!(node.next(), [3, 6, 7, 2, 5, 1]);
}

#[test]
fn a_flood_of_the_urgent_leaves_a_quarter_to_the_normal() {
    let mut node = Node::of_room(8);
    for name in 1..=20 {
        node.take(word(Class::Urgent, name));
    }
    for name in 21..=40 {
        node.take(word(Class::Normal, name));
    }
    assert_eq!(node.next(), [1, 2, 3, 4, 5, 6, 21, 22]);
    assert_eq!(node.block().0, [1, 2, 3, 4, 5, 6, 21, 22]);
    assert_eq!(node.next(), [7, 8, 9, 10, 11, 12, 23, 24]);
}

#[test]
fn the_oldest_of_the_indebted_goes_first_when_it_waited_long() {
    let mut node = Node::of_room(2);
    node.take(word(Class::Indebted, 1));
    node.take(word(Class::Indebted, 2));
    let mut name = 10;
    let mut came = Vec::new();
    for block in 1..=20u64 {
        for _ in 0..3 {
            node.take(word(Class::Normal, name));
            name += 1;
        }
        let (txs, dropped) = node.block();
        assert_eq!(dropped, Vec::new());
        if txs.iter().any(|name| *name <= 2) {
            came.push(block);
        }
    }
    assert_eq!(came, [PATIENCE_BLOCKS + 1, 2 * (PATIENCE_BLOCKS + 1)]);
}

/// What a block's budget leaves out counts as not fitting, though its bytes would.
#[test]
fn a_budget_that_is_used_up_makes_classes_count() {
    let mut node = Node::of_room(100);
    let heavy = |class, name| Word {
        heavy: true,
        ..word(class, name)
    };
    for name in 1..=6 {
        node.take(heavy(Class::Indebted, name));
    }
    for name in 11..=16 {
        node.take(heavy(Class::Normal, name));
    }
    let blocks: Vec<Vec<u16>> = (0..6).map(|_| node.block().0).collect();
    let expected: [&[u16]; 6] = [&[11, 12], &[13, 14], &[15, 16], &[1, 2], &[3, 4], &[5, 6]];
    assert_eq!(blocks, expected);
}

#[test]
fn what_depends_on_a_lower_class_waits_for_it_and_is_not_dropped() {
    let mut node = Node::of_room(3);
    node.take(word(Class::Indebted, 1));
    let dependent = Word {
        needs: 1,
        ..word(Class::Normal, 2)
    };
    node.take(dependent);
    for name in 3..=8 {
        node.take(word(Class::Normal, name));
    }
    let mut came = Vec::new();
    for _ in 0..5 {
        let (txs, dropped) = node.block();
        assert_eq!(dropped, Vec::new());
        came.extend(txs);
    }
    let place = |name| came.iter().position(|found| *found == name).unwrap();
    assert!(place(1) < place(2));
    assert_eq!(came.len(), 8);
}

#[test]
fn a_contradiction_is_dropped_also_out_of_order() {
    let mut node = Node::of_room(2);
    for name in 1..=5 {
        node.take(word(Class::Normal, name));
    }
    // Admitted at another node, where the name was free.
    let second = Word {
        heavy: true,
        ..word(Class::Urgent, 5)
    };
    node.pool.push(second.decoded(), Class::Urgent, false);
    let (txs, dropped) = node.block();
    assert_eq!(txs, [5, 1], "the urgent one came first");
    let dropped: Vec<_> = dropped.iter().map(|(id, why)| (*id, why.rule)).collect();
    assert_eq!(dropped, [(word(Class::Normal, 5).id(), "taken")]);
}

#[test]
fn the_indebted_make_room_for_others_and_not_for_each_other() {
    let mut node = Node::of_room(1_000);
    for name in 1..=MAX_WAITING as u16 {
        node.take(word(Class::Indebted, name));
    }
    assert_eq!(node.offer(word(Class::Indebted, 30_001)), Err("full"));
    let newest = (1..=MAX_WAITING as u16).rev().take(FREED);
    let newest = newest
        .map(|name| word(Class::Indebted, name).id())
        .collect();
    let urgent = word(Class::Urgent, 30_002);
    assert_eq!(node.offer(urgent), Ok(Taken::In(newest)));
    // There are places now: the next ones turn nobody out.
    for name in 30_003..30_002 + FREED as u16 {
        node.take(word(Class::Normal, name));
    }
    assert_eq!(node.pool.len(), MAX_WAITING);
    let next = word(Class::Indebted, (MAX_WAITING - FREED) as u16).id();
    match node.offer(word(Class::Normal, 40_000)) {
        Ok(Taken::In(gone)) => assert_eq!((gone.len(), gone[0]), (FREED, next)),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        node.pool.bytes,
        node.pool
            .waiting
            .values()
            .map(Waiting::bytes)
            .sum::<usize>()
    );

    // Without anybody in debt there is no room for anyone.
    let mut node = Node::of_room(1_000);
    for name in 1..=MAX_WAITING as u16 {
        node.take(word(Class::Normal, name));
    }
    assert_eq!(node.offer(word(Class::Urgent, 30_001)), Err("full"));
}

#[test]
fn one_that_is_refused_for_now_turns_nobody_out() {
    let mut node = Node::of_room(1_000);
    for name in 1..=u16::from(HEAVY) {
        node.take(Word {
            heavy: true,
            ..word(Class::Normal, name)
        });
    }
    for name in 10..MAX_WAITING as u16 + 10 - u16::from(HEAVY) {
        node.take(word(Class::Indebted, name));
    }
    let over_budget = Word {
        heavy: true,
        ..word(Class::Urgent, 30_001)
    };
    assert_eq!(node.offer(over_budget), Ok(Taken::Full));
    assert_eq!(node.pool.len(), MAX_WAITING);
}

#[test]
fn few_that_are_indebted_make_room_all_the_same() {
    let mut node = Node::of_room(1_000);
    node.take(word(Class::Indebted, 1));
    for name in 2..=MAX_WAITING as u16 {
        node.take(word(Class::Normal, name));
    }
    let only = word(Class::Indebted, 1).id();
    let urgent = word(Class::Urgent, 30_001);
    assert_eq!(node.offer(urgent), Ok(Taken::In(vec![only])));
    assert_eq!(node.offer(word(Class::Urgent, 30_002)), Err("full"));
}

#[test]
fn few_wait_that_are_refused_for_now_and_they_are_in_nobodys_way() {
    let mut node = Node::of_room(100);
    let heavy = |name| Word {
        heavy: true,
        ..word(Class::Urgent, name)
    };
    for name in 1..=u16::from(HEAVY) + MAX_FOR_NOW as u16 {
        node.take(heavy(name));
    }
    assert_eq!(node.offer(heavy(5_000)), Ok(Taken::Full));
    assert_eq!(node.pool.ready(), usize::from(HEAVY));
    node.take(word(Class::Normal, 6_000));
    assert_eq!(node.pool.ready(), usize::from(HEAVY) + 1);
    let (txs, dropped) = node.block();
    assert_eq!((txs, dropped), (vec![1, 2, 6_000], Vec::new()));
    assert_eq!(node.pool.ready(), usize::from(HEAVY));
    assert_eq!(
        node.pool.for_now.bytes,
        (MAX_FOR_NOW - usize::from(HEAVY)) * BYTES
    );
    node.take(word(Class::Normal, 6_001));
    assert_eq!(node.next()[..4], [3, 4, 6_001, 5], "after all others");
    node.take(heavy(5_000));
}

#[test]
fn what_is_refused_for_now_leaves_a_check_room_for_others() {
    let mut pool = Mempool::new(1024 * 1024);
    let half = |name: u8| {
        let mut bytes = word(Class::Urgent, u16::from(name)).encode();
        bytes.resize(MAX_FOR_NOW_BYTES / 2, 7);
        DecodedTx::new(&Words, Arc::new(bytes)).unwrap()
    };
    for name in 1..=2 {
        let taken = pool.push(half(name), Class::Urgent, true);
        assert_eq!(taken, Taken::In(Vec::new()));
    }
    assert_eq!(pool.push(half(3), Class::Urgent, true), Taken::Full);
    let small = word(Class::Urgent, 4).decoded();
    assert_eq!(pool.push(small, Class::Urgent, true), Taken::Full);
    let ready = pool.push(half(3), Class::Urgent, false);
    assert_eq!((ready, pool.ready()), (Taken::In(Vec::new()), 1));
    let first = half(1).id();
    pool.remove([&first]);
    assert_eq!(
        pool.push(half(5), Class::Urgent, true),
        Taken::In(Vec::new())
    );
}

#[test]
fn an_indebted_one_that_is_refused_for_now_holds_up_none_behind_it() {
    let mut node = Node::of_room(2);
    let over_budget = Word {
        heavy: true,
        ..word(Class::Indebted, 1)
    };
    node.pool.push(over_budget.decoded(), Class::Indebted, true);
    node.take(word(Class::Indebted, 2));
    for name in 3..=6 {
        node.take(word(Class::Normal, name));
    }
    for _ in 0..PATIENCE_BLOCKS {
        node.pool.committed(&[]);
    }
    assert_eq!(node.next(), [2, 3]);
    // A check tries it first: it may be only others that used up its budget.
    let recheck = node.pool.recheck(RECHECK_BYTES);
    assert_eq!(recheck.txs[0].1.id(), over_budget.id());
}

/// A small generator, so that each case has a number (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// Whatever comes: nothing is lost or doubled, dependencies come first, the order within a class is that of arrival
/// for what depends on nothing, and the indebted are not starved.
#[test]
fn nothing_is_lost_doubled_or_starved() {
    let (mut transactions, mut blocks, mut out_of_order) = (0, 0, 0);
    for case in 0..200u64 {
        let mut dice = Dice(case);
        let mut node = Node::of_room(2 + dice.roll(8) as usize);
        let mut offered: Vec<(Word, u64)> = Vec::new();
        let mut came: Vec<(u16, u64)> = Vec::new();
        let mut height = 0;
        let mut name = 0;
        while height < 30 || !node.pool.is_empty() {
            if height < 30 {
                for _ in 0..dice.roll(8) {
                    name += 1;
                    let class = match dice.roll(3) {
                        0 => Class::Urgent,
                        1 => Class::Normal,
                        _ => Class::Indebted,
                    };
                    let needs = match dice.roll(4) {
                        0 => dice.roll(u64::from(name)) as u16,
                        _ => 0,
                    };
                    let heavy = dice.roll(5) == 0;
                    let word = Word {
                        class,
                        name,
                        needs,
                        heavy,
                    };
                    match node.offer(word) {
                        Ok(taken) => assert_eq!(taken, Taken::In(Vec::new()), "case {case}"),
                        // What it needs is itself refused for now: it comes again in life, not here.
                        Err(rule) => {
                            assert_eq!(rule, "needs_another", "case {case}");
                            continue;
                        }
                    }
                    offered.push((word, height));
                    assert_eq!(node.offer(word), Err("known"));
                }
            }
            let candidates = node.pool.candidates();
            let distinct: BTreeSet<Hash> = candidates.txs.iter().map(DecodedTx::id).collect();
            assert_eq!(distinct.len(), candidates.txs.len(), "case {case}");
            out_of_order += usize::from(!candidates.by_arrival);
            let order: BTreeSet<u64> = node.pool.order(true).into_iter().collect();
            assert!(order.iter().eq(node.pool.waiting.keys()), "case {case}");
            let (txs, dropped) = node.block();
            height += 1;
            assert_eq!(dropped, Vec::new(), "case {case}");
            came.extend(txs.into_iter().map(|name| (name, height)));
            assert!(
                height < 2_000,
                "case {case}: {} wait for ever",
                node.pool.len()
            );
        }
        assert_eq!(came.len(), offered.len(), "case {case}");
        let places: BTreeMap<u16, usize> = (0..).zip(&came).map(|(at, (n, _))| (*n, at)).collect();
        assert_eq!(places.len(), offered.len(), "case {case}");
        for (word, _) in &offered {
            if word.needs != 0 {
                assert!(places[&word.needs] < places[&word.name], "case {case}");
            }
        }
        let mut before = 0;
        for (word, since) in offered.iter().filter(|(w, _)| w.class == Class::Indebted) {
            let waited = came[places[&word.name]].1 - since;
            before += 1;
            if word.needs == 0 {
                assert!(
                    waited <= (before + 1) * (PATIENCE_BLOCKS + 1),
                    "case {case}: {waited} blocks, {before} came before"
                );
            }
        }
        transactions += offered.len();
        blocks += height;
    }
    println!("200 cases, {transactions} transactions, {blocks} blocks, {out_of_order} by class");
    assert!(transactions > 10_000 && out_of_order > 1_000);
}

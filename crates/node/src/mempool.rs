//! Transactions waiting for a block: checked on entry, bounded, in order of arrival while all fit, by class where
//! not all do.
//!
//! What is checked against is not here: [`crate::chain::Chain`] keeps the state as it would be after all that waits,
//! so that a transaction which depends on one before it (a link on its checkpoint) is admitted, and one that
//! contradicts it (the same tag twice) is not.
//!
//! Order. While everything that waits fits into a block, the order is that of arrival. Where it does not, [`Class`]
//! decides: what is urgent goes first, but leaves a quarter of the room to what is normal; what is indebted comes
//! last, except that the oldest of it goes before all others when [`PATIENCE_BLOCKS`] blocks took none of it. So the
//! n-th of the indebted waits for at most `n * (PATIENCE_BLOCKS + 1)` blocks, however many others come.
//!
//! A transaction can come before the one that it depends on then. It is refused at that place, and kept: nothing is
//! dropped before it was tried after all that arrived earlier.
//!
//! What is refused for now has shown no right to be here, and may come from anybody: few of it wait, it turns nobody
//! out, it is no reason to make a block, and once a check has found it so it comes after all others.

mod recheck;

use caduceus_crypto::Hash;
use caduceus_ledger::{Class, DecodedTx, Rejection};
use std::collections::BTreeMap;

pub use recheck::{Checked, Recheck};

/// Most transactions that wait.
pub const MAX_WAITING: usize = 20_000;
/// Most bytes that wait.
pub const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// Most transactions that come in and wait while they are refused for now.
pub const MAX_FOR_NOW: usize = 1_024;
/// Bytes of waiting transactions that are checked again after a block: two blocks' worth.
pub const RECHECK_BYTES: usize = 2 * 1024 * 1024;
/// Most bytes of what is refused for now: a check sees beyond it.
const MAX_FOR_NOW_BYTES: usize = RECHECK_BYTES / 2;

/// Places and bytes that are free after the indebted made room: the next ones need not turn anybody out, since that
/// costs a check of what waits.
const FREED: usize = 512;
const FREED_BYTES: usize = 1024 * 1024;

/// Checks that may refuse a transaction for a passing reason before it is dropped.
const MAX_PASSED_OVER: u32 = 200;
/// The same for one that is behind the others on purpose.
const MAX_PASSED_OVER_INDEBTED: u32 = 4_000;

/// Blocks without an indebted transaction after which the oldest of them goes first.
pub const PATIENCE_BLOCKS: u64 = 8;

/// Bytes of framing that a block adds to a transaction.
const FRAMING: usize = 4;

/// A transaction that waits.
struct Waiting {
    tx: DecodedTx,
    class: Class,
    /// Blocks committed when it came.
    since: u64,
    /// Checks that refused it, for a reason that may pass.
    passed_over: u32,
    /// Whether the last check did, or the one on entry.
    for_now: bool,
    /// Whether it was refused where the order put it, because it depends on one that comes later.
    stuck: bool,
}

impl Waiting {
    fn bytes(&self) -> usize {
        self.tx.bytes().len()
    }

    /// Whether it must not take the room of others.
    fn is_put_off(&self) -> bool {
        self.stuck || (self.for_now && self.passed_over > 0)
    }
}

/// How much waits that is refused for now.
#[derive(Default)]
struct ForNow {
    count: usize,
    bytes: usize,
}

impl ForNow {
    /// Notes whether this one is refused for now.
    fn set(&mut self, waiting: &mut Waiting, for_now: bool) {
        let (was, bytes) = (
            std::mem::replace(&mut waiting.for_now, for_now),
            waiting.bytes(),
        );
        self.count = self.count + usize::from(for_now) - usize::from(was);
        self.bytes = self.bytes + bytes * usize::from(for_now) - bytes * usize::from(was);
    }
}

/// The waiting transactions of one chain.
pub struct Mempool {
    /// Bytes of transactions that fit into a block.
    block_room: usize,
    next: u64,
    /// By arrival.
    waiting: BTreeMap<u64, Waiting>,
    by_id: BTreeMap<Hash, u64>,
    bytes: usize,
    for_now: ForNow,
    /// Blocks committed since the pool began.
    blocks: u64,
    /// The last of them that held an indebted transaction of this pool.
    last_indebted: u64,
}

/// What the pool says of a transaction before it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It waits already.
    Known,
    /// There is none.
    None,
    /// There is, or the indebted make some.
    Some,
}

/// What became of a transaction that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It waits, and these went to make room for it.
    In(Vec<Hash>),
    /// There is no room.
    Full,
}

/// Transactions for the next block.
pub struct Candidates {
    /// In the order in which they are to be tried.
    pub txs: Vec<DecodedTx>,
    /// Whether that is the order of arrival of all that waits. If it is not, a refusal may come from the order alone.
    pub by_arrival: bool,
}

impl Mempool {
    /// Nothing waits. `block_room` is how many bytes of transactions fit into a block.
    pub fn new(block_room: usize) -> Self {
        Self {
            block_room,
            next: 0,
            waiting: BTreeMap::new(),
            by_id: BTreeMap::new(),
            bytes: 0,
            for_now: ForNow::default(),
            blocks: 0,
            last_indebted: 0,
        }
    }

    /// Number of waiting transactions.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Number of those that are not refused for now.
    pub fn ready(&self) -> usize {
        self.waiting.len() - self.for_now.count
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Which of the indebted, newest first, have to go for a transaction of this class and size: mostly none, and else
    /// some more than have to. Nothing if that is no help.
    fn makes_room(&self, class: Class, bytes: usize) -> Option<Vec<Hash>> {
        let fits =
            |count: usize, held: usize| count < MAX_WAITING && held + bytes <= MAX_WAITING_BYTES;
        let (mut gone, mut held) = (Vec::new(), self.bytes);
        if fits(self.waiting.len(), held) {
            return Some(gone);
        }
        if class == Class::Indebted {
            return None;
        }
        let newest = self.waiting.values().rev();
        for waiting in newest.filter(|waiting| waiting.class == Class::Indebted) {
            gone.push(waiting.tx.id());
            held -= waiting.bytes();
            if fits(
                self.waiting.len() - gone.len() + FREED - 1,
                held + FREED_BYTES,
            ) {
                break;
            }
        }
        fits(self.waiting.len() - gone.len(), held).then_some(gone)
    }

    /// Whether there is room for a transaction of this class and size.
    pub fn room(&self, id: &Hash, class: Class, bytes: usize) -> Room {
        if self.by_id.contains_key(id) {
            Room::Known
        } else if self.makes_room(class, bytes).is_none() {
            Room::None
        } else {
            Room::Some
        }
    }

    /// A waiting transaction.
    pub fn get(&self, id: &Hash) -> Option<&DecodedTx> {
        Some(&self.waiting.get(self.by_id.get(id)?)?.tx)
    }

    /// Takes a transaction that was checked; `refused_for_now` if a transient rule refuses it still. Where there is no
    /// room the newest of the indebted go, unless it is one of them, or is refused for now: then its right to be here
    /// is not known, and there is no room for it beyond [`MAX_FOR_NOW`] either.
    pub fn push(&mut self, tx: DecodedTx, class: Class, refused_for_now: bool) -> Taken {
        if self.by_id.contains_key(&tx.id()) {
            return Taken::In(Vec::new());
        }
        let Some(gone) = self.makes_room(class, tx.bytes().len()) else {
            return Taken::Full;
        };
        let crowded = self.for_now.count >= MAX_FOR_NOW
            || self.for_now.bytes + tx.bytes().len() > MAX_FOR_NOW_BYTES;
        if refused_for_now && (crowded || !gone.is_empty()) {
            return Taken::Full;
        }
        self.remove(&gone);
        let mut waiting = Waiting {
            tx,
            class,
            since: self.blocks,
            passed_over: 0,
            for_now: false,
            stuck: false,
        };
        self.for_now.set(&mut waiting, refused_for_now);
        self.bytes += waiting.bytes();
        self.by_id.insert(waiting.tx.id(), self.next);
        self.waiting.insert(self.next, waiting);
        self.next += 1;
        Taken::In(gone)
    }

    /// Whether not all that waits may fit into the next block.
    fn is_crowded(&self) -> bool {
        self.for_now.count > 0 || self.bytes + FRAMING * self.waiting.len() > self.block_room
    }

    /// The places of all that waits, in the order in which a block takes them. What was refused comes last where it
    /// must not take the room of others; a check passes over that, to see whether it still is.
    fn order(&self, refused_last: bool) -> Vec<u64> {
        if !self.is_crowded() {
            return self.waiting.keys().copied().collect();
        }
        let put_off = |waiting: &Waiting| refused_last && waiting.is_put_off();
        let of = |class| {
            self.waiting
                .iter()
                .filter(move |(_, waiting)| waiting.class == class && !put_off(waiting))
        };
        let mut order = Vec::with_capacity(self.waiting.len());
        let aged = of(Class::Indebted)
            // A check tries one that is refused for now: if it is first, a budget may let it pass.
            .find(|(_, waiting)| !waiting.stuck && !(refused_last && waiting.for_now))
            .filter(|(_, waiting)| {
                let from = waiting.since.max(self.last_indebted);
                self.blocks.saturating_sub(from) >= PATIENCE_BLOCKS
            })
            .map(|(at, _)| *at);
        order.extend(aged);
        let (mut bytes, mut later) = (0, Vec::new());
        for (at, waiting) in of(Class::Urgent) {
            // The first goes first whatever its size.
            let first = bytes == 0;
            bytes += waiting.bytes() + FRAMING;
            if first || bytes <= self.block_room / 4 * 3 {
                order.push(*at);
            } else {
                later.push(*at);
            }
        }
        order.extend(of(Class::Normal).map(|(at, _)| *at));
        order.extend(later);
        let indebted = of(Class::Indebted).map(|(at, _)| *at);
        order.extend(indebted.filter(|at| Some(*at) != aged));
        let refused = self.waiting.iter().filter(|(_, waiting)| put_off(waiting));
        order.extend(refused.map(|(at, _)| *at));
        order
    }

    /// The transactions whose turn is next, at most a block's room of them.
    pub fn candidates(&self) -> Candidates {
        let mut bytes = 0;
        let txs = self
            .order(true)
            .into_iter()
            .map(|at| &self.waiting[&at])
            .take_while(|waiting| {
                bytes += waiting.bytes() + FRAMING;
                bytes <= self.block_room
            })
            .map(|waiting| waiting.tx.clone())
            .collect();
        Candidates {
            txs,
            by_arrival: !self.is_crowded(),
        }
    }

    /// Forgets the transactions of the block that is being committed.
    pub fn committed(&mut self, ids: &[Hash]) {
        self.blocks += 1;
        let indebted = ids
            .iter()
            .filter_map(|id| self.waiting.get(self.by_id.get(id)?))
            .any(|waiting| waiting.class == Class::Indebted);
        if indebted {
            self.last_indebted = self.blocks;
        }
        self.remove(ids);
    }

    /// Forgets transactions that were refused or made room.
    pub fn remove<'a>(&mut self, ids: impl IntoIterator<Item = &'a Hash>) {
        for id in ids {
            if let Some(mut waiting) = self
                .by_id
                .remove(id)
                .and_then(|at| self.waiting.remove(&at))
            {
                self.bytes -= waiting.bytes();
                self.for_now.set(&mut waiting, false);
            }
        }
    }

    /// Whether something waits that was refused when it was last checked.
    pub fn refuses_for_now(&self) -> bool {
        self.for_now.count > 0 || self.waiting.values().any(|waiting| waiting.stuck)
    }

    /// What to check again after a block, at most so many bytes of it.
    pub fn recheck(&self, limit: usize) -> Recheck {
        let order = self.order(false);
        let mut bytes = 0;
        let tried = order
            .iter()
            .take_while(|at| {
                bytes += self.waiting[at].bytes();
                bytes <= limit
            })
            .count();
        Recheck {
            txs: order[..tried]
                .iter()
                .map(|at| (*at, self.waiting[at].tx.clone()))
                .collect(),
            by_arrival: !self.is_crowded(),
            untried: order[tried..].iter().copied().min(),
        }
    }

    /// Notes what a check found, and gives what is to be dropped. A refusal may pass if its rule says so, or if
    /// something that arrived before was not tried or may pass itself; not for ever.
    pub fn checked(&mut self, checked: Checked) -> Vec<(Hash, Rejection)> {
        for (at, class) in checked.classes {
            if let Some(waiting) = self.waiting.get_mut(&at) {
                waiting.class = class;
                waiting.stuck = checked.stuck.contains(&at);
                self.for_now.set(waiting, false);
            }
        }
        let mut dropped = Vec::new();
        for (at, refusal) in checked.refused {
            let Some(waiting) = self.waiting.get_mut(&at) else {
                continue;
            };
            // One that is to be dropped goes at once; what else is kept waits for another to come or to pass.
            self.for_now.set(waiting, true);
            waiting.passed_over += 1;
            let may_pass = refusal.transient || checked.awaited.is_some_and(|awaited| awaited < at);
            let most = match waiting.class {
                Class::Urgent | Class::Normal => MAX_PASSED_OVER,
                Class::Indebted => MAX_PASSED_OVER_INDEBTED,
            };
            if !may_pass || waiting.passed_over > most {
                dropped.push((waiting.tx.id(), refusal.rejection));
            }
        }
        dropped
    }
}

#[cfg(test)]
mod tests;

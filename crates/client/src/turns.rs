//! In which order a session asks its nodes: the one that answered well last first, or, where nobody may see what
//! belongs together, at random.

use rand_core::{CryptoRng, OsRng, RngCore};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a session knows of its nodes, by index.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// The node that answered well last.
    preferred: AtomicUsize,
    /// Nodes that did not answer when they were last asked at random.
    silent: Mutex<BTreeSet<usize>>,
}

impl Turns {
    /// The same knowledge for another session.
    pub(crate) fn carried_over(&self) -> Self {
        Self {
            preferred: AtomicUsize::new(self.preferred.load(Ordering::Relaxed)),
            silent: Mutex::new(self.silent().clone()),
        }
    }

    pub(crate) fn prefer(&self, index: usize) {
        self.preferred.store(index, Ordering::Relaxed);
    }

    /// The indices of so many nodes, the one that answered well last first. There is at least one.
    pub(crate) fn in_turn(&self, count: usize) -> Vec<usize> {
        let first = self.preferred.load(Ordering::Relaxed) % count;
        (0..count).map(|step| (first + step) % count).collect()
    }

    /// The indices of so many nodes in random order; those last that did not answer when asked so before, since each
    /// of them may cost a timeout.
    pub(crate) fn at_random(&self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        shuffle(&mut OsRng, &mut order);
        let silent = self.silent();
        order.sort_by_key(|index| silent.contains(index));
        order
    }

    /// Notes whether a node that was asked at random is there.
    pub(crate) fn heard_of(&self, index: usize, answered: bool) {
        let mut silent = self.silent();
        if answered {
            silent.remove(&index);
        } else {
            silent.insert(index);
        }
    }

    fn silent(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        // Whoever panics holding it leaves a set of indices all the same.
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Brings a list into random order.
pub fn shuffle<T>(rng: &mut (impl CryptoRng + RngCore), list: &mut [T]) {
    for last in (1..list.len()).rev() {
        let bound = u64::try_from(last + 1).expect("a length in memory fits 64 bits");
        // The remainder's bias is below one in 2^30 for any list in memory.
        let other = usize::try_from(rng.next_u64() % bound).expect("below a length in memory");
        list.swap(last, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffled_list_has_the_same_items_in_another_order() {
        let sorted: Vec<u32> = (0..64).collect();
        let mut list = sorted.clone();
        shuffle(&mut OsRng, &mut list);
        assert_ne!(list, sorted);
        let mut again = list.clone();
        shuffle(&mut OsRng, &mut again);
        assert_ne!(list, again);
        again.sort_unstable();
        assert_eq!(again, sorted);
        let (mut none, mut one): ([u32; 0], [u32; 1]) = ([], [7]);
        shuffle(&mut OsRng, &mut none);
        shuffle(&mut OsRng, &mut one);
        assert_eq!(one, [7]);
    }

    #[test]
    fn a_good_node_is_asked_first() {
        let turns = Turns::default();
        assert_eq!(turns.in_turn(3), [0, 1, 2]);
        turns.prefer(2);
        assert_eq!(turns.in_turn(3), [2, 0, 1]);
        assert_eq!(turns.carried_over().in_turn(3), [2, 0, 1]);
    }

    #[test]
    fn random_turns_reach_every_node_and_those_last_that_are_silent() {
        let turns = Turns::default();
        let firsts: BTreeSet<usize> = (0..400).map(|_| turns.at_random(4)[0]).collect();
        assert_eq!(firsts, (0..4).collect());
        turns.heard_of(1, false);
        turns.heard_of(3, false);
        for _ in 0..100 {
            let order = turns.carried_over().at_random(4);
            assert!(order[..2].contains(&0) && order[..2].contains(&2));
            assert!(order[2..].contains(&1) && order[2..].contains(&3));
        }
        turns.heard_of(1, true);
        let firsts: BTreeSet<usize> = (0..400).map(|_| turns.at_random(4)[0]).collect();
        assert_eq!(firsts, BTreeSet::from([0, 1, 2]));
        println!("{} nodes came first", firsts.len());
    }
}

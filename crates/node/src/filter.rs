//! A Bloom filter of one cache line a key, for the index.
//!
//! A search asks about thousands of keys at once, nearly all absent, in a filter far larger than the processor's
//! caches. A classic filter stops at the first bit that is not set: half of the time that branch is guessed wrong,
//! and each wrong guess waits for memory. Here a key's eight bits are in one block of 64 bytes (Putze, Sanders,
//! Singler 2009, "Cache-, Hash- and Space-Efficient Bloom Filters"), one in each of its eight words, and all are
//! looked at without a branch, so that the processor waits for many blocks at a time.
//!
//! Keys may come from an adversary, who could fill one block on purpose; so the hash has a random key of the
//! process (`ahash`). The filter only decides whether the table is read, never what is found.

use ahash::RandomState;
use std::sync::atomic::{AtomicU64, Ordering};

/// Words of a block.
const WORDS: usize = 8;
/// Keys whose blocks are waited for together.
const BATCH: usize = 64;
/// Bits of filter for each key that it is made for: about one absent key in a thousand passes.
const BITS_A_KEY: usize = 16;
/// Odd, random looking: spreads a hash over six-bit indices.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

#[repr(align(64))]
struct Block([AtomicU64; WORDS]);

/// The filter. Keys are added while others ask.
pub(crate) struct Filter {
    blocks: Box<[Block]>,
    hasher: RandomState,
    capacity: usize,
}

impl Filter {
    /// An empty filter for so many keys.
    pub(crate) fn new(capacity: usize) -> Self {
        let blocks = (capacity * BITS_A_KEY).div_ceil(WORDS * 64).max(1);
        Self {
            blocks: (0..blocks)
                .map(|_| Block(std::array::from_fn(|_| AtomicU64::new(0))))
                .collect(),
            hasher: RandomState::new(),
            capacity,
        }
    }

    /// Keys that it was made for.
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.blocks.len() * WORDS * 8
    }

    fn place(&self, key: &[u8]) -> Place {
        let hash = self.hasher.hash_one(key);
        Place {
            // The high half of a product is a number below the other factor.
            block: ((u128::from(hash) * self.blocks.len() as u128) >> 64) as usize,
            spread: hash.wrapping_mul(SPREAD),
        }
    }

    /// Adds a key.
    pub(crate) fn insert(&self, key: &[u8]) {
        let place = self.place(key);
        for (at, word) in self.blocks[place.block].0.iter().enumerate() {
            word.fetch_or(place.bit(at), Ordering::Relaxed);
        }
    }

    /// Whether the key may have been added; false means that it was not.
    pub(crate) fn may_hold(&self, key: &[u8]) -> bool {
        self.has(&self.place(key))
    }

    /// The same for many keys, in less time than one by one.
    pub(crate) fn may_hold_each<K: AsRef<[u8]>>(&self, keys: &[K]) -> Vec<bool> {
        let mut held = Vec::with_capacity(keys.len());
        for batch in keys.chunks(BATCH) {
            let places: Vec<Place> = batch.iter().map(|key| self.place(key.as_ref())).collect();
            // Nothing but loads, so that the processor waits for all blocks of the batch at once.
            let touched = places.iter().fold(0, |touched, place| {
                touched ^ self.blocks[place.block].0[0].load(Ordering::Relaxed)
            });
            std::hint::black_box(touched);
            held.extend(places.iter().map(|place| self.has(place)));
        }
        held
    }

    fn has(&self, place: &Place) -> bool {
        let mut missing = 0;
        for (at, word) in self.blocks[place.block].0.iter().enumerate() {
            missing |= !word.load(Ordering::Relaxed) & place.bit(at);
        }
        missing == 0
    }
}

/// Where a key's bits are.
struct Place {
    block: usize,
    spread: u64,
}

impl Place {
    /// The key's bit in a word of its block.
    fn bit(&self, word: usize) -> u64 {
        1 << ((self.spread >> (8 * word)) & 63)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u64) -> [u8; 20] {
        let mut key = [0; 20];
        key[..8].copy_from_slice(&n.to_be_bytes());
        key
    }

    #[test]
    fn what_was_added_is_held_and_little_else() {
        let filter = Filter::new(20_000);
        for n in 0..20_000 {
            filter.insert(&key(n));
        }
        assert!((0..20_000).all(|n| filter.may_hold(&key(n))));
        let passed = (20_000..120_000)
            .filter(|n| filter.may_hold(&key(*n)))
            .count();
        // 100,000 absent keys: a share of 0.002 is twice what theory says.
        assert!(passed < 400, "{passed} of 100,000 absent keys pass");
        let keys: Vec<[u8; 20]> = (0..1000).map(|n| key(n * 40)).collect();
        let one_by_one: Vec<bool> = keys.iter().map(|key| filter.may_hold(key)).collect();
        assert_eq!(filter.may_hold_each(&keys), one_by_one);
        assert!(filter.bytes() >= 40_000 && filter.bytes() < 41_000);
    }

    #[test]
    fn an_empty_filter_holds_nothing() {
        let filter = Filter::new(0);
        assert!((0..1000).all(|n| !filter.may_hold(&key(n))));
    }
}

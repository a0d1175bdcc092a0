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

    /// The block of a key, and the bit in each of its words.
    fn place(&self, key: &[u8]) -> (&[AtomicU64; WORDS], [u64; WORDS]) {
        let hash = self.hasher.hash_one(key);
        // The high half of a product is a number below the other factor.
        let block = (u128::from(hash) * self.blocks.len() as u128) >> 64;
        let spread = hash.wrapping_mul(SPREAD);
        let bits = std::array::from_fn(|word| 1u64 << ((spread >> (8 * word)) & 63));
        (&self.blocks[block as usize].0, bits)
    }

    /// Adds a key.
    pub(crate) fn insert(&self, key: &[u8]) {
        let (words, bits) = self.place(key);
        for (word, bit) in words.iter().zip(bits) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// Whether the key may have been added; false means that it was not.
    pub(crate) fn may_hold(&self, key: &[u8]) -> bool {
        let (words, bits) = self.place(key);
        let mut missing = 0;
        for (word, bit) in words.iter().zip(bits) {
            missing |= !word.load(Ordering::Relaxed) & bit;
        }
        missing == 0
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
        assert!(filter.bytes() >= 40_000 && filter.bytes() < 41_000);
    }

    #[test]
    fn an_empty_filter_holds_nothing() {
        let filter = Filter::new(0);
        assert!((0..1000).all(|n| !filter.may_hold(&key(n))));
    }
}

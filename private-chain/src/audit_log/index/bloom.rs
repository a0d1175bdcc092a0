//! Which terms a run may have, by their names: a Bloom filter of ten bits a term, wrong for one absent term in a hundred.

use super::cell::FIELDS;
use super::columns::Columns;
use crate::audit::{Term, TermKey};
use borsh::{BorshDeserialize, BorshSerialize};

const BITS: usize = 10;
const PROBES: u64 = 7;

/// The filter. Bytes: borsh of its words. Without words it excludes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Bloom {
    words: Vec<u64>,
}

impl Bloom {
    fn with_terms(terms: usize) -> Self {
        Self {
            words: vec![0; (terms * BITS).div_ceil(64).max(1)],
        }
    }

    /// The terms of all rows.
    pub(super) fn of(columns: &Columns, key: &TermKey) -> Self {
        let searched = &columns.columns[..FIELDS.len()];
        let mut filter = Self::with_terms(searched.iter().map(|column| column.values.len()).sum());
        for (field, column) in FIELDS.iter().zip(searched) {
            for value in column.values.iter().filter_map(|cell| cell.term_value()) {
                filter.add(&key.name(&Term {
                    field: *field,
                    value,
                }));
            }
        }
        filter
    }

    fn probes(&self, name: &[u8; 16]) -> impl Iterator<Item = (usize, u64)> {
        let half = |part: &[u8]| u64::from_le_bytes(part.try_into().expect("8 of 16 bytes"));
        // Names are pseudorandom: their halves serve as hashes.
        let (start, step) = (half(&name[..8]), half(&name[8..]) | 1);
        let bits = self.words.len() as u64 * 64;
        (0..PROBES).map(move |i| {
            let bit = start.wrapping_add(step.wrapping_mul(i)) % bits;
            ((bit / 64) as usize, 1 << (bit % 64))
        })
    }

    fn add(&mut self, name: &[u8; 16]) {
        let probes: Vec<_> = self.probes(name).collect();
        for (word, bit) in probes {
            self.words[word] |= bit;
        }
    }

    /// Whether a term of this name may be there.
    pub(super) fn may_have(&self, name: &[u8; 16]) -> bool {
        self.words.is_empty()
            || self
                .probes(name)
                .all(|(word, bit)| self.words[word] & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caduceus_crypto::{domain, hash::hash};

    fn name(n: u64) -> [u8; 16] {
        let digest = hash(domain::AUDIT_TERM, &[&n.to_le_bytes()]);
        digest.0[..16].try_into().expect("16 of 32 bytes")
    }

    #[test]
    fn what_was_added_is_found_and_little_else() {
        let mut filter = Bloom::with_terms(1_000);
        (0..1_000).for_each(|n| filter.add(&name(n)));
        assert!((0..1_000).all(|n| filter.may_have(&name(n))));
        let wrong = (1_000..11_000)
            .filter(|n| filter.may_have(&name(*n)))
            .count();
        assert!(wrong < 200, "{wrong} of 10,000");
        assert!(Bloom::default().may_have(&name(1)));
    }
}

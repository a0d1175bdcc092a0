//! What one chain proves of another: the newest header of a private chain that the alliance has on record.
//!
//! The two chains never import each other. They meet as data: the alliance writes this value under this key of its
//! authenticated state, and whoever holds a private chain asks for it with a proof and compares.

use crate::types::Height;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::merkle::{BadProof, InclusionProof, RootBuilder};
use caduceus_crypto::{Hash, HospitalId, TimeMillis};

/// Prefix of the state keys of [`CheckpointHead`].
pub const HEAD_PREFIX: &str = "head/";

/// The newest checkpointed header of a private chain. Bytes: height (8), hash (32), time (8), recorded at (8);
/// integers little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct CheckpointHead {
    /// Its private height.
    pub height: Height,
    /// Its hash.
    pub hash: Hash,
    /// Its time on the private chain.
    pub time: TimeMillis,
    /// Alliance block time of the checkpoint.
    pub recorded_at: TimeMillis,
}

/// The key under which the alliance proves a hospital's [`CheckpointHead`]: the prefix and the identifier.
pub fn head_key(hospital: &HospitalId) -> Vec<u8> {
    [HEAD_PREFIX.as_bytes(), &hospital.0].concat()
}

/// Prefix of the state keys of [`HeaderTree`].
pub const TREE_PREFIX: &str = "headers/";

/// The key under which the alliance proves a hospital's [`HeaderTree`]: the prefix and the identifier.
pub fn tree_key(hospital: &HospitalId) -> Vec<u8> {
    [TREE_PREFIX.as_bytes(), &hospital.0].concat()
}

/// All checkpointed headers of a private chain: the RFC 6962 tree over their hashes, the one of height 1 first. With
/// it, one proof of the alliance's newest state leads to a header of any age. Bytes: those of the builder.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct HeaderTree(RootBuilder);

impl HeaderTree {
    /// Most bytes: one hash for each bit of the number of leaves.
    pub const MAX_BYTES: usize = 4 + 41 * 32 + 8;

    /// Number of headers, hence the newest height.
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// Appends the header of the next height.
    pub fn push(&mut self, header: &Hash) {
        self.0.push(header.as_bytes());
    }

    /// Checks that the header of this height has this hash.
    ///
    /// # Errors
    /// [`BadProof`], also where the proof is about another height or another tree.
    pub fn check(
        &self,
        height: Height,
        header: &Hash,
        proof: &InclusionProof,
    ) -> Result<(), BadProof> {
        let index = height.0.wrapping_sub(1);
        if proof.index != index || proof.size != self.size() {
            return Err(BadProof::OutOfRange {
                index,
                size: self.size(),
            });
        }
        proof.verify(&self.0.root(), header.as_bytes())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::{codec, merkle};

    fn header(height: u64) -> Hash {
        Hash([height as u8; 32])
    }

    #[test]
    fn a_header_of_any_height_is_proved_and_no_other() {
        let mut tree = HeaderTree::default();
        let mut leaves = Vec::new();
        for size in 1..=20u64 {
            tree.push(&header(size));
            leaves.push(header(size).as_bytes().to_vec());
            // Put away and gone on with, as the chain's state is.
            let bytes = codec::encode(&tree);
            assert!(bytes.len() <= HeaderTree::MAX_BYTES);
            tree = codec::decode_exact(&bytes, HeaderTree::MAX_BYTES).unwrap();
            assert_eq!(tree.size(), size);
            for height in 1..=size {
                let proof = merkle::prove(&leaves, height as usize - 1);
                tree.check(Height(height), &header(height), &proof).unwrap();
                assert!(tree.check(Height(height), &header(99), &proof).is_err());
                for other in [height - 1, height + 1] {
                    assert!(tree.check(Height(other), &header(height), &proof).is_err());
                }
                let of_another_size = InclusionProof {
                    size: size + 1,
                    ..proof
                };
                assert!(
                    tree.check(Height(height), &header(height), &of_another_size)
                        .is_err()
                );
            }
        }
    }

    #[test]
    fn a_tree_that_cannot_be_does_not_decode() {
        let good = |count: u32, size: u64| {
            let mut bytes = count.to_le_bytes().to_vec();
            bytes.extend(vec![7; 32 * count.min(64) as usize]);
            bytes.extend(size.to_le_bytes());
            codec::decode_exact::<HeaderTree>(&bytes, 4096).is_ok()
        };
        assert!(good(0, 0) && good(1, 8) && good(2, 5));
        assert!(!good(1, 5) && !good(2, 8) && !good(65, 5) && !good(1, 1 << 41));
    }
}

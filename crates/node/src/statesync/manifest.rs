//! What a snapshot is: of which height, how much, and the root over its chunks.

use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, codec, domain, hash, merkle};
use caduceus_ledger::{Header, Height, Space, ValidatorSet};
use caduceus_network::exchange::MAX_SNAPSHOT_CHUNKS;

/// Largest encoded manifest, bytes.
pub(crate) const MAX_MANIFEST_BYTES: usize = 32 * 1024;

/// Rows of one space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Section {
    /// Rows.
    pub rows: u64,
    /// Chunks that hold them.
    pub chunks: u32,
    /// Bytes of these chunks.
    pub bytes: u64,
}

/// Commits to a snapshot. All that differs from node to node (the certificate, signatures) is beside it.
///
/// Bytes: header; voters; next validators; sections auth, bulk, index (rows `u64`, chunks `u32`, bytes `u64` each);
/// root (32).
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Manifest {
    /// Header of the snapshot's height: names chain, height, block and state root.
    pub header: Header,
    /// Who voted on that header.
    pub voters: ValidatorSet,
    /// Voters of the next height.
    pub next_validators: ValidatorSet,
    /// Rows under the header's state root.
    pub auth: Section,
    /// Plain rows.
    pub bulk: Section,
    /// Rows of the index.
    pub index: Section,
    /// RFC 6962 root over the hashes of the chunks, in order: auth, bulk, index.
    pub root: Hash,
}

/// Why a manifest describes no snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadManifest {
    /// Bytes that are no manifest.
    #[error("the manifest does not decode")]
    Malformed,
    /// A snapshot of the genesis is of no use.
    #[error("a snapshot of the genesis")]
    Genesis,
    /// A set that is not the one of the header.
    #[error("the manifest's {which} are not those of its header")]
    OtherValidators {
        /// Voters, or next validators.
        which: &'static str,
    },
    /// More chunks than a snapshot has.
    #[error("{found} chunks, at most {limit}")]
    TooManyChunks {
        /// The limit.
        limit: usize,
        /// The number found.
        found: u64,
    },
    /// The hashes of the chunks are not those under the root.
    #[error("the list of chunks does not lead to the manifest's root")]
    OtherChunks,
}

/// The hash of a chunk.
#[must_use]
pub fn chunk_hash(bytes: &[u8]) -> Hash {
    hash(domain::SNAPSHOT_CHUNK, &[bytes])
}

/// The root over chunks of these hashes.
pub(crate) fn root_of(chunks: &[Hash]) -> Hash {
    let mut tree = merkle::RootBuilder::new();
    for chunk in chunks {
        tree.push(chunk.as_bytes());
    }
    tree.root()
}

impl Manifest {
    /// Decodes and checks what can be checked without the chain.
    ///
    /// # Errors
    /// [`BadManifest`] names the rule broken.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadManifest> {
        let manifest: Self =
            codec::decode_exact(bytes, MAX_MANIFEST_BYTES).map_err(|_| BadManifest::Malformed)?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), BadManifest> {
        if self.header.height == Height::GENESIS {
            return Err(BadManifest::Genesis);
        }
        if self.voters.hash() != self.header.validators {
            return Err(BadManifest::OtherValidators { which: "voters" });
        }
        if self.next_validators.hash() != self.header.next_validators {
            return Err(BadManifest::OtherValidators {
                which: "next validators",
            });
        }
        let found = self.sections().iter().map(|s| u64::from(s.1.chunks)).sum();
        if found > MAX_SNAPSHOT_CHUNKS as u64 {
            return Err(BadManifest::TooManyChunks {
                limit: MAX_SNAPSHOT_CHUNKS,
                found,
            });
        }
        Ok(())
    }

    /// Checks that these are the hashes of the chunks.
    ///
    /// # Errors
    /// [`BadManifest::OtherChunks`].
    pub fn check_chunks(&self, chunks: &[Hash]) -> Result<(), BadManifest> {
        if chunks.len() != self.chunks() as usize || root_of(chunks) != self.root {
            return Err(BadManifest::OtherChunks);
        }
        Ok(())
    }

    /// What validators sign.
    pub fn hash(&self) -> Hash {
        hash(domain::SNAPSHOT, &[&codec::encode(self)])
    }

    /// The height.
    pub fn height(&self) -> Height {
        self.header.height
    }

    /// The sections in the order of their chunks.
    pub fn sections(&self) -> [(Space, Section); 3] {
        [
            (Space::Auth, self.auth),
            (Space::Bulk, self.bulk),
            (Space::Index, self.index),
        ]
    }

    /// Number of chunks.
    pub fn chunks(&self) -> u32 {
        self.auth.chunks + self.bulk.chunks + self.index.chunks
    }

    /// Bytes of all chunks.
    pub fn bytes(&self) -> u64 {
        self.auth
            .bytes
            .saturating_add(self.bulk.bytes)
            .saturating_add(self.index.bytes)
    }
}

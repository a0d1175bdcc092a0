//! Genesis, header and block, and their hashes (DESIGN 4.1).

use crate::types::{Address, ChainId, Height, ValidatorSet};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, TimeMillis, codec, domain, hash, merkle};

/// Which of the two kinds of chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ChainKind {
    /// A hospital's own chain.
    Private,
    /// The chain that the hospitals run together.
    Alliance,
}

impl ChainKind {
    /// Largest encoded block body. A private block is half of an alliance block, so that the `Link` which
    /// repeats its anchors always fits.
    pub fn max_block_bytes(self) -> usize {
        match self {
            ChainKind::Private => 448 * 1024,
            ChainKind::Alliance => 960 * 1024,
        }
    }
}

/// Largest transaction on any chain, in bytes.
pub const MAX_TX_BYTES: usize = 512 * 1024;
/// Largest encoded block: fits a Malachite proposal of eight 128 KiB parts.
pub const MAX_BLOCK_BYTES: usize = 1024 * 1024;
/// Largest chain-specific part of a header.
pub const MAX_EXTRA_BYTES: usize = 64;

/// What a chain starts from. Its hash is the chain's identifier and the root of trust of its clients.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Genesis {
    /// Kind of chain.
    pub kind: ChainKind,
    /// Name for people.
    pub name: String,
    /// Time of the genesis state, Unix milliseconds UTC.
    pub time: TimeMillis,
    /// Voters of height 1.
    pub validators: ValidatorSet,
    /// The chain's own genesis, borsh.
    pub app: Vec<u8>,
}

impl Genesis {
    /// The chain's identifier.
    pub fn chain_id(&self) -> ChainId {
        ChainId(hash(domain::GENESIS, &[&codec::encode(self)]))
    }
}

/// A block's header; its hash is the block's identifier. The round in which it was decided is not in it, so
/// that a re-proposal in a later round keeps its identity.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Header {
    /// The chain.
    pub chain: ChainId,
    /// The height.
    pub height: Height,
    /// Block time: strictly greater than the parent's.
    pub time: TimeMillis,
    /// Who first proposed it.
    pub proposer: Address,
    /// Hash of the parent header.
    pub parent: Hash,
    /// RFC 6962 root over the transactions.
    pub txs_root: Hash,
    /// RFC 6962 root over the results, one per transaction.
    pub results_root: Hash,
    /// Root of the authenticated state after this block.
    pub state_root: Hash,
    /// Hash of the set that votes on this block.
    pub validators: Hash,
    /// Hash of the set that votes on the next one.
    pub next_validators: Hash,
    /// Chain-specific bytes, at most [`MAX_EXTRA_BYTES`].
    pub extra: Vec<u8>,
}

impl Header {
    /// The block identifier.
    pub fn hash(&self) -> Hash {
        hash(domain::HEADER, &[&codec::encode(self)])
    }
}

/// A header and the transactions it commits to.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Block {
    /// The header.
    pub header: Header,
    /// Encoded transactions in execution order.
    pub txs: Vec<Vec<u8>>,
}

impl Block {
    /// The block identifier.
    pub fn hash(&self) -> Hash {
        self.header.hash()
    }

    /// Whether the transactions are those the header commits to.
    pub fn body_matches(&self) -> bool {
        merkle::root(&self.txs) == self.header.txs_root
    }
}

/// A transaction's identifier: the hash of its encoded bytes.
pub fn tx_id(bytes: &[u8]) -> Hash {
    hash(domain::TX, &[bytes])
}

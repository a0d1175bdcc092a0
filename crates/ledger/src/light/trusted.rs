//! What a client trusts of a chain and keeps between runs.
//!
//! On disk: 8 bytes `CADTRUST`, 1 byte version (1), the borsh encoding of [`Trusted`], 32 bytes hash of all before
//! under [`domain::TRUSTED_HEAD`].

use super::{LightBlock, TRUSTING_PERIOD_MILLIS};
use crate::block::Genesis;
use crate::certificate::CertifiedHeader;
use crate::types::{ChainId, Height, ValidatorSet};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, TimeMillis, codec, domain, hash};

const MAGIC: &[u8; 8] = b"CADTRUST";
const VERSION: u8 = 1;
/// Largest trusted head on disk.
pub const MAX_TRUSTED_BYTES: usize = super::MAX_LIGHT_BLOCK_BYTES + 8 * 1024;

/// Why kept bytes are no trusted head. They are never repaired: to start from the genesis again is safe, but
/// forgets which heads were seen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrustedError {
    /// Not such a file, cut short, or a bit changed.
    #[error("the kept trusted head is damaged")]
    Damaged,
    /// Written by a later version.
    #[error("the kept trusted head is of version {found}, known is {known}")]
    Version {
        /// Version found.
        found: u8,
        /// Version known.
        known: u8,
    },
    /// Of another chain.
    #[error("the kept trusted head is of chain {found}, not {expected}")]
    OtherChain {
        /// The chain asked for.
        expected: ChainId,
        /// The chain found.
        found: ChainId,
    },
}

/// The header of a height that a client accepted, with the set that signed it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct Accepted {
    head: CertifiedHeader,
    validators: ValidatorSet,
}

/// A point of a chain from which a client goes on: who votes next, and at which height and time that was known.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Trusted {
    chain: ChainId,
    height: Height,
    time: TimeMillis,
    next_validators: ValidatorSet,
    accepted: Option<Accepted>,
}

impl Trusted {
    /// Trusts a genesis: its voters decide height 1.
    pub fn from_genesis(genesis: &Genesis) -> Self {
        Self::recorded(
            genesis.chain_id(),
            Height::GENESIS,
            genesis.time,
            genesis.validators.clone(),
        )
    }

    /// Trusts what is recorded elsewhere (a hospital's voters, on the alliance chain): who votes after this height,
    /// whose time this is.
    pub fn recorded(
        chain: ChainId,
        height: Height,
        time: TimeMillis,
        next_validators: ValidatorSet,
    ) -> Self {
        Self {
            chain,
            height,
            time,
            next_validators,
            accepted: None,
        }
    }

    /// Trusts a block that [`super::step`], or a client that knew its voters, accepted.
    pub(super) fn accepting(block: LightBlock) -> Self {
        let header = &block.head.header;
        Self {
            chain: header.chain,
            height: header.height,
            time: header.time,
            next_validators: block.next_validators,
            accepted: Some(Accepted {
                head: block.head,
                validators: block.validators,
            }),
        }
    }

    /// The chain.
    pub fn chain(&self) -> ChainId {
        self.chain
    }

    /// The height.
    pub fn height(&self) -> Height {
        self.height
    }

    /// Time of the header, or of the genesis.
    pub fn time(&self) -> TimeMillis {
        self.time
    }

    /// Hash of the header; none for a genesis, whose header follows from its execution.
    pub fn hash(&self) -> Option<Hash> {
        self.head().map(|head| head.header.hash())
    }

    /// The accepted header; none for a genesis.
    pub fn head(&self) -> Option<&CertifiedHeader> {
        self.accepted.as_ref().map(|accepted| &accepted.head)
    }

    /// The set that voted at the height; none for a genesis.
    pub fn validators(&self) -> Option<&ValidatorSet> {
        self.accepted.as_ref().map(|accepted| &accepted.validators)
    }

    /// The set that votes at the next height.
    pub fn next_validators(&self) -> &ValidatorSet {
        &self.next_validators
    }

    /// How much older than the trusting period this is; none while it is inside.
    pub fn expired_by(&self, now: TimeMillis) -> Option<u64> {
        let age = now.0.saturating_sub(self.time.0);
        age.checked_sub(TRUSTING_PERIOD_MILLIS)
            .filter(|over| *over > 0)
    }

    /// The bytes that a client keeps.
    pub fn to_disk(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(VERSION);
        bytes.extend(codec::encode(self));
        let checksum = hash(domain::TRUSTED_HEAD, &[&bytes]);
        bytes.extend(checksum.as_bytes());
        bytes
    }

    /// Reads kept bytes. Checksum, sets and certificate are checked again.
    ///
    /// # Errors
    /// [`TrustedError`].
    pub fn from_disk(bytes: &[u8], chain: &ChainId) -> Result<Self, TrustedError> {
        let damaged = TrustedError::Damaged;
        if bytes.len() > MAX_TRUSTED_BYTES {
            return Err(damaged);
        }
        let (content, checksum) = bytes.split_last_chunk::<32>().ok_or(damaged.clone())?;
        if hash(domain::TRUSTED_HEAD, &[content]).as_bytes() != checksum {
            return Err(damaged);
        }
        let content = content.strip_prefix(MAGIC).ok_or(damaged.clone())?;
        let (version, content) = content.split_first().ok_or(damaged.clone())?;
        if *version != VERSION {
            return Err(TrustedError::Version {
                found: *version,
                known: VERSION,
            });
        }
        let trusted: Trusted =
            codec::decode_exact(content, MAX_TRUSTED_BYTES).map_err(|_| damaged.clone())?;
        if trusted.chain != *chain {
            return Err(TrustedError::OtherChain {
                expected: *chain,
                found: trusted.chain,
            });
        }
        match &trusted.accepted {
            Some(accepted) => {
                let block = LightBlock {
                    head: accepted.head.clone(),
                    validators: accepted.validators.clone(),
                    next_validators: trusted.next_validators.clone(),
                };
                block.check(chain).map_err(|_| damaged.clone())?;
                if Trusted::accepting(block) == trusted {
                    Ok(trusted)
                } else {
                    Err(damaged)
                }
            }
            None => Ok(trusted),
        }
    }
}

//! Names and numbers of a chain: chain identifier, height, validator address, validator set.

use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, PublicKey, domain, hash};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Identifies one chain for ever: the hash of its genesis ([`crate::Genesis::chain_id`]).
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct ChainId(pub Hash);

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainId({})", self.0.short())
    }
}

/// Position of a block: 0 is the genesis state, 1 the first block.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct Height(pub u64);

impl Height {
    /// The height of the genesis state, which has a header but no certificate.
    pub const GENESIS: Height = Height(0);

    /// The height after this one.
    pub fn next(self) -> Height {
        Height(self.0 + 1)
    }
}

impl fmt::Display for Height {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Short name of a validator: the first 20 bytes of the hash of its key.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, BorshSerialize, BorshDeserialize,
)]
pub struct Address(pub [u8; 20]);

impl Address {
    /// The address of a validator key.
    pub fn of(key: &PublicKey) -> Address {
        let digest = hash(domain::ADDRESS, &[key.as_bytes()]);
        let mut out = [0u8; 20];
        out.copy_from_slice(&digest.as_bytes()[..20]);
        Address(out)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({})", hex::encode(&self.0[..4]))
    }
}

/// One voter and its weight.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Validator {
    /// Key that signs votes and proposals.
    pub key: PublicKey,
    /// Voting power, at least 1.
    pub power: u64,
}

impl Validator {
    /// The validator's address.
    pub fn address(&self) -> Address {
        Address::of(&self.key)
    }
}

/// Why a list of validators is not a set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValidatorSetError {
    /// Nobody to vote.
    #[error("a validator set needs at least one validator")]
    Empty,
    /// More voters than [`ValidatorSet::MAX`].
    #[error("{found} validators, at most {limit} allowed")]
    TooMany {
        /// The limit.
        limit: usize,
        /// The number found.
        found: usize,
    },
    /// The same key twice.
    #[error("validator {address} appears twice")]
    Repeated {
        /// The repeated address.
        address: Address,
    },
    /// A weight of zero, or a total that overflows.
    #[error("voting power must be positive and sum below 2^62")]
    Power,
}

/// The voters of a height, sorted by address; power > 2/3 of the total decides.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize)]
pub struct ValidatorSet(Vec<Validator>);

impl BorshDeserialize for ValidatorSet {
    fn deserialize_reader<R: std::io::Read>(reader: &mut R) -> std::io::Result<Self> {
        // The number first: each key that is read costs a square root.
        let count = u32::deserialize_reader(reader)? as usize;
        if count > ValidatorSet::MAX {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                "too many validators",
            ));
        }
        let mut given = Vec::with_capacity(count);
        for _ in 0..count {
            given.push(Validator::deserialize_reader(reader)?);
        }
        let set = ValidatorSet::new(given.clone())
            .map_err(|e| std::io::Error::new(std::io::ErrorKind::InvalidData, e.to_string()))?;
        // One encoding for one set: the order on the wire is the sorted one.
        if set.0 != given {
            return Err(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                "unsorted validators",
            ));
        }
        Ok(set)
    }
}

impl ValidatorSet {
    /// Largest set: signatures of a certificate stay below 15 kB.
    pub const MAX: usize = 128;

    /// Makes a set from validators in any order.
    ///
    /// # Errors
    /// [`ValidatorSetError`] names the rule broken.
    pub fn new(mut validators: Vec<Validator>) -> Result<Self, ValidatorSetError> {
        if validators.is_empty() {
            return Err(ValidatorSetError::Empty);
        }
        if validators.len() > Self::MAX {
            return Err(ValidatorSetError::TooMany {
                limit: Self::MAX,
                found: validators.len(),
            });
        }
        validators.sort_by_key(Validator::address);
        for pair in validators.windows(2) {
            if pair[0].address() == pair[1].address() {
                return Err(ValidatorSetError::Repeated {
                    address: pair[0].address(),
                });
            }
        }
        let mut total: u64 = 0;
        for validator in &validators {
            total = match total.checked_add(validator.power) {
                Some(sum) if validator.power > 0 && sum < 1 << 62 => sum,
                _ => return Err(ValidatorSetError::Power),
            };
        }
        Ok(Self(validators))
    }

    /// The validators in address order.
    pub fn iter(&self) -> impl Iterator<Item = &Validator> {
        self.0.iter()
    }

    /// Number of validators.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The validator at a position in address order.
    pub fn at(&self, index: usize) -> Option<&Validator> {
        self.0.get(index)
    }

    /// The validator with this address.
    pub fn get(&self, address: &Address) -> Option<&Validator> {
        self.0.iter().find(|v| v.address() == *address)
    }

    /// Sum of all voting power.
    pub fn total_power(&self) -> u64 {
        self.0.iter().map(|v| v.power).sum()
    }

    /// Whether this power is more than two thirds of the total.
    pub fn is_quorum(&self, power: u64) -> bool {
        u128::from(power) * 3 > u128::from(self.total_power()) * 2
    }

    /// Whether this power is more than one third of the total: with less than a third faulty, some of it is honest.
    pub fn is_more_than_third(&self, power: u64) -> bool {
        u128::from(power) * 3 > u128::from(self.total_power())
    }

    /// Hash that a header commits to.
    pub fn hash(&self) -> Hash {
        hash(domain::VALIDATORS, &[&caduceus_crypto::codec::encode(self)])
    }
}

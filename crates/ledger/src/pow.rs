//! The mining chain of the logging paper: the puzzle, the seal that solves it, and how hard the next one is.
//!
//! The chain is that of Ussatova et al. 2024 (doi 10.52167/1609-1817-2024-130-1-332-343): each block names its
//! miner, its time, a magic number, the hash of the block before and the seconds it took; a hash of a block begins
//! with N zeros, and N follows the time that blocks take. Here a seal is put beside each block: the block, its
//! execution and its certificate are those of every other engine.
//!
//! Notation: N is the number of leading zero hexadecimal digits of a seal's hash, so one more makes a block sixteen
//! times as costly.
//!
//! # Security
//! One process mines and one key signs: there is no choice between forks. The work shows what the paper's chain
//! costs; what makes a block final is the certificate.

use crate::block::Header;
use crate::types::Height;
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::{Hash, PublicKey, SecretKey, Signature, TimeMillis, codec, domain, hash};

/// How N follows the time that a block took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct DifficultyRule {
    /// N rises after a block that took less, in milliseconds.
    pub rise_below_millis: u64,
    /// N falls after a block that took more, in milliseconds.
    pub fall_above_millis: u64,
    /// N never exceeds this.
    pub max_n: u8,
}

/// Why numbers are no [`DifficultyRule`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DifficultyRuleError {
    /// Some times would be both too short and too long.
    #[error("N rises below {rise_below_millis} ms and falls above {fall_above_millis} ms already")]
    Bounds {
        /// The lower bound.
        rise_below_millis: u64,
        /// The upper bound.
        fall_above_millis: u64,
    },
    /// Nobody finds such a hash.
    #[error("N up to {found}, at most {limit} allowed")]
    TooHard {
        /// The limit.
        limit: u8,
        /// The number found.
        found: u8,
    },
}

impl DifficultyRule {
    /// Largest `max_n`: 2^48 tries, years of one processor.
    pub const LIMIT: u8 = 12;
    /// N settles at 4 or 5, a block at some tenths of a second: a million tries at the most, on average.
    pub const DEFAULT: DifficultyRule = DifficultyRule {
        rise_below_millis: 100,
        fall_above_millis: 1_000,
        max_n: 5,
    };

    /// A rule that can be kept.
    ///
    /// # Errors
    /// [`DifficultyRuleError`] names the bound broken.
    pub fn check(&self) -> Result<(), DifficultyRuleError> {
        if self.rise_below_millis > self.fall_above_millis {
            return Err(DifficultyRuleError::Bounds {
                rise_below_millis: self.rise_below_millis,
                fall_above_millis: self.fall_above_millis,
            });
        }
        if self.max_n > Self::LIMIT {
            return Err(DifficultyRuleError::TooHard {
                limit: Self::LIMIT,
                found: self.max_n,
            });
        }
        Ok(())
    }

    /// N of the block after one of difficulty `n` that took this long.
    pub fn next(&self, n: u8, took_millis: u64) -> u8 {
        if took_millis < self.rise_below_millis {
            n.saturating_add(1).min(self.max_n)
        } else if took_millis > self.fall_above_millis {
            n.saturating_sub(1)
        } else {
            n.min(self.max_n)
        }
    }
}

/// Number of leading zero hexadecimal digits.
pub fn leading_zeros(hash: &Hash) -> u8 {
    let mut zeros = 0;
    for byte in hash.as_bytes() {
        match byte {
            0 => zeros += 2,
            1..=0x0f => return zeros + 1,
            _ => break,
        }
    }
    zeros
}

/// What the miners of one block search for: a magic number that gives a hash with N zeros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Puzzle {
    id: Height,
    timestamp: TimeMillis,
    previous: Hash,
    rule: DifficultyRule,
    n: u8,
    base: Hash,
}

impl Puzzle {
    /// The puzzle of a block, after the seal of the block before; the first block of a chain has none, and N = 0.
    /// `rule` is that of a first block: later ones keep that of their predecessor.
    pub fn new(header: &Header, before: Option<&Seal>, rule: DifficultyRule) -> Self {
        let (previous, rule, n) = match before {
            Some(seal) => (seal.hash, seal.rule, seal.n_next),
            None => (Hash::ZERO, rule, 0),
        };
        let fields = (header.hash(), header.time, previous, rule, n);
        Self {
            id: header.height,
            timestamp: header.time,
            previous,
            rule,
            n,
            base: hash(domain::POW_PUZZLE, &[&codec::encode(&fields)]),
        }
    }

    /// N: the zeros that a solution needs.
    pub fn n(&self) -> u8 {
        self.n
    }

    /// The hash that a magic number gives a miner.
    pub fn attempt(&self, miner: u32, magic: u64) -> Hash {
        hash(
            domain::POW,
            &[
                self.base.as_bytes(),
                &miner.to_le_bytes(),
                &magic.to_le_bytes(),
            ],
        )
    }

    /// Whether this hash is a solution.
    pub fn is_solved_by(&self, hash: &Hash) -> bool {
        leading_zeros(hash) >= self.n
    }

    /// The seal of the miner that found a magic number after this time.
    pub fn seal(&self, miner: u32, magic: u64, took_millis: u64) -> Seal {
        Seal {
            miner,
            id: self.id,
            timestamp: self.timestamp,
            magic,
            previous: self.previous,
            hash: self.attempt(miner, magic),
            took_millis,
            rule: self.rule,
            n: self.n,
            n_next: self.rule.next(self.n, took_millis),
        }
    }
}

/// A solved puzzle, with the fields of the paper's block.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Seal {
    /// Who found it, from 1.
    pub miner: u32,
    /// The block's number: its height.
    pub id: Height,
    /// The block's time.
    pub timestamp: TimeMillis,
    /// What the miner searched.
    pub magic: u64,
    /// Hash of the seal before; zero for the first.
    pub previous: Hash,
    /// The hash with N leading zeros.
    pub hash: Hash,
    /// How long the search took, as the node measured it.
    pub took_millis: u64,
    /// How N follows from that; the same in a whole chain.
    pub rule: DifficultyRule,
    /// N of this block.
    pub n: u8,
    /// N of the next.
    pub n_next: u8,
}

impl Seal {
    /// Signs as the validator of the chain: covers what the hash does not, such as the time the search took.
    pub fn sign(self, key: &SecretKey) -> SignedSeal {
        let signature = key.sign(domain::POW_SEAL, &codec::encode(&self));
        SignedSeal {
            body: self,
            signature,
        }
    }
}

/// A [`Seal`] with a claimed signature of the validator that made the block.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedSeal {
    /// The seal.
    pub body: Seal,
    /// The validator's signature over it.
    pub signature: Signature,
}

/// What is wrong with a seal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// It is of another block.
    #[error("the seal's id is {found}, not {expected}")]
    Id {
        /// The block's height.
        expected: Height,
        /// What the seal says.
        found: Height,
    },
    /// It has another time than the block.
    #[error("the seal's timestamp is {found}, not the block's {expected}")]
    Timestamp {
        /// The block's time, Unix milliseconds.
        expected: u64,
        /// What the seal says.
        found: u64,
    },
    /// It does not follow the seal before.
    #[error("the seal names {found} as the previous hash, not {expected}")]
    Previous {
        /// Hash of the seal before.
        expected: Hash,
        /// What the seal says.
        found: Hash,
    },
    /// It was made under another rule than the chain's.
    #[error("the seal's difficulty rule is not that of the chain")]
    Rule,
    /// The rule of a first seal cannot be kept.
    #[error("the chain's difficulty rule: {0}")]
    BadRule(#[from] DifficultyRuleError),
    /// Its difficulty is not what the seal before says.
    #[error("the seal's N is {found}, not {expected}")]
    Difficulty {
        /// N by the seal before.
        expected: u8,
        /// What the seal says.
        found: u8,
    },
    /// Its hash is not that of block, miner and magic number.
    #[error("miner {miner} and magic number {magic} give the hash {expected}, not {found}")]
    Hash {
        /// The miner.
        miner: u32,
        /// The magic number.
        magic: u64,
        /// What they give.
        expected: Hash,
        /// What the seal says.
        found: Hash,
    },
    /// There is less work in it than needed.
    #[error("the seal's hash has {found} leading zeros, {expected} needed")]
    TooEasy {
        /// N.
        expected: u8,
        /// Zeros found.
        found: u8,
    },
    /// The next difficulty does not follow from the time it took.
    #[error("after {took_millis} ms at N = {n} comes N = {expected}, not {found}")]
    NextDifficulty {
        /// N.
        n: u8,
        /// The time it took.
        took_millis: u64,
        /// What follows.
        expected: u8,
        /// What the seal says.
        found: u8,
    },
    /// The validator did not sign it.
    #[error("the seal's signature does not hold")]
    Signature,
}

impl SignedSeal {
    /// Checks a seal against its block, its predecessor and the validator that made the block. The first block has
    /// no predecessor.
    ///
    /// # Errors
    /// [`SealError`] names what is wrong first.
    pub fn verify(
        &self,
        header: &Header,
        before: Option<&Seal>,
        validator: &PublicKey,
    ) -> Result<(), SealError> {
        let seal = &self.body;
        if seal.id != header.height {
            return Err(SealError::Id {
                expected: header.height,
                found: seal.id,
            });
        }
        if seal.timestamp != header.time {
            return Err(SealError::Timestamp {
                expected: header.time.0,
                found: seal.timestamp.0,
            });
        }
        match before {
            Some(before) if before.rule != seal.rule => return Err(SealError::Rule),
            Some(_) => {}
            None => seal.rule.check()?,
        }
        let puzzle = Puzzle::new(header, before, seal.rule);
        if seal.previous != puzzle.previous {
            return Err(SealError::Previous {
                expected: puzzle.previous,
                found: seal.previous,
            });
        }
        if seal.n != puzzle.n {
            return Err(SealError::Difficulty {
                expected: puzzle.n,
                found: seal.n,
            });
        }
        let expected = puzzle.attempt(seal.miner, seal.magic);
        if seal.hash != expected {
            return Err(SealError::Hash {
                miner: seal.miner,
                magic: seal.magic,
                expected,
                found: seal.hash,
            });
        }
        if !puzzle.is_solved_by(&seal.hash) {
            return Err(SealError::TooEasy {
                expected: puzzle.n,
                found: leading_zeros(&seal.hash),
            });
        }
        let expected = seal.rule.next(seal.n, seal.took_millis);
        if seal.n_next != expected {
            return Err(SealError::NextDifficulty {
                n: seal.n,
                took_millis: seal.took_millis,
                expected,
                found: seal.n_next,
            });
        }
        validator
            .verify(domain::POW_SEAL, &codec::encode(seal), &self.signature)
            .map_err(|_| SealError::Signature)
    }
}

/// Checks a whole chain of seals in order, each block against its predecessor (the paper's block validator).
#[derive(Clone, Debug, Default)]
pub struct SealChain {
    last: Option<Seal>,
}

impl SealChain {
    /// Checks the seal of the next block.
    ///
    /// # Errors
    /// [`SealError`] names what is wrong first; the chain then stays where it was.
    pub fn push(
        &mut self,
        header: &Header,
        seal: &SignedSeal,
        validator: &PublicKey,
    ) -> Result<(), SealError> {
        seal.verify(header, self.last.as_ref(), validator)?;
        self.last = Some(seal.body.clone());
        Ok(())
    }
}

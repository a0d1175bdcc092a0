//! Why a light client does not believe an answer.

use super::step::Step;
use crate::certificate::{CertificateError, CertifiedHeader};
use crate::types::{ChainId, Height};
use caduceus_crypto::Hash;

/// Why an answer is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LightError {
    /// A header of another chain.
    #[error("header of another chain: {found}, trusted {expected}")]
    OtherChain {
        /// The trusted chain.
        expected: ChainId,
        /// The header's chain.
        found: ChainId,
    },
    /// The header names voters that are not known to vote at its height: they changed, or it is forged. A light
    /// block of that height tells ([`super::Bisection`]).
    #[error("height {height} names a validator set that is not the trusted one")]
    UnknownValidators {
        /// The height.
        height: Height,
    },
    /// The certificate does not hold.
    #[error("certificate: {0}")]
    Certificate(#[from] CertificateError),
    /// The head is older than allowed: a stale node must not hide a disclosure or a revocation.
    #[error("the node's head is {age_millis} ms old, at most {limit_millis} ms allowed")]
    Stale {
        /// Age of the head.
        age_millis: u64,
        /// The limit.
        limit_millis: u64,
    },
    /// The head is from the future by more than the allowed drift.
    #[error("the node's head is {ahead_millis} ms in the future")]
    Future {
        /// How far ahead.
        ahead_millis: u64,
    },
    /// The node's head is below one seen before.
    #[error("the node's head {found} is below {seen}, seen before")]
    Rollback {
        /// Highest height seen.
        seen: Height,
        /// Height offered.
        found: Height,
    },
    /// Two certified headers that can't both be of one chain: more than a third of the voters signed twice. Both
    /// certificates are the evidence.
    #[error(
        "the chain has forked: height {} is {} and height {} is {}, both certified",
        ours.header.height, ours.header.hash(), theirs.header.height, theirs.header.hash()
    )]
    Fork {
        /// The trusted one.
        ours: Box<CertifiedHeader>,
        /// The one offered.
        theirs: Box<CertifiedHeader>,
    },
    /// What is trusted is older than the trusting period: its voters may have left, and answer for nothing.
    #[error(
        "what is trusted is {age_millis} ms old, more than the trusting period of {limit_millis} ms"
    )]
    Expired {
        /// Age of the trusted header.
        age_millis: u64,
        /// The trusting period.
        limit_millis: u64,
    },
    /// Two heads that were to agree do not.
    #[error("two nodes give different heads: height {a_height} {a} and height {b_height} {b}")]
    HeadsDiffer {
        /// Height of the first.
        a_height: Height,
        /// Hash of the first.
        a: Hash,
        /// Height of the second.
        b_height: Height,
        /// Hash of the second.
        b: Hash,
    },
    /// A proof about another transaction.
    #[error("the proof is about transaction {found}, not {expected}")]
    OtherTransaction {
        /// Transaction asked for.
        expected: Hash,
        /// Transaction proved.
        found: Hash,
    },
    /// Transaction and result are proved at different positions.
    #[error("the result is that of another transaction")]
    ResultOfAnother,
    /// An inclusion proof that does not lead to the header's root.
    #[error("the {what} is not included under the certified header")]
    NotIncluded {
        /// What was to be proved.
        what: &'static str,
    },
    /// A light block's set is not the one that its header names.
    #[error("the given validator set is not the one that votes at height {height}")]
    WrongSet {
        /// The height whose header was used.
        height: Height,
    },
    /// A light block's next set is not the one that its header names.
    #[error("the offered validator set is not the one that height {height} commits to")]
    WrongNextSet {
        /// The height whose header was used.
        height: Height,
    },
    /// A later height whose time is not later.
    #[error("height {height} is not later than the trusted height before it")]
    TimeNotIncreasing {
        /// The height.
        height: Height,
    },
    /// Another height than the one asked for.
    #[error("a light block of height {found}, asked for {expected}")]
    OtherHeight {
        /// The height asked for.
        expected: Height,
        /// The height found.
        found: Height,
    },
    /// More light blocks than [`super::MAX_STEPS`] would be needed from here. What was verified so far is kept.
    #[error("more than {limit} light blocks are needed, verified up to height {reached}")]
    TooManySteps {
        /// The limit.
        limit: usize,
        /// The height reached.
        reached: Height,
    },
}

/// What one [`super::step`] says when it can't say yes at once.
pub(super) type Stepped = Result<Step, LightError>;

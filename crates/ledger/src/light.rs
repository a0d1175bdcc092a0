//! The light client: pure checks from a trusted genesis (DESIGN 4.5).

use crate::block::{Genesis, Header};
use crate::certificate::{CertificateError, CertifiedHeader};
use crate::types::{ChainId, Height, ValidatorSet};
use caduceus_crypto::{Hash, TimeMillis};

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
    /// The header names voters that are not the trusted ones.
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
    /// Voters changed and the step's header does not commit to the new ones.
    #[error("the offered validator set is not the one that height {height} commits to")]
    WrongNextSet {
        /// The height whose header was used.
        height: Height,
    },
}

/// Drift allowed between the client's clock and block time.
pub const MAX_AHEAD_MILLIS: u64 = 30_000;
/// A head older than three heartbeats is refused (DESIGN 4.5).
pub const MAX_HEAD_AGE_MILLIS: u64 = 90_000;

/// What a client trusts of a chain: its identifier and the voters of the heights to come.
#[derive(Clone, Debug)]
pub struct LightClient {
    chain: ChainId,
    validators: ValidatorSet,
    highest: Height,
}

impl LightClient {
    /// Trusts a genesis.
    pub fn from_genesis(genesis: &Genesis) -> Self {
        Self {
            chain: genesis.chain_id(),
            validators: genesis.validators.clone(),
            highest: Height::GENESIS,
        }
    }

    /// Trusts a chain identifier and a set of voters, as recorded elsewhere (a hospital's, on the alliance).
    pub fn trusting(chain: ChainId, validators: ValidatorSet) -> Self {
        Self {
            chain,
            validators,
            highest: Height::GENESIS,
        }
    }

    /// The chain.
    pub fn chain(&self) -> ChainId {
        self.chain
    }

    /// The trusted voters.
    pub fn validators(&self) -> &ValidatorSet {
        &self.validators
    }

    /// The highest head accepted so far.
    pub fn highest(&self) -> Height {
        self.highest
    }

    /// Checks that a header is final on this chain.
    ///
    /// # Errors
    /// [`LightError`] names the check that failed.
    pub fn verify_header(&self, head: &CertifiedHeader) -> Result<(), LightError> {
        let header = &head.header;
        if header.chain != self.chain {
            return Err(LightError::OtherChain {
                expected: self.chain,
                found: header.chain,
            });
        }
        if header.validators != self.validators.hash() {
            return Err(LightError::UnknownValidators {
                height: header.height,
            });
        }
        Ok(head.verify(&self.chain, &self.validators)?)
    }

    /// Follows a change of voters: the header, certified by the trusted set, commits to the next set.
    ///
    /// # Errors
    /// [`LightError`] names the check that failed; nothing changes then.
    pub fn follow(&mut self, head: &CertifiedHeader, next: ValidatorSet) -> Result<(), LightError> {
        self.verify_header(head)?;
        if next.hash() != head.header.next_validators {
            return Err(LightError::WrongNextSet {
                height: head.header.height,
            });
        }
        self.validators = next;
        self.highest = self.highest.max(head.header.height);
        Ok(())
    }

    /// Accepts a head as the newest state of the chain: final, fresh, and not below one seen before.
    ///
    /// # Errors
    /// [`LightError`] names the check that failed.
    pub fn accept_head(
        &mut self,
        head: &CertifiedHeader,
        now: TimeMillis,
    ) -> Result<(), LightError> {
        self.verify_header(head)?;
        check_fresh(&head.header, now, MAX_HEAD_AGE_MILLIS)?;
        if head.header.height < self.highest {
            return Err(LightError::Rollback {
                seen: self.highest,
                found: head.header.height,
            });
        }
        self.highest = head.header.height;
        Ok(())
    }
}

/// Checks a header's age against the caller's clock.
///
/// # Errors
/// [`LightError::Stale`] or [`LightError::Future`].
pub fn check_fresh(header: &Header, now: TimeMillis, limit_millis: u64) -> Result<(), LightError> {
    let ahead_millis = header.time.0.saturating_sub(now.0);
    if ahead_millis > MAX_AHEAD_MILLIS {
        return Err(LightError::Future { ahead_millis });
    }
    let age_millis = now.0.saturating_sub(header.time.0);
    if age_millis > limit_millis {
        return Err(LightError::Stale {
            age_millis,
            limit_millis,
        });
    }
    Ok(())
}

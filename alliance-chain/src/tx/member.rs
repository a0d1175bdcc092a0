//! `Member`: governance of members, proxies and credits, by two thirds of the members (DESIGN 6.1).

use super::signed_payload;
use crate::genesis::{CreditPolicy, Member, Operator, ProxyInfo};
use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::domain;
use caduceus_crypto::keys::{HospitalId, PublicKey, SecretKey, Signature};
use caduceus_ledger::{ChainId, ValidatorSet};

/// What the members decide.
// A set of validators is large, and governance is rare.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Change {
    /// A hospital joins, with the first validator set of its private chain.
    Admit(Member),
    /// A hospital leaves: it links nothing more and its tokens end, what it linked stays searchable.
    Remove(HospitalId),
    /// A hospital changes its keys and keeps its identifier.
    Rotate {
        /// The hospital.
        hospital: HospitalId,
        /// New identity key.
        identity: PublicKey,
        /// New server key.
        server: PublicKey,
    },
    /// The proxies are now these. Grants to former proxies are reissued by their patients.
    Proxies(Vec<ProxyInfo>),
    /// The voters of the alliance chain from the next height on. Proxies stay who they are: a proxy beside a node
    /// that no longer votes goes on until the proxies are changed.
    Validators(ValidatorSet),
    /// The validators are run by these members, and no others by any.
    Operators(Vec<Operator>),
    /// The service credits have these prices from now on.
    Credits(CreditPolicy),
}

/// A change at its place in the order of changes.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Governance {
    /// Number of changes before this one: makes an approval worth nothing a second time.
    pub generation: u64,
    /// The change.
    pub change: Change,
}

/// A [`Governance`] with claimed approvals.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedGovernance {
    /// What is decided.
    pub body: Governance,
    /// Approvals, one a member: identity key's signature over (chain, body).
    pub approvals: Vec<(HospitalId, Signature)>,
}

impl Governance {
    /// Approves as a member.
    pub fn approve(&self, chain: &ChainId, identity: &SecretKey) -> Signature {
        identity.sign(domain::MEMBER, &signed_payload(chain, self))
    }

    /// Collects the approvals.
    pub fn with_approvals(self, approvals: Vec<(HospitalId, Signature)>) -> SignedGovernance {
        SignedGovernance {
            body: self,
            approvals,
        }
    }

    /// Whether this identity key approved, for this chain.
    pub fn is_approved_by(
        &self,
        chain: &ChainId,
        identity: &PublicKey,
        approval: &Signature,
    ) -> bool {
        identity
            .verify(domain::MEMBER, &signed_payload(chain, self), approval)
            .is_ok()
    }
}

//! Rules of `Member` (governance).

use super::{Failure, active_member, credits, ensure, refuse};
use crate::genesis::{
    CreditPolicy, MAX_MEMBERS, Member, MemberError, Operator, OperatorsError, ProxiesError,
    check_operators, check_proxies,
};
use crate::query;
use crate::state::{self, MAX_FORMER_IDENTITIES, MemberRecord};
use crate::tx::{Change, SignedGovernance};
use caduceus_crypto::keys::{HospitalId, PublicKey};
use caduceus_ledger::{
    BlockContext, ChainId, Overlay, SetChangeError, StateError, ValidatorSet, check_set_change,
    put_validators, validators,
};
use std::collections::BTreeSet;

/// Why a change of members or proxies is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GovernanceError {
    /// Approved at another place in the order of changes.
    #[error("the change is number {found}, number {expected} is next")]
    Generation {
        /// The next number.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// An approval by no member.
    #[error("{hospital} approves and is no member")]
    ApproverUnknown {
        /// The claimed member.
        hospital: HospitalId,
    },
    /// Two approvals by one member.
    #[error("{hospital} approves twice")]
    ApproverRepeated {
        /// The member.
        hospital: HospitalId,
    },
    /// An approval that the member did not sign.
    #[error("the approval of {hospital} is not signed with its identity key")]
    NotSigned {
        /// The member.
        hospital: HospitalId,
    },
    /// Fewer than two thirds of the members.
    #[error("{found} of {members} members approve, two thirds needed")]
    TooFewApprovals {
        /// Approvals.
        found: usize,
        /// Members.
        members: usize,
    },
    /// The hospital can't be a member.
    #[error("the new member: {0}")]
    Member(#[source] MemberError),
    /// The hospital is or was a member: one that comes back takes a new identity.
    #[error("{hospital} is or was a member")]
    MemberKnown {
        /// The hospital.
        hospital: HospitalId,
    },
    /// No room for another member.
    #[error("the alliance has {limit} members, no more are possible")]
    MembersFull {
        /// The limit.
        limit: usize,
    },
    /// The private chain is another member's.
    #[error("private chain {chain} is that of {owner}")]
    ChainTaken {
        /// The chain.
        chain: ChainId,
        /// Whose it is.
        owner: HospitalId,
    },
    /// The identity or server key is another member's.
    #[error("{key} is a key of {owner}")]
    KeyTaken {
        /// The key.
        key: PublicKey,
        /// Whose it is.
        owner: HospitalId,
    },
    /// The hospital to remove or rotate is no member.
    #[error("{hospital} is no member")]
    NotAMember {
        /// The hospital.
        hospital: HospitalId,
    },
    /// Nobody would be left.
    #[error("the last member can't be removed")]
    LastMember,
    /// One key for both duties.
    #[error("identity and server must be two keys")]
    OneKey,
    /// The new proxies are no valid list.
    #[error("the proxies: {0}")]
    Proxies(#[source] ProxiesError),
    /// The voters cannot change like that: light clients and voters follow small steps.
    #[error("the validators: {0}")]
    Validators(#[source] SetChangeError),
    /// The voters changed in this block already: a second small step would make a large one of both.
    #[error("the validators change in this block already, once a block is allowed")]
    ValidatorsBlock,
    /// The new identity key is one that the hospital gave up: what was signed with it would count again.
    #[error("{key} was an identity key of {hospital} before")]
    FormerKey {
        /// The key.
        key: PublicKey,
        /// The hospital.
        hospital: HospitalId,
    },
    /// No room to remember another identity key.
    #[error("{hospital} changed its identity key {limit} times, no more are possible")]
    RotatedOften {
        /// The hospital.
        hospital: HospitalId,
        /// The limit.
        limit: usize,
    },
    /// The new operators are no valid list.
    #[error("the operators: {0}")]
    Operators(#[source] OperatorsError),
    /// The prices are those in force.
    #[error("the credit policy is this one already")]
    SameCredits,
}

impl GovernanceError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            GovernanceError::Generation { .. } => "member_generation",
            GovernanceError::ApproverUnknown { .. } => "member_approver_unknown",
            GovernanceError::ApproverRepeated { .. } => "member_approver_repeated",
            GovernanceError::NotSigned { .. } => "member_not_signed",
            GovernanceError::TooFewApprovals { .. } => "member_too_few_approvals",
            GovernanceError::Member(_) => "member_form",
            GovernanceError::MemberKnown { .. } => "member_known",
            GovernanceError::MembersFull { .. } => "member_full",
            GovernanceError::ChainTaken { .. } => "member_chain_taken",
            GovernanceError::KeyTaken { .. } => "member_key_taken",
            GovernanceError::NotAMember { .. } => "member_not_a_member",
            GovernanceError::LastMember => "member_last",
            GovernanceError::OneKey => "member_one_key",
            GovernanceError::Proxies(_) => "member_proxies",
            GovernanceError::Validators(SetChangeError::Same) => "member_validators_same",
            GovernanceError::Validators(_) => "member_validators_step",
            GovernanceError::ValidatorsBlock => "member_validators_block",
            GovernanceError::FormerKey { .. } => "member_former_key",
            GovernanceError::RotatedOften { .. } => "member_rotated_often",
            GovernanceError::Operators(_) => "member_operators",
            GovernanceError::SameCredits => "member_same_credits",
        }
    }
}

/// Applies a governance change. The result is empty.
pub(super) fn apply(
    ctx: &BlockContext,
    tx: SignedGovernance,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let counter = state::generation();
    let expected = counter.get(state)?.unwrap_or(0);
    let found = tx.body.generation;
    ensure(found == expected, || GovernanceError::Generation {
        expected,
        found,
    })?;
    let members = query::members(state)?;
    check_approvals(ctx, &tx, &members)?;
    match tx.body.change {
        Change::Admit(member) => admit(member, &members, state)?,
        Change::Remove(hospital) => remove(ctx, hospital, &members, state)?,
        Change::Rotate {
            hospital,
            identity,
            server,
        } => rotate(hospital, identity, server, &members, state)?,
        Change::Proxies(proxies) => {
            check_proxies(&proxies).or_else(|e| refuse(GovernanceError::Proxies(e)))?;
            state::proxies().put(state, &proxies);
        }
        Change::Validators(next) => change_validators(&next, state)?,
        Change::Operators(operators) => change_operators(operators, &members, state)?,
        Change::Credits(policy) => change_credits(policy, state)?,
    }
    counter.put(state, &(expected + 1));
    Ok(Vec::new())
}

/// New voters from the next height on. Light clients see one step a height, so there is one change a block.
fn change_validators(next: &ValidatorSet, state: &mut Overlay<'_>) -> Result<(), Failure> {
    let changed = state::block_validators();
    ensure(!changed.is_set(state)?, || GovernanceError::ValidatorsBlock)?;
    let now = validators(state)?;
    check_set_change(&now, next).or_else(|e| refuse(GovernanceError::Validators(e)))?;
    put_validators(state, next);
    changed.put(state, &true);
    Ok(())
}

fn change_operators(
    operators: Vec<Operator>,
    members: &[Member],
    state: &mut Overlay<'_>,
) -> Result<(), Failure> {
    let is_member = |hospital: &HospitalId| members.iter().any(|m| m.hospital == *hospital);
    check_operators(&operators, is_member).or_else(|e| refuse(GovernanceError::Operators(e)))?;
    state::operators().put(state, &operators);
    Ok(())
}

/// New prices; balances stay as they are.
fn change_credits(policy: CreditPolicy, state: &mut Overlay<'_>) -> Result<(), Failure> {
    let mut params = state::params().require(state)?;
    ensure(params.credits != policy, || GovernanceError::SameCredits)?;
    params.credits = policy;
    state::params().put(state, &params);
    Ok(())
}

/// Two thirds of the present members signed, each once.
fn check_approvals(
    ctx: &BlockContext,
    tx: &SignedGovernance,
    members: &[Member],
) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    for (hospital, approval) in &tx.approvals {
        let hospital = *hospital;
        let Some(member) = members.iter().find(|m| m.hospital == hospital) else {
            return refuse(GovernanceError::ApproverUnknown { hospital });
        };
        ensure(seen.insert(hospital), || {
            GovernanceError::ApproverRepeated { hospital }
        })?;
        ensure(
            tx.body
                .is_approved_by(&ctx.chain, &member.identity, approval),
            || GovernanceError::NotSigned { hospital },
        )?;
    }
    ensure(seen.len() * 3 >= members.len() * 2, || {
        GovernanceError::TooFewApprovals {
            found: seen.len(),
            members: members.len(),
        }
    })
}

fn admit(member: Member, members: &[Member], state: &mut Overlay<'_>) -> Result<(), Failure> {
    member
        .check()
        .or_else(|e| refuse(GovernanceError::Member(e)))?;
    let hospital = member.hospital;
    let key = state::member(&hospital);
    ensure(!key.is_set(state)?, || GovernanceError::MemberKnown {
        hospital,
    })?;
    ensure(members.len() < MAX_MEMBERS, || {
        GovernanceError::MembersFull { limit: MAX_MEMBERS }
    })?;
    for other in query::members_ever(state)? {
        ensure(other.member.private_chain != member.private_chain, || {
            GovernanceError::ChainTaken {
                chain: member.private_chain,
                owner: other.member.hospital,
            }
        })?;
    }
    check_keys_free(&hospital, &[member.identity, member.server], members)?;
    put_new_member(member, state)?;
    Ok(())
}

/// Stores a member, its ordinal and the first validator set of its chain; also what the genesis does.
pub(crate) fn put_new_member(member: Member, state: &mut Overlay<'_>) -> Result<(), StateError> {
    let hospital = member.hospital;
    let next = state::ordinals();
    let ordinal = next.get(state)?.unwrap_or(0);
    let following = ordinal
        .checked_add(1)
        .ok_or_else(|| StateError("no ordinal is left for another member".into()))?;
    next.put(state, &following);
    state::ordinal(&hospital).put(state, &ordinal);
    let set = &member.private_validators;
    state::validators(&hospital, &set.hash()).put(state, set);
    credits::open(&hospital, state)?;
    state::member(&hospital).put(
        state,
        &MemberRecord {
            member,
            removed: None,
        },
    );
    Ok(())
}

fn remove(
    ctx: &BlockContext,
    hospital: HospitalId,
    members: &[Member],
    state: &mut Overlay<'_>,
) -> Result<(), Failure> {
    let Some(mut record) = active_member(state, &hospital)? else {
        return refuse(GovernanceError::NotAMember { hospital });
    };
    ensure(members.len() > 1, || GovernanceError::LastMember)?;
    record.removed = Some(ctx.height);
    state::member(&hospital).put(state, &record);
    // Who is no member earns nothing, and the list stays one of members.
    let mut operators = query::operators(state)?;
    operators.retain(|operator| operator.hospital != hospital);
    state::operators().put(state, &operators);
    Ok(())
}

fn rotate(
    hospital: HospitalId,
    identity: PublicKey,
    server: PublicKey,
    members: &[Member],
    state: &mut Overlay<'_>,
) -> Result<(), Failure> {
    let Some(mut record) = active_member(state, &hospital)? else {
        return refuse(GovernanceError::NotAMember { hospital });
    };
    ensure(identity != server, || GovernanceError::OneKey)?;
    check_keys_free(&hospital, &[identity, server], members)?;
    keep_former(&record.member, identity, state)?;
    record.member.identity = identity;
    record.member.server = server;
    state::member(&hospital).put(state, &record);
    Ok(())
}

/// Remembers the identity key that a member gives up, so that its promises can still be held against it.
fn keep_former(
    member: &Member,
    identity: PublicKey,
    state: &mut Overlay<'_>,
) -> Result<(), Failure> {
    let hospital = member.hospital;
    if identity == member.identity {
        return Ok(());
    }
    let key = state::former_identities(&hospital);
    let mut former = key.get(state)?.unwrap_or_default();
    ensure(!former.contains(&identity), || GovernanceError::FormerKey {
        key: identity,
        hospital,
    })?;
    let limit = MAX_FORMER_IDENTITIES;
    ensure(former.len() < limit, || GovernanceError::RotatedOften {
        hospital,
        limit,
    })?;
    former.insert(0, member.identity);
    key.put(state, &former);
    Ok(())
}

/// No other member has one of these keys: else one key could vote twice.
fn check_keys_free(
    hospital: &HospitalId,
    keys: &[PublicKey],
    members: &[Member],
) -> Result<(), Failure> {
    for other in members.iter().filter(|m| m.hospital != *hospital) {
        for key in keys {
            ensure(*key != other.identity && *key != other.server, || {
                GovernanceError::KeyTaken {
                    key: *key,
                    owner: other.hospital,
                }
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! Typed reads of the alliance state, for nodes, and decoders and checks of answers, for clients.
//!
//! A client asks for a state proof of `state::grant(id).bytes()` and the like, checks it against a certified
//! header, and decodes the proved bytes with `state::grant(id).decode(bytes)`.

mod fork;
mod linked;

use crate::genesis::{Member, Operator, Params, ProxyInfo};
use crate::state::{
    self, AccessRecord, AccountRecord, AnchorsExtra, CheckpointHead, CheckpointedHeader,
    CreditRecord, GRANT_PREFIX, GrantRecord, LinkedRecord, MEMBER_PREFIX, MemberRecord, RecordRef,
    ReportRecord, RequestRecord,
};
use crate::tx::SearchResult;
use caduceus_crypto::Hash;
use caduceus_crypto::codec::{self, DecodeError};
use caduceus_crypto::evidence::{Anchor, EvidenceError};
use caduceus_crypto::keys::{HospitalId, PublicKey};
use caduceus_crypto::merkle::{BadProof, InclusionProof};
use caduceus_crypto::time::TimeMillis;
use caduceus_crypto::token::{IssuerPublicKey, Token};
use caduceus_ledger::{Header, Height, Space, StateError, StateView};

pub(crate) use fork::hashes;
pub use fork::{Conflict, conflict};
pub use linked::{
    LinkedBlock, MAX_LINKED_BYTES, linked_blocks, linked_digest, linked_document, linked_head,
};

/// Largest result of a `Search`: 4,096 hits of less than 128 bytes, rounded up.
pub const MAX_SEARCH_RESULT_BYTES: usize = 1024 * 1024;
/// More hospitals than an alliance ever admits.
const MEMBERS_EVER: usize = 1 << 16;

/// The alliance's bounds.
///
/// # Errors
/// When the store fails.
pub fn params(view: &dyn StateView) -> Result<Params, StateError> {
    state::params().require(view)
}

/// Every hospital that is or was a member, in the order of identifiers.
///
/// # Errors
/// When the store fails.
pub fn members_ever(view: &dyn StateView) -> Result<Vec<MemberRecord>, StateError> {
    let pairs = view.scan(Space::Auth, MEMBER_PREFIX.as_bytes(), MEMBERS_EVER)?;
    // The hospital in the key does not matter for decoding.
    let key = state::member(&HospitalId::default());
    pairs.iter().map(|(_, value)| key.decode(value)).collect()
}

/// The present members, in the order of identifiers.
///
/// # Errors
/// When the store fails.
pub fn members(view: &dyn StateView) -> Result<Vec<Member>, StateError> {
    let all = members_ever(view)?;
    Ok(all
        .into_iter()
        .filter(MemberRecord::is_active)
        .map(|record| record.member)
        .collect())
}

/// A member, present or former.
///
/// # Errors
/// When the store fails.
pub fn member(
    view: &dyn StateView,
    hospital: &HospitalId,
) -> Result<Option<MemberRecord>, StateError> {
    state::member(hospital).get(view)
}

/// The proxies.
///
/// # Errors
/// When the store fails.
pub fn proxies(view: &dyn StateView) -> Result<Vec<ProxyInfo>, StateError> {
    state::proxies().require(view)
}

/// Who runs which validator.
///
/// # Errors
/// When the store fails.
pub fn operators(view: &dyn StateView) -> Result<Vec<Operator>, StateError> {
    Ok(state::operators().get(view)?.unwrap_or_default())
}

/// Every member's service credits, present or former, in the order of identifiers.
///
/// # Errors
/// When the store fails.
pub fn credits(view: &dyn StateView) -> Result<Vec<(MemberRecord, CreditRecord)>, StateError> {
    members_ever(view)?
        .into_iter()
        .map(|record| {
            let credit = state::credit(&record.member.hospital).get(view)?;
            Ok((record, credit.unwrap_or_default()))
        })
        .collect()
}

/// A member's token keys, newest first; empty if it has none.
///
/// # Errors
/// When the store fails.
pub fn issuer_keys(
    view: &dyn StateView,
    member: &HospitalId,
) -> Result<Vec<IssuerPublicKey>, StateError> {
    Ok(state::issuer(member)
        .get(view)?
        .map(|record| record.keys)
        .unwrap_or_default())
}

/// A data user.
///
/// # Errors
/// When the store fails.
pub fn account(
    view: &dyn StateView,
    data_user: &PublicKey,
) -> Result<Option<AccountRecord>, StateError> {
    state::account(data_user).get(view)
}

/// The newest checkpointed header of a private chain.
///
/// # Errors
/// When the store fails.
pub fn checkpoint_head(
    view: &dyn StateView,
    hospital: &HospitalId,
) -> Result<Option<CheckpointHead>, StateError> {
    state::head(hospital).get(view)
}

/// A checkpointed private header.
///
/// # Errors
/// When the store fails.
pub fn checkpointed(
    view: &dyn StateView,
    hospital: &HospitalId,
    height: Height,
) -> Result<Option<CheckpointedHeader>, StateError> {
    state::header(hospital, height).get(view)
}

/// The private height that a linker links next: the lowest checkpointed one whose anchors are not linked, else
/// the one after the last checkpoint.
///
/// # Errors
/// When the store fails.
pub fn next_link_height(view: &dyn StateView, hospital: &HospitalId) -> Result<Height, StateError> {
    match state::first_unlinked(view, hospital)? {
        Some(height) => Ok(height),
        None => Ok(checkpoint_head(view, hospital)?
            .map_or(Height::GENESIS, |head| head.height)
            .next()),
    }
}

/// The private height up to which every anchored record is linked; 0 if there is none.
///
/// # Errors
/// When the store fails.
pub fn linked_height(view: &dyn StateView, hospital: &HospitalId) -> Result<u64, StateError> {
    Ok(next_link_height(view, hospital)?.0.saturating_sub(1))
}

/// A linked record.
///
/// # Errors
/// When the store fails.
pub fn linked_record(
    view: &dyn StateView,
    hospital: &HospitalId,
    at: &RecordRef,
) -> Result<Option<LinkedRecord>, StateError> {
    state::record(hospital, at).get(view)
}

/// Where the record under a pseudonym P is linked.
///
/// # Errors
/// When the store fails.
pub fn find_pseudonym(
    view: &dyn StateView,
    hospital: &HospitalId,
    point: &PublicKey,
) -> Result<Option<RecordRef>, StateError> {
    state::pseudonym(hospital, point).get(view)
}

/// All linked records of one private block, by position: what a local scan with the view key reads.
///
/// # Errors
/// When the store fails.
pub fn linked_at(
    view: &dyn StateView,
    hospital: &HospitalId,
    height: Height,
) -> Result<Vec<(RecordRef, LinkedRecord)>, StateError> {
    let count = checkpointed(view, hospital, height)?.map_or(0, |header| header.anchors_count);
    let mut records = Vec::new();
    for position in 0..count {
        let at = RecordRef {
            height: height.0,
            position,
        };
        match linked_record(view, hospital, &at)? {
            Some(record) => records.push((at, record)),
            None => break,
        }
    }
    Ok(records)
}

/// Whether a token is spent.
///
/// # Errors
/// When the store fails.
pub fn is_spent(view: &dyn StateView, token: &Token) -> Result<bool, StateError> {
    state::spent(&token.id()).is_set(view)
}

/// A grant by its identifier.
///
/// # Errors
/// When the store fails.
pub fn grant(view: &dyn StateView, id: &Hash) -> Result<Option<GrantRecord>, StateError> {
    state::grant(id).get(view)
}

/// Up to `limit` grants under a pseudonym P, from index `first` on.
///
/// # Errors
/// When the store fails.
pub fn grants_of(
    view: &dyn StateView,
    pseudonym: &PublicKey,
    first: u32,
    limit: u32,
) -> Result<Vec<(Hash, GrantRecord)>, StateError> {
    let ids = state::grants_of(pseudonym).page(view, first, limit)?;
    ids.into_iter()
        .map(|id| Ok((id, state::grant(&id).require(view)?)))
        .collect()
}

/// Up to `limit` grants to a data user, from index `first` on.
///
/// # Errors
/// When the store fails.
pub fn grants_to(
    view: &dyn StateView,
    data_user: &PublicKey,
    first: u32,
    limit: u32,
) -> Result<Vec<(Hash, GrantRecord)>, StateError> {
    let ids = state::grants_to(data_user).page(view, first, limit)?;
    ids.into_iter()
        .map(|id| Ok((id, state::grant(&id).require(view)?)))
        .collect()
}

/// The active grants at a time that need a fragment of a proxy, by identifier: those that its leaving touches.
/// Complete, as the whole state is read.
///
/// # Errors
/// When the store fails.
pub fn grants_with_proxy(
    view: &dyn StateView,
    proxy: &PublicKey,
    now: TimeMillis,
) -> Result<Vec<(Hash, GrantRecord)>, StateError> {
    let mut found = Vec::new();
    // Two digits at a time, so that no listing is large.
    for first in 0..=u8::MAX {
        let prefix = [GRANT_PREFIX.as_bytes(), &[first]].concat();
        for (key, value) in view.scan(Space::Auth, &prefix, usize::MAX)? {
            let (id, record) = decode_grant(&key, &value)?;
            if record.is_active(now) && record.grant.proxies.contains(proxy) {
                found.push((id, record));
            }
        }
    }
    Ok(found)
}

/// A grant from a row of the state, as a listing of [`GRANT_PREFIX`] gives it.
///
/// # Errors
/// When the key or the value is not one of a grant.
pub fn decode_grant(key: &[u8], value: &[u8]) -> Result<(Hash, GrantRecord), StateError> {
    let id = key
        .strip_prefix(GRANT_PREFIX.as_bytes())
        .and_then(|tail| tail.try_into().ok())
        .map(Hash)
        .ok_or_else(|| StateError("a grant's key does not end in an identifier".into()))?;
    Ok((id, state::grant(&id).decode(value)?))
}

/// An access ticket by its identifier.
///
/// # Errors
/// When the store fails.
pub fn access(view: &dyn StateView, id: &Hash) -> Result<Option<AccessRecord>, StateError> {
    state::access(id).get(view)
}

/// Up to `limit` access tickets of a grant, from index `first` on.
///
/// # Errors
/// When the store fails.
pub fn accesses_of(
    view: &dyn StateView,
    grant: &Hash,
    first: u32,
    limit: u32,
) -> Result<Vec<(Hash, AccessRecord)>, StateError> {
    let ids = state::accesses_of(grant).page(view, first, limit)?;
    ids.into_iter()
        .map(|id| Ok((id, state::access(&id).require(view)?)))
        .collect()
}

/// Up to `limit` requests, from index `first` on.
///
/// # Errors
/// When the store fails.
pub fn requests(
    view: &dyn StateView,
    first: u32,
    limit: u32,
) -> Result<Vec<(Hash, RequestRecord)>, StateError> {
    let ids = state::requests().page(view, first, limit)?;
    ids.into_iter()
        .map(|id| Ok((id, state::request(&id).require(view)?)))
        .collect()
}

/// Up to `limit` reports about a hospital, from index `first` on.
///
/// # Errors
/// When the store fails.
pub fn reports_about(
    view: &dyn StateView,
    hospital: &HospitalId,
    first: u32,
    limit: u32,
) -> Result<Vec<(Hash, ReportRecord)>, StateError> {
    let ids = state::reports_about(hospital).page(view, first, limit)?;
    ids.into_iter()
        .map(|id| Ok((id, state::report(&id).require(view)?)))
        .collect()
}

/// Reads the result of a `Search`.
///
/// # Errors
/// [`DecodeError`] when the bytes are no such result.
pub fn search_result(result: &[u8]) -> Result<SearchResult, DecodeError> {
    codec::decode_exact(result, MAX_SEARCH_RESULT_BYTES)
}

/// Why an anchor offered for a linked record is not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnchorMismatch {
    /// The header offered is not the checkpointed one, or carries no anchors.
    #[error("the private header is not the checkpointed one")]
    Header,
    /// The proof is for another position.
    #[error("the proof is for position {found}, not {expected}")]
    Position {
        /// Position asked for.
        expected: u32,
        /// Position proved.
        found: u64,
    },
    /// The anchor is not under the header's anchors root.
    #[error("the anchor is not included: {0}")]
    NotIncluded(#[source] BadProof),
    /// The evidence does not hold by itself.
    #[error("evidence: {0}")]
    Evidence(#[source] EvidenceError),
}

/// Checks that a private node's anchor is the one at a place: header, inclusion, evidence (DESIGN 2.3, step 3).
///
/// # Errors
/// [`AnchorMismatch`] names the check that failed.
pub fn check_anchor(
    known: &CheckpointedHeader,
    header: &Header,
    at: &RecordRef,
    anchor: &Anchor,
    proof: &InclusionProof,
) -> Result<(), AnchorMismatch> {
    let extra = AnchorsExtra::parse(&header.extra).ok_or(AnchorMismatch::Header)?;
    if header.hash() != known.hash
        || header.height.0 != at.height
        || proof.size != u64::from(extra.count)
    {
        return Err(AnchorMismatch::Header);
    }
    if proof.index != u64::from(at.position) {
        return Err(AnchorMismatch::Position {
            expected: at.position,
            found: proof.index,
        });
    }
    proof
        .verify(&extra.root, &codec::encode(&anchor.leaf()))
        .map_err(AnchorMismatch::NotIncluded)?;
    anchor.check().map_err(AnchorMismatch::Evidence)
}

#[cfg(test)]
mod tests;

//! Rules of `Search` (DESIGN 3.4): admitted by a token, bounded before it runs.
//!
//! Nothing that costs much is refused after it ran: else one unspent token could keep proposers busy for ever.
//! So a search reserves its leaves and its most probes in the block's budget, and one whose probes run out has
//! a result that says so, and its token is spent. For the same reason what is known without looking at the query
//! comes before the query's check, which for a scan reads a point of a curve for every trapdoor.

use super::{Failure, active_member, credits, ensure, refuse};
use crate::genesis::Params;
use crate::query;
use crate::state::{self, Daily, RecordRef, Use};
use crate::tx::{Search, SearchResult, SignedSearch};
use borsh::BorshSerialize;
use caduceus_crypto::codec;
use caduceus_crypto::index::{CheckedQuery, Hits, IndexView, QueryError, RunError, Scanned, Tag};
use caduceus_crypto::keys::{HospitalId, PublicKey};
use caduceus_crypto::time::Epoch;
use caduceus_ledger::{BlockContext, ChainId, Height, Overlay, StateError, StateView};
use std::ops::Range;

/// Why a search is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// Made for another chain.
    #[error("the search is for chain {found}, this is {expected}")]
    OtherChain {
        /// This chain.
        expected: ChainId,
        /// The chain found.
        found: ChainId,
    },
    /// Too late.
    #[error("the search expired at height {expires}, this is {now}")]
    Expired {
        /// Last height.
        expires: Height,
        /// Height of the block.
        now: Height,
    },
    /// The hospital searched is not and never was a member.
    #[error("{hospital} is not and never was a member")]
    HospitalUnknown {
        /// The hospital.
        hospital: HospitalId,
    },
    /// The issuer is no member, or has no token key.
    #[error("{issuer} issues no tokens")]
    IssuerUnknown {
        /// The claimed issuer.
        issuer: HospitalId,
    },
    /// The token is spent.
    #[error("the token was spent at height {at}")]
    TokenSpent {
        /// The token's key.
        token: PublicKey,
        /// Height at which it was spent.
        at: Height,
    },
    /// The query breaks a bound.
    #[error("the query: {0}")]
    Query(#[source] QueryError),
    /// Not signed by the token's key.
    #[error("the search is not signed with the token's key")]
    NotSigned,
    /// The token is not of the issuer's newest two keys.
    #[error("the token is not signed by {issuer}")]
    TokenForged {
        /// The claimed issuer.
        issuer: HospitalId,
    },
    /// Tokens of this issue were spent too often today.
    #[error("{limit} searches ran today under tokens of {issuer}, no more are possible")]
    MemberLimit {
        /// The issuer.
        issuer: HospitalId,
        /// The limit.
        limit: u32,
    },
    /// The block has no room for this search; a later one may.
    #[error(
        "the search needs {needed} leaves and probes, {used} of {limit} are used in this block"
    )]
    BlockBudget {
        /// What the search may cost.
        needed: u64,
        /// Used so far.
        used: u64,
        /// The block's budget.
        limit: u64,
    },
}

impl SearchError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            SearchError::OtherChain { .. } => "search_other_chain",
            SearchError::Expired { .. } => "search_expired",
            SearchError::HospitalUnknown { .. } => "search_hospital_unknown",
            SearchError::IssuerUnknown { .. } => "search_issuer_unknown",
            SearchError::TokenSpent { .. } => "search_token_spent",
            SearchError::Query(e) => query_rule_name(e),
            SearchError::NotSigned => "search_not_signed",
            SearchError::TokenForged { .. } => "search_token_forged",
            SearchError::MemberLimit { .. } => "search_member_limit",
            SearchError::BlockBudget { .. } => "search_block_budget",
        }
    }
}

/// The name of a query's broken rule. A variant that crypto adds later gets a name here too.
fn query_rule_name(error: &QueryError) -> &'static str {
    match error {
        QueryError::Scheme { .. } => "search_foreign_scheme",
        QueryError::EmptyRange { .. } => "search_empty_range",
        QueryError::NoClauses => "search_no_clauses",
        QueryError::TooManyClauses { .. } => "search_too_many_clauses",
        QueryError::TooManySlots { .. } => "search_too_many_slots",
        QueryError::EmptyClause { .. } => "search_empty_clause",
        QueryError::UnknownSlot { .. } => "search_unknown_slot",
        QueryError::RepeatedSlot { .. } => "search_repeated_slot",
        QueryError::UnusedSlot { .. } => "search_unused_slot",
        QueryError::NoPositiveClause => "search_no_positive_clause",
        QueryError::EmptyCover { .. } => "search_empty_cover",
        QueryError::TooManyNodes { .. } => "search_too_many_nodes",
        QueryError::NoSuchNode { .. } => "search_no_such_node",
        QueryError::Unordered { .. } => "search_unordered",
        QueryError::Overlapping { .. } => "search_overlapping",
        QueryError::OutsideRange { .. } => "search_outside_range",
        QueryError::TooManyLeaves { .. } => "search_too_many_leaves",
        QueryError::ScanRange { .. } => "search_scan_range",
        QueryError::BadTrapdoor { .. } => "search_bad_trapdoor",
        _ => "search_query",
    }
}

/// Runs a search. The result is the encoding of a [`SearchResult`].
pub(super) fn apply(
    ctx: &BlockContext,
    tx: SignedSearch,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    check_right(ctx, &tx, state)?;
    let Search {
        hospital,
        query,
        issuer,
        token,
        ..
    } = tx.body;
    let params = state::params().require(state)?;
    let daily = state::daily(Daily::Searches, &issuer.0, ctx.time.epoch());
    let today = daily.get(state)?.unwrap_or(0);
    let limit = params.searches_per_day;
    ensure(today < limit, || SearchError::MemberLimit { issuer, limit })?;
    let budget = state::budget();
    let used = budget.get(state)?.unwrap_or(0);
    // All that a scan needs, and the least that a search by tags does.
    check_room(used, params.max_probes, &params)?;
    let checked = match query.verify(params.scheme, params.first_epoch, ctx.time.epoch()) {
        Ok(checked) => checked,
        Err(e) => return refuse(SearchError::Query(e)),
    };
    let needed = checked.leaves().saturating_add(params.max_probes);
    check_room(used, needed, &params)?;
    let result = run(&hospital, &checked, &params, state)?;
    budget.put(state, &(used + checked.leaves() + result.probes));
    daily.put(state, &(today + 1));
    state::spent(&token.id()).put(state, &ctx.height);
    credits::spend(&issuer, Use::Search, state)?;
    Ok(codec::encode(&result))
}

/// The block has room for this much more.
fn check_room(used: u64, needed: u64, params: &Params) -> Result<(), Failure> {
    let limit = params.block_budget;
    ensure(used.saturating_add(needed) <= limit, || {
        SearchError::BlockBudget {
            needed,
            used,
            limit,
        }
    })
}

/// The search is for here and now, and carries an unspent token whose key signs it.
fn check_right(ctx: &BlockContext, tx: &SignedSearch, view: &dyn StateView) -> Result<(), Failure> {
    let body = &tx.body;
    ensure(body.chain == ctx.chain, || SearchError::OtherChain {
        expected: ctx.chain,
        found: body.chain,
    })?;
    ensure(ctx.height <= body.expires, || SearchError::Expired {
        expires: body.expires,
        now: ctx.height,
    })?;
    let hospital = body.hospital;
    ensure(state::member(&hospital).is_set(view)?, || {
        SearchError::HospitalUnknown { hospital }
    })?;
    let issuer = body.issuer;
    let keys = match active_member(view, &issuer)? {
        Some(_) => query::issuer_keys(view, &issuer)?,
        None => Vec::new(),
    };
    ensure(!keys.is_empty(), || SearchError::IssuerUnknown { issuer })?;
    let token = &body.token;
    if let Some(at) = state::spent(&token.id()).get(view)? {
        return refuse(SearchError::TokenSpent {
            token: token.key,
            at,
        });
    }
    ensure(tx.is_signed(), || SearchError::NotSigned)?;
    ensure(keys.iter().any(|key| token.verify(key).is_ok()), || {
        SearchError::TokenForged { issuer }
    })
}

/// Encoded length of a linked record: pseudonym (33 + 33 + 1) and hash.
const LINKED_BYTES: usize = 67 + 32;

/// A `Hit` whose linked record stays encoded. Decoding a pseudonym costs two square roots, which for 4,096 hits
/// would be most of a search's time, and buys nothing: the bytes were checked when they were linked.
#[derive(BorshSerialize)]
struct EncodedHit {
    record: RecordRef,
    linked: [u8; LINKED_BYTES],
}

/// The layout of `SearchResult`.
#[derive(BorshSerialize)]
struct EncodedResult {
    hospital: HospitalId,
    linked_height: u64,
    hits: Vec<EncodedHit>,
    stopped_at: Option<RecordRef>,
    probes: u64,
}

/// A hospital's index in the state.
struct Index<'a> {
    view: &'a dyn StateView,
    ordinal: u32,
}

impl IndexView for Index<'_> {
    type Record = RecordRef;
    type Error = StateError;

    fn probe(&mut self, tag: &Tag) -> Result<Option<RecordRef>, StateError> {
        state::tag(self.ordinal, tag).get(self.view)
    }

    fn absent(&mut self, tags: &[Tag]) -> Result<Vec<bool>, StateError> {
        let keys: Vec<_> = tags
            .iter()
            .map(|tag| state::tag_key(self.ordinal, tag))
            .collect();
        self.view.index_absent(&keys)
    }

    fn nth(&mut self, n: u64) -> Result<Option<Scanned<RecordRef>>, StateError> {
        let found = state::scan_record(self.ordinal, n).get(self.view)?;
        Ok(found.map(|found| Scanned {
            record: found.record,
            day: found.day,
            entries: found.entries,
        }))
    }

    /// Records are numbered in the order of linking, so their days rise.
    fn span(&mut self, first: Epoch, last: Epoch) -> Result<Range<u64>, StateError> {
        let start = self.first_after(|day| day < first)?;
        Ok(start..self.first_after(|day| day <= last)?)
    }
}

impl Index<'_> {
    /// Number of the first record after those whose day is `early`.
    fn first_after(&self, early: impl Fn(Epoch) -> bool) -> Result<u64, StateError> {
        let count = state::scan_count(self.ordinal).get(self.view)?.unwrap_or(0);
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            let record = state::scan_record(self.ordinal, middle).require(self.view)?;
            if early(record.day) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }
}

/// Runs the query over the hospital's index and gathers what matched.
fn run(
    hospital: &HospitalId,
    checked: &CheckedQuery,
    params: &Params,
    view: &dyn StateView,
) -> Result<EncodedResult, StateError> {
    let mut index = Index {
        view,
        ordinal: state::ordinal(hospital).require(view)?,
    };
    let found = match checked.run(params.max_hits as usize, params.max_probes, &mut index) {
        Ok(found) => found,
        Err(RunError::TooManyProbes { limit }) => Hits {
            hits: Vec::new(),
            stopped_at: Some(SearchResult::GAVE_UP),
            probes: limit,
        },
        Err(RunError::Probe(e)) => return Err(e),
        Err(e) => return Err(StateError(e.to_string())),
    };
    let mut hits = Vec::with_capacity(found.hits.len());
    for record in found.hits {
        let key = state::record(hospital, &record);
        let linked = view
            .get(key.space(), key.bytes())?
            .and_then(|bytes| <[u8; LINKED_BYTES]>::try_from(bytes).ok())
            .ok_or_else(|| {
                StateError(format!(
                    "the index leads to record {record}, which is not stored"
                ))
            })?;
        hits.push(EncodedHit { record, linked });
    }
    Ok(EncodedResult {
        hospital: *hospital,
        linked_height: query::linked_height(view, hospital)?,
        hits,
        stopped_at: found.stopped_at,
        probes: found.probes,
    })
}

#[cfg(test)]
mod tests;

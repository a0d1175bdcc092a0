//! Rules of `Grant` (DESIGN 2.4, 3.6, 6.2).

use super::{Failure, ensure, refuse};
use crate::genesis::MAX_PROXIES;
use crate::state::{self, GrantRecord, GrantStatus, RecordRef};
use crate::tx::{Grant, MAX_GRANT_DAYS, MAX_GRANT_MILLIS, SignedGrant};
use caduceus_crypto::Hash;
use caduceus_crypto::keys::PublicKey;
use caduceus_crypto::time::TimeMillis;
use caduceus_ledger::{BlockContext, Overlay};
use std::collections::BTreeSet;

/// Why a grant is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// The end is past.
    #[error("the grant ended at {expires}, block time is {now}")]
    Expired {
        /// The end.
        expires: TimeMillis,
        /// Block time.
        now: TimeMillis,
    },
    /// The end is too far.
    #[error(
        "the grant ends at {expires}, more than {} days after {now}",
        MAX_GRANT_DAYS
    )]
    TooLong {
        /// The end.
        expires: TimeMillis,
        /// Block time.
        now: TimeMillis,
    },
    /// No proxy, or too many.
    #[error("{found} proxies, 1 to {limit} allowed")]
    ProxyCount {
        /// The limit.
        limit: usize,
        /// The number found.
        found: usize,
    },
    /// One proxy twice.
    #[error("proxy {proxy} appears twice")]
    ProxyRepeated {
        /// The proxy.
        proxy: PublicKey,
    },
    /// Not a proxy of the alliance.
    #[error("{proxy} is no proxy of the alliance")]
    ProxyUnknown {
        /// The key.
        proxy: PublicKey,
    },
    /// A threshold of zero, or more than there are proxies.
    #[error("a threshold of {threshold}, 1 to {proxies} possible")]
    Threshold {
        /// The threshold.
        threshold: u8,
        /// Number of proxies.
        proxies: usize,
    },
    /// Not one commitment a proxy.
    #[error("{found} fragment commitments for {expected} proxies")]
    Commitments {
        /// Number of proxies.
        expected: usize,
        /// Commitments found.
        found: usize,
    },
    /// The delegating key signs elsewhere: t fragments and the receiver's secret would reveal that key.
    #[error("the delegating key must serve for nothing else")]
    DelegatingReused,
    /// No such linked record.
    #[error("no record {record} is linked for this hospital")]
    RecordUnknown {
        /// Where it should be.
        record: RecordRef,
    },
    /// The record has another hash.
    #[error("record {record} has hash {expected}, the grant says {found}")]
    RecordHash {
        /// The record's place.
        record: RecordRef,
        /// Hash on record.
        expected: Hash,
        /// Hash in the grant.
        found: Hash,
    },
    /// The record has another pseudonym.
    #[error("record {record} has another pseudonym than the grant's")]
    Pseudonym {
        /// The record's place.
        record: RecordRef,
    },
    /// Not signed under the pseudonym.
    #[error("the grant is not signed under the record's pseudonym")]
    NotSigned,
}

impl GrantError {
    /// The rule's stable name.
    pub fn rule_name(&self) -> &'static str {
        match self {
            GrantError::Expired { .. } => "grant_expired",
            GrantError::TooLong { .. } => "grant_too_long",
            GrantError::ProxyCount { .. } => "grant_proxy_count",
            GrantError::ProxyRepeated { .. } => "grant_proxy_repeated",
            GrantError::ProxyUnknown { .. } => "grant_proxy_unknown",
            GrantError::Threshold { .. } => "grant_threshold",
            GrantError::Commitments { .. } => "grant_commitments",
            GrantError::DelegatingReused => "grant_delegating_reused",
            GrantError::RecordUnknown { .. } => "grant_record_unknown",
            GrantError::RecordHash { .. } => "grant_record_hash",
            GrantError::Pseudonym { .. } => "grant_pseudonym",
            GrantError::NotSigned => "grant_not_signed",
        }
    }
}

/// Records a grant under the transaction's identifier. The result is empty.
pub(super) fn apply(
    ctx: &BlockContext,
    id: Hash,
    tx: SignedGrant,
    state: &mut Overlay<'_>,
) -> Result<Vec<u8>, Failure> {
    let body = &tx.body;
    let (expires, now) = (body.expires, ctx.time);
    ensure(now < expires, || GrantError::Expired { expires, now })?;
    ensure(expires.0 - now.0 <= MAX_GRANT_MILLIS, || {
        GrantError::TooLong { expires, now }
    })?;
    check_proxies(body, state)?;
    let others = [
        body.pseudonym,
        body.verifying,
        body.receiving,
        body.data_user,
    ];
    ensure(!others.contains(&body.delegating), || {
        GrantError::DelegatingReused
    })?;

    let record = body.record;
    let Some(linked) = state::record(&body.hospital, &record).get(state)? else {
        return refuse(GrantError::RecordUnknown { record });
    };
    ensure(linked.record_hash == body.record_hash, || {
        GrantError::RecordHash {
            record,
            expected: linked.record_hash,
            found: body.record_hash,
        }
    })?;
    ensure(linked.pseudonym.point == body.pseudonym, || {
        GrantError::Pseudonym { record }
    })?;
    ensure(tx.is_signed(&ctx.chain), || GrantError::NotSigned)?;

    state::grants_of(&body.pseudonym).push(state, &id)?;
    state::grants_to(&body.data_user).push(state, &id)?;
    state::grant(&id).put(
        state,
        &GrantRecord {
            grant: tx.body,
            height: ctx.height,
            granted: now,
            status: GrantStatus::Active,
        },
    );
    Ok(Vec::new())
}

/// The proxies are the alliance's, each once, and each has a commitment.
fn check_proxies(body: &Grant, state: &Overlay<'_>) -> Result<(), Failure> {
    let found = body.proxies.len();
    ensure((1..=MAX_PROXIES).contains(&found), || {
        GrantError::ProxyCount {
            limit: MAX_PROXIES,
            found,
        }
    })?;
    let threshold = body.threshold;
    ensure((1..=found).contains(&usize::from(threshold)), || {
        GrantError::Threshold {
            threshold,
            proxies: found,
        }
    })?;
    let commitments = body.fragment_commitments.len();
    ensure(commitments == found, || GrantError::Commitments {
        expected: found,
        found: commitments,
    })?;
    let known = state::proxies().require(state)?;
    let mut seen = BTreeSet::new();
    for proxy in &body.proxies {
        let proxy = *proxy;
        ensure(seen.insert(proxy), || GrantError::ProxyRepeated { proxy })?;
        ensure(known.iter().any(|p| p.key == proxy), || {
            GrantError::ProxyUnknown { proxy }
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

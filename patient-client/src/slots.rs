//! From keyword clauses to the slots of a search: one trapdoor a keyword (DESIGN 3.4). Pure.

use caduceus_crypto::index::{Clause, MAX_LEAVES, Query, SchemeId};
use caduceus_crypto::time::Epoch;
use caduceus_crypto::{HospitalId, PublicKey};
use caduceus_custody::keyword::Keyword;
use caduceus_custody::patient::PatientKeys;
use caduceus_custody::query::KeywordClause;
use caduceus_custody::scheme;

/// Most days of one search: its whole quarters and two ends stay below the 64 nodes of a slot.
const MAX_WINDOW_DAYS: u64 = 4_000;

/// What the trapdoors of one patient for one hospital are made with.
#[derive(Clone, Copy, Debug)]
pub struct SlotKeys<'a> {
    /// How the network's records are indexed.
    pub scheme: SchemeId,
    /// The patient's keys.
    pub keys: &'a PatientKeys,
    /// The hospital.
    pub hospital: &'a HospitalId,
    /// I: the hospital's public index key.
    pub index: &'a PublicKey,
}

/// The distinct keywords of some clauses, in the order in which they first appear: each takes a slot.
pub(crate) fn distinct(clauses: &[KeywordClause]) -> Vec<&Keyword> {
    let mut keywords: Vec<&Keyword> = Vec::new();
    for keyword in clauses.iter().flat_map(|clause| &clause.keywords) {
        if !keywords.contains(&keyword) {
            keywords.push(keyword);
        }
    }
    keywords
}

/// The query for one hospital over the days `from` to `to`, both included.
///
/// # Leakage
/// That of the scheme's trapdoors; the order of the slots says which keyword stood first in the query.
#[must_use]
pub fn compile_slots(
    with: &SlotKeys<'_>,
    clauses: &[KeywordClause],
    from: Epoch,
    to: Epoch,
) -> Query {
    let keywords = distinct(clauses);
    let texts: Vec<&str> = keywords.iter().map(|keyword| keyword.as_str()).collect();
    let slots = scheme::slots(
        with.scheme,
        with.keys,
        with.hospital,
        with.index,
        &texts,
        from,
        to,
    );
    let clauses = clauses
        .iter()
        .map(|clause| Clause {
            negative: clause.negative,
            slots: clause
                .keywords
                .iter()
                .map(|keyword| slot_of(&keywords, keyword))
                .collect(),
        })
        .collect();
    Query { clauses, slots }
}

fn slot_of(keywords: &[&Keyword], keyword: &Keyword) -> u8 {
    let index = keywords
        .iter()
        .position(|known| *known == keyword)
        .expect("every keyword of a clause is among the distinct ones");
    u8::try_from(index).expect("a compiled query has at most 64 keywords")
}

/// Splits the days `from` to `to` so that a search of each part stays within the bounds of leaves and nodes.
/// Earliest first. Empty if `from` is after `to`; one part where the scheme scans, as its trapdoors have no leaves.
#[must_use]
pub fn windows(
    scheme: SchemeId,
    clauses: &[KeywordClause],
    from: Epoch,
    to: Epoch,
) -> Vec<(Epoch, Epoch)> {
    if from > to {
        return Vec::new();
    }
    if scheme != SchemeId::Tags {
        return vec![(from, to)];
    }
    let slots = u64::try_from(distinct(clauses).len())
        .expect("a number in memory fits 64 bits")
        .max(1);
    let days =
        u32::try_from((MAX_LEAVES / slots).clamp(1, MAX_WINDOW_DAYS)).expect("at most 4,000");
    let mut parts = Vec::new();
    let mut start = from.0;
    while start <= to.0 {
        let end = start.saturating_add(days - 1).min(to.0);
        parts.push((Epoch(start), Epoch(end)));
        if end == u32::MAX {
            break;
        }
        start = end + 1;
    }
    parts
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

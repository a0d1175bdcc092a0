//! From keyword clauses to the slots of a search: one cover a keyword (DESIGN 3.4). Pure.

use caduceus_crypto::index::{Clause, MAX_LEAVES, Query};
use caduceus_crypto::time::{Epoch, Quarter};
use caduceus_custody::index_key::QuarterKey;
use caduceus_custody::keyword::Keyword;
use caduceus_custody::query::KeywordClause;
use caduceus_custody::trapdoor::cover;
use std::collections::BTreeMap;

/// Most days of one search: its whole quarters and two ends stay below the 64 nodes of a slot.
const MAX_WINDOW_DAYS: u64 = 4_000;

/// The distinct keywords of some clauses, in the order in which they first appear: each takes a slot.
fn distinct(clauses: &[KeywordClause]) -> Vec<&Keyword> {
    let mut keywords: Vec<&Keyword> = Vec::new();
    for keyword in clauses.iter().flat_map(|clause| &clause.keywords) {
        if !keywords.contains(&keyword) {
            keywords.push(keyword);
        }
    }
    keywords
}

/// The query for one hospital over the days `from` to `to`, both included. `keys` yields the patient's key of
/// each quarter there; it is asked once for each.
///
/// # Leakage
/// As [`cover`]; the order of the slots says which keyword stood first in the query.
#[must_use]
pub fn compile_slots(
    clauses: &[KeywordClause],
    keys: impl Fn(Quarter) -> QuarterKey,
    from: Epoch,
    to: Epoch,
) -> Query {
    let keywords = distinct(clauses);
    let mut quarters: BTreeMap<Quarter, QuarterKey> = BTreeMap::new();
    let mut quarter = from.quarter();
    while quarter <= to.quarter() {
        quarters.insert(quarter, keys(quarter));
        if quarter.next() == quarter {
            break;
        }
        quarter = quarter.next();
    }
    let key_of = |quarter: Quarter| {
        quarters
            .get(&quarter)
            .expect("a cover asks for the quarters of its own range only")
            .clone()
    };
    let slots = keywords
        .iter()
        .map(|keyword| cover(key_of, keyword.as_str(), from, to))
        .collect();
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
/// Earliest first. Empty if `from` is after `to`.
#[must_use]
pub fn windows(clauses: &[KeywordClause], from: Epoch, to: Epoch) -> Vec<(Epoch, Epoch)> {
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

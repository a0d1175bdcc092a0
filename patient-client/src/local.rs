//! Her own eyes: which of a hospital's linked records are hers, and which of those a query means, without a
//! trapdoor (DESIGN 2.3).

use crate::slots::{SlotKeys, distinct};
use crate::state::{FoundRecord, Replacement};
use crate::versions::newest_versions;
use caduceus_client::{LinkedHistory, LinkedLeaf, leaves_of};
use caduceus_crypto::HospitalId;
use caduceus_crypto::evidence::AnchorLeaf;
use caduceus_crypto::index::SchemeId;
use caduceus_crypto::time::Epoch;
use caduceus_custody::check;
use caduceus_custody::keyword::Keyword;
use caduceus_custody::patient::PatientKeys;
use caduceus_custody::query::{self, KeywordClause};
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// A linked record of hers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnRecord {
    pub(crate) found: FoundRecord,
    /// UTC day of its private block. The day of its tags is this one or a neighbour.
    pub(crate) day: Epoch,
    pub(crate) leaf: AnchorLeaf,
}

impl OwnRecord {
    fn of(hospital: HospitalId, linked: LinkedLeaf<'_>) -> Self {
        Self {
            found: FoundRecord {
                hospital,
                record: linked.at,
                record_hash: linked.leaf.record_hash,
                pseudonym: linked.leaf.pseudonym,
            },
            day: linked.time.epoch(),
            leaf: linked.leaf.clone(),
        }
    }

    /// For each keyword its number on `day`, as her keys find it in the record's entries; none where they don't.
    pub(crate) fn indexed(
        &self,
        with: &SlotKeys<'_>,
        day: Epoch,
        keywords: &[&str],
    ) -> Vec<Option<u32>> {
        check::indexed(
            with.scheme,
            with.keys,
            with.hospital,
            with.index,
            day,
            &self.leaf.entries,
            keywords,
        )
    }
}

/// The records of a history that are hers, in the order of the private chain. Recognising takes a multiplication
/// a record, so all cores do it.
pub(crate) async fn own_records(
    keys: &PatientKeys,
    history: &Arc<LinkedHistory>,
) -> Vec<OwnRecord> {
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let blocks = history.blocks.len();
    let share = blocks.div_ceil(workers).max(1);
    let mut tasks = Vec::new();
    for start in (0..blocks).step_by(share) {
        let (keys, history) = (keys.clone(), Arc::clone(history));
        tasks.push(tokio::task::spawn_blocking(move || {
            let end = blocks.min(start + share);
            history.blocks[start..end]
                .iter()
                .flat_map(leaves_of)
                .filter(|linked| keys.recognise(&history.hospital, &linked.leaf.pseudonym))
                .map(|linked| OwnRecord::of(history.hospital, linked))
                .collect::<Vec<OwnRecord>>()
        }));
    }
    let mut own = Vec::new();
    for task in tasks {
        own.append(
            &mut task
                .await
                .expect("recognising neither panics nor is cancelled"),
        );
    }
    own
}

/// The days that a record's entries may be of, when its private block is of `day`: the private chain holds the day
/// of the tags to block time, give or take one. Where the scheme scans, entries have no day of their own.
pub(crate) fn possible_days(scheme: SchemeId, day: Epoch) -> Vec<Epoch> {
    if scheme != SchemeId::Tags {
        return vec![day];
    }
    let before = day.0.saturating_sub(1);
    let after = day.0.saturating_add(1);
    (before..=after).map(Epoch).collect()
}

/// Whether a record of hers is a hit of a search over `days`, both included: what the nodes would find with the
/// trapdoors, as far as no day has more than 256 records with one keyword.
pub(crate) fn is_hit(
    with: &SlotKeys<'_>,
    clauses: &[KeywordClause],
    days: (Epoch, Epoch),
    own: &OwnRecord,
) -> bool {
    let keywords = distinct(clauses);
    let texts: Vec<&str> = keywords.iter().map(|keyword| keyword.as_str()).collect();
    possible_days(with.scheme, own.day)
        .into_iter()
        .filter(|day| (days.0..=days.1).contains(day))
        .any(|day| {
            let numbers = own.indexed(with, day, &texts);
            let present: BTreeSet<Keyword> = keywords
                .iter()
                .zip(numbers)
                .filter(|(_, number)| number.is_some())
                .map(|(keyword, _)| (*keyword).clone())
                .collect();
            query::matches(clauses, &present)
        })
}

/// Which of her records replace hits, or what replaces those, as their index entries say. Nothing is opened for it.
/// `known` are relations that she has from records that she opened.
pub(crate) fn indexed_replacements(
    with: &SlotKeys<'_>,
    own: &[OwnRecord],
    hits: &[FoundRecord],
    known: &[Replacement],
) -> Vec<Replacement> {
    let all: Vec<FoundRecord> = own.iter().map(|each| each.found).collect();
    let mut relations = known.to_vec();
    let mut found = Vec::new();
    let mut asked: BTreeSet<_> = BTreeSet::new();
    // Each round asks for what replaces the newest versions known, so there are no more rounds than records.
    for _ in 0..=own.len() {
        let newest: Vec<FoundRecord> = newest_versions(hits, &all, &relations)
            .records
            .into_iter()
            .filter(|record| asked.insert(record.record_hash))
            .collect();
        if newest.is_empty() {
            break;
        }
        let keywords: Vec<Keyword> = newest
            .iter()
            .map(|record| Keyword::amends(&record.record_hash))
            .collect();
        let texts: Vec<&str> = keywords.iter().map(Keyword::as_str).collect();
        for candidate in own {
            for day in possible_days(with.scheme, candidate.day) {
                let numbers = candidate.indexed(with, day, &texts);
                for (older, _) in newest.iter().zip(numbers).filter(|(_, n)| n.is_some()) {
                    let relation = Replacement {
                        hospital: *with.hospital,
                        newer: candidate.found.record_hash,
                        older: older.record_hash,
                    };
                    relations.push(relation);
                    found.push(relation);
                }
            }
        }
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

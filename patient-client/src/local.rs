//! Her own eyes: which of a hospital's linked records are hers, and which of those a query means, without a
//! trapdoor (DESIGN 2.3).

mod dated;

pub(crate) use self::dated::{Dated, by_clinical_day};
use crate::slots::{SlotKeys, distinct};
use crate::state::{FoundRecord, Replacement};
use crate::versions::all_versions;
use caduceus_client::{LinkedHistory, LinkedLeaf, leaves_of};
use caduceus_crypto::evidence::AnchorLeaf;
use caduceus_crypto::time::Epoch;
use caduceus_crypto::{Hash, HospitalId};
use caduceus_custody::check::{LinkedEntries, OwnEntries, Seeker};
use caduceus_custody::keyword::Keyword;
use caduceus_custody::patient::PatientKeys;
use caduceus_custody::query::{self, KeywordClause};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
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

/// What a hospital has linked, arranged so that she finds her records in it.
pub(crate) fn linked_entries<'a>(
    own: &'a [OwnRecord],
    history: &LinkedHistory,
) -> LinkedEntries<'a> {
    let hers = own.iter().map(|each| OwnEntries {
        day: each.day,
        entries: &each.leaf.entries,
    });
    let tags = history
        .leaves()
        .flat_map(|linked| linked.leaf.entries.tags());
    LinkedEntries::new(hers.collect(), tags.copied().collect())
}

/// Looks with her keys.
pub(crate) fn seeker<'a>(with: &SlotKeys<'_>, linked: &'a LinkedEntries<'a>) -> Seeker<'a> {
    Seeker::new(with.scheme, with.keys, with.hospital, with.index, linked)
}

/// Which of her records are hits of a search over these days: what the nodes would find with the trapdoors. As they do,
/// it takes tags day by day. Where the scheme scans, nodes count the day of linking and this the day of the private
/// block, which are the same but around midnight, or while a hospital is cut off.
pub(crate) fn hits(
    seeker: &mut Seeker<'_>,
    clauses: &[KeywordClause],
    days: &RangeInclusive<Epoch>,
) -> BTreeSet<usize> {
    let mut present: BTreeMap<(usize, Epoch), BTreeSet<Keyword>> = BTreeMap::new();
    for keyword in distinct(clauses) {
        for place in seeker.places(keyword.as_str(), days, None) {
            present.entry(place).or_default().insert(keyword.clone());
        }
    }
    // A record without any keyword of the query is no hit: some clause is positive.
    present
        .into_iter()
        .filter(|(_, keywords)| query::matches(clauses, keywords))
        .map(|((record, _), _)| record)
        .collect()
}

/// Which of her records replace hits, or another version of those, as their index entries say. Nothing is opened for
/// it. `known` are relations that she has from records that she opened.
pub(crate) fn indexed_replacements(
    seeker: &mut Seeker<'_>,
    own: &[OwnRecord],
    hits: &[FoundRecord],
    known: &[Replacement],
) -> Vec<Replacement> {
    let all: Vec<FoundRecord> = own.iter().map(|each| each.found).collect();
    let days: BTreeMap<Hash, Epoch> = own
        .iter()
        .map(|each| (each.found.record_hash, each.day))
        .collect();
    let mut relations = known.to_vec();
    let mut found = Vec::new();
    let mut asked: BTreeSet<Hash> = BTreeSet::new();
    // Each round asks for what replaces the versions that the last one brought.
    loop {
        let unasked: Vec<Hash> = all_versions(hits, &all, &relations)
            .into_iter()
            .filter(|hash| asked.insert(*hash))
            .collect();
        if unasked.is_empty() {
            return found;
        }
        for older in unasked {
            // What replaces it is anchored after it, and has tags of the day before at the earliest.
            let first = days.get(&older).map_or(0, |day| day.0.saturating_sub(1));
            let since = Epoch(first)..=Epoch(u32::MAX);
            let keyword = Keyword::amends(&older);
            for newer in seeker.records(keyword.as_str(), &since, None) {
                let relation = Replacement {
                    hospital: all[newer].hospital,
                    newer: all[newer].record_hash,
                    older,
                };
                if !relations.contains(&relation) {
                    relations.push(relation);
                    found.push(relation);
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

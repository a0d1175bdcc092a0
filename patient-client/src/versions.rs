//! Versions of a record: which replaces which, and which is the newest (DESIGN 5.1, `Amend`). Pure.

use crate::state::{FoundRecord, Replacement};
use caduceus_crypto::{Hash, HospitalId};
use std::collections::{BTreeMap, BTreeSet};

/// Hits, with the newest version of each in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewestVersions {
    /// The newest known version of each hit, each once, in the order in which the hits first led to them.
    pub records: Vec<FoundRecord>,
    /// Those of them that replace others, with these, newest first.
    pub earlier: Vec<(FoundRecord, Vec<FoundRecord>)>,
    /// Those of them whose chain leads to a record that no search has shown yet, with its hash.
    pub unseen: Vec<(FoundRecord, Hash)>,
}

/// A record by name: hashes are unique within a hospital, and it alone says what replaces what there.
type Name = (HospitalId, Hash);

/// The relations that count, both ways.
struct Chains {
    newer: BTreeMap<Name, Hash>,
    older: BTreeMap<Name, Hash>,
}

impl Chains {
    /// Of several records that say they replace the same one, the first on the private chain is right: the chain
    /// admits no second. A record does not replace one that stands after it.
    fn of(known: &BTreeMap<Name, FoundRecord>, relations: &[Replacement]) -> Self {
        let place = |hospital: HospitalId, record: Hash| {
            known.get(&(hospital, record)).map(|found| found.record)
        };
        let mut admitted: Vec<&Replacement> = relations
            .iter()
            .filter(|each| {
                let newer = place(each.hospital, each.newer);
                let older = place(each.hospital, each.older);
                each.newer != each.older
                    && newer.zip(older).is_none_or(|(newer, older)| newer > older)
            })
            .collect();
        // Records without a known place come last.
        admitted.sort_by_key(|each| {
            let newer = place(each.hospital, each.newer);
            (newer.is_none(), newer, each.newer)
        });
        let mut chains = Self {
            newer: BTreeMap::new(),
            older: BTreeMap::new(),
        };
        for each in admitted {
            let (newer, older) = ((each.hospital, each.newer), (each.hospital, each.older));
            if !chains.newer.contains_key(&older) && !chains.older.contains_key(&newer) {
                chains.newer.insert(older, each.newer);
                chains.older.insert(newer, each.older);
            }
        }
        chains
    }

    /// What follows a record in one direction, nearest first; ends also where relations go in a circle.
    fn walk(links: &BTreeMap<Name, Hash>, from: Name) -> Vec<Hash> {
        let mut seen = BTreeSet::from([from.1]);
        let mut walked = Vec::new();
        let mut at = from;
        while let Some(next) = links.get(&at).copied().filter(|next| seen.insert(*next)) {
            walked.push(next);
            at = (from.0, next);
        }
        walked
    }
}

/// Puts the newest known version in the place of each hit. `known` gives the places of other records; a version
/// whose place is not known is passed over.
#[must_use]
pub fn newest_versions(
    hits: &[FoundRecord],
    known: &[FoundRecord],
    relations: &[Replacement],
) -> NewestVersions {
    let records: BTreeMap<Name, FoundRecord> = known
        .iter()
        .chain(hits)
        .map(|found| ((found.hospital, found.record_hash), *found))
        .collect();
    let chains = Chains::of(&records, relations);
    let mut result = NewestVersions::default();
    for hit in hits {
        let name = (hit.hospital, hit.record_hash);
        let newest = Chains::walk(&chains.newer, name)
            .into_iter()
            .rev()
            .find_map(|hash| records.get(&(hit.hospital, hash)).copied())
            .unwrap_or(*hit);
        if result.records.contains(&newest) {
            continue;
        }
        result.records.push(newest);
        let mut earlier = Vec::new();
        for hash in Chains::walk(&chains.older, (newest.hospital, newest.record_hash)) {
            match records.get(&(newest.hospital, hash)) {
                Some(found) => earlier.push(*found),
                None => result.unseen.push((newest, hash)),
            }
        }
        if !earlier.is_empty() {
            result.earlier.push((newest, earlier));
        }
    }
    result
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

//! Versions of a record: which replaces which, and which is the newest (DESIGN 5.1, `Amend`). Pure.
//!
//! That a record replaces another is what its author wrote into it. The private chain admits one `Amend` a record,
//! but it cannot look into a record that is anchored as a new one and says inside that it replaces an old one; and
//! the alliance's chain tells the two apart for nobody. So of several records that claim to replace the same one,
//! none is taken for the right one: all are shown, and it is said that they conflict. Otherwise whoever may anchor
//! could hide a correction.

use crate::state::{FoundRecord, Replacement};
use caduceus_crypto::{Hash, HospitalId};
use std::collections::{BTreeMap, BTreeSet};

/// Hits, with the newest version of each in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewestVersions {
    /// The newest known version of each hit, each once, in the order in which the hits first led to them; all of
    /// them where several claim to be it.
    pub records: Vec<FoundRecord>,
    /// Those of them that replace others, with these, newest first.
    pub earlier: Vec<(FoundRecord, Vec<FoundRecord>)>,
    /// Those of them whose chain leads to a record that no search has shown yet, with its hash.
    pub unseen: Vec<(FoundRecord, Hash)>,
    /// Those of them that conflict: of each group, at most one replaces what all of them claim to replace.
    pub conflicting: Vec<Vec<FoundRecord>>,
}

/// A record by name: hashes are unique within a hospital, and it alone says what replaces what there.
type Name = (HospitalId, Hash);

/// Records by their names.
type Places = BTreeMap<Name, FoundRecord>;

/// The relations that count, both ways. A record replaces one other; several may claim the same one.
struct Trees {
    newer: BTreeMap<Name, Vec<Hash>>,
    older: BTreeMap<Name, Hash>,
}

impl Trees {
    /// Of several relations of the same newer record the first counts. A record does not replace one that stands
    /// after it.
    fn of(places: &Places, relations: &[Replacement]) -> Self {
        let mut older: BTreeMap<Name, Hash> = BTreeMap::new();
        for each in relations {
            let names = [each.newer, each.older].map(|hash| (each.hospital, hash));
            let [newer, replaced] = names.map(|name| places.get(&name).map(|found| found.record));
            let in_order = newer
                .zip(replaced)
                .is_none_or(|(newer, replaced)| newer > replaced);
            if each.newer != each.older && in_order {
                older.entry(names[0]).or_insert(each.older);
            }
        }
        let mut newer: BTreeMap<Name, Vec<Hash>> = BTreeMap::new();
        for ((hospital, hash), replaced) in &older {
            newer.entry((*hospital, *replaced)).or_default().push(*hash);
        }
        for ((hospital, _), claimants) in &mut newer {
            // Those without a known place come last.
            claimants.sort_by_key(|hash| {
                let place = places.get(&(*hospital, *hash)).map(|found| found.record);
                (place.is_none(), place, *hash)
            });
        }
        Self { newer, older }
    }

    /// What a record replaces, and what that replaces, nearest first; ends also where relations go in a circle.
    fn replaced_by(&self, from: Name) -> Vec<Hash> {
        let mut seen = BTreeSet::from([from.1]);
        let mut walked = Vec::new();
        let mut at = from;
        while let Some(next) = self
            .older
            .get(&at)
            .copied()
            .filter(|next| seen.insert(*next))
        {
            walked.push(next);
            at = (from.0, next);
        }
        walked
    }

    /// A record and all that are known to replace it or what replaces it: each after the one that it replaces.
    fn from_root(&self, root: Name) -> Vec<Hash> {
        let mut seen = BTreeSet::from([root.1]);
        let mut all = vec![root.1];
        let mut next = 0;
        while let Some(hash) = all.get(next).copied() {
            next += 1;
            let claimants = self.newer.get(&(root.0, hash));
            all.extend(
                claimants
                    .into_iter()
                    .flatten()
                    .filter(|hash| seen.insert(**hash)),
            );
        }
        all
    }

    /// The record that a record's versions begin with.
    fn root_of(&self, name: Name) -> Name {
        let first = self.replaced_by(name).last().copied();
        (name.0, first.unwrap_or(name.1))
    }

    /// The newest versions below a root: those with a known place that nothing with a known place replaces.
    fn newest(&self, root: Name, places: &Places) -> Vec<FoundRecord> {
        let mut heads = Vec::new();
        // Records with a known place, and what these replace.
        let mut covered: BTreeSet<Hash> = BTreeSet::new();
        // From the ends back, so that whatever replaces a record was looked at before it.
        for hash in self.from_root(root).into_iter().rev() {
            let name = (root.0, hash);
            let is_covered = self
                .newer
                .get(&name)
                .is_some_and(|claimants| claimants.iter().any(|newer| covered.contains(newer)));
            let found = places.get(&name);
            if !is_covered {
                heads.extend(found.copied());
            }
            if is_covered || found.is_some() {
                covered.insert(hash);
            }
        }
        heads.reverse();
        heads
    }
}

fn places(hits: &[FoundRecord], known: &[FoundRecord]) -> Places {
    known
        .iter()
        .chain(hits)
        .map(|found| ((found.hospital, found.record_hash), *found))
        .collect()
}

/// Puts the newest known version in the place of each hit. `known` gives the places of other records; a version
/// whose place is not known is passed over.
#[must_use]
pub fn newest_versions(
    hits: &[FoundRecord],
    known: &[FoundRecord],
    relations: &[Replacement],
) -> NewestVersions {
    let places = places(hits, known);
    let trees = Trees::of(&places, relations);
    let mut result = NewestVersions::default();
    let mut roots = BTreeSet::new();
    for hit in hits {
        let root = trees.root_of((hit.hospital, hit.record_hash));
        if !roots.insert(root) {
            continue;
        }
        let heads = trees.newest(root, &places);
        for newest in &heads {
            let mut earlier = Vec::new();
            for hash in trees.replaced_by((newest.hospital, newest.record_hash)) {
                match places.get(&(newest.hospital, hash)) {
                    Some(found) => earlier.push(*found),
                    None => result.unseen.push((*newest, hash)),
                }
            }
            if !earlier.is_empty() {
                result.earlier.push((*newest, earlier));
            }
        }
        result.records.extend(&heads);
        if heads.len() > 1 {
            result.conflicting.push(heads);
        }
    }
    result
}

/// Every version of the hits that is known of, by hash: what a search for newer ones has to ask for. Not only the
/// newest, as another record may claim to replace an earlier one.
pub(crate) fn all_versions(
    hits: &[FoundRecord],
    known: &[FoundRecord],
    relations: &[Replacement],
) -> BTreeSet<Hash> {
    let trees = Trees::of(&places(hits, known), relations);
    let roots: BTreeSet<Name> = hits
        .iter()
        .map(|hit| trees.root_of((hit.hospital, hit.record_hash)))
        .collect();
    roots
        .into_iter()
        .flat_map(|root| trees.from_root(root))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

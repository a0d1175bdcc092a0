//! Evaluation of a checked query: the same on every node, in the same order, within the caller's bounds.
//!
//! A record's tags are all of one day (its anchoring), so a query over tags is evaluated day by day: a record
//! matches if it matches every clause with tags of the same day. Days ascend; within a day records ascend in the
//! order of `R`. That is the order of the covers, so a result that was cut off is continued by a cover that begins
//! at the day where it stopped. A scan takes the records in the order of linking.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::index::ggm::{Generator, LeafTags};
use crate::index::query::days_in_range;
use crate::index::scan::{self, Test};
use crate::index::{
    CheckedQuery, Cover, IndexEntries, PreparedPaeks, PreparedPeks, Scan, Slots, TREE_DEPTH, Tag,
};
use crate::time::Epoch;

/// Most hits that a search on the alliance chain returns.
pub const MAX_HITS: usize = 4_096;

/// Tags of a keyword and day that [`slot_matches`] looks for.
const TAGS_TRIED: u32 = 64;

/// An index of one hospital, as a query runs against it.
pub trait IndexView {
    /// What names a record.
    type Record: Ord + Clone;
    /// Why the index could not be read.
    type Error;

    /// The record that carries a tag. For queries over tags.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn probe(&mut self, tag: &Tag) -> Result<Option<Self::Record>, Self::Error>;

    /// Which of these tags certainly no record carries; the others are probed. A hint that saves look-ups and changes
    /// neither the answer nor its count of probes. For queries over tags.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn absent(&mut self, tags: &[Tag]) -> Result<Vec<bool>, Self::Error> {
        Ok(vec![false; tags.len()])
    }

    /// The n-th indexed record of the hospital, from 0 in the order of linking; none past the last. For scans.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn nth(&mut self, n: u64) -> Result<Option<Scanned<Self::Record>>, Self::Error>;

    /// Numbers between which all records of the days from `first` to `last` lie, for a view that can tell them
    /// without reading each record. A record of another day that is read all the same counts as one look-up.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn span(&mut self, first: Epoch, last: Epoch) -> Result<Range<u64>, Self::Error> {
        let _ = (first, last);
        Ok(0..u64::MAX)
    }
}

/// A record as a scan sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned<R> {
    /// The record.
    pub record: R,
    /// The UTC day of its anchoring.
    pub day: Epoch,
    /// Its index entries, checked when they were admitted.
    pub entries: IndexEntries,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hits<R> {
    /// The records, by day, then in the order of `R`, none twice; those of a scan in the order of linking.
    pub hits: Vec<R>,
    /// The first record that matched and did not fit; none when the search is complete.
    pub stopped_at: Option<R>,
    /// Look-ups and tests done.
    pub probes: u64,
}

/// Why a search has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError<E> {
    /// The look-ups or tests allowed were used up.
    #[error("the search needs more than {limit} look-ups")]
    TooManyProbes {
        /// The limit.
        limit: u64,
    },
    /// A look-up failed.
    #[error("a look-up in the index failed")]
    Probe(#[source] E),
}

/// A day of a slot, and the tree's leaf for it.
struct Leaf {
    epoch: Epoch,
    seed: [u8; 16],
    /// Whether the view says that no record carries its first tag.
    absent: bool,
}

impl CheckedQuery {
    /// Runs the query against an index. Stops after `max_hits` records, and gives up before more than `max_probes`
    /// look-ups (by tags), or tests of an entry and records passed over for their day (in a scan).
    ///
    /// The tags of a leaf are probed from 0 up to the first miss. In a scan a slot is tested on a record's entries up
    /// to the first that matches.
    ///
    /// # Errors
    /// [`RunError::TooManyProbes`], or [`RunError::Probe`] with what the view returned.
    pub fn run<V: IndexView>(
        &self,
        max_hits: usize,
        max_probes: u64,
        view: &mut V,
    ) -> Result<Hits<V::Record>, RunError<V::Error>> {
        match &self.query.slots {
            Slots::Tags(covers) => self.look_up(covers, max_hits, max_probes, view),
            Slots::Peks(scan) => self.scan::<PreparedPeks, V>(scan, max_hits, max_probes, view),
            Slots::Paeks(scan) => self.scan::<PreparedPaeks, V>(scan, max_hits, max_probes, view),
        }
    }

    fn scan<T: Test, V: IndexView>(
        &self,
        scan: &Scan<T::Trapdoor>,
        max_hits: usize,
        max_probes: u64,
        view: &mut V,
    ) -> Result<Hits<V::Record>, RunError<V::Error>> {
        let days = (scan.first.max(self.first), scan.last.min(self.today));
        scan::run::<T, V>(
            &self.query.clauses,
            &scan.trapdoors,
            days,
            max_hits,
            max_probes,
            view,
        )
    }

    fn look_up<V: IndexView>(
        &self,
        covers: &[Cover],
        max_hits: usize,
        max_probes: u64,
        view: &mut V,
    ) -> Result<Hits<V::Record>, RunError<V::Error>> {
        let mut slots: Vec<Vec<Leaf>> = covers.iter().map(|cover| self.expand(cover)).collect();
        mark_absent(&mut slots, view)?;
        let mut next: Vec<usize> = vec![0; slots.len()];
        let mut prober = Prober {
            view,
            probes: 0,
            limit: max_probes,
        };
        let mut hits: Vec<V::Record> = Vec::new();
        let mut seen: BTreeSet<V::Record> = BTreeSet::new();

        let decisive = self.query.clauses.iter().find(|clause| !clause.negative);
        let decisive = &decisive.expect("verify refused queries without one").slots;
        while let Some(day) = earliest(&slots, &next) {
            // Most days end here: the first positive clause has no record.
            if let Some(misses) = all_absent(decisive, &slots, &next, day) {
                prober.count(misses)?;
                for (at, leaves) in next.iter_mut().zip(&slots) {
                    *at += usize::from(leaves.get(*at).is_some_and(|leaf| leaf.epoch == day));
                }
                continue;
            }
            let today: Vec<Option<&Leaf>> = slots
                .iter()
                .zip(&next)
                .map(|(leaves, at)| leaves.get(*at).filter(|leaf| leaf.epoch == day))
                .collect();
            for record in self.evaluate(&today, &mut prober)? {
                if seen.contains(&record) {
                    continue;
                }
                if hits.len() == max_hits {
                    return Ok(Hits {
                        hits,
                        stopped_at: Some(record),
                        probes: prober.probes,
                    });
                }
                seen.insert(record.clone());
                hits.push(record);
            }
            for (at, leaf) in next.iter_mut().zip(&today) {
                *at += usize::from(leaf.is_some());
            }
        }
        Ok(Hits {
            hits,
            stopped_at: None,
            probes: prober.probes,
        })
    }

    /// The leaves of a cover inside the searchable days, in order.
    fn expand(&self, cover: &Cover) -> Vec<Leaf> {
        let mut out = Vec::new();
        for quarter in &cover.quarters {
            let (low, high) = days_in_range(quarter.quarter, self.first, self.today)
                .expect("verify refused covers outside the range");
            let start = quarter.quarter.first();
            let generator = Generator::new(&quarter.salt);
            for node in &quarter.nodes {
                let leaves = generator.leaves(node, low, high);
                out.extend(leaves.into_iter().map(|(day, seed)| Leaf {
                    epoch: Epoch(start.0 + u32::from(day)),
                    seed,
                    absent: false,
                }));
            }
        }
        out
    }

    /// The records of one day that match every clause. Probes no slot twice, and none that cannot matter.
    fn evaluate<V: IndexView>(
        &self,
        today: &[Option<&Leaf>],
        prober: &mut Prober<'_, V>,
    ) -> Result<BTreeSet<V::Record>, RunError<V::Error>> {
        let mut known: Vec<Option<BTreeSet<V::Record>>> = vec![None; today.len()];
        let mut matching: Option<BTreeSet<V::Record>> = None;
        for clause in self.query.clauses.iter().filter(|clause| !clause.negative) {
            let union = prober.union(&clause.slots, today, &mut known)?;
            let both: BTreeSet<V::Record> = match matching {
                None => union,
                Some(before) => before.intersection(&union).cloned().collect(),
            };
            if both.is_empty() {
                return Ok(both);
            }
            matching = Some(both);
        }
        let mut matching = matching.expect("verify refused queries without a positive clause");
        for clause in self.query.clauses.iter().filter(|clause| clause.negative) {
            let excluded = prober.union(&clause.slots, today, &mut known)?;
            matching.retain(|record| !excluded.contains(record));
        }
        Ok(matching)
    }
}

/// The earliest day that some slot has left.
fn earliest(slots: &[Vec<Leaf>], next: &[usize]) -> Option<Epoch> {
    slots
        .iter()
        .zip(next)
        .filter_map(|(leaves, at)| leaves.get(*at))
        .map(|leaf| leaf.epoch)
        .min()
}

/// Asks the view about the first tag of every leaf at once.
fn mark_absent<V: IndexView>(
    slots: &mut [Vec<Leaf>],
    view: &mut V,
) -> Result<(), RunError<V::Error>> {
    let first: Vec<Tag> = slots
        .iter()
        .flatten()
        .map(|leaf| LeafTags::new(&leaf.seed).tag(0))
        .collect();
    let absent = view.absent(&first).map_err(RunError::Probe)?;
    for (leaf, absent) in slots.iter_mut().flatten().zip(absent) {
        leaf.absent = absent;
    }
    Ok(())
}

/// How many leaves these slots have on a day, if all of them are known to be absent.
fn all_absent(slots: &[u8], leaves: &[Vec<Leaf>], next: &[usize], day: Epoch) -> Option<u64> {
    let mut misses = 0;
    for slot in slots.iter().map(|slot| usize::from(*slot)) {
        match leaves[slot].get(next[slot]) {
            Some(leaf) if leaf.epoch == day && leaf.absent => misses += 1,
            Some(leaf) if leaf.epoch == day => return None,
            _ => {}
        }
    }
    Some(misses)
}

/// The caller's index, its look-ups counted.
struct Prober<'v, V> {
    view: &'v mut V,
    probes: u64,
    limit: u64,
}

impl<V: IndexView> Prober<'_, V> {
    /// The records of a day in any of these slots.
    fn union(
        &mut self,
        slots: &[u8],
        today: &[Option<&Leaf>],
        known: &mut [Option<BTreeSet<V::Record>>],
    ) -> Result<BTreeSet<V::Record>, RunError<V::Error>> {
        let mut union = BTreeSet::new();
        for slot in slots.iter().map(|slot| usize::from(*slot)) {
            let Some(leaf) = today[slot] else {
                continue;
            };
            if known[slot].is_none() {
                known[slot] = Some(self.records(leaf)?);
            }
            union.extend(known[slot].iter().flatten().cloned());
        }
        Ok(union)
    }

    /// Counts look-ups, before they are done.
    fn count(&mut self, probes: u64) -> Result<(), RunError<V::Error>> {
        let after = self.probes.saturating_add(probes);
        if after > self.limit {
            return Err(RunError::TooManyProbes { limit: self.limit });
        }
        self.probes = after;
        Ok(())
    }

    /// The records of one leaf: tags 0, 1, 2 and so on, up to the first miss.
    fn records(&mut self, leaf: &Leaf) -> Result<BTreeSet<V::Record>, RunError<V::Error>> {
        if leaf.absent {
            self.count(1)?;
            return Ok(BTreeSet::new());
        }
        let tags = LeafTags::new(&leaf.seed);
        let mut records = BTreeSet::new();
        for i in 0..=u32::MAX {
            self.count(1)?;
            match self.view.probe(&tags.tag(i)).map_err(RunError::Probe)? {
                Some(record) => records.insert(record),
                None => break,
            };
        }
        Ok(records)
    }
}

/// Whether one record, anchored on this day and with these entries, matches one slot. False for a slot that does not
/// exist, a malformed trapdoor, or entries of another scheme.
///
/// For those who hold a record's entries but no index: of the tags of the slot's leaf the first 64 are looked for.
/// Nothing is prepared ahead, so a scan of many records takes [`CheckedQuery::run`].
pub fn slot_matches(slots: &Slots, slot: usize, day: Epoch, entries: &IndexEntries) -> bool {
    match slots {
        Slots::Tags(covers) => covers
            .get(slot)
            .and_then(|cover| leaf_of(cover, day))
            .is_some_and(|leaf| {
                let tags = LeafTags::new(&leaf);
                (0..TAGS_TRIED).any(|i| entries.tags().binary_search(&tags.tag(i)).is_ok())
            }),
        Slots::Peks(scan) => scan_matches::<PreparedPeks>(scan, slot, day, entries),
        Slots::Paeks(scan) => scan_matches::<PreparedPaeks>(scan, slot, day, entries),
    }
}

/// The leaf of a day, if the cover reaches it.
fn leaf_of(cover: &Cover, day: Epoch) -> Option<[u8; 16]> {
    let quarter = cover
        .quarters
        .iter()
        .find(|quarter| quarter.quarter == day.quarter())?;
    let at = day.day_of_quarter();
    let generator = Generator::new(&quarter.salt);
    quarter
        .nodes
        .iter()
        .filter(|node| node.depth <= TREE_DEPTH)
        .find_map(|node| generator.leaves(node, at, at).pop())
        .map(|(_, leaf)| leaf)
}

fn scan_matches<T: Test>(
    scan: &Scan<T::Trapdoor>,
    slot: usize,
    day: Epoch,
    entries: &IndexEntries,
) -> bool {
    if !(scan.first..=scan.last).contains(&day) {
        return false;
    }
    let Some(Ok(test)) = scan.trapdoors.get(slot).map(T::prepare) else {
        return false;
    };
    T::entries(entries).iter().any(|entry| test.matches(entry))
}

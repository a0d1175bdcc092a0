//! Evaluation of a checked query: the same on every node, in the same order, within the caller's bounds.
//!
//! A record's tags are all of one day (its anchoring), so a query is evaluated day by day: a record matches if it
//! matches every clause with tags of the same day. Days ascend; within a day records ascend in the order of `R`.
//! That is the order of the covers, so a result that was cut off is continued by a cover that begins at the day
//! where it stopped.

use std::collections::BTreeSet;

use crate::index::ggm::{Generator, LeafTags};
use crate::index::query::days_in_range;
use crate::index::{CheckedQuery, Cover, Tag};
use crate::time::Epoch;

/// Most hits that a search on the alliance chain returns.
pub const MAX_HITS: usize = 4_096;

/// What a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hits<R> {
    /// The records, by day, then in the order of `R`; none twice.
    pub hits: Vec<R>,
    /// The first record that matched and did not fit; none when the search is complete.
    pub stopped_at: Option<R>,
    /// Look-ups done.
    pub probes: u64,
}

/// Why a search has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError<E> {
    /// The look-ups allowed were used up.
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
}

impl CheckedQuery {
    /// Runs the query against an index. `probe` returns the record that carries a tag, if any; the tags of a
    /// leaf are probed from 0 up to the first miss. Stops after `max_hits` records, and gives up before more
    /// than `max_probes` look-ups.
    ///
    /// # Errors
    /// [`RunError::TooManyProbes`], or [`RunError::Probe`] with what `probe` returned.
    pub fn run<R: Ord + Clone, E>(
        &self,
        max_hits: usize,
        max_probes: u64,
        probe: &mut dyn FnMut(&Tag) -> Result<Option<R>, E>,
    ) -> Result<Hits<R>, RunError<E>> {
        let slots: Vec<Vec<Leaf>> = self
            .query
            .slots
            .iter()
            .map(|cover| self.expand(cover))
            .collect();
        let mut next: Vec<usize> = vec![0; slots.len()];
        let mut prober = Prober {
            probe,
            probes: 0,
            limit: max_probes,
        };
        let mut hits: Vec<R> = Vec::new();
        let mut seen: BTreeSet<R> = BTreeSet::new();

        while let Some(day) = earliest(&slots, &next) {
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
                }));
            }
        }
        out
    }

    /// The records of one day that match every clause. Probes no slot twice, and none that cannot matter.
    fn evaluate<R: Ord + Clone, E>(
        &self,
        today: &[Option<&Leaf>],
        prober: &mut Prober<'_, R, E>,
    ) -> Result<BTreeSet<R>, RunError<E>> {
        let mut known: Vec<Option<BTreeSet<R>>> = vec![None; today.len()];
        let mut matching: Option<BTreeSet<R>> = None;
        for clause in self.query.clauses.iter().filter(|clause| !clause.negative) {
            let union = prober.union(&clause.slots, today, &mut known)?;
            let both: BTreeSet<R> = match matching {
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

/// The caller's look-up, counted.
struct Prober<'p, R, E> {
    probe: &'p mut dyn FnMut(&Tag) -> Result<Option<R>, E>,
    probes: u64,
    limit: u64,
}

impl<R: Ord + Clone, E> Prober<'_, R, E> {
    /// The records of a day in any of these slots.
    fn union(
        &mut self,
        slots: &[u8],
        today: &[Option<&Leaf>],
        known: &mut [Option<BTreeSet<R>>],
    ) -> Result<BTreeSet<R>, RunError<E>> {
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

    /// The records of one leaf: tags 0, 1, 2 and so on, up to the first miss.
    fn records(&mut self, leaf: &Leaf) -> Result<BTreeSet<R>, RunError<E>> {
        let tags = LeafTags::new(&leaf.seed);
        let mut records = BTreeSet::new();
        for i in 0..=u32::MAX {
            if self.probes >= self.limit {
                return Err(RunError::TooManyProbes { limit: self.limit });
            }
            self.probes += 1;
            match (self.probe)(&tags.tag(i)).map_err(RunError::Probe)? {
                Some(record) => records.insert(record),
                None => break,
            };
        }
        Ok(records)
    }
}

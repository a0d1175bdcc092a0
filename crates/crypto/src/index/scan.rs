//! Evaluation of a scan: every record of the days asked for is tested, in the order of linking.

use crate::index::run::{Hits, IndexView, RunError};
use crate::index::{Clause, IndexEntries};
use crate::pairing::BadPoint;
use crate::time::Epoch;

/// A trapdoor prepared for testing entries.
pub(super) trait Test: Sized {
    /// The trapdoor as it travels.
    type Trapdoor;
    /// What is tested.
    type Entry;

    /// Checks a trapdoor and prepares it.
    fn prepare(trapdoor: &Self::Trapdoor) -> Result<Self, BadPoint>;

    /// The entries of this scheme among a record's; none under another.
    fn entries(entries: &IndexEntries) -> &[Self::Entry];

    /// Whether the entry holds the trapdoor's keyword.
    fn matches(&self, entry: &Self::Entry) -> bool;
}

/// Runs a scan over the days from `first` to `last`.
pub(super) fn run<T: Test, V: IndexView>(
    clauses: &[Clause],
    trapdoors: &[T::Trapdoor],
    (first, last): (Epoch, Epoch),
    max_hits: usize,
    max_probes: u64,
    view: &mut V,
) -> Result<Hits<V::Record>, RunError<V::Error>> {
    let slots: Vec<T> = trapdoors
        .iter()
        .map(|trapdoor| T::prepare(trapdoor).expect("verify refused malformed trapdoors"))
        .collect();
    // The positive clauses first, as a search by tags has it.
    let (mut clauses, negative): (Vec<&Clause>, Vec<&Clause>) =
        clauses.iter().partition(|clause| !clause.negative);
    clauses.extend(negative);

    let mut tester = Tester {
        slots,
        known: Vec::new(),
        probes: 0,
        limit: max_probes,
    };
    let mut hits = Vec::new();
    for n in view.span(first, last).map_err(RunError::Probe)? {
        let Some(scanned) = view.nth(n).map_err(RunError::Probe)? else {
            break;
        };
        if scanned.day < first || scanned.day > last {
            tester.count::<V::Error>()?;
            continue;
        }
        if !tester.record_matches::<V::Error>(&clauses, T::entries(&scanned.entries))? {
            continue;
        }
        if hits.len() == max_hits {
            return Ok(Hits {
                hits,
                stopped_at: Some(scanned.record),
                probes: tester.probes,
            });
        }
        hits.push(scanned.record);
    }
    Ok(Hits {
        hits,
        stopped_at: None,
        probes: tester.probes,
    })
}

/// The slots of a query, and the count of the tests done.
struct Tester<T> {
    slots: Vec<T>,
    /// By slot, what the record at hand was found to be.
    known: Vec<Option<bool>>,
    probes: u64,
    limit: u64,
}

impl<T: Test> Tester<T> {
    /// Whether a record matches every clause. Tests no slot twice, and none that cannot matter.
    fn record_matches<E>(
        &mut self,
        clauses: &[&Clause],
        entries: &[T::Entry],
    ) -> Result<bool, RunError<E>> {
        self.known.clear();
        self.known.resize(self.slots.len(), None);
        for clause in clauses {
            let mut any = false;
            for slot in clause.slots.iter().map(|slot| usize::from(*slot)) {
                if self.slot_matches::<E>(slot, entries)? {
                    any = true;
                    break;
                }
            }
            if any == clause.negative {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn slot_matches<E>(&mut self, slot: usize, entries: &[T::Entry]) -> Result<bool, RunError<E>> {
        if let Some(known) = self.known[slot] {
            return Ok(known);
        }
        let mut found = false;
        for entry in entries {
            self.count::<E>()?;
            if self.slots[slot].matches(entry) {
                found = true;
                break;
            }
        }
        self.known[slot] = Some(found);
        Ok(found)
    }

    fn count<E>(&mut self) -> Result<(), RunError<E>> {
        if self.probes >= self.limit {
            return Err(RunError::TooManyProbes { limit: self.limit });
        }
        self.probes += 1;
        Ok(())
    }
}

//! What the attacks on the index share: a hospital and a patient, her records and trapdoors, and the powers that a
//! trapdoor gives to whoever ignores the days it is meant for.

use caduceus_crypto::index::{
    CoverNode, IndexEntries, IndexView, PreparedPaeks, PreparedPeks, QuarterCover, Scanned, Slots,
    TREE_DEPTH, Tag, ggm_child, leaf_tag,
};
use caduceus_crypto::time::Epoch;
use caduceus_custody::scheme::{HospitalSide, IndexScheme, PatientSide};
use rand::RngCore;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, SeedableRng};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;

/// Records with one keyword on one day, at most, in these attacks: how many tags of a leaf the attacker tries.
pub const TAGS_OF_A_DAY: u32 = 32;

/// A random number generator of one purpose: the same seed, another stream.
pub fn rng(seed: u64, purpose: u64) -> ChaCha20Rng {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    rng.set_stream(purpose);
    rng
}

/// The day `day` of the year 2026, counted from 0: the time of all attacks.
pub fn day(day: u32) -> Epoch {
    let first = Epoch::from_ymd(2026, 1, 1).expect("the calendar has this day");
    Epoch(first.0 + day)
}

/// Shuffles a list.
pub fn shuffled<T>(rng: &mut impl RngCore, mut list: Vec<T>) -> Vec<T> {
    list.shuffle(rng);
    list
}

/// A patient at a hospital, under one scheme, with the counters that the hospital's chain would tell.
pub struct Pair<S: IndexScheme> {
    /// What the hospital holds of her.
    pub hospital: HospitalSide,
    /// What she holds.
    pub patient: PatientSide,
    key: S::PatientKey,
    counts: BTreeMap<(Epoch, String), u32>,
}

impl<S: IndexScheme> Pair<S> {
    /// A fresh hospital and a fresh patient.
    pub fn new(rng: &mut (impl CryptoRng + RngCore)) -> Self {
        let (hospital, patient) = S::keygen(rng);
        let key = S::patient_key(&patient);
        Self {
            hospital,
            patient,
            key,
            counts: BTreeMap::new(),
        }
    }

    /// The index entries of her next record of this day, as the hospital's workstation makes them.
    pub fn record(
        &mut self,
        rng: &mut (impl CryptoRng + RngCore),
        day: Epoch,
        keywords: &[&str],
    ) -> IndexEntries {
        let counted: Vec<(&str, u32)> = keywords
            .iter()
            .map(|keyword| {
                let count = self.counts.entry((day, (*keyword).to_owned())).or_default();
                *count += 1;
                (*keyword, *count - 1)
            })
            .collect();
        let author = S::author_key(&self.hospital, day);
        S::index(rng, &author, day, &counted).expect("a record of few keywords can be indexed")
    }

    /// Her trapdoor for one keyword over the days `from` to `to`, both included.
    pub fn trapdoor(&self, keyword: &str, from: Epoch, to: Epoch) -> Slots {
        S::slots(&self.key, &[keyword], from, to)
    }
}

/// All that one trapdoor can be made to match.
pub enum Wielded {
    /// Every tag of every node that can be derived from the cover.
    Tags(HashSet<Tag>),
    /// The test itself: it knows no day.
    Peks(Box<PreparedPeks>),
    /// The test itself: it knows no day.
    Paeks(Box<PreparedPaeks>),
}

impl Wielded {
    /// Takes the first slot's trapdoor to its limits. Of a cover the attacker derives the whole subtree of each
    /// node, as deep as if the node were a root, and takes each node of it for a leaf.
    pub fn of(slots: &Slots) -> Self {
        match slots {
            Slots::Tags(covers) => {
                let mut tags = HashSet::new();
                for quarter in covers.iter().take(1).flat_map(|cover| &cover.quarters) {
                    for node in &quarter.nodes {
                        all_tags(quarter, node, &mut tags);
                    }
                }
                Self::Tags(tags)
            }
            Slots::Peks(scan) => {
                let prepared = scan.trapdoors[0].prepare();
                Self::Peks(Box::new(prepared.expect("the patient made the trapdoor")))
            }
            Slots::Paeks(scan) => {
                let prepared = scan.trapdoors[0].prepare();
                Self::Paeks(Box::new(prepared.expect("the patient made the trapdoor")))
            }
        }
    }

    /// Whether it matches a record, of whatever day.
    pub fn matches(&self, entries: &IndexEntries) -> bool {
        match self {
            Self::Tags(tags) => entries.tags().iter().any(|tag| tags.contains(tag)),
            Self::Peks(test) => entries.peks().iter().any(|entry| test.matches(entry)),
            Self::Paeks(test) => entries.paeks().iter().any(|entry| test.matches(entry)),
        }
    }
}

fn all_tags(quarter: &QuarterCover, node: &CoverNode, tags: &mut HashSet<Tag>) {
    let mut level = vec![node.seed];
    for _ in 0..=TREE_DEPTH {
        for seed in &level {
            tags.extend((0..TAGS_OF_A_DAY).map(|i| leaf_tag(seed, i)));
        }
        level = level
            .iter()
            .flat_map(|seed| [false, true].map(|right| ggm_child(&quarter.salt, seed, right)))
            .collect();
    }
}

/// The records of one hospital, in the order of linking.
#[derive(Default)]
pub struct MemoryIndex {
    records: Vec<(Epoch, IndexEntries)>,
    tags: HashMap<Tag, u32>,
}

impl MemoryIndex {
    /// Links a record; its number.
    pub fn link(&mut self, day: Epoch, entries: IndexEntries) -> u32 {
        let number =
            u32::try_from(self.records.len()).expect("attacks link fewer than 2^32 records");
        for tag in entries.tags() {
            self.tags.entry(*tag).or_insert(number);
        }
        self.records.push((day, entries));
        number
    }
}

impl IndexView for MemoryIndex {
    type Record = u32;
    type Error = Infallible;

    fn probe(&mut self, tag: &Tag) -> Result<Option<u32>, Infallible> {
        Ok(self.tags.get(tag).copied())
    }

    fn nth(&mut self, n: u64) -> Result<Option<Scanned<u32>>, Infallible> {
        let found = usize::try_from(n).ok().and_then(|n| self.records.get(n));
        Ok(found.map(|(day, entries)| Scanned {
            record: u32::try_from(n).expect("there are fewer than 2^32 records"),
            day: *day,
            entries: entries.clone(),
        }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::index::slot_matches;
    use caduceus_custody::scheme::{PaeksScheme, PeksScheme, TagsScheme};

    /// A trapdoor taken to its limits still matches what it is for, and no other keyword.
    fn matches_its_keyword<S: IndexScheme>() {
        let mut rng = rng(1, 0);
        let mut pair = Pair::<S>::new(&mut rng);
        let record = pair.record(&mut rng, day(40), &["term:asthma", "term:gout"]);
        let again = pair.record(&mut rng, day(40), &["term:asthma"]);
        for (keyword, expected) in [
            ("term:asthma", [true, true]),
            ("term:gout", [true, false]),
            ("term:croup", [false, false]),
        ] {
            let slots = pair.trapdoor(keyword, day(33), day(47));
            let wielded = Wielded::of(&slots);
            assert_eq!(
                [&record, &again].map(|entries| wielded.matches(entries)),
                expected
            );
            assert_eq!(slot_matches(&slots, 0, day(40), &record), expected[0]);
        }
    }

    #[test]
    fn a_trapdoor_matches_its_keyword() {
        matches_its_keyword::<TagsScheme>();
        matches_its_keyword::<PeksScheme>();
        matches_its_keyword::<PaeksScheme>();
    }
}

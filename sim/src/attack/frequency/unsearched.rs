//! What can be counted on the chain before anybody searches.

use super::Case;
use super::corpus;
use crate::attack::report::Counted;
use crate::attack::world::{Pair, day, rng};
use caduceus_crypto::index::{IndexEntries, PaeksEntry, Slots, Tag};
use caduceus_crypto::pairing::{
    G1_BYTES, G1Affine, G2Affine, GT_BYTES, PairingSecret, g1_from_bytes, g2_from_bytes,
    gt_to_bytes, pair,
};
use caduceus_custody::scheme::PaeksScheme;
use rand::seq::SliceRandom;
use std::collections::{BTreeMap, BTreeSet};

/// Records of the comparison, and codes of each.
const RECORDS: u32 = 8;
const CODES_A_RECORD: usize = 6;

/// Of the keywords that several of a patient's records have, how many show as tags that occur in several records.
pub(super) fn repeated_tags(cases: &[Case]) -> Counted {
    let mut counted = Counted::default();
    for case in cases {
        let mut records_of: BTreeMap<usize, usize> = BTreeMap::new();
        for code in case.history.records.iter().flatten() {
            *records_of.entry(*code).or_default() += 1;
        }
        let mut seen: BTreeMap<Tag, usize> = BTreeMap::new();
        for tag in case.entries.iter().flat_map(IndexEntries::tags) {
            *seen.entry(*tag).or_default() += 1;
        }
        counted.add(several(&records_of, &seen));
    }
    counted
}

/// The same under PAEKS, where e(C1, y * g2) / e(C2, g2) = e(H(w), g2)^(xy) can be computed of every entry by all who
/// have seen one trapdoor.
pub(super) fn repeated_under_paeks(seed: u64) -> Counted {
    let mut rng = rng(seed, 2);
    let mut patient = Pair::<PaeksScheme>::new(&mut rng);
    let codes: Vec<usize> = (0..3 * CODES_A_RECORD).collect();
    let mut records_of: BTreeMap<usize, usize> = BTreeMap::new();
    let mut seen: BTreeMap<[u8; GT_BYTES], usize> = BTreeMap::new();
    // The one trapdoor is for a word that no record has.
    let Some(receiver) = receiver_key(&patient.trapdoor("term:unrelated", day(0), day(0))) else {
        return Counted::default();
    };
    let g2 = generator();
    for number in 0..RECORDS {
        let picked: BTreeSet<usize> = codes
            .choose_multiple(&mut rng, CODES_A_RECORD)
            .copied()
            .collect();
        let names: Vec<String> = picked.iter().map(|code| corpus::name(*code)).collect();
        let keywords: Vec<&str> = names.iter().map(String::as_str).collect();
        for code in picked {
            *records_of.entry(code).or_default() += 1;
        }
        let entries = patient.record(&mut rng, day(number), &keywords);
        for entry in entries.paeks() {
            if let Some(value) = keyword_value(entry, &receiver, &g2) {
                *seen.entry(value).or_default() += 1;
            }
        }
    }
    several(&records_of, &seen)
}

/// How many of the keywords that occur several times are seen to; at most one keyword a value.
fn several<K, V>(records_of: &BTreeMap<K, usize>, seen: &BTreeMap<V, usize>) -> Counted {
    let more_than_once = |count: &&usize| **count > 1;
    let truly = records_of.values().filter(more_than_once).count();
    let shown = seen.values().filter(more_than_once).count();
    Counted {
        successes: u64::try_from(shown.min(truly)).expect("a count fits"),
        trials: u64::try_from(truly).expect("a count fits"),
    }
}

/// e(C1, y * g2) / e(C2, g2).
fn keyword_value(entry: &PaeksEntry, receiver: &G2Affine, g2: &G2Affine) -> Option<[u8; GT_BYTES]> {
    let c1: G1Affine = g1_from_bytes(entry.as_bytes().first_chunk::<G1_BYTES>()?).ok()?;
    let c2: G1Affine = g1_from_bytes(entry.as_bytes().last_chunk::<G1_BYTES>()?).ok()?;
    gt_to_bytes(&(pair(&c1, receiver) - pair(&c2, g2))).ok()
}

fn receiver_key(slots: &Slots) -> Option<G2Affine> {
    match slots {
        Slots::Paeks(scan) => g2_from_bytes(&scan.trapdoors.first()?.receiver).ok(),
        _ => None,
    }
}

/// g2 = 1 * g2.
fn generator() -> G2Affine {
    let mut one = [0u8; 32];
    one[31] = 1;
    let one = PairingSecret::from_bytes(&one).expect("one is a scalar other than zero");
    one.public_g2()
}

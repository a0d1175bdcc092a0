//! What a patient's client needs to check by itself how a record of hers was indexed (DESIGN 2.2, step 5).
//!
//! She opens the record, derives its keywords as its author should have, and looks for each of them among the
//! entries that were linked. A keyword that is missing makes the record invisible to her searches. Under tags the
//! counter tells more: a search stops at the first number that is missing, so a gap hides what comes after it.

use std::collections::{BTreeMap, BTreeSet};

use caduceus_crypto::index::{IndexEntries, PaeksEntry, PeksEntry, SchemeId, leaf_tag};
use caduceus_crypto::keys::{HospitalId, PublicKey};
use caduceus_crypto::time::Epoch;

use crate::index_key::PairKeys;
use crate::patient::PatientKeys;
use crate::tags::keyword_key;

/// Counters that [`indexed`] looks for, from 0: more records than one patient has with a keyword on one day.
pub const COUNTERS_TRIED: u32 = 256;

/// Which of these keywords a record's entries hold for the patient: for each, under tags its counter i on `day`
/// (below [`COUNTERS_TRIED`]), under a scanned scheme 0 if her own trapdoor for it matches an entry; none if it is
/// not there, or if the entries are of another scheme. `index` is the hospital's I, `day` the UTC day of anchoring,
/// which only tags depend on.
///
/// The entries must have been admitted by a chain, or have passed `check_form`. Under a scanned scheme n keywords
/// in n entries take some n * n / 4 tests, each a pairing.
#[must_use]
pub fn indexed(
    scheme: SchemeId,
    keys: &PatientKeys,
    hospital: &HospitalId,
    index: &PublicKey,
    day: Epoch,
    entries: &IndexEntries,
    keywords: &[&str],
) -> Vec<Option<u32>> {
    if entries.scheme() != scheme {
        return vec![None; keywords.len()];
    }
    match scheme {
        SchemeId::Tags => counters(&keys.pair_keys(hospital, index), day, entries, keywords),
        SchemeId::Peks => {
            let secret = keys.peks_secret();
            scanned(entries.peks(), keywords, |keyword| {
                let trapdoor = secret.trapdoor(keyword).prepare().expect(OWN_TRAPDOOR);
                move |entry: &PeksEntry| trapdoor.matches(entry)
            })
        }
        SchemeId::Paeks => {
            let reader = keys.paeks_reader(hospital, index);
            scanned(entries.paeks(), keywords, |keyword| {
                let trapdoor = reader.trapdoor(keyword).prepare().expect(OWN_TRAPDOOR);
                move |entry: &PaeksEntry| trapdoor.matches(entry)
            })
        }
    }
}

const OWN_TRAPDOOR: &str = "a trapdoor made from secrets other than zero is well-formed";

fn counters(
    pair: &PairKeys,
    day: Epoch,
    entries: &IndexEntries,
    keywords: &[&str],
) -> Vec<Option<u32>> {
    let key = pair.quarter_key(day.quarter());
    let tags: BTreeSet<_> = entries.tags().iter().copied().collect();
    keywords
        .iter()
        .map(|keyword| {
            let leaf = keyword_key(&key, keyword).leaf(day.day_of_quarter());
            (0..COUNTERS_TRIED).find(|i| tags.contains(&leaf_tag(&leaf, *i)))
        })
        .collect()
}

/// Tests each distinct keyword on the entries. An entry stands for one keyword, so one that was found is not tested
/// again.
fn scanned<E, M: Fn(&E) -> bool>(
    entries: &[E],
    keywords: &[&str],
    test: impl Fn(&str) -> M,
) -> Vec<Option<u32>> {
    let mut left: Vec<&E> = entries.iter().collect();
    let mut found: BTreeMap<&str, Option<u32>> = BTreeMap::new();
    for keyword in keywords {
        found.entry(*keyword).or_insert_with(|| {
            let matches = test(keyword);
            let at = left.iter().position(|entry| matches(entry))?;
            left.swap_remove(at);
            Some(0)
        });
    }
    keywords.iter().map(|keyword| found[keyword]).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fixtures::rng;
    use crate::index_key::IndexKeyService;
    use crate::scheme::{IndexScheme, PaeksScheme, PeksScheme, TagsScheme, register};
    use crate::seed::PatientSeed;
    use caduceus_crypto::keys::SecretKey;

    fn day() -> Epoch {
        Epoch::from_ymd(2026, 11, 20).unwrap()
    }

    /// Under each scheme: her own keywords are found, also when asked for twice; others are not; nothing is found
    /// with another patient's keys, nor under another scheme's name.
    fn finds_its_own<S: IndexScheme>(expected: &[Option<u32>; 5]) {
        let mut rng = rng(40);
        let (hospital, patient) = S::keygen(&mut rng);
        let key = S::author_key(&hospital, day());
        let written = [
            ("term:asthma", 3),
            ("type:Condition", 0),
            ("year:2026", 255),
        ];
        let entries = S::index(&mut rng, &key, day(), &written).unwrap();
        let asked = [
            "year:2026",
            "term:gout",
            "term:asthma",
            "year:2026",
            "type:Condition",
        ];
        let ask = |scheme, keys: &PatientKeys| {
            let (at, index) = (&patient.hospital, &patient.index);
            indexed(scheme, keys, at, index, day(), &entries, &asked)
        };
        assert_eq!(ask(S::ID, &patient.keys), expected, "{}", S::ID);
        let stranger = PatientKeys::from_seed(&PatientSeed::generate(&mut rng));
        assert_eq!(ask(S::ID, &stranger.with_scheme(S::ID)), [None; 5]);
        let mut others = 0;
        for scheme in SchemeId::ALL.into_iter().filter(|scheme| *scheme != S::ID) {
            assert_eq!(ask(scheme, &patient.keys), [None; 5]);
            others += 1;
        }
        assert_eq!(others, 2);
    }

    #[test]
    fn every_scheme_finds_its_own_keywords_only() {
        finds_its_own::<TagsScheme>(&[Some(255), None, Some(3), Some(255), Some(0)]);
        let scanned = [Some(0), None, Some(0), Some(0), Some(0)];
        finds_its_own::<PeksScheme>(&scanned);
        finds_its_own::<PaeksScheme>(&scanned);
    }

    #[test]
    fn a_tag_of_another_day_or_of_a_counter_out_of_bounds_is_not_found() {
        let mut rng = rng(41);
        let (hospital, patient) = TagsScheme::keygen(&mut rng);
        let key = TagsScheme::author_key(&hospital, day());
        let ask = |counter: u32, asked: Epoch| {
            let written = [("term:asthma", counter)];
            let entries = TagsScheme::index(&mut crate::fixtures::rng(42), &key, day(), &written);
            let (at, index) = (&patient.hospital, &patient.index);
            let entries = entries.unwrap();
            indexed(
                SchemeId::Tags,
                &patient.keys,
                at,
                index,
                asked,
                &entries,
                &["term:asthma"],
            )
        };
        assert_eq!(ask(255, day()), [Some(255)]);
        assert_eq!(ask(256, day()), [None]);
        assert_eq!(ask(0, Epoch(day().0 + 1)), [None]);
        assert_eq!(ask(0, Epoch(day().0 - 1)), [None]);
        // A day of another quarter has another key.
        assert_eq!(ask(0, Epoch(day().0 + 90)), [None]);
    }

    /// Another hospital's I gives another pair: nothing is found with it, but for peks, whose keys know no hospital.
    #[test]
    fn the_pair_matters_where_the_scheme_knows_pairs() {
        fn found_elsewhere<S: IndexScheme>() -> Vec<Option<u32>> {
            let mut rng = rng(43);
            let (hospital, patient) = S::keygen(&mut rng);
            let key = S::author_key(&hospital, day());
            let entries = S::index(&mut rng, &key, day(), &[("term:asthma", 0)]).unwrap();
            let service = IndexKeyService::new(SecretKey::generate(&mut rng));
            let (_, there) = register(S::ID, &service, HospitalId([9; 32]), patient.keys);
            let (at, index) = (&there.hospital, &there.index);
            indexed(
                S::ID,
                &there.keys,
                at,
                index,
                day(),
                &entries,
                &["term:asthma"],
            )
        }
        assert_eq!(found_elsewhere::<TagsScheme>(), [None]);
        assert_eq!(found_elsewhere::<PaeksScheme>(), [None]);
        assert_eq!(found_elsewhere::<PeksScheme>(), [Some(0)]);
    }
}

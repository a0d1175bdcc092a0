//! The words that an attacker tries: what the demo's patients come with, and made-up medical vocabulary.

use crate::generator;
use caduceus_custody::fhir;
use caduceus_custody::keyword::Keyword;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::collections::BTreeSet;

/// Histories from which the clinical words are taken, and encounters of each.
const HISTORIES: usize = 6;
const ENCOUNTERS: usize = 12;

const PREFIXES: &[&str] = &[
    "a", "ab", "acro", "adeno", "allo", "ana", "aniso", "ante", "anti", "auto", "bi", "brady",
    "cata", "chondro", "chrono", "contra", "crypto", "cyano", "de", "dextro", "dia", "diplo",
    "dys", "ecto", "endo", "epi", "eu", "exo", "extra", "hemi", "hetero", "homo", "hydro", "hyper",
    "hypo", "idio", "infra", "inter", "intra", "iso", "juxta", "macro", "mega", "meso", "meta",
    "micro", "mono", "multi", "neo", "oligo", "ortho", "pan", "para", "peri", "pleo", "poly",
    "post", "pre", "primi", "pseudo", "retro", "semi", "sub", "super", "supra", "syn", "tachy",
    "trans", "tri", "ultra", "uni",
];

const ROOTS: &[&str] = &[
    "angi",
    "arthr",
    "blephar",
    "bronch",
    "carcin",
    "cardi",
    "cephal",
    "cerebr",
    "cholecyst",
    "col",
    "cost",
    "crani",
    "cyst",
    "dactyl",
    "dent",
    "derm",
    "duoden",
    "encephal",
    "enter",
    "esophag",
    "gastr",
    "gingiv",
    "gloss",
    "hem",
    "hepat",
    "hist",
    "hyster",
    "ile",
    "irid",
    "jejun",
    "kerat",
    "lapar",
    "laryng",
    "lip",
    "lymph",
    "mast",
    "mening",
    "my",
    "myel",
    "nephr",
    "neur",
    "ocul",
    "odont",
    "onych",
    "ophthalm",
    "orchid",
    "oste",
    "ot",
    "pancreat",
    "phleb",
    "pneum",
    "proct",
    "pulmon",
    "pyel",
    "rect",
    "retin",
    "rhin",
    "salping",
    "splen",
    "spondyl",
    "stomat",
    "tend",
    "thorac",
    "thyr",
    "trache",
    "ureter",
    "urethr",
    "vas",
    "ventricul",
    "vesic",
];

const SUFFIXES: &[&str] = &[
    "al",
    "algia",
    "ase",
    "cele",
    "centesis",
    "ectasis",
    "ectomy",
    "emia",
    "genesis",
    "gram",
    "graphy",
    "iasis",
    "ic",
    "itis",
    "lysis",
    "malacia",
    "megaly",
    "oma",
    "opathy",
    "opexy",
    "oplasty",
    "oplegia",
    "optosis",
    "orrhagia",
    "orrhaphy",
    "orrhea",
    "osclerosis",
    "oscopy",
    "osis",
    "ostomy",
    "otomy",
    "otripsy",
    "ous",
    "ulus",
];

/// `words` distinct canonical keywords in a random order: those of the demo's patients, then invented words,
/// then codes. One seed gives one dictionary.
pub fn dictionary(seed: u64, words: usize) -> Vec<String> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut known = clinical(seed);
    let mut all: Vec<String> = known.iter().take(words).cloned().collect();
    let mut invented = invented();
    invented.shuffle(&mut rng);
    for word in invented {
        if all.len() >= words {
            break;
        }
        if known.insert(word.clone()) {
            all.push(word);
        }
    }
    while all.len() < words {
        let code = code(&mut rng);
        if known.insert(code.clone()) {
            all.push(code);
        }
    }
    all.shuffle(&mut rng);
    all
}

/// `count` distinct codes, as canonical keywords.
pub fn codes(rng: &mut impl Rng, count: usize) -> Vec<String> {
    let mut known = BTreeSet::new();
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        let code = code(rng);
        if known.insert(code.clone()) {
            all.push(code);
        }
    }
    all
}

/// A code as long as those of SNOMED CT.
fn code(rng: &mut impl Rng) -> String {
    let number: u64 = rng.gen_range(10_000_000..1_000_000_000);
    Keyword::code(&number.to_string())
        .expect("digits are a code")
        .as_str()
        .to_owned()
}

/// The keywords of the demo's patients of this seed.
pub fn clinical(seed: u64) -> BTreeSet<String> {
    encounters(seed, HISTORIES, ENCOUNTERS)
        .iter()
        .flatten()
        .flat_map(|record| keywords(record))
        .collect()
}

/// The demo's patients' records, as FHIR JSON, `encounters` of each of `histories` patients.
pub fn encounters(seed: u64, histories: usize, encounters: usize) -> Vec<Vec<Vec<u8>>> {
    generator::patients(
        seed,
        histories,
        encounters..=encounters,
        &["Caduceus General"],
    )
    .iter()
    .map(|bundle| {
        let history = fhir::split(bundle).expect("the generator makes FHIR of one patient");
        let records = history.encounters.into_iter();
        records.map(|record| record.bundle_json).collect()
    })
    .collect()
}

/// The keywords under which a workstation indexes a record.
pub fn keywords(record_json: &[u8]) -> Vec<String> {
    fhir::keywords(record_json, &[])
        .expect("the generator makes FHIR")
        .iter()
        .map(|keyword| keyword.as_str().to_owned())
        .collect()
}

fn invented() -> Vec<String> {
    let mut words = Vec::with_capacity(PREFIXES.len() * ROOTS.len() * SUFFIXES.len());
    for prefix in PREFIXES {
        for root in ROOTS {
            for suffix in SUFFIXES {
                let word = Keyword::term(&format!("{prefix}{root}{suffix}"));
                let word = word.expect("a run of letters is one word");
                words.push(word.as_str().to_owned());
            }
        }
    }
    words
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_is_distinct_clinical_and_follows_from_its_seed() {
        let words = dictionary(1, 2_000);
        let distinct: BTreeSet<&String> = words.iter().collect();
        assert_eq!((words.len(), distinct.len()), (2_000, 2_000));
        assert_eq!(words, dictionary(1, 2_000));
        assert_ne!(words, dictionary(2, 2_000));
        let clinical = clinical(1);
        assert!(clinical.len() > 50, "{} clinical words", clinical.len());
        assert!(clinical.iter().all(|word| distinct.contains(word)));
    }

    #[test]
    fn there_are_words_for_the_largest_dictionary() {
        let invented: BTreeSet<String> = invented().into_iter().collect();
        assert!(invented.len() >= 70_000, "{} words", invented.len());
    }
}

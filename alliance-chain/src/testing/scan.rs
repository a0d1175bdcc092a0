//! Entries and trapdoors of the schemes that scan, for the keywords of [`super::search`], as an author and a patient
//! would make them.

use super::search::keywords;
use caduceus_crypto::domain;
use caduceus_crypto::index::{IndexEntries, PaeksEntry, PaeksTrapdoor, PeksEntry, PeksTrapdoor};
use caduceus_crypto::pairing::{PairingSecret, add_g1, hash_to_g1, hash_to_g2, pair};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// Entries of a record.
const ENTRIES: u8 = 8;

/// The patient's secret.
fn patient() -> PairingSecret {
    PairingSecret::from_bytes(&[7; 32]).unwrap()
}

/// The sender's secret of hospital 0 and the patient.
fn sender() -> PairingSecret {
    PairingSecret::from_bytes(&[9; 32]).unwrap()
}

/// The keywords of record `i`, padded with ones that nobody searches, and a generator of its own.
fn padded(record: u8) -> (Vec<u8>, ChaCha20Rng) {
    let mut all: Vec<u8> = keywords(record).iter().map(|(word, _)| *word).collect();
    let missing = usize::from(ENTRIES) - all.len();
    all.extend((200..).take(missing));
    (all, ChaCha20Rng::seed_from_u64(u64::from(record)))
}

/// The PEKS entries of record `i`.
pub fn peks_entries(record: u8) -> IndexEntries {
    let (keywords, mut rng) = padded(record);
    let mut entries: Vec<_> = keywords
        .iter()
        .map(|keyword| {
            let r = PairingSecret::generate(&mut rng);
            let hashed = hash_to_g2(domain::PEKS_H1_DST, &[*keyword]);
            let value = pair(&r.times_g1(&patient().public_g1()), &hashed);
            PeksEntry::new(&r.public_g1(), &value).unwrap()
        })
        .collect();
    entries.sort();
    IndexEntries::Peks(entries)
}

/// The PAEKS entries of record `i`.
pub fn paeks_entries(record: u8) -> IndexEntries {
    let (keywords, mut rng) = padded(record);
    let mut entries: Vec<_> = keywords
        .iter()
        .map(|keyword| {
            let r = PairingSecret::generate(&mut rng);
            let hashed = hash_to_g1(domain::PAEKS_H_DST, &[*keyword]);
            let c1 = add_g1(&sender().times_g1(&hashed), &r.public_g1());
            PaeksEntry::new(&c1, &r.times_g1(&patient().public_g1()))
        })
        .collect();
    entries.sort();
    IndexEntries::Paeks(entries)
}

/// The patient's PEKS trapdoor for a keyword.
pub fn peks_trapdoor(keyword: u8) -> PeksTrapdoor {
    PeksTrapdoor::new(&patient().times_g2(&hash_to_g2(domain::PEKS_H1_DST, &[keyword])))
}

/// The patient's PAEKS trapdoor for a keyword at hospital 0.
pub fn paeks_trapdoor(keyword: u8) -> PaeksTrapdoor {
    let hashed = hash_to_g1(domain::PAEKS_H_DST, &[keyword]);
    let token = pair(&patient().times_g1(&hashed), &sender().public_g2());
    PaeksTrapdoor::new(&token, &patient().public_g2()).unwrap()
}

//! The author's and the patient's sides of the scanned schemes, written out from the papers: the product's are in
//! `caduceus-custody`.

use super::*;
use crate::domain;
use crate::pairing::{PairingSecret, add_g1, hash_to_g1, hash_to_g2, pair};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::fmt::Debug;

/// A scanned scheme, with the keys of one author and one patient.
pub(super) trait Author: Debug {
    const ID: SchemeId;
    type Entry: Clone + Ord + Debug;
    type Trapdoor: Clone + PartialEq + Debug;

    fn new(seed: u64) -> Self;
    fn entry(&self, r: &PairingSecret, keyword: &str) -> Self::Entry;
    fn trapdoor(&self, keyword: &str) -> Self::Trapdoor;
    fn entries(entries: Vec<Self::Entry>) -> IndexEntries;
    fn slots(scan: Scan<Self::Trapdoor>) -> Slots;
    /// Malformed in each of its parts, in every way.
    fn bad_trapdoors(&self) -> Vec<Self::Trapdoor>;
    /// The same.
    fn bad_entries(&self) -> Vec<Self::Entry>;

    /// Entries of these keywords in this order, one random number each.
    fn list(&self, seed: u64, keywords: &[&str]) -> Vec<Self::Entry> {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut entry = |keyword: &&str| self.entry(&PairingSecret::generate(&mut rng), keyword);
        keywords.iter().map(&mut entry).collect()
    }
}

#[derive(Debug)]
pub(super) struct Peks {
    a: PairingSecret,
}

impl Author for Peks {
    const ID: SchemeId = SchemeId::Peks;
    type Entry = PeksEntry;
    type Trapdoor = PeksTrapdoor;

    fn new(seed: u64) -> Self {
        let a = PairingSecret::derive(domain::PEKS_KEY, &seed.to_le_bytes(), &[]);
        Peks { a }
    }

    fn entry(&self, r: &PairingSecret, keyword: &str) -> PeksEntry {
        let h1 = hash_to_g2(domain::PEKS_H1_DST, keyword.as_bytes());
        let h = self.a.scheme_key().point();
        PeksEntry::new(&r.public_g1(), &pair(&r.times_g1(&h), &h1)).unwrap()
    }

    fn trapdoor(&self, keyword: &str) -> PeksTrapdoor {
        let h1 = hash_to_g2(domain::PEKS_H1_DST, keyword.as_bytes());
        PeksTrapdoor::new(&self.a.times_g2(&h1))
    }

    fn entries(entries: Vec<PeksEntry>) -> IndexEntries {
        IndexEntries::Peks(entries)
    }

    fn slots(scan: Scan<PeksTrapdoor>) -> Slots {
        Slots::Peks(scan)
    }

    fn bad_trapdoors(&self) -> Vec<PeksTrapdoor> {
        bad_g2(self.trapdoor("w").0)
            .into_iter()
            .map(PeksTrapdoor)
            .collect()
    }

    fn bad_entries(&self) -> Vec<PeksEntry> {
        let good = self.list(1, &["w"])[0];
        bad_g1(*good.as_bytes().first_chunk().unwrap())
            .into_iter()
            .map(|a| {
                let mut entry = good;
                entry.0[..48].copy_from_slice(&a);
                entry
            })
            .collect()
    }
}

#[derive(Debug)]
pub(super) struct Paeks {
    x: PairingSecret,
    y: PairingSecret,
}

impl Author for Paeks {
    const ID: SchemeId = SchemeId::Paeks;
    type Entry = PaeksEntry;
    type Trapdoor = PaeksTrapdoor;

    fn new(seed: u64) -> Self {
        let derive = |domain| PairingSecret::derive(domain, &seed.to_le_bytes(), &[]);
        Paeks {
            x: derive(domain::PAEKS_SENDER),
            y: derive(domain::PAEKS_KEY),
        }
    }

    fn entry(&self, r: &PairingSecret, keyword: &str) -> PaeksEntry {
        let h = hash_to_g1(domain::PAEKS_H_DST, keyword.as_bytes());
        let c1 = add_g1(&self.x.times_g1(&h), &r.public_g1());
        PaeksEntry::new(&c1, &r.times_g1(&self.y.scheme_key().point()))
    }

    fn trapdoor(&self, keyword: &str) -> PaeksTrapdoor {
        let h = hash_to_g1(domain::PAEKS_H_DST, keyword.as_bytes());
        let token = pair(&self.y.times_g1(&h), &self.x.public_g2());
        PaeksTrapdoor::new(&token, &self.y.public_g2()).unwrap()
    }

    fn entries(entries: Vec<PaeksEntry>) -> IndexEntries {
        IndexEntries::Paeks(entries)
    }

    fn slots(scan: Scan<PaeksTrapdoor>) -> Slots {
        Slots::Paeks(scan)
    }

    fn bad_trapdoors(&self) -> Vec<PaeksTrapdoor> {
        let good = self.trapdoor("w");
        // A struct update in a closure here makes rustc 1.95 fail.
        let mut bad = Vec::new();
        for receiver in bad_g2(good.receiver) {
            let token = good.token;
            bad.push(PaeksTrapdoor { token, receiver });
        }
        for token in [[0; 288], [1; 288], [0xff; 288]] {
            bad.push(PaeksTrapdoor { token, ..good });
        }
        bad
    }

    fn bad_entries(&self) -> Vec<PaeksEntry> {
        let good = self.list(1, &["w"])[0];
        let mut bad = Vec::new();
        for at in [0, 48] {
            let part = good.0[at..at + 48].try_into().unwrap();
            for point in bad_g1(part) {
                let mut entry = good;
                entry.0[at..at + 48].copy_from_slice(&point);
                bad.push(entry);
            }
        }
        bad
    }
}

fn bad_g1(good: [u8; 48]) -> Vec<[u8; 48]> {
    use crate::pairing::tests::{bad_points, g1_outside_the_subgroup};
    bad_points(good, g1_outside_the_subgroup())
}

fn bad_g2(good: [u8; 96]) -> Vec<[u8; 96]> {
    use crate::pairing::tests::{bad_points, g2_outside_the_subgroup};
    bad_points(good, g2_outside_the_subgroup())
}

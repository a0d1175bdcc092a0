//! Public key encryption with keyword search, from bilinear maps: the end users' side.
//!
//! D. Boneh, G. Di Crescenzo, R. Ostrovsky, G. Persiano, "Public Key Encryption with Keyword Search", EUROCRYPT 2004,
//! section 3.1. The paper's symmetric pairing is mapped to the groups of BLS12-381 as `caduceus_crypto::index::peks`
//! describes, where assumption and leakage stand too. Notation:
//!
//! | symbol | meaning |
//! |---|---|
//! | a, h = a * g1 | the patient's secret; her public key, part of her meta-address |
//! | r, A = r * g1 | fresh for each entry |
//! | B = H2(e(r * h, H1(w))) | masks the keyword w |
//! | T = a * H1(w) | the trapdoor for w |
//!
//! # Leakage
//! What the paper's model leaves open is the reason for epoch tags: whoever knows h makes entries and, given a
//! trapdoor, guesses its keyword by trying each of a dictionary. The patient's trapdoors are the same at every
//! hospital and for all time; the days of a scan are a wish, not a limit.

use std::fmt;

use caduceus_crypto::domain;
use caduceus_crypto::index::{
    IndexEntries, PeksEntry, PeksTrapdoor, Scan, SchemeId, SchemeKey, Slots,
};
use caduceus_crypto::pairing::{G1Affine, PairingSecret, hash_to_g2, pair};
use caduceus_crypto::time::Epoch;
use rand_core::{CryptoRng, RngCore};

use super::{HospitalSide, IndexScheme, PatientSide, padded};
use crate::patient::PatientKeys;
use crate::tags::IndexError;

/// PEKS of Boneh, Di Crescenzo, Ostrovsky and Persiano: a baseline.
#[derive(Clone, Copy, Debug)]
pub struct PeksScheme;

/// a: makes trapdoors for all of the patient's records, at every hospital. Zeroized on drop.
#[derive(Clone)]
pub struct PeksSecret(PairingSecret);

impl PeksSecret {
    /// h = a * g1.
    #[must_use]
    pub fn public(&self) -> SchemeKey {
        self.0.scheme_key()
    }

    /// T = a * H1(w).
    #[must_use]
    pub fn trapdoor(&self, keyword: &str) -> PeksTrapdoor {
        let hashed = hash_to_g2(domain::PEKS_H1_DST, keyword.as_bytes());
        PeksTrapdoor::new(&self.0.times_g2(&hashed))
    }
}

impl fmt::Debug for PeksSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeksSecret(redacted)")
    }
}

impl PatientKeys {
    /// The patient's secret under peks. It doesn't depend on the hospital.
    #[must_use]
    pub fn peks_secret(&self) -> PeksSecret {
        PeksSecret(self.pairing_secret(domain::PEKS_KEY))
    }
}

/// The entries of a record with these keywords.
pub(super) fn entries(
    rng: &mut (impl CryptoRng + RngCore),
    key: &SchemeKey,
    keywords: &[&str],
) -> Result<IndexEntries, IndexError> {
    // Reading the key takes a square root: once a record.
    let h = key.point();
    let entries = padded(rng, keywords, |rng, keyword| {
        entry(&PairingSecret::generate(rng), &h, keyword)
    })?;
    Ok(IndexEntries::Peks(entries))
}

/// The entry of one keyword under r.
fn entry(r: &PairingSecret, h: &G1Affine, keyword: &[u8]) -> PeksEntry {
    let hashed = hash_to_g2(domain::PEKS_H1_DST, keyword);
    let value = pair(&r.times_g1(h), &hashed);
    PeksEntry::new(&r.public_g1(), &value)
        .expect("r, h and hashed keywords are not zero but with probability 2^-254")
}

impl IndexScheme for PeksScheme {
    const ID: SchemeId = SchemeId::Peks;

    type AuthorKey = SchemeKey;
    type PatientKey = PeksSecret;

    fn author_key(hospital: &HospitalSide, _: Epoch) -> SchemeKey {
        hospital
            .meta
            .index
            .expect("a patient registered for peks has an index key")
    }

    fn patient_key(patient: &PatientSide) -> PeksSecret {
        patient.keys.peks_secret()
    }

    fn index(
        rng: &mut (impl CryptoRng + RngCore),
        key: &SchemeKey,
        _: Epoch,
        keywords: &[(&str, u32)],
    ) -> Result<IndexEntries, IndexError> {
        let keywords: Vec<&str> = keywords.iter().map(|(keyword, _)| *keyword).collect();
        entries(rng, key, &keywords)
    }

    fn slots(key: &PeksSecret, keywords: &[&str], from: Epoch, to: Epoch) -> Slots {
        Slots::Peks(Scan {
            first: from,
            last: to,
            trapdoors: keywords
                .iter()
                .map(|keyword| key.trapdoor(keyword))
                .collect(),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

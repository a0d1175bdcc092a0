//! Public key authenticated encryption with keyword search: the end users' side.
//!
//! Q. Huang, H. Li, "An efficient public-key searchable encryption scheme secure against inside keyword guessing
//! attacks", Information Sciences 403-404, 2017. The paper's symmetric pairing is mapped to the groups of BLS12-381 as
//! `caduceus_crypto::index::paeks` describes, where assumptions and leakage stand too. Notation:
//!
//! | symbol | meaning |
//! |---|---|
//! | x, x * g2 | the sender's secret; its public key |
//! | y, y * g1, y * g2 | the patient's secret as receiver; her public keys, the first part of her meta-address |
//! | r | fresh for each entry |
//! | C1 = x * H(w) + r * g1, C2 = r * (y * g1) | the entry for the keyword w |
//! | t = e(y * H(w), x * g2) | the trapdoor for w, together with y * g2 |
//!
//! Deviation: in the paper a sender publishes x * g2. Here x follows from what hospital and patient agreed on when
//! she registered, one x a pair, so x * g2 needs no directory and stays unknown to third parties; the patient
//! computes it. A hospital thus has as many senders as patients, and a trapdoor is worth nothing at another hospital.
//!
//! # Leakage
//! A trapdoor is for all time; the days of a scan are a wish, not a limit. Every trapdoor shows y * g2, which ties
//! together all searches of a patient, at all hospitals, and with which anybody sees which of her entries of one
//! hospital hold the same keyword.

use std::fmt;

use caduceus_crypto::domain;
use caduceus_crypto::index::{
    IndexEntries, PaeksEntry, PaeksTrapdoor, Scan, SchemeId, SchemeKey, Slots,
};
use caduceus_crypto::keys::{HospitalId, PublicKey};
use caduceus_crypto::pairing::{G1Affine, G2Affine, PairingSecret, add_g1, hash_to_g1, pair};
use caduceus_crypto::time::Epoch;
use rand_core::{CryptoRng, RngCore};

use super::{HospitalSide, IndexScheme, PatientSide, padded};
use crate::patient::PatientKeys;
use crate::tags::IndexError;

/// PAEKS of Huang and Li: a baseline.
#[derive(Clone, Copy, Debug)]
pub struct PaeksScheme;

/// x and y * g1: makes entries for one patient at one hospital. Zeroized on drop.
///
/// # Security
/// Together with y * g2, which every trapdoor shows, it tests keywords against that patient's entries and trapdoors
/// of this hospital: the author is not kept from guessing, outsiders are.
#[derive(Clone)]
pub struct PaeksAuthor {
    sender: PairingSecret,
    receiver: G1Affine,
}

/// y and x * g2: makes trapdoors for one patient's records at one hospital. Zeroized on drop.
#[derive(Clone)]
pub struct PaeksReader {
    secret: PairingSecret,
    /// y * g2.
    receiver: G2Affine,
    /// x * g2.
    sender: G2Affine,
}

impl PaeksAuthor {
    /// The author's key of a pair: x and the patient's y * g1.
    #[must_use]
    pub fn new(sender: PairingSecret, receiver: &SchemeKey) -> Self {
        Self {
            sender,
            receiver: receiver.point(),
        }
    }

    /// x * g2, the sender's public key.
    #[must_use]
    pub fn public(&self) -> G2Affine {
        self.sender.public_g2()
    }

    /// The entries of a record with these keywords.
    pub(super) fn entries(
        &self,
        rng: &mut (impl CryptoRng + RngCore),
        keywords: &[&str],
    ) -> Result<IndexEntries, IndexError> {
        let entries = padded(rng, keywords, |rng, keyword| {
            self.entry(&PairingSecret::generate(rng), keyword)
        })?;
        Ok(IndexEntries::Paeks(entries))
    }

    /// The entry of one keyword under r.
    fn entry(&self, r: &PairingSecret, keyword: &[u8]) -> PaeksEntry {
        let hashed = hash_to_g1(domain::PAEKS_H_DST, keyword);
        let c1 = add_g1(&self.sender.times_g1(&hashed), &r.public_g1());
        PaeksEntry::new(&c1, &r.times_g1(&self.receiver))
    }
}

impl PaeksReader {
    /// The reader's key of a pair: y and x * g2.
    #[must_use]
    pub fn new(secret: PairingSecret, sender: G2Affine) -> Self {
        let receiver = secret.public_g2();
        Self {
            secret,
            receiver,
            sender,
        }
    }

    /// y * g1.
    #[must_use]
    pub fn public(&self) -> SchemeKey {
        self.secret.scheme_key()
    }

    /// t = e(y * H(w), x * g2), and y * g2.
    #[must_use]
    pub fn trapdoor(&self, keyword: &str) -> PaeksTrapdoor {
        let hashed = hash_to_g1(domain::PAEKS_H_DST, keyword.as_bytes());
        let token = pair(&self.secret.times_g1(&hashed), &self.sender);
        PaeksTrapdoor::new(&token, &self.receiver)
            .expect("x, y and hashed keywords are not zero but with probability 2^-254")
    }
}

impl fmt::Debug for PaeksAuthor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PaeksAuthor(redacted)")
    }
}

impl fmt::Debug for PaeksReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PaeksReader(redacted)")
    }
}

impl PatientKeys {
    /// The patient's key under paeks for one hospital, whose I `index` is.
    #[must_use]
    pub fn paeks_reader(&self, hospital: &HospitalId, index: &PublicKey) -> PaeksReader {
        let sender = self.pair_keys(hospital, index).sender_secret();
        PaeksReader::new(self.pairing_secret(domain::PAEKS_KEY), sender.public_g2())
    }
}

impl IndexScheme for PaeksScheme {
    const ID: SchemeId = SchemeId::Paeks;

    type AuthorKey = PaeksAuthor;
    type PatientKey = PaeksReader;

    fn author_key(hospital: &HospitalSide, day: Epoch) -> PaeksAuthor {
        let visit_key = hospital.visit_key(SchemeId::Paeks, day);
        let sender = PairingSecret::from_bytes(&visit_key)
            .expect("the key service's visit key is a secret of the pair");
        let receiver = hospital
            .meta
            .index
            .expect("a patient registered for paeks has an index key");
        PaeksAuthor::new(sender, &receiver)
    }

    fn patient_key(patient: &PatientSide) -> PaeksReader {
        patient.keys.paeks_reader(&patient.hospital, &patient.index)
    }

    fn index(
        rng: &mut (impl CryptoRng + RngCore),
        key: &PaeksAuthor,
        _: Epoch,
        keywords: &[(&str, u32)],
    ) -> Result<IndexEntries, IndexError> {
        let keywords: Vec<&str> = keywords.iter().map(|(keyword, _)| *keyword).collect();
        key.entries(rng, &keywords)
    }

    fn slots(key: &PaeksReader, keywords: &[&str], from: Epoch, to: Epoch) -> Slots {
        Slots::Paeks(Scan {
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

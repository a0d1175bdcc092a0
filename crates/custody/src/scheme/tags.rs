//! Epoch tags behind [`IndexScheme`]. The construction and its leakage: [`crate::tags`] and [`crate::trapdoor`].

use caduceus_crypto::index::{IndexEntries, SchemeId, Slots};
use caduceus_crypto::time::Epoch;
use rand_core::{CryptoRng, RngCore};

use super::{HospitalSide, IndexScheme, PatientSide};
use crate::index_key::{PairKeys, QuarterKey};
use crate::tags::{IndexError, author_entries};
use crate::trapdoor::cover;

/// Epoch tags: the scheme of Caduceus, and the default.
///
/// Security rests on AES-128 and HMAC-SHA3-256 as pseudorandom functions, and on the agreement behind the quarter
/// key (a Diffie-Hellman secret together with the pair secret). Entries without a trapdoor are random bytes; a
/// trapdoor finds its keyword in its days, and no keyword can be tested by guessing.
#[derive(Clone, Copy, Debug)]
pub struct TagsScheme;

impl IndexScheme for TagsScheme {
    const ID: SchemeId = SchemeId::Tags;

    type AuthorKey = QuarterKey;
    type PatientKey = PairKeys;

    fn author_key(hospital: &HospitalSide, day: Epoch) -> QuarterKey {
        hospital
            .service
            .quarter_key(&hospital.meta.view, &hospital.pair_secret, &day.quarter())
    }

    fn patient_key(patient: &PatientSide) -> PairKeys {
        patient.keys.pair_keys(&patient.hospital, &patient.index)
    }

    fn index(
        rng: &mut (impl CryptoRng + RngCore),
        key: &QuarterKey,
        day: Epoch,
        keywords: &[(&str, u32)],
    ) -> Result<IndexEntries, IndexError> {
        author_entries(rng, key, day, keywords)
    }

    fn slots(key: &PairKeys, keywords: &[&str], from: Epoch, to: Epoch) -> Slots {
        let covers = keywords
            .iter()
            .map(|keyword| cover(|quarter| key.quarter_key(quarter), keyword, from, to));
        Slots::Tags(covers.collect())
    }
}

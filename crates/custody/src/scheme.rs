//! The searchable index schemes, from the end users' side: keys, entries, trapdoors (DESIGN 3.4).
//!
//! | scheme | from | search | the author needs | keywords can be guessed by |
//! |---|---|---|---|---|
//! | `tags` | DESIGN 3.4 | looked up | the pair's key of the quarter | who holds that key |
//! | `peks` | Boneh et al., EUROCRYPT 2004 | scanned | the patient's public key | who knows that key |
//! | `paeks` | Huang, Li, 2017 | scanned | the pair's sender secret | who holds that secret |
//!
//! `tags` is what Caduceus is for; the others are baselines, complete, so that all three can be run and measured
//! on the same records. A whole network uses one. [`IndexScheme`] is for programs that compare them; products,
//! which learn the scheme from their network, use [`author_key`], [`AuthorKey`] and [`slots`].
//!
//! Matching is the nodes' work: `Query::verify`, then `CheckedQuery::run`, or `slot_matches` for one record, all
//! in `caduceus_crypto::index`, since nodes must not link this crate.

mod paeks;
mod peks;
mod tags;

use std::fmt;

use caduceus_crypto::index::{IndexEntries, SchemeId, SchemeKey, Slots, TAG_GROUP};
use caduceus_crypto::keys::{HospitalId, PublicKey, SecretKey};
use caduceus_crypto::pairing::PairingSecret;
use caduceus_crypto::pseudonym::MetaAddress;
use caduceus_crypto::time::{Epoch, Quarter};
use rand_core::{CryptoRng, RngCore};
use thiserror::Error;
use zeroize::Zeroizing;

pub use self::paeks::{PaeksAuthor, PaeksReader, PaeksScheme};
pub use self::peks::{PeksScheme, PeksSecret};
pub use self::tags::TagsScheme;
use crate::index_key::{IndexKeyService, QuarterKey};
use crate::patient::PatientKeys;
use crate::seed::PatientSeed;
use crate::tags::{IndexError, distinct};

/// One searchable encryption scheme, with all that its end users do. What a node does with the results is in
/// `caduceus_crypto::index`: `Query::verify` and `CheckedQuery::run`, or `slot_matches` for one record.
pub trait IndexScheme {
    /// Which scheme it is.
    const ID: SchemeId;

    /// What the author of a record holds of the patient during a visit.
    type AuthorKey;

    /// What the patient searches with at one hospital.
    type PatientKey;

    /// A fresh hospital and a fresh patient that is registered there.
    #[must_use]
    fn keygen(rng: &mut (impl CryptoRng + RngCore)) -> (HospitalSide, PatientSide) {
        let hospital = HospitalId::from_identity(&SecretKey::generate(rng).public());
        let service = IndexKeyService::new(SecretKey::generate(rng));
        let keys = PatientKeys::from_seed(&PatientSeed::generate(rng));
        register(Self::ID, &service, hospital, keys)
    }

    /// The author's key on a day.
    ///
    /// # Panics
    /// If the patient was registered for another scheme: [`keygen`](IndexScheme::keygen) and [`register`] fit.
    #[must_use]
    fn author_key(hospital: &HospitalSide, day: Epoch) -> Self::AuthorKey;

    /// The patient's key.
    #[must_use]
    fn patient_key(patient: &PatientSide) -> Self::PatientKey;

    /// Index entries of one record that is anchored on `day`: of its distinct keywords, padded to a multiple of
    /// [`TAG_GROUP`] and sorted. Each keyword stands with the number of its committed tags of that day, which
    /// scanned schemes ignore, as they ignore the day.
    ///
    /// # Errors
    /// An empty keyword, more keywords than a record may have, or (tags) a day outside of the key's quarter.
    fn index(
        rng: &mut (impl CryptoRng + RngCore),
        key: &Self::AuthorKey,
        day: Epoch,
        keywords: &[(&str, u32)],
    ) -> Result<IndexEntries, IndexError>;

    /// Trapdoors for the days of anchoring `from` to `to`, both included: one slot a keyword, in their order.
    ///
    /// # Leakage
    /// As each scheme tells: [`crate::trapdoor::cover`], `caduceus_crypto::index::peks` and `::paeks`.
    #[must_use]
    fn slots(key: &Self::PatientKey, keywords: &[&str], from: Epoch, to: Epoch) -> Slots;
}

/// What a hospital holds of one registered patient: the key service's part and the desk's.
#[derive(Clone)]
pub struct HospitalSide {
    /// The index key service.
    pub service: IndexKeyService,
    /// The patient's meta-address.
    pub meta: MetaAddress,
    /// What she handed over to the key service when she registered.
    pub pair_secret: Zeroizing<[u8; 32]>,
    /// The hospital.
    pub hospital: HospitalId,
}

/// What a patient holds of one hospital that she is registered at.
#[derive(Clone)]
pub struct PatientSide {
    /// All of her keys, for the network's scheme.
    pub keys: PatientKeys,
    /// The hospital.
    pub hospital: HospitalId,
    /// The hospital's I.
    pub index: PublicKey,
}

impl HospitalSide {
    /// What the key service gives a workstation for a visit on `day`.
    #[must_use]
    pub fn visit_key(&self, scheme: SchemeId, day: Epoch) -> Zeroizing<[u8; 32]> {
        self.service
            .visit_key(scheme, &self.meta.view, &self.pair_secret, &day.quarter())
    }
}

impl fmt::Debug for HospitalSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HospitalSide({}, redacted)", self.hospital)
    }
}

impl fmt::Debug for PatientSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PatientSide({}, redacted)", self.hospital)
    }
}

/// Both sides of a patient's registration at a hospital, in a network of `scheme`.
#[must_use]
pub fn register(
    scheme: SchemeId,
    service: &IndexKeyService,
    hospital: HospitalId,
    keys: PatientKeys,
) -> (HospitalSide, PatientSide) {
    let keys = keys.with_scheme(scheme);
    let hospital_side = HospitalSide {
        service: service.clone(),
        meta: keys.meta(),
        pair_secret: keys.pair_secret(&hospital),
        hospital,
    };
    let patient_side = PatientSide {
        keys,
        hospital,
        index: service.public(),
    };
    (hospital_side, patient_side)
}

/// Why an author has no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SchemeKeyError {
    /// The meta-address lacks the key that the network's scheme needs: it was made for another scheme.
    #[error("the patient's meta-address has no key for the index scheme {scheme}")]
    Missing {
        /// The network's scheme.
        scheme: SchemeId,
    },
    /// What the key service gave is no sender secret: zero, or not below the group's order.
    #[error("the key service's answer is not a secret of the index scheme {scheme}")]
    VisitKey {
        /// The network's scheme.
        scheme: SchemeId,
    },
}

/// What a workstation makes index entries with, for the visit only. Secrets are zeroized on drop.
#[derive(Clone, Debug)]
pub enum AuthorKey {
    /// K_q.
    Tags(QuarterKey),
    /// The patient's h.
    Peks(SchemeKey),
    /// The pair's x and the patient's y * g1.
    Paeks(PaeksAuthor),
}

/// The author's key in a network of `scheme`. `visit_key` is what the key service gave for `quarter`, `meta` the
/// patient's meta-address, checked against her card.
///
/// # Errors
/// [`SchemeKeyError`]. Under tags there is none.
pub fn author_key(
    scheme: SchemeId,
    quarter: Quarter,
    visit_key: &[u8; 32],
    meta: &MetaAddress,
) -> Result<AuthorKey, SchemeKeyError> {
    let receiver = meta.index.ok_or(SchemeKeyError::Missing { scheme });
    match scheme {
        SchemeId::Tags => Ok(AuthorKey::Tags(QuarterKey::from_bytes(quarter, visit_key))),
        SchemeId::Peks => Ok(AuthorKey::Peks(receiver?)),
        SchemeId::Paeks => {
            let receiver = receiver?;
            let sender = PairingSecret::from_bytes(visit_key)
                .map_err(|_| SchemeKeyError::VisitKey { scheme })?;
            Ok(AuthorKey::Paeks(PaeksAuthor::new(sender, &receiver)))
        }
    }
}

impl AuthorKey {
    /// The scheme that it is for.
    #[must_use]
    pub fn scheme(&self) -> SchemeId {
        match self {
            Self::Tags(_) => SchemeId::Tags,
            Self::Peks(_) => SchemeId::Peks,
            Self::Paeks(_) => SchemeId::Paeks,
        }
    }

    /// The index entries of a record with these keywords under a scanned scheme. None under tags: those need to
    /// know how many tags are committed, see [`crate::tags::TagRequest`].
    ///
    /// The inner error is an empty keyword, or more keywords than a record may have.
    ///
    /// # Leakage
    /// The number of distinct keywords, rounded up to 8.
    pub fn scan_entries(
        &self,
        rng: &mut (impl CryptoRng + RngCore),
        keywords: &[&str],
    ) -> Option<Result<IndexEntries, IndexError>> {
        match self {
            Self::Tags(_) => None,
            Self::Peks(key) => Some(peks::entries(rng, key, keywords)),
            Self::Paeks(author) => Some(author.entries(rng, keywords)),
        }
    }
}

/// A patient's trapdoors at one hospital in a network of `scheme`: [`IndexScheme::slots`] where the scheme is known
/// at run time only. `index` is the hospital's I.
#[must_use]
pub fn slots(
    scheme: SchemeId,
    keys: &PatientKeys,
    hospital: &HospitalId,
    index: &PublicKey,
    keywords: &[&str],
    from: Epoch,
    to: Epoch,
) -> Slots {
    match scheme {
        SchemeId::Tags => TagsScheme::slots(&keys.pair_keys(hospital, index), keywords, from, to),
        SchemeId::Peks => PeksScheme::slots(&keys.peks_secret(), keywords, from, to),
        SchemeId::Paeks => {
            PaeksScheme::slots(&keys.paeks_reader(hospital, index), keywords, from, to)
        }
    }
}

/// One entry for each distinct keyword, and for random ones up to a multiple of [`TAG_GROUP`], one group at least;
/// sorted by their bytes. Nobody searches for 32 random bytes, and nobody tells their entries from the others.
fn padded<R: CryptoRng + RngCore, E: Ord>(
    rng: &mut R,
    keywords: &[&str],
    entry: impl Fn(&mut R, &[u8]) -> E,
) -> Result<Vec<E>, IndexError> {
    let distinct = distinct(keywords.iter().copied())?;
    let target = distinct.len().max(1).next_multiple_of(TAG_GROUP);
    let mut entries = Vec::with_capacity(target);
    for keyword in distinct {
        entries.push(entry(rng, keyword.as_bytes()));
    }
    while entries.len() < target {
        let mut random = [0u8; 32];
        rng.fill_bytes(&mut random);
        entries.push(entry(rng, &random));
    }
    entries.sort_unstable();
    Ok(entries)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

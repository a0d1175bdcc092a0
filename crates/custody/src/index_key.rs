//! The key that a hospital and a patient share for a quarter (DESIGN 3.4):
//! K_q = KDF(hV = vI, pair secret; V, I, q).
//!
//! The hospital's side runs in the key service, which only workstations reach; the patient's side in her
//! client. Neither side needs the other to be there.
//!
//! The schemes of comparison ([`crate::scheme`]) use the same agreement: `paeks` takes its sender's secret from
//! it, once for the pair and not by quarter, and `peks` needs no secret of the author at all.

use std::fmt;

use caduceus_crypto::domain;
use caduceus_crypto::hash::kdf;
use caduceus_crypto::index::SchemeId;
use caduceus_crypto::keys::{HospitalId, PublicKey, SecretKey};
use caduceus_crypto::pairing::PairingSecret;
use caduceus_crypto::time::Quarter;
use zeroize::Zeroizing;

use crate::patient::PatientKeys;

/// K_q: all index tags of one patient at one hospital in one quarter follow from it. Zeroized on drop.
///
/// # Security
/// It is forward private by quarter only as long as nobody keeps it: a workstation holds it for a visit.
#[derive(Clone)]
pub struct QuarterKey {
    quarter: Quarter,
    key: Box<Zeroizing<[u8; 32]>>,
}

impl QuarterKey {
    /// Takes a key as the key service sent it. The caller zeroizes its own copy.
    #[must_use]
    pub fn from_bytes(quarter: Quarter, key: &[u8; 32]) -> Self {
        Self {
            quarter,
            key: Box::new(Zeroizing::new(*key)),
        }
    }

    /// The quarter it is for.
    #[must_use]
    pub fn quarter(&self) -> Quarter {
        self.quarter
    }

    /// The secret bytes, for the way from the key service to a workstation.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.key
    }
}

impl fmt::Debug for QuarterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QuarterKey({}, redacted)", self.quarter)
    }
}

/// What one hospital and one patient agree on for good: hV = vI and the pair secret. Zeroized on drop.
///
/// # Security
/// All index keys of the pair follow from it, of every quarter. It stays in the key service and in the patient's
/// client; a workstation gets a [`QuarterKey`] or its like.
#[derive(Clone)]
pub struct PairKeys {
    /// Two secrets of fixed length: their concatenation is one key input.
    secrets: Box<Zeroizing<[u8; 65]>>,
    view: PublicKey,
    index: PublicKey,
}

impl PairKeys {
    /// `shared` is hV = vI.
    fn new(shared: &[u8; 33], pair_secret: &[u8; 32], view: &PublicKey, index: &PublicKey) -> Self {
        let mut secrets = Box::new(Zeroizing::new([0u8; 65]));
        secrets[..33].copy_from_slice(shared);
        secrets[33..].copy_from_slice(pair_secret);
        Self {
            secrets,
            view: *view,
            index: *index,
        }
    }

    /// K_q.
    #[must_use]
    pub fn quarter_key(&self, quarter: Quarter) -> QuarterKey {
        let key = kdf::<32>(
            domain::INDEX_KEY,
            &self.secrets[..],
            &[
                self.view.as_bytes(),
                self.index.as_bytes(),
                &quarter.0.to_le_bytes(),
            ],
        );
        QuarterKey::from_bytes(quarter, &key)
    }

    /// x, the pair's sender secret under `paeks`. It doesn't change with time: that scheme has no notion of it.
    pub(crate) fn sender_secret(&self) -> PairingSecret {
        PairingSecret::derive(
            domain::PAEKS_SENDER,
            &self.secrets[..],
            &[self.view.as_bytes(), self.index.as_bytes()],
        )
    }
}

impl fmt::Debug for PairKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairKeys(redacted)")
    }
}

/// The hospital's index key h. `hospital-server serve` never holds it.
///
/// # Security
/// A hospital that abuses it can test keywords against the records it wrote itself, nobody else's.
#[derive(Clone)]
pub struct IndexKeyService {
    h: SecretKey,
    public: PublicKey,
}

impl IndexKeyService {
    /// Takes the index key.
    #[must_use]
    pub fn new(h: SecretKey) -> Self {
        let public = h.public();
        Self { h, public }
    }

    /// I = hG, published with the hospital.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// The patient's key for `quarter`. `view` is her V, `pair_secret` what she handed over when she
    /// registered.
    #[must_use]
    pub fn quarter_key(
        &self,
        view: &PublicKey,
        pair_secret: &[u8; 32],
        quarter: &Quarter,
    ) -> QuarterKey {
        self.pair(view, pair_secret).quarter_key(*quarter)
    }

    /// What a workstation gets for a visit, 32 bytes whatever the scheme; `scheme::author_key` reads them.
    ///
    /// | scheme | bytes |
    /// |---|---|
    /// | tags | K_q, as [`IndexKeyService::quarter_key`] |
    /// | paeks | x, the pair's sender secret, big-endian; the same in every quarter |
    /// | peks | zeros: the author of an entry needs no secret |
    ///
    /// # Security
    /// Under paeks a workstation that keeps the bytes can make entries for this patient, and test keywords
    /// against her entries of this hospital, for ever; under tags, for the quarter.
    #[must_use]
    pub fn visit_key(
        &self,
        scheme: SchemeId,
        view: &PublicKey,
        pair_secret: &[u8; 32],
        quarter: &Quarter,
    ) -> Zeroizing<[u8; 32]> {
        match scheme {
            SchemeId::Tags => {
                Zeroizing::new(*self.quarter_key(view, pair_secret, quarter).expose())
            }
            SchemeId::Peks => Zeroizing::new([0; 32]),
            SchemeId::Paeks => {
                let sender = self.pair(view, pair_secret).sender_secret();
                Zeroizing::new(sender.scalar().to_bytes_be())
            }
        }
    }

    fn pair(&self, view: &PublicKey, pair_secret: &[u8; 32]) -> PairKeys {
        PairKeys::new(&self.h.shared_point(view), pair_secret, view, &self.public)
    }
}

impl fmt::Debug for IndexKeyService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IndexKeyService({}, redacted)", self.public)
    }
}

impl PatientKeys {
    /// What she agreed on with a hospital. `index` is the hospital's I. For more than one quarter's key, take
    /// them from here: the agreement costs a multiplication on the curve, a quarter's key a hash.
    #[must_use]
    pub fn pair_keys(&self, hospital: &HospitalId, index: &PublicKey) -> PairKeys {
        PairKeys::new(
            &self.view().shared_point(index),
            &self.pair_secret(hospital),
            &self.meta().view,
            index,
        )
    }

    /// The same key as [`IndexKeyService::quarter_key`], from the patient's side. `index` is the hospital's I.
    #[must_use]
    pub fn quarter_key(
        &self,
        hospital: &HospitalId,
        index: &PublicKey,
        quarter: &Quarter,
    ) -> QuarterKey {
        self.pair_keys(hospital, index).quarter_key(*quarter)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::seed::PatientSeed;
    use caduceus_crypto::time::Epoch;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn both_sides_agree_and_everything_else_differs() {
        let mut rng = ChaCha20Rng::seed_from_u64(12);
        let service = IndexKeyService::new(SecretKey::generate(&mut rng));
        let stranger = IndexKeyService::new(SecretKey::generate(&mut rng));
        let patient = PatientKeys::from_seed(&PatientSeed::generate(&mut rng));
        let (here, there) = (HospitalId([1; 32]), HospitalId([2; 32]));
        let quarter = Epoch::from_ymd(2026, 11, 20).unwrap().quarter();
        let view = patient.meta().view;
        let secret = patient.pair_secret(&here);

        let theirs = service.quarter_key(&view, &secret, &quarter);
        let hers = patient.quarter_key(&here, &service.public(), &quarter);
        assert_eq!(theirs.expose(), hers.expose());
        assert_eq!(theirs.quarter(), quarter);

        let others = [
            service.quarter_key(&view, &secret, &quarter.next()),
            service.quarter_key(&view, &patient.pair_secret(&there), &quarter),
            stranger.quarter_key(&view, &secret, &quarter),
            patient.quarter_key(&there, &service.public(), &quarter),
            service.quarter_key(&patient.meta().spend, &secret, &quarter),
        ];
        for other in &others {
            assert_ne!(other.expose(), hers.expose());
        }
    }

    #[test]
    fn the_visit_key_is_what_the_scheme_needs() {
        let mut rng = ChaCha20Rng::seed_from_u64(14);
        let service = IndexKeyService::new(SecretKey::generate(&mut rng));
        let patient = PatientKeys::from_seed(&PatientSeed::generate(&mut rng));
        let here = HospitalId([1; 32]);
        let quarter = Epoch::from_ymd(2026, 11, 20).unwrap().quarter();
        let (view, secret) = (patient.meta().view, patient.pair_secret(&here));
        let visit = |scheme, quarter: Quarter| service.visit_key(scheme, &view, &secret, &quarter);

        let tags = visit(SchemeId::Tags, quarter);
        assert_eq!(
            tags[..],
            patient
                .quarter_key(&here, &service.public(), &quarter)
                .expose()[..]
        );
        assert_ne!(tags[..], visit(SchemeId::Tags, quarter.next())[..]);

        let paeks = visit(SchemeId::Paeks, quarter);
        let hers = patient.pair_keys(&here, &service.public()).sender_secret();
        let sent = PairingSecret::from_bytes(&paeks).unwrap();
        assert_eq!(sent.public_g2(), hers.public_g2());
        assert_eq!(paeks[..], visit(SchemeId::Paeks, quarter.next())[..]);
        assert_ne!(paeks[..], tags[..]);

        assert_eq!(visit(SchemeId::Peks, quarter)[..], [0u8; 32][..]);
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = QuarterKey::from_bytes(Quarter(8106), &[0xab; 32]);
        assert!(!format!("{key:?}").contains("ab"));
        assert!(!format!("{key:?}").contains("171"));
        let mut rng = ChaCha20Rng::seed_from_u64(15);
        let public = SecretKey::generate(&mut rng).public();
        let pair = PairKeys::new(&[0xcd; 33], &[0xcd; 32], &public, &public);
        assert_eq!(format!("{pair:?}"), "PairKeys(redacted)");
    }
}

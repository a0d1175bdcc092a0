//! The key that a hospital and a patient share for a quarter (DESIGN 3.4):
//! K_q = KDF(hV = vI, pair secret; V, I, q).
//!
//! The hospital's side runs in the key service, which only workstations reach; the patient's side in her
//! client. Neither side needs the other to be there.

use std::fmt;

use caduceus_crypto::domain;
use caduceus_crypto::hash::kdf;
use caduceus_crypto::keys::{HospitalId, PublicKey, SecretKey};
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
        agree(
            &self.h.shared_point(view),
            pair_secret,
            view,
            &self.public,
            *quarter,
        )
    }
}

impl fmt::Debug for IndexKeyService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IndexKeyService({}, redacted)", self.public)
    }
}

impl PatientKeys {
    /// The same key from the patient's side. `index` is the hospital's I.
    #[must_use]
    pub fn quarter_key(
        &self,
        hospital: &HospitalId,
        index: &PublicKey,
        quarter: &Quarter,
    ) -> QuarterKey {
        agree(
            &self.view().shared_point(index),
            &self.pair_secret(hospital),
            &self.meta().view,
            index,
            *quarter,
        )
    }
}

/// `shared` is hV = vI.
fn agree(
    shared: &[u8; 33],
    pair_secret: &[u8; 32],
    view: &PublicKey,
    index: &PublicKey,
    quarter: Quarter,
) -> QuarterKey {
    // Two secrets of fixed length: their concatenation is one key input.
    let mut secrets = Zeroizing::new([0u8; 65]);
    secrets[..33].copy_from_slice(shared);
    secrets[33..].copy_from_slice(pair_secret);
    let key = kdf::<32>(
        domain::INDEX_KEY,
        &secrets[..],
        &[view.as_bytes(), index.as_bytes(), &quarter.0.to_le_bytes()],
    );
    QuarterKey::from_bytes(quarter, &key)
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
    fn debug_shows_no_secret() {
        let key = QuarterKey::from_bytes(Quarter(8106), &[0xab; 32]);
        assert!(!format!("{key:?}").contains("ab"));
        assert!(!format!("{key:?}").contains("171"));
    }
}

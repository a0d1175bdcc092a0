//! The patient's keys: which records are hers, and the one-time keys of each (DESIGN 3.1, 3.2).

use std::fmt;

use caduceus_crypto::domain::{self, Domain};
use caduceus_crypto::evidence::VisitToken;
use caduceus_crypto::hash::kdf;
use caduceus_crypto::index::SchemeId;
use caduceus_crypto::keys::{HospitalId, SecretKey};
use caduceus_crypto::pairing::PairingSecret;
use caduceus_crypto::pseudonym::{MetaAddress, Pseudonym};
use caduceus_crypto::time::Epoch;
use k256::Scalar;
use rand_core::{CryptoRng, RngCore};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::seed::PatientSeed;
use crate::stealth;

/// Why a pseudonym yields no keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PseudonymError {
    /// It was not made for this patient at this hospital.
    #[error("the pseudonym belongs to somebody else, or to another hospital")]
    NotMine,
}

/// All of one patient's keys, derived from the seed by labelled HKDF (never by BIP-32).
#[derive(Clone)]
pub struct PatientKeys {
    seed: PatientSeed,
    view: SecretKey,
    spend: SecretKey,
    meta: MetaAddress,
}

/// The two secrets of one pseudonym. They serve different ends and neither gives the other.
#[derive(Clone)]
pub struct OneTimeKeys {
    /// p, with P = pG: signs as the record's owner, and does nothing else.
    pub secret: SecretKey,
    /// d, with D = dG: opens this record and delegates it. It never signs.
    pub delegating: SecretKey,
}

impl PatientKeys {
    /// Derives the view and the spend key; the others are derived when asked for. The meta-address is that of
    /// epoch tags: see [`PatientKeys::with_scheme`].
    #[must_use]
    pub fn from_seed(seed: &PatientSeed) -> Self {
        let view = SecretKey::derive(domain::VIEW_KEY, seed.expose(), &[]);
        let spend = SecretKey::derive(domain::SPEND_KEY, seed.expose(), &[]);
        let meta = MetaAddress::new(view.public(), spend.public());
        Self {
            seed: seed.clone(),
            view,
            spend,
            meta,
        }
    }

    /// The same keys for a network of this index scheme: the meta-address carries what the author of an entry
    /// needs, a * g1 for peks, y * g1 for paeks, nothing for tags.
    #[must_use]
    pub fn with_scheme(mut self, scheme: SchemeId) -> Self {
        self.meta.index = match scheme {
            SchemeId::Tags => None,
            SchemeId::Peks => Some(self.pairing_secret(domain::PEKS_KEY).scheme_key()),
            SchemeId::Paeks => Some(self.pairing_secret(domain::PAEKS_KEY).scheme_key()),
        };
        self
    }

    /// (V, S), and the index scheme's key where there is one: what the registrar's desk gets.
    #[must_use]
    pub fn meta(&self) -> MetaAddress {
        self.meta
    }

    /// v: finds the patient's records among all, and half of the index key agreement.
    #[must_use]
    pub fn view(&self) -> &SecretKey {
        &self.view
    }

    /// s: never used as it is, only inside of one-time secrets.
    #[must_use]
    pub fn spend(&self) -> &SecretKey {
        &self.spend
    }

    /// The 32 bytes that the patient and one hospital's key service share beside their curve keys. They
    /// keep the index closed even if the curve falls (DESIGN 3.4).
    #[must_use]
    pub fn pair_secret(&self, hospital: &HospitalId) -> Zeroizing<[u8; 32]> {
        kdf::<32>(domain::PAIR_SECRET, self.seed.expose(), &[&hospital.0])
    }

    /// The key under which the patient asks one hospital for her own audit log and attests her visits
    /// there. Another hospital sees another key.
    #[must_use]
    pub fn audit_key(&self, hospital: &HospitalId) -> SecretKey {
        SecretKey::derive(domain::AUDIT_KEY, self.seed.expose(), &[&hospital.0])
    }

    /// Attests that the patient is at `hospital` on `day`, under her key for it (DESIGN 3.5). The
    /// workstation salts the token and puts its opening into the record.
    #[must_use]
    pub fn attest_visit(
        &self,
        rng: &mut (impl CryptoRng + RngCore),
        hospital: &HospitalId,
        day: Epoch,
    ) -> VisitToken {
        let mut nonce = [0u8; 32];
        rng.fill_bytes(&mut nonce);
        VisitToken::sign(&self.audit_key(hospital), *hospital, day, nonce)
    }

    /// Whether a pseudonym on the chain of `hospital` is this patient's. One multiplication for 255 of
    /// 256 foreign ones.
    #[must_use]
    pub fn recognise(&self, hospital: &HospitalId, pseudonym: &Pseudonym) -> bool {
        self.opening(hospital, pseudonym).is_some()
    }

    /// The one-time keys of a pseudonym.
    ///
    /// # Errors
    /// [`PseudonymError::NotMine`] if it isn't this patient's.
    pub fn one_time(
        &self,
        hospital: &HospitalId,
        pseudonym: &Pseudonym,
    ) -> Result<OneTimeKeys, PseudonymError> {
        let z = self
            .opening(hospital, pseudonym)
            .ok_or(PseudonymError::NotMine)?;
        let secret = stealth::pseudonym_secret(&self.spend, &z).ok_or(PseudonymError::NotMine)?;
        let shared = secret.shared_point(&pseudonym.ephemeral);
        let delegating = stealth::delegating_secret(
            hospital,
            &pseudonym.ephemeral,
            &pseudonym.point,
            &self.meta.spend,
            &shared,
        );
        Ok(OneTimeKeys { secret, delegating })
    }

    /// The patient's secret in a scanned index scheme. It is the same at every hospital.
    pub(crate) fn pairing_secret(&self, domain: Domain) -> PairingSecret {
        PairingSecret::derive(domain, self.seed.expose(), &[])
    }

    /// z, if P = S + zG.
    fn opening(&self, hospital: &HospitalId, pseudonym: &Pseudonym) -> Option<Zeroizing<Scalar>> {
        let shared = self.view.shared_point(&pseudonym.ephemeral);
        if stealth::view_tag(&shared) != pseudonym.view_tag {
            return None;
        }
        let z = stealth::tweak(hospital, &pseudonym.ephemeral, &self.meta, &shared)?;
        let point = stealth::pseudonym_point(&self.meta.spend, &z)?;
        (point == pseudonym.point).then_some(z)
    }
}

impl fmt::Debug for PatientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PatientKeys(redacted)")
    }
}

impl fmt::Debug for OneTimeKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimeKeys(redacted)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::author::make_pseudonym;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn patient(byte: u8) -> PatientKeys {
        PatientKeys::from_seed(&PatientSeed::from_bytes(&[byte; 32]))
    }

    #[test]
    fn keys_follow_from_the_seed_and_are_all_different() {
        let keys = patient(1);
        assert_eq!(keys.meta(), patient(1).meta());
        assert_ne!(keys.meta(), patient(2).meta());
        assert_ne!(keys.meta().view, keys.meta().spend);
        let (one, two) = (HospitalId([1; 32]), HospitalId([2; 32]));
        assert_ne!(keys.pair_secret(&one)[..], keys.pair_secret(&two)[..]);
        assert_ne!(keys.pair_secret(&one)[..], patient(2).pair_secret(&one)[..]);
        let audit = keys.audit_key(&one).public();
        assert_ne!(audit, keys.audit_key(&two).public());
        assert!(audit != keys.meta().view && audit != keys.meta().spend);
        assert_eq!(format!("{keys:?}"), "PatientKeys(redacted)");
    }

    #[test]
    fn the_meta_address_carries_what_the_scheme_needs() {
        let plain = patient(1).meta();
        let of = |scheme| patient(1).with_scheme(scheme).meta();
        assert_eq!(of(SchemeId::Tags), plain);
        assert_eq!(plain.index, None);
        let (peks, paeks) = (of(SchemeId::Peks), of(SchemeId::Paeks));
        assert!(peks.index.is_some() && paeks.index.is_some());
        assert_ne!(peks.index, paeks.index);
        assert_ne!(
            peks.index,
            patient(2).with_scheme(SchemeId::Peks).meta().index
        );
        for meta in [peks, paeks] {
            assert_eq!((meta.view, meta.spend), (plain.view, plain.spend));
        }
        let back = patient(1).with_scheme(SchemeId::Peks);
        assert_eq!(back.with_scheme(SchemeId::Tags).meta(), plain);
    }

    /// The index key is no part of a pseudonym: records stay recognisable whatever the scheme.
    #[test]
    fn pseudonyms_do_not_depend_on_the_scheme() {
        let here = HospitalId([1; 32]);
        let make = |scheme| {
            let meta = patient(1).with_scheme(scheme).meta();
            make_pseudonym(&mut ChaCha20Rng::seed_from_u64(9), &here, &meta)
        };
        let made = make(SchemeId::Tags);
        assert_eq!(made, make(SchemeId::Peks));
        assert_eq!(made, make(SchemeId::Paeks));
        assert!(patient(1).recognise(&here, &made.pseudonym));
    }

    #[test]
    fn the_patient_recognises_her_pseudonyms_and_no_others() {
        let mut rng = ChaCha20Rng::seed_from_u64(6);
        let (mine, other) = (patient(1), patient(2));
        let (here, there) = (HospitalId([1; 32]), HospitalId([2; 32]));
        let mut seen = 0;
        for _ in 0..32 {
            let made = make_pseudonym(&mut rng, &here, &mine.meta());
            assert!(mine.recognise(&here, &made.pseudonym));
            assert!(!mine.recognise(&there, &made.pseudonym));
            assert!(!other.recognise(&here, &made.pseudonym));
            assert!(other.one_time(&here, &made.pseudonym).is_err());
            let keys = mine.one_time(&here, &made.pseudonym).unwrap();
            assert_eq!(keys.secret.public(), made.pseudonym.point);
            assert_eq!(keys.delegating.public(), made.delegating_public);
            assert_ne!(keys.delegating.public(), keys.secret.public());
            seen += 1;
        }
        assert_eq!(seen, 32);
    }

    #[test]
    fn an_edited_pseudonym_is_not_recognised() {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let (mine, here) = (patient(1), HospitalId([1; 32]));
        let one = make_pseudonym(&mut rng, &here, &mine.meta()).pseudonym;
        let two = make_pseudonym(&mut rng, &here, &mine.meta()).pseudonym;
        let mixed = Pseudonym {
            point: two.point,
            ephemeral: one.ephemeral,
            view_tag: one.view_tag,
        };
        assert!(!mine.recognise(&here, &mixed));
        let tag = Pseudonym {
            point: one.point,
            ephemeral: one.ephemeral,
            view_tag: one.view_tag.wrapping_add(1),
        };
        assert!(!mine.recognise(&here, &tag));
    }

    /// No value that stands in public repeats between two records of one patient.
    #[test]
    fn two_pseudonyms_share_nothing() {
        let mut rng = ChaCha20Rng::seed_from_u64(8);
        let (mine, here) = (patient(1), HospitalId([1; 32]));
        let one = make_pseudonym(&mut rng, &here, &mine.meta());
        let two = make_pseudonym(&mut rng, &here, &mine.meta());
        let of = |made: &crate::author::AuthoredPseudonym| {
            [
                made.pseudonym.point,
                made.pseudonym.ephemeral,
                made.delegating_public,
            ]
        };
        for left in of(&one) {
            assert!(!of(&two).contains(&left));
            assert!(left != mine.meta().view && left != mine.meta().spend);
        }
    }
}

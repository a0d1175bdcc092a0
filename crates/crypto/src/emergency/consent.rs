//! The patient's word that her records may be opened in an emergency, or may no more.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::encode;
use crate::domain;
use crate::hash::Hash;
use crate::keys::{BadSignature, HospitalId, SecretKey, Signature};
use crate::pseudonym::MetaAddress;
use crate::time::TimeMillis;

/// A claimed consent, signed with the view key. The card is bound to that key, so a hospital server cannot opt a
/// patient in: the workstation checks the signature before it makes a second wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct EmergencyConsent {
    /// The hospital.
    pub hospital: HospitalId,
    /// Hash of the card.
    pub card: Hash,
    /// Whether records are wrapped and opened from now on.
    pub wanted: bool,
    /// When it was signed; the newest counts.
    pub at: TimeMillis,
    /// By the view key, over all fields above.
    pub signature: Signature,
}

impl EmergencyConsent {
    /// Signs with the secret of the view key.
    pub fn sign(
        view: &SecretKey,
        hospital: HospitalId,
        card: Hash,
        wanted: bool,
        at: TimeMillis,
    ) -> Self {
        let message = encode(&(hospital, card, wanted, at));
        EmergencyConsent {
            hospital,
            card,
            wanted,
            at,
            signature: view.sign(domain::EMERGENCY_CONSENT, &message),
        }
    }

    /// Checks that the holder of a meta-address signed it.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, meta: &MetaAddress) -> Result<(), BadSignature> {
        let message = encode(&(self.hospital, self.card, self.wanted, self.at));
        meta.view
            .verify(domain::EMERGENCY_CONSENT, &message, &self.signature)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_the_holder_consents_and_only_to_what_it_says() {
        let key = |n: u8| SecretKey::from_bytes(&[n; 32]).unwrap();
        let meta = MetaAddress::new(key(1).public(), key(2).public());
        let (hospital, card, at) = (HospitalId([3; 32]), Hash([4; 32]), TimeMillis(5));
        let good = EmergencyConsent::sign(&key(1), hospital, card, true, at);
        assert_eq!(good.verify(&meta), Ok(()));
        let by_another = EmergencyConsent::sign(&key(2), hospital, card, true, at);
        let changed = [
            by_another,
            EmergencyConsent {
                hospital: HospitalId([9; 32]),
                ..good
            },
            EmergencyConsent {
                card: Hash([9; 32]),
                ..good
            },
            EmergencyConsent {
                wanted: false,
                ..good
            },
            EmergencyConsent {
                at: TimeMillis(6),
                ..good
            },
        ];
        for bad in changed {
            assert_eq!(bad.verify(&meta), Err(BadSignature), "{bad:?}");
        }
    }
}

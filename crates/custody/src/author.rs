//! The doctor's side of a one-time pseudonym (DESIGN 3.2).

use caduceus_crypto::keys::{HospitalId, PublicKey, SecretKey};
use caduceus_crypto::pseudonym::{MetaAddress, Pseudonym};
use rand_core::{CryptoRng, RngCore};

use crate::stealth;

/// A fresh pseudonym and the delegating key that belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthoredPseudonym {
    /// P, R and the view tag: published with the record.
    pub pseudonym: Pseudonym,
    /// D = dG: stands in the record's header; the record is encrypted under it.
    pub delegating_public: PublicKey,
}

/// Draws r and makes the pseudonym of one record for the patient behind `meta` at `hospital`.
///
/// `meta` must have been checked against the card (`card_binding`): whoever chooses it can open the
/// record.
///
/// # Leakage
/// Two pseudonyms of one patient are unlinkable to all who lack her view key. The author could keep d,
/// as he could keep the record's text; he can't learn p or s.
#[must_use]
pub fn make_pseudonym(
    rng: &mut (impl CryptoRng + RngCore),
    hospital: &HospitalId,
    meta: &MetaAddress,
) -> AuthoredPseudonym {
    loop {
        // A zero scalar or an identity point turns up once in 2^256 draws: draw again.
        if let Some(made) = attempt(&SecretKey::generate(rng), hospital, meta) {
            return made;
        }
    }
}

fn attempt(
    ephemeral: &SecretKey,
    hospital: &HospitalId,
    meta: &MetaAddress,
) -> Option<AuthoredPseudonym> {
    let ephemeral_public = ephemeral.public();
    let shared = ephemeral.shared_point(&meta.view);
    let z = stealth::tweak(hospital, &ephemeral_public, meta, &shared)?;
    let point = stealth::pseudonym_point(&meta.spend, &z)?;
    let delegating = stealth::delegating_secret(
        hospital,
        &ephemeral_public,
        &point,
        &meta.spend,
        &ephemeral.shared_point(&point),
    );
    Some(AuthoredPseudonym {
        pseudonym: Pseudonym {
            point,
            ephemeral: ephemeral_public,
            view_tag: stealth::view_tag(&shared),
        },
        delegating_public: delegating.public(),
    })
}

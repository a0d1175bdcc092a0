//! What author and patient both compute for a one-time pseudonym (DESIGN 3.2, after ERC-5564 scheme 1).
//!
//! Notation: `v`, `V = vG` view key, `s`, `S = sG` spend key, `r`, `R = rG` ephemeral key, `G` the
//! generator, `P = S + zG` the pseudonym, `p = s + z` its secret, `d`, `D = dG` the delegating key.

use caduceus_crypto::domain;
use caduceus_crypto::hash::hash;
use caduceus_crypto::keys::{HospitalId, PublicKey, SecretKey};
use caduceus_crypto::pseudonym::MetaAddress;
use k256::elliptic_curve::ops::Reduce;
use k256::{FieldBytes, ProjectivePoint, Scalar, U256};
use zeroize::{Zeroize, Zeroizing};

/// First byte of H("view-tag" | rV): lets the patient skip 255 of 256 foreign records after one
/// multiplication.
pub(crate) fn view_tag(shared: &[u8; 33]) -> u8 {
    hash(domain::VIEW_TAG, &[shared]).as_bytes()[0]
}

/// z = H("pseudonym" | hospital | R | V | S | rV) mod n. `None` for zero, which is refused.
///
/// `shared` is rV = vR.
pub(crate) fn tweak(
    hospital: &HospitalId,
    ephemeral: &PublicKey,
    meta: &MetaAddress,
    shared: &[u8; 33],
) -> Option<Zeroizing<Scalar>> {
    let digest = hash(
        domain::PSEUDONYM,
        &[
            &hospital.0,
            ephemeral.as_bytes(),
            meta.view.as_bytes(),
            meta.spend.as_bytes(),
            shared,
        ],
    );
    let mut bytes = FieldBytes::clone_from_slice(digest.as_bytes());
    let z = Zeroizing::new(<Scalar as Reduce<U256>>::reduce_bytes(&bytes));
    bytes.zeroize();
    if bool::from(z.is_zero()) {
        None
    } else {
        Some(z)
    }
}

/// P = S + zG. `None` for the identity, which is refused.
pub(crate) fn pseudonym_point(spend: &PublicKey, z: &Scalar) -> Option<PublicKey> {
    PublicKey::from_point(spend.point() + ProjectivePoint::GENERATOR * *z).ok()
}

/// p = s + z. `None` for zero, which is refused.
pub(crate) fn pseudonym_secret(spend: &SecretKey, z: &Scalar) -> Option<SecretKey> {
    let s = Zeroizing::new(spend.scalar());
    SecretKey::from_scalar(*s + *z).ok()
}

/// d = HKDF(rP; "delegate/v1", hospital, R, P, S). `shared` is rP = pR.
///
/// # Security
/// d is independent of p: whoever learns it (t proxies with the data user; the record's author) opens
/// this record and learns nothing of s.
pub(crate) fn delegating_secret(
    hospital: &HospitalId,
    ephemeral: &PublicKey,
    pseudonym: &PublicKey,
    spend: &PublicKey,
    shared: &[u8; 33],
) -> SecretKey {
    SecretKey::derive(
        domain::DELEGATE,
        shared,
        &[
            &hospital.0,
            ephemeral.as_bytes(),
            pseudonym.as_bytes(),
            spend.as_bytes(),
        ],
    )
}

//! Break-glass on the side of those who hold secrets (DESIGN 3.7): dealing shares, wrapping a data key, an officer's
//! part, and opening. What is public of it, and the notation, is `caduceus_crypto::emergency`.
//!
//! e and the polynomial exist while [`deal`] runs, and never again: an opening combines the officers' points, not
//! their shares.

mod share;

use aes_gcm::aead::Aead;
use aes_gcm::{Aes256Gcm, Key, KeyInit, Nonce};
use caduceus_crypto::dleq::DleqProof;
use caduceus_crypto::domain;
use caduceus_crypto::emergency::{
    CheckedEmergencyKey, EmergencyPartial, EmergencyWrap, VerifiedPartial, VerifiedWrap,
    WRAPPED_KEY_BYTES, second_generator, wrap_context,
};
use caduceus_crypto::hash::{Hash, kdf};
use caduceus_crypto::keys::{PublicKey, SecretKey};
use k256::{ProjectivePoint, Scalar};
use rand_core::{CryptoRng, RngCore};
use thiserror::Error;
use zeroize::Zeroizing;

pub use share::{
    DealError, Dealt, EmergencyShare, SHARE_BOX_BYTES, ShareError, deal, open_share, seal_share,
};

/// The key is derived for one wrap and encrypts one data key: a constant nonce is safe.
const NONCE: [u8; 12] = [0; 12];

/// Why a wrap did not open, though each partial was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EmergencyOpenError {
    /// Fewer officers than the threshold.
    #[error("partials of {found} officers, {needed} are needed")]
    TooFew {
        /// The threshold.
        needed: usize,
        /// Different officers found.
        found: usize,
    },
    /// A partial for another wrap is among them.
    #[error("the partial of officer {index} is for another record")]
    OtherWrap {
        /// Her index.
        index: u8,
    },
    /// The officers did their part, but the author wrapped something else.
    #[error("the emergency wrap holds no data key")]
    Unwrap,
}

/// Wraps a data key under an emergency key, for the record with this header.
#[must_use]
pub fn wrap(
    rng: &mut (impl CryptoRng + RngCore),
    key: &CheckedEmergencyKey,
    header_hash: &Hash,
    data_key: &[u8; 32],
) -> EmergencyWrap {
    let nonce = SecretKey::generate(rng);
    let ephemeral = nonce.public();
    let second = times(second_generator(), &nonce);
    let shared = nonce.shared_point(key.point());
    let wrapping = wrapping_key(key, header_hash, &ephemeral, &shared);
    let wrapped_key: [u8; WRAPPED_KEY_BYTES] = cipher(&wrapping)
        .encrypt(Nonce::from_slice(&NONCE), &data_key[..])
        .expect("a data key is far below AES-GCM's 64 GiB")
        .try_into()
        .expect("AES-GCM adds 16 bytes");
    let mut wrap = EmergencyWrap {
        generation: key.generation(),
        ephemeral,
        second,
        wrapped_key,
        proof: DleqProof {
            challenge: [0; 32],
            response: [0; 32],
        },
    };
    wrap.proof = DleqProof::prove(
        rng,
        domain::EMERGENCY_WRAP_PROOF,
        &wrap_context(&key.id(), header_hash, &wrapped_key),
        &wrap.equality(),
        &nonce,
    );
    wrap
}

/// An officer's part in opening a wrap: D_i, with its proof.
///
/// # Security
/// t of them open the record: seal each to the requester ([`crate::secret_box`]).
#[must_use]
pub fn partial(
    rng: &mut (impl CryptoRng + RngCore),
    share: &EmergencyShare,
    wrap: &VerifiedWrap,
) -> EmergencyPartial {
    let point = times(&wrap.wrap().ephemeral, share.secret());
    let public = share.secret().public();
    let proof = DleqProof::prove(
        rng,
        domain::EMERGENCY_PARTIAL_PROOF,
        &[wrap.id().as_bytes()],
        &wrap.partial_equality(&public, &point),
        share.secret(),
    );
    EmergencyPartial {
        index: share.index(),
        point,
        proof,
    }
}

/// The data key, from the partials of t officers or more. One officer's counts once.
///
/// # Errors
/// [`EmergencyOpenError`].
pub fn unwrap(
    key: &CheckedEmergencyKey,
    wrap: &VerifiedWrap,
    partials: &[VerifiedPartial],
) -> Result<Zeroizing<[u8; 32]>, EmergencyOpenError> {
    let mut chosen: Vec<&VerifiedPartial> = Vec::new();
    for partial in partials {
        if partial.wrap() != wrap.id() {
            let index = partial.index();
            return Err(EmergencyOpenError::OtherWrap { index });
        }
        if chosen.iter().all(|had| had.index() != partial.index()) {
            chosen.push(partial);
        }
    }
    let needed = key.threshold();
    if chosen.len() < needed {
        let found = chosen.len();
        return Err(EmergencyOpenError::TooFew { needed, found });
    }
    chosen.truncate(needed);
    let indices: Vec<u8> = chosen.iter().map(|partial| partial.index()).collect();
    let sum = chosen
        .iter()
        .map(|partial| partial.point().point() * lagrange_at_zero(partial.index(), &indices))
        .sum::<ProjectivePoint>();
    let shared = PublicKey::from_point(sum).map_err(|_| EmergencyOpenError::Unwrap)?;
    let shared = Zeroizing::new(shared.to_bytes());
    let ephemeral = &wrap.wrap().ephemeral;
    let wrapping = wrapping_key(key, wrap.header_hash(), ephemeral, &shared);
    let plain = cipher(&wrapping)
        .decrypt(Nonce::from_slice(&NONCE), &wrap.wrap().wrapped_key[..])
        .map_err(|_| EmergencyOpenError::Unwrap)?;
    crate::open::data_key(plain.into_boxed_slice()).ok_or(EmergencyOpenError::Unwrap)
}

/// KDF(rE; key, header, R).
fn wrapping_key(
    key: &CheckedEmergencyKey,
    header_hash: &Hash,
    ephemeral: &PublicKey,
    shared: &[u8; 33],
) -> Zeroizing<[u8; 32]> {
    let key_id = key.id();
    kdf::<32>(
        domain::EMERGENCY_WRAP,
        shared,
        &[
            key_id.as_bytes(),
            header_hash.as_bytes(),
            ephemeral.as_bytes(),
        ],
    )
}

fn cipher(key: &[u8; 32]) -> Aes256Gcm {
    Aes256Gcm::new(Key::<Aes256Gcm>::from_slice(key))
}

/// A point times a secret.
fn times(point: &PublicKey, secret: &SecretKey) -> PublicKey {
    PublicKey::from_point(point.point() * secret.scalar()).expect("neither factor is zero")
}

/// The Lagrange coefficient of `index` among `indices` at zero. They are different, and none is zero.
fn lagrange_at_zero(index: u8, indices: &[u8]) -> Scalar {
    let scalar = |index: u8| Scalar::from(u32::from(index));
    let (above, below) = indices.iter().filter(|other| **other != index).fold(
        (Scalar::ONE, Scalar::ONE),
        |(above, below), other| {
            let other = scalar(*other);
            (above * other, below * (other - scalar(index)))
        },
    );
    above * below.invert().expect("the indices are different")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

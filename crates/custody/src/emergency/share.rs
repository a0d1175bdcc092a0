//! Officers' shares: dealt, sealed each to its officer, checked by her.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::codec::{decode_exact, encode};
use caduceus_crypto::domain;
use caduceus_crypto::emergency::{
    CheckedEmergencyKey, EmergencyKey, EmergencyKeyError, MIN_THRESHOLD,
};
use caduceus_crypto::keys::{PublicKey, SecretKey};
use k256::Scalar;
use rand_core::{CryptoRng, RngCore};
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use crate::secret_box::{SECRET_BOX_OVERHEAD, SecretBoxError, open_from, seal_to};

/// Bytes of a share inside of its box.
const SHARE_BYTES: usize = 1 + 32;
/// Bytes of a sealed share.
pub const SHARE_BOX_BYTES: usize = SHARE_BYTES + SECRET_BOX_OVERHEAD;

/// Why no shares were dealt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DealError {
    /// Numbers or officers that no key may have.
    #[error(transparent)]
    Key(#[from] EmergencyKeyError),
}

/// Why a share is of no use to an officer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ShareError {
    /// The box does not open with her key for this emergency key.
    #[error("the share was not sealed to this officer under this emergency key")]
    Box(#[source] SecretBoxError),
    /// Not the encoding of a share.
    #[error("the share is malformed")]
    Malformed,
    /// The key does not list her.
    #[error("the emergency key does not name this officer")]
    NotAnOfficer,
    /// The dealer gave her a share that does not fit the key's commitments.
    #[error("the share does not match the emergency key's commitments: the dealer is at fault")]
    Commitments,
}

/// s_i. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct EmergencyShare {
    index: u8,
    secret: SecretKey,
}

impl EmergencyShare {
    /// i, from 1.
    #[must_use]
    pub fn index(&self) -> u8 {
        self.index
    }

    pub(super) fn secret(&self) -> &SecretKey {
        &self.secret
    }

    /// Checks the share against the key's commitments, as each officer does for herself.
    ///
    /// # Errors
    /// [`ShareError`].
    pub fn check(&self, key: &CheckedEmergencyKey, staff: &PublicKey) -> Result<(), ShareError> {
        if key.index_of(staff) != Some(self.index) {
            return Err(ShareError::NotAnOfficer);
        }
        match key.officer(self.index) {
            Some(officer) if officer.share == self.secret.public() => Ok(()),
            _ => Err(ShareError::Commitments),
        }
    }
}

impl fmt::Debug for EmergencyShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmergencyShare({}, ..)", self.index)
    }
}

/// A new key with its officers' shares, in their order.
#[derive(Debug)]
pub struct Dealt {
    /// What the hospital submits to its chain.
    pub key: EmergencyKey,
    /// One for each officer.
    pub shares: Vec<EmergencyShare>,
}

/// Draws a polynomial of degree t - 1 and gives each officer its value (Shamir), with commitments (Feldman).
///
/// # Errors
/// [`DealError`].
///
/// # Security
/// The caller could keep the secret while this runs: a hospital that does not trust one workstation for that
/// moment runs it where nothing is kept.
pub fn deal(
    rng: &mut (impl CryptoRng + RngCore),
    generation: u32,
    officers: &[PublicKey],
    threshold: usize,
) -> Result<Dealt, DealError> {
    if !(MIN_THRESHOLD..=officers.len()).contains(&threshold) {
        let officers = officers.len();
        return Err(DealError::Key(EmergencyKeyError::Threshold {
            threshold,
            officers,
        }));
    }
    let coefficients: Vec<SecretKey> = (0..threshold).map(|_| SecretKey::generate(rng)).collect();
    let key = EmergencyKey {
        generation,
        commitments: coefficients.iter().map(SecretKey::public).collect(),
        officers: officers.to_vec(),
    };
    key.check()?;
    let shares = (1u8..)
        .zip(officers)
        .map(|(index, _)| EmergencyShare {
            index,
            secret: evaluate(&coefficients, index),
        })
        .collect();
    Ok(Dealt { key, shares })
}

/// f(i), by Horner.
fn evaluate(coefficients: &[SecretKey], index: u8) -> SecretKey {
    let x = Scalar::from(u32::from(index));
    let mut sum = Scalar::ZERO;
    for coefficient in coefficients.iter().rev() {
        sum = sum * x + coefficient.scalar();
    }
    let share = SecretKey::from_scalar(sum).expect("the key's check found no share of zero");
    sum.zeroize();
    share
}

/// The share inside of its box.
#[derive(BorshSerialize, BorshDeserialize)]
struct ShareBody {
    index: u8,
    scalar: [u8; 32],
}

impl Drop for ShareBody {
    fn drop(&mut self) {
        self.scalar.zeroize();
    }
}

/// Seals a share to its officer's staff key, for this emergency key alone.
#[must_use]
pub fn seal_share(
    rng: &mut (impl CryptoRng + RngCore),
    key: &CheckedEmergencyKey,
    staff: &PublicKey,
    share: &EmergencyShare,
) -> Vec<u8> {
    let body = ShareBody {
        index: share.index,
        scalar: *share.secret.to_bytes(),
    };
    let plain = Zeroizing::new(encode(&body));
    let id = key.id();
    seal_to(
        rng,
        staff,
        domain::EMERGENCY_SHARE_BOX,
        id.as_bytes(),
        &plain,
    )
}

/// Opens and checks one's own share.
///
/// # Errors
/// [`ShareError`].
pub fn open_share(
    key: &CheckedEmergencyKey,
    staff: &SecretKey,
    sealed: &[u8],
) -> Result<EmergencyShare, ShareError> {
    let id = key.id();
    let plain = open_from(staff, domain::EMERGENCY_SHARE_BOX, id.as_bytes(), sealed)
        .map_err(ShareError::Box)?;
    let body: ShareBody = decode_exact(&plain, SHARE_BYTES).map_err(|_| ShareError::Malformed)?;
    let secret = SecretKey::from_bytes(&body.scalar).map_err(|_| ShareError::Malformed)?;
    let share = EmergencyShare {
        index: body.index,
        secret,
    };
    share.check(key, &staff.public())?;
    Ok(share)
}

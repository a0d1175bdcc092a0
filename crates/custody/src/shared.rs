//! A data user opens a record that the patient shared (DESIGN 2.4, 3.6).

use std::collections::BTreeSet;

use caduceus_crypto::keys::{PublicKey, SecretKey};
use caduceus_crypto::record::parse;
use caduceus_crypto::reencrypt::{parse_capsule_fragment, umbral_key};
use thiserror::Error;
use umbral_pre::{Capsule, VerifiedCapsuleFrag, decrypt_reencrypted};

use crate::frame::MAX_PLAINTEXT_BYTES;
use crate::open::{OpenError, Opened, data_key, open_view};
use crate::umbral;

/// Why a shared record did not open.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SharedError {
    /// The record itself.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A proxy's fragment is malformed or its proof fails; its signed disclosure shows whose fault it is.
    #[error("capsule fragment {index} is not valid for this record and these keys")]
    BadFragment {
        /// Its place among those given, from 0.
        index: usize,
    },
    /// Two fragments come from one key fragment, so they count as one.
    #[error("capsule fragment {index} repeats fragment {first}")]
    RepeatedFragment {
        /// The later one's place.
        index: usize,
        /// The earlier one's place.
        first: usize,
    },
    /// Each fragment is valid, and together they don't open the capsule: fewer than the threshold.
    #[error("{found} capsule fragments are fewer than the grant's threshold")]
    NotEnoughFragments {
        /// How many were given.
        found: usize,
    },
}

/// Opens a shared record. `delegating` is the record's D as the `Grant` and the anchor name it,
/// `verifying` the grant's Umbral signer, `cfrags` the proxies' answers. Every fragment is verified first;
/// more than the threshold are fine. (`caduceus_crypto::reencrypt::verify_capsule_fragment` judges one
/// answer as it arrives.)
///
/// The caller compares the record's hash with its anchor.
///
/// # Errors
/// [`SharedError`]: a bad fragment is named by its place.
pub fn open_shared(
    bytes: &[u8],
    receiving: &SecretKey,
    delegating: &PublicKey,
    verifying: &PublicKey,
    cfrags: &[Vec<u8>],
) -> Result<Opened, SharedError> {
    let view = parse(bytes).map_err(OpenError::Record)?;
    if view.header.delegating != *delegating {
        return Err(OpenError::DelegatingKey.into());
    }
    let capsule = umbral::capsule_to_open(&view.wrap.capsule).map_err(OpenError::Capsule)?;
    let keys = FragmentKeys::new(&receiving.public(), delegating, verifying);
    let mut verified = Vec::with_capacity(cfrags.len());
    for (index, cfrag) in cfrags.iter().enumerate() {
        let fragment = keys
            .verify(&capsule, cfrag)
            .ok_or(SharedError::BadFragment { index })?;
        verified.push(fragment);
    }
    refuse_repeated(cfrags)?;
    let found = verified.len();
    let plain = decrypt_reencrypted(
        &umbral::secret_key(receiving),
        &keys.delegating,
        &capsule,
        verified,
        &view.wrap.wrapped_key,
    )
    .map_err(|error| match error {
        umbral_pre::ReencryptionError::OnOpen(_) => SharedError::NotEnoughFragments { found },
        umbral_pre::ReencryptionError::OnDecryption(_) => OpenError::KeyWrap.into(),
    })?;
    let data_key = data_key(plain).ok_or(OpenError::KeyWrap)?;
    Ok(open_view(&view, &data_key, MAX_PLAINTEXT_BYTES)?)
}

/// The keys that a capsule fragment is verified against.
struct FragmentKeys {
    receiving: umbral_pre::PublicKey,
    delegating: umbral_pre::PublicKey,
    verifying: umbral_pre::PublicKey,
}

impl FragmentKeys {
    fn new(receiving: &PublicKey, delegating: &PublicKey, verifying: &PublicKey) -> Self {
        Self {
            receiving: umbral_key(receiving),
            delegating: umbral_key(delegating),
            verifying: umbral_key(verifying),
        }
    }

    fn verify(&self, capsule: &Capsule, cfrag: &[u8]) -> Option<VerifiedCapsuleFrag> {
        parse_capsule_fragment(cfrag)
            .ok()?
            .verify(capsule, &self.verifying, &self.delegating, &self.receiving)
            .ok()
    }
}

/// The fragments have been decoded before.
fn refuse_repeated(cfrags: &[Vec<u8>]) -> Result<(), SharedError> {
    let mut seen = BTreeSet::new();
    for (index, cfrag) in cfrags.iter().enumerate() {
        if !seen.insert(umbral::fragment_id(cfrag)) {
            let id = umbral::fragment_id(cfrag);
            let first = cfrags
                .iter()
                .position(|other| umbral::fragment_id(other) == id);
            return Err(SharedError::RepeatedFragment {
                index,
                first: first.unwrap_or(index),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

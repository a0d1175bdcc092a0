//! Delegation of one record: key fragments for the alliance's proxies (DESIGN 3.6, Umbral).

use std::fmt;

use caduceus_crypto::keys::{PublicKey, SecretKey};
use caduceus_crypto::reencrypt::{serialize, umbral_key};
use rand_core::{CryptoRng, RngCore};
use thiserror::Error;
use umbral_pre::{Signer, generate_kfrags_with_rng};

use crate::umbral;

/// Most fragments of one delegation.
pub const MAX_FRAGMENTS: usize = 255;

/// Why a delegation can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DelegateError {
    /// The threshold is at least 1 and at most the number of fragments.
    #[error("a threshold of {threshold} does not fit {fragments} fragments")]
    Threshold {
        /// Fragments needed to open.
        threshold: usize,
        /// Fragments asked for.
        fragments: usize,
    },
    /// More than [`MAX_FRAGMENTS`].
    #[error("{found} fragments, at most {limit} are allowed")]
    TooManyFragments {
        /// Fragments allowed.
        limit: usize,
        /// Fragments asked for.
        found: usize,
    },
}

/// Key fragments, one for each proxy, and the key that vouches for them.
#[derive(Clone)]
pub struct Delegation {
    /// The fresh Umbral signer's public key. The `Grant` carries it, endorsed by the pseudonym P.
    pub verifying: PublicKey,
    /// The fragments in `KeyFragment`'s encoding. Each is for one proxy's eyes.
    pub fragments: Vec<Vec<u8>>,
}

/// The threshold of an alliance that doesn't choose another: floor(n/2) + 1.
#[must_use]
pub fn default_threshold(proxies: usize) -> usize {
    proxies / 2 + 1
}

/// Splits the delegating secret `d` of one record into `n` fragments for the data user behind
/// `receiving`; `t` of them re-encrypt the record's data key to her. Both keys are signed into each
/// fragment, so that a proxy can't be handed one for another record or another user.
///
/// # Errors
/// [`DelegateError`].
///
/// # Security
/// Fewer than `t` proxies, with or without the data user, learn nothing. `t` of them together with her
/// learn `d`, which opens this record only. A fragment is bound to keys, not to a capsule: a record's
/// `d` is its own, and it must never be used for another.
pub fn delegate(
    rng: &mut (impl CryptoRng + RngCore),
    d: &SecretKey,
    receiving: &PublicKey,
    t: usize,
    n: usize,
) -> Result<Delegation, DelegateError> {
    if n > MAX_FRAGMENTS {
        return Err(DelegateError::TooManyFragments {
            limit: MAX_FRAGMENTS,
            found: n,
        });
    }
    if t == 0 || t > n {
        return Err(DelegateError::Threshold {
            threshold: t,
            fragments: n,
        });
    }
    let signer = Signer::new(umbral::secret_key(&SecretKey::generate(rng)));
    let verifying = umbral::from_umbral(&signer.verifying_key());
    let fragments = generate_kfrags_with_rng(
        rng,
        &umbral::secret_key(d),
        &umbral_key(receiving),
        &signer,
        t,
        n,
        true,
        true,
    )
    .iter()
    .map(serialize)
    .collect();
    Ok(Delegation {
        verifying,
        fragments,
    })
}

impl fmt::Debug for Delegation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Delegation({}, {} fragments, redacted)",
            self.verifying,
            self.fragments.len()
        )
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn thresholds_are_checked() {
        let mut rng = ChaCha20Rng::seed_from_u64(14);
        let (d, to) = (
            SecretKey::generate(&mut rng),
            SecretKey::generate(&mut rng).public(),
        );
        for (t, n) in [(0, 3), (4, 3), (1, 0), (0, 0)] {
            assert_eq!(
                delegate(&mut rng, &d, &to, t, n).unwrap_err(),
                DelegateError::Threshold {
                    threshold: t,
                    fragments: n
                }
            );
        }
        assert!(matches!(
            delegate(&mut rng, &d, &to, 2, 256).unwrap_err(),
            DelegateError::TooManyFragments {
                limit: 255,
                found: 256
            }
        ));
        assert_eq!(
            delegate(&mut rng, &d, &to, 1, 1).unwrap().fragments.len(),
            1
        );
        let thresholds: Vec<usize> = (1..6).map(default_threshold).collect();
        assert_eq!(thresholds, [1, 2, 2, 3, 3]);
    }

    #[test]
    fn each_delegation_has_a_fresh_signer() {
        let mut rng = ChaCha20Rng::seed_from_u64(15);
        let (d, to) = (
            SecretKey::generate(&mut rng),
            SecretKey::generate(&mut rng).public(),
        );
        let one = delegate(&mut rng, &d, &to, 2, 3).unwrap();
        let two = delegate(&mut rng, &d, &to, 2, 3).unwrap();
        assert_ne!(one.verifying, two.verifying);
        assert_ne!(one.fragments, two.fragments);
        assert!(format!("{one:?}").ends_with("3 fragments, redacted)"));
    }
}

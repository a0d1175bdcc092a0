//! A message to one public key: ephemeral Diffie-Hellman on secp256k1, HKDF-SHA3-256, AES-256-GCM
//! (ECIES). Carries the pair secret to a hospital's key service.
//!
//! Bytes: ephemeral public key (33) | ciphertext | tag (16).

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, Key, KeyInit, Nonce};
use caduceus_crypto::domain::Domain;
use caduceus_crypto::hash::kdf;
use caduceus_crypto::keys::{PublicKey, SecretKey};
use rand_core::{CryptoRng, RngCore};
use thiserror::Error;
use zeroize::Zeroizing;

const POINT_BYTES: usize = 33;
const TAG_BYTES: usize = 16;

/// The key is derived from an ephemeral secret and encrypts one message: a constant nonce is safe.
const NONCE: [u8; 12] = [0; 12];

/// What a sealed message is longer than its plaintext.
pub const SECRET_BOX_OVERHEAD: usize = POINT_BYTES + TAG_BYTES;

/// Why a message did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SecretBoxError {
    /// Shorter than an empty message.
    #[error("the sealed message is {found} bytes long, at least {SECRET_BOX_OVERHEAD} are needed")]
    TooShort {
        /// Its length.
        found: usize,
    },
    /// It does not begin with a public key.
    #[error("the sealed message does not begin with a public key")]
    EphemeralKey,
    /// Another recipient, purpose or associated data, or an altered message.
    #[error("the sealed message does not authenticate")]
    Authentication,
}

/// Encrypts `plaintext` to `recipient` for one purpose. `associated` is authenticated, not sent.
///
/// The sender is anonymous: what binds the message to a sender has to stand inside of it, or around it.
///
/// # Leakage
/// The plaintext's length. Two messages to one recipient are unlinkable.
#[must_use]
pub fn seal_to(
    rng: &mut (impl CryptoRng + RngCore),
    recipient: &PublicKey,
    domain: Domain,
    associated: &[u8],
    plaintext: &[u8],
) -> Vec<u8> {
    let ephemeral = SecretKey::generate(rng);
    let ephemeral_public = ephemeral.public();
    let shared = ephemeral.shared_point(recipient);
    let key = message_key(domain, &shared, &ephemeral_public, recipient);
    let sealed = cipher(&key)
        .encrypt(
            Nonce::from_slice(&NONCE),
            Payload {
                msg: plaintext,
                aad: associated,
            },
        )
        .expect("a message in memory is far below AES-GCM's 64 GiB");
    let mut out = Vec::with_capacity(POINT_BYTES + sealed.len());
    out.extend_from_slice(ephemeral_public.as_bytes());
    out.extend_from_slice(&sealed);
    out
}

/// Opens what [`seal_to`] made for `recipient`'s public key, the same purpose and associated data.
///
/// # Errors
/// [`SecretBoxError`].
pub fn open_from(
    recipient: &SecretKey,
    domain: Domain,
    associated: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SecretBoxError> {
    if sealed.len() < SECRET_BOX_OVERHEAD {
        return Err(SecretBoxError::TooShort {
            found: sealed.len(),
        });
    }
    let (point, ciphertext) = sealed.split_at(POINT_BYTES);
    let ephemeral = PublicKey::from_bytes(point).map_err(|_| SecretBoxError::EphemeralKey)?;
    let shared = recipient.shared_point(&ephemeral);
    let key = message_key(domain, &shared, &ephemeral, &recipient.public());
    cipher(&key)
        .decrypt(
            Nonce::from_slice(&NONCE),
            Payload {
                msg: ciphertext,
                aad: associated,
            },
        )
        .map(Zeroizing::new)
        .map_err(|_| SecretBoxError::Authentication)
}

fn message_key(
    domain: Domain,
    shared: &[u8; 33],
    ephemeral: &PublicKey,
    recipient: &PublicKey,
) -> Zeroizing<[u8; 32]> {
    kdf::<32>(
        domain,
        shared,
        &[ephemeral.as_bytes(), recipient.as_bytes()],
    )
}

fn cipher(key: &[u8; 32]) -> Aes256Gcm {
    Aes256Gcm::new(Key::<Aes256Gcm>::from_slice(key))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::domain;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    #[test]
    fn only_the_recipient_opens_and_only_for_the_purpose() {
        let mut rng = ChaCha20Rng::seed_from_u64(9);
        let (to, other) = (SecretKey::generate(&mut rng), SecretKey::generate(&mut rng));
        let sealed = seal_to(
            &mut rng,
            &to.public(),
            domain::PAIR_SECRET_BOX,
            b"card",
            b"secret",
        );
        assert_eq!(sealed.len(), 6 + SECRET_BOX_OVERHEAD);
        let opened = open_from(&to, domain::PAIR_SECRET_BOX, b"card", &sealed).unwrap();
        assert_eq!(&opened[..], b"secret");
        let refused = Err(SecretBoxError::Authentication);
        assert_eq!(
            open_from(&other, domain::PAIR_SECRET_BOX, b"card", &sealed),
            refused
        );
        assert_eq!(
            open_from(&to, domain::PAIR_SECRET_BOX, b"drac", &sealed),
            refused
        );
        assert_eq!(open_from(&to, domain::INDEX_KEY, b"card", &sealed), refused);
    }

    #[test]
    fn every_flipped_byte_and_every_truncation_is_refused() {
        let mut rng = ChaCha20Rng::seed_from_u64(10);
        let to = SecretKey::generate(&mut rng);
        let sealed = seal_to(
            &mut rng,
            &to.public(),
            domain::PAIR_SECRET_BOX,
            b"",
            b"secret",
        );
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            assert!(
                open_from(&to, domain::PAIR_SECRET_BOX, b"", &bad).is_err(),
                "byte {at}"
            );
            assert!(open_from(&to, domain::PAIR_SECRET_BOX, b"", &sealed[..at]).is_err());
        }
        assert_eq!(
            open_from(&to, domain::PAIR_SECRET_BOX, b"", &[]).unwrap_err(),
            SecretBoxError::TooShort { found: 0 }
        );
    }

    #[test]
    fn two_boxes_of_one_message_differ() {
        let mut rng = ChaCha20Rng::seed_from_u64(11);
        let to = SecretKey::generate(&mut rng).public();
        let one = seal_to(&mut rng, &to, domain::PAIR_SECRET_BOX, b"", b"m");
        let two = seal_to(&mut rng, &to, domain::PAIR_SECRET_BOX, b"", b"m");
        assert_ne!(one[..33], two[..33]);
        assert_ne!(one[33..], two[33..]);
    }
}

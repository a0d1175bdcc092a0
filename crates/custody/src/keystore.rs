//! The keystore file: secrets under a passphrase (DESIGN 3.1). Argon2id (RFC 9106), then AES-256-GCM.
//!
//! This module makes and reads bytes; the file, its mode 0600 and its place belong to the clients.
//!
//! Layout, integers little-endian:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `CADKEYST` |
//! | 8 | 1 | version, 1 |
//! | 9 | 4 | Argon2 memory in KiB |
//! | 13 | 4 | Argon2 passes |
//! | 17 | 4 | Argon2 lanes |
//! | 21 | 32 | salt |
//! | 53 | 12 | AES-GCM nonce |
//! | 65 | 16 | key check value |
//! | 81 | 8 | length of the ciphertext, tag included |
//! | 89 | n | ciphertext and 16-byte tag; the first 89 bytes are its associated data |
//! | 89 + n | 32 | checksum: H over all that stands before |
//!
//! The checksum has no key: it tells a damaged file from a wrong passphrase, and only the tag protects
//! against somebody who can recompute it. The key check value is an output of the KDF apart from the
//! encryption key; it gives a guesser nothing that the tag doesn't.

use std::fmt;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, Key, KeyInit, Nonce};
use argon2::{Algorithm, Argon2, Block, Version};
use caduceus_crypto::domain;
use caduceus_crypto::hash::{hash, kdf};
use rand_core::{CryptoRng, RngCore};
use subtle::ConstantTimeEq;
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;
use zeroize::{Zeroize, Zeroizing};

const MAGIC: [u8; 8] = *b"CADKEYST";
const VERSION: u8 = 1;

const SALT_AT: usize = 21;
const NONCE_AT: usize = 53;
const CHECK_AT: usize = 65;
const LENGTH_AT: usize = 81;
const SEALED_AT: usize = 89;
const TAG_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 32;
const MIN_BYTES: usize = SEALED_AT + TAG_BYTES + CHECKSUM_BYTES;

/// Why a keystore did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum KeystoreError {
    /// The file ends before its content does.
    #[error("the keystore is truncated")]
    Truncated,
    /// The file does not begin like a keystore.
    #[error("this is not a keystore")]
    NotAKeystore,
    /// A later program made it.
    #[error("the keystore has a version this program does not know")]
    UnsupportedVersion,
    /// The Argon2 parameters are outside of what [`KeystoreParams`] allows.
    #[error("the keystore's Argon2 parameters are out of range")]
    ParametersOutOfRange,
    /// The file is whole, the passphrase is another.
    #[error("wrong passphrase")]
    WrongPassphrase,
    /// Bytes of the file were changed.
    #[error("the keystore was altered or damaged")]
    Altered,
}

/// The cost of one passphrase guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeystoreParams {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl KeystoreParams {
    /// Least memory accepted, in KiB: 8 MiB.
    pub const MIN_MEMORY_KIB: u32 = 8 * 1024;
    /// Most memory accepted, in KiB: 1 GiB, so that a hostile file can't exhaust the machine.
    pub const MAX_MEMORY_KIB: u32 = 1024 * 1024;
    /// Most passes accepted.
    pub const MAX_PASSES: u32 = 32;
    /// Most lanes accepted.
    pub const MAX_LANES: u32 = 16;
    /// 64 MiB, three passes, one lane: RFC 9106's second recommendation, but for its four lanes, which
    /// this implementation would compute one after the other.
    pub const DEFAULT: Self = Self {
        memory_kib: 64 * 1024,
        passes: 3,
        lanes: 1,
    };

    /// Checked parameters.
    ///
    /// # Errors
    /// [`KeystoreError::ParametersOutOfRange`] outside of the bounds above.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, KeystoreError> {
        let in_range = (Self::MIN_MEMORY_KIB..=Self::MAX_MEMORY_KIB).contains(&memory_kib)
            && (1..=Self::MAX_PASSES).contains(&passes)
            && (1..=Self::MAX_LANES).contains(&lanes);
        if in_range {
            Ok(Self {
                memory_kib,
                passes,
                lanes,
            })
        } else {
            Err(KeystoreError::ParametersOutOfRange)
        }
    }

    /// Memory in KiB.
    #[must_use]
    pub fn memory_kib(&self) -> u32 {
        self.memory_kib
    }

    /// Passes over the memory.
    #[must_use]
    pub fn passes(&self) -> u32 {
        self.passes
    }

    /// Lanes.
    #[must_use]
    pub fn lanes(&self) -> u32 {
        self.lanes
    }
}

impl Default for KeystoreParams {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The keystore format's two directions.
#[derive(Clone, Copy, Debug)]
pub struct Keystore;

impl Keystore {
    /// Encrypts `plaintext` under `passphrase` (compared after Unicode NFKC, so that two keyboards agree).
    /// Takes as long, and as much memory, as `params` say.
    #[must_use]
    pub fn seal(
        rng: &mut (impl CryptoRng + RngCore),
        params: KeystoreParams,
        passphrase: &str,
        plaintext: &[u8],
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(MIN_BYTES + plaintext.len());
        out.extend_from_slice(&MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&params.memory_kib.to_le_bytes());
        out.extend_from_slice(&params.passes.to_le_bytes());
        out.extend_from_slice(&params.lanes.to_le_bytes());
        let mut random = [0u8; CHECK_AT - SALT_AT];
        rng.fill_bytes(&mut random);
        out.extend_from_slice(&random);
        let keys = Keys::derive(params, passphrase, &out);
        out.extend_from_slice(&keys.check[..]);
        let sealed_len = plaintext.len() + TAG_BYTES;
        out.extend_from_slice(&length_field(sealed_len));
        let sealed = keys
            .cipher()
            .encrypt(
                Nonce::from_slice(&out[NONCE_AT..CHECK_AT]),
                Payload {
                    msg: plaintext,
                    aad: &out,
                },
            )
            .expect("a keystore is far below AES-GCM's 64 GiB");
        out.extend_from_slice(&sealed);
        let checksum = hash(domain::KEYSTORE_CHECKSUM, &[&out]);
        out.extend_from_slice(checksum.as_bytes());
        out
    }

    /// Decrypts a keystore.
    ///
    /// # Errors
    /// One [`KeystoreError`] for each thing that can be wrong, cheap checks first: the passphrase is
    /// tried only on a file that is whole.
    pub fn open(bytes: &[u8], passphrase: &str) -> Result<Zeroizing<Vec<u8>>, KeystoreError> {
        let shown = bytes.len().min(MAGIC.len());
        if bytes[..shown] != MAGIC[..shown] {
            return Err(KeystoreError::NotAKeystore);
        }
        if bytes
            .get(MAGIC.len())
            .is_some_and(|version| *version != VERSION)
        {
            return Err(KeystoreError::UnsupportedVersion);
        }
        if bytes.len() < MIN_BYTES {
            return Err(KeystoreError::Truncated);
        }
        let body_len = bytes.len() - CHECKSUM_BYTES;
        let (body, checksum) = bytes.split_at(body_len);
        let sealed = &body[SEALED_AT..];
        let claimed = u64::from_le_bytes(array_at(body, LENGTH_AT));
        let found = u64::try_from(sealed.len()).expect("a length in memory fits 64 bits");
        if found < claimed {
            return Err(KeystoreError::Truncated);
        }
        if found > claimed || checksum != &hash(domain::KEYSTORE_CHECKSUM, &[body]).as_bytes()[..] {
            return Err(KeystoreError::Altered);
        }
        let params = KeystoreParams::new(
            u32::from_le_bytes(array_at(body, 9)),
            u32::from_le_bytes(array_at(body, 13)),
            u32::from_le_bytes(array_at(body, 17)),
        )?;
        let keys = Keys::derive(params, passphrase, &body[..CHECK_AT]);
        if !bool::from(keys.check[..].ct_eq(&body[CHECK_AT..LENGTH_AT])) {
            return Err(KeystoreError::WrongPassphrase);
        }
        keys.cipher()
            .decrypt(
                Nonce::from_slice(&body[NONCE_AT..CHECK_AT]),
                Payload {
                    msg: sealed,
                    aad: &body[..SEALED_AT],
                },
            )
            .map(Zeroizing::new)
            .map_err(|_| KeystoreError::Altered)
    }
}

/// What a passphrase yields for one header.
struct Keys {
    encryption: Zeroizing<[u8; 32]>,
    check: Zeroizing<[u8; 16]>,
}

impl Keys {
    /// `header`: the first [`CHECK_AT`] bytes of the file, salt included.
    fn derive(params: KeystoreParams, passphrase: &str, header: &[u8]) -> Self {
        let passphrase: Zeroizing<String> = Zeroizing::new(passphrase.nfkc().collect());
        let stretched = stretch(params, passphrase.as_bytes(), &header[SALT_AT..NONCE_AT]);
        let okm = kdf::<48>(domain::KEYSTORE_KEY, &stretched[..], &[header]);
        let mut encryption = Zeroizing::new([0u8; 32]);
        encryption.copy_from_slice(&okm[..32]);
        let mut check = Zeroizing::new([0u8; 16]);
        check.copy_from_slice(&okm[32..]);
        Self { encryption, check }
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(Key::<Aes256Gcm>::from_slice(&self.encryption[..]))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(redacted)")
    }
}

/// Argon2id, version 0x13, 32 bytes out, its memory wiped afterwards.
fn stretch(params: KeystoreParams, passphrase: &[u8], salt: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0u8; 32]);
    let argon_params = argon2::Params::new(
        params.memory_kib,
        params.passes,
        params.lanes,
        Some(out.len()),
    )
    .expect("keystore parameters are inside of Argon2's own bounds");
    let mut memory = vec![Block::default(); argon_params.block_count()];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, argon_params)
        .hash_password_into_with_memory(passphrase, salt, &mut out[..], memory.as_mut_slice())
        .expect("the salt has 32 bytes and a passphrase is below 4 GiB");
    memory.zeroize();
    out
}

fn length_field(length: usize) -> [u8; 8] {
    u64::try_from(length)
        .expect("a length in memory fits 64 bits")
        .to_le_bytes()
}

/// The `N` bytes at `offset`; the caller has checked the length.
fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut array = [0u8; N];
    array.copy_from_slice(&bytes[offset..offset + N]);
    array
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use argon2::{AssociatedData, ParamsBuilder};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn small() -> KeystoreParams {
        KeystoreParams::new(KeystoreParams::MIN_MEMORY_KIB, 1, 1).unwrap()
    }

    fn sample() -> Vec<u8> {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        Keystore::seal(
            &mut rng,
            small(),
            "correct horse",
            b"thirty-two bytes of master seed!",
        )
    }

    /// Recomputes the checksum, as somebody who edits the file on purpose would.
    fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
        let body = bytes.len() - CHECKSUM_BYTES;
        let sum = hash(domain::KEYSTORE_CHECKSUM, &[&bytes[..body]]);
        bytes[body..].copy_from_slice(sum.as_bytes());
        bytes
    }

    /// RFC 9106, section 5.3.
    #[test]
    fn argon2id_vector_of_the_rfc() {
        let params = ParamsBuilder::new()
            .m_cost(32)
            .t_cost(3)
            .p_cost(4)
            .data(AssociatedData::new(&[4u8; 12]).unwrap())
            .build()
            .unwrap();
        let secret = [3u8; 8];
        let argon =
            Argon2::new_with_secret(&secret, Algorithm::Argon2id, Version::V0x13, params).unwrap();
        let mut tag = [0u8; 32];
        argon
            .hash_password_into(&[1u8; 32], &[2u8; 16], &mut tag)
            .unwrap();
        assert_eq!(
            hex::encode(tag),
            "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"
        );
    }

    #[test]
    fn opens_with_the_passphrase_only() {
        let file = sample();
        let opened = Keystore::open(&file, "correct horse").unwrap();
        assert_eq!(&opened[..], b"thirty-two bytes of master seed!");
        assert_eq!(
            Keystore::open(&file, "correct horsf").unwrap_err(),
            KeystoreError::WrongPassphrase
        );
        assert_eq!(
            Keystore::open(&file, "").unwrap_err(),
            KeystoreError::WrongPassphrase
        );
    }

    #[test]
    fn passphrases_are_compared_after_normalization() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let composed = Keystore::seal(&mut rng, small(), "caf\u{e9}", b"x");
        assert!(Keystore::open(&composed, "cafe\u{301}").is_ok());
    }

    #[test]
    fn empty_plaintext_is_kept() {
        let mut rng = ChaCha20Rng::seed_from_u64(4);
        let file = Keystore::seal(&mut rng, small(), "p", b"");
        assert_eq!(file.len(), MIN_BYTES);
        assert!(Keystore::open(&file, "p").unwrap().is_empty());
    }

    #[test]
    fn every_flipped_byte_is_an_error_that_fits() {
        let file = sample();
        for at in 0..file.len() {
            for mask in [0x01u8, 0x80, 0xff] {
                let mut bad = file.clone();
                bad[at] ^= mask;
                let error = Keystore::open(&bad, "correct horse").unwrap_err();
                match at {
                    0..8 => assert_eq!(error, KeystoreError::NotAKeystore),
                    8 => assert_eq!(error, KeystoreError::UnsupportedVersion),
                    LENGTH_AT..SEALED_AT => {
                        assert!(matches!(
                            error,
                            KeystoreError::Truncated | KeystoreError::Altered
                        ));
                    }
                    _ => assert_eq!(error, KeystoreError::Altered, "byte {at}"),
                }
            }
        }
    }

    #[test]
    fn every_truncation_is_named_so() {
        let file = sample();
        for length in 0..file.len() {
            let error = Keystore::open(&file[..length], "correct horse").unwrap_err();
            assert_eq!(error, KeystoreError::Truncated, "at {length}");
        }
        let mut longer = file;
        longer.push(0);
        assert_eq!(
            Keystore::open(&longer, "correct horse").unwrap_err(),
            KeystoreError::Altered
        );
    }

    #[test]
    fn edits_with_a_right_checksum_are_refused_too() {
        let file = sample();
        let mut costly = file.clone();
        costly[9..13].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(
            Keystore::open(&with_checksum(costly), "correct horse").unwrap_err(),
            KeystoreError::ParametersOutOfRange
        );
        let mut lanes = file.clone();
        lanes[17..21].copy_from_slice(&0u32.to_le_bytes());
        assert_eq!(
            Keystore::open(&with_checksum(lanes), "correct horse").unwrap_err(),
            KeystoreError::ParametersOutOfRange
        );
        let mut body = file.clone();
        body[SEALED_AT] ^= 1;
        assert_eq!(
            Keystore::open(&with_checksum(body), "correct horse").unwrap_err(),
            KeystoreError::Altered
        );
        // Another salt is another key: nothing can tell this from a wrong passphrase.
        let mut salt = file;
        salt[SALT_AT] ^= 1;
        assert_eq!(
            Keystore::open(&with_checksum(salt), "correct horse").unwrap_err(),
            KeystoreError::WrongPassphrase
        );
    }

    #[test]
    fn parameters_have_bounds() {
        assert!(KeystoreParams::new(8 * 1024 - 1, 1, 1).is_err());
        assert!(KeystoreParams::new(1024 * 1024 + 1, 1, 1).is_err());
        assert!(KeystoreParams::new(8 * 1024, 0, 1).is_err());
        assert!(KeystoreParams::new(8 * 1024, 1, 0).is_err());
        assert!(KeystoreParams::new(8 * 1024, 33, 1).is_err());
        let default = KeystoreParams::default();
        assert_eq!(
            (default.memory_kib(), default.passes(), default.lanes()),
            (65536, 3, 1)
        );
    }
}

//! The hash, the key derivation and the pseudorandom function of the whole system (DESIGN 3), all over
//! SHA3-256 (FIPS 202) and all under a [`Domain`].
//!
//! Framing, so that no two inputs collide: the domain's length as u64 little-endian, the domain, then for each
//! field its length as u64 little-endian and its bytes.

use borsh::{BorshDeserialize, BorshSerialize};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha3::{Digest, Sha3_256};
use zeroize::Zeroizing;

use crate::domain::Domain;
use crate::hex_text::impl_hex_text;

/// A SHA3-256 digest, or 32 bytes in the role of one. Text form: 64 hexadecimal digits.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, BorshSerialize, BorshDeserialize,
)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// All zeros: "none" where a field is optional. No known input hashes to it.
    pub const ZERO: Hash = Hash([0; 32]);

    /// The digest's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 8 hexadecimal digits, for people; too short to identify anything.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..4])
    }
}

impl AsRef<[u8]> for Hash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<[u8; 32]> for Hash {
    fn from(bytes: [u8; 32]) -> Self {
        Hash(bytes)
    }
}

impl_hex_text!(Hash, 32, |bytes| Some(Hash(bytes)));

/// H: SHA3-256 over the framed domain and fields.
pub fn hash(domain: Domain, fields: &[&[u8]]) -> Hash {
    let mut digest = Sha3_256::new();
    each_frame_part(domain, fields, |part| Digest::update(&mut digest, part));
    Hash(digest.finalize().into())
}

/// KDF: HKDF-SHA3-256 (RFC 5869) without salt; the framed domain and fields are the `info`.
///
/// `N` is at most 8,160 bytes, which is checked at compile time.
pub fn kdf<const N: usize>(domain: Domain, ikm: &[u8], fields: &[&[u8]]) -> Zeroizing<[u8; N]> {
    let mut info = Zeroizing::new(Vec::new());
    each_frame_part(domain, fields, |part| info.extend_from_slice(part));
    hkdf_sha3(None, ikm, &info)
}

/// PRF: HMAC-SHA3-256 (RFC 2104, FIPS 202) of the framed domain and fields.
pub fn prf(key: &[u8; 32], domain: Domain, fields: &[&[u8]]) -> [u8; 32] {
    let mut mac = new_hmac(key);
    each_frame_part(domain, fields, |part| Mac::update(&mut mac, part));
    mac.finalize().into_bytes().into()
}

fn each_frame_part(domain: Domain, fields: &[&[u8]], mut part: impl FnMut(&[u8])) {
    part(&(domain.as_bytes().len() as u64).to_le_bytes());
    part(domain.as_bytes());
    for field in fields {
        part(&(field.len() as u64).to_le_bytes());
        part(field);
    }
}

fn new_hmac(key: &[u8]) -> Hmac<Sha3_256> {
    <Hmac<Sha3_256> as Mac>::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn hkdf_sha3<const N: usize>(salt: Option<&[u8]>, ikm: &[u8], info: &[u8]) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 255 * 32, "HKDF-SHA3-256 yields at most 8160 bytes") };
    let mut out = Zeroizing::new([0u8; N]);
    Hkdf::<Sha3_256>::new(salt, ikm)
        .expand(info, &mut out[..])
        .expect("the length is checked at compile time");
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

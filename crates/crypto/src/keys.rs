//! Keys, signatures and hospital identifiers.
//!
//! Everybody's identity is a secp256k1 key. Signatures are BIP-340 Schnorr over a hash that includes the
//! domain, the whole 33-byte public key and the message. BIP-340 itself sees only the x coordinate, so a key
//! and its negative are one signer to it; the parity byte inside the hash tells them apart here.
//!
//! Notation: x secret scalar, X = xG public point.

use std::borrow::Borrow;
use std::fmt;

use borsh::io::Read;
use borsh::{BorshDeserialize, BorshSerialize};
use k256::elliptic_curve::bigint::U512;
use k256::elliptic_curve::ops::{MulByGenerator, Reduce};
use k256::elliptic_curve::sec1::{FromEncodedPoint, ToEncodedPoint};
use k256::schnorr::{Signature as SchnorrSignature, SigningKey, VerifyingKey};
use k256::{AffinePoint, EncodedPoint, NonZeroScalar, ProjectivePoint, Scalar, WideBytes};
use rand_core::{CryptoRng, RngCore};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::codec::invalid;
use crate::domain::{self, Domain};
use crate::hash::{Hash, hash, kdf};
use crate::hex_text::impl_hex_text;

/// Bytes that are not the compressed SEC 1 form of a point other than the identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a public key: 33 bytes of a compressed secp256k1 point expected")]
pub struct BadPublicKey;

/// Bytes that are not a scalar from 1 to n - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a secret key: a secp256k1 scalar other than zero expected")]
pub struct BadSecretKey;

/// The signature was not made by this key over this message for this purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is not valid")]
pub struct BadSignature;

/// A point of secp256k1 other than the identity, compressed (SEC 1, 33 bytes: 02 or 03, then x big-endian).
///
/// Every value of the type is on the curve: all constructors check, the borsh and serde decoders included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize)]
pub struct PublicKey([u8; 33]);

impl PublicKey {
    /// Reads 33 bytes.
    ///
    /// # Errors
    /// [`BadPublicKey`] for another length, another encoding, or a point off the curve.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadPublicKey> {
        let bytes: [u8; 33] = bytes.try_into().map_err(|_| BadPublicKey)?;
        // SEC 1 also has a "compact" form of this length, tag 5, which is not ours.
        if !matches!(bytes[0], 2 | 3) {
            return Err(BadPublicKey);
        }
        decompress(&bytes).ok_or(BadPublicKey)?;
        Ok(PublicKey(bytes))
    }

    /// Compresses a point, by value or by reference.
    ///
    /// # Errors
    /// [`BadPublicKey`] for the identity.
    pub fn from_point(point: impl Borrow<ProjectivePoint>) -> Result<Self, BadPublicKey> {
        let point: &ProjectivePoint = point.borrow();
        let encoded = point.to_affine().to_encoded_point(true);
        // The identity encodes as one byte.
        let bytes: [u8; 33] = encoded.as_bytes().try_into().map_err(|_| BadPublicKey)?;
        Ok(PublicKey(bytes))
    }

    /// The compressed bytes.
    pub const fn to_bytes(&self) -> [u8; 33] {
        self.0
    }

    /// The compressed bytes.
    pub const fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }

    /// The point, for arithmetic. Costs a square root.
    pub fn point(&self) -> ProjectivePoint {
        let affine =
            decompress(&self.0).expect("every constructor checked that the point is on the curve");
        ProjectivePoint::from(affine)
    }

    /// Checks a signature over a message for a purpose.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(
        &self,
        domain: Domain,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), BadSignature> {
        self.verify_digest(&signing_digest(domain, self, message).0, signature)
    }

    /// BIP-340 verification of 32 bytes under the x coordinate.
    fn verify_digest(&self, digest: &[u8; 32], signature: &Signature) -> Result<(), BadSignature> {
        let key = VerifyingKey::from_bytes(&self.0[1..]).map_err(|_| BadSignature)?;
        let signature = SchnorrSignature::try_from(&signature.0[..]).map_err(|_| BadSignature)?;
        key.verify_raw(digest, &signature).map_err(|_| BadSignature)
    }
}

impl AsRef<[u8]> for PublicKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl BorshDeserialize for PublicKey {
    fn deserialize_reader<R: Read>(reader: &mut R) -> borsh::io::Result<Self> {
        let bytes = <[u8; 33]>::deserialize_reader(reader)?;
        PublicKey::from_bytes(&bytes).map_err(|_| invalid("not a public key"))
    }
}

impl_hex_text!(PublicKey, 33, |bytes| PublicKey::from_bytes(&bytes).ok());

fn decompress(bytes: &[u8; 33]) -> Option<AffinePoint> {
    let encoded = EncodedPoint::from_bytes(&bytes[..]).ok()?;
    Option::<AffinePoint>::from(AffinePoint::from_encoded_point(&encoded))
}

/// What BIP-340 signs: H(domain; public key, message).
fn signing_digest(domain: Domain, key: &PublicKey, message: &[u8]) -> Hash {
    hash(domain, &[&key.0, message])
}

/// A claimed BIP-340 signature (64 bytes: R's x coordinate, then s). Any 64 bytes decode;
/// [`PublicKey::verify`] says what they are worth.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Signature(pub [u8; 64]);

impl Signature {
    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl_hex_text!(Signature, 64, |bytes| Some(Signature(bytes)));

/// A secp256k1 scalar other than zero. Boxed, wiped when dropped, never printed, never serialized.
#[derive(Clone)]
pub struct SecretKey {
    scalar: Box<NonZeroScalar>,
    public: PublicKey,
}

impl SecretKey {
    /// Draws a key.
    pub fn generate(rng: &mut (impl CryptoRng + RngCore)) -> Self {
        Self::from_nonzero(NonZeroScalar::random(rng))
    }

    /// Reads a big-endian scalar.
    ///
    /// # Errors
    /// [`BadSecretKey`] for zero and for n or more.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BadSecretKey> {
        NonZeroScalar::try_from(&bytes[..])
            .map(Self::from_nonzero)
            .map_err(|_| BadSecretKey)
    }

    /// Takes a scalar, for example a sum of others.
    ///
    /// # Errors
    /// [`BadSecretKey`] for zero.
    pub fn from_scalar(scalar: Scalar) -> Result<Self, BadSecretKey> {
        Option::<NonZeroScalar>::from(NonZeroScalar::new(scalar))
            .map(Self::from_nonzero)
            .ok_or(BadSecretKey)
    }

    fn from_nonzero(scalar: NonZeroScalar) -> Self {
        let point = ProjectivePoint::mul_by_generator(&scalar);
        let public =
            PublicKey::from_point(point).expect("a scalar other than zero gives no identity");
        SecretKey {
            scalar: Box::new(scalar),
            public,
        }
    }

    /// Derives a key: 48 bytes of KDF output as a big-endian number w, then x = 1 + (w mod (n - 1)). Never zero,
    /// and 128 bits wider than n, so the bias is below 2^-127.
    pub fn derive(domain: Domain, ikm: &[u8], fields: &[&[u8]]) -> Self {
        let narrow = kdf::<48>(domain, ikm, fields);
        let mut wide = Zeroizing::new([0u8; 64]);
        wide[16..].copy_from_slice(&narrow[..]);
        Self::from_nonzero(<NonZeroScalar as Reduce<U512>>::reduce_bytes(
            WideBytes::from_slice(&wide[..]),
        ))
    }

    /// The big-endian scalar.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        let mut bytes = self.scalar.to_bytes();
        let mut out = Zeroizing::new([0u8; 32]);
        out.copy_from_slice(&bytes);
        bytes.as_mut_slice().zeroize();
        out
    }

    /// X = xG.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs a message for a purpose. Deterministic (BIP-340 with auxiliary randomness zero): the same call
    /// twice gives the same bytes.
    pub fn sign(&self, domain: Domain, message: &[u8]) -> Signature {
        self.sign_digest(&signing_digest(domain, &self.public, message).0)
    }

    /// BIP-340 signature of 32 bytes. The library negates x where X has an odd y coordinate.
    fn sign_digest(&self, digest: &[u8; 32]) -> Signature {
        let key = SigningKey::from(*self.scalar);
        let signature = key
            .sign_raw(digest, &[0u8; 32])
            .expect("a nonce or response of zero has probability 2^-256");
        Signature(signature.to_bytes())
    }

    /// Diffie-Hellman: xY, compressed. Never the identity, because x is not zero and Y's order is prime.
    pub fn shared_point(&self, other: &PublicKey) -> Zeroizing<[u8; 33]> {
        let point = other.point() * self.scalar();
        let shared = PublicKey::from_point(point).expect("neither factor is zero");
        Zeroizing::new(shared.0)
    }

    /// The scalar itself.
    ///
    /// # Security
    /// Hazardous: the copy is not wiped. Only for arithmetic that yields another key.
    pub fn scalar(&self) -> Scalar {
        **self.scalar
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        NonZeroScalar::zeroize(&mut self.scalar);
    }
}

impl ZeroizeOnDrop for SecretKey {}

/// A hospital: hash of its identity key. Text form: 64 hexadecimal digits.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, BorshSerialize, BorshDeserialize,
)]
pub struct HospitalId(pub [u8; 32]);

impl HospitalId {
    /// The identifier that belongs to an identity key.
    pub fn from_identity(key: &PublicKey) -> Self {
        HospitalId(hash(domain::HOSPITAL_ID, &[&key.0]).0)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 8 hexadecimal digits, for people.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..4])
    }
}

impl AsRef<[u8]> for HospitalId {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl_hex_text!(HospitalId, 32, |bytes| Some(HospitalId(bytes)));

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

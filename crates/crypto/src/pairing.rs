//! The pairing groups of the scanned index schemes ([`crate::index::peks`], [`crate::index::paeks`]): BLS12-381
//! through `blstrs`, the safe wrapper of `blst`. Nothing else in the system uses them.
//!
//! Notation: G1, G2, Gt groups of one prime order n; g1, g2 generators; e: G1 x G2 -> Gt the pairing, of Type 3,
//! that is without a map between G1 and G2 that anybody could compute. Gt is written multiplicatively here
//! (`blstrs` writes it additively).
//!
//! Encodings, each with one form for each value, none for the identity:
//!
//! | group | bytes | form |
//! |---|---|---|
//! | G1 | 48 | compressed, x big-endian with three flag bits (draft-irtf-cfrg-pairing-friendly-curves, appendix C) |
//! | G2 | 96 | the same over the quadratic extension |
//! | Gt | 288 | torus-compressed: six coordinates of 48 bytes, little-endian |
//!
//! Keywords are hashed to the curve by the suites BLS12381G1_XMD:SHA-256_SSWU_RO_ and
//! BLS12381G2_XMD:SHA-256_SSWU_RO_ of RFC 9380, the tag of [`crate::domain`] being DST.

use std::fmt;

use blstrs::{Compress, G1Projective, G2Projective};
use borsh::io::Read;
use borsh::{BorshDeserialize, BorshSerialize};
use ff::Field;
use group::Group;
use group::prime::PrimeCurveAffine;
use rand_core::{CryptoRng, RngCore};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::codec::invalid;
use crate::domain::Domain;
use crate::hash::kdf;
use crate::hex_text::impl_hex_text;

pub use blstrs::{G1Affine, G2Affine, Gt, Scalar};

/// Bytes of a point of G1.
pub const G1_BYTES: usize = 48;
/// Bytes of a point of G2.
pub const G2_BYTES: usize = 96;
/// Bytes of an element of Gt.
pub const GT_BYTES: usize = 288;

/// Bytes that are not the one encoding of an element of its group other than the identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an element of the pairing group")]
pub struct BadPoint;

/// Bytes that are not a scalar from 1 to n - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a pairing secret: a scalar other than zero expected")]
pub struct BadScalar;

/// Reads a point of G1: on the curve, in the subgroup of order n, not the identity.
///
/// # Errors
/// [`BadPoint`].
pub fn g1_from_bytes(bytes: &[u8; G1_BYTES]) -> Result<G1Affine, BadPoint> {
    let point = Option::<G1Affine>::from(G1Affine::from_compressed(bytes)).ok_or(BadPoint)?;
    if bool::from(point.is_identity()) {
        return Err(BadPoint);
    }
    Ok(point)
}

/// Reads a point of G2: on the curve, in the subgroup of order n, not the identity.
///
/// # Errors
/// [`BadPoint`].
pub fn g2_from_bytes(bytes: &[u8; G2_BYTES]) -> Result<G2Affine, BadPoint> {
    let point = Option::<G2Affine>::from(G2Affine::from_compressed(bytes)).ok_or(BadPoint)?;
    if bool::from(point.is_identity()) {
        return Err(BadPoint);
    }
    Ok(point)
}

/// Reads an element of Gt: of order n, not the identity.
///
/// # Errors
/// [`BadPoint`].
pub fn gt_from_bytes(bytes: &[u8; GT_BYTES]) -> Result<Gt, BadPoint> {
    // The identity has no compressed form.
    Gt::read_compressed(&bytes[..]).map_err(|_| BadPoint)
}

/// Reads a point of G1 that was checked before: on the curve, at the price of a square root alone.
pub(crate) fn g1_checked_before(bytes: &[u8; G1_BYTES]) -> Option<G1Affine> {
    Option::from(G1Affine::from_compressed_unchecked(bytes))
}

/// Encodes an element of Gt.
///
/// # Errors
/// [`BadPoint`] for the identity, which has no compressed form.
pub fn gt_to_bytes(element: &Gt) -> Result<[u8; GT_BYTES], BadPoint> {
    // Of the elements of order n the identity alone has no inverse in the compression, which would panic.
    if bool::from(element.is_identity()) {
        return Err(BadPoint);
    }
    let mut bytes = [0u8; GT_BYTES];
    element
        .write_compressed(&mut bytes[..])
        .map_err(|_| BadPoint)?;
    Ok(bytes)
}

/// e(p, q).
pub fn pair(p: &G1Affine, q: &G2Affine) -> Gt {
    blstrs::pairing(p, q)
}

/// Hashes a message to G1 (RFC 9380, section 3, hash_to_curve). Nobody knows the point's discrete logarithm.
pub fn hash_to_g1(dst: Domain, message: &[u8]) -> G1Affine {
    hash_to_g1_under(dst.as_bytes(), message)
}

fn hash_to_g1_under(dst: &[u8], message: &[u8]) -> G1Affine {
    G1Affine::from(G1Projective::hash_to_curve(message, dst, &[]))
}

/// Hashes a message to G2 (RFC 9380, section 3, hash_to_curve). Nobody knows the point's discrete logarithm.
pub fn hash_to_g2(dst: Domain, message: &[u8]) -> G2Affine {
    hash_to_g2_under(dst.as_bytes(), message)
}

fn hash_to_g2_under(dst: &[u8], message: &[u8]) -> G2Affine {
    G2Affine::from(G2Projective::hash_to_curve(message, dst, &[]))
}

/// p + q in G1.
pub fn add_g1(p: &G1Affine, q: &G1Affine) -> G1Affine {
    G1Affine::from(G1Projective::from(p) + q)
}

/// A scalar from 1 to n - 1 that is a secret. Boxed, wiped when dropped, never printed, never serialized.
#[derive(Clone)]
pub struct PairingSecret(Box<Zeroizing<[u8; 32]>>);

impl PairingSecret {
    /// Draws a secret.
    pub fn generate(rng: &mut (impl CryptoRng + RngCore)) -> Self {
        let mut wide = Zeroizing::new([0u8; 48]);
        rng.fill_bytes(&mut wide[..]);
        Self::reduce(&wide)
    }

    /// Derives a secret: 48 bytes of KDF output as a big-endian number, modulo n. They are 129 bits wider than n,
    /// so the bias is below 2^-128.
    pub fn derive(domain: Domain, ikm: &[u8], fields: &[&[u8]]) -> Self {
        Self::reduce(&kdf::<48>(domain, ikm, fields))
    }

    /// Reads a big-endian scalar.
    ///
    /// # Errors
    /// [`BadScalar`] for zero and for n or more.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, BadScalar> {
        let scalar = Option::<Scalar>::from(Scalar::from_bytes_be(bytes)).ok_or(BadScalar)?;
        if bool::from(scalar.is_zero()) {
            return Err(BadScalar);
        }
        Ok(PairingSecret(Box::new(Zeroizing::new(*bytes))))
    }

    fn reduce(wide: &[u8; 48]) -> Self {
        // Two halves of 192 bits, each below n.
        let half = |half: &[u8]| {
            let mut bytes = Zeroizing::new([0u8; 32]);
            bytes[8..].copy_from_slice(half);
            read_scalar(&bytes)
        };
        let mut two_to_192 = [0u8; 32];
        two_to_192[7] = 1;
        let scalar = half(&wide[..24]) * read_scalar(&two_to_192) + half(&wide[24..]);
        let bytes = Zeroizing::new(scalar.to_bytes_be());
        Self::from_bytes(&bytes).expect("a uniform scalar is zero with probability 2^-254")
    }

    /// The big-endian scalar.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        (*self.0).clone()
    }

    /// The scalar itself.
    ///
    /// # Security
    /// Hazardous: the copy is not wiped. Only for arithmetic that yields a point.
    pub fn scalar(&self) -> Scalar {
        read_scalar(&self.0)
    }

    /// x * g1.
    pub fn public_g1(&self) -> G1Affine {
        self.times_g1(&G1Affine::generator())
    }

    /// x * g2.
    pub fn public_g2(&self) -> G2Affine {
        self.times_g2(&G2Affine::generator())
    }

    /// x * p in G1.
    pub fn times_g1(&self, p: &G1Affine) -> G1Affine {
        G1Affine::from(p * self.scalar())
    }

    /// x * q in G2.
    pub fn times_g2(&self, q: &G2Affine) -> G2Affine {
        G2Affine::from(q * self.scalar())
    }

    /// x * g1, as it stands in a meta-address.
    pub fn scheme_key(&self) -> SchemeKey {
        SchemeKey(self.public_g1().to_compressed())
    }
}

impl fmt::Debug for PairingSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingSecret(..)")
    }
}

impl ZeroizeOnDrop for PairingSecret {}

fn read_scalar(bytes: &[u8; 32]) -> Scalar {
    Option::from(Scalar::from_bytes_be(bytes)).expect("the caller has a number below n")
}

/// A receiver's public point in G1, compressed: a * g1 for PEKS, y * g1 for PAEKS. A meta-address carries it where
/// the network's index scheme needs one.
///
/// Every value of the type is a point of G1 other than the identity: all constructors check, the borsh and serde
/// decoders included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize)]
pub struct SchemeKey([u8; G1_BYTES]);

impl SchemeKey {
    /// Reads 48 bytes.
    ///
    /// # Errors
    /// [`BadPoint`].
    pub fn from_bytes(bytes: &[u8; G1_BYTES]) -> Result<Self, BadPoint> {
        g1_from_bytes(bytes)?;
        Ok(SchemeKey(*bytes))
    }

    /// The compressed bytes.
    pub const fn as_bytes(&self) -> &[u8; G1_BYTES] {
        &self.0
    }

    /// The point, for arithmetic. Costs a square root.
    pub fn point(&self) -> G1Affine {
        g1_checked_before(&self.0)
            .expect("every constructor checked that the point is on the curve")
    }
}

impl AsRef<[u8]> for SchemeKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl BorshDeserialize for SchemeKey {
    fn deserialize_reader<R: Read>(reader: &mut R) -> borsh::io::Result<Self> {
        let bytes = <[u8; G1_BYTES]>::deserialize_reader(reader)?;
        SchemeKey::from_bytes(&bytes).map_err(|_| invalid("not a key of an index scheme"))
    }
}

impl_hex_text!(SchemeKey, 48, |bytes| SchemeKey::from_bytes(&bytes).ok());

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests;

//! From t key fragments to the delegating secret (umbral-pre 0.11, `key_frag.rs`).
//!
//! Umbral shares d / k by a polynomial f of degree t - 1, f(0) = d / k, where k = H("SHARED_SECRET" | X, B, bX) and
//! X is the fragments' precursor. A fragment with the identifier i holds f(x) at x = H("POLYNOMIAL_ARG" | X, B, bX,
//! i). The data user knows b, hence k and every x.

use caduceus_crypto::keys::{PublicKey, SecretKey};
use k256::elliptic_curve::PrimeField;
use k256::elliptic_curve::ops::Reduce;
use k256::sha2::{Digest, Sha256};
use k256::{NonZeroScalar, Scalar, U256};
use std::ops::Range;

/// Where a serialized key fragment (MessagePack) holds its identifier, its share f(x), and the precursor X.
const ID: Range<usize> = 39..71;
const SHARE: Range<usize> = 73..105;
const PRECURSOR: Range<usize> = 107..140;

/// d by the fragments of one grant and the grantee's secret b; none when the interpolation gives no key. With fewer
/// fragments than the threshold it gives some other key.
pub(super) fn delegating_secret(fragments: &[Vec<u8>], grantee: &SecretKey) -> Option<SecretKey> {
    let precursor = PublicKey::from_bytes(fragments.first()?.get(PRECURSOR)?).ok()?;
    let common = [
        precursor.to_bytes(),
        grantee.public().to_bytes(),
        *grantee.shared_point(&precursor),
    ]
    .concat();
    let k = scalar_hash(b"SHARED_SECRET", &[&common]);
    interpolate(
        fragments,
        |id| scalar_hash(b"POLYNOMIAL_ARG", &[&common, id]),
        k,
    )
}

/// What proxies try who lack the grantee's secret: the fragments' identifiers in the place of x, and no k.
pub(super) fn without_the_grantee(fragments: &[Vec<u8>]) -> Option<SecretKey> {
    let number = |id: &[u8]| {
        let id: [u8; 32] = id.try_into().expect("an identifier has 32 bytes");
        <Scalar as Reduce<U256>>::reduce_bytes(&id.into())
    };
    interpolate(fragments, number, Scalar::ONE)
}

/// k * f(0), by Lagrange's formula: the sum over i of f(x_i) times the product over j of x_j / (x_j - x_i).
fn interpolate(
    fragments: &[Vec<u8>],
    x_of: impl Fn(&[u8]) -> Scalar,
    k: Scalar,
) -> Option<SecretKey> {
    let mut points = Vec::with_capacity(fragments.len());
    for fragment in fragments {
        let share: [u8; 32] = fragment.get(SHARE)?.try_into().ok()?;
        let share = Option::<Scalar>::from(Scalar::from_repr(share.into()))?;
        points.push((x_of(fragment.get(ID)?), share));
    }
    let mut at_zero = Scalar::ZERO;
    for (i, (x_i, share)) in points.iter().enumerate() {
        let mut weight = Scalar::ONE;
        for (j, (x_j, _)) in points.iter().enumerate() {
            if i != j {
                let difference = Option::<Scalar>::from((*x_j - x_i).invert())?;
                weight *= *x_j * difference;
            }
        }
        at_zero += *share * weight;
    }
    SecretKey::from_scalar(at_zero * k).ok()
}

/// Umbral's hash to a scalar: SHA-256 over the tag's length (u32 big-endian), the tag and the parts, then modulo
/// n - 1, plus one.
fn scalar_hash(tag: &[u8], parts: &[&[u8]]) -> Scalar {
    let length = u32::try_from(tag.len()).expect("a tag is short");
    let mut digest = Sha256::new();
    digest.update(length.to_be_bytes());
    digest.update(tag);
    for part in parts {
        digest.update(part);
    }
    *<NonZeroScalar as Reduce<U256>>::reduce_bytes(&digest.finalize())
}

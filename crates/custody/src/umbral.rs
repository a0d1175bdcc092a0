//! The border to `umbral-pre` on the side of those who hold secret keys. The layouts of its values, and what
//! its decoders let through that they shouldn't, are `caduceus_crypto::reencrypt`'s matter.

use caduceus_crypto::keys::{PublicKey, SecretKey};
use caduceus_crypto::reencrypt::{CAPSULE_BYTES, CapsuleError, parse_capsule};
use umbral_pre::{Capsule, SecretKeyFactory};

/// Where a serialized capsule holds its proof's response, a scalar up to its end.
const RESPONSE_AT: usize = CAPSULE_BYTES - 32;

/// Where a serialized capsule fragment holds the id of its key fragment: after an array's head, two points
/// and a head of its own.
const FRAGMENT_ID_AT: usize = 1 + 2 * (2 + 33) + 2;

/// The secret key as Umbral wants it.
pub(crate) fn secret_key(key: &SecretKey) -> umbral_pre::SecretKey {
    // The library's secret box can only be had from a key of its own. This one is never used: its bytes
    // are overwritten at once.
    let placeholder = SecretKeyFactory::from_secure_randomness(&[0u8; 32])
        .expect("the factory's seed has 32 bytes")
        .make_key(b"placeholder");
    let mut boxed = placeholder.to_be_bytes();
    boxed.as_mut_secret().copy_from_slice(&key.to_bytes()[..]);
    umbral_pre::SecretKey::try_from_be_bytes(&boxed)
        .expect("a secret key is a non-zero scalar below the group order")
}

/// Umbral's public key as ours.
pub(crate) fn from_umbral(key: &umbral_pre::PublicKey) -> PublicKey {
    PublicKey::from_bytes(&key.to_compressed_bytes())
        .expect("a public key is a point of the curve and not the identity")
}

/// A capsule that is safe to open with a secret key.
///
/// Beyond the chain's check, a response of zero is refused: under it Umbral's check of the combined
/// fragments holds whatever they are, and with fragments made to cancel out the library would panic.
pub(crate) fn capsule_to_open(bytes: &[u8]) -> Result<Capsule, CapsuleError> {
    let capsule = parse_capsule(bytes)?;
    if bytes[RESPONSE_AT..].iter().all(|byte| *byte == 0) {
        return Err(CapsuleError::Degenerate);
    }
    Ok(capsule)
}

/// Which key fragment a capsule fragment comes from. Only for bytes that have parsed as one.
pub(crate) fn fragment_id(bytes: &[u8]) -> &[u8] {
    &bytes[FRAGMENT_ID_AT..FRAGMENT_ID_AT + 32]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::reencrypt::{serialize, umbral_key};
    use k256::elliptic_curve::sec1::ToEncodedPoint;
    use k256::{ProjectivePoint, Scalar};
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;
    use umbral_pre::encrypt_with_rng;

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(5)
    }

    fn capsule_bytes(e: &ProjectivePoint, v: &ProjectivePoint, s: &Scalar) -> Vec<u8> {
        let mut bytes = vec![0x93];
        for point in [e, v] {
            let encoded = point.to_affine().to_encoded_point(true);
            bytes.extend_from_slice(&[0xc4, u8::try_from(encoded.len()).unwrap()]);
            bytes.extend_from_slice(encoded.as_bytes());
        }
        bytes.extend_from_slice(&[0xc4, 32]);
        bytes.extend_from_slice(&s.to_bytes());
        bytes
    }

    #[test]
    fn keys_convert_to_the_same_point() {
        let mut rng = rng();
        for _ in 0..8 {
            let key = SecretKey::generate(&mut rng);
            let theirs = secret_key(&key).public_key();
            assert_eq!(from_umbral(&theirs), key.public());
            assert_eq!(umbral_key(&key.public()), theirs);
        }
    }

    #[test]
    fn every_flipped_byte_of_a_capsule_is_refused() {
        let mut rng = rng();
        let d = secret_key(&SecretKey::generate(&mut rng));
        let (capsule, _) = encrypt_with_rng(&mut rng, &d.public_key(), b"key").unwrap();
        let bytes = serialize(&capsule);
        assert_eq!(capsule_to_open(&bytes).unwrap(), capsule);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(capsule_to_open(&bad).is_err(), "byte {at}");
        }
    }

    /// Each of these would make `umbral-pre` panic while it checks or opens the capsule.
    #[test]
    fn capsules_with_an_identity_point_are_refused() {
        let mut rng = rng();
        let point = SecretKey::generate(&mut rng).public().point();
        let identity = ProjectivePoint::IDENTITY;
        assert!(capsule_to_open(&capsule_bytes(&identity, &point, &Scalar::ONE)).is_err());
        assert!(capsule_to_open(&capsule_bytes(&point, &identity, &Scalar::ONE)).is_err());
        assert!(capsule_to_open(&capsule_bytes(&point, &(-point), &Scalar::ONE)).is_err());
        assert!(capsule_to_open(&[]).is_err());
    }
}

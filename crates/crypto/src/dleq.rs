//! Proof that two values have one discrete logarithm (Chaum and Pedersen, CRYPTO '92), made
//! non-interactive by a hash (Fiat and Shamir).
//!
//! Notation: G, H bases; P = xG, Q = xH values; k nonce; A = kG, B = kH; c challenge; z = k + cx response.
//! The hash covers the purpose, the caller's context, both bases, both values, A and B: a proof is worth nothing
//! for other values, another purpose or another context.

use borsh::{BorshDeserialize, BorshSerialize};
use k256::elliptic_curve::bigint::U256;
use k256::elliptic_curve::ops::Reduce;
use k256::elliptic_curve::{Field, PrimeField};
use k256::{FieldBytes, ProjectivePoint, Scalar};
use rand_core::{CryptoRng, RngCore};
use zeroize::Zeroize;

use crate::domain::Domain;
use crate::hash::{Hash, hash};
use crate::keys::{PublicKey, SecretKey};

/// What a proof says: the discrete logarithm of each value to its base is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Equality<'a> {
    /// G and P.
    pub first: (&'a PublicKey, &'a PublicKey),
    /// H and Q.
    pub second: (&'a PublicKey, &'a PublicKey),
}

/// The proof does not show the equality for this purpose and context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proof of equal discrete logarithms is not valid")]
pub struct BadProof;

/// A claimed proof: challenge c (32), response z (32, big-endian, below n). Any 64 bytes decode;
/// [`DleqProof::verify`] says what they are worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct DleqProof {
    /// c, as the hash gives it.
    pub challenge: [u8; 32],
    /// z.
    pub response: [u8; 32],
}

impl DleqProof {
    /// Proves the equality, of which the secret is the common discrete logarithm. One that does not hold gives a
    /// proof that does not verify.
    pub fn prove(
        rng: &mut (impl CryptoRng + RngCore),
        domain: Domain,
        context: &[&[u8]],
        equality: &Equality<'_>,
        secret: &SecretKey,
    ) -> Self {
        let mut nonce = Scalar::random(&mut *rng);
        let first = equality.first.0.point() * nonce;
        let second = equality.second.0.point() * nonce;
        let challenge = challenge(domain, context, equality, &first, &second)
            .expect("a nonce of zero has probability 2^-256");
        let response = nonce + reduce(&challenge) * secret.scalar();
        nonce.zeroize();
        DleqProof {
            challenge: challenge.0,
            response: response.to_bytes().into(),
        }
    }

    /// Checks the proof.
    ///
    /// # Errors
    /// [`BadProof`].
    pub fn verify(
        &self,
        domain: Domain,
        context: &[&[u8]],
        equality: &Equality<'_>,
    ) -> Result<(), BadProof> {
        let response = Option::<Scalar>::from(Scalar::from_repr(FieldBytes::from(self.response)))
            .ok_or(BadProof)?;
        let claimed = Hash(self.challenge);
        let c = reduce(&claimed);
        let commitment =
            |(base, value): (&PublicKey, &PublicKey)| base.point() * response - value.point() * c;
        let (first, second) = (commitment(equality.first), commitment(equality.second));
        let computed = challenge(domain, context, equality, &first, &second).ok_or(BadProof)?;
        if computed == claimed {
            Ok(())
        } else {
            Err(BadProof)
        }
    }
}

/// c; none where a commitment is the identity, which an honest prover never makes.
fn challenge(
    domain: Domain,
    context: &[&[u8]],
    equality: &Equality<'_>,
    first: &ProjectivePoint,
    second: &ProjectivePoint,
) -> Option<Hash> {
    let first = PublicKey::from_point(first).ok()?;
    let second = PublicKey::from_point(second).ok()?;
    let points = [
        equality.first.0,
        equality.first.1,
        equality.second.0,
        equality.second.1,
        &first,
        &second,
    ];
    let mut fields = context.to_vec();
    fields.extend(points.iter().map(|point| &point.as_bytes()[..]));
    Some(hash(domain, &fields))
}

/// A challenge as a scalar: its bytes big-endian modulo n, which is off uniform by less than 2^-127.
fn reduce(challenge: &Hash) -> Scalar {
    <Scalar as Reduce<U256>>::reduce_bytes(FieldBytes::from_slice(&challenge.0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::domain;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    const CONTEXT: &[&[u8]] = &[b"context"];

    struct Case {
        bases: [PublicKey; 2],
        values: [PublicKey; 2],
        secret: SecretKey,
    }

    impl Case {
        fn new(rng: &mut ChaCha20Rng) -> Self {
            let mut key = || SecretKey::generate(&mut *rng);
            let (secret, g, h) = (key(), key().public(), key().public());
            let times =
                |base: &PublicKey| PublicKey::from_point(base.point() * secret.scalar()).unwrap();
            Case {
                bases: [g, h],
                values: [times(&g), times(&h)],
                secret,
            }
        }

        fn equality(&self) -> Equality<'_> {
            Equality {
                first: (&self.bases[0], &self.values[0]),
                second: (&self.bases[1], &self.values[1]),
            }
        }
    }

    #[test]
    fn an_equality_is_proved_for_its_purpose_and_context_alone() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let case = Case::new(&mut rng);
        let equality = case.equality();
        let tag = domain::EMERGENCY_PARTIAL_PROOF;
        let proof = DleqProof::prove(&mut rng, tag, CONTEXT, &equality, &case.secret);
        assert_eq!(proof.verify(tag, CONTEXT, &equality), Ok(()));
        let other = domain::EMERGENCY_WRAP_PROOF;
        assert_eq!(proof.verify(other, CONTEXT, &equality), Err(BadProof));
        assert_eq!(proof.verify(tag, &[b"other"], &equality), Err(BadProof));
        assert_eq!(proof.verify(tag, &[], &equality), Err(BadProof));
        let swapped = Equality {
            first: equality.second,
            second: equality.first,
        };
        assert_eq!(proof.verify(tag, CONTEXT, &swapped), Err(BadProof));
    }

    #[test]
    fn unequal_logarithms_have_no_proof() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let (case, other) = (Case::new(&mut rng), Case::new(&mut rng));
        let unequal = Equality {
            first: (&case.bases[0], &case.values[0]),
            second: (&case.bases[1], &other.values[1]),
        };
        let tag = domain::EMERGENCY_PARTIAL_PROOF;
        let proof = DleqProof::prove(&mut rng, tag, CONTEXT, &unequal, &case.secret);
        assert_eq!(proof.verify(tag, CONTEXT, &unequal), Err(BadProof));
    }

    #[test]
    fn every_flipped_bit_and_a_response_over_the_order_is_refused() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let case = Case::new(&mut rng);
        let tag = domain::EMERGENCY_PARTIAL_PROOF;
        let proof = DleqProof::prove(&mut rng, tag, CONTEXT, &case.equality(), &case.secret);
        for at in 0..64 {
            for bit in 0..8 {
                let mut bad = proof;
                match at {
                    0..32 => bad.challenge[at] ^= 1 << bit,
                    _ => bad.response[at - 32] ^= 1 << bit,
                }
                assert_eq!(bad.verify(tag, CONTEXT, &case.equality()), Err(BadProof));
            }
        }
        let bad = DleqProof {
            response: [0xff; 32],
            ..proof
        };
        assert_eq!(bad.verify(tag, CONTEXT, &case.equality()), Err(BadProof));
    }
}

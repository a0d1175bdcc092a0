//! The steps that secrets allow: sums, differences, products and quotients, two deep.

use caduceus_crypto::keys::{PublicKey, SecretKey};
use k256::{ProjectivePoint, Scalar};

/// The public keys of everything that follows from these secrets in two steps of the field's arithmetic: each
/// secret, each of two combined by +, - (both ways), * and / (both ways), each of that combined by + or - with a
/// secret, and the negatives of all.
pub(super) fn combinations(secrets: &[&SecretKey]) -> Vec<PublicKey> {
    let known: Vec<Scalar> = secrets.iter().map(|secret| secret.scalar()).collect();
    let mut reached = known.clone();
    for (at, a) in known.iter().enumerate() {
        for b in &known[at..] {
            reached.extend([*a + b, *a - b, *a * b]);
            reached.extend(Option::<Scalar>::from(b.invert()).map(|inverse| *a * inverse));
            reached.extend(Option::<Scalar>::from(a.invert()).map(|inverse| *b * inverse));
        }
    }
    let once = reached.clone();
    for a in &once {
        for b in &known {
            reached.extend([*a + b, *a - b]);
        }
    }
    reached
        .iter()
        .filter_map(|scalar| PublicKey::from_point(ProjectivePoint::GENERATOR * scalar).ok())
        .flat_map(|key| [key, negative(&key)])
        .collect()
}

/// -X: the same x coordinate, the other y.
fn negative(key: &PublicKey) -> PublicKey {
    PublicKey::from_point(-key.point())
        .expect("the negative of a point is the identity for no other")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::attack::world::rng;

    #[test]
    fn what_follows_is_reached_and_what_does_not_is_not() {
        let mut rng = rng(1, 9);
        let [p, z, r, b] = [(); 4].map(|()| SecretKey::generate(&mut rng));
        let reached = combinations(&[&p, &z, &r, &b]);
        let key = |scalar: Scalar| SecretKey::from_scalar(scalar).unwrap().public();
        let (p, z, r, b) = (p.scalar(), z.scalar(), r.scalar(), b.scalar());
        for follows in [
            p,
            p - z,
            z - p,
            p + z,
            r * b,
            b * r.invert().unwrap(),
            r * b - z,
            p + z + r,
        ] {
            assert!(reached.contains(&key(follows)));
        }
        let stranger = SecretKey::generate(&mut rng).public();
        assert!(!reached.contains(&stranger));
        assert!(reached.len() > 300, "{} keys", reached.len());
    }
}

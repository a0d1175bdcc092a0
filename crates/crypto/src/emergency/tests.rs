use super::*;
use crate::codec::decode_exact;
use crate::keys::SecretKey;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

fn keys(count: usize) -> Vec<PublicKey> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    (0..count)
        .map(|_| SecretKey::generate(&mut rng).public())
        .collect()
}

fn scalar_key(n: u32) -> PublicKey {
    PublicKey::from_point(generator().point() * k256::Scalar::from(n)).unwrap()
}

/// f(x) = 3 + 5x + 7x^2 at 1, 2, 3 is 15, 41, 81.
#[test]
fn public_shares_are_the_polynomial_in_the_exponent() {
    let key = EmergencyKey {
        generation: 1,
        commitments: vec![scalar_key(3), scalar_key(5), scalar_key(7)],
        officers: keys(3),
    };
    let checked = key.check().unwrap();
    assert_eq!(*checked.point(), scalar_key(3));
    assert_eq!(checked.threshold(), 3);
    let shares: Vec<PublicKey> = checked.officers().iter().map(|o| o.share).collect();
    assert_eq!(shares, [scalar_key(15), scalar_key(41), scalar_key(81)]);
    assert_eq!(checked.index_of(&key.officers[2]), Some(3));
    assert_eq!(checked.index_of(&scalar_key(3)), None);
    assert_eq!(checked.officer(0), None);
    assert_eq!(checked.officer(4), None);
}

/// f(x) = 2 - x is zero at 2, so the second share is known to all.
#[test]
fn a_share_of_zero_is_refused() {
    let minus_one = PublicKey::from_point(-generator().point()).unwrap();
    let key = EmergencyKey {
        generation: 1,
        commitments: vec![scalar_key(2), minus_one],
        officers: keys(3),
    };
    assert_eq!(key.check(), Err(EmergencyKeyError::ZeroShare { index: 2 }));
}

#[test]
fn the_identifier_covers_every_part() {
    let key = EmergencyKey {
        generation: 1,
        commitments: vec![scalar_key(3), scalar_key(5)],
        officers: keys(3),
    };
    let mut later = key.clone();
    later.generation = 2;
    let mut swapped = key.clone();
    swapped.officers.swap(0, 1);
    let mut moved = key.clone();
    let last = moved.officers.remove(0);
    moved.commitments.push(last);
    let ids = [key.id(), later.id(), swapped.id(), moved.id()];
    for (n, id) in ids.iter().enumerate() {
        assert!(ids[n + 1..].iter().all(|other| other != id));
    }
}

#[test]
fn counts_are_bounded_before_anything_is_read() {
    let mut bytes = 1u32.to_le_bytes().to_vec();
    bytes.extend_from_slice(&u32::MAX.to_le_bytes());
    assert!(decode_exact::<EmergencyKey>(&bytes, 1 << 20).is_err());
    let key = EmergencyKey {
        generation: 1,
        commitments: keys(2),
        officers: keys(MAX_OFFICERS + 1),
    };
    let bytes = encode(&key);
    let decoded: EmergencyKey = decode_exact(&bytes, bytes.len()).unwrap();
    assert_eq!(
        decoded.check(),
        Err(EmergencyKeyError::TooManyOfficers { found: 33 })
    );
}

/// Computed by another implementation: `vectors.py` beside the tests of `caduceus-custody`.
#[test]
fn the_second_generator_is_that_of_its_definition() {
    assert_eq!(second_generator().to_string(), SECOND_GENERATOR);
    assert_ne!(second_generator(), generator());
}

const SECOND_GENERATOR: &str = "02ddc89bae174fb76c03755f27698eeabbcb31671bfbeb91353bd3c864dfa40709";

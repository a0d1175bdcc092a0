use super::*;
use crate::codec::{decode_exact, encode};
use crate::domain;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

mod rfc9380;

/// n, big-endian.
const ORDER: &str = "73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001";
/// The field's modulus, big-endian.
const MODULUS: &str = concat!(
    "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf",
    "6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab"
);
/// g1, compressed.
const G1_GENERATOR: &str = concat!(
    "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905",
    "a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"
);

fn secret(seed: u64) -> PairingSecret {
    PairingSecret::generate(&mut ChaCha20Rng::seed_from_u64(seed))
}

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// A secret that is a small number.
fn small(number: u8) -> PairingSecret {
    let mut bytes = [0u8; 32];
    bytes[31] = number;
    PairingSecret::from_bytes(&bytes).unwrap()
}

/// A point of the curve outside the subgroup: nearly every point is.
pub(crate) fn g1_outside_the_subgroup() -> [u8; G1_BYTES] {
    let mut bytes = [0u8; G1_BYTES];
    bytes[0] = 0x80;
    for x in 1..=u8::MAX {
        bytes[G1_BYTES - 1] = x;
        if g1_checked_before(&bytes).is_some_and(|point| !bool::from(point.is_torsion_free())) {
            return bytes;
        }
    }
    panic!("half of all x have a point");
}

/// The same in G2.
pub(crate) fn g2_outside_the_subgroup() -> [u8; G2_BYTES] {
    let mut bytes = [0u8; G2_BYTES];
    bytes[0] = 0x80;
    for x in 1..=u8::MAX {
        bytes[G2_BYTES - 1] = x;
        let point = Option::<G2Affine>::from(G2Affine::from_compressed_unchecked(&bytes));
        if point.is_some_and(|point| !bool::from(point.is_torsion_free())) {
            return bytes;
        }
    }
    panic!("half of all x have a point");
}

/// Bytes of N that encode no point of a subgroup, or the identity.
pub(crate) fn bad_points<const N: usize>(good: [u8; N], outside: [u8; N]) -> Vec<[u8; N]> {
    let with_first = |change: fn(u8) -> u8| {
        let mut bytes = good;
        bytes[0] = change(bytes[0]);
        bytes
    };
    let mut identity = [0u8; N];
    identity[0] = 0xc0;
    let mut two_forms_of_the_identity = identity;
    two_forms_of_the_identity[0] = 0xe0;
    // x + p, where it fits below the flags, would be a second form of x.
    let mut over_the_modulus = [0u8; N];
    over_the_modulus[..48].copy_from_slice(&bytes::<48>(MODULUS));
    over_the_modulus[0] |= 0x80;
    vec![
        [0; N],
        [0xff; N],
        identity,
        two_forms_of_the_identity,
        outside,
        over_the_modulus,
        with_first(|first| first & 0x7f),
        with_first(|first| first | 0x40),
    ]
}

#[test]
fn malformed_points_are_refused() {
    let (g1, g2) = (secret(1).public_g1(), secret(1).public_g2());
    let bad_g1 = bad_points(g1.to_compressed(), g1_outside_the_subgroup());
    for bytes in &bad_g1 {
        assert_eq!(g1_from_bytes(bytes), Err(BadPoint), "{bytes:?}");
        assert_eq!(SchemeKey::from_bytes(bytes), Err(BadPoint));
        assert!(decode_exact::<SchemeKey>(bytes, G1_BYTES).is_err());
        let text = format!("\"{}\"", hex::encode(bytes));
        assert!(serde_json::from_str::<SchemeKey>(&text).is_err());
    }
    let bad_g2 = bad_points(g2.to_compressed(), g2_outside_the_subgroup());
    for bytes in &bad_g2 {
        assert_eq!(g2_from_bytes(bytes), Err(BadPoint), "{bytes:?}");
    }
    println!("{} malformed points", bad_g1.len() + bad_g2.len());
}

#[test]
fn malformed_elements_of_gt_are_refused() {
    let mut one = [0u8; GT_BYTES];
    one[0] = 1;
    let good = gt_to_bytes(&pair(&secret(1).public_g1(), &secret(2).public_g2())).unwrap();
    let mut over_the_modulus = good;
    over_the_modulus[..48].copy_from_slice(&bytes::<48>(MODULUS));
    over_the_modulus[..48].reverse();
    // Of elements that are not of order n, those with small coordinates will do.
    for bytes in [
        [0; GT_BYTES],
        [0xff; GT_BYTES],
        [1; GT_BYTES],
        one,
        over_the_modulus,
    ] {
        assert!(gt_from_bytes(&bytes).is_err(), "{}", hex::encode(bytes));
    }
    assert!(gt_from_bytes(&good).is_ok());
    assert_eq!(gt_to_bytes(&Gt::identity()), Err(BadPoint));
}

#[test]
fn the_pairing_is_bilinear_and_not_degenerate() {
    let (a, b, c) = (small(6), small(7), small(42));
    let value = pair(&a.public_g1(), &b.public_g2());
    assert_eq!(value, pair(&c.public_g1(), &G2Affine::generator()));
    assert_eq!(value, pair(&G1Affine::generator(), &c.public_g2()));
    assert_ne!(value, pair(&a.public_g1(), &a.public_g2()));
    assert!(!bool::from(value.is_identity()));
}

#[test]
fn secrets_are_scalars_other_than_zero() {
    let order = bytes::<32>(ORDER);
    let mut last = order;
    last[31] = 0;
    for bad in [[0; 32], order, [0xff; 32]] {
        assert_eq!(PairingSecret::from_bytes(&bad).err(), Some(BadScalar));
    }
    let bytes = last;
    let last = PairingSecret::from_bytes(&bytes).unwrap();
    assert_eq!(*last.to_bytes(), bytes);
    assert_eq!(last.public_g1(), -G1Affine::generator());
    assert_eq!(small(1).public_g1(), G1Affine::generator());
    assert_eq!(hex::encode(small(1).scheme_key().as_bytes()), G1_GENERATOR);
    assert_eq!(
        add_g1(&small(5).public_g1(), &small(6).public_g1()),
        small(11).public_g1()
    );
    assert_eq!(format!("{:?}", secret(3)), "PairingSecret(..)");
}

/// 48 bytes modulo n, against numbers computed by hand: n itself is zero, so n + 1 is 1, and 2^192 stays.
#[test]
fn wide_numbers_are_reduced() {
    let wide = |low: &[u8; 32]| {
        let mut wide = [0u8; 48];
        wide[16..].copy_from_slice(low);
        PairingSecret::reduce(&wide).scalar()
    };
    let mut order_and_one = bytes::<32>(ORDER);
    order_and_one[31] += 1;
    assert_eq!(wide(&order_and_one), Scalar::ONE);
    let mut small = [0u8; 32];
    small[31] = 9;
    assert_eq!(wide(&small), Scalar::from(9u64));
    let mut two_to_192 = [0u8; 32];
    two_to_192[7] = 1;
    assert_eq!(wide(&two_to_192), read_scalar(&two_to_192));
    // The top bytes count too: 2^256.
    let mut top = [0u8; 48];
    top[15] = 1;
    let two_to_128 = Scalar::from(2u64).pow_vartime([128u64]);
    assert_eq!(
        PairingSecret::reduce(&top).scalar(),
        two_to_128 * two_to_128
    );
}

#[test]
fn derived_secrets_depend_on_every_input() {
    let here = PairingSecret::derive(domain::PEKS_KEY, b"seed", &[b"field"]);
    let again = PairingSecret::derive(domain::PEKS_KEY, b"seed", &[b"field"]);
    assert_eq!(here.scalar(), again.scalar());
    for other in [
        PairingSecret::derive(domain::PAEKS_KEY, b"seed", &[b"field"]),
        PairingSecret::derive(domain::PEKS_KEY, b"seeds", &[b"field"]),
        PairingSecret::derive(domain::PEKS_KEY, b"seed", &[]),
    ] {
        assert_ne!(here.scalar(), other.scalar());
    }
}

#[test]
fn hashes_depend_on_domain_and_message() {
    let g1 = hash_to_g1(domain::PAEKS_H_DST, b"keyword");
    assert_ne!(g1, hash_to_g1(domain::PAEKS_H_DST, b"keywords"));
    assert_ne!(g1, hash_to_g1(domain::PEKS_H1_DST, b"keyword"));
    assert_eq!(g1_from_bytes(&g1.to_compressed()), Ok(g1));
    let g2 = hash_to_g2(domain::PEKS_H1_DST, b"keyword");
    assert_ne!(g2, hash_to_g2(domain::PEKS_H1_DST, b""));
    assert_ne!(g2, hash_to_g2(domain::PAEKS_H_DST, b"keyword"));
    assert_eq!(g2_from_bytes(&g2.to_compressed()), Ok(g2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn round_trips(seed in any::<u64>()) {
        let (x, y) = (secret(seed), secret(seed.wrapping_add(1)));
        let (g1, g2) = (x.public_g1(), y.public_g2());
        prop_assert_eq!(g1_from_bytes(&g1.to_compressed()), Ok(g1));
        prop_assert_eq!(g1_checked_before(&g1.to_compressed()), Some(g1));
        prop_assert_eq!(g2_from_bytes(&g2.to_compressed()), Ok(g2));
        let value = pair(&g1, &g2);
        let bytes = gt_to_bytes(&value).unwrap();
        prop_assert_eq!(gt_from_bytes(&bytes), Ok(value));
        let key = x.scheme_key();
        prop_assert_eq!(key.point(), g1);
        prop_assert_eq!(decode_exact::<SchemeKey>(&encode(&key), G1_BYTES), Ok(key));
        prop_assert_eq!(key.to_string().parse::<SchemeKey>(), Ok(key));
    }

    #[test]
    fn any_bytes_are_read_without_panic(
        mut g1 in any::<[u8; G1_BYTES]>(),
        mut g2 in any::<[u8; G2_BYTES]>(),
        mut gt in any::<[u8; GT_BYTES]>(),
        flags in any::<u8>(),
    ) {
        // Below the modulus, so that more than the range is tested.
        g1[0] = (g1[0] & 0x0f) | (flags & 0xe0);
        g2[0] = (g2[0] & 0x0f) | (flags & 0xe0);
        g2[48] &= 0x0f;
        gt.chunks_mut(48).for_each(|coordinate| coordinate[47] &= 0x0f);
        if let Ok(point) = g1_from_bytes(&g1) {
            prop_assert_eq!(point.to_compressed(), g1);
        }
        if let Ok(point) = g2_from_bytes(&g2) {
            prop_assert_eq!(point.to_compressed(), g2);
        }
        if let Ok(element) = gt_from_bytes(&gt) {
            prop_assert_eq!(gt_to_bytes(&element), Ok(gt));
        }
    }

    #[test]
    fn products_agree(a in any::<u64>(), b in any::<u64>()) {
        let (a, b) = (secret(a), secret(b));
        let there = a.times_g1(&b.public_g1());
        prop_assert_eq!(there, b.times_g1(&a.public_g1()));
        let value = pair(&there, &G2Affine::generator());
        prop_assert_eq!(value, pair(&a.public_g1(), &b.public_g2()));
        prop_assert_eq!(value, pair(&G1Affine::generator(), &a.times_g2(&b.public_g2())));
    }
}

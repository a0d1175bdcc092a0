//! Values from another implementation, and the algebra behind the test.
//!
//! The constants were computed apart from this code: with py_ecc 8.0.0 (curve, hash to curve, pairing; its pairing e'
//! and that of `blst` differ by a constant power, e = e'^-3) and Python's own HMAC and SHA3-256.

use caduceus_crypto::pairing::g1_from_bytes;

use super::*;
use crate::fixtures::{patient, rng};

const KEYWORD: &str = "term:asthma";

/// h of the patient whose seed is 32 times 7.
const PUBLIC: &str = "a59036d075e0d05c595078508747f92f6b57cb47de290155c561a9decec70d5d964d2ebabf6beba68fd8c65011a22d2c";

/// Her entry for the keyword under r = 0x1111...11.
const ENTRY: &str = "97248533cef0908a5ebe52c3b487471301bf6369010e6167f63dd74feddac2dfb5336a59a331d38eb0e454d6f6fcb1a4\
     a3c05749c9a2129262f136de971fc0c7fd474ad74f72fdcb37de8edfc24b062a";

/// Her trapdoor for the keyword.
const TRAPDOOR: &str = "92117e75c262003044c885faa019da343b1f6b57ab9c09dae772e20a089822985a72b5c698efcab0ad3c3b4522ef9b1a\
     034d09eec9ae4544f5768e2adf8241d0ee5a39296c698576cad968abac1d9d00a9cb3c369f410d2191ebdcd7b09ec842";

fn ones() -> PairingSecret {
    PairingSecret::from_bytes(&[0x11; 32]).unwrap()
}

#[test]
fn keys_entries_and_trapdoors_are_those_of_another_implementation() {
    let secret = patient(7).peks_secret();
    let h = secret.public();
    assert_eq!(hex::encode(h.as_bytes()), PUBLIC);
    assert_eq!(patient(7).with_scheme(SchemeId::Peks).meta().index, Some(h));
    let made = entry(&ones(), &h.point(), KEYWORD.as_bytes());
    assert_eq!(hex::encode(made.0), ENTRY);
    let trapdoor = secret.trapdoor(KEYWORD);
    assert_eq!(hex::encode(trapdoor.0), TRAPDOOR);
    assert!(trapdoor.prepare().unwrap().matches(&made));
}

/// The test rests on e(r * h, H1(w)) = e(r * g1, a * H1(w)), and on nothing less: another secret, another r, another
/// keyword give another value.
#[test]
fn the_author_and_the_node_compute_one_value() {
    let mut rng = rng(50);
    let (a, r) = (
        PairingSecret::generate(&mut rng),
        PairingSecret::generate(&mut rng),
    );
    let hashed = |word: &str| hash_to_g2(domain::PEKS_H1_DST, word.as_bytes());
    let author = pair(&r.times_g1(&a.public_g1()), &hashed(KEYWORD));
    let node = |r: &PairingSecret, a: &PairingSecret, word: &str| {
        pair(&r.public_g1(), &a.times_g2(&hashed(word)))
    };
    assert_eq!(author, node(&r, &a, KEYWORD));
    let other = PairingSecret::generate(&mut rng);
    assert_ne!(author, node(&other, &a, KEYWORD));
    assert_ne!(author, node(&r, &other, KEYWORD));
    assert_ne!(author, node(&r, &a, "term:gout"));
}

#[test]
fn two_entries_of_one_keyword_share_nothing_and_are_points() {
    let (mut rng, secret) = (rng(51), patient(7).peks_secret());
    let h = secret.public().point();
    let mut draw = || entry(&PairingSecret::generate(&mut rng), &h, KEYWORD.as_bytes());
    let (one, two) = (draw(), draw());
    assert_ne!(one.0[..48], two.0[..48]);
    assert_ne!(one.0[48..], two.0[48..]);
    let prepared = secret.trapdoor(KEYWORD).prepare().unwrap();
    for made in [one, two] {
        assert!(g1_from_bytes(made.0.first_chunk().unwrap()).is_ok());
        assert!(prepared.matches(&made));
    }
    let mut mixed = one;
    mixed.0[48..].copy_from_slice(&two.0[48..]);
    assert!(!prepared.matches(&mixed));
}

/// What epoch tags are for: who knows h tells from a trapdoor whether it is for a keyword.
#[test]
fn a_trapdoor_can_be_guessed_by_whoever_knows_the_public_key() {
    let secret = patient(7).peks_secret();
    let prepared = secret.trapdoor(KEYWORD).prepare().unwrap();
    let mut rng = rng(52);
    let guess = |word: &str, rng: &mut rand_chacha::ChaCha20Rng| {
        let made = entries(rng, &secret.public(), &[word]).unwrap();
        made.peks().iter().any(|made| prepared.matches(made))
    };
    assert!(guess(KEYWORD, &mut rng));
    assert!(!guess("term:gout", &mut rng));
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?}", patient(7).peks_secret());
    assert_eq!(shown, "PeksSecret(redacted)");
}

//! Values from another implementation, and the algebra behind the test.
//!
//! The constants were computed apart from this code: with py_ecc 8.0.0 (curve, hash to curve, pairing; its pairing e'
//! and that of `blst` differ by a constant power, e = e'^-3) and Python's own HMAC and SHA3-256.

use caduceus_crypto::keys::SecretKey;
use caduceus_crypto::pairing::g1_from_bytes;

use super::*;
use crate::fixtures::{hospital, patient, rng};
use crate::index_key::IndexKeyService;

const KEYWORD: &str = "term:asthma";

/// y * g1 of the patient whose seed is 32 times 7.
const RECEIVER: &str = "b26e6ee1ea43b9b07dfe31c49394263aff00daa949f5d403dff88ee38da21bbe97d68a72ca41ac6a6e4b59d082e63da3";

/// Her y * g2.
const RECEIVER_G2: &str = "83727736305a71c45d69378975c41db35a3136fc53a33d4e67a651511aaa64a81161b045cbc0dbbe403cbf579166587f\
     0c03f7ede03168cfd0eebcca89dd9f7e1b2064b8edf22c6d5c2d7a90ae1445374bc9f561e11791afa1311125ac704378";

/// x * g2 of the sender with x = 0x2222...22.
const SENDER_G2: &str = "b2fd1053839338347bdcb49a7bdf4705b9a2f6000dd0d6ac6bbe7a216455ec58d67f4d3722f3ddbaf1c6a45b991edd96\
     01cd367b32f23cf1c90c40f926b30d690359cb6ffc438f65006ec59e3e3a62fd6060fba010fb3f7b6799b8ed71aea776";

/// The entry for the keyword, from that sender to her, under r = 0x1111...11.
const ENTRY: &str = "a17cd1d8d5143f3ac822ce8f82ab92598fd765ae111bba15fb0e155b55c45a5320649fa6aaeff91f0148c96a4444d590\
     85cd7a6f9ae71253b6d9d09f4311667e1b70391fc099626e75c0f3cc957e27098bae4bf10cfadc247520c0ad73428ee6";

/// Her token for the keyword and that sender.
const TOKEN: &str = "5eb465a02e87f0029854601bf4ad5f5a88332afc613ca99defca15fc050b568f51905c1fad347e7315c3984b2ffdf20a\
     99b8aa97ccc2235faf35ab6ccde6b98bd7e7718ce46be0ac76f0b8fbcf371200e599f07b867e2af84ef2dd956832b712\
     7b25de5865c062bb0c37099527f9c628f003a98e3ac8bde8f5fbb965fa91dc46b74e90f8f0d53e29fe3ea0c30d299a16\
     853939110086ea8663e4e41ae5d8060d617122cf5057eab9b7e615adcef95667b257c5d84b166cf3242b3ef3ab7f4401\
     2f177e7457f6b9546ca6cdee59426dc3bde2fa90385095c918a48ed59368f5b5b95afa6f9bbbf10ef231a34612971409\
     4a3fc147566ff48aa1600cedb0e80878645dd240f2d1f87f8757b4207f6965818eeb7c0e9e007605924699580f179a12";

/// The scalar whose 32 bytes are all this one.
fn scalar(byte: u8) -> PairingSecret {
    PairingSecret::from_bytes(&[byte; 32]).unwrap()
}

fn reader(sender: &PairingSecret) -> PaeksReader {
    PaeksReader::new(
        patient(7).pairing_secret(domain::PAEKS_KEY),
        sender.public_g2(),
    )
}

#[test]
fn keys_entries_and_trapdoors_are_those_of_another_implementation() {
    let reader = reader(&scalar(0x22));
    let receiver = reader.public();
    assert_eq!(hex::encode(receiver.as_bytes()), RECEIVER);
    assert_eq!(
        patient(7).with_scheme(SchemeId::Paeks).meta().index,
        Some(receiver)
    );
    let author = PaeksAuthor::new(scalar(0x22), &receiver);
    assert_eq!(hex::encode(author.public().to_compressed()), SENDER_G2);
    let made = author.entry(&scalar(0x11), KEYWORD.as_bytes());
    assert_eq!(hex::encode(made.0), ENTRY);
    let trapdoor = reader.trapdoor(KEYWORD);
    assert_eq!(hex::encode(trapdoor.token), TOKEN);
    assert_eq!(hex::encode(trapdoor.receiver), RECEIVER_G2);
    assert!(trapdoor.prepare().unwrap().matches(&made));
}

/// The test rests on e(x * H(w), y * g2) = e(y * H(w), x * g2) and e(r * g1, y * g2) = e(r * (y * g1), g2).
#[test]
fn both_sides_of_the_test_are_one_value() {
    let mut rng = rng(53);
    let mut draw = || PairingSecret::generate(&mut rng);
    let (x, y, r) = (draw(), draw(), draw());
    let hashed = hash_to_g1(domain::PAEKS_H_DST, KEYWORD.as_bytes());
    assert_eq!(
        pair(&x.times_g1(&hashed), &y.public_g2()),
        pair(&y.times_g1(&hashed), &x.public_g2())
    );
    let one = PairingSecret::from_bytes(&one_bytes()).unwrap();
    assert_eq!(
        pair(&r.public_g1(), &y.public_g2()),
        pair(&r.times_g1(&y.public_g1()), &one.public_g2())
    );
    assert_ne!(
        pair(&x.times_g1(&hashed), &y.public_g2()),
        pair(&y.times_g1(&hashed), &r.public_g2())
    );
}

fn one_bytes() -> [u8; 32] {
    let mut bytes = [0u8; 32];
    bytes[31] = 1;
    bytes
}

#[test]
fn two_entries_of_one_keyword_share_nothing_and_are_points() {
    let (mut rng, reader) = (rng(54), reader(&scalar(0x22)));
    let author = PaeksAuthor::new(scalar(0x22), &reader.public());
    let mut draw = || author.entry(&PairingSecret::generate(&mut rng), KEYWORD.as_bytes());
    let (one, two) = (draw(), draw());
    assert_ne!(one.0[..48], two.0[..48]);
    assert_ne!(one.0[48..], two.0[48..]);
    let prepared = reader.trapdoor(KEYWORD).prepare().unwrap();
    for made in [one, two] {
        assert!(g1_from_bytes(made.0.first_chunk().unwrap()).is_ok());
        assert!(g1_from_bytes(made.0.last_chunk().unwrap()).is_ok());
        assert!(prepared.matches(&made));
    }
    let mut mixed = one;
    mixed.0[48..].copy_from_slice(&two.0[48..]);
    assert!(!prepared.matches(&mixed));
}

/// What the authenticated variant is for: an entry that somebody makes without x matches no trapdoor, so keywords
/// can't be guessed by making entries.
#[test]
fn an_entry_of_another_sender_matches_nothing() {
    let reader = reader(&scalar(0x22));
    let prepared = reader.trapdoor(KEYWORD).prepare().unwrap();
    let made_by = |sender: PairingSecret| {
        let author = PaeksAuthor::new(sender, &reader.public());
        let made = author.entries(&mut rng(55), &[KEYWORD]).unwrap();
        made.paeks().iter().any(|made| prepared.matches(made))
    };
    assert!(made_by(scalar(0x22)));
    assert!(!made_by(scalar(0x23)));
}

/// Hospital and patient come to one x, and it is the pair's alone.
#[test]
fn the_pair_agrees_on_the_sender() {
    let mut rng = rng(56);
    let service = IndexKeyService::new(SecretKey::generate(&mut rng));
    let stranger = IndexKeyService::new(SecretKey::generate(&mut rng));
    let keys = patient(7).with_scheme(SchemeId::Paeks);
    let here = hospital();
    let (view, secret) = (keys.meta().view, keys.pair_secret(&here));
    let quarter = Epoch(20_777).quarter();
    let sent = service.visit_key(SchemeId::Paeks, &view, &secret, &quarter);
    let author = PaeksAuthor::new(
        PairingSecret::from_bytes(&sent).unwrap(),
        &keys.meta().index.unwrap(),
    );
    let hers = |hospital: &HospitalId, index: &PublicKey| keys.paeks_reader(hospital, index).sender;
    assert_eq!(author.public(), hers(&here, &service.public()));
    assert_ne!(author.public(), hers(&here, &stranger.public()));
    assert_ne!(
        author.public(),
        hers(&HospitalId([0x12; 32]), &service.public())
    );
}

#[test]
fn debug_shows_no_secret() {
    let reader = reader(&scalar(0x22));
    assert_eq!(format!("{reader:?}"), "PaeksReader(redacted)");
    let author = PaeksAuthor::new(scalar(0x22), &reader.public());
    assert_eq!(format!("{author:?}"), "PaeksAuthor(redacted)");
}

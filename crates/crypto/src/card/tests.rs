use super::*;
use crate::keys::SecretKey;
use crate::pairing::PairingSecret;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

fn card(number: [u8; 16], hospital: u8) -> Card {
    Card {
        number,
        hospital: HospitalId([hospital; 32]),
    }
}

fn meta(seed: u64) -> MetaAddress {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let view = SecretKey::generate(&mut rng).public();
    MetaAddress::new(view, SecretKey::generate(&mut rng).public())
}

/// The same with a key of an index scheme.
fn indexed(seed: u64, key: u64) -> MetaAddress {
    let secret = PairingSecret::generate(&mut ChaCha20Rng::seed_from_u64(key));
    MetaAddress {
        index: Some(secret.scheme_key()),
        ..meta(seed)
    }
}

/// The characters that a reader takes for the same.
fn heard(character: char) -> char {
    match character.to_ascii_uppercase() {
        'I' | 'L' => '1',
        'O' => '0',
        '-' | ' ' => ' ',
        other => other,
    }
}

/// The check value of the CRC catalogues, and RFC 9580's initial value for no input.
#[test]
fn crc24_is_the_standards() {
    assert_eq!(crc24(b"123456789"), 0x0021_cf02);
    assert_eq!(crc24(b""), 0x00b7_04ce);
}

#[test]
fn text_form() {
    let card = card(*b"0123456789abcdef", 0xee);
    let text = card.to_string();
    assert_eq!(text.len(), 4 + 9 + 37);
    assert_eq!(text, "CAD1-60RK-4CSM-6MV3-EE1S-C5H6-6S35-CVQE-XVQE-CAX36");
    let number = Card::parse(&text).unwrap();
    assert_eq!(number, card.card_number());
    assert_eq!(number.number, card.number);
    assert_eq!(
        Card::parse(&text.to_lowercase().replace('-', " ")),
        Ok(number)
    );
    assert_eq!(
        Card::parse(&text.replace('0', "o").replace('1', "l")),
        Ok(number)
    );
    assert_eq!(number.check_hospital(&card.hospital), Ok(()));
    assert_eq!(
        number.check_hospital(&HospitalId([0xef; 32])),
        Err(CardError::Foreign)
    );
    for bad in [
        "",
        "CAD",
        "CAD1",
        "CAD2-6",
        "\u{e9}\u{e9}\u{e9}",
        "CAD1-\u{e9}",
    ] {
        assert_eq!(Card::parse(bad), Err(CardError::Malformed), "{bad}");
    }
}

#[test]
fn secrets_do_not_print() {
    let card = card([0x5a; 16], 1);
    assert!(!format!("{card:?} {:?}", card.card_number()).contains("5a5a"));
    let code = DeskCode::generate(&mut ChaCha20Rng::seed_from_u64(1));
    assert_eq!(format!("{code:?}"), "DeskCode(..)");
}

#[test]
fn qr_code_refuses_substituted_keys_and_foreign_hospitals() {
    let card = card([9; 16], 1);
    let qr = CardQr::new(&card, &meta(1));
    let again: CardQr = qr.to_string().parse().unwrap();
    assert_eq!(again, qr);
    assert_eq!(again.check(&meta(1), &card.hospital), Ok(()));
    assert_eq!(
        again.check(&meta(2), &card.hospital),
        Err(CardError::Substituted)
    );
    assert_eq!(
        again.check(&meta(1), &HospitalId([2; 32])),
        Err(CardError::Foreign)
    );
    // Same four bytes, another hospital.
    let mut twin = [1u8; 32];
    twin[31] = 0;
    assert_eq!(
        again.check(&meta(1), &HospitalId(twin)),
        Err(CardError::Substituted)
    );
    let swapped = MetaAddress::new(meta(1).spend, meta(1).view);
    assert_eq!(
        again.check(&swapped, &card.hospital),
        Err(CardError::Substituted)
    );
    assert_eq!("CAD1".parse::<CardQr>(), Err(CardError::Malformed));
    assert_eq!(
        format!("{}|00", qr.card).parse::<CardQr>(),
        Err(CardError::Malformed)
    );
}

#[test]
fn qr_code_covers_the_key_of_the_index_scheme() {
    let card = card([9; 16], 1);
    let holder = indexed(1, 10);
    let qr = CardQr::new(&card, &holder);
    assert_eq!(qr.check(&holder, &card.hospital), Ok(()));
    for other in [indexed(1, 11), meta(1), indexed(2, 10)] {
        assert_eq!(
            qr.check(&other, &card.hospital),
            Err(CardError::Substituted)
        );
    }
    let plain = CardQr::new(&card, &meta(1));
    assert_eq!(
        plain.check(&holder, &card.hospital),
        Err(CardError::Substituted)
    );
    // Without such a key the value is what it was before there were any.
    let (view, spend) = (meta(1).view.to_bytes(), meta(1).spend.to_bytes());
    let before = hash(domain::CARD_BINDING, &[&view, &spend, &card.hospital.0]);
    assert_eq!(plain.binding, before);
}

#[test]
fn desk_codes() {
    let code = DeskCode::generate(&mut ChaCha20Rng::seed_from_u64(7));
    let text = code.to_string();
    assert_eq!(text.len(), 8);
    assert_eq!(DeskCode::parse(&text), Ok(code));
    assert_eq!(
        DeskCode::parse(&format!("{}-{}", &text[..4], text[4..].to_lowercase())),
        Ok(code)
    );
    assert_eq!(DeskCode::parse(&text[1..]), Err(BadDeskCode));
    assert_eq!(DeskCode::parse("UUUUUUUU"), Err(BadDeskCode));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_single_character_mistake_is_refused(number in any::<[u8; 16]>(), hospital in any::<u8>()) {
        let text = card(number, hospital).to_string();
        prop_assert!(Card::parse(&text).is_ok());
        for at in 0..text.len() {
            let right = char::from(text.as_bytes()[at]);
            for wrong in (0x20u8..0x7f).map(char::from) {
                if heard(wrong) == heard(right) {
                    continue;
                }
                let mut mistaken = text.clone();
                mistaken.replace_range(at..=at, &wrong.to_string());
                prop_assert!(Card::parse(&mistaken).is_err(), "{}", mistaken);
            }
            if right != '-' {
                let mut shorter = text.clone();
                shorter.remove(at);
                prop_assert!(Card::parse(&shorter).is_err(), "{}", shorter);
                let mut longer = text.clone();
                longer.insert(at, right);
                prop_assert!(Card::parse(&longer).is_err(), "{}", longer);
            }
        }
    }

    #[test]
    fn every_swap_of_neighbours_is_refused(number in any::<[u8; 16]>(), hospital in any::<u8>()) {
        let plain = card(number, hospital).to_string().replace('-', "");
        for at in 0..plain.len() - 1 {
            let mut bytes = plain.clone().into_bytes();
            bytes.swap(at, at + 1);
            let swapped = String::from_utf8(bytes).unwrap();
            if swapped != plain {
                prop_assert!(Card::parse(&swapped).is_err(), "{}", swapped);
            }
        }
    }

    #[test]
    fn round_trip(number in any::<[u8; 16]>(), hospital in any::<u8>()) {
        let card = card(number, hospital);
        prop_assert_eq!(Card::parse(&card.to_string()).unwrap(), card.card_number());
    }

    #[test]
    fn any_text_parses_or_is_refused(text in "(CAD1)?.{0,50}") {
        let _ = Card::parse(&text);
        let _ = text.parse::<CardQr>();
        let _ = DeskCode::parse(&text);
    }
}

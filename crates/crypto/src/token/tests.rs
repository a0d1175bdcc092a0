mod rfc9474;

use super::*;
use crate::keys::SecretKey;
use blind_rsa_signatures::{BlindSignature, BlindingResult};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

/// The RFC's key, so that tests need not generate one.
fn issuer() -> TokenIssuer {
    TokenIssuer::from_der(&bytes(rfc9474::SECRET_KEY)).unwrap()
}

fn blind(issuer: &IssuerPublicKey, key: &PublicKey, seed: u64) -> BlindingResult {
    issuer
        .scheme_key()
        .blind(&mut RngAdapter(&mut rng(seed)), key.as_bytes())
        .unwrap()
}

fn token(issuer: &TokenIssuer, seed: u64) -> Token {
    let key = SecretKey::generate(&mut rng(seed)).public();
    let blinding = blind(issuer.public(), &key, seed);
    let signed = issuer.sign_blinded(&blinding.blind_message.0).unwrap();
    let signature = issuer
        .public()
        .scheme_key()
        .finalize(&BlindSignature(signed), &blinding, key.as_bytes())
        .unwrap();
    Token {
        key,
        signature: signature.0,
    }
}

#[test]
fn rfc_9474_vector() {
    let issuer = issuer();
    assert_eq!(hex::encode(issuer.public().as_der()), rfc9474::PUBLIC_KEY);
    let signed = issuer
        .sign_blinded(&bytes(rfc9474::BLINDED_MESSAGE))
        .unwrap();
    assert_eq!(hex::encode(signed), rfc9474::BLIND_SIGNATURE);
    let (message, signature) = (bytes(rfc9474::MESSAGE), bytes(rfc9474::SIGNATURE));
    assert_eq!(issuer.public().verify_message(&message, &signature), Ok(()));
    for at in [0, 1, signature.len() / 2, signature.len() - 1] {
        let mut flipped = signature.clone();
        flipped[at] ^= 1;
        assert_eq!(
            issuer.public().verify_message(&message, &flipped),
            Err(TokenError::BadSignature)
        );
    }
    assert_eq!(
        issuer.public().verify_message(b"other", &signature),
        Err(TokenError::BadSignature)
    );
}

#[test]
fn a_token_is_issued_blindly_and_verifies() {
    let issuer = issuer();
    let token = token(&issuer, 1);
    assert_eq!(token.verify(issuer.public()), Ok(()));

    let mut other_key = token.clone();
    other_key.key = SecretKey::generate(&mut rng(2)).public();
    assert_eq!(
        other_key.verify(issuer.public()),
        Err(TokenError::BadSignature)
    );
    assert_ne!(other_key.id(), token.id());
    let mut short = token.clone();
    short.signature.pop();
    assert_eq!(short.verify(issuer.public()), Err(TokenError::BadSignature));
    let mut long = token.clone();
    long.signature.push(0);
    assert_eq!(long.verify(issuer.public()), Err(TokenError::BadSignature));
    let empty = Token {
        key: token.key,
        signature: Vec::new(),
    };
    assert_eq!(empty.verify(issuer.public()), Err(TokenError::BadSignature));
    assert_eq!(empty.id(), token.id(), "the key alone identifies a token");
}

#[test]
fn what_the_issuer_sees_does_not_show_the_key() {
    let issuer = issuer();
    let key = SecretKey::generate(&mut rng(3)).public();
    let (first, second) = (
        blind(issuer.public(), &key, 3),
        blind(issuer.public(), &key, 4),
    );
    assert_ne!(first.blind_message, second.blind_message);
}

#[test]
fn signing_is_deterministic_and_refuses_foreign_lengths() {
    let issuer = issuer();
    let key = SecretKey::generate(&mut rng(5)).public();
    let blinded = blind(issuer.public(), &key, 5).blind_message.0;
    assert_eq!(issuer.sign_blinded(&blinded), issuer.sign_blinded(&blinded));
    let refused: [&[u8]; 3] = [&blinded[1..], &[], &[0xff; 512]];
    for bad in refused {
        assert_eq!(issuer.sign_blinded(bad), Err(TokenError::BadBlindedMessage));
    }
}

#[test]
fn a_generated_key_works_and_round_trips() {
    assert_eq!(
        TokenIssuer::generate(&mut rng(6), 1_024).unwrap_err(),
        TokenError::KeySize { found: 1_024 }
    );
    let issuer = TokenIssuer::generate(&mut rng(6), 2_048).unwrap();
    let again = TokenIssuer::from_der(&issuer.to_der().unwrap()).unwrap();
    assert_eq!(again.public(), issuer.public());
    let token = token(&issuer, 7);
    assert_eq!(token.signature.len(), 256);
    assert_eq!(token.verify(again.public()), Ok(()));
    let other = self::issuer();
    assert_eq!(token.verify(other.public()), Err(TokenError::BadSignature));
    assert!(!format!("{issuer:?}").contains(&hex::encode(&issuer.to_der().unwrap()[40..60])));
}

#[test]
fn issuer_keys_have_one_encoding() {
    let der = bytes(rfc9474::PUBLIC_KEY);
    let key = IssuerPublicKey::from_der(&der).unwrap();
    assert_eq!(key.as_der(), der);
    // PKCS#1: what stands inside the bit string.
    assert_eq!(
        IssuerPublicKey::from_der(&der[24..]),
        Err(TokenError::BadKey)
    );
    let mut longer = der.clone();
    longer.push(0);
    assert_eq!(IssuerPublicKey::from_der(&longer), Err(TokenError::BadKey));
    assert_eq!(
        IssuerPublicKey::from_der(&der[..der.len() - 1]),
        Err(TokenError::BadKey)
    );
    assert_eq!(IssuerPublicKey::from_der(&[]), Err(TokenError::BadKey));
    assert_eq!(
        IssuerPublicKey::from_der(&[0x30; 700]),
        Err(TokenError::BadKey)
    );
    // An even modulus and an exponent of 4.
    let mut even = der.clone();
    let last_of_modulus = der.len() - 6;
    even[last_of_modulus] &= 0xfe;
    assert_eq!(IssuerPublicKey::from_der(&even), Err(TokenError::BadKey));
    let mut exponent = der.clone();
    let last = der.len() - 1;
    exponent[last] = 4;
    assert_eq!(
        IssuerPublicKey::from_der(&exponent),
        Err(TokenError::BadKey)
    );
    assert!(TokenIssuer::from_der(&der).is_err());
}

#[test]
fn borsh_checks_keys_and_bounds() {
    let issuer = issuer();
    let encoded = borsh::to_vec(issuer.public()).unwrap();
    assert_eq!(
        &borsh::from_slice::<IssuerPublicKey>(&encoded).unwrap(),
        issuer.public()
    );
    let junk = borsh::to_vec(&vec![0x30u8; 300]).unwrap();
    assert!(borsh::from_slice::<IssuerPublicKey>(&junk).is_err());

    let token = token(&issuer, 8);
    let encoded = borsh::to_vec(&token).unwrap();
    assert_eq!(borsh::from_slice::<Token>(&encoded).unwrap(), token);
    let long = Token {
        key: token.key,
        signature: vec![0; MAX_SIGNATURE_BYTES + 1],
    };
    assert!(borsh::from_slice::<Token>(&borsh::to_vec(&long).unwrap()).is_err());
}

use super::*;
use crate::domain;
use proptest::prelude::*;

/// FIPS 202: SHA3-256 of the empty string.
const SHA3_EMPTY: &str = "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a";

fn range(from: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| from + u8::try_from(i).unwrap()).collect()
}

#[test]
fn sha3_256_is_the_standards() {
    assert_eq!(hex::encode(Sha3_256::digest(b"")), SHA3_EMPTY);
    assert_eq!(
        hex::encode(Sha3_256::digest(b"abc")),
        "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"
    );
}

/// NIST, "HMAC_SHA3-256.pdf", sample 1: key shorter than a block.
#[test]
fn hmac_sha3_256_is_the_standards() {
    let mut mac = new_hmac(&range(0, 32));
    Mac::update(&mut mac, b"Sample message for keylen<blocklen");
    assert_eq!(
        hex::encode(mac.finalize().into_bytes()),
        "4fe8e202c4f058e8dddc23d8c34e467343e23555e24fc2f025d598f558f67205"
    );
}

/// The inputs of RFC 5869, appendix A.1 to A.3, with SHA3-256; outputs from Python's `hmac` and, the first and
/// third again, from OpenSSL's HKDF.
#[test]
fn hkdf_agrees_with_another_implementation() {
    let out = hkdf_sha3::<42>(Some(&range(0, 13)), &[0x0b; 22], &range(0xf0, 10));
    assert_eq!(
        hex::encode(&out[..]),
        "0c5160501d65021deaf2c14f5abce04c5bd2635abceeba61c2edb6e8ed72674900557728f2c9f2c4c179"
    );
    let out = hkdf_sha3::<82>(Some(&range(0x60, 80)), &range(0, 80), &range(0xb0, 80));
    assert_eq!(
        hex::encode(&out[..]),
        "3dc251e66c75da6560405ec5ac10e17d851eedfbfdc13feafbec16964c25d021bd971465a3e9c615f27769019e3f0407\
         d84986fb0ba24e729c99834624baa21cb623dc0098f430d52e18bbdf694df4edd8b2"
    );
    let out = hkdf_sha3::<42>(None, &[0x0b; 22], &[]);
    assert_eq!(
        hex::encode(&out[..]),
        "bc1342cdd75c05e8b0c3ae609ce4410684d197232875073499b30cdfe2de2853c1c1bed63d725e885e78"
    );
}

/// The framing, computed by an independent implementation.
#[test]
fn framed_functions_keep_their_values() {
    assert_eq!(
        hash(domain::HOSPITAL_ID, &[]).to_string(),
        "15b17d65dd8a01b2be68f0d764b5bd9ee73c236f395415fda0ecdf380ab73acc"
    );
    assert_eq!(
        hash(domain::HOSPITAL_ID, &[b"abc", b""]).to_string(),
        "f5950fa2f513cd84dd9a01cc6be1dc3b4ccc716321436342f6cf5f8c8a064fb3"
    );
    let key: [u8; 32] = range(0, 32).try_into().unwrap();
    assert_eq!(
        hex::encode(prf(&key, domain::INDEX_SALT, &[b"asthma"])),
        "84c1b84d296794411a3a70f01f345ad2856347eb495192d6585ec66a93797591"
    );
    assert_eq!(
        hex::encode(&kdf::<48>(domain::INDEX_KEY, &[0x0b; 22], &[&[1, 2]])[..]),
        "0d537df949a542a02f5f97fc14cc319c3a107c9bd6ba675a6ed3666b1bc4d26807aa93aa0ea4a8203bcdf4c6979f5ec0"
    );
}

#[test]
fn field_boundaries_and_domains_matter() {
    let split = hash(domain::TX, &[b"ab", b"c"]);
    assert_ne!(split, hash(domain::TX, &[b"a", b"bc"]));
    assert_ne!(split, hash(domain::TX, &[b"abc"]));
    assert_ne!(split, hash(domain::TX, &[b"ab", b"c", b""]));
    assert_ne!(split, hash(domain::HEADER, &[b"ab", b"c"]));
}

#[test]
fn text_forms() {
    let value = Hash([0xab; 32]);
    assert_eq!(value.to_string(), "ab".repeat(32));
    assert_eq!(value.short(), "abababab");
    assert_eq!(value.to_string().parse::<Hash>(), Ok(value));
    assert_eq!(format!("{value:?}"), format!("Hash({value})"));
    assert_eq!(format!("{value:.4}"), "abab");
    let json = serde_json::to_string(&value).unwrap();
    assert_eq!(json, format!("\"{value}\""));
    assert_eq!(serde_json::from_str::<Hash>(&json).unwrap(), value);
    assert!(serde_json::from_str::<Hash>("\"abcd\"").is_err());
    assert!("ab".parse::<Hash>().is_err());
}

proptest! {
    #[test]
    fn different_fields_hash_differently(
        a in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..4),
        b in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..4),
    ) {
        let fields_a: Vec<&[u8]> = a.iter().map(Vec::as_slice).collect();
        let fields_b: Vec<&[u8]> = b.iter().map(Vec::as_slice).collect();
        let equal = hash(domain::TX, &fields_a) == hash(domain::TX, &fields_b);
        prop_assert_eq!(equal, a == b);
    }
}

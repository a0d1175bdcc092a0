//! The bytes of what travels and rests, one value a type. A snapshot that changes is a change of format: it is
//! a decision, and says `Format:` in the change log.
//!
//! Left out: `IssuerPublicKey`, for want of a fixed 2,048-bit key.

use borsh::{BorshDeserialize, BorshSerialize};
use caduceus_crypto::evidence::sign_vault_receipt;
use caduceus_crypto::record::{SUITE, VERSION, VERSION_EMERGENCY, parse, preamble_with_emergency};
use caduceus_crypto::reencrypt::{serialize, umbral_key};
use caduceus_crypto::{
    Anchor, AnchorBody, Card, CardNumber, CardQr, Clause, Cover, CoverNode, DeskCode, DleqProof,
    EmergencyConsent, EmergencyExcerpt, EmergencyKey, EmergencyPartial, EmergencyWrap, Epoch, Hash,
    HospitalId, IndexEntries, KeyWrap, MetaAddress, PaeksEntry, PaeksTrapdoor, PeksEntry,
    PeksTrapdoor, Pseudonym, Quarter, QuarterCover, Query, Receipt, RecordHeader, Scan, SchemeId,
    SchemeKey, SecretKey, Slots, Tag, TimeMillis, Token, VisitToken, codec, domain,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sha3::{Digest, Sha3_256};
use std::fmt::Debug;

/// The first 64 bytes, the length, and the hash of all.
fn fingerprint(bytes: &[u8]) -> String {
    let head = hex::encode(&bytes[..bytes.len().min(64)]);
    let hash = hex::encode(Sha3_256::digest(bytes));
    format!("{head}\n{} bytes\nsha3-256 {hash}", bytes.len())
}

fn check<T>(name: &str, value: &T)
where
    T: BorshSerialize + BorshDeserialize + PartialEq + Debug,
{
    let bytes = codec::encode(value);
    let decoded: T = codec::decode_exact(&bytes, bytes.len()).unwrap();
    assert_eq!(&decoded, value);
    insta::assert_snapshot!(name, fingerprint(&bytes));
}

/// A text that people see: itself instead of its first bytes.
fn check_text(name: &str, text: &str) {
    let hash = hex::encode(Sha3_256::digest(text.as_bytes()));
    let print = format!("{text}\n{} bytes\nsha3-256 {hash}", text.len());
    insta::assert_snapshot!(name, print);
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([7; 32])
}

fn key(n: u8) -> SecretKey {
    SecretKey::derive(domain::NETWORK_KEY, &[n], &[])
}

fn hospital() -> HospitalId {
    HospitalId::from_identity(&key(1).public())
}

fn meta_address() -> MetaAddress {
    MetaAddress::new(key(2).public(), key(3).public())
}

/// With the generator of G1 for a receiver's key.
fn indexed_meta_address() -> MetaAddress {
    let generator = concat!(
        "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905",
        "a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb"
    );
    MetaAddress {
        index: Some(generator.parse::<SchemeKey>().unwrap()),
        ..meta_address()
    }
}

fn pseudonym() -> Pseudonym {
    Pseudonym {
        point: key(4).public(),
        ephemeral: key(5).public(),
        view_tag: 0xa5,
    }
}

/// Umbral's capsule and the wrapped data key, both under key 6.
fn wrapped() -> (Vec<u8>, Vec<u8>) {
    let delegating = umbral_key(&key(6).public());
    let (capsule, wrapped) =
        umbral_pre::encrypt_with_rng(&mut rng(), &delegating, &[1; 32]).unwrap();
    (serialize(&capsule), wrapped.into_vec())
}

fn entries() -> IndexEntries {
    IndexEntries::Tags((0..8u8).map(|n| Tag([n; 16])).collect())
}

/// Two clauses over three slots.
fn query(slots: Slots) -> Query {
    let clause = |negative, slots: &[u8]| Clause {
        negative,
        slots: slots.to_vec(),
    };
    Query {
        clauses: vec![clause(false, &[0, 1]), clause(true, &[2])],
        slots,
    }
}

/// The days of the quarter of [`day`] so far.
fn scan<T>(trapdoors: Vec<T>) -> Scan<T> {
    Scan {
        first: Epoch(19_814),
        last: day(),
        trapdoors,
    }
}

/// 2024-05-17.
fn day() -> Epoch {
    Epoch(19_860)
}

fn anchor() -> Anchor {
    let body = AnchorBody {
        hospital: hospital(),
        pseudonym: pseudonym(),
        record_hash: Hash([0x11; 32]),
        header_hash: Hash([0x22; 32]),
        entries: entries(),
        capsule: wrapped().0,
        delegating: key(6).public(),
        visit: Hash([0x33; 32]),
        epoch: day(),
        authored_at: TimeMillis(1_715_934_600_000),
    };
    let (author, vault) = (key(7), key(8));
    let stored_bytes = 50_000;
    Anchor {
        author: author.public(),
        author_signature: body.sign(&author),
        stored_bytes,
        vault: vault.public(),
        vault_signature: sign_vault_receipt(&vault, &body.record_hash, stored_bytes),
        body,
    }
}

/// Two quarters, the first by two nodes.
fn cover(n: u8) -> Cover {
    let node = |depth, position| CoverNode {
        depth,
        position,
        seed: [n + position; 16],
    };
    Cover {
        quarters: vec![
            QuarterCover {
                quarter: Quarter(8_096),
                salt: [n; 16],
                nodes: vec![node(7, 90), node(2, 3)],
            },
            QuarterCover {
                quarter: Quarter(8_097),
                salt: [n + 1; 16],
                nodes: vec![node(0, 0)],
            },
        ],
    }
}

fn card() -> Card {
    Card {
        number: [0x5a; 16],
        hospital: hospital(),
    }
}

#[test]
fn a_meta_address() {
    check("meta_address", &meta_address());
}

#[test]
fn the_text_of_a_meta_address() {
    let text = meta_address().to_string();
    assert_eq!(text.parse::<MetaAddress>(), Ok(meta_address()));
    check_text("meta_address_text", &text);
}

#[test]
fn a_meta_address_with_a_key_of_an_index_scheme() {
    check("meta_address_indexed", &indexed_meta_address());
}

#[test]
fn its_text() {
    let text = indexed_meta_address().to_string();
    assert_eq!(text.parse::<MetaAddress>(), Ok(indexed_meta_address()));
    check_text("meta_address_indexed_text", &text);
}

#[test]
fn a_pseudonym() {
    check("pseudonym", &pseudonym());
}

#[test]
fn a_record_header() {
    let header = RecordHeader {
        version: VERSION,
        suite: SUITE,
        hospital: hospital(),
        pseudonym: pseudonym(),
        delegating: key(6).public(),
        epoch: day(),
        padded_len: 16_384,
    };
    check("record_header", &header);
}

#[test]
fn a_key_wrap() {
    let (capsule, wrapped_key) = wrapped();
    let wrap = KeyWrap {
        capsule,
        wrapped_key,
        key_commitment: [0x44; 32],
    };
    check("key_wrap", &wrap);
}

fn proof(n: u8) -> DleqProof {
    DleqProof {
        challenge: [n; 32],
        response: [n + 1; 32],
    }
}

#[test]
fn an_emergency_key() {
    let value = EmergencyKey {
        generation: 1,
        commitments: vec![key(50).public(), key(51).public()],
        officers: (3..6).map(|n| key(n).public()).collect(),
    };
    check("emergency_key", &value);
}

#[test]
fn an_emergency_wrap() {
    let wrap = EmergencyWrap {
        generation: 1,
        ephemeral: key(52).public(),
        second: key(53).public(),
        wrapped_key: [0x66; 48],
        proof: proof(1),
    };
    check("emergency_wrap", &wrap);
}

#[test]
fn an_emergency_consent() {
    let consent = EmergencyConsent::sign(
        &key(2),
        hospital(),
        Hash([0x44; 32]),
        true,
        TimeMillis(1_715_000_000_000),
    );
    assert_eq!(consent.verify(&meta_address()), Ok(()));
    check("emergency_consent", &consent);
}

#[test]
fn an_emergency_excerpt() {
    let header = RecordHeader {
        version: VERSION_EMERGENCY,
        suite: SUITE,
        hospital: hospital(),
        pseudonym: pseudonym(),
        delegating: key(6).public(),
        epoch: day(),
        padded_len: 16_384,
    };
    let (capsule, wrapped_key) = wrapped();
    let wrap = KeyWrap {
        capsule,
        wrapped_key,
        key_commitment: [8; 32],
    };
    let emergency = EmergencyWrap {
        generation: 1,
        ephemeral: key(52).public(),
        second: key(53).public(),
        wrapped_key: [0x66; 48],
        proof: proof(1),
    };
    let mut bytes = preamble_with_emergency(&header, &wrap, &emergency);
    bytes.extend([0x77; 16_384 + 16]);
    let excerpt = EmergencyExcerpt::of(&parse(&bytes).unwrap()).unwrap();
    check("emergency_excerpt", &excerpt);
}

#[test]
fn an_emergency_partial() {
    let partial = EmergencyPartial {
        index: 2,
        point: key(54).public(),
        proof: proof(3),
    };
    check("emergency_partial", &partial);
}

#[test]
fn an_anchor() {
    let anchor = anchor();
    assert_eq!(anchor.check(), Ok(()));
    check("anchor", &anchor);
}

#[test]
fn an_anchor_leaf() {
    check("anchor_leaf", &anchor().leaf());
}

#[test]
fn a_receipt() {
    let receipt = Receipt::sign(
        &key(1),
        hospital(),
        Hash([0x11; 32]),
        entries().hash(),
        pseudonym(),
        TimeMillis(1_715_938_200_000),
    );
    check("receipt", &receipt);
}

#[test]
fn a_visit_token() {
    check(
        "visit_token",
        &VisitToken::sign(&key(9), hospital(), day(), [0x55; 32]),
    );
}

#[test]
fn index_entries() {
    check("index_entries", &entries());
}

/// The points are none: what counts here is their place.
#[test]
fn index_entries_of_peks() {
    let entries = IndexEntries::Peks((0..8u8).map(|n| PeksEntry([n; 80])).collect());
    check("index_entries_peks", &entries);
}

/// The same.
#[test]
fn index_entries_of_paeks() {
    let entries = IndexEntries::Paeks((0..8u8).map(|n| PaeksEntry([n; 96])).collect());
    check("index_entries_paeks", &entries);
}

#[test]
fn the_schemes() {
    check("schemes", &SchemeId::ALL);
}

#[test]
fn a_cover() {
    check("cover", &cover(1));
}

#[test]
fn a_query() {
    let covers = vec![cover(1), cover(2), cover(3)];
    check("query", &query(Slots::Tags(covers)));
}

/// The points are none: what counts here is their place.
#[test]
fn a_query_of_peks() {
    let trapdoors = (1..4u8).map(|n| PeksTrapdoor([n; 96])).collect();
    check("query_peks", &query(Slots::Peks(scan(trapdoors))));
}

/// The same.
#[test]
fn a_query_of_paeks() {
    let trapdoor = |n: u8| PaeksTrapdoor {
        token: [n; 288],
        receiver: [n + 8; 96],
    };
    let trapdoors = (1..4u8).map(trapdoor).collect();
    check("query_paeks", &query(Slots::Paeks(scan(trapdoors))));
}

/// The signature is none: what counts here is its place.
#[test]
fn a_token() {
    let token = Token {
        key: key(10).public(),
        signature: vec![7; 256],
    };
    check("token", &token);
}

#[test]
fn the_text_of_a_card() {
    let text = card().to_string();
    assert_eq!(text.parse::<CardNumber>(), Ok(card().card_number()));
    check_text("card_text", &text);
}

#[test]
fn the_text_of_a_cards_qr_code() {
    let qr = CardQr::new(&card(), &meta_address());
    let text = qr.to_string();
    assert_eq!(text.parse::<CardQr>(), Ok(qr));
    check_text("card_qr_text", &text);
}

/// Its check value covers the key of the index scheme.
#[test]
fn the_text_of_a_cards_qr_code_with_such_a_key() {
    let text = CardQr::new(&card(), &indexed_meta_address()).to_string();
    check_text("card_qr_indexed_text", &text);
}

#[test]
fn the_text_of_a_desk_code() {
    let code = DeskCode::generate(&mut rng());
    let text = code.to_string();
    assert_eq!(text.parse::<DeskCode>(), Ok(code));
    check_text("desk_code_text", &text);
}

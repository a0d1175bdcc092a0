//! Seal, parse, open; and everything that must not open.

use caduceus_crypto::record::{KeyWrap, MIN_PADDED, SEGMENT_BYTES, TAG_BYTES, preamble};
use caduceus_crypto::reencrypt::{check_capsule, serialize, umbral_key};
use caduceus_crypto::time::Epoch;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::RngCore;
use umbral_pre::encrypt_with_rng;

use super::*;
use crate::author::make_pseudonym;
use crate::fixtures::{JSON, hospital, patient, request, rng, sealed};
use crate::frame::{Fields, frame};
use crate::seal::{SealRequest, assemble, seal_with_fields};

const TEXT: &[u8] = br#"{"resourceType":"Bundle","type":"collection"}"#;

/// The data key of a record, which its owner can compute.
fn data_key_of(owner: &PatientKeys, bytes: &[u8]) -> Zeroizing<[u8; 32]> {
    let view = parse(bytes).unwrap();
    let keys = owner
        .one_time(&view.header.hospital, &view.header.pseudonym)
        .unwrap();
    unwrap_original(&view, &keys.delegating).unwrap()
}

/// A record put together again from a header, a wrap and the segments of another.
fn reassembled(bytes: &[u8], header: &RecordHeader, wrap: &KeyWrap) -> Vec<u8> {
    let view = parse(bytes).unwrap();
    let mut out = preamble(header, wrap);
    for segment in view.segments() {
        out.extend_from_slice(segment);
    }
    out
}

#[test]
fn what_is_sealed_opens_and_is_as_announced() {
    let (mut rng, owner) = (rng(20), patient(1));
    let record = sealed(&mut rng, &owner, TEXT);
    let view = parse(&record.bytes).unwrap();
    assert_eq!(view.header, record.header);
    assert_eq!(view.record_hash(), record.record_hash);
    assert_eq!(view.header_hash(), record.header_hash);
    assert_eq!(view.wrap.capsule, record.capsule);
    assert_eq!(view.header.pseudonym, record.pseudonym);
    assert!(check_capsule(&record.capsule).is_ok());
    assert!(owner.recognise(&hospital(), &record.pseudonym));
    let opened = owner.open(&record.bytes).unwrap();
    assert_eq!(
        (opened.media_type.as_str(), &opened.plaintext[..]),
        (JSON, TEXT)
    );
    assert_eq!(opened.header, record.header);
    assert!(opened.visit.is_none() && opened.fields.is_empty());
    let key = data_key_of(&owner, &record.bytes);
    assert_eq!(
        open_with_data_key(&record.bytes, &key, 1 << 20).unwrap(),
        opened
    );
}

#[test]
fn fields_and_visit_travel_inside() {
    let (mut rng, owner) = (rng(21), patient(1));
    let fields = Fields::from([("terms".to_owned(), b"term:migraine".to_vec())]);
    let token = owner.attest_visit(&mut rng, &hospital(), Epoch(20_777));
    let visit = Some(VisitOpening {
        salt: [9; 32],
        token,
    });
    let request = SealRequest {
        visit: visit.clone(),
        ..request(&owner, b"")
    };
    let record = seal_with_fields(&mut rng, request, fields.clone()).unwrap();
    let opened = owner.open(&record.bytes).unwrap();
    assert_eq!(opened.fields, fields);
    assert_eq!(opened.visit, visit);
    let key = owner.audit_key(&hospital()).public();
    assert!(opened.visit.unwrap().token.verify(&key).is_ok());
    assert!(opened.plaintext.is_empty());
}

#[test]
fn no_canary_shows_in_the_bytes() {
    let (mut rng, owner) = (rng(22), patient(1));
    let record = sealed(&mut rng, &owner, b"canary-word-7f3a");
    let holds = |needle: &[u8]| {
        record
            .bytes
            .windows(needle.len())
            .any(|window| window == needle)
    };
    assert!(!holds(b"canary-word"));
    assert!(!holds(b"fhir+json"));
    assert!(!holds(owner.meta().view.as_bytes()));
    assert!(!holds(owner.meta().spend.as_bytes()));
}

#[test]
fn nobody_else_opens() {
    let (mut rng, owner) = (rng(23), patient(1));
    let record = sealed(&mut rng, &owner, TEXT);
    for byte in 2..6 {
        assert_eq!(
            patient(byte).open(&record.bytes).unwrap_err(),
            OpenError::NotMine
        );
    }
    assert_eq!(
        open_with_data_key(&record.bytes, &[0; 32], 1 << 20).unwrap_err(),
        OpenError::KeyCommitment
    );
}

/// All of the record: the owner tries each change of what stands before the body, and of one byte in 97
/// of the body; the others are tried with the data key, which skips what they can't reach.
#[test]
fn every_flipped_byte_is_refused() {
    let (mut rng, owner) = (rng(24), patient(1));
    let record = sealed(&mut rng, &owner, TEXT);
    let key = data_key_of(&owner, &record.bytes);
    let body_at = record.bytes.len() - (MIN_PADDED + TAG_BYTES);
    let mut cases = 0;
    for at in 0..record.bytes.len() {
        let mut bad = record.bytes.clone();
        bad[at] ^= 1 << (at % 8);
        if at < body_at || at % 97 == 0 {
            assert!(owner.open(&bad).is_err(), "byte {at}");
        }
        if at >= body_at {
            assert_eq!(
                open_with_data_key(&bad, &key, 1 << 20).unwrap_err(),
                OpenError::Segment { index: 0 },
                "byte {at}"
            );
        }
        cases += 1;
    }
    assert_eq!(cases, record.bytes.len());
    assert!(cases > MIN_PADDED);
}

#[test]
fn truncated_extended_and_mixed_records_are_refused() {
    let (mut rng, owner) = (rng(25), patient(1));
    let one = sealed(&mut rng, &owner, TEXT);
    let two = sealed(&mut rng, &owner, TEXT);
    for length in [
        0,
        3,
        100,
        400,
        one.bytes.len() - TAG_BYTES,
        one.bytes.len() - 1,
    ] {
        assert!(matches!(
            owner.open(&one.bytes[..length]).unwrap_err(),
            OpenError::Record(_)
        ));
    }
    let mut longer = one.bytes.clone();
    longer.push(0);
    assert!(matches!(
        owner.open(&longer).unwrap_err(),
        OpenError::Record(_)
    ));

    let (first, second) = (parse(&one.bytes).unwrap(), parse(&two.bytes).unwrap());
    let foreign_body = reassembled(&two.bytes, &first.header, &first.wrap);
    assert_eq!(
        owner.open(&foreign_body).unwrap_err(),
        OpenError::Segment { index: 0 }
    );
    let foreign_wrap = reassembled(&one.bytes, &first.header, &second.wrap);
    assert_eq!(owner.open(&foreign_wrap).unwrap_err(), OpenError::KeyWrap);
    let header = RecordHeader {
        delegating: second.header.delegating,
        ..first.header
    };
    let foreign_d = reassembled(&one.bytes, &header, &first.wrap);
    assert_eq!(
        owner.open(&foreign_d).unwrap_err(),
        OpenError::DelegatingKey
    );
    let header = RecordHeader {
        epoch: Epoch(1),
        ..first.header
    };
    let foreign_day = reassembled(&one.bytes, &header, &first.wrap);
    assert_eq!(
        owner.open(&foreign_day).unwrap_err(),
        OpenError::KeyCommitment
    );
}

#[test]
fn segments_are_bound_to_their_places() {
    let (mut rng, owner) = (rng(26), patient(1));
    // Random bytes don't compress, so the body has several segments.
    let mut text = vec![0u8; 3 * SEGMENT_BYTES];
    rng.fill_bytes(&mut text);
    let record = sealed(&mut rng, &owner, &text);
    assert_eq!(owner.open(&record.bytes).unwrap().plaintext, text);
    let view = parse(&record.bytes).unwrap();
    let segments: Vec<&[u8]> = view.segments().collect();
    assert!(segments.len() >= 4);
    let mut swapped = preamble(&view.header, &view.wrap);
    for index in [1, 0].into_iter().chain(2..segments.len()) {
        swapped.extend_from_slice(segments[index]);
    }
    assert_eq!(
        owner.open(&swapped).unwrap_err(),
        OpenError::Segment { index: 0 }
    );
}

/// Wraps another data key under the same D, as the author of two texts for one anchored record would.
fn rewrapped(
    rng: &mut ChaCha20Rng,
    bytes: &[u8],
    other_key: &[u8; 32],
    key_commitment: [u8; 32],
) -> Vec<u8> {
    let header = parse(bytes).unwrap().header;
    let to = umbral_key(&header.delegating);
    let (capsule, wrapped) = encrypt_with_rng(rng, &to, other_key).unwrap();
    let wrap = KeyWrap {
        capsule: serialize(&capsule),
        wrapped_key: wrapped.into_vec(),
        key_commitment,
    };
    reassembled(bytes, &header, &wrap)
}

/// The record hash covers commitment, wrap and body. For any one commitment there is one data key: an
/// author who hands out a second one is refused before a byte of the body is tried.
#[test]
fn a_second_data_key_for_one_record_is_refused() {
    let (mut rng, owner) = (rng(27), patient(1));
    let record = sealed(&mut rng, &owner, TEXT);
    let view = parse(&record.bytes).unwrap();
    let other = [0x42u8; 32];
    let committed_to_first = rewrapped(&mut rng, &record.bytes, &other, view.wrap.key_commitment);
    assert_eq!(
        owner.open(&committed_to_first).unwrap_err(),
        OpenError::KeyCommitment
    );
    let second = BodyKeys::derive(&other, view.header_bytes()).commitment;
    let committed_to_second = rewrapped(&mut rng, &record.bytes, &other, second);
    assert_eq!(
        owner.open(&committed_to_second).unwrap_err(),
        OpenError::Segment { index: 0 }
    );
    // The control: wrapping the right key again, with its commitment, opens.
    let key = data_key_of(&owner, &record.bytes);
    let again = rewrapped(&mut rng, &record.bytes, &key, view.wrap.key_commitment);
    assert_eq!(owner.open(&again).unwrap().plaintext, TEXT);
}

#[test]
fn a_wrapped_key_of_another_length_is_refused() {
    let (mut rng, owner) = (rng(28), patient(1));
    let record = sealed(&mut rng, &owner, TEXT);
    let view = parse(&record.bytes).unwrap();
    let to = umbral_key(&view.header.delegating);
    let (capsule, wrapped) = encrypt_with_rng(&mut rng, &to, &[7; 31]).unwrap();
    let wrap = KeyWrap {
        capsule: serialize(&capsule),
        wrapped_key: wrapped.into_vec(),
        key_commitment: view.wrap.key_commitment,
    };
    let short = reassembled(&record.bytes, &view.header, &wrap);
    assert_eq!(owner.open(&short).unwrap_err(), OpenError::KeyWrap);
    let garbage = KeyWrap {
        capsule: vec![0; 105],
        ..wrap
    };
    let garbage = reassembled(&record.bytes, &view.header, &garbage);
    assert_eq!(
        owner.open(&garbage).unwrap_err(),
        OpenError::Capsule(CapsuleError::Malformed)
    );
}

/// A body that authenticates and whose inside is wrong: only the author can make it.
#[test]
fn a_record_with_a_wrong_inside_is_refused() {
    let (mut rng, owner) = (rng(29), patient(1));
    let made = make_pseudonym(&mut rng, &hospital(), &owner.meta());
    let mut padded = frame(JSON, TEXT, None, Fields::new()).unwrap();
    *padded.last_mut().unwrap() = 1;
    let header = RecordHeader {
        pseudonym: made.pseudonym,
        delegating: made.delegating_public,
        ..sealed(&mut rng, &owner, TEXT).header
    };
    let bytes = assemble(&mut rng, &header, &[3; 32], None, &padded).unwrap();
    assert_eq!(
        owner.open(&bytes).unwrap_err(),
        OpenError::Content(UnframeError::Padding)
    );
}

#[test]
fn the_limit_on_the_plaintext_holds() {
    let (mut rng, owner) = (rng(30), patient(1));
    let record = sealed(&mut rng, &owner, &[b' '; 1000]);
    assert!(owner.open_limited(&record.bytes, 1000).is_ok());
    assert_eq!(
        owner.open_limited(&record.bytes, 999).unwrap_err(),
        OpenError::Content(UnframeError::TooLarge {
            limit: 999,
            found: 1000
        })
    );
}

#[test]
fn sealing_twice_shares_nothing() {
    let (mut rng, owner) = (rng(31), patient(1));
    let one = sealed(&mut rng, &owner, TEXT);
    let two = sealed(&mut rng, &owner, TEXT);
    assert_ne!(one.record_hash, two.record_hash);
    assert_ne!(one.pseudonym.point, two.pseudonym.point);
    assert_ne!(one.pseudonym.ephemeral, two.pseudonym.ephemeral);
    assert_ne!(one.header.delegating, two.header.delegating);
    assert_ne!(
        data_key_of(&owner, &one.bytes)[..],
        data_key_of(&owner, &two.bytes)[..]
    );
    let (first, second) = (parse(&one.bytes).unwrap(), parse(&two.bytes).unwrap());
    assert_ne!(first.wrap.key_commitment, second.wrap.key_commitment);
    assert_ne!(first.segments().next(), second.segments().next());
}

#[test]
fn the_same_randomness_gives_the_same_record() {
    let owner = patient(1);
    let one = sealed(&mut rng(32), &owner, TEXT);
    let two = sealed(&mut rng(32), &owner, TEXT);
    assert_eq!(one.bytes, two.bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_plaintext_round_trips(
        text in proptest::collection::vec(any::<u8>(), 0..200_000),
        seed in any::<u64>(),
    ) {
        let owner = patient(1);
        let record = sealed(&mut rng(seed), &owner, &text);
        prop_assert_eq!(owner.open(&record.bytes).unwrap().plaintext, text);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert!(patient(1).open(&bytes).is_err());
    }
}

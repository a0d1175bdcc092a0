use super::*;
use crate::dleq::DleqProof;
use crate::keys::SecretKey;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

fn header(padded_len: u64) -> RecordHeader {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut key = || SecretKey::generate(&mut rng).public();
    RecordHeader {
        version: VERSION,
        suite: SUITE,
        hospital: HospitalId([3; 32]),
        pseudonym: Pseudonym {
            point: key(),
            ephemeral: key(),
            view_tag: 9,
        },
        delegating: key(),
        epoch: Epoch(20_000),
        padded_len,
    }
}

fn wrap() -> KeyWrap {
    KeyWrap {
        capsule: vec![1; 105],
        wrapped_key: vec![2; 72],
        key_commitment: [4; 32],
    }
}

fn record(header: &RecordHeader) -> Vec<u8> {
    let mut bytes = preamble(header, &wrap());
    let body = usize::try_from(body_len(header.padded_len)).unwrap();
    bytes.extend((0..body).map(|at| (at % 251) as u8));
    bytes
}

#[test]
fn the_encoded_header_has_its_length() {
    assert_eq!(header(16_384).to_bytes().len(), HEADER_BYTES);
    let longest = KeyWrap {
        capsule: vec![0; MAX_CAPSULE_BYTES],
        wrapped_key: vec![0; MAX_WRAPPED_KEY_BYTES],
        key_commitment: [0; 32],
    };
    assert_eq!(longest.to_bytes().len(), MAX_WRAP_BYTES);
}

#[test]
fn parts_are_found_and_hashed() {
    for (padded, segments, last) in [
        (16_384, 1, 16_384),
        (65_536, 1, 65_536),
        (67_584, 2, 2_048),
        (131_072, 2, 65_536),
    ] {
        let header = header(padded);
        let bytes = record(&header);
        let view = SealedRecord::parse(&bytes).unwrap();
        assert_eq!(view.header, header);
        assert_eq!(view.wrap, wrap());
        let parts: Vec<&[u8]> = view.segments().collect();
        assert_eq!(parts.len(), segments);
        assert_eq!(parts.len() as u64, segment_count(padded));
        assert_eq!(parts[segments - 1].len(), last + TAG_BYTES);
        assert!(
            parts[..segments - 1]
                .iter()
                .all(|part| part.len() == SEGMENT_BYTES + TAG_BYTES)
        );
        assert_eq!(parts.concat().len() as u64, body_len(padded));
        assert_eq!(view.header_hash(), header.hash());
        let mut leaves = vec![header.to_bytes(), wrap().to_bytes()];
        leaves.extend(parts.iter().map(|part| part.to_vec()));
        assert_eq!(view.record_hash(), crate::merkle::root(&leaves));
    }
}

#[test]
fn each_rule_has_its_error() {
    let good = record(&header(16_384));
    assert!(parse(&good).is_ok());

    assert_eq!(parse(&[]).unwrap_err(), RecordError::Truncated);
    assert_eq!(parse(&good[..3]).unwrap_err(), RecordError::Truncated);
    assert_eq!(parse(&good[..100]).unwrap_err(), RecordError::Truncated);
    assert_eq!(
        parse(&good[..4 + HEADER_BYTES + 2]).unwrap_err(),
        RecordError::Truncated
    );
    assert_eq!(
        parse(&good[..4 + HEADER_BYTES + 4 + 10]).unwrap_err(),
        RecordError::Truncated
    );

    let mut bytes = good.clone();
    bytes[..4].copy_from_slice(&u32::MAX.to_le_bytes());
    let limit = HEADER_BYTES;
    assert_eq!(
        parse(&bytes).unwrap_err(),
        RecordError::Header(DecodeError::TooLong {
            limit,
            found: u32::MAX as usize
        })
    );
    // P's first byte: not a point any more.
    let mut bytes = good.clone();
    bytes[4 + 34] = 4;
    assert_eq!(
        parse(&bytes).unwrap_err(),
        RecordError::Header(DecodeError::Malformed)
    );

    let changed = |change: fn(&mut RecordHeader)| {
        let mut header = header(16_384);
        change(&mut header);
        let mut bytes = good.clone();
        bytes[4..4 + HEADER_BYTES].copy_from_slice(&header.to_bytes());
        parse(&bytes).unwrap_err()
    };
    assert_eq!(
        changed(|header| header.version = 3),
        RecordError::Version { found: 3 }
    );
    assert_eq!(
        changed(|header| header.suite = 0),
        RecordError::Suite { found: 0 }
    );
    assert_eq!(
        changed(|header| header.padded_len = 16_383),
        RecordError::Padding { found: 16_383 }
    );
    assert_eq!(
        changed(|header| header.padded_len = 16_385),
        RecordError::Padding { found: 16_385 }
    );
    assert_eq!(
        changed(|header| header.padded_len = u64::MAX),
        RecordError::Padding { found: u64::MAX }
    );
    assert_eq!(
        changed(|header| header.padded_len = 32_768),
        RecordError::BodyLength {
            expected: 32_784,
            found: 16_400
        }
    );
    assert_eq!(
        changed(|header| header.padded_len = 1 << 63),
        RecordError::BodyLength {
            expected: (1 << 63) + (1 << 51),
            found: 16_400
        }
    );

    let mut bytes = good.clone();
    bytes[4 + HEADER_BYTES] = 0xff;
    bytes[4 + HEADER_BYTES + 1] = 0xff;
    assert!(matches!(
        parse(&bytes).unwrap_err(),
        RecordError::Wrap(DecodeError::TooLong { .. })
    ));
    let mut bytes = good.clone();
    bytes[4 + HEADER_BYTES + 4] = 129;
    assert_eq!(
        parse(&bytes).unwrap_err(),
        RecordError::Wrap(DecodeError::Malformed)
    );

    let mut longer = good.clone();
    longer.push(0);
    assert_eq!(
        parse(&longer).unwrap_err(),
        RecordError::BodyLength {
            expected: 16_400,
            found: 16_401
        }
    );
    let shorter = &good[..good.len() - 1];
    assert_eq!(
        parse(shorter).unwrap_err(),
        RecordError::BodyLength {
            expected: 16_400,
            found: 16_399
        }
    );
}

fn emergency() -> EmergencyWrap {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let mut key = || SecretKey::generate(&mut rng).public();
    EmergencyWrap {
        generation: 1,
        ephemeral: key(),
        second: key(),
        wrapped_key: [5; 48],
        proof: DleqProof {
            challenge: [6; 32],
            response: [7; 32],
        },
    }
}

fn emergency_record() -> Vec<u8> {
    let header = RecordHeader {
        version: VERSION_EMERGENCY,
        ..header(16_384)
    };
    let mut bytes = preamble_with_emergency(&header, &wrap(), &emergency());
    bytes.extend((0..16_400).map(|at| (at % 251) as u8));
    bytes
}

#[test]
fn an_emergency_wrap_is_found_and_hashed() {
    assert_eq!(emergency().to_bytes().len(), EMERGENCY_WRAP_BYTES);
    let bytes = emergency_record();
    let view = parse(&bytes).unwrap();
    assert_eq!(view.emergency, Some(emergency()));
    assert_eq!(view.wrap, wrap());
    let mut leaves = vec![
        view.header.to_bytes(),
        wrap().to_bytes(),
        emergency().to_bytes(),
    ];
    leaves.extend(view.segments().map(<[u8]>::to_vec));
    assert_eq!(view.record_hash(), crate::merkle::root(&leaves));
    assert_eq!(parse(&record(&header(16_384))).unwrap().emergency, None);
}

/// Neither can an emergency wrap be taken away or added, nor stand there in another form.
#[test]
fn version_and_emergency_wrap_go_together() {
    let good = emergency_record();
    let at = 4 + HEADER_BYTES + 4 + wrap().to_bytes().len();
    let mut without = good.clone();
    without.drain(at..at + 4 + EMERGENCY_WRAP_BYTES);
    assert!(matches!(
        parse(&without).unwrap_err(),
        RecordError::EmergencyWrap(DecodeError::TooLong { .. })
    ));
    let mut downgraded = good.clone();
    downgraded[4] = VERSION;
    assert_eq!(
        parse(&downgraded).unwrap_err(),
        RecordError::BodyLength {
            expected: 16_400,
            found: 16_400 + 4 + EMERGENCY_WRAP_BYTES as u64
        }
    );
    let mut empty = good.clone();
    empty.drain(at + 4..at + 4 + EMERGENCY_WRAP_BYTES);
    empty[at..at + 4].copy_from_slice(&0u32.to_le_bytes());
    assert_eq!(
        parse(&empty).unwrap_err(),
        RecordError::EmergencyWrap(DecodeError::Malformed)
    );
    let mut short = good.clone();
    short.remove(at + 4 + EMERGENCY_WRAP_BYTES - 1);
    short[at..at + 4].copy_from_slice(&(EMERGENCY_WRAP_BYTES as u32 - 1).to_le_bytes());
    assert_eq!(
        parse(&short).unwrap_err(),
        RecordError::EmergencyWrap(DecodeError::Malformed)
    );
    // R's first byte: not a point any more.
    let mut off_curve = good.clone();
    off_curve[at + 4 + 4] = 5;
    assert_eq!(
        parse(&off_curve).unwrap_err(),
        RecordError::EmergencyWrap(DecodeError::Malformed)
    );
    for cut in [at, at + 3, at + 4, at + 100] {
        assert_eq!(parse(&good[..cut]).unwrap_err(), RecordError::Truncated);
    }
}

/// Values from the definition: E = floor(log2 L), S = floor(log2 E) + 1, round up to a multiple of 2^(E - S).
#[test]
fn padme_known_values() {
    for (len, padded) in [
        (0, 16_384),
        (1, 16_384),
        (16_384, 16_384),
        (16_385, 17_408),
        (17_408, 17_408),
        (65_536, 65_536),
        (65_537, 67_584),
        (1_000_000, 1_015_808),
        (1_048_577, 1_081_344),
    ] {
        assert_eq!(padme(len), padded, "{len}");
    }
}

proptest! {
    #[test]
    fn padme_is_monotone_idempotent_and_close(a in 0u64..1 << 40, b in 0u64..1 << 40) {
        let (low, high) = (a.min(b), a.max(b));
        prop_assert!(padme(low) <= padme(high));
        prop_assert!(padme(a) >= a);
        prop_assert_eq!(padme(padme(a)), padme(a));
        if a >= MIN_PADDED as u64 {
            prop_assert!((padme(a) - a) * 100 <= a * 12);
        }
    }

    #[test]
    fn padme_does_not_overflow(len in any::<u64>()) {
        prop_assert!(padme(len) >= MIN_PADDED as u64);
        let _ = body_len(len);
    }

    #[test]
    fn parsing_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn any_change_of_a_record_with_an_emergency_wrap_is_refused_or_changes_its_hash(
        at in 0usize..800,
        change in 1u8..,
    ) {
        let good = emergency_record();
        let mut bytes = good.clone();
        bytes[at] ^= change;
        if let Ok(view) = parse(&bytes) {
            prop_assert_ne!(view.record_hash(), parse(&good).unwrap().record_hash());
        }
    }

    #[test]
    fn parsing_a_changed_record_never_panics(at in 0usize..700, byte in any::<u8>(), cut in 0usize..17_000) {
        let good = record(&header(16_384));
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes.truncate(cut);
        prop_assert!(parse(&bytes).is_err() || bytes.len() == good.len());
        let mut bytes = good.clone();
        bytes[at] = byte;
        if let Ok(view) = parse(&bytes) {
            let hash = view.record_hash();
            let unchanged = SealedRecord::parse(&good).unwrap().record_hash() == hash;
            prop_assert_eq!(unchanged, bytes == good);
        }
    }
}

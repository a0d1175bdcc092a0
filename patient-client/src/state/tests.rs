use super::*;
use caduceus_ledger::{ChainId, Height, Validator, ValidatorSet};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(21)
}

fn found(rng: &mut ChaCha20Rng, height: u64) -> FoundRecord {
    let pseudonym = Pseudonym {
        point: SecretKey::generate(rng).public(),
        ephemeral: SecretKey::generate(rng).public(),
        view_tag: 7,
    };
    let record = RecordRef {
        height,
        position: 1,
    };
    FoundRecord {
        hospital: HospitalId([3; 32]),
        record,
        record_hash: Hash([height as u8; 32]),
        pseudonym,
    }
}

fn state(rng: &mut ChaCha20Rng) -> PatientState {
    let key = SecretKey::generate(rng);
    let hospital = HospitalId([3; 32]);
    let token = Token {
        key: key.public(),
        signature: vec![9; 256],
    };
    let card = CardNumber {
        number: [4; 16],
        hospital_prefix: [3; 4],
    };
    let mut state = PatientState::default();
    state.put_card(CardEntry {
        hospital,
        name: "St Anne".to_owned(),
        card,
        binding: Hash([5; 32]),
        index_key: SecretKey::generate(rng).public(),
        issuer: vec![1, 2, 3],
        since: TimeMillis(17),
    });
    state
        .tokens
        .push(StoredToken::new(hospital, &SpendableToken { key, token }));
    let record = found(rng, 8);
    state.remember(record);
    state.last_search.push(record);
    state.remember_replacement(Replacement {
        hospital,
        newer: record.record_hash,
        older: Hash([1; 32]),
    });
    let receipt = Receipt::sign(
        &SecretKey::generate(rng),
        hospital,
        record.record_hash,
        Hash([6; 32]),
        record.pseudonym,
        TimeMillis(18),
    );
    state.reports.push(OwnReport {
        id: Hash([2; 32]),
        hospital,
        record_hash: record.record_hash,
        pseudonym: record.pseudonym.point,
        kind: ReportKind::Unlinked,
    });
    state.remember_receipt(receipt);
    let voter = Validator {
        key: SecretKey::generate(rng).public(),
        power: 1,
    };
    state.trusted = Some(Trusted::recorded(
        ChainId(Hash([8; 32])),
        Height(77),
        TimeMillis(19),
        ValidatorSet::new(vec![voter]).unwrap(),
    ));
    state
}

/// A file as the program wrote it in an earlier version.
fn earlier_version(
    rng: &mut ChaCha20Rng,
    seed: &PatientSeed,
    version: u8,
    state: &PatientState,
) -> Vec<u8> {
    let (state, whole) = (state.clone(), state.clone());
    let mut plain = codec::encode(&earlier::Second {
        cards: state.cards,
        tokens: state.tokens,
        receipts: state.receipts,
        grants: state.grants,
        known: state.known,
        last_search: state.last_search,
        replacements: state.replacements,
        reports: state
            .reports
            .iter()
            .map(|report| earlier::SecondReport {
                id: report.id,
                hospital: report.hospital,
                record_hash: report.record_hash,
                kind: report.kind,
            })
            .collect(),
    });
    if version == 3 {
        let third = PatientState {
            trusted: None,
            ..whole
        };
        plain = codec::encode(&third);
        plain.truncate(plain.len() - earlier::NO_TRUSTED.len());
    }
    if version == earlier::FIRST {
        plain.truncate(plain.len() - earlier::LATER_LISTS.len());
    }
    let mut bytes = MAGIC.to_vec();
    bytes.push(version);
    let mut salt = [0u8; SALT_BYTES];
    rng.fill_bytes(&mut salt);
    bytes.extend_from_slice(&salt);
    let sealed = cipher(seed, &salt)
        .encrypt(
            Nonce::from_slice(&NONCE),
            Payload {
                msg: &plain,
                aad: &bytes,
            },
        )
        .unwrap();
    bytes.extend_from_slice(&sealed);
    bytes
}

#[test]
fn files_of_earlier_versions_are_read() {
    let mut rng = rng();
    let seed = PatientSeed::generate(&mut rng);
    let newest = state(&mut rng);
    let mut state = newest.clone();
    state.trusted = None;
    let third = earlier_version(&mut rng, &seed, 3, &newest);
    assert_eq!(open_state(&seed, &third).unwrap(), state);
    let second = earlier_version(&mut rng, &seed, 2, &state);
    assert_eq!(open_state(&seed, &second).unwrap(), state);
    // A report whose receipt is not there can't be told from others.
    state.receipts.clear();
    let without = earlier_version(&mut rng, &seed, 2, &state);
    state.reports.clear();
    assert_eq!(open_state(&seed, &without).unwrap(), state);
    state.replacements.clear();
    let first = earlier_version(&mut rng, &seed, 1, &state);
    assert_eq!(open_state(&seed, &first).unwrap(), state);
    // The version is authenticated: none can be passed off as another.
    for (from, to) in [
        (first, 2),
        (second.clone(), VERSION),
        (second, 1),
        (third.clone(), VERSION),
        (third, 2),
        (seal_state(&mut rng, &seed, &newest), 2),
    ] {
        let mut passed_off = from;
        passed_off[8] = to;
        assert_eq!(
            open_state(&seed, &passed_off).unwrap_err(),
            StateFileError::Altered
        );
    }
}

/// A hospital may sign several receipts for one record: each is a promise.
#[test]
fn every_receipt_of_a_record_is_kept_once() {
    let mut rng = rng();
    let mut state = state(&mut rng);
    let first = state.receipts[0].clone();
    let key = SecretKey::generate(&mut rng);
    let again = |entries_hash: Hash, deadline: TimeMillis| {
        Receipt::sign(
            &key,
            first.hospital,
            first.record_hash,
            entries_hash,
            first.pseudonym,
            deadline,
        )
    };
    let others = [
        again(Hash([9; 32]), first.link_deadline),
        again(first.entries_hash, TimeMillis(first.link_deadline.0 + 1)),
    ];
    for receipt in others.iter().chain([&first]).chain(&others) {
        state.remember_receipt(receipt.clone());
    }
    assert_eq!(state.receipts, [&[first][..], &others].concat());
}

#[test]
fn what_a_record_replaces_is_kept_once() {
    let mut state = state(&mut rng());
    let known = state.replacements[0];
    state.remember_replacement(Replacement {
        older: Hash([2; 32]),
        ..known
    });
    assert_eq!(state.replacements, [known]);
    assert_eq!(
        state.replaced_by(&known.hospital, &known.newer),
        Some(known.older)
    );
    assert_eq!(state.replaced_by(&HospitalId([4; 32]), &known.newer), None);
}

#[test]
fn a_report_is_found_by_what_it_is_about() {
    let state = state(&mut rng());
    let made = state.reports[0];
    let receipt = &state.receipts[0];
    assert_eq!(
        state.report_of(receipt, ReportKind::Unlinked),
        Some(made.id)
    );
    assert_eq!(state.report_of(receipt, ReportKind::MisIndexed), None);
    // Another receipt for the same record, under another pseudonym.
    let mut other = receipt.clone();
    other.pseudonym.point = SecretKey::generate(&mut rng()).public();
    assert_eq!(state.report_of(&other, ReportKind::Unlinked), None);
}

#[test]
fn a_state_survives_its_file() {
    let mut rng = rng();
    let seed = PatientSeed::generate(&mut rng);
    let state = state(&mut rng);
    let bytes = seal_state(&mut rng, &seed, &state);
    let back = open_state(&seed, &bytes).unwrap();
    assert_eq!(back, state);
    let spendable = back.tokens[0].spendable().unwrap();
    assert_eq!(spendable.key.public(), spendable.token.key);
    // Each writing has its own key.
    assert_ne!(seal_state(&mut rng, &seed, &state), bytes);
}

#[test]
fn each_damage_has_its_error() {
    let mut rng = rng();
    let seed = PatientSeed::generate(&mut rng);
    let plain = state(&mut rng);
    let bytes = seal_state(&mut rng, &seed, &plain);
    assert_eq!(
        open_state(&seed, &bytes[..20]).unwrap_err(),
        StateFileError::NotAState
    );
    assert_eq!(
        open_state(&seed, b"something else that is long enough for a head").unwrap_err(),
        StateFileError::NotAState
    );
    let mut later = bytes.clone();
    later[8] = VERSION + 1;
    assert_eq!(
        open_state(&seed, &later).unwrap_err(),
        StateFileError::UnsupportedVersion
    );
    for at in [9, 41, bytes.len() - 1] {
        let mut altered = bytes.clone();
        altered[at] ^= 1;
        assert_eq!(
            open_state(&seed, &altered).unwrap_err(),
            StateFileError::Altered
        );
    }
    let other = PatientSeed::generate(&mut rng);
    assert_eq!(
        open_state(&other, &bytes).unwrap_err(),
        StateFileError::Altered
    );
}

#[test]
fn records_and_pseudonyms_are_kept_once() {
    let mut rng = rng();
    let mut state = state(&mut rng);
    let (first, second) = (state.known[0], found(&mut rng, 9));
    state.remember(first);
    state.remember(second);
    assert_eq!(state.known, [first, second]);
    let points: Vec<PublicKey> = state.pseudonyms().iter().map(|each| each.2.point).collect();
    assert_eq!(points, [first.pseudonym.point, second.pseudonym.point]);
}

#[test]
fn a_hospital_has_one_card() {
    let mut rng = rng();
    let mut state = state(&mut rng);
    let mut again = state.cards[0].clone();
    again.name = "St Anne, new".to_owned();
    state.put_card(again);
    assert_eq!(state.cards.len(), 1);
    assert_eq!(
        state.card(&HospitalId([3; 32])).unwrap().name,
        "St Anne, new"
    );
}

#[test]
fn debug_hides_secrets() {
    let mut rng = rng();
    let shown = format!("{:?}", state(&mut rng));
    assert!(shown.contains("redacted") && shown.contains("CardNumber(.."));
}

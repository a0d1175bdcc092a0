use super::*;
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
    state.reports.push(OwnReport {
        id: Hash([2; 32]),
        hospital,
        record_hash: record.record_hash,
        kind: ReportKind::Unlinked,
    });
    state
}

/// A file as the program wrote it before it knew of replacements and reports.
fn first_version(rng: &mut ChaCha20Rng, seed: &PatientSeed, state: &PatientState) -> Vec<u8> {
    let mut state = state.clone();
    state.replacements.clear();
    state.reports.clear();
    let mut plain = codec::encode(&state);
    plain.truncate(plain.len() - LATER_LISTS.len());
    let mut bytes = MAGIC.to_vec();
    bytes.push(FIRST_VERSION);
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
fn a_file_of_the_first_version_is_read() {
    let mut rng = rng();
    let seed = PatientSeed::generate(&mut rng);
    let mut state = state(&mut rng);
    let old = first_version(&mut rng, &seed, &state);
    state.replacements.clear();
    state.reports.clear();
    assert_eq!(open_state(&seed, &old).unwrap(), state);
    // The version is authenticated: neither can be passed off as the other.
    for (from, to) in [(old, VERSION), (seal_state(&mut rng, &seed, &state), 1)] {
        let mut passed_off = from;
        passed_off[8] = to;
        assert_eq!(
            open_state(&seed, &passed_off).unwrap_err(),
            StateFileError::Altered
        );
    }
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
    let of = |kind| state.report_of(&made.hospital, &made.record_hash, kind);
    assert_eq!(of(ReportKind::Unlinked), Some(made.id));
    assert_eq!(of(ReportKind::MisIndexed), None);
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

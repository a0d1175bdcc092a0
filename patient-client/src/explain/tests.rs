use super::*;
use caduceus_custody::patient::PatientKeys;
use caduceus_custody::query::parse;
use caduceus_custody::seed::PatientSeed;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

const FRAME: usize = 500;

fn day(year: u16, month: u8, day: u8) -> Epoch {
    Epoch::from_ymd(year, month, day).unwrap()
}

/// One window of a query, and the query itself.
fn window(scheme: SchemeId, text: &str, from: Epoch, to: Epoch) -> (ExplainedWindow, Query) {
    let mut rng = ChaCha20Rng::seed_from_u64(31);
    let keys = PatientKeys::from_seed(&PatientSeed::generate(&mut rng)).with_scheme(scheme);
    let (hospital, index) = (HospitalId([1; 32]), SecretKey::generate(&mut rng).public());
    let with = SlotKeys {
        scheme,
        keys: &keys,
        hospital: &hospital,
        index: &index,
    };
    let clauses = parse(text).unwrap().compile().unwrap();
    let explained = explain_window(&with, &clauses, (from, to), (from, to), FRAME).unwrap();
    (explained, compile_slots(&with, &clauses, from, to))
}

#[test]
fn the_numbers_are_those_of_the_query_that_would_be_sent() {
    // 2026-02-03 to 2026-11-20: the ends of two quarters and two whole ones between.
    let (from, to) = (day(2026, 2, 3), day(2026, 11, 20));
    let text = "(asthma OR cough) AND (asthma OR gout) NOT copd";
    let (window, query) = window(SchemeId::Tags, text, from, to);
    assert_eq!(window.days, 291);
    assert_eq!(window.leaves, 4 * 291);
    assert_eq!(window.query_bytes, encode(&query).len());
    assert_eq!(window.transaction_bytes, FRAME + window.query_bytes);
    let shown: Vec<(usize, &str, &[usize])> = window
        .slots
        .iter()
        .map(|slot| (slot.slot, slot.keyword.as_str(), slot.clauses.as_slice()))
        .collect();
    let expected: [(usize, &str, &[usize]); 4] = [
        (1, "term:asthma", &[1, 2]),
        (2, "term:cough", &[1]),
        (3, "term:gout", &[2]),
        (4, "term:copd", &[3]),
    ];
    assert_eq!(shown, expected);
    // Day 33 of its quarter to the end (day 89): 33, 34-35, 36-39, 40-47, 48-63, 64-79, 80-87, 88-89. Two whole
    // quarters. The first 51 days of the last: 0-31, 32-47, 48-49, 50.
    for slot in &window.slots {
        assert_eq!((slot.quarters, slot.nodes), (4, 8 + 2 + 4));
        // A cover's length, four quarters (number, salt, length) and nodes (depth, position, seed).
        let quarter = encode(&from.quarter()).len() + 16 + 4;
        assert_eq!(slot.bytes, 4 + 4 * quarter + 14 * 18);
    }
    // Clauses and slots each have a length, and the slots their scheme's byte.
    let clauses: usize = [2, 2, 1].iter().map(|slots| 1 + 4 + slots).sum();
    let slots: usize = window.slots.iter().map(|slot| slot.bytes).sum();
    assert_eq!(window.query_bytes, 4 + clauses + 1 + 4 + slots);
}

#[test]
fn a_scan_has_trapdoors_and_no_cover() {
    let today = day(2026, 11, 20);
    for scheme in [SchemeId::Peks, SchemeId::Paeks] {
        let (short, _) = window(scheme, "asthma cough", today, today);
        let (long, query) = window(scheme, "asthma cough", day(2016, 11, 20), today);
        assert_eq!(query.slots.scheme(), scheme);
        assert_eq!((short.leaves, long.leaves), (0, 0));
        assert_eq!((short.days, long.days), (1, 3653));
        // Its size says nothing of the days, since it is bound to none.
        assert_eq!(short.query_bytes, long.query_bytes);
        for slot in &long.slots {
            assert_eq!((slot.quarters, slot.nodes), (0, 0));
            assert!(slot.bytes >= 96, "{} bytes", slot.bytes);
        }
    }
}

#[test]
fn what_is_told_depends_on_scheme_days_and_windows() {
    let (from, to) = (day(2026, 2, 3), day(2026, 11, 20));
    let one = |scheme| window(scheme, "asthma", from, to).0;
    let told = |scheme, windows: &[ExplainedWindow], today| {
        disclosures("North", scheme, windows, today).join("\n")
    };
    let tags = one(SchemeId::Tags);
    let until_today = told(SchemeId::Tags, std::slice::from_ref(&tags), to);
    assert!(until_today.contains("2026-02-03") && until_today.contains("2026-11-20"));
    assert!(until_today.contains("later today"));
    assert!(until_today.contains("nothing about records of any other day"));
    let past = told(SchemeId::Tags, std::slice::from_ref(&tags), Epoch(to.0 + 1));
    assert!(!past.contains("later today"));
    let two = told(SchemeId::Tags, &[tags.clone(), tags], to);
    assert!(two.contains("the searches belong together"));
    assert!(!past.contains("the searches belong together"));
    for scheme in [SchemeId::Peks, SchemeId::Paeks] {
        let scanned = told(scheme, &[one(scheme)], to);
        assert!(scanned.contains("bound to no day") && scanned.contains("guess"));
        assert!(!scanned.contains("any other day"));
    }
    assert!(disclosures("North", SchemeId::Tags, &[], to).is_empty());
}

#[test]
fn the_totals_add_up() {
    let (from, to) = (day(2026, 2, 3), day(2026, 11, 20));
    let (window, _) = window(SchemeId::Tags, "asthma", from, to);
    let hospital = |windows: usize| ExplainedHospital {
        hospital: HospitalId([1; 32]),
        name: "North".to_owned(),
        windows: vec![window.clone(); windows],
        tokens_held: 0,
        disclosed: Vec::new(),
    };
    let explanation = Explanation {
        scheme: SchemeId::Tags,
        clauses: Vec::new(),
        hospitals: vec![hospital(1), hospital(3)],
    };
    assert_eq!(explanation.searches(), 4);
    assert_eq!(
        explanation.transaction_bytes(),
        4 * window.transaction_bytes
    );
}

use super::*;
use alliance_chain::RecordRef;
use caduceus_crypto::SecretKey;
use caduceus_crypto::pseudonym::Pseudonym;
use rand_core::OsRng;

const HERE: HospitalId = HospitalId([1; 32]);

fn found(hospital: HospitalId, name: u8) -> FoundRecord {
    FoundRecord {
        hospital,
        record: RecordRef {
            height: u64::from(name),
            position: 0,
        },
        record_hash: Hash([name; 32]),
        pseudonym: Pseudonym {
            point: SecretKey::generate(&mut OsRng).public(),
            ephemeral: SecretKey::generate(&mut OsRng).public(),
            view_tag: name,
        },
    }
}

fn replaces(newer: u8, older: u8) -> Replacement {
    Replacement {
        hospital: HERE,
        newer: Hash([newer; 32]),
        older: Hash([older; 32]),
    }
}

fn names(records: &[FoundRecord]) -> Vec<u8> {
    records
        .iter()
        .map(|found| found.record_hash.as_bytes()[0])
        .collect()
}

#[test]
fn the_newest_version_stands_for_all() {
    let all: Vec<FoundRecord> = (1..=5).map(|name| found(HERE, name)).collect();
    let relations = [replaces(2, 1), replaces(4, 2)];
    // Whichever versions are hits, the newest is shown, once.
    for hits in [vec![0], vec![1], vec![3], vec![0, 1], vec![3, 0, 1]] {
        let hits: Vec<FoundRecord> = hits.into_iter().map(|index: usize| all[index]).collect();
        let newest = newest_versions(&hits, &all, &relations);
        assert_eq!(names(&newest.records), [4]);
        assert_eq!(newest.earlier.len(), 1);
        assert_eq!(newest.earlier[0].0, all[3]);
        assert_eq!(names(&newest.earlier[0].1), [2, 1]);
        assert!(newest.unseen.is_empty());
    }
    let newest = newest_versions(&[all[4], all[0], all[2]], &all, &relations);
    assert_eq!(names(&newest.records), [5, 4, 3]);
    assert_eq!(
        newest_versions(&all, &[], &[]),
        NewestVersions {
            records: all.clone(),
            ..NewestVersions::default()
        }
    );
}

#[test]
fn a_version_that_no_search_has_shown_is_named_by_its_hash() {
    let (first, third) = (found(HERE, 1), found(HERE, 3));
    // 2 was opened by nobody here: only 3 says that it replaced it.
    let newest = newest_versions(&[third], &[first], &[replaces(3, 2)]);
    assert_eq!(newest.records, [third]);
    assert!(newest.earlier.is_empty());
    assert_eq!(newest.unseen, [(third, Hash([2; 32]))]);
    // A newer version without a place can't be shown; the chain goes on through it.
    let relations = [replaces(2, 1), replaces(3, 2)];
    let newest = newest_versions(&[first], &[third], &relations);
    assert_eq!(newest.records, [third]);
    assert_eq!(newest.earlier, [(third, vec![first])]);
    let newest = newest_versions(&[first], &[], &relations[..1]);
    assert_eq!(newest.records, [first]);
}

#[test]
fn a_hospital_speaks_for_itself() {
    let there = found(HospitalId([2; 32]), 1);
    let known = [found(HERE, 1), found(HERE, 2)];
    let newest = newest_versions(&[there], &known, &[replaces(2, 1)]);
    assert_eq!(newest.records, [there]);
    assert!(newest.earlier.is_empty());
}

#[test]
fn relations_that_the_chain_would_not_admit_do_not_count() {
    let all: Vec<FoundRecord> = (1..=4).map(|name| found(HERE, name)).collect();
    // Two say they replace 1: the first on the chain is right, in whatever order they became known.
    for relations in [
        [replaces(3, 1), replaces(2, 1)],
        [replaces(2, 1), replaces(3, 1)],
    ] {
        let newest = newest_versions(&all[..1], &all, &relations);
        assert_eq!(names(&newest.records), [2]);
        let newest = newest_versions(&all[..3], &all, &relations);
        assert_eq!(names(&newest.records), [2, 3]);
    }
    // A record replaces none that stands after it, and not itself.
    for wrong in [replaces(1, 2), replaces(2, 2)] {
        let newest = newest_versions(&all[..2], &all, &[wrong]);
        assert_eq!(names(&newest.records), [1, 2]);
    }
    // Relations go in a circle only where places are not known.
    let hit = found(HERE, 7);
    let circle = [replaces(8, 7), replaces(9, 8), replaces(7, 9)];
    let newest = newest_versions(&[hit], &[], &circle);
    assert_eq!(newest.records, [hit]);
    assert_eq!(newest.unseen.len(), 2);
}

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
    // A record replaces none that stands after it, and not itself.
    for wrong in [replaces(1, 2), replaces(2, 2)] {
        let newest = newest_versions(&all[..2], &all, &[wrong]);
        assert_eq!(names(&newest.records), [1, 2]);
        assert!(newest.conflicting.is_empty());
    }
    // Nor two others: what it was found to replace first counts.
    let newest = newest_versions(&all[..3], &all, &[replaces(3, 1), replaces(3, 2)]);
    assert_eq!(names(&newest.records), [3, 2]);
    // Relations go in a circle only where places are not known.
    let hit = found(HERE, 7);
    let circle = [replaces(8, 7), replaces(9, 8), replaces(7, 9)];
    let newest = newest_versions(&[hit], &[], &circle);
    assert_eq!(newest.records, [hit]);
    assert_eq!(newest.unseen.len(), 2);
}

/// Record 2 was anchored as a new record and says inside that it replaces 1; 3 is the correction that came later.
/// Neither may hide the other, in whatever order they became known and whichever of them a search finds.
#[test]
fn a_forged_claim_hides_no_correction() {
    let all: Vec<FoundRecord> = (1..=5).map(|name| found(HERE, name)).collect();
    let mut looked_at = 0;
    for relations in [
        [replaces(3, 1), replaces(2, 1)],
        [replaces(2, 1), replaces(3, 1)],
    ] {
        for hits in [vec![0], vec![1], vec![2], vec![2, 0], vec![0, 1, 2]] {
            let hits: Vec<FoundRecord> = hits.into_iter().map(|index: usize| all[index]).collect();
            let newest = newest_versions(&hits, &all, &relations);
            assert_eq!(names(&newest.records), [2, 3]);
            assert_eq!(newest.conflicting, [vec![all[1], all[2]]]);
            let earlier = [(all[1], vec![all[0]]), (all[2], vec![all[0]])];
            assert_eq!(newest.earlier, earlier);
            looked_at += 1;
        }
    }
    // Both have versions of their own, or one has.
    let longer = [replaces(2, 1), replaces(3, 1), replaces(5, 3)];
    let newest = newest_versions(&all[..1], &all, &longer);
    assert_eq!(names(&newest.records), [2, 5]);
    assert_eq!(names(&newest.conflicting[0]), [2, 5]);
    let more = [longer[0], longer[1], longer[2], replaces(4, 2)];
    let newest = newest_versions(&all[3..4], &all, &more);
    assert_eq!(newest.conflicting.len(), 1);
    let names_of_all: BTreeSet<u8> = names(&newest.records).into_iter().collect();
    assert_eq!(names_of_all, BTreeSet::from([4, 5]));
    // What has no known place can't be shown, and hides nothing.
    let newest = newest_versions(&all[..1], &all[..2], &longer);
    assert_eq!(names(&newest.records), [2]);
    println!("{looked_at} searches of a forged claim and a correction");
}

#[test]
fn every_version_is_asked_for() {
    let all: Vec<FoundRecord> = (1..=5).map(|name| found(HERE, name)).collect();
    let relations = [
        replaces(2, 1),
        replaces(3, 1),
        replaces(4, 3),
        replaces(9, 8),
    ];
    let expected =
        |names: &[u8]| -> BTreeSet<Hash> { names.iter().map(|name| Hash([*name; 32])).collect() };
    for hit in 0..4 {
        let asked = all_versions(&all[hit..=hit], &all, &relations);
        assert_eq!(asked, expected(&[1, 2, 3, 4]), "{hit}");
    }
    assert_eq!(all_versions(&all[4..], &all, &relations), expected(&[5]));
    // Also those that no search has shown.
    assert_eq!(
        all_versions(&[found(HERE, 9)], &[], &relations),
        expected(&[8, 9])
    );
    assert!(all_versions(&[], &all, &relations).is_empty());
}

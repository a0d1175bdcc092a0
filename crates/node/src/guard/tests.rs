use super::*;

fn value(n: u8) -> Hash {
    Hash([n; 32])
}

#[test]
fn an_identical_request_passes_and_a_conflicting_one_is_refused_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("last-signed");
    let mut guard = Guard::open(&path).unwrap();
    guard.record(5, 0, Step::Prevote, value(1)).unwrap();
    guard.record(5, 0, Step::Precommit, value(1)).unwrap();
    drop(guard);
    let mut guard = Guard::open(&path).unwrap();
    guard.record(5, 0, Step::Prevote, value(1)).unwrap();
    assert!(matches!(
        guard.record(5, 0, Step::Prevote, value(2)),
        Err(GuardError::Conflict { .. })
    ));
    assert!(matches!(
        guard.record(4, 9, Step::Prevote, value(1)),
        Err(GuardError::Past { .. })
    ));
    guard.record(5, 1, Step::Prevote, value(2)).unwrap();
    guard.record(6, 0, Step::Proposal, value(3)).unwrap();
    assert_eq!(guard.height(), 6);
}

#[test]
fn a_torn_tail_is_dropped_and_every_flipped_byte_before_it_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("last-signed");
    let mut guard = Guard::open(&path).unwrap();
    guard.record(7, 0, Step::Proposal, value(1)).unwrap();
    guard.record(7, 0, Step::Prevote, value(1)).unwrap();
    drop(guard);
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, &good[..good.len() - 10]).unwrap();
    assert_eq!(Guard::open(&path).unwrap().signed.len(), 1);
    for at in 0..ENTRY {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        let mut guard = Guard::open(&path).unwrap();
        assert!(guard.is_damaged(), "byte {at}");
        assert!(matches!(
            guard.record(7, 1, Step::Proposal, value(2)),
            Err(GuardError::Doubtful { height: 7 })
        ));
    }
}

#[test]
fn a_damaged_last_entry_bars_its_height_until_it_has_passed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("last-signed");
    let mut guard = Guard::open(&path).unwrap();
    guard.record(7, 0, Step::Prevote, value(1)).unwrap();
    guard.record(8, 0, Step::Prevote, value(1)).unwrap();
    drop(guard);
    let good = std::fs::read(&path).unwrap();
    for at in ENTRY..2 * ENTRY {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        for _ in 0..2 {
            let mut guard = Guard::open(&path).unwrap();
            assert_eq!(guard.height(), 8, "byte {at}");
            assert!(matches!(
                guard.record(8, 0, Step::Prevote, value(2)),
                Err(GuardError::Doubtful { height: 8 })
            ));
        }
        let mut guard = Guard::open(&path).unwrap();
        guard.record(9, 0, Step::Prevote, value(2)).unwrap();
        drop(guard);
        assert_eq!(Guard::open(&path).unwrap().height(), 9);
    }
}

#[test]
fn many_heights_keep_the_file_small() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("last-signed");
    let mut guard = Guard::open(&path).unwrap();
    for height in 1..400 {
        guard.record(height, 0, Step::Prevote, value(1)).unwrap();
        guard.record(height, 0, Step::Precommit, value(1)).unwrap();
    }
    assert!(std::fs::metadata(&path).unwrap().len() <= COMPACT_AT + 4 * ENTRY as u64);
    assert!(matches!(
        guard.record(399, 0, Step::Prevote, value(2)),
        Err(GuardError::Conflict { .. })
    ));
}

use super::*;

fn row(n: u64) -> IndexRow {
    let mut key = [0u8; INDEX_KEY_BYTES];
    key[4..].copy_from_slice(
        &u128::from(n)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
            .to_be_bytes(),
    );
    let mut value = [0u8; INDEX_VALUE_BYTES];
    value[..8].copy_from_slice(&n.to_le_bytes());
    (key, value)
}

fn rows(from: u64, to: u64) -> Vec<IndexRow> {
    (from..to).map(row).collect()
}

fn holds(view: &TagIndexView, n: u64) -> bool {
    let (key, value) = row(n);
    match view.get(&key).unwrap() {
        None => false,
        Some(found) => {
            assert_eq!(found, value);
            true
        }
    }
}

#[test]
fn rows_are_found_in_runs_and_in_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let index = TagIndex::open(&folder.path().join("index.redb")).unwrap();
    for height in 1..=100 {
        index.add(height, rows(height * 10, height * 10 + 10));
    }
    assert!(index.shared.read().runs.len() <= 8, "runs are merged");
    let before = index.view().unwrap();
    index.flush().unwrap();
    assert_eq!(index.flushed(), 100);
    assert_eq!(index.rows_in_memory(), 0);
    index.add(101, rows(1010, 1020));
    let after = index.view().unwrap();
    for n in 0..1200 {
        assert_eq!(holds(&before, n), (10..1010).contains(&n), "{n}");
        assert_eq!(holds(&after, n), (10..1020).contains(&n), "{n}");
    }
    let stats = index.stats().unwrap();
    assert_eq!((stats.rows, stats.rows_in_memory), (1000, 10));
    assert!(stats.table_bytes >= 32_000);
}

#[test]
fn what_was_flushed_is_there_after_reopening_and_the_rest_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.redb");
    let index = TagIndex::open(&path).unwrap();
    index.add(7, rows(0, 5000));
    index.flush().unwrap();
    index.add(8, rows(5000, 5010));
    drop(index);
    let index = TagIndex::open(&path).unwrap();
    assert_eq!(index.flushed(), 7);
    let view = index.view().unwrap();
    assert!((0..5000).all(|n| holds(&view, n)));
    assert!((5000..5010).all(|n| !holds(&view, n)));
    // A height that is loaded again does no harm.
    index.add(7, rows(0, 5000));
    index.flush().unwrap();
    assert_eq!(index.stats().unwrap().rows, 5000);
}

#[test]
fn a_view_at_a_height_sees_its_rows_and_no_later_ones() {
    let folder = tempfile::tempdir().unwrap();
    let index = TagIndex::open(&folder.path().join("index.redb")).unwrap();
    index.add(1, rows(0, 10));
    index.prepare(2, rows(10, 20));
    let at_1 = index.view_at(1).unwrap();
    let at_2 = index.view_at(2).unwrap();
    assert!(holds(&at_1, 9) && !holds(&at_1, 10));
    assert!(holds(&at_2, 9) && holds(&at_2, 10));
    index.publish(2);
    assert!(index.view_at(1).is_none(), "too late for height 1");
    assert!(holds(&index.view_at(2).unwrap(), 10));
}

#[test]
fn a_filter_that_is_too_small_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let index = TagIndex::open(&folder.path().join("index.redb")).unwrap();
    let many = MIN_FILTER_ROWS as u64 + 1000;
    index.add(1, rows(0, many));
    index.flush().unwrap();
    assert!(index.shared.read().filter.capacity() > many as usize);
    let view = index.view().unwrap();
    assert!((0..many).all(|n| holds(&view, n)));
    assert!((many..many + 5000).all(|n| !holds(&view, n)));
}

#[test]
fn runs_that_come_during_a_flush_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let index = TagIndex::open(&folder.path().join("index.redb")).unwrap();
    index.add(1, rows(0, 200_000));
    let flusher = {
        let index = index.clone();
        std::thread::spawn(move || index.flush())
    };
    for height in 2..=200 {
        index.add(height, rows(200_000 + height * 10, 200_010 + height * 10));
    }
    flusher.join().unwrap().unwrap();
    let view = index.view().unwrap();
    assert!((0..200_000).step_by(97).all(|n| holds(&view, n)));
    assert!((200_020..202_010).all(|n| holds(&view, n)));
}

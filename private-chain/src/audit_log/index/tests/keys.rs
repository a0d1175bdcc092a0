//! Keys that come late, are lost, or are destroyed.

use super::*;

#[test]
fn entries_wait_for_their_key_and_are_taken_in_when_it_comes() {
    let log = Log::random(31, 30, 40, 2);
    let home = Home::new();
    let buckets: Vec<Bucket> = log.buckets().into_iter().collect();
    let index = home.open();
    let late = buckets[1];
    for bucket in buckets.iter().filter(|bucket| **bucket != late) {
        index.keys().insert(bucket, key_of(bucket)).unwrap();
    }
    for (first, place, batch) in &log.batches[..20] {
        index.ingest(*first, place, batch).unwrap();
    }
    // Without the key nothing is to be done; the others' entries are found.
    assert_eq!(index.indexed_up_to(), log.batches[20].0);
    let beginning = log
        .batches
        .iter()
        .find(|(_, _, batch)| batch.buckets().contains(&late));
    assert_eq!(index.waiting(), [(late, beginning.unwrap().0)]);
    let all = Filter::default();
    assert_eq!(index.unread(&all), [Unread::NoKey(late)]);
    let page = index.query(&all, Order::OldestFirst, None, 9999).unwrap();
    let expected = log
        .rows
        .iter()
        .filter(|(sequence, bucket, _)| *sequence < log.batches[20].0 && *bucket != late);
    assert_eq!(page.rows.len(), expected.count());
    index.keys().insert(&late, key_of(&late)).unwrap();
    assert!(index.indexed_up_to() < log.batches[20].0);
    let missing = index.query(&all, Order::OldestFirst, None, 9999);
    assert!(matches!(missing, Err(IndexError::Rebuilding { bucket }) if bucket == late));
    // The next batch may come before the gap is closed.
    let (first, place, batch) = &log.batches[20];
    index.ingest(*first, place, batch).unwrap();
    log.feed(&index);
    assert!(index.unread(&all).is_empty());
    log.compare_many(&index, 32, 30);
}

#[test]
fn a_key_that_is_lost_and_comes_back_brings_the_rows_back() {
    let log = Log::random(33, 10, 40, 1);
    let home = Home::with_keys(&log);
    let index = home.open();
    log.feed(&index);
    index.flush().unwrap();
    drop(index);
    let bucket = *log.buckets().iter().next().unwrap();
    std::fs::write(home.path().join(format!("keys/{bucket}.key")), b"damaged").unwrap();
    let index = home.open();
    assert_eq!(index.waiting(), [(bucket, 0)]);
    index.flush().unwrap();
    drop(index);
    let index = home.open();
    index.keys().insert(&bucket, key_of(&bucket)).unwrap();
    log.feed(&index);
    log.compare_many(&index, 34, 20);
}

#[test]
fn what_is_retired_is_in_no_file_and_in_no_answer() {
    let log = Log::random(35, 30, 60, 2);
    let home = Home::with_keys(&log);
    let index = home.open();
    for (at, (first, place, batch)) in log.batches.iter().enumerate() {
        index.ingest(*first, place, batch).unwrap();
        if at == 15 {
            index.flush().unwrap();
        }
    }
    let gone = *log.buckets().iter().next().unwrap();
    let files = |home: &Home| {
        let name = gone.to_string();
        let of_bucket = |path: &&PathBuf| path.to_string_lossy().contains(&name);
        home.files().iter().filter(of_bucket).count()
    };
    assert!(files(&home) > 0);
    let left = |index: &Index| {
        let page = index
            .query(&Filter::default(), Order::OldestFirst, None, 9999)
            .unwrap();
        let of_gone = page
            .rows
            .iter()
            .filter(|row| log.rows[row.sequence as usize].1 == gone);
        assert_eq!(of_gone.count(), 0);
        page.rows.len()
    };
    index.keys().destroy(&gone).unwrap();
    index.retire(&gone).unwrap();
    assert_eq!(files(&home), 0);
    assert!(!home.path().join("audit").join(gone.to_string()).exists());
    let expected = log.rows.iter().filter(|(_, bucket, _)| *bucket != gone);
    let expected = expected.count();
    assert_eq!(left(&index), expected);
    for (first, place, batch) in &log.batches {
        index.ingest(*first, place, batch).unwrap();
    }
    index.flush().unwrap();
    assert_eq!(left(&index), expected);
    assert!(index.unread(&Filter::default()).is_empty());
    drop(index);
    let index = home.open();
    log.feed(&index);
    assert_eq!((left(&index), files(&home)), (expected, 0));
}

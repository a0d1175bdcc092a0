//! Any question, at any stage of the index, is answered as a scan of all entries would.

use super::*;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_query_finds_what_a_scan_finds(seed: u64, flush_every in 1usize..6, budget: bool) {
        let log = Log::random(seed, 12, 60, 3);
        let home = Home::with_keys(&log);
        let budget = if budget { 0 } else { DEFAULT_BUDGET_BYTES };
        let index = home.open().with_budget(budget);
        for (at, (first, place, batch)) in log.batches.iter().enumerate() {
            index.ingest(*first, place, batch).unwrap();
            if at % flush_every == 0 {
                index.flush().unwrap();
            }
        }
        prop_assert_eq!(index.indexed_up_to(), log.end());
        log.compare_many(&index, seed, 20);
    }
}

#[test]
fn merging_into_files_changes_no_answer_and_a_restart_begins_where_they_end() {
    let log = Log::random(1, 110, 1_000, 1);
    let home = Home::with_keys(&log);
    let index = home.open();
    log.feed(&index);
    assert!(log.end() > 45_000);
    assert!(!home.runs().is_empty(), "large runs are in files");
    let found = log.compare_many(&index, 2, 20);
    assert!(found > 60_000, "{found} rows found only");
    let glance = |index: &Index, rows| {
        let all = Filter::default();
        index.glance(&all, Order::OldestFirst, None, 1 << 20, rows)
    };
    assert!(glance(&index, 1_000).unwrap().is_none(), "it gives up");
    assert!(glance(&index, 1 << 20).unwrap().is_some());
    drop(index);
    // What was in memory only comes again; with hardly any memory every run is read for each question.
    let index = home.open().with_budget(1);
    let resumed = index.indexed_up_to();
    assert!(resumed < log.end());
    assert!(matches!(
        index.query(&Filter::default(), Order::OldestFirst, None, 1),
        Err(IndexError::Rebuilding { .. }) | Ok(_)
    ));
    log.feed(&index);
    log.compare_many(&index, 3, 5);
    index.flush().unwrap();
    drop(index);
    let index = home.open();
    assert_eq!(index.indexed_up_to(), log.end());
    let cold = glance(&index, 1 << 20).unwrap();
    assert!(cold.is_none(), "a glance reads no file");
    log.compare_many(&index, 4, 10);
}

#[test]
fn small_runs_of_many_flushes_become_few() {
    let log = Log::random(5, 200, 3, 1);
    let home = Home::with_keys(&log);
    let index = home.open();
    for (first, place, batch) in &log.batches {
        index.ingest(*first, place, batch).unwrap();
        index.flush().unwrap();
    }
    for bucket in log.buckets() {
        let runs = index.read().buckets[&bucket].runs.len();
        assert!(runs <= 16, "{runs} runs of {bucket}");
    }
    assert!(home.runs().len() <= 32, "files of merged runs are left");
    log.compare_many(&index, 6, 40);
}

#[test]
fn a_batch_is_taken_in_once_and_in_order() {
    let log = Log::random(7, 6, 20, 2);
    let home = Home::with_keys(&log);
    let index = home.open();
    let (first, place, batch) = &log.batches[1];
    let early = index.ingest(*first, place, batch);
    assert!(matches!(
        early,
        Err(IndexError::OutOfOrder { expected: 0, .. })
    ));
    let (first, _, batch) = &log.batches[0];
    let elsewhere = index.ingest(*first, place, batch);
    assert!(matches!(elsewhere, Err(IndexError::Place { first: 0 })));
    for _ in 0..2 {
        for (first, place, batch) in &log.batches {
            index.ingest(*first, place, batch).unwrap();
        }
    }
    log.compare_many(&index, 8, 20);
    let glance = |rows| {
        let all = Filter::default();
        let page = index.glance(&all, Order::OldestFirst, None, 1 << 20, rows);
        page.unwrap().map(|page| page.count as u64)
    };
    assert_eq!(glance(1 << 20), Some(log.end()), "all is in memory");
    for (sequence, bucket, entry) in &log.rows {
        let row = index.get(*sequence).unwrap().unwrap();
        assert_eq!((row.class, &*row.entry), (bucket.class, entry));
    }
    assert!(index.get(log.end()).unwrap().is_none());
    index.flush().unwrap();
    let row = index.get(3).unwrap().unwrap();
    assert_eq!((row.sequence, &*row.entry), (3, &log.rows[3].2));
}

#[test]
fn wrong_statements_are_rows_and_wrongly_sealed_entries_are_counted() {
    let mut rng = testing::rng(9);
    let mut log = Log::new();
    let mut entry = random_entry(&mut rng);
    entry.statement = Some(crate::audit::SignedStatement {
        salt: [1; 16],
        signature: caduceus_crypto::keys::Signature([2; 64]),
    });
    log.push(&mut rng, vec![(ActionClass::Emergency, entry.clone())]);
    let bucket = log.rows[0].1;
    let mut draft = DraftBatch::new(&mut rng);
    draft
        .push(&[9; 32], ActionClass::Emergency, NOW, &entry)
        .unwrap();
    let batch = draft.sign(&testing::chain(), &testing::server());
    let place = Place {
        batch: batch.id,
        first: 1,
        ..log.batches[0].1.clone()
    };
    let home = Home::with_keys(&log);
    let index = home.open();
    log.feed(&index);
    index.ingest(1, &place, &batch).unwrap();
    index.flush().unwrap();
    for index in [index, home.open()] {
        assert_eq!(index.indexed_up_to(), 2);
        let page = index
            .query(&Filter::default(), Order::OldestFirst, None, 9)
            .unwrap();
        assert_eq!(page.rows.len(), 1);
        assert_eq!(*page.rows[0].entry, entry);
        let unread = index.unread(&Filter::default());
        assert_eq!(unread, [Unread::Unopened(bucket, 1)]);
    }
}

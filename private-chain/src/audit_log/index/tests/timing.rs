//! What the index costs. `cargo test --release -p private-chain --lib -- --ignored --nocapture index_timings`.

use super::*;

/// 200,000 rows like those of the iDASH 2018 logs: 4 nodes, 10 users, 11 resources, 4 activities.
fn synthetic() -> Log {
    let mut rng = testing::rng(41);
    let mut log = Log::new();
    for batch in 0..400u64 {
        let entries = (0..500u64).map(|n| {
            let id = batch * 500 + n;
            let entry = AuditEntry {
                actor: Actor::Named(below(&mut rng, 10).to_string().into()),
                role: None,
                action: Action::ALL[below(&mut rng, 4) as usize],
                subtype: ["REQ", "VIEW", "FILE", "DOWN"][below(&mut rng, 4) as usize].into(),
                patient: None,
                resource: Some(Resource::Named(
                    format!("MOD_{}", below(&mut rng, 11)).into(),
                )),
                reason: "".into(),
                source: below(&mut rng, 4).to_string().into(),
                request: (id / 3 * 7).to_string().into(),
                reference: id.to_string().into(),
                ..testing::entry(TimeMillis(NOW.0 + id * 5_000 % (20 * DAY)))
            };
            (ActionClass::ClinicalRead, entry)
        });
        let entries = entries.collect();
        log.push(&mut rng, entries);
    }
    log
}

#[test]
#[ignore = "a measurement"]
#[allow(clippy::disallowed_methods)]
fn index_timings() {
    use std::time::Instant;
    let log = synthetic();
    let home = Home::with_keys(&log);
    let index = home.open();
    let start = Instant::now();
    let mut slowest = std::time::Duration::ZERO;
    for (first, place, batch) in &log.batches {
        let one = Instant::now();
        index.ingest(*first, place, batch).unwrap();
        slowest = slowest.max(one.elapsed());
    }
    let per_row = start.elapsed().as_secs_f64() * 1e6 / log.end() as f64;
    println!("ingest {per_row:.2} us a row, the slowest batch {slowest:?}");
    let start = Instant::now();
    let mut opened = 0;
    for (_, _, batch) in &log.batches {
        for bucket in batch.buckets() {
            let key = BatchKey::derive(&key_of(&bucket), bucket, &batch.id);
            for (at, sealed) in (0u32..).zip(&batch.entries) {
                opened += usize::from(sealed.bucket() == bucket && key.open(at, sealed).is_ok());
            }
        }
    }
    let per_row = start.elapsed().as_secs_f64() * 1e6 / opened as f64;
    println!("of which opening {per_row:.2} us a row");
    let any = Filter::default;
    let named = |n: &str| Some(Actor::Named(n.into()));
    let resource = |n: &str| Some(Resource::Named(n.into()));
    let questions = [
        (
            "a reference",
            Filter {
                reference: Some("77777".into()),
                ..any()
            },
        ),
        (
            "reference, actor, resource",
            Filter {
                reference: Some("77777".into()),
                actor: named("3"),
                resource: resource("MOD_3"),
                ..any()
            },
        ),
        (
            "a request",
            Filter {
                request: Some("70000".into()),
                ..any()
            },
        ),
        (
            "actor, resource, action",
            Filter {
                actor: named("3"),
                resource: resource("MOD_3"),
                action: Some(Action::Read),
                ..any()
            },
        ),
        (
            "an actor in an hour",
            Filter {
                actor: named("3"),
                from: Some(TimeMillis(NOW.0 + 3 * DAY)),
                until: Some(TimeMillis(NOW.0 + 3 * DAY + 3_600_000)),
                ..any()
            },
        ),
        ("everything", any()),
    ];
    for round in ["first", "again"] {
        for (what, filter) in &questions {
            let start = Instant::now();
            let page = index
                .query(filter, Order::OldestFirst, None, 1 << 20)
                .unwrap();
            let took = start.elapsed();
            let rows = page.rows.len();
            let start = Instant::now();
            drop(page);
            println!(
                "{round} {what}: {rows} rows in {took:?}, dropped in {:?}",
                start.elapsed()
            );
        }
    }
    let start = Instant::now();
    index.flush().unwrap();
    println!("flush {:?}", start.elapsed());
    let bytes: u64 = home
        .files()
        .iter()
        .map(|path| std::fs::metadata(path).unwrap().len())
        .sum();
    println!(
        "{:.1} bytes a row in {} files",
        bytes as f64 / log.end() as f64,
        home.files().len()
    );
    drop(index);
    let start = Instant::now();
    let index = home.open();
    println!("open {:?}", start.elapsed());
    for (what, filter) in &questions {
        let start = Instant::now();
        let page = index
            .query(filter, Order::OldestFirst, None, 1 << 20)
            .unwrap();
        println!(
            "cold {what}: {} rows in {:?}",
            page.rows.len(),
            start.elapsed()
        );
    }
}

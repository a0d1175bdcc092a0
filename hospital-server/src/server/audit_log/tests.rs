#![allow(clippy::unwrap_used)]

use super::deed::{Deed, Stated};
use super::testing::{FakeChain, entry};
use super::*;
use crate::clock::system_clock;
use caduceus_crypto::SecretKey;
use caduceus_network::Sent;
use private_chain::audit::BatchKey;
use private_chain::policy::Limits;
use std::path::Path;
use tokio::sync::watch;
use tokio::task::JoinSet;

const CLASS: ActionClass = ActionClass::ClinicalRead;

fn now(number: u64) -> AuditEntry {
    AuditEntry {
        time: system_clock()(),
        ..entry(number)
    }
}

fn deed(entry: AuditEntry) -> Deed {
    Deed {
        class: CLASS,
        entry,
        answered: Sent::default(),
        stated: Stated::Unasked,
    }
}

struct Running {
    log: AuditLog,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
    _limits: watch::Sender<Option<Limits>>,
}

impl Running {
    fn start(home: &Path, chain: &FakeChain, limits: Limits) -> Self {
        let (sender, limits) = watch::channel(Some(limits));
        let writer = AuditWriter::open(AuditWriterConfig {
            delivery: chain.clone(),
            server: SecretKey::from_bytes(&[3; 32]).unwrap(),
            outbox: home.join("audit.redb"),
            buckets: home.join("buckets"),
            limits,
            clock: system_clock(),
        })
        .unwrap();
        let (stop, stopped) = watch::channel(false);
        let (log, task) = writer.start(stopped);
        Self {
            log,
            stop,
            task,
            _limits: sender,
        }
    }

    /// As a crash ends it: nothing more is written.
    async fn crash(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }
}

/// The entries on the chain, in order.
fn entries(chain: &FakeChain) -> Vec<AuditEntry> {
    let inner = chain.inner.lock().unwrap();
    let mut found = Vec::new();
    for batch in &inner.batches {
        for (index, sealed) in (0u32..).zip(&batch.entries) {
            let key = &inner.keys[&sealed.bucket()];
            let key = BatchKey::derive(key, sealed.bucket(), &batch.id);
            found.push(key.open(index, sealed).unwrap());
        }
    }
    found
}

async fn until(what: impl Fn() -> bool) {
    for _ in 0..500 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it does not come");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_entries_go_in_few_transactions_and_each_once() {
    let home = tempfile::tempdir().unwrap();
    let chain = FakeChain::default();
    let running = Running::start(home.path(), &chain, Limits::default());
    let mut tasks = JoinSet::new();
    for number in 0..3000 {
        let log = running.log.clone();
        tasks.spawn(async move { log.record_entry(CLASS, now(number)).await.unwrap() });
    }
    assert_eq!(tasks.join_all().await.len(), 3000);
    let found = entries(&chain);
    let distinct: std::collections::BTreeSet<_> =
        found.iter().map(|entry| entry.request.clone()).collect();
    assert_eq!((found.len(), distinct.len()), (3000, 3000));
    let inner = chain.inner.lock().unwrap();
    let (batches, largest) = (
        inner.batches.len(),
        inner.batches.iter().map(|b| b.entries.len()).max().unwrap(),
    );
    drop(inner);
    assert!(batches <= 300, "{batches} transactions for 3000 entries");
    assert!(largest <= private_chain::tx::MAX_ENTRIES_PER_TX);
    let long = AuditEntry {
        reason: "x".repeat(2000).into(),
        ..now(1)
    };
    let refused = running.log.record_entry(CLASS, long).await;
    assert!(matches!(refused, Err(LogError::Entry { .. })));
    running.crash().await;
}

#[tokio::test]
async fn what_a_crash_leaves_open_is_entered_as_unknown_once() {
    let home = tempfile::tempdir().unwrap();
    let chain = FakeChain::default();
    let record = Hash([9; 32]);
    let upload = |number, record: Hash| AuditEntry {
        subtype: "upload".into(),
        resource: Some(record.into()),
        ..now(number)
    };
    let running = Running::start(home.path(), &chain, Limits::default());
    // Answered; not answered; denied; an upload that is anchored, and one that is not.
    let answered = deed(now(1));
    running.log.record(answered.clone()).await.unwrap();
    running.log.record(deed(now(2))).await.unwrap();
    let denied = AuditEntry {
        outcome: Outcome::Denied,
        ..now(3)
    };
    running.log.record(deed(denied)).await.unwrap();
    running.log.record(deed(upload(4, record))).await.unwrap();
    running
        .log
        .record(deed(upload(5, Hash([8; 32]))))
        .await
        .unwrap();
    chain.inner.lock().unwrap().anchored.push(record);
    answered.answered.happened();
    // Committed, and the server dies before it hears so.
    chain.inner.lock().unwrap().silent = true;
    assert!(running.log.record(deed(now(6))).await.is_err());
    running.crash().await;
    let requests = |chain: &FakeChain| {
        let mut unknown: Vec<String> = entries(chain)
            .into_iter()
            .filter(|entry| entry.outcome == Outcome::Unknown)
            .map(|entry| {
                assert!(entry.reason.contains("stopped before") && entry.statement.is_none());
                entry.request.trim_start_matches('0').to_owned()
            })
            .collect();
        unknown.sort();
        unknown
    };
    assert_eq!(entries(&chain).len(), 6);
    // The chain is silent still: the closing entries are sent, and sent again, and are there once.
    let running = Running::start(home.path(), &chain, Limits::default());
    assert!(running.log.record(deed(now(7))).await.is_err());
    running.crash().await;
    chain.inner.lock().unwrap().silent = false;
    for _ in 0..2 {
        let running = Running::start(home.path(), &chain, Limits::default());
        until(|| requests(&chain).len() >= 3).await;
        running.log.record_entry(CLASS, now(8)).await.unwrap();
        running.crash().await;
        assert_eq!(requests(&chain), ["2", "5", "6"]);
    }
    // Closed for good: those of the last two runs, and nothing is left.
    let index = AuditIndex::open(&home.path().join("audit.redb"), FakeChain::ID).unwrap();
    assert_eq!(index.left_open().unwrap(), []);
    assert_eq!(index.outbox().unwrap(), []);
}

#[tokio::test]
async fn an_orderly_stop_leaves_nothing_open() {
    let home = tempfile::tempdir().unwrap();
    let chain = FakeChain::default();
    let running = Running::start(home.path(), &chain, Limits::default());
    let read = deed(now(1));
    running.log.record(read.clone()).await.unwrap();
    read.answered.happened();
    running.log.settle().await.unwrap();
    running.crash().await;
    let index = AuditIndex::open(&home.path().join("audit.redb"), FakeChain::ID).unwrap();
    assert_eq!(index.left_open().unwrap(), []);
}

#[tokio::test]
async fn at_a_bound_nothing_is_done_unlogged_and_no_entry_is_lost() {
    let home = tempfile::tempdir().unwrap();
    let chain = FakeChain::default();
    let limits = Limits {
        slot_millis: Some(700),
        per_slot: Some(3),
        ..Limits::default()
    };
    let running = Running::start(home.path(), &chain, limits);
    let mut tasks = JoinSet::new();
    for number in 0..12 {
        let log = running.log.clone();
        tasks.spawn(async move { log.record(deed(now(number))).await });
    }
    let outcomes = tasks.join_all().await;
    let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    for outcome in &outcomes {
        assert!(matches!(outcome, Ok(_) | Err(LogError::Later { .. })));
    }
    let found = entries(&chain);
    assert_eq!(found.len(), done);
    let mut slots: std::collections::BTreeMap<u64, usize> = std::collections::BTreeMap::new();
    for entry in &found {
        *slots.entry(entry.time.0 / 700).or_default() += 1;
    }
    assert!(done >= 6 && slots.len() >= 2, "{done} done in {slots:?}");
    assert!(slots.values().all(|count| *count <= 3), "{slots:?}");
    running.crash().await;
    // The counts are there after a restart.
    let index = AuditIndex::open(&home.path().join("audit.redb"), FakeChain::ID).unwrap();
    let counted: u64 = index.remembered().unwrap().iter().map(|(_, _, n)| n).sum();
    assert_eq!(counted, done as u64);
}

//! The index against a scan of all entries, over restarts, damage, late keys and retirement.

#![allow(clippy::unwrap_used)]

mod damage;
mod keys;
mod search;

use super::*;
use crate::audit::{
    Action, ActionClass, Actor, AuditEntry, DraftBatch, Order, Outcome, Page, Resource, Subject,
    month_of,
};
use crate::testing::{self, NOW, secret};
use crate::tx::Role;
use caduceus_crypto::Hash;
use caduceus_crypto::time::TimeMillis;
use rand_chacha::ChaCha20Rng;
use rand_core::RngCore;
use std::path::Path;
use tempfile::TempDir;

const DAY: u64 = 24 * 3_600_000;

/// A number below `n`.
fn below(rng: &mut ChaCha20Rng, n: u64) -> u64 {
    rng.next_u64() % n
}

fn text(rng: &mut ChaCha20Rng, prefix: &str, kinds: u64) -> crate::audit::Text {
    match below(rng, kinds) {
        0 => "".into(),
        n => format!("{prefix}{n}").into(),
    }
}

/// An entry of few kinds of values, so that filters find some.
fn random_entry(rng: &mut ChaCha20Rng) -> AuditEntry {
    let time = TimeMillis(NOW.0 - below(rng, 40 * DAY));
    let mut entry = AuditEntry {
        actor: match below(rng, 4) {
            0 => testing::author().public().into(),
            n => Actor::Named(format!("user {n}").into()),
        },
        role: [None, Some(Role::Physician), Some(Role::Auditor)][below(rng, 3) as usize],
        action: Action::ALL[below(rng, 3) as usize],
        subtype: text(rng, "kind", 3),
        outcome: Outcome::ALL[below(rng, 2) as usize],
        reason: text(rng, "because ", 9),
        patient: (below(rng, 4) > 0).then(|| Subject::Named(below(rng, 9).to_string().into())),
        resource: (below(rng, 4) > 0).then(|| Resource::Named(below(rng, 5).to_string().into())),
        purpose: text(rng, "P", 3),
        grant: (below(rng, 3) == 0).then(|| Hash([below(rng, 3) as u8; 32])),
        source: text(rng, "ward ", 4),
        request: text(rng, "request ", 500),
        reference: text(rng, "", 100_000),
        ..testing::entry(time)
    };
    if below(rng, 20) == 0 {
        let statement = crate::audit::Statement {
            time,
            actor: testing::author().public(),
            action: entry.action,
            subtype: entry.subtype.clone(),
            patient: None,
            resource: None,
            purpose: "".into(),
            grant: None,
            request: "".into(),
        };
        entry.statement = Some(statement.sign(rng, &testing::chain(), &testing::author()));
    }
    entry
}

fn random_filter(rng: &mut ChaCha20Rng) -> Filter {
    let model = random_entry(rng);
    let mut pick = |odds: u64| below(rng, odds) == 0;
    let mut filter = Filter {
        actor: pick(4).then_some(model.actor),
        role: model.role.filter(|_| pick(6)),
        action: pick(4).then_some(model.action),
        subtype: pick(6).then_some(model.subtype),
        outcome: pick(4).then_some(model.outcome),
        patients: model.patient.into_iter().filter(|_| pick(4)).collect(),
        resource: model.resource.filter(|_| pick(4)),
        grant: model.grant.filter(|_| pick(4)),
        request: pick(12).then_some(model.request),
        reference: pick(40).then_some(model.reference),
        source: pick(6).then_some(model.source),
        purpose: pick(6).then_some(model.purpose),
        class: pick(6).then_some(ActionClass::ClinicalRead),
        from: pick(4).then(|| TimeMillis(NOW.0 - 30 * DAY)),
        until: pick(4).then_some(model.time),
    };
    if pick(6) {
        filter.patients = (0..below(rng, 6))
            .map(|n| Subject::Named(n.to_string().into()))
            .collect();
    }
    filter
}

/// A chain's batches, and the rows in clear.
struct Log {
    batches: Vec<(u64, Place, AuditBatch)>,
    rows: Vec<(u64, Bucket, AuditEntry)>,
}

/// Each bucket's key in the tests.
fn key_of(bucket: &Bucket) -> SecretBytes {
    let mut key = SecretBytes::new([bucket.class as u8; 32]);
    key[1] = bucket.month as u8;
    key
}

impl Log {
    fn new() -> Self {
        Self {
            batches: Vec::new(),
            rows: Vec::new(),
        }
    }

    fn push(&mut self, rng: &mut ChaCha20Rng, entries: Vec<(ActionClass, AuditEntry)>) {
        let first = self.rows.len() as u64;
        let mut draft = DraftBatch::new(rng);
        // Some batches come at the end of this month, some at the beginning of the next.
        let logged = TimeMillis(NOW.0 + self.batches.len() as u64 / 5 % 2 * 30 * DAY);
        for (class, entry) in entries {
            let month = month_of(logged);
            let bucket = Bucket { class, month };
            draft.push(&key_of(&bucket), class, logged, &entry).unwrap();
            self.rows.push((self.rows.len() as u64, bucket, entry));
        }
        let batch = draft.sign(&testing::chain(), &testing::server());
        let place = Place {
            height: self.batches.len() as u64 + 1,
            block_hash: Hash([7; 32]),
            block_time: NOW,
            tx: Hash([8; 32]),
            batch: batch.id,
            first,
        };
        self.batches.push((first, place, batch));
    }

    /// Batches of up to `size` random entries.
    fn random(seed: u64, batches: u64, size: u64, classes: u64) -> Self {
        let mut rng = testing::rng(seed);
        let mut log = Self::new();
        for _ in 0..batches {
            let entries = (0..=below(&mut rng, size)).map(|_| {
                let class = ActionClass::ALL[below(&mut rng, classes) as usize];
                (class, random_entry(&mut rng))
            });
            let entries = entries.collect();
            log.push(&mut rng, entries);
        }
        log
    }

    fn end(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Feeds the index as a node does.
    fn feed(&self, index: &Index) {
        while index.indexed_up_to() < self.end() {
            let from = index.indexed_up_to();
            for (first, place, batch) in self.batches.iter().filter(|b| b.0 >= from) {
                index.ingest(*first, place, batch).unwrap();
            }
        }
    }

    /// The sequence numbers that fit, in order.
    fn scan(&self, filter: &Filter, order: Order) -> Vec<u64> {
        let fits = self
            .rows
            .iter()
            .filter(|(_, bucket, entry)| filter.fits(bucket.class, entry));
        let mut found: Vec<u64> = fits.map(|(sequence, ..)| *sequence).collect();
        if order == Order::NewestFirst {
            found.reverse();
        }
        found
    }

    /// Asks page by page, and compares with a scan.
    fn compare(&self, index: &Index, filter: &Filter, order: Order, limit: usize) -> usize {
        let expected = self.scan(filter, order);
        let mut found = Vec::new();
        let mut cursor = None;
        loop {
            let page: Page = index.query(filter, order, cursor, limit).unwrap();
            assert!(page.rows.len() <= limit);
            assert!(page.next.is_none() || page.rows.len() == limit);
            for row in &page.rows {
                let (_, bucket, entry) = &self.rows[row.sequence as usize];
                assert_eq!((row.class, &*row.entry), (bucket.class, entry));
                let place = &self.batches[row.place.height as usize - 1].1;
                assert_eq!(&*row.place, place);
                assert!(u64::from(row.index()) + place.first == row.sequence);
            }
            let packed = index.query_packed(filter, order, cursor, limit).unwrap();
            assert_eq!((packed.count, packed.next), (page.rows.len(), page.next));
            for effort in [0, 3, 40, 1 << 20] {
                let glance = index.glance(filter, order, cursor, limit, effort);
                if let Some(glance) = glance.unwrap() {
                    assert_eq!(glance, packed, "all or none");
                }
            }
            let mut rows = unpack_rows(&packed.rows, limit).unwrap();
            if order == Order::NewestFirst {
                rows.reverse();
            }
            assert_eq!(rows, page.rows);
            found.extend(page.rows.iter().map(|row| row.sequence));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "{filter:?} {order:?} {limit}");
        if order == Order::OldestFirst {
            assert_eq!(index.count(filter).unwrap(), expected.len() as u64);
        }
        expected.len()
    }

    /// Random questions; gives how many rows they found.
    fn compare_many(&self, index: &Index, seed: u64, questions: u64) -> usize {
        let mut rng = testing::rng(seed);
        let mut found = self.compare(index, &Filter::default(), Order::NewestFirst, 1 << 20);
        for question in 0..questions {
            let filter = random_filter(&mut rng);
            let order = [Order::OldestFirst, Order::NewestFirst][question as usize % 2];
            let limit = [1, 7, 100, 1 << 20][below(&mut rng, 4) as usize];
            // Small pages of many rows would take long.
            let limit = if self.rows.len() > 5_000 {
                20_000
            } else {
                limit
            };
            found += self.compare(index, &filter, order, limit);
        }
        found
    }

    fn buckets(&self) -> BTreeSet<Bucket> {
        self.rows.iter().map(|(_, bucket, _)| *bucket).collect()
    }
}

/// A node's folder.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn keys(&self) -> Arc<BucketKeys> {
        Arc::new(BucketKeys::open(self.path().join("keys"), &secret(3)).unwrap())
    }

    /// With the keys of all these buckets.
    fn with_keys(log: &Log) -> Self {
        let home = Self::new();
        let keys = home.keys();
        for bucket in log.buckets() {
            keys.insert(&bucket, key_of(&bucket)).unwrap();
        }
        home
    }

    fn open(&self) -> Index {
        Index::open(self.path().join("audit"), self.keys(), testing::chain()).unwrap()
    }

    /// All files of the index, by path.
    fn files(&self) -> Vec<PathBuf> {
        fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    walk(&path, found);
                } else {
                    found.push(path);
                }
            }
        }
        let mut found = Vec::new();
        walk(&self.path().join("audit"), &mut found);
        found.sort();
        found
    }

    fn runs(&self) -> Vec<PathBuf> {
        let mut runs = self.files();
        runs.retain(|path| path.extension().is_some_and(|e| e == "run"));
        runs
    }
}

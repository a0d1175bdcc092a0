//! Four nodes keep one audit log: keys offered to one reach all, a newcomer gets what lives, all answer alike, and what
//! is retired is gone from every file.

use caduceus_crypto::{Hash, SecretKey, TimeMillis};
use caduceus_ledger::{ChainKind, Genesis, Validator, ValidatorSet};
use caduceus_network::exchange::{BucketKeys, BucketKeysReply, BucketKeysRequest, LivingKey};
use caduceus_network::{Limits, PeerAddr, Service, ServiceConfig, peer_id};
use caduceus_node::validate::{Depth, validate};
use caduceus_node::{BftSettings, Clock, Engine, NodeOptions, Store, SystemClock};
use private_chain::audit::{Filter, Order, month_of};
use private_chain::audit_log::{Rows, RowsError, operator_key, rows_via};
use private_chain::node::{PrivateNode, PrivateNodeConfig};
use private_chain::tx::SignedRetire;
use private_chain::{
    Action, ActionClass, Actor, AuditEntry, Bucket, DraftBatch, Outcome, PrivateGenesis,
    PrivateMachine, Resource, Tx, query, state,
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const VOTERS: usize = 4;
const NODES: usize = 5;
const CANARY: &str = "canary-of-what-is-retired";
const DAY: u64 = 86_400_000;

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32]).unwrap()
}

fn identity() -> SecretKey {
    key(1)
}

fn server() -> SecretKey {
    key(2)
}

fn node_key(n: usize) -> SecretKey {
    key(10 + n as u8)
}

/// A clock that can be put forward, the same for all.
struct Shifted(AtomicU64);

impl Clock for Shifted {
    fn now(&self) -> TimeMillis {
        TimeMillis(SystemClock.now().0 + self.0.load(Ordering::SeqCst))
    }
}

// A port is known to be free by having been bound.
#[allow(clippy::disallowed_types)]
fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<_> = (0..count)
        .map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    held.iter()
        .map(|l| l.local_addr().unwrap().port())
        .collect()
}

struct World {
    dir: tempfile::TempDir,
    genesis: Genesis,
    clock: Arc<Shifted>,
    services: Vec<u16>,
    consensus: Vec<u16>,
    nodes: Vec<Option<PrivateNode>>,
    rng: ChaCha20Rng,
    caller: Service,
}

async fn caller(key: &SecretKey) -> Service {
    Service::start(ServiceConfig {
        key,
        listen: Vec::new(),
        limits: Limits::default(),
    })
    .await
    .unwrap()
}

impl World {
    async fn new() -> Self {
        let own =
            PrivateGenesis::new("St Mary".into(), identity().public(), server().public()).unwrap();
        let voters = (0..VOTERS).map(|n| Validator {
            key: node_key(n).public(),
            power: 1,
        });
        let ports = free_ports(2 * NODES);
        Self {
            dir: tempfile::tempdir().unwrap(),
            genesis: Genesis {
                kind: ChainKind::Private,
                name: "st-mary".into(),
                time: TimeMillis(SystemClock.now().0 - 1_000),
                validators: ValidatorSet::new(voters.collect()).unwrap(),
                app: own.encode(),
            },
            clock: Arc::new(Shifted(AtomicU64::new(0))),
            services: ports[..NODES].to_vec(),
            consensus: ports[NODES..].to_vec(),
            nodes: (0..NODES).map(|_| None).collect(),
            rng: ChaCha20Rng::seed_from_u64(1),
            caller: caller(&server()).await,
        }
    }

    fn home(&self, n: usize) -> PathBuf {
        self.dir.path().join(format!("n{n}"))
    }

    fn address(&self, n: usize) -> PeerAddr {
        PeerAddr {
            id: peer_id(&node_key(n).public()),
            address: format!("/ip4/127.0.0.1/tcp/{}", self.services[n])
                .parse()
                .unwrap(),
        }
    }

    async fn start(&mut self, n: usize) {
        let others = (0..NODES).filter(|m| *m != n);
        let consensus = others.clone().map(|m| {
            let id = peer_id(&node_key(m).public());
            let port = self.consensus[m];
            format!("/ip4/127.0.0.1/tcp/{port}/p2p/{id}")
                .parse()
                .unwrap()
        });
        let config = PrivateNodeConfig {
            home: self.home(n),
            genesis: self.genesis.clone(),
            key: node_key(n),
            moniker: format!("log-{}-{n}", self.services[n]),
            engine: Engine::Bft(BftSettings {
                listen: format!("/ip4/127.0.0.1/tcp/{}", self.consensus[n])
                    .parse()
                    .unwrap(),
                peers: consensus.collect(),
            }),
            listen: self.address(n).address,
            peers: others.map(|m| self.address(m)).collect(),
            queriers: BTreeSet::new(),
            anchor_readers: BTreeSet::new(),
            server: None,
            clock: self.clock.clone(),
            options: NodeOptions::default(),
        };
        std::fs::create_dir_all(self.home(n)).unwrap();
        self.nodes[n] = Some(PrivateNode::start(config).await.unwrap());
    }

    fn node(&self, n: usize) -> &PrivateNode {
        self.nodes[n].as_ref().unwrap()
    }

    fn bucket(&self, class: ActionClass) -> Bucket {
        Bucket {
            class,
            month: month_of(self.clock.now()),
        }
    }

    async fn commit(&self, tx: &Tx) {
        let wait = Duration::from_secs(30);
        let node = &self.node(0).node;
        node.submit_and_wait(tx.encode(), wait).await.unwrap();
    }

    async fn rows(&self, n: usize, filter: &Filter) -> Result<Rows, RowsError> {
        rows_via(
            &self.caller,
            &self.address(n),
            filter,
            Order::OldestFirst,
            None,
            10_000,
        )
        .await
    }

    /// Asks a node until it has this many rows and lacks no key.
    async fn whole(&self, n: usize, filter: &Filter, count: usize) -> Rows {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match self.rows(n, filter).await {
                Ok(rows) if rows.page.rows.len() == count && rows.unread.is_empty() => return rows,
                other => assert!(Instant::now() < deadline, "node {n}: {other:?}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn entry(&self, reference: String) -> AuditEntry {
        AuditEntry {
            time: self.clock.now(),
            actor: Actor::Named("imported".into()),
            role: None,
            organisation: caduceus_crypto::HospitalId::from_identity(&identity().public()),
            action: Action::Read,
            subtype: "open".into(),
            outcome: Outcome::Success,
            reason: reference.as_str().into(),
            patient: None,
            resource: Some(Resource::Record(Hash([6; 32]))),
            purpose: "TREAT".into(),
            grant: None,
            source: "ward 3".into(),
            request: "".into(),
            reference: reference.into(),
            statement: None,
        }
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 60 s: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Files below a folder that have these bytes somewhere, and how many files there are.
fn search(dir: &Path, needle: &[u8]) -> (Vec<PathBuf>, usize) {
    let (mut found, mut files) = (Vec::new(), 0);
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let below = search(&path, needle);
            found.extend(below.0);
            files += below.1;
        } else {
            files += 1;
            let bytes = std::fs::read(&path).unwrap();
            if bytes.windows(needle.len()).any(|part| part == needle) {
                found.push(path);
            }
        }
    }
    (found, files)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_nodes_keep_one_audit_log_and_forget_what_is_retired() {
    let mut world = World::new().await;
    for n in 0..VOTERS {
        world.start(n).await;
    }
    let doomed = world.bucket(ActionClass::ClinicalRead);
    let kept = world.bucket(ActionClass::ClinicalWrite);
    let keys = [(doomed, [0xd0; 32]), (kept, [0xce; 32])];
    let name = |bucket: &Bucket| -> [u8; 3] { borsh::to_vec(bucket).unwrap().try_into().unwrap() };
    let offer = |(bucket, key): &(Bucket, [u8; 32])| {
        BucketKeysRequest::Offer(LivingKey {
            bucket: name(bucket),
            key: *key,
        })
    };
    // The server hands fresh keys to one node before it uses them; nobody else gives or gets any.
    let stranger = caller(&identity()).await;
    let first = world.address(0);
    for key in &keys {
        assert!(
            stranger
                .call::<BucketKeys>(&first, offer(key))
                .await
                .is_err()
        );
        let reply = world.caller.call::<BucketKeys>(&first, offer(key)).await;
        assert_eq!(reply.unwrap(), BucketKeysReply::Kept);
    }
    let other = world
        .caller
        .call::<BucketKeys>(&first, offer(&(doomed, [1; 32])));
    assert_eq!(other.await.unwrap(), BucketKeysReply::Conflict);
    let wanted = BucketKeysRequest::Fetch {
        buckets: vec![name(&doomed)],
    };
    assert!(
        stranger
            .call::<BucketKeys>(&first, wanted.clone())
            .await
            .is_err()
    );

    let chain = world.genesis.chain_id();
    let mut count = 0;
    for batch in 0..12 {
        let mut draft = DraftBatch::new(&mut world.rng);
        for n in 0..25 {
            let (bucket, key) = &keys[n % 2];
            let word = [CANARY, "kept"][n % 2];
            let entry = world.entry(format!("{word}-{batch}-{n}"));
            draft.push(key, bucket.class, entry.time, &entry).unwrap();
            count += 1;
        }
        world
            .commit(&Tx::audit(draft.sign(&chain, &server())))
            .await;
    }
    let all = Filter::default();
    let answer = world.whole(0, &all, count).await;
    for n in 1..VOTERS {
        assert_eq!(world.whole(n, &all, count).await, answer, "node {n}");
    }
    let of_canary = Filter {
        reference: Some(format!("{CANARY}-3-4").into()),
        ..Filter::default()
    };
    assert_eq!(
        world.whole(2, &of_canary, 1).await.page.rows[0].sequence,
        79
    );
    // A newcomer has no vote and no keys, and gets both rows and keys from its peers.
    world.start(VOTERS).await;
    assert_eq!(world.whole(VOTERS, &all, count).await, answer);
    // Staff, auditors and strangers ask the server, not the nodes.
    let denied = rows_via(
        &caller(&key(99)).await,
        &first,
        &all,
        Order::OldestFirst,
        None,
        9,
    )
    .await;
    assert!(matches!(denied, Err(RowsError::Call(_))));
    // The hospital's identity and whoever has the node's key may search.
    for allowed in [identity(), operator_key(&node_key(0))] {
        let service = caller(&allowed).await;
        let found = rows_via(&service, &first, &all, Order::NewestFirst, None, 9)
            .await
            .unwrap();
        let newest: Vec<u64> = found.page.rows.iter().map(|row| row.sequence).collect();
        assert_eq!(
            newest,
            (count as u64 - 9..count as u64).rev().collect::<Vec<_>>()
        );
        service.shutdown().await;
    }

    let run_files = |world: &World, n: usize| {
        let dir = world.home(n).join("audit").join(doomed.to_string());
        std::fs::read_dir(dir).map_or(0, Iterator::count)
    };
    for n in 0..NODES {
        world.node(n).audit.index().flush().unwrap();
        assert!(
            run_files(&world, n) > 0,
            "node {n} has its entries in files"
        );
    }
    // Two months later.
    world.clock.0.store(70 * DAY, Ordering::SeqCst);
    world
        .commit(&Tx::Retire(SignedRetire::sign(doomed, &chain, &identity())))
        .await;
    until("every validator says that it forgot the bucket", || {
        let snapshot = world.node(0).node.chain().snapshot().unwrap();
        (0..VOTERS).all(|n| {
            let word = state::destroyed(&doomed, &node_key(n).public());
            word.is_set(&snapshot).unwrap()
        })
    })
    .await;
    until("the newcomer forgot it too", || {
        world.node(VOTERS).audit.keys().is_destroyed(&doomed)
    })
    .await;
    let left = answer
        .page
        .rows
        .iter()
        .filter(|row| row.class == kept.class);
    let left: Vec<_> = left.cloned().collect();
    for n in 0..NODES {
        assert_eq!(
            world.whole(n, &all, left.len()).await.page.rows,
            left,
            "node {n}"
        );
        assert_eq!(run_files(&world, n), 0, "node {n}");
        assert!(world.node(n).audit.keys().get(&doomed).unwrap().is_none());
    }
    let reply = world
        .caller
        .call::<BucketKeys>(&first, offer(&keys[0]))
        .await;
    assert_eq!(reply.unwrap(), BucketKeysReply::Gone);
    let reply = world.caller.call::<BucketKeys>(&first, wanted).await;
    assert_eq!(reply.unwrap(), BucketKeysReply::Keys(Vec::new()));

    for n in 0..NODES {
        world.nodes[n].take().unwrap().stop().await;
    }
    // The control: the search finds what is there.
    let planted = world.dir.path().join("planted");
    std::fs::write(&planted, format!("before {CANARY}-0-0 after")).unwrap();
    let (found, files) = search(world.dir.path(), CANARY.as_bytes());
    println!("{files} files searched");
    assert_eq!(found, [planted]);
    assert_eq!(
        search(world.dir.path(), &keys[0].1).0,
        Vec::<PathBuf>::new()
    );
    for n in 0..NODES {
        let store = Store::open(&world.home(n).join("chain.redb")).unwrap();
        let report = validate(
            &store,
            &world.genesis,
            &PrivateMachine,
            Depth::Execution,
            &mut |_, _| (),
        );
        let report = report.unwrap();
        assert_eq!(report.fault, None, "node {n}");
        assert!(report.transactions >= 17, "node {n}: {report:?}");
        let snapshot = store.snapshot().unwrap();
        assert_eq!(query::audit_count(&snapshot).unwrap(), count as u64);
    }
}

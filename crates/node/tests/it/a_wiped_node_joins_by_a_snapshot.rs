//! Four validators over both swarms; a snapshot every twenty heights. One prunes, one is wiped and joins again.

use crate::support::{Words, free_ports, genesis, key};
use caduceus_ledger::{Genesis, Height, INDEX_KEY_BYTES, Space, StateView, tx_id};
use caduceus_network::{Limits, PeerAddr, Service, ServiceConfig};
use caduceus_node::options::{Join, Keep};
use caduceus_node::service::anybody;
use caduceus_node::statesync::{self, Joined, serve_snapshots};
use caduceus_node::validate::{Depth, validate};
use caduceus_node::{
    BftSettings, ChainPolicy, Engine, Node, NodeConfig, NodeOptions, PeerRelay, RelayPeers,
    Snapshot, Store, StoreError, SubmitError, SystemClock, node::peer_id, serve_chain,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(20);
const EVERY: u64 = 20;

struct Hall {
    genesis: Genesis,
    consensus: Vec<u16>,
    services: Vec<u16>,
    root: PathBuf,
}

struct Member {
    node: Arc<Node<Words>>,
    service: Service,
    joined: Option<Joined>,
}

impl Member {
    async fn stop(self) {
        self.service.shutdown().await;
        self.node.stop().await;
    }

    fn tip(&self) -> u64 {
        self.node.chain().tip().height.0
    }
}

impl Hall {
    fn new(root: &Path) -> Self {
        let mut ports = free_ports(8);
        Self {
            genesis: genesis(4),
            services: ports.split_off(4),
            consensus: ports,
            root: root.to_path_buf(),
        }
    }

    fn home(&self, n: u8) -> PathBuf {
        self.root.join(format!("node{n}"))
    }

    fn others(n: u8) -> impl Iterator<Item = u8> {
        (0..4).filter(move |m| *m != n)
    }

    async fn start(&self, n: u8, join: Join, keep: Keep) -> Member {
        let at = |ports: &[u16], m: u8| format!("/ip4/127.0.0.1/tcp/{}", ports[usize::from(m)]);
        let full =
            |ports: &[u16], m: u8| format!("{}/p2p/{}", at(ports, m), peer_id(&key(m).public()));
        let service = Service::start(ServiceConfig {
            key: &key(n),
            listen: vec![at(&self.services, n).parse().unwrap()],
            limits: Limits::default(),
        })
        .await
        .unwrap();
        let peers: Vec<PeerAddr> = Self::others(n)
            .map(|m| full(&self.services, m).parse().unwrap())
            .collect();
        let config = NodeConfig {
            home: self.home(n),
            genesis: self.genesis.clone(),
            key: key(n),
            moniker: format!("hall-{}-{n}", self.consensus[usize::from(n)]),
            engine: Engine::Bft(BftSettings {
                listen: at(&self.consensus, n).parse().unwrap(),
                peers: Self::others(n)
                    .map(|m| full(&self.consensus, m).parse().unwrap())
                    .collect(),
            }),
            clock: Arc::new(SystemClock),
            options: NodeOptions {
                join,
                keep,
                snapshot_every: Some(EVERY),
                ..NodeOptions::default()
            },
        };
        let joined = statesync::join(&service, &peers, &config).await.unwrap();
        let node = Node::start(config, Words).await.unwrap();
        let relay = RelayPeers::new(peers);
        node.set_relay(Arc::new(PeerRelay::new(service.clone(), relay.clone())));
        let policy = ChainPolicy {
            program: "words",
            submit: anybody(),
            query: anybody(),
            relay: relay.clone(),
        };
        serve_chain(&service, &node, policy);
        serve_snapshots(&service, &node, relay);
        Member {
            node,
            service,
            joined,
        }
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + WAIT;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {WAIT:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn say(member: &Member, word: String) -> u64 {
    let done = member.node.submit_and_wait(word.into_bytes(), WAIT).await;
    done.unwrap_or_else(|error| panic!("{error}: {}", state(member)))
        .height
        .0
}

/// How consensus is doing, for a test that fails.
fn state(member: &Member) -> String {
    format!("tip {}, {:?}", member.tip(), member.node.report())
}

/// Opens a store once the node that had it has let it go.
async fn reopen(file: &Path) -> Store {
    let deadline = Instant::now() + WAIT;
    loop {
        match Store::open_damaged(file) {
            Ok(store) => return store,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn rows(view: &Snapshot, space: Space) -> Vec<(Vec<u8>, Vec<u8>)> {
    view.scan(space, b"", usize::MAX).unwrap()
}

/// Heights of the snapshots that a quorum attests to.
fn complete(member: &Member) -> Vec<u64> {
    let all = member.node.snapshots().all();
    all.iter()
        .filter(|kept| kept.complete())
        .map(|kept| kept.folder.manifest().height().0)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_wiped_node_joins_by_a_snapshot_and_a_pruned_one_serves_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let hall = Hall::new(dir.path());
    let mut members = Vec::new();
    for n in 0..4 {
        let keep = if n == 1 { Keep::Snapshot } else { Keep::All };
        let member = hall.start(n, Join::Snapshot, keep).await;
        assert_eq!(member.joined, None, "there is nothing to join by yet");
        members.push(member);
    }
    let mut words = 0u64;
    let mut height = 0;
    // No further than the snapshot: the node that is wiped has voted for nothing above it.
    while height < 2 * EVERY {
        words += 1;
        let speaker = &members[words as usize % 4];
        height = say(speaker, format!("word {words:04}")).await;
    }
    let whole = vec![EVERY, 2 * EVERY];
    until("two attested snapshots", || {
        members.iter().all(|member| complete(member) == whole)
    })
    .await;

    // The node that prunes: blocks are gone, headers stay, and it says so.
    let pruned = &members[1].node;
    let view = || pruned.chain().snapshot().unwrap();
    until("pruning", || view().kept_from().unwrap() == EVERY + 1).await;
    let gone = view().block(Height(5));
    assert!(
        matches!(gone, Err(StoreError::Pruned { height: 5, kept_from }) if kept_from == EVERY + 1)
    );
    assert!(matches!(
        view().results(Height(5)),
        Err(StoreError::Pruned { .. })
    ));
    assert!(view().certified(Height(5)).unwrap().is_some());
    assert!(view().block(Height(EVERY + 1)).unwrap().is_some());
    let (old, new) = (
        b"word 0001".to_vec(),
        format!("word {words:04}").into_bytes(),
    );
    let chain = pruned.chain();
    assert!(chain.prove_tx(&tx_id(&old)).unwrap().is_none());
    assert!(chain.prove_tx(&tx_id(&new)).unwrap().is_some());
    let again = pruned.submit_and_wait(old.clone(), WAIT).await;
    assert!(matches!(
        again,
        Err(SubmitError::Store(StoreError::Pruned { .. }))
    ));
    let archive = members[0].node.chain();
    assert!(archive.prove_tx(&tx_id(&old)).unwrap().is_some());

    // A node loses all but its key and its guard.
    let home = hall.home(3);
    members.pop().unwrap().stop().await;
    for entry in std::fs::read_dir(&home).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        } else if !path.ends_with("last-signed") {
            std::fs::remove_file(path).unwrap();
        }
    }
    for extra in 0..3 {
        words += 1;
        say(&members[extra], format!("word {words:04}")).await;
    }
    let back = hall.start(3, Join::Snapshot, Keep::All).await;
    let joined = back.joined.unwrap();
    assert_eq!(joined.height, Height(2 * EVERY));
    assert_eq!(joined.fetched, joined.bytes);
    let tip = members[0].tip();
    until("catching up", || back.tip() >= tip).await;
    let view = back.node.chain().snapshot().unwrap();
    assert_eq!(view.kept_from().unwrap(), 2 * EVERY + 1);
    assert!(matches!(
        view.block(Height(7)),
        Err(StoreError::Pruned { .. })
    ));

    // Every row is that of a node that executed every block.
    until("equal tips", || back.tip() == members[0].tip()).await;
    let (here, there) = (
        back.node.chain().snapshot().unwrap(),
        members[0].node.chain().snapshot().unwrap(),
    );
    let (mine, theirs) = (here.tip().unwrap().unwrap(), there.tip().unwrap().unwrap());
    assert_eq!(mine.header, theirs.header);
    let mut compared = 0;
    for space in [Space::Auth, Space::Bulk] {
        let expected = rows(&there, space);
        assert_eq!(rows(&here, space), expected);
        compared += expected.len();
    }
    for count in 0..=words + 1 {
        let mut row = [0u8; INDEX_KEY_BYTES];
        row[..8].copy_from_slice(&count.to_be_bytes());
        let expected = there.get(Space::Index, &row).unwrap();
        assert_eq!(expected.is_some(), (1..=words).contains(&count));
        assert_eq!(here.get(Space::Index, &row).unwrap(), expected);
        compared += 1;
    }
    assert!(
        back.node
            .chain()
            .prove_state(b"word word 0001")
            .unwrap()
            .is_some()
    );
    drop((here, there, view));

    // It votes: with one of the others gone, three of four are needed.
    members.remove(0).stop().await;
    for _ in 0..3 {
        words += 1;
        say(&back, format!("word {words:04}")).await;
    }
    let last = back.tip();
    until("the others", || {
        members.iter().all(|member| member.tip() >= last)
    })
    .await;
    back.stop().await;
    for member in members {
        member.stop().await;
    }

    // What they hold is right, from where they have it on.
    for (n, from) in [(0, 0), (1, EVERY), (3, 2 * EVERY)] {
        for depth in [Depth::Hashes, Depth::Execution] {
            let store = reopen(&hall.home(n).join("chain.redb")).await;
            let report = validate(&store, &hall.genesis, &Words, depth, &mut |_, _| ()).unwrap();
            assert_eq!(
                (report.fault, report.from),
                (None, from),
                "node {n}, {depth:?}"
            );
            assert_eq!(report.from + report.blocks, report.tip);
        }
    }
    println!(
        "{words} words, {compared} rows compared, joined at {}",
        joined.height
    );
}

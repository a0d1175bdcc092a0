//! A hospital founds an alliance and members change it, by the commands alone: what they print, and what they say to
//! mistakes.

use alliance_chain::node::{AllianceNode, AllianceNodeConfig};
use alliance_chain::{Account, Tx, query, state};
use caduceus_cli::{AllianceSection, NetworkFile, NodeEntry};
use caduceus_crypto::{HospitalId, SecretKey, TimeMillis, domain, encode};
use caduceus_ledger::{ChainKind, Genesis, Validator, ValidatorSet, validators};
use caduceus_node::{NodeHome, SystemClock};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

fn key(n: u8) -> SecretKey {
    SecretKey::derive(domain::NETWORK_KEY, &[b'm', n], &[])
}

/// Identity keys of hospitals 0 to 3 are 10 to 13, server keys 20 to 23.
fn identity(n: u8) -> SecretKey {
    key(10 + n)
}

fn hospital(n: u8) -> HospitalId {
    HospitalId::from_identity(&identity(n).public())
}

fn write_key(path: &Path, key: &SecretKey) {
    std::fs::write(path, hex::encode(&key.to_bytes()[..])).unwrap();
}

// A port is known to be free by having been bound.
#[allow(clippy::disallowed_types)]
fn free_ports() -> (u16, u16) {
    let held = [(), ()].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let port = |n: usize| held[n].local_addr().unwrap().port();
    (port(0), port(1))
}

struct World {
    dir: tempfile::TempDir,
}

/// What a command did: its exit code, its JSON, and what it said to people.
struct Done {
    code: Option<i32>,
    json: Value,
    said: String,
}

impl World {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    fn run(&self, arguments: &[&str]) -> Done {
        let done = Command::new(env!("CARGO_BIN_EXE_alliance-chain"))
            .args(arguments)
            .args(["--home", &self.text("n0"), "--output", "json"])
            .current_dir(self.dir.path())
            .env_clear()
            .output()
            .unwrap();
        Done {
            code: done.status.code(),
            json: serde_json::from_slice(&done.stdout).unwrap_or(Value::Null),
            said: String::from_utf8(done.stderr).unwrap(),
        }
    }

    /// Runs what must succeed.
    fn good(&self, arguments: &[&str]) -> Value {
        let done = self.run(arguments);
        assert_eq!(done.code, Some(0), "{arguments:?}: {}", done.said);
        done.json
    }

    /// Runs what must fail with this code and first line.
    fn bad(&self, arguments: &[&str], code: i32, what: &str) {
        let done = self.run(arguments);
        assert_eq!(done.code, Some(code), "{arguments:?}: {}", done.said);
        let lines: Vec<&str> = done.said.lines().collect();
        assert_eq!(lines.len(), 2, "{arguments:?}: {}", done.said);
        assert!(
            lines[0].contains(what),
            "{arguments:?}: {what:?} is not in {}",
            done.said
        );
        assert!(lines[1].starts_with("try: "), "{}", done.said);
    }
}

fn private_genesis(n: u8) -> Genesis {
    Genesis {
        kind: ChainKind::Private,
        name: format!("Hospital {n}"),
        time: TimeMillis(1_715_000_000_000),
        validators: ValidatorSet::new(vec![Validator {
            key: key(30 + n).public(),
            power: 1,
        }])
        .unwrap(),
        app: Vec::new(),
    }
}

/// Three founders, a node that is the only validator and a proxy.
fn found() -> World {
    let world = World {
        dir: tempfile::tempdir().unwrap(),
    };
    let mut founders = "name = \"alliance\"\n".to_owned();
    for n in 0..4 {
        std::fs::write(
            world.path(&format!("h{n}.genesis")),
            encode(&private_genesis(n)),
        )
        .unwrap();
        write_key(&world.path(&format!("h{n}.key")), &identity(n));
        if n < 3 {
            founders += &format!(
                "[[members]]\nname = \"Hospital {n}\"\nidentity = \"{}\"\nserver = \"{}\"\ngenesis = \"h{n}.genesis\"\n",
                identity(n).public(),
                key(20 + n).public()
            );
        }
    }
    let made = world.good(&["init"]);
    let own = made["key"].as_str().unwrap().to_owned();
    // A second time it finds the key.
    assert_eq!(world.good(&["init"])["key"], own.as_str());
    founders += &format!("[[validators]]\nkey = \"{own}\"\n");
    std::fs::write(world.path("founders.toml"), &founders).unwrap();
    std::fs::write(
        world.path("wrong.toml"),
        founders.replace("h1.genesis", "h7.genesis"),
    )
    .unwrap();
    world.bad(&["genesis", "wrong.toml"], 2, "h7.genesis");
    let genesis = world.good(&["genesis", "founders.toml"]);
    world.bad(&["genesis", "founders.toml"], 1, "exists already");
    let (service, consensus) = free_ports();
    let network = NetworkFile {
        index_scheme: "tags".to_owned(),
        alliance: AllianceSection {
            genesis: "alliance.genesis".to_owned(),
            chain_id: genesis["chain"].as_str().unwrap().to_owned(),
            nodes: vec![NodeEntry {
                name: "n0".to_owned(),
                service: format!(
                    "/ip4/127.0.0.1/tcp/{service}/p2p/{}",
                    caduceus_network::peer_id(&own.parse().unwrap())
                ),
                key: own,
                hospital: None,
            }],
        },
        hospitals: Vec::new(),
    };
    network.save(&world.path("network.toml")).unwrap();
    let (service, consensus) = (
        format!("/ip4/127.0.0.1/tcp/{service}"),
        format!("/ip4/127.0.0.1/tcp/{consensus}"),
    );
    let init = |genesis: &'static str| {
        [
            "init",
            "--network",
            "network.toml",
            "--genesis",
            genesis,
            "--solo",
        ]
    };
    let addresses = ["--service", &service, "--consensus", &consensus];
    world.bad(
        &[&init("h0.genesis")[..], &addresses].concat(),
        2,
        "another kind",
    );
    let made = world.good(&[&init("alliance.genesis")[..], &addresses].concat());
    assert_eq!(made["votes"], true);
    assert_eq!(made["chain"], genesis["chain"]);
    world.bad(
        &[&init("alliance.genesis")[..], &addresses].concat(),
        1,
        "exists already",
    );
    world
}

async fn start(world: &World) -> AllianceNode {
    let network = NetworkFile::load(&world.path("network.toml")).unwrap();
    let config = AllianceNodeConfig::from_home(
        NodeHome::load(&world.path("n0")).unwrap(),
        &network,
        Arc::new(SystemClock),
    );
    AllianceNode::start(config).await.unwrap()
}

async fn submit(node: &AllianceNode, tx: &Tx) {
    node.node
        .submit_and_wait(tx.encode(), Duration::from_secs(10))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_change_the_alliance_with_a_file_that_they_pass_around() {
    let world = found();
    let node = start(&world).await;
    world.bad(
        &["members", "propose", "remove", "Hospital 2"],
        1,
        "no block yet",
    );
    // Any transaction makes block 1.
    let account = Account {
        data_user: key(1).public(),
        receiving: key(2).public(),
        label: "Institute".into(),
        member: hospital(0),
    };
    let chain = node.node.chain().id();
    submit(&node, &Tx::Account(account.sign(&chain, &identity(0)))).await;

    let listed = world.good(&["members", "list"]);
    assert_eq!(listed.as_array().unwrap().len(), 3);
    let fourth = identity(3).public().to_string();
    let server = key(23).public().to_string();
    let admit = [
        "members",
        "propose",
        "admit",
        "--name",
        "Hospital 3",
        "--identity",
        &fourth,
        "--server",
        &server,
        "--genesis",
        "h3.genesis",
        "--out",
        "admit.txt",
    ];
    world.good(&admit);
    world.bad(&admit, 2, "exists already");
    world.good(&[
        "members",
        "propose",
        "remove",
        "Hospital 2",
        "--out",
        "remove.txt",
    ]);
    world.bad(
        &[
            "members",
            "propose",
            "remove",
            "Hospital 9",
            "--out",
            "x.txt",
        ],
        3,
        "Hospital 9",
    );
    let shown = world.good(&["members", "show", "admit.txt"]);
    assert_eq!(
        (&shown["ready"], &shown["needed"]),
        (&false.into(), &2.into())
    );
    world.bad(
        &["members", "submit", "admit.txt"],
        4,
        "0 of 3 members approve, 2 are needed",
    );
    let approve = |file: &'static str, identity: &'static str| {
        ["members", "approve", file, "--identity", identity]
    };
    world.good(&approve("admit.txt", "h0.key"));
    world.bad(
        &approve("admit.txt", "h0.key"),
        1,
        "Hospital 0 approved already",
    );
    world.bad(
        &approve("admit.txt", "h3.key"),
        4,
        "no member's identity key",
    );
    world.bad(&approve("admit.txt", "h9.key"), 2, "h9.key");
    world.bad(&approve("founders.toml", "h0.key"), 2, "no proposal");
    world.bad(
        &["members", "submit", "admit.txt"],
        4,
        "1 of 3 members approve, 2 are needed",
    );
    world.good(&approve("admit.txt", "h1.key"));
    let shown = world.good(&["members", "show", "admit.txt"]);
    assert_eq!(shown["ready"], true);
    assert_eq!(shown["not_yet"], serde_json::json!(["Hospital 2"]));
    world.good(&["members", "submit", "admit.txt"]);
    world.bad(
        &["members", "submit", "admit.txt"],
        1,
        "1 changes are decided",
    );
    // Proposed before, for the place that the admission took.
    world.bad(&approve("remove.txt", "h0.key"), 1, "is change 0");
    let snapshot = node.node.chain().snapshot().unwrap();
    assert_eq!(query::members(&snapshot).unwrap().len(), 4);

    // Four members: three approve. One approval is altered on the way.
    let voter = format!("{}=1", key(40).public());
    let propose = ["members", "propose", "validators", "--validator", &voter];
    world.bad(
        &[&propose[..], &["--out", "v.txt"]].concat(),
        2,
        "too much at once",
    );
    let own = NodeHome::load(&world.path("n0")).unwrap().key.public();
    let heavier = format!("{own}=3");
    let weights = ["--validator", &heavier, "--out", "v.txt"];
    world.good(&[&propose[..], &weights].concat());
    for identity in ["h0.key", "h1.key", "h3.key"] {
        world.good(&approve("v.txt", identity));
    }
    let text = std::fs::read_to_string(world.path("v.txt")).unwrap();
    let trimmed = text.trim_end();
    let last = if trimmed.ends_with('0') { '1' } else { '0' };
    let altered = format!("{}{last}\n", &trimmed[..trimmed.len() - 1]);
    std::fs::write(world.path("altered.txt"), altered).unwrap();
    world.bad(&["members", "submit", "altered.txt"], 5, "does not hold");
    world.good(&["members", "submit", "v.txt"]);
    let snapshot = node.node.chain().snapshot().unwrap();
    assert_eq!(validators(&snapshot).unwrap().total_power(), 4);
    assert_eq!(
        world
            .good(&["members", "validators"])
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let (new_identity, new_server) = (key(50).public().to_string(), key(51).public().to_string());
    world.good(&[
        "members",
        "propose",
        "rotate",
        "Hospital 0",
        "--identity",
        &new_identity,
        "--server",
        &new_server,
        "--out",
        "r.txt",
    ]);
    for identity in ["h1.key", "h2.key", "h3.key"] {
        world.good(&approve("r.txt", identity));
    }
    world.good(&["members", "submit", "r.txt"]);
    let snapshot = node.node.chain().snapshot().unwrap();
    let former = state::former_identities(&hospital(0))
        .get(&snapshot)
        .unwrap();
    assert_eq!(former, Some(vec![identity(0).public()]));

    assert_eq!(
        world
            .good(&["members", "proxies"])
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let affected = world.good(&["members", "affected", "--proxy", &own.to_string()]);
    assert_eq!(affected, serde_json::json!([]));
    world.bad(
        &["members", "affected", "--proxy", "02"],
        2,
        "not a public key",
    );
    node.stop().await;
    world.bad(&["members", "list"], 6, "the node does not answer");
}

/// Starts the program on the folder; its log goes to a file.
fn spawn(world: &World, log: &Path) -> std::process::Child {
    Command::new(env!("CARGO_BIN_EXE_alliance-chain"))
        .args(["start", "-v", "--home", &world.text("n0")])
        .env_clear()
        .stderr(std::fs::File::create(log).unwrap())
        .spawn()
        .unwrap()
}

fn signal(child: &std::process::Child, name: &str) {
    let done = Command::new("kill")
        .args([name, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(done.success());
}

/// Waits until the log says something.
async fn said(log: &Path, what: &str) {
    for _ in 0..200 {
        if std::fs::read_to_string(log).unwrap().contains(what) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!(
        "{what:?} is not in {}",
        std::fs::read_to_string(log).unwrap()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_signal_makes_a_node_read_its_peers_again_and_a_mistake_leaves_it_as_it_is() {
    let world = found();
    let log = world.path("log.txt");
    let mut child = spawn(&world, &log);
    said(&log, "running").await;
    signal(&child, "-HUP");
    said(&log, "peers and hospitals are read again").await;
    let file = world.path("n0/node.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{good}\nnonsense")).unwrap();
    signal(&child, "-HUP");
    said(&log, "nothing is read again").await;
    assert!(child.try_wait().unwrap().is_none());
    signal(&child, "-TERM");
    assert!(child.wait().unwrap().success());
}

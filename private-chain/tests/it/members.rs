//! A hospital makes its chain, changes its validators and its keys, by the commands alone.

use caduceus_cli::{AllianceSection, NetworkFile, NodeEntry};
use caduceus_crypto::{SecretKey, TimeMillis, domain};
use caduceus_ledger::validators;
use caduceus_node::home::read_key;
use caduceus_node::{Clock, NodeHome, SystemClock};
use private_chain::node::{PrivateNode, PrivateNodeConfig};
use private_chain::{Enrol, Role, Tx, query};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
}

impl World {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> (Option<i32>, Value, String) {
        let done = Command::new(env!("CARGO_BIN_EXE_private-chain"))
            .args(arguments)
            .args(["--home", &self.path("n0").to_string_lossy()])
            .args(["--output", "json"])
            .current_dir(self.dir.path())
            .env_clear()
            .output()
            .unwrap();
        let json = serde_json::from_slice(&done.stdout).unwrap_or(Value::Null);
        let said = String::from_utf8(done.stderr).unwrap();
        (done.status.code(), json, said)
    }

    pub(crate) fn good(&self, arguments: &[&str]) -> Value {
        let (code, json, said) = self.run(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
        json
    }

    pub(crate) fn bad(&self, arguments: &[&str], code: i32, what: &str) {
        let (found, _, said) = self.run(arguments);
        assert_eq!(found, Some(code), "{arguments:?}: {said}");
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 2, "{arguments:?}: {said}");
        assert!(lines[0].contains(what), "{arguments:?}: {said}");
    }

    pub(crate) fn key(&self, name: &str) -> SecretKey {
        read_key(&self.path(name)).unwrap()
    }

    pub(crate) fn made_key(&self, name: &str) -> String {
        let made = self.good(&["key", name]);
        let key = made["key"].as_str().unwrap().to_owned();
        assert_eq!(self.key(name).public().to_string(), key);
        key
    }
}

// A port is known to be free by having been bound.
#[allow(clippy::disallowed_types)]
pub(crate) fn free_addresses() -> [String; 2] {
    let held = [(), ()].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|l| format!("/ip4/127.0.0.1/tcp/{}", l.local_addr().unwrap().port()))
}

pub(crate) fn network(path: &Path) {
    let key = SecretKey::derive(domain::NETWORK_KEY, b"alliance", &[]).public();
    let network = NetworkFile {
        index_scheme: "tags".to_owned(),
        alliance: AllianceSection {
            genesis: "alliance.genesis".to_owned(),
            chain_id: "ab".repeat(32),
            nodes: vec![NodeEntry {
                name: "n0".to_owned(),
                service: format!(
                    "/ip4/127.0.0.1/tcp/1/p2p/{}",
                    caduceus_network::peer_id(&key)
                ),
                key: key.to_string(),
                hospital: None,
            }],
        },
        hospitals: Vec::new(),
    };
    network.save(path).unwrap();
}

/// The hospital changes its policy at its running node.
fn policies(world: &World) {
    let write = |name: &str, text: &str| std::fs::write(world.path(name), text).unwrap();
    let shown = world.good(&["policy", "show"]);
    assert_eq!(shown["in_force"]["generation"], Value::Null);
    assert_eq!(
        (&shown["proposals"], &shown["next"]),
        (&0.into(), &Value::Null)
    );
    let text = shown["in_force"]["text"].as_str().unwrap();
    write(
        "new.cedar",
        &text.replace("\"physician\", Role::\"nurse\"", "\"nurse\""),
    );
    write(
        "limits.toml",
        "per_slot = 500\n[retention_months]\naudit-read = 36\n",
    );
    write(
        "bad.cedar",
        &text.replace("State::\"absent\"", "State::\"gone\""),
    );
    let all = "@id(\"none\") forbid (principal, action, resource);";
    write("locked.cedar", &format!("{text}{all}"));
    let who = |role: &str| {
        let role = format!("role={role}");
        let own = "relation=own,state=absent";
        let ask = [
            "--action",
            "upload",
            "--principal",
            &role,
            "--resource",
            own,
        ];
        world.good(&[&["policy", "check", "new.cedar"], &ask[..]].concat())
    };
    assert_eq!(
        who("physician")["why"],
        "no policy permits upload to a physician"
    );
    let permitted = who("nurse");
    assert_eq!(permitted["allowed"], true);
    assert_eq!(permitted["policies"][0], "clinicians-write-own-records");
    let propose = |file| ["policy", "propose", file, "--at", "+2"];
    let with = |file, more: &[&'static str]| [&propose(file)[..], more].concat();
    world.bad(&propose("bad.cedar"), 5, "does not validate: line ");
    world.bad(&propose("locked.cedar"), 4, "policy_locks_out");
    world.bad(
        &with("new.cedar", &["--identity", "server.key"]),
        4,
        "policy_not_signed",
    );
    write("bad.toml", "[retention_months]\nodd = 36\n");
    world.bad(
        &with("new.cedar", &["--limits", "bad.toml"]),
        2,
        "no class of entries",
    );
    world.bad(
        &["policy", "propose", "new.cedar", "--at", "1"],
        4,
        "policy_too_early",
    );
    let made = world.good(&with("new.cedar", &["--limits", "limits.toml"]));
    assert_eq!(made["generation"], 0);
    let shown = world.good(&["policy", "show"]);
    assert_eq!(shown["proposals"], 1);
    // Its block is the one before it applies, so it judges the next.
    assert_eq!(shown["in_force"]["generation"], 0);
    assert_eq!(shown["in_force"]["per_slot"], 500);
    assert_eq!(shown["in_force"]["retention_months"]["audit-read"], 36);
    assert_eq!(shown["in_force"]["since"], made["applies_at"]);
    world.good(&["policy", "propose", "new.cedar", "--at", "+1000"]);
    let shown = world.good(&["policy", "show"]);
    assert_eq!(shown["in_force"]["generation"], 0);
    assert_eq!(shown["next"]["generation"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hospital_makes_its_chain_and_changes_validators_and_keys() {
    let world = World {
        dir: tempfile::tempdir().unwrap(),
    };
    let identity = world.made_key("identity.key");
    let server = world.made_key("server.key");
    world.bad(&["key", "server.key"], 1, "exists already");
    let own = world.good(&["init"])["key"].as_str().unwrap().to_owned();
    let genesis = [
        "genesis",
        "--name",
        "St Mary",
        "--identity",
        &identity,
        "--out",
        "h.genesis",
        "--validator",
        &own,
        "--server",
    ];
    world.bad(&[&genesis[..], &[&identity]].concat(), 2, "two keys");
    world.good(&[&genesis[..], &[&server]].concat());
    network(&world.path("network.toml"));
    let [service, consensus] = free_addresses();
    let made = world.good(&[
        "init",
        "--network",
        "network.toml",
        "--genesis",
        "h.genesis",
        "--service",
        &service,
        "--consensus",
        &consensus,
        "--solo",
    ]);
    assert_eq!(made["votes"], true);

    let home = NodeHome::load(&world.path("n0")).unwrap();
    let read = NetworkFile::load(&world.path("network.toml")).unwrap();
    let config = PrivateNodeConfig::from_home(home, &read, Arc::new(SystemClock));
    let node = PrivateNode::start(config).await.unwrap();
    let chain = node.node.chain().id();
    let now = SystemClock.now();
    let enrol = Enrol {
        staff: SecretKey::derive(domain::NETWORK_KEY, b"nurse", &[]).public(),
        role: Role::Nurse,
        label: "nurse".into(),
        not_before: now,
        not_after: TimeMillis(now.0 + 3_600_000),
    };
    let tx = Tx::Enrol(enrol.sign(&chain, &world.key("identity.key")));
    node.node
        .submit_and_wait(tx.encode(), Duration::from_secs(10))
        .await
        .unwrap();

    let shown = world.good(&["members", "show"]);
    assert_eq!(
        (&shown["identity"], &shown["generation"]),
        (&identity.into(), &0.into())
    );
    let second = SecretKey::derive(domain::NETWORK_KEY, b"second", &[])
        .public()
        .to_string();
    let change = ["members", "validators", "--validator", &second];
    world.bad(&change, 2, "too much at once");
    let heavier = format!("{own}=3");
    let weights = ["--validator", &heavier];
    world.bad(
        &[&change[..], &weights, &["--identity", "server.key"]].concat(),
        4,
        "not the hospital's identity key",
    );
    world.good(&[&change[..], &weights].concat());
    let snapshot = node.node.chain().snapshot().unwrap();
    assert_eq!(validators(&snapshot).unwrap().count(), 2);

    policies(&world);

    let (new_identity, new_server) = (
        world.made_key("identity2.key"),
        world.made_key("server2.key"),
    );
    world.good(&[
        "members",
        "rotate",
        "--new-identity",
        "identity2.key",
        "--new-server",
        "server2.key",
        "--grace-hours",
        "1",
    ]);
    let snapshot = node.node.chain().snapshot().unwrap();
    let keys = query::hospital_keys(&snapshot).unwrap();
    assert_eq!(keys.generation, 2);
    assert_eq!(keys.identity.to_string(), new_identity);
    assert_eq!(keys.server.to_string(), new_server);
    assert_eq!(keys.former.unwrap().key, world.key("server.key").public());
    // The old identity key is a stranger's now, the old server key is in its grace.
    world.bad(&["members", "show"], 6, "the node does not answer");
    world.good(&["members", "show", "--identity", "server.key"]);
    world.good(&["members", "show", "--identity", "identity2.key"]);
    world.bad(
        &[
            "members",
            "rotate",
            "--new-server",
            "server2.key",
            "--identity",
            "identity2.key",
        ],
        4,
        "rotate_same",
    );
    node.stop().await;
}

//! `alliance-chain inspect` and `proxy status` over the files of a node: what they print, and how they end.

use crate::home::{NOW, account, genesis, hospital, key, report, write_chain};
use caduceus_cli::{AllianceSection, NetworkFile, NodeEntry};
use caduceus_crypto::{Hash, TimeMillis};
use caduceus_ledger::{Address, tx_id};
use caduceus_network::peer_id;
use caduceus_node::{Clock, SystemClock};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn run(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_alliance-chain"))
        .args(arguments)
        .args(["--output", "json"])
        .env_clear()
        .env("CADUCEUS_HOME", home)
        .output()
        .unwrap()
}

fn said(done: &Output) -> String {
    String::from_utf8(done.stderr.clone()).unwrap()
}

fn shown(home: &Path, arguments: &[&str]) -> Value {
    let done = run(home, arguments);
    assert_eq!(
        done.status.code(),
        Some(0),
        "{arguments:?}: {}",
        said(&done)
    );
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Two blocks: a data user, and a report.
fn write(home: &Path) -> [Vec<u8>; 2] {
    let chain = genesis(NOW).chain_id();
    let txs = [account(&chain, 1), report(&chain)];
    write_chain(home, NOW, 1, &txs);
    txs
}

#[test]
fn each_subject_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let [account, report] = write(home).map(|tx| tx_id(&tx).to_string());
    let me = Address::of(&key(3).public()).to_string();
    let member = hospital().to_string();

    let block = shown(home, &["inspect", "block"]);
    assert_eq!(
        (&block["height"], &block["kinds"]),
        (&json!(2), &json!({ "report": 1 }))
    );
    assert_eq!(block["certificate"]["signers"], json!([me]));
    let blocks = shown(home, &["inspect", "blocks", "--from", "1"]);
    assert_eq!(blocks[0]["kinds"], json!({ "account": 1 }));
    assert_eq!(blocks[1]["hash"], block["hash"]);

    let tx = shown(home, &["inspect", "tx", &account]);
    assert_eq!(
        (&tx["kind"], &tx["label"]),
        (&json!("account"), &json!("Institute number 0001"))
    );
    assert_eq!(tx["data_user"], key(101).public().to_string());
    let tx = shown(home, &["inspect", "tx", &report]);
    assert_eq!(tx["kind_of_misbehaviour"], "fork");

    let validators = shown(home, &["inspect", "validators"]);
    assert_eq!(
        (&validators[0]["address"], &validators[0]["power"]),
        (&json!(me), &json!(1))
    );
    let state = shown(home, &["inspect", "state", "generation"]);
    assert_eq!(
        (&state["space"], &state["value"]),
        (&json!("auth"), &json!("00".repeat(8)))
    );

    let members = shown(home, &["inspect", "members"]);
    assert_eq!(
        (&members[0]["hospital"], &members[0]["active"]),
        (&json!(member), &json!(true))
    );
    assert_eq!(
        members[0]["private_validators"],
        json!([{ "address": me, "power": 1 }])
    );
    let proxies = shown(home, &["inspect", "proxies"]);
    assert_eq!(
        (&proxies[0]["validator"], &proxies[0]["votes"]),
        (&json!(me), &json!(true))
    );
    let heads = shown(home, &["inspect", "heads"]);
    assert_eq!(
        (&heads[0]["checkpointed"], &heads[0]["linked"]),
        (&Value::Null, &json!(0))
    );
    assert_eq!(shown(home, &["inspect", "checkpoints", &member]), json!([]));
    for arguments in [
        &["inspect", "reports"][..],
        &["inspect", "reports", member.as_str()],
    ] {
        let reports = shown(home, arguments);
        assert_eq!(
            (&reports[0]["report"], &reports[0]["kind"]),
            (&json!(report), &json!("fork"))
        );
        assert_eq!(
            (&reports[0]["proved"], &reports[0]["height"]),
            (&json!(false), &json!(2))
        );
    }
    let params = shown(home, &["inspect", "params"]);
    assert_eq!(
        (&params["index_scheme"], &params["generation"]),
        (&json!("tags"), &json!(0))
    );
    assert_eq!(shown(home, &["inspect", "issuers"]), json!([]));
    let data_user = key(101).public().to_string();
    let whose = [
        ["--data-user", data_user.as_str()],
        ["--pseudonym", data_user.as_str()],
    ];
    for whose in whose {
        assert_eq!(
            shown(home, &["inspect", "grants", whose[0], whose[1]]),
            json!([])
        );
    }
}

#[test]
fn each_mistake_is_two_lines() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    write(home);
    let unknown = Hash([9; 32]).to_string();
    let cases: &[(&[&str], i32, &str)] = &[
        (&["inspect", "block", "3"], 3, "there is no block 3"),
        (
            &["inspect", "blocks", "--from", "2", "--to", "1"],
            2,
            "--from 2 is above --to 1",
        ),
        (
            &["inspect", "tx", &unknown],
            3,
            "is not committed on this chain",
        ),
        (
            &["inspect", "tx", "nonsense"],
            2,
            "expected 64 hexadecimal digits",
        ),
        (
            &["inspect", "state", "nothing"],
            3,
            "holds nothing under nothing",
        ),
        (&["inspect", "state", "\\q"], 2, "expected 1 to 1024 bytes"),
        (
            &["inspect", "checkpoints", &unknown],
            3,
            "never was a member",
        ),
        (&["inspect", "reports", &unknown], 3, "never was a member"),
        (&["inspect", "accesses", &unknown], 3, "there is no grant"),
        (&["inspect", "grants"], 2, "required"),
        (&["inspect", "grants", "--data-user", "x"], 2, "66"),
    ];
    for (arguments, code, says) in cases {
        let done = run(home, arguments);
        let text = said(&done);
        assert_eq!(done.status.code(), Some(*code), "{arguments:?}: {text}");
        assert_eq!(text.lines().count(), 2, "{arguments:?}: {text}");
        assert!(text.contains(says), "{arguments:?}: {text}");
        assert!(done.stdout.is_empty(), "{arguments:?}");
    }
    println!("{} mistakes", cases.len());
}

/// A running node; killed in the end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It is gone already: nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(home: &Path, port: u16) -> Running {
    let network = NetworkFile {
        index_scheme: "tags".into(),
        alliance: AllianceSection {
            genesis: "alliance.genesis".into(),
            chain_id: genesis(NOW).chain_id().to_string(),
            nodes: vec![NodeEntry {
                name: "n0".into(),
                service: format!(
                    "/ip4/127.0.0.1/tcp/{port}/p2p/{}",
                    peer_id(&key(3).public())
                ),
                key: key(3).public().to_string(),
                hospital: None,
            }],
        },
        hospitals: Vec::new(),
    };
    network.save(&home.join("network.toml")).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_alliance-chain"))
        .arg("start")
        .env_clear()
        .env("CADUCEUS_HOME", home)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Running(child)
}

#[test]
fn a_proxy_tells_of_itself_running_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let now = TimeMillis(SystemClock.now().0 - 2_000);
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    write_chain(home, now, port, &[account(&genesis(now).chain_id(), 1)]);
    std::fs::create_dir(home.join("fragments")).unwrap();
    let fragment = home.join("fragments").join(Hash([7; 32]).to_string());
    std::fs::write(fragment, b"sealed").unwrap();

    let expected = |status: &Value, running: bool| {
        assert_eq!(status["running"], running, "{status}");
        assert_eq!(status["answers"], running, "{status}");
        assert_eq!(status["is_proxy"], true, "{status}");
        assert_eq!(
            (&status["fragments"], &status["unknown"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(
            (&status["active"], &status["ended"]),
            (&json!(0), &json!(0))
        );
        assert_eq!(status["max_head_age_ms"], 45_000);
    };
    let at_rest = shown(home, &["proxy", "status"]);
    expected(&at_rest, false);
    assert_eq!(at_rest["height"], 1);

    let node = start(home, port);
    let begun = Instant::now();
    let running = loop {
        let done = run(home, &["proxy", "status"]);
        if done.status.code() == Some(0) {
            let status: Value = serde_json::from_slice(&done.stdout).unwrap();
            if status["running"] == true {
                break status;
            }
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", said(&done));
        std::thread::sleep(Duration::from_millis(100));
    };
    expected(&running, true);
    let locked = run(home, &["inspect", "members"]);
    assert_eq!(locked.status.code(), Some(7), "{}", said(&locked));
    let text = said(&locked);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(
        lines[0].starts_with("error: the store is in use: a node runs in "),
        "{text}"
    );
    assert_eq!(
        lines[1],
        "try: stop the node first, then inspect; or ask it how it is doing with status"
    );
    drop(node);
}

//! `private-chain mine`: the chain of the logging paper, as people and programs see it.

use caduceus_crypto::{SecretKey, TimeMillis, encode};
use caduceus_ledger::{ChainKind, Genesis, Validator, ValidatorSet};
use caduceus_node::{Clock, Store, SystemClock};
use private_chain::PrivateGenesis;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

/// N of 3 at the most: thousands of tries.
const QUICK: [&str; 2] = ["--max-n", "3"];

fn run(home: Option<&Path>, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_private-chain"));
    command.args(arguments).env_clear();
    if let Some(home) = home {
        command.arg("--home").arg(home);
    }
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn shown(home: Option<&Path>, arguments: &[&str]) -> Value {
    let done = run(home, &[arguments, &["--output", "json"]].concat());
    let said = text(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{arguments:?}: {said}");
    serde_json::from_slice(&done.stdout).unwrap()
}

fn mine(home: Option<&Path>, blocks: &str) -> Value {
    shown(home, &[&["mine", "--blocks", blocks][..], &QUICK].concat())
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32]).unwrap()
}

/// The folder of a node that has not run yet.
fn write_home(home: &Path, engine: &str) {
    let own = PrivateGenesis::new("St Mary".into(), key(1).public(), key(2).public()).unwrap();
    let voter = Validator {
        key: key(3).public(),
        power: 1,
    };
    let genesis = Genesis {
        kind: ChainKind::Private,
        name: "st-mary".into(),
        time: TimeMillis(SystemClock.now().0 - 1_000),
        validators: ValidatorSet::new(vec![voter]).unwrap(),
        app: own.encode(),
    };
    let node = format!(
        "moniker = \"mined\"\ngenesis = \"st-mary.genesis\"\nnetwork = \"network.toml\"\nengine = \"{engine}\"\n\
         service_listen = \"/ip4/127.0.0.1/tcp/1\"\nconsensus_listen = \"/ip4/127.0.0.1/tcp/2\"\n"
    );
    std::fs::write(home.join("node.toml"), node).unwrap();
    std::fs::write(home.join("node.key"), hex::encode([3; 32])).unwrap();
    std::fs::write(home.join("st-mary.genesis"), encode(&genesis)).unwrap();
}

#[test]
fn blocks_are_printed_as_in_the_paper() {
    let done = run(
        None,
        &[&["mine", "--miners", "4", "--blocks", "3"][..], &QUICK].concat(),
    );
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let printed = text(&done.stdout);
    let blocks: Vec<Vec<&str>> = printed
        .split("\n\n")
        .map(|block| block.lines().collect())
        .collect();
    assert_eq!(blocks.len(), 3, "{printed}");
    let mut previous = "0";
    for (n, block) in blocks.iter().enumerate() {
        assert_eq!(block.len(), 11, "{printed}");
        assert_eq!(block[0], "Block:");
        assert!(block[1].starts_with("Created by miner # "), "{printed}");
        assert_eq!(block[2], format!("Id: {}", n + 1));
        assert!(block[3].starts_with("Timestamp: "), "{printed}");
        assert!(block[4].starts_with("Magic number: "), "{printed}");
        assert_eq!(
            block[5..8],
            [
                "Hash of the previous block:",
                previous,
                "Hash of the block:"
            ]
        );
        previous = block[8];
        assert!(previous.starts_with(&"0".repeat(n)), "{printed}");
        assert!(
            block[9].starts_with("Block was generating for "),
            "{printed}"
        );
        assert!(block[10].starts_with("N "), "{printed}");
    }
}

#[test]
fn the_chain_of_a_node_goes_on_and_validates() {
    let folder = tempfile::tempdir().unwrap();
    let home = Some(folder.path());
    write_home(folder.path(), "pow");
    let first = mine(home, "3");
    let more = mine(home, "2");
    assert_eq!(
        (&first[0]["id"], &first[0]["previous_hash"]),
        (&json!(1), &json!("0"))
    );
    assert_eq!((&more[0]["id"], &more[1]["id"]), (&json!(4), &json!(5)));
    assert_eq!(more[0]["previous_hash"], first[2]["hash"]);
    assert_eq!(more[0]["n"], first[2]["n_next"]);

    for flags in [&["validate"][..], &["validate", "--fast"]] {
        let found = shown(home, flags);
        assert_eq!(
            (&found["holds"], &found["seals"]),
            (&json!(true), &json!(5)),
            "{found}"
        );
    }
    let block = shown(home, &["inspect", "block"]);
    assert_eq!((&block["height"], &block["seal"]), (&json!(5), &more[1]));
    let blocks = shown(home, &["inspect", "blocks", "--from", "4"]);
    assert_eq!(
        (&blocks[0]["height"], &blocks[0]["n"]),
        (&json!(4), &more[0]["n"])
    );
    let checkpoint = shown(home, &["inspect", "checkpoint", "4"]);
    assert_eq!(
        (&checkpoint["hash"], &checkpoint["anchors"]),
        (&blocks[0]["hash"], &json!(0))
    );
}

#[test]
fn a_chain_that_lost_its_seals_does_not_validate() {
    let folder = tempfile::tempdir().unwrap();
    write_home(folder.path(), "pow");
    mine(Some(folder.path()), "2");
    let db = redb::Database::open(folder.path().join("chain.redb")).unwrap();
    let seals = redb::TableDefinition::<u64, &[u8]>::new("seals");
    let txn = db.begin_write().unwrap();
    assert!(txn.delete_table(seals).unwrap());
    txn.commit().unwrap();
    drop(db);
    let done = run(Some(folder.path()), &["validate"]);
    assert_eq!(done.status.code(), Some(5));
    let said = text(&done.stderr);
    assert!(
        said.starts_with("error: height 1: the seal is missing"),
        "{said}"
    );
}

#[test]
fn each_mistake_is_two_lines() {
    let [mined, solo, used] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    write_home(mined.path(), "pow");
    mine(Some(mined.path()), "1");
    write_home(solo.path(), "solo");
    write_home(used.path(), "pow");
    let _running = Store::open(&used.path().join("chain.redb")).unwrap();
    let cases: &[(Option<&Path>, &[&str], i32, &str)] = &[
        (Some(solo.path()), &[], 2, "runs the engine solo, not pow"),
        (
            Some(mined.path()),
            &["--max-n", "4"],
            2,
            "has another rule already",
        ),
        (Some(used.path()), &[], 7, "the store is in use"),
        (Some(Path::new("/nonexistent/node")), &[], 2, "no node here"),
        (
            None,
            &["--max-n", "13"],
            2,
            "N up to 13, at most 12 allowed",
        ),
        (
            None,
            &["--rise-below-ms", "2000"],
            2,
            "N rises below 2000 ms and falls above 1000 ms",
        ),
        (None, &["--miners", "0"], 2, "0 is not in 1..=64"),
        (None, &["--blocks", "0"], 2, "0 is not in 1..=100000"),
    ];
    for (home, flags, code, says) in cases {
        let done = run(*home, &[&["mine"][..], flags].concat());
        let said = text(&done.stderr);
        assert_eq!(done.status.code(), Some(*code), "{flags:?}: {said}");
        assert_eq!(said.lines().count(), 2, "{flags:?}: {said}");
        assert!(said.contains(says), "{flags:?}: {said}");
        assert!(done.stdout.is_empty(), "{flags:?}");
    }
    println!("{} mistakes", cases.len());
}

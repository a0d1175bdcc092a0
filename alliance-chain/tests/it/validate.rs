//! `alliance-chain validate` over the files of a node: what it prints, and how it ends.

use crate::home::write_home;
use caduceus_node::Store;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

/// Changes some bytes in the file wherever they stand, as an editor of files would.
fn edit(home: &Path, from: &[u8], to: &[u8]) {
    let path = home.join("chain.redb");
    let mut bytes = std::fs::read(&path).unwrap();
    let places: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, window)| *window == from)
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "nothing to edit");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    std::fs::write(&path, bytes).unwrap();
}

fn validate(home: &Path, flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_alliance-chain"))
        .args(["validate", "--output", "json"])
        .args(flags)
        .env_clear()
        .env("CADUCEUS_HOME", home)
        .output()
        .unwrap()
}

fn data(done: &Output) -> Value {
    serde_json::from_slice(&done.stdout).unwrap()
}

fn said(done: &Output) -> String {
    String::from_utf8(done.stderr.clone()).unwrap()
}

#[test]
fn a_whole_chain_holds() {
    let home = tempfile::tempdir().unwrap();
    write_home(home.path());
    for flags in [&[][..], &["--fast"]] {
        let done = validate(home.path(), flags);
        assert_eq!(said(&done), "");
        assert_eq!(done.status.code(), Some(0));
        assert_eq!(
            data(&done),
            json!({
                "tip": 5,
                "from": 0,
                "blocks": 5,
                "transactions": 5,
                "seals": 0,
                "holds": true,
                "height": null,
                "what": null,
                "transaction_index": null,
                "transaction_id": null,
            })
        );
    }
}

#[test]
fn an_edited_transaction_ends_with_two_lines_and_code_5() {
    let home = tempfile::tempdir().unwrap();
    write_home(home.path());
    edit(
        home.path(),
        b"Institute number 0003",
        b"Institute number 9993",
    );
    for flags in [&[][..], &["--fast"]] {
        let done = validate(home.path(), flags);
        assert_eq!(done.status.code(), Some(5), "{}", said(&done));
        let found = data(&done);
        assert_eq!(found["holds"], false);
        assert_eq!((&found["height"], &found["blocks"]), (&json!(3), &json!(2)));
        assert_eq!(found["transaction_index"], 0);
        let id = found["transaction_id"].as_str().unwrap();
        assert_eq!(
            said(&done),
            format!(
                "error: height 3: the transactions are not those of the header's root (transaction 0, {id})\n\
                 try: restore or resync this node: put back a backup of chain.redb, or move it away and start \
                 the node, which catches up from the others\n"
            )
        );
    }
}

#[test]
fn a_store_in_use_or_no_node_at_all_is_two_lines() {
    let home = tempfile::tempdir().unwrap();
    let done = validate(home.path(), &[]);
    assert_eq!(done.status.code(), Some(2));
    assert!(said(&done).starts_with("error: no node here: "));
    assert_eq!(said(&done).lines().count(), 2);

    write_home(home.path());
    let _running = Store::open(&home.path().join("chain.redb")).unwrap();
    let done = validate(home.path(), &[]);
    assert_eq!(done.status.code(), Some(1));
    let said = said(&done);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(
        lines[0].starts_with("error: the store cannot be read: "),
        "{said}"
    );
    assert_eq!(lines[1], "try: stop the node first, then validate");
    assert!(done.stdout.is_empty());
}

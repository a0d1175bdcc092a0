//! A few cycles of each way to break a node; `sim chaos` runs the long ones.

use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

fn chaos(arguments: &[&str]) -> Value {
    let begun = Instant::now();
    let done = Command::new(env!("CARGO_BIN_EXE_sim"))
        .arg("chaos")
        .args(arguments)
        .args(["--output", "json"])
        .output()
        .unwrap();
    let (stdout, stderr) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    println!("{arguments:?} took {:?}: {stdout}", begun.elapsed());
    assert!(done.status.success(), "{}: {stdout}{stderr}", done.status);
    serde_json::from_str(&stdout).unwrap()
}

#[test]
fn killed_nodes_lose_nothing_and_a_node_without_guard_is_caught() {
    let report = chaos(&["crash", "--cycles", "3", "--seed", "7"]);
    assert_eq!(report["cycles"], 3);
    for none in ["lost", "duplicated", "misplaced", "double_signatures"] {
        assert_eq!(report[none], 0, "{none}");
    }
    assert!(report["acknowledged"].as_u64().unwrap() > 10);
    assert!(report["in_flight"]["least"].as_u64().unwrap() > 0);
    assert_eq!(report["validated"], true);
    assert_eq!(report["control_caught"], true);
}

#[test]
fn changed_bytes_are_detected_or_harmless() {
    let report = chaos(&["flips", "--flips", "200", "--seed", "3"]);
    assert_eq!(report["flips"], 200);
    assert_eq!(
        (&report["silent"], &report["panics"]),
        (&0.into(), &0.into())
    );
    assert!(report["detected"].as_u64().unwrap() > 50);
    let kinds = report["by_file"].as_object().unwrap();
    for kind in ["chain.redb", "last-signed", "node.key", "chain.genesis"] {
        assert!(kinds[kind]["detected"].as_u64().unwrap() > 0, "{kind}");
    }
}

#[test]
fn a_node_with_damaged_files_works_or_refuses() {
    let report = chaos(&["files", "--only", "chain: cut"]);
    assert_eq!(
        (&report["tried"], &report["refuses"]),
        (&1.into(), &1.into())
    );
    assert_eq!(report["cases"][0]["right"], true);
}

#[test]
fn only_sim_may_ask_for_nodes_without_a_guard() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut read = 0;
    for folder in ["", "crates"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let manifest = entry.unwrap().path().join("Cargo.toml");
            let Ok(text) = std::fs::read_to_string(&manifest) else {
                continue;
            };
            read += 1;
            let asks = text.contains("risky-no-guard");
            let may = ["sim/Cargo.toml", "crates/node/Cargo.toml"]
                .iter()
                .any(|allowed| manifest.ends_with(allowed));
            assert_eq!(asks, may, "{}", manifest.display());
        }
    }
    assert!(read > 10, "{read} manifests read");
}

#[test]
fn a_server_killed_between_entry_and_action_leaves_no_action_unlogged() {
    let report = chaos(&["audit", "--kills", "4", "--seed", "5", "--validators", "1"]);
    assert_eq!(report["kills"], 4);
    assert_eq!(report["unlogged_actions"], 0);
    assert_eq!(report["unknown_alone"], 0);
    // How many depends on the machine: the bench of kills has a hundred of them.
    assert!(report["actions"].as_u64().unwrap() > 3);
    assert!(report["unknown_closed"].as_u64().unwrap() > 0);
    assert_eq!(report["control_caught"], true);
}

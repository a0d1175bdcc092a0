//! Network files that name an index scheme which does not exist, or another than the network's, with each program.

use super::program::{ALLIANCE_CHAIN, Call, DATA_USER, HOSPITAL, PATIENT, PRIVATE_CHAIN};
use super::table::{Case, Table};
use super::world::{NORTH, World};
use caduceus_cli::ExitCode::{Usage, VerificationFailed};
use std::path::{Path, PathBuf};

/// What stands in the network's own file.
const RIGHT: &str = "index_scheme = \"tags\"";

/// What stands there instead, and what the first line says.
const WRONG: &[(&str, &str)] = &[
    ("\"rot13\"", "is not one of tags, peks, paeks"),
    ("\"TAGS\"", "is not one of tags, peks, paeks"),
    ("\"\"", "is not one of tags, peks, paeks"),
    ("7", "invalid type: integer"),
];

pub async fn run(world: &World, table: &mut Table) {
    let mut cases = vec![Case::works(
        "that is right",
        by_everybody(world, &network(world, "right", "\"tags\""))
            .remove(0)
            .1,
    )];
    for (number, (value, says)) in WRONG.iter().enumerate() {
        let file = network(world, &format!("wrong-{number}"), value);
        // One of the values with each program; the others with one, as all read the file alike.
        let take = if number == 0 { usize::MAX } else { 1 };
        for (what, call) in by_everybody(world, &file).into_iter().take(take) {
            cases.push(Case::fails(format!("{value}, {what}"), call, Usage, *says));
        }
    }
    table.run(world, "an index scheme", cases).await;
    another(world, table).await;
}

/// A copy of the network's file with another scheme, and the geneses beside it.
fn network(world: &World, name: &str, scheme: &str) -> PathBuf {
    let folder = world.documents().join(format!("network-{name}"));
    std::fs::create_dir_all(&folder).unwrap();
    for entry in std::fs::read_dir(&world.layout.root).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|end| end == "genesis") {
            std::fs::copy(&path, folder.join(entry.file_name())).unwrap();
        }
    }
    let text = std::fs::read_to_string(world.layout.network_path()).unwrap();
    assert!(text.contains(RIGHT), "{text}");
    let path = folder.join("network.toml");
    std::fs::write(
        &path,
        text.replace(RIGHT, &format!("index_scheme = {scheme}")),
    )
    .unwrap();
    path
}

/// What everybody does in a network, first somebody who looks for a record.
fn by_everybody(world: &World, file: &Path) -> Vec<(&'static str, Call)> {
    let north = &world.layout.hospitals[0];
    let alice = &world.people["alice"];
    let (meta, card) = (alice.meta.to_string(), alice.card.qr.as_str());
    let nobody = &world.data_users["nobody"];
    let good = world.good_file();
    let fresh = world.home("fresh");
    let patient = |arguments: &[&str]| world.patient("alice", arguments);
    let doctor = |arguments: &[&str]| world.workstation("doctor", arguments);
    let enrol = [
        "staff",
        "enrol",
        &nobody.signing,
        "--role",
        "nurse",
        "--label",
        "x",
    ];
    let admit = [
        "data-user",
        "admit",
        &nobody.signing,
        &nobody.receiving,
        "--label",
        "x",
    ];
    let folder = file.parent().unwrap();
    let calls = vec![
        ("a local search", patient(&["search", "asthma", "--local"])),
        ("a search", patient(&["search", "asthma"])),
        (
            "an explained search",
            patient(&["search", "asthma", "--explain"]),
        ),
        ("a verification", patient(&["verify"])),
        ("her cards", patient(&["card"])),
        ("a new patient's keys", world.at(&fresh, PATIENT, &["init"])),
        (
            "a new doctor's keys",
            world.at(&fresh, HOSPITAL, &["init", "--hospital", NORTH]),
        ),
        ("a new patient", doctor(&["patient", "register", &meta])),
        ("an upload", doctor(&["upload", "--card", card, &good])),
        ("the link", doctor(&["link", "status"])),
        ("an enrolment", world.admin(&enrol)),
        ("a data user vouched for", world.admin(&admit)),
        (
            "the hospital's server",
            world.at(&north.server_home(), HOSPITAL, &["serve"]),
        ),
        (
            "the key service",
            world.at(&north.keys_home(), HOSPITAL, &["keys"]),
        ),
        (
            "a new data user's keys",
            world.at(&fresh, DATA_USER, &["init"]),
        ),
        (
            "a data user's requests",
            world.data_user("institute", &["requests"]),
        ),
        (
            "a node of the alliance",
            node(world, ALLIANCE_CHAIN, &world.layout.alliance[0], folder),
        ),
        (
            "a node of the hospital",
            node(world, PRIVATE_CHAIN, &north.nodes[0], folder),
        ),
    ];
    let file = file.display().to_string();
    calls
        .into_iter()
        .map(|(what, call)| (what, call.with("CADUCEUS_NETWORK", file.clone())))
        .collect()
}

/// The start of a node in a copy of its home, at the same place below a network's folder.
fn node(world: &World, program: &'static str, home: &Path, folder: &Path) -> Call {
    let copy = folder.join(home.strip_prefix(&world.layout.root).unwrap());
    std::fs::create_dir_all(&copy).unwrap();
    for file in ["node.toml", "node.key"] {
        std::fs::copy(home.join(file), copy.join(file)).unwrap();
    }
    world.at(&copy, program, &["start"])
}

/// A scheme that exists, and is not the one of the network.
async fn another(world: &World, table: &mut Table) {
    let north = &world.layout.hospitals[0];
    let alice = &world.people["alice"];
    let (meta, card) = (alice.meta.to_string(), alice.card.qr.as_str());
    let good = world.good_file();
    let mut cases = Vec::new();
    for scheme in ["peks", "paeks"] {
        let file = network(world, scheme, &format!("\"{scheme}\""));
        let file = file.display().to_string();
        let there = |call: Call| call.with("CADUCEUS_NETWORK", file.clone());
        let no_client = "by tags";
        let no_service = "genesis has index scheme tags";
        let no_author = "has no index key";
        let patient = |arguments: &[&str]| world.patient("alice", arguments);
        let doctor = |arguments: &[&str]| world.workstation("doctor", arguments);
        let served = |home: &Path, command: &str| world.at(home, HOSPITAL, &[command]);
        let requests = world.data_user("institute", &["requests"]);
        for (what, call, exit, says) in [
            (
                "a search",
                patient(&["search", "asthma"]),
                VerificationFailed,
                no_client,
            ),
            (
                "an explained search",
                patient(&["search", "asthma", "--explain"]),
                VerificationFailed,
                no_client,
            ),
            (
                "a verification",
                patient(&["verify"]),
                VerificationFailed,
                no_client,
            ),
            (
                "a data user's requests",
                requests,
                VerificationFailed,
                no_client,
            ),
            (
                "the hospital's server",
                served(&north.server_home(), "serve"),
                VerificationFailed,
                no_service,
            ),
            (
                "the key service",
                served(&north.keys_home(), "keys"),
                VerificationFailed,
                no_service,
            ),
            (
                "a patient without the key for it",
                doctor(&["patient", "register", &meta]),
                Usage,
                no_author,
            ),
            (
                "an upload for her",
                doctor(&["upload", "--card", card, &good]),
                Usage,
                no_author,
            ),
        ] {
            cases.push(Case::fails(
                format!("{scheme}, {what}"),
                there(call),
                exit,
                says,
            ));
        }
    }
    table
        .run(world, "an index scheme of another network", cases)
        .await;
}

//! What nobody can demonstrate, measure or attack; and what a node does not store.

use super::program::{self, Call, PRIVATE_CHAIN, SIM};
use super::table::{Case, Ending, Table};
use super::world::NORTH;
use caduceus_cli::ExitCode::{NotFound, Usage};
use caduceus_node::home::EngineKind;
use sim::layout::{Layout, NetworkSpec};
use std::path::Path;

/// Arguments, and what the first line says.
const FAULTY: &[(&[&str], &str)] = &[
    // A scan takes longer than a round of consensus.
    (
        &["demo", "--scheme", "peks", "--engine", "bft"],
        "a search by linear scan",
    ),
    (
        &["demo", "--scheme", "paeks", "--engine", "bft", "--kill-one"],
        "a search by linear scan",
    ),
    (
        &["demo", "--scheme", "paeks", "--kill-one"],
        "one sequencer",
    ),
    // Patients whose records nobody would scan.
    (
        &["demo", "--scheme", "peks", "--patients", "50"],
        "at most 20",
    ),
    (
        &["demo", "--scheme", "rot13"],
        "[possible values: tags, peks, paeks]",
    ),
    (
        &["demo", "--scheme", ""],
        "[possible values: tags, peks, paeks]",
    ),
    (&["demo", "--patients", "1"], "2..=200"),
    (&["demo", "--patients", "201"], "2..=200"),
    (&["demo", "--queries", "20000"], "0..=10000"),
    (&["demo", "--queries", "ten"], "invalid digit"),
    (&["bench", "nothing"], "unrecognized subcommand"),
    (
        &["bench", "search", "--schemes", "rot13"],
        "unknown index scheme \"rot13\"",
    ),
    (
        &["bench", "search", "--schemes", "tags,rot13"],
        "unknown index scheme \"rot13\"",
    ),
    (
        &["bench", "search", "--schemes", ""],
        "unknown index scheme \"\"",
    ),
    (&["bench", "search", "--records", "0"], "1..=2000000"),
    (&["bench", "search", "--records", "2000001"], "1..=2000000"),
    (&["bench", "search", "--days", "0"], "1..=4500"),
    (&["bench", "search", "--days", "4501"], "1..=4500"),
    (&["bench", "search", "--days", "3650.5"], "invalid digit"),
    (&["bench", "search", "--sample", "100"], "is not in 2000.."),
    (&["bench", "search", "--queries", "0"], "1..=10000"),
    (&["bench", "search", "--scan-queries", "0"], "1..=1000"),
    (&["bench", "search", "--seed", "any"], "invalid digit"),
    (&["bench", "search", "--growth=yes"], "unexpected value"),
    (&["attack", "everything"], "unrecognized subcommand"),
    (
        &["attack", "guess", "--scheme", "nope"],
        "unknown index scheme \"nope\"",
    ),
    (
        &["attack", "inject", "--scheme", "nope"],
        "unknown index scheme \"nope\"",
    ),
    (&["attack", "guess", "--words", "0"], "2..=1000000"),
    (&["attack", "guess", "--words", "1"], "2..=1000000"),
    (&["attack", "guess", "--words", "1000001"], "2..=1000000"),
    (&["attack", "guess", "--trials", "0"], "1..=100000"),
    (&["attack", "guess", "--seed", "any"], "invalid digit"),
    (&["attack", "link", "--pairs", "10"], "500..=100000"),
    (&["attack", "collude", "--proxies", "1"], "2..=16"),
];

/// Hash of a record, and what the first line says.
const HASHES: &[(&[&str], &str)] = &[
    (&[], "<RECORD_HASH>"),
    (&[""], "64 hexadecimal digits, found 0"),
    (&["abab"], "64 hexadecimal digits, found 4"),
    (
        &["zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"],
        "not a hexadecimal digit",
    ),
    (&["abab", "cdcd"], "unexpected argument"),
];

pub async fn run(table: &mut Table) {
    // `sim devnet up` starts what lies beside it.
    program::folder();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let sim = |arguments: &[&str]| at(folder, SIM, arguments);
    let mut cases = vec![
        Case::works("help", sim(&["attack", "guess", "--help"])),
        Case::works(
            "the smallest attack",
            sim(&["attack", "forward", "--keywords", "8", "--scanned", "8"]),
        ),
    ];
    for (arguments, says) in FAULTY {
        cases.push(Case::fails(
            arguments.join(" "),
            sim(arguments),
            Usage,
            *says,
        ));
    }
    cases.append(&mut bundles(folder));
    cases.append(&mut devnets(folder));
    table.run_alone(folder, "the simulator", cases).await;
    node(folder, table).await;
}

/// A run in which a folder is all there is.
fn at(folder: &Path, program: &'static str, arguments: &[&str]) -> Call {
    let place = folder.display().to_string();
    Call::new(program, arguments)
        .with("HOME", place.clone())
        .with("TMPDIR", place)
}

/// Folders of bundles that are none.
fn bundles(folder: &Path) -> Vec<Case> {
    let place = |name: &str| folder.join(name).display().to_string();
    let (empty, words, file) = (place("empty"), place("words"), place("file.json"));
    std::fs::create_dir_all(&empty).unwrap();
    std::fs::create_dir_all(&words).unwrap();
    std::fs::write(folder.join("words/a.json"), "hello").unwrap();
    std::fs::write(&file, "{}").unwrap();
    let bench = |place: &str| at(folder, SIM, &["bench", "search", "--bundles", place]);
    let nowhere = place("nowhere");
    vec![
        Case::fails(
            "bundles in no folder",
            bench(&nowhere),
            Usage,
            "No such file or directory",
        ),
        Case::fails("bundles in a file", bench(&file), Usage, "Not a directory"),
        Case::fails(
            "no bundles in a folder",
            bench(&empty),
            Usage,
            "holds no bundle",
        ),
        Case::fails(
            "bundles that are words",
            bench(&words),
            Usage,
            "not JSON: line 1",
        ),
        Case::fails(
            "a demo of records in no folder",
            at(folder, SIM, &["demo", "--records", &nowhere]),
            Usage,
            "there is no folder",
        ),
    ]
}

/// A network whose file names an index scheme that does not exist.
fn devnets(folder: &Path) -> Vec<Case> {
    let network = folder.join("network");
    Layout::create(&network, &spec()).unwrap();
    let path = network.join("network.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let wrong = text.replace("index_scheme = \"tags\"", "index_scheme = \"rot13\"");
    assert_ne!(text, wrong);
    std::fs::write(&path, wrong).unwrap();
    let network = network.display().to_string();
    let nothing = folder.join("empty").display().to_string();
    vec![
        Case::fails(
            "a network of an unknown index scheme",
            at(folder, SIM, &["devnet", "up", &network]),
            Usage,
            "is not one of tags, peks, paeks",
        ),
        Case::fails(
            "the state of no network",
            at(folder, SIM, &["devnet", "status", &nothing]),
            NotFound,
            "holds no devnet",
        ),
    ]
}

fn spec() -> NetworkSpec {
    NetworkSpec {
        hospitals: vec![NORTH.to_owned()],
        engine: EngineKind::Solo,
        ..NetworkSpec::default()
    }
}

/// A node that has not run yet.
async fn node(folder: &Path, table: &mut Table) {
    let layout = Layout::create(&folder.join("chain"), &spec()).unwrap();
    let home = layout.hospitals[0].nodes[0].display().to_string();
    let inspect = |more: &[&str]| {
        let mut arguments = vec!["inspect", "record"];
        arguments.extend(more);
        at(folder, PRIVATE_CHAIN, &arguments).with("CADUCEUS_HOME", home.clone())
    };
    let mut cases: Vec<Case> = HASHES
        .iter()
        .map(|(hash, says)| Case::fails(format!("{hash:?}"), inspect(hash), Usage, *says))
        .collect();
    let unknown = "ab".repeat(32);
    let nowhere = folder.join("empty").display().to_string();
    cases.push(Case::fails(
        "where no node is",
        inspect(&[&unknown]).with("CADUCEUS_HOME", nowhere),
        Usage,
        "no node here",
    ));
    table.run_alone(folder, "a record at a node", cases).await;

    let staff =
        at(folder, PRIVATE_CHAIN, &["inspect", "staff"]).with("CADUCEUS_HOME", home.clone());
    table.judge("a node's staff", &staff.run().await, Ending::Works);
    // Not by the folder: a store that is opened is written to.
    table.judge(
        "a record at a node: an unknown one",
        &inspect(&[&unknown]).run().await,
        Ending::Fails(NotFound, "is not anchored on this chain"),
    );
}

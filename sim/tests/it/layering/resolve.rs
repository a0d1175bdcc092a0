//! What a package reaches, as cargo resolves it alone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("sim is a folder of the workspace")
        .to_path_buf()
}

/// The packages of the workspace.
pub fn members() -> BTreeSet<String> {
    names(&cargo(&[
        "tree",
        "--workspace",
        "--depth",
        "0",
        "-e",
        "normal",
        "--prefix",
        "none",
        "--offline",
    ]))
}

/// The packages that a build reaches through normal dependencies, itself left out.
pub fn reached(build: &str) -> BTreeSet<String> {
    let mut words = build.split_whitespace();
    let package = words.next().expect("a build names a package");
    let mut arguments = vec![
        "tree",
        "-p",
        package,
        "-e",
        "normal",
        "--prefix",
        "none",
        "--offline",
    ];
    arguments.extend(words);
    let mut found = names(&cargo(&arguments));
    assert!(found.remove(package), "cargo tree shows no {package}");
    found
}

/// The first word of each line: `k256 v0.13.4 (*)` is `k256`.
fn names(listing: &str) -> BTreeSet<String> {
    listing
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

fn cargo(arguments: &[&str]) -> String {
    // Set by cargo for the tests it runs.
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(arguments)
        .current_dir(workspace())
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "cargo {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

#[test]
fn a_listing_is_read_by_its_first_words() {
    let listing = "sim v0.1.0 (/somewhere/sim)\n\nk256 v0.13.4\nk256 v0.13.4 (*)\nserde_derive v1.0.1 (proc-macro)\n";
    let found: Vec<String> = names(listing).into_iter().collect();
    assert_eq!(found, ["k256", "serde_derive", "sim"]);
}

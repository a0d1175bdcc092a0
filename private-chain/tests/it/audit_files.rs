//! What the audit commands make of files, without a node: exported proofs, logs of other systems.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The proof that the library's own test makes, word for word.
const PROOF: &str = include_str!(
    "../../src/audit/proof/snapshots/private_chain__audit__proof__tests__the_text_word_for_word.snap"
);

fn run(dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_private-chain"))
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (done.status.code(), text(done.stdout), text(done.stderr))
}

fn proof() -> String {
    let text = PROOF.splitn(3, "---\n").nth(2).unwrap();
    format!("{}\n", text.trim_end())
}

#[test]
fn a_proof_is_verified_with_the_genesis_hash_alone() {
    let dir = tempfile::tempdir().unwrap();
    let text = proof();
    let alliance = text
        .lines()
        .find_map(|line| line.strip_prefix("alliance "))
        .unwrap();
    std::fs::write(dir.path().join("proof.txt"), &text).unwrap();
    let verify = [
        "audit",
        "verify",
        "--offline",
        "proof.txt",
        "--genesis-hash",
    ];
    let (code, out, said) = run(
        dir.path(),
        &[&verify[..], &[alliance, "--output", "json"]].concat(),
    );
    assert_eq!(code, Some(0), "{said}");
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&json["verified"], &json["headers_on_record"]),
        (&true.into(), &11.into())
    );
    assert_eq!(json["entries"][1]["entry"], 44);
    assert_eq!(json["entries"][1]["statement"], "signed");
    let (code, out, said) = run(dir.path(), &[&verify[..], &[alliance]].concat());
    assert_eq!(code, Some(0), "{said}");
    assert!(
        out.contains("read/open") && said.contains("light blocks"),
        "{out}{said}"
    );

    let refused = |text: &str, alliance: &str, step: &str| {
        std::fs::write(dir.path().join("proof.txt"), text).unwrap();
        let (code, out, said) = run(dir.path(), &[&verify[..], &[alliance]].concat());
        assert_eq!(code, Some(5), "{said}");
        assert_eq!(said.lines().count(), 2, "{said}");
        assert!(said.contains(&format!("step {step}:")), "{said}");
        assert!(out.is_empty());
    };
    refused(&text, &"ab".repeat(32), "genesis");
    refused(
        &text.replace("outcome success", "outcome denied"),
        alliance,
        "digest",
    );
    refused(&text[..text.len() / 2], alliance, "digest");
    refused("hello", alliance, "digest");
    let (code, _, said) = run(
        dir.path(),
        &[
            "audit",
            "verify",
            "--offline",
            "none.txt",
            "--genesis-hash",
            alliance,
        ],
    );
    assert_eq!(code, Some(3), "{said}");
}

#[test]
fn another_log_is_counted_before_it_is_imported() {
    let dir = tempfile::tempdir().unwrap();
    let rows = "1522000002801\t1\t1\t1\t1\tREQ_RESOURCE\tMOD_FlyBase\n\
        1522000019451\t1\t4\t1\t8\tFILE_ACCESS\tMOD_FlyBase\n";
    std::fs::write(dir.path().join("node1.txt"), rows).unwrap();
    let import = [
        "audit",
        "import",
        "--format",
        "idash",
        "--dry-run",
        "--output",
        "json",
        "node1.txt",
    ];
    let (code, out, said) = run(dir.path(), &import);
    assert_eq!(code, Some(0), "{said}");
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(json[0]["rows"], 2);
    assert_eq!(
        (&json[0]["users"], &json[0]["resources"]),
        (&2.into(), &1.into())
    );
    assert_eq!(json[0]["from"], "2018-03-25T17:46:42.801Z");
    assert_eq!(json[0]["first"][1]["action"], "read/FILE_ACCESS");
    std::fs::write(
        dir.path().join("node1.txt"),
        format!("{rows}soon\t1\t4\t1\t8\tx\ty\n"),
    )
    .unwrap();
    let (code, out, said) = run(dir.path(), &import);
    assert_eq!((code, &*out), (Some(1), ""), "{said}");
    assert!(said.contains("node1.txt: line 3:"), "{said}");
    assert!(said.contains("nothing was imported"), "{said}");
}

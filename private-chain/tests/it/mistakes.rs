//! What the program says to mistakes that need no node, word for word: a change of these lines is a decision.

use std::process::Command;

const HASH: &str = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

/// Arguments, exit code, the first line and the beginning of the second.
const MISTAKES: &[(&[&str], i32, &str, &str)] = &[
    (
        &["inspect", "record", "nonsense"],
        2,
        "error: invalid value 'nonsense' for '<RECORD_HASH>': expected 64 hexadecimal digits, found 8 characters",
        "try: --help",
    ),
    (
        &["inspect", "record"],
        2,
        "error: the following required arguments were not provided: <RECORD_HASH>",
        "try: private-chain inspect record",
    ),
    (
        &["inspect", "record", HASH],
        2,
        "error: no node here: ",
        "try: --home DIR of a node",
    ),
    (
        &["policy", "check", "no-such-file.cedar"],
        3,
        "error: ",
        "try: ",
    ),
    (
        &[
            "policy",
            "check",
            "Cargo.toml",
            "--action",
            "upload",
            "--principal",
            "role=nures",
        ],
        5,
        "error: Cargo.toml does not parse: line ",
        "try: mend that line; what a policy can speak of is in docs/policy.md",
    ),
    (
        &[
            "policy",
            "check",
            "src/policy/default.cedar",
            "--action",
            "upload",
            "--principal",
            "role=nures",
        ],
        2,
        "error: --principal: role=nures: unknown role: physician, nurse, registrar, auditor or administrator expected",
        "try: policy check --help shows the words",
    ),
    (
        &[
            "policy",
            "check",
            "src/policy/default.cedar",
            "--action",
            "uplaod",
        ],
        2,
        "error: invalid value 'uplaod' for '--action <ACTION>': unknown action \"uplaod\"",
        "try: --help",
    ),
    (
        &["audit", "verify", "--offline", "proof.txt"],
        2,
        "error: there is nothing to trust",
        "try: --genesis-hash HASH of the alliance, or --network FILE that names it",
    ),
    (
        &["audit", "verify", "--genesis-hash", HASH],
        2,
        "error: the following required arguments were not provided: --offline <FILE>",
        "try: private-chain audit verify",
    ),
    (
        &["audit", "import", "--format", "csv", "--dry-run", "log.csv"],
        2,
        "error: the following required arguments were not provided: --map <WHAT=COLUMN,...>",
        "try: private-chain audit import",
    ),
    (
        &[
            "audit",
            "import",
            "--format",
            "csv",
            "--map",
            "user=Who",
            "--dry-run",
            "log.csv",
        ],
        2,
        "error: invalid value 'user=Who' for '--map <WHAT=COLUMN,...>': nothing is mapped to time",
        "try: --help",
    ),
    (
        &["audit", "retain", "--keep", "reads=12", "--dry-run"],
        2,
        "error: invalid value 'reads=12' for '--keep <CLASS=MONTHS,...>': \"reads=12\" is no retention",
        "try: --help",
    ),
    (
        &["audit", "retain", "--dry-run"],
        2,
        "error: no node here: ",
        "try: --home DIR of a node",
    ),
    (
        &["audit", "query", "--from", "yesterday"],
        2,
        "error: invalid value 'yesterday' for '--from <TIME>': \"yesterday\" is no time",
        "try: --help",
    ),
    (
        &["audit", "report", "after-hours", "--hours", "7-19"],
        2,
        "error: invalid value '7-19' for '--hours <HH:MM-HH:MM>': \"7-19\" is no span of hours",
        "try: --help",
    ),
    (
        &["audit", "report", "disclosures"],
        2,
        "error: the following required arguments were not provided: --patient",
        "try: private-chain audit report disclosures",
    ),
    (
        &[
            "audit",
            "model",
            "--from",
            "2026-01-01",
            "--to",
            "2026-02-01",
            "--slot",
            "1",
        ],
        2,
        "error: invalid value '1' for '--slot <LENGTH>': \"1\" is no length of time",
        "try: --help",
    ),
    (
        &["audit", "export", "--entry", "7"],
        2,
        "error: the following required arguments were not provided: --proof",
        "try: private-chain audit export",
    ),
    (
        &["policy", "propose", "src/policy/default.cedar"],
        2,
        "error: no node here: ",
        "try: --home DIR of a node",
    ),
];

#[test]
fn each_mistake_has_its_two_lines_and_its_code() {
    for (arguments, code, what, todo) in MISTAKES {
        let done = Command::new(env!("CARGO_BIN_EXE_private-chain"))
            .args(*arguments)
            .env_clear()
            .env("CADUCEUS_HOME", "/nonexistent/caduceus-node")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 2, "{arguments:?}: {said}");
        assert!(lines[0].starts_with(what), "{arguments:?}: {said}");
        assert!(lines[1].starts_with(todo), "{arguments:?}: {said}");
        assert_eq!(done.status.code(), Some(*code), "{arguments:?}: {said}");
        assert!(done.stdout.is_empty(), "{arguments:?}");
    }
    println!("{} mistakes", MISTAKES.len());
}

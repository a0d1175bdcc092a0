//! What the program says to mistakes that need no network, word for word: a change of these lines is a decision.
#![allow(clippy::unwrap_used, missing_docs)]

mod desk;

use std::process::Command;

/// Arguments, exit code, standard error; HOME stands for a home that does not exist.
const MISTAKES: &[(&[&str], i32, &str)] = &[
    (
        &["records"],
        3,
        "error: HOME is no home of a member of staff\n\
         try: hospital-server init --network FILE --hospital NAME\n",
    ),
    (
        &["init", "--hospital", "North"],
        2,
        "error: this command needs to know the network\n\
         try: --network FILE (a devnet writes DIR/network.toml), or set CADUCEUS_NETWORK\n",
    ),
    (
        &["init", "--hospital", "North", "--network", "nowhere.toml"],
        3,
        "error: cannot read nowhere.toml: No such file or directory (os error 2)\n\
         try: a path that exists\n",
    ),
    (
        &["upload", "--card", "nonsense", "file.json"],
        2,
        "error: not a card number: CAD1 and 37 letters and digits expected\n\
         try: the text of the card's QR code: CAD1-...|64 digits\n",
    ),
    (
        &[
            "upload",
            "--card",
            "nonsense",
            "--amends",
            "nonsense",
            "file.json",
        ],
        2,
        "error: invalid value 'nonsense' for '--amends <RECORD_HASH>': expected 64 hexadecimal digits, found 8 characters\n\
         try: --help\n",
    ),
    (
        &["upload", "--card", "nonsense"],
        2,
        "error: the following required arguments were not provided: <FILE>...\n\
         try: hospital-server upload --card <QRTEXT> --home <DIR> <FILE>..., or --help\n",
    ),
    (
        &[
            "staff",
            "enrol",
            "nonsense",
            "--role",
            "nurse",
            "--label",
            "x",
            "--server-home",
            "nowhere",
        ],
        2,
        "error: invalid value 'nonsense' for '<KEY>': expected 66 hexadecimal digits, found 8 characters\n\
         try: --help\n",
    ),
    (
        &[
            "staff",
            "enrol",
            "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
            "--role",
            "wizard",
            "--label",
            "x",
            "--server-home",
            "nowhere",
        ],
        2,
        "error: invalid value 'wizard' for '--role <ROLE>': unknown role: physician, nurse, registrar, auditor or administrator expected\n\
         try: --help\n",
    ),
    (
        &[
            "emergency",
            "request",
            "--record",
            "nonsense",
            "--reason",
            "x",
        ],
        2,
        "error: invalid value 'nonsense' for '--record <RECORD_HASH>': expected 64 hexadecimal digits, found 8 characters\n\
         try: --help\n",
    ),
    (
        &[
            "emergency",
            "request",
            "--card",
            "nonsense",
            "--reason",
            "x",
        ],
        2,
        "error: not a card number: CAD1 and 37 letters and digits expected\n\
         try: the text of the card's QR code: CAD1-...|64 digits\n",
    ),
    (
        &["emergency", "accept", "nowhere.key"],
        3,
        "error: cannot read nowhere.key: No such file or directory (os error 2)\n\
         try: a path that exists\n",
    ),
];

#[test]
fn each_mistake_has_its_two_lines_and_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home").display().to_string();
    for (arguments, code, expected) in MISTAKES {
        let done = Command::new(env!("CARGO_BIN_EXE_hospital-server"))
            .args(*arguments)
            .current_dir(folder.path())
            .env_clear()
            .env("CADUCEUS_HOME", &home)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stderr).replace(&home, "HOME");
        assert_eq!(said, *expected, "{arguments:?}");
        assert_eq!(done.status.code(), Some(*code), "{arguments:?}");
        assert!(done.stdout.is_empty(), "{arguments:?}");
        assert_eq!(said.lines().count(), 2, "{arguments:?}");
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        0,
        "a mistake makes no file"
    );
    println!("{} mistakes", MISTAKES.len());
}

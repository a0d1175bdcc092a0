//! What the program says to mistakes that need no network, word for word: a change of these lines is a decision.
#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

/// Arguments, exit code, standard error; HOME stands for a home that does not exist.
const MISTAKES: &[(&[&str], i32, &str)] = &[
    (
        &["id"],
        3,
        "error: HOME/data-user.toml does not exist\n\
         try: data-user-client init --network FILE\n",
    ),
    (
        &["grants"],
        3,
        "error: HOME/data-user.toml does not exist\n\
         try: data-user-client init --network FILE\n",
    ),
    (
        &["init"],
        2,
        "error: this command needs to know the network\n\
         try: --network FILE (a devnet writes DIR/network.toml), or set CADUCEUS_NETWORK\n",
    ),
    (
        &["init", "--network", "nowhere.toml"],
        3,
        "error: cannot read nowhere.toml: No such file or directory (os error 2)\n\
         try: a path that exists\n",
    ),
    (
        &["fetch", "nonsense"],
        2,
        "error: invalid value 'nonsense' for '<GRANT>': expected 64 hexadecimal digits, found 8 characters\n\
         try: --help\n",
    ),
    (
        &["request", "--purpose", "FUN", "--sought", "x"],
        2,
        "error: invalid value 'FUN' for '--purpose <CODE>': unknown purpose: TREAT, ETREAT, HPAYMT, HOPERAT, HRESCH, PUBHLTH, PATRQT or HLEGAL expected\n\
         try: --help\n",
    ),
    (
        &[
            "request",
            "--purpose",
            "HRESCH",
            "--sought",
            "x",
            "--days",
            "0",
        ],
        2,
        "error: invalid value '0' for '--days <N>': 0 is not in 1..=365\n\
         try: --help\n",
    ),
];

#[test]
fn each_mistake_has_its_two_lines_and_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home").display().to_string();
    for (arguments, code, expected) in MISTAKES {
        let done = Command::new(env!("CARGO_BIN_EXE_data-user-client"))
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

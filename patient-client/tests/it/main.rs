//! What the program says to mistakes that need no network, word for word: a change of these lines is a decision.
#![allow(clippy::unwrap_used, missing_docs)]

use std::process::Command;

/// Arguments, exit code, standard error; HOME stands for a home that does not exist.
const MISTAKES: &[(&[&str], i32, &str)] = &[
    (
        &["card"],
        3,
        "error: there is no keystore in HOME\n\
         try: patient-client init (or restore, with your 24 words), or name the right home with --home DIR\n",
    ),
    (
        &["search", "asthma"],
        2,
        "error: this command needs to know the network\n\
         try: --network FILE (a devnet writes DIR/network.toml), or set CADUCEUS_NETWORK\n",
    ),
    (
        &["search", "asthma", "--network", "nowhere.toml"],
        3,
        "error: cannot read nowhere.toml: No such file or directory (os error 2)\n\
         try: a path that exists\n",
    ),
    (
        &["search"],
        2,
        "error: the following required arguments were not provided: <QUERY>\n\
         try: patient-client search --home <DIR> <QUERY>, or --help\n",
    ),
    (
        &["serch", "asthma"],
        2,
        "error: unrecognized subcommand 'serch'\n\
         try: a similar subcommand exists: 'search', or --help\n",
    ),
    (
        &["search", "asthma", "--anchored-since", "soon"],
        2,
        "error: \"soon\": not a date: YYYY-MM-DD from 1970-01-01 expected\n\
         try: a day such as 2026-11-20\n",
    ),
    (
        &["search", "asthma", "--local"],
        2,
        "error: this command needs to know the network\n\
         try: --network FILE (a devnet writes DIR/network.toml), or set CADUCEUS_NETWORK\n",
    ),
    (
        &["verify"],
        2,
        "error: this command needs to know the network\n\
         try: --network FILE (a devnet writes DIR/network.toml), or set CADUCEUS_NETWORK\n",
    ),
    (
        &["verify", "--receipt", "nowhere.json"],
        3,
        "error: cannot read nowhere.json: No such file or directory (os error 2)\n\
         try: a path that exists\n",
    ),
    (
        &["init", "--network", "nowhere.toml"],
        3,
        "error: cannot read nowhere.toml: No such file or directory (os error 2)\n\
         try: a path that exists\n",
    ),
    (
        &["register", "nonsense", "--desk-code", "12345678"],
        2,
        "error: not a card number: CAD1 and 37 letters and digits expected\n\
         try: the whole number with its beginning, CAD1-...; hyphens do not matter\n",
    ),
    (
        &["card", "--add", "nonsense"],
        2,
        "error: not a card number: CAD1 and 37 letters and digits expected\n\
         try: the whole number with its beginning, CAD1-...; hyphens do not matter\n",
    ),
    (
        &["grant", "1", "--to", "nobody"],
        2,
        "error: \"nobody\" is not a data user's key\n\
         try: 66 hexadecimal digits, as data-user-client id shows them\n",
    ),
    (
        &[
            "grant",
            "1",
            "--to",
            "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
            "--purpose",
            "FUN",
        ],
        2,
        "error: \"FUN\": unknown purpose: TREAT, ETREAT, HPAYMT, HOPERAT, HRESCH, PUBHLTH, PATRQT or HLEGAL expected\n\
         try: --purpose with one of these codes\n",
    ),
    (
        &["restore"],
        2,
        "error: a recovery phrase has 24 words, this one has 0\n\
         try: the 24 words in their order, as they were shown at init\n",
    ),
    (
        &["init"],
        7,
        "error: a passphrase is needed and there is no terminal to ask for it\n\
         try: CADUCEUS_PASSPHRASE_FILE=FILE, or CADUCEUS_PASSPHRASE in the environment\n",
    ),
];

#[test]
fn each_mistake_has_its_two_lines_and_its_code() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home").display().to_string();
    for (arguments, code, expected) in MISTAKES {
        let done = Command::new(env!("CARGO_BIN_EXE_patient-client"))
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

//! Wrong passphrases, and keystores that are truncated, altered or another's, with each program that has one.

use super::program::{DATA_USER, HOSPITAL, PATIENT};
use super::table::{Case, Table};
use super::world::{PASSPHRASE, World};
use caduceus_cli::ExitCode::{self, Failure, Locked, NotFound, VerificationFailed};
use patient_client::Wallet;
use std::path::{Path, PathBuf};

/// A change of a keystore's bytes.
type Damage = fn(&mut Vec<u8>);

/// Name of the case, what is done to the file, and how it ends. Offsets: `caduceus_custody::keystore`.
const DAMAGES: &[(&str, Damage, ExitCode, &str)] = &[
    (
        "cut by a byte",
        |bytes| bytes.truncate(bytes.len() - 1),
        VerificationFailed,
        "truncated",
    ),
    (
        "cut in the middle",
        |bytes| bytes.truncate(60),
        VerificationFailed,
        "truncated",
    ),
    (
        "empty",
        |bytes| bytes.clear(),
        VerificationFailed,
        "truncated",
    ),
    (
        "with another ciphertext",
        |bytes| bytes[100] ^= 1,
        VerificationFailed,
        "altered",
    ),
    (
        "with another salt",
        |bytes| bytes[30] ^= 1,
        VerificationFailed,
        "altered",
    ),
    (
        "with another cost",
        |bytes| bytes[13] ^= 1,
        VerificationFailed,
        "altered",
    ),
    (
        "with another checksum",
        |bytes| *bytes.last_mut().unwrap() ^= 1,
        VerificationFailed,
        "altered",
    ),
    (
        "with a byte too many",
        |bytes| bytes.push(0),
        VerificationFailed,
        "altered",
    ),
    (
        "that is a letter",
        |bytes| *bytes = b"Dear reader".to_vec(),
        VerificationFailed,
        "not a keystore",
    ),
    (
        "of a later version",
        |bytes| bytes[8] = 9,
        Failure,
        "version",
    ),
];

pub async fn run(world: &World, table: &mut Table) {
    for (who, program, arguments) in [
        ("alice", PATIENT, vec!["card"]),
        ("doctor", HOSPITAL, vec!["shared", "list"]),
        ("institute", DATA_USER, vec!["grants"]),
    ] {
        let cases = of_program(world, who, program, &arguments);
        table
            .run(world, &format!("the keystore of {program}"), cases)
            .await;
    }
    before_anything_is_sent(world, table).await;
    state(world, table).await;
    in_use(world, table).await;
}

/// What a patient can do without sending a search.
const QUIET: [&[&str]; 3] = [
    &["search", "asthma", "--explain"],
    &["search", "asthma", "--local"],
    &["verify"],
];

async fn before_anything_is_sent(world: &World, table: &mut Table) {
    let truncated = damaged(world, "alice", "alice-quiet-cut", "keystore", |bytes| {
        bytes.truncate(60)
    });
    let altered = damaged(world, "alice", "alice-quiet-state", "state", |bytes| {
        *bytes.last_mut().unwrap() ^= 1
    });
    let mut cases = Vec::new();
    for arguments in QUIET {
        let call = |home: &Path| world.at(home, PATIENT, arguments);
        let home = world.home("alice");
        for (what, call, exit, says) in [
            (
                "a wrong passphrase",
                call(&home).with("CADUCEUS_PASSPHRASE", "open sesame"),
                Locked,
                "wrong passphrase",
            ),
            (
                "no passphrase",
                call(&home).without("CADUCEUS_PASSPHRASE"),
                Locked,
                "no terminal",
            ),
            (
                "no home",
                call(&world.home("nowhere")),
                NotFound,
                "no keystore",
            ),
            (
                "a keystore cut in the middle",
                call(&truncated),
                VerificationFailed,
                "truncated",
            ),
            (
                "an altered state",
                call(&altered),
                VerificationFailed,
                "altered",
            ),
        ] {
            let what = format!("{}, {what}", arguments.join(" "));
            cases.push(Case::fails(what, call, exit, says));
        }
    }
    table.run(world, "before anything is sent", cases).await;
}

fn of_program(world: &World, who: &str, program: &'static str, arguments: &[&str]) -> Vec<Case> {
    let call = |home: &Path| world.at(home, program, arguments);
    let home = world.home(who);
    let empty = world.documents().join("passphrase");
    std::fs::write(&empty, "\n").unwrap();
    let mut cases = vec![
        Case::works("the right passphrase", call(&home)),
        Case::fails(
            "a wrong one",
            call(&home).with("CADUCEUS_PASSPHRASE", "open sesame"),
            Locked,
            "wrong passphrase",
        ),
        Case::fails(
            "none, and no terminal",
            call(&home).without("CADUCEUS_PASSPHRASE"),
            Locked,
            "no terminal",
        ),
        Case::fails(
            "an empty file of it",
            call(&home).with("CADUCEUS_PASSPHRASE_FILE", empty.display().to_string()),
            Locked,
            "is empty",
        ),
        Case::fails("no home", call(&world.home("nowhere")), NotFound, ""),
    ];
    for (number, (what, damage, exit, says)) in DAMAGES.iter().enumerate() {
        let copy = damaged(world, who, &format!("{who}-{number}"), "keystore", *damage);
        cases.push(Case::fails(*what, call(&copy), *exit, *says));
    }
    let gone = world.copy_of(who, &format!("{who}-gone"));
    std::fs::remove_file(gone.join("keystore")).unwrap();
    cases.push(Case::fails(
        "that is gone",
        call(&gone),
        NotFound,
        "keystore",
    ));
    cases
}

/// A copy of a home with one file damaged.
fn damaged(world: &World, who: &str, copy: &str, file: &str, damage: Damage) -> PathBuf {
    let home = world.copy_of(who, copy);
    let path = home.join(file);
    let mut bytes = std::fs::read(&path).unwrap();
    damage(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    home
}

/// The patient's other file.
async fn state(world: &World, table: &mut Table) {
    let card = |home: &Path| world.at(home, PATIENT, &["card"]);
    let cut = damaged(world, "alice", "alice-state-cut", "state", |bytes| {
        bytes.truncate(20)
    });
    let altered = damaged(world, "alice", "alice-state-altered", "state", |bytes| {
        *bytes.last_mut().unwrap() ^= 1
    });
    let later = damaged(world, "alice", "alice-state-later", "state", |bytes| {
        bytes[8] = 9
    });
    let foreign = world.copy_of("alice", "alice-foreign");
    std::fs::copy(world.home("bob").join("keystore"), foreign.join("keystore")).unwrap();
    // The seed is enough to go on; what is lost are cards, tokens and grants' purposes.
    let gone = world.copy_of("alice", "alice-state-gone");
    std::fs::remove_file(gone.join("state")).unwrap();
    let cases = vec![
        Case::works("moved away", card(&gone)),
        Case::fails(
            "cut",
            card(&cut),
            VerificationFailed,
            "not a patient's state file",
        ),
        Case::fails(
            "altered",
            card(&altered),
            VerificationFailed,
            "altered, or belongs to another keystore",
        ),
        Case::fails(
            "of a later version",
            card(&later),
            VerificationFailed,
            "version",
        ),
        Case::fails(
            "of another keystore",
            card(&foreign),
            VerificationFailed,
            "belongs to another keystore",
        ),
    ];
    table.run(world, "the patient's state", cases).await;
}

/// A home that another process holds.
async fn in_use(world: &World, table: &mut Table) {
    let card = || world.patient("alice", &["card"]);
    let held = Wallet::open(&world.home("alice"), PASSPHRASE).unwrap();
    let says = "in use by another process";
    let mut cases = vec![Case::fails("in use", card(), Locked, says)];
    for arguments in QUIET {
        let what = format!("in use, {}", arguments.join(" "));
        let call = world.patient("alice", arguments);
        cases.push(Case::fails(what, call, Locked, says));
    }
    table.run(world, "a home", cases).await;
    drop(held);
    table
        .run(world, "a home", vec![Case::works("free again", card())])
        .await;
}

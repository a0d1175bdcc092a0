//! What a patient gives her program to verify and is no receipt of hers, and evidence that cannot be written; then a
//! promise that was not kept, which is no mistake of hers.

use super::table::{Case, Ending, Table};
use super::world::{NORTH, PASSPHRASE, World};
use caduceus_cli::ExitCode::{Failure, NotFound, Usage, VerificationFailed};
use caduceus_crypto::{Hash, HospitalId, Receipt, SecretKey, TimeMillis, decode_exact, encode};
use caduceus_custody::make_pseudonym;
use caduceus_node::{Clock, SystemClock};
use patient_client::Wallet;
use rand_core::OsRng;
use serde_json::{Value, json};

/// More than a receipt file may have.
const TOO_LONG: usize = 64 * 1024 + 1;

pub async fn run(world: &World, table: &mut Table) {
    let good = world.good_file();
    let rows = table
        .control(
            "a record to verify",
            world.upload(&world.people["alice"].card.qr, &[&good]),
        )
        .await;
    world.wait_until_linked(&rows).await;
    let path = rows[0]["receipt"].as_str().unwrap();
    receipts(world, table, path).await;
    arguments(world, table, path).await;
    nothing_wrong(world, table, path).await;
    broken_promise(world, table).await;
}

/// Writes a file among the documents, and says where.
fn document(world: &World, name: &str, content: &[u8]) -> String {
    let path = world.documents().join(name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

fn receipt_file(receipt: &Receipt) -> Value {
    json!({ "format": "caduceus-receipt/1", "receipt": hex::encode(encode(receipt)) })
}

async fn receipts(world: &World, table: &mut Table, path: &str) {
    let whole: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let signed = whole["receipt"].as_str().unwrap();
    let receipt: Receipt = decode_exact(&hex::decode(signed).unwrap(), 4096).unwrap();
    let with = |field: &str, value: &str| {
        let mut other = whole.clone();
        other[field] = value.into();
        other.to_string()
    };
    let other_key = SecretKey::generate(&mut OsRng);
    let signed_by = |key: &SecretKey, hospital: HospitalId| {
        let other = Receipt::sign(
            key,
            hospital,
            receipt.record_hash,
            receipt.entries_hash,
            receipt.pseudonym,
            receipt.link_deadline,
        );
        receipt_file(&other).to_string()
    };
    let elsewhere = HospitalId::from_identity(&other_key.public());
    let forged = signed_by(&other_key, receipt.hospital);
    let foreign = signed_by(&other_key, elsewhere);
    let later_deadline = Receipt {
        link_deadline: TimeMillis(receipt.link_deadline.0 + 1),
        ..receipt.clone()
    };
    let long = " ".repeat(TOO_LONG);
    let folder = world.documents().display().to_string();
    let wrong = "is not a receipt";
    let files: Vec<(&str, String, _, &'static str)> = vec![
        ("words", "hello".to_owned(), Usage, wrong),
        ("nothing", String::new(), Usage, wrong),
        ("a number", "7".to_owned(), Usage, wrong),
        ("another object", "{}".to_owned(), Usage, wrong),
        (
            "a file that ends too soon",
            whole.to_string()[..40].to_owned(),
            Usage,
            wrong,
        ),
        (
            "a later format",
            with("format", "caduceus-receipt/9"),
            Usage,
            "caduceus-receipt/9",
        ),
        ("one without its bytes", with("receipt", ""), Usage, wrong),
        ("one in letters", with("receipt", "zz"), Usage, wrong),
        (
            "one cut by half a byte",
            with("receipt", &signed[..signed.len() - 1]),
            Usage,
            wrong,
        ),
        (
            "one cut by a byte",
            with("receipt", &signed[..signed.len() - 2]),
            Usage,
            wrong,
        ),
        (
            "one cut in the middle",
            with("receipt", &signed[..signed.len() / 4 * 2]),
            Usage,
            wrong,
        ),
        (
            "one with a byte too many",
            with("receipt", &format!("{signed}00")),
            Usage,
            wrong,
        ),
        (
            "one that promises another time",
            receipt_file(&later_deadline).to_string(),
            VerificationFailed,
            "not signed",
        ),
        (
            "one that somebody else signed",
            forged,
            VerificationFailed,
            "not signed",
        ),
        (
            "one of a hospital that the network does not have",
            foreign,
            NotFound,
            "the network has no hospital",
        ),
        ("a file over 64 KiB", long, Failure, "is larger than"),
    ];
    let mut cases = vec![Case::works(
        "of her own",
        world.patient("alice", &["verify", "--receipt", path]),
    )];
    for (number, (what, content, exit, says)) in files.into_iter().enumerate() {
        let file = document(world, &format!("verify-{number}.json"), content.as_bytes());
        let call = world.patient("alice", &["verify", "--receipt", &file]);
        cases.push(Case::fails(what, call, exit, says));
    }
    let words = document(world, "verify-words.json", b"hello");
    cases.push(Case::fails(
        "none",
        world.patient("alice", &["verify", "--receipt", "nowhere.json"]),
        NotFound,
        "nowhere.json",
    ));
    cases.push(Case::fails(
        "a folder",
        world.patient("alice", &["verify", "--receipt", &folder]),
        Failure,
        "Is a directory",
    ));
    cases.push(Case::fails(
        "one of her own and words",
        world.patient("alice", &["verify", "--receipt", path, "--receipt", &words]),
        Usage,
        "verify-words.json",
    ));
    cases.push(Case::fails(
        "another patient's",
        world.patient("bob", &["verify", "--receipt", path]),
        VerificationFailed,
        "not yours",
    ));
    table.run(world, "a receipt to verify", cases).await;
}

async fn arguments(world: &World, table: &mut Table, path: &str) {
    let verify = |arguments: &[&str]| {
        let mut all = vec!["verify"];
        all.extend(arguments);
        world.patient("alice", &all)
    };
    let file = document(world, "a-file", b"");
    let below = format!("{file}/evidence");
    let cases = vec![
        Case::works("of one hospital", verify(&["--hospital", NORTH])),
        Case::fails(
            "of an unknown hospital",
            verify(&["--hospital", "West"]),
            NotFound,
            "\"West\"",
        ),
        Case::fails(
            "of a known hospital and an unknown one",
            verify(&["--hospital", NORTH, "--hospital", "West"]),
            NotFound,
            "\"West\"",
        ),
        Case::fails(
            "of an unknown hospital, with a receipt",
            verify(&["--receipt", path, "--hospital", "West"]),
            NotFound,
            "\"West\"",
        ),
        Case::fails(
            "without a card or a receipt",
            world.patient("dora", &["verify"]),
            NotFound,
            "no card",
        ),
        Case::fails(
            "that discloses, and writes no evidence",
            verify(&["--disclose"]),
            Usage,
            "--report <DIR>",
        ),
        Case::fails(
            "with evidence nowhere",
            verify(&["--report"]),
            Usage,
            "a value is required",
        ),
        Case::fails(
            "with evidence into a file",
            verify(&["--report", &file]),
            Failure,
            "cannot make the directory",
        ),
        Case::fails(
            "with evidence below a file",
            verify(&["--report", &below]),
            Failure,
            "cannot make the directory",
        ),
        Case::fails(
            "with the key disclosed below a file",
            verify(&["--report", &below, "--disclose"]),
            Failure,
            "cannot make the directory",
        ),
        Case::fails(
            "with a receipt, and evidence below a file",
            verify(&["--receipt", path, "--report", &below]),
            Failure,
            "cannot make the directory",
        ),
        Case::fails(
            "of no receipt",
            verify(&["--receipt"]),
            Usage,
            "a value is required",
        ),
        Case::fails(
            "of words",
            verify(&["asthma"]),
            Usage,
            "unexpected argument",
        ),
    ];
    table.run(world, "a verification", cases).await;
}

/// An honest hospital, and each record compared.
async fn nothing_wrong(world: &World, table: &mut Table, path: &str) {
    let report = world.documents().join("evidence");
    let report = report.display().to_string();
    for who in ["alice", "bob"] {
        let what = format!("a verification by {who}");
        let shown = table
            .control(
                &what,
                world.patient(who, &["verify", "--report", &report, "--disclose"]),
            )
            .await;
        for empty in ["findings", "unchecked", "evidence"] {
            assert_eq!(shown[empty], json!([]), "{what}: {shown}");
        }
        let hospital = &shown["hospitals"][0];
        let yours = hospital["yours"].as_u64().unwrap_or(0);
        assert!(yours > 1, "{what}: {shown}");
        assert_eq!(hospital["compared"], yours, "{what}: {shown}");
    }
    let kept = table
        .control(
            "a receipt that is judged",
            world.patient("alice", &["verify", "--receipt", path]),
        )
        .await;
    assert!(
        kept["hospitals"][0]["receipts"].as_u64().unwrap_or(0) > 0,
        "{kept}"
    );
}

/// The hospital promised Dora a record and anchored none: a finding, which is printed, reported once, and ends the
/// program with the code for what does not hold.
async fn broken_promise(world: &World, table: &mut Table) {
    // Past the half hour in which a client only warns.
    const LATE: u64 = 40 * 60_000;
    let north = &world.layout.hospitals[0];
    let meta = Wallet::open(&world.home("dora"), PASSPHRASE)
        .unwrap()
        .meta();
    let promised = make_pseudonym(&mut OsRng, &north.id, &meta).pseudonym;
    let receipt = Receipt::sign(
        &north.identity,
        north.id,
        Hash([0xab; 32]),
        Hash([0xcd; 32]),
        promised,
        TimeMillis(SystemClock.now().0 - LATE),
    );
    let file = document(
        world,
        "broken.json",
        receipt_file(&receipt).to_string().as_bytes(),
    );
    let mut reported = Vec::new();
    for arguments in [&["verify", "--receipt", &file][..], &["verify"][..]] {
        let before = world.traces();
        let mut outcome = world.patient("dora", arguments).json().run().await;
        let shown = outcome.json();
        let changed = world.traces().since(&before);
        let finding = &shown["findings"][0];
        table.check(
            "a broken promise: it is a finding",
            finding["finding"] == "missed-deadline" && shown["findings"][1].is_null(),
            &outcome,
        );
        reported.push(finding["reported"].as_str().unwrap_or_default().to_owned());
        let sent = changed.iter().any(|trace| trace.contains("alliance chain"));
        table.check(
            "a broken promise: it is reported once",
            sent == (reported.len() == 1),
            &outcome,
        );
        // Here data is wanted.
        outcome.stdout.clear();
        table.judge(
            "a broken promise",
            &outcome,
            Ending::Fails(VerificationFailed, "1 fault with your records"),
        );
    }
    assert_eq!(reported[0].len(), 64, "{reported:?}");
    assert_eq!(reported[0], reported[1], "one report");
}

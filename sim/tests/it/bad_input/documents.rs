//! Files that are no FHIR, or not the right one, at the doctor's workstation.

use super::table::{Case, Table};
use super::world::World;
use caduceus_cli::ExitCode::{Failure, NotFound, Usage, VerificationFailed};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// The most bytes of FHIR in JSON.
const LIMIT: usize = 64 * 1024 * 1024;

/// Name of the case, content, what the first line says.
const FAULTY: &[(&str, &str, &str)] = &[
    ("words", "hello", "not JSON: line 1"),
    ("nothing", "", "not JSON"),
    (
        "JSON that ends too soon",
        r#"{"resourceType":"Bundle","entry":["#,
        "not JSON: line 1",
    ),
    ("two documents", "{}\n{}", "not JSON: line 2"),
    (
        "JSON that is not FHIR",
        r#"{"name":"x"}"#,
        "not FHIR R4: a resource has no resourceType",
    ),
    ("a JSON list", "[]", "not FHIR R4"),
    ("a JSON number", "7", "not FHIR R4"),
    (
        "a type that FHIR has not",
        r#"{"resourceType":"Prescription"}"#,
        "no resource type \"Prescription\"",
    ),
    (
        "a bundle with an entry that FHIR has not",
        r#"{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Potion"}}]}"#,
        "no resource type \"Potion\"",
    ),
    (
        "an empty bundle",
        r#"{"resourceType":"Bundle","type":"collection","entry":[]}"#,
        "holds no resource",
    ),
    (
        "a bundle without entries",
        r#"{"resourceType":"Bundle","type":"collection"}"#,
        "holds no resource",
    ),
    (
        "a bundle whose entries hold nothing",
        r#"{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:x"}]}"#,
        "holds no resource",
    ),
    (
        "a bundle without its patient",
        r#"{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Condition"}}]}"#,
        "holds no Patient",
    ),
    (
        "a bundle of two patients",
        r#"{"resourceType":"Bundle","type":"collection","entry":[
            {"resource":{"resourceType":"Patient","id":"a"}},{"resource":{"resourceType":"Patient","id":"b"}}]}"#,
        "holds 2 Patients",
    ),
];

/// The shortest history that is one.
const SHORT: &str = r#"{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","id":"a"}}]}"#;

pub async fn run(world: &World, table: &mut Table) {
    let folder = world.documents();
    let card = world.people["alice"].card.qr.as_str();
    let good = world.good_file();
    let write = |name: &str, content: &[u8]| -> String {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let upload = |file: &str| world.upload(card, &[file]);

    let mut cases = vec![Case::works("a history", upload(&good))];
    for (number, (what, content, says)) in FAULTY.iter().enumerate() {
        let file = write(&format!("faulty-{number}.json"), content.as_bytes());
        cases.push(Case::fails(*what, upload(&file), Usage, *says));
    }
    let words = write("words.json", b"hello");
    let bytes = write("bytes.json", &[0xff, 0xfe, 0x00]);
    let deep = write("deep.json", "[".repeat(1_000).as_bytes());
    cases.push(Case::fails(
        "bytes that are no text",
        upload(&bytes),
        Usage,
        "not JSON",
    ));
    cases.push(Case::fails(
        "lists in lists in lists",
        upload(&deep),
        Usage,
        "not JSON",
    ));
    cases.push(Case::fails(
        "a good file and a bad one",
        world.upload(card, &[&good, &words]),
        Usage,
        "words.json",
    ));
    cases.push(Case::fails(
        "no such file",
        upload("nowhere.json"),
        NotFound,
        "nowhere.json",
    ));
    cases.push(Case::fails(
        "a folder",
        upload(&folder.display().to_string()),
        Failure,
        "Is a directory",
    ));
    let elsewhere = world.workstation(
        "doctor",
        &["upload", "--card", card, "--organisation", "West", &good],
    );
    cases.push(Case::fails(
        "an organisation that is not in it",
        elsewhere,
        NotFound,
        "no encounter at \"West\"",
    ));
    let no_files = world.workstation("doctor", &["upload", "--card", card]);
    cases.push(Case::fails(
        "no file",
        no_files,
        Usage,
        "required arguments were not provided",
    ));
    let as_text = world.workstation(
        "doctor",
        &[
            "upload",
            "--card",
            card,
            "--media-type",
            "text/plain",
            &words,
        ],
    );
    cases.push(Case::works("the same words, said to be text", as_text));

    let over = folder.join("over.json");
    blanks(&over, LIMIT + 1);
    cases.push(Case::fails(
        "FHIR over 64 MiB",
        upload(&over.display().to_string()),
        Usage,
        "67108864",
    ));
    let mut at_the_limit = SHORT.as_bytes().to_vec();
    at_the_limit.resize(LIMIT, b' ');
    let full = write("full.json", &at_the_limit);
    drop(at_the_limit);
    cases.push(Case::works("FHIR of 64 MiB", upload(&full)));
    table.run(world, "a file", cases).await;

    receipts(world, table).await;
}

/// A file of JSON's white space.
fn blanks(path: &Path, length: usize) {
    let mut file = File::create(path).unwrap();
    let chunk = vec![b' '; 1024 * 1024];
    let mut left = length;
    while left > 0 {
        let now = left.min(chunk.len());
        file.write_all(&chunk[..now]).unwrap();
        left -= now;
    }
}

/// What the workstation writes for the patient, her program reads; and nothing else.
async fn receipts(world: &World, table: &mut Table) {
    let written = std::fs::read_dir(world.home("doctor").join("receipts"))
        .unwrap()
        .flatten()
        .next()
        .unwrap()
        .path();
    let text = std::fs::read_to_string(&written).unwrap();
    let folder = world.documents();
    let add = |name: &str, content: &str| {
        let path = folder.join(name);
        std::fs::write(&path, content).unwrap();
        world.patient(
            "alice",
            &["records", "--add-receipt", &path.display().to_string()],
        )
    };
    let whole: serde_json::Value = serde_json::from_str(&text).unwrap();
    let signed = whole["receipt"].as_str().unwrap();
    let mut altered = whole.clone();
    // The signature is at the end.
    let last = if signed.ends_with('0') { '1' } else { '0' };
    altered["receipt"] = format!("{}{last}", &signed[..signed.len() - 1]).into();
    let mut cut = whole.clone();
    cut["receipt"] = signed[..signed.len() - 2].to_owned().into();
    let mut later = whole.clone();
    later["format"] = "caduceus-receipt/9".into();
    let others = world.patient(
        "bob",
        &["records", "--add-receipt", &written.display().to_string()],
    );
    let cases = vec![
        Case::works("of her own", add("receipt.json", &text)),
        Case::fails(
            "words",
            add("words.txt", "hello"),
            Usage,
            "is not a receipt",
        ),
        Case::fails(
            "a later format",
            add("later.json", &later.to_string()),
            Usage,
            "caduceus-receipt/9",
        ),
        Case::fails(
            "one cut off",
            add("cut.json", &cut.to_string()),
            Usage,
            "is not a receipt",
        ),
        Case::fails(
            "one altered",
            add("altered.json", &altered.to_string()),
            VerificationFailed,
            "not signed",
        ),
        Case::fails("another patient's", others, VerificationFailed, "not yours"),
        Case::fails(
            "none",
            world.patient("alice", &["records", "--add-receipt", "nowhere.json"]),
            NotFound,
            "nowhere.json",
        ),
    ];
    table.run(world, "a receipt", cases).await;
}

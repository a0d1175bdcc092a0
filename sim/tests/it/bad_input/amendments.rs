//! Records that replace what is not there, somebody else's, or what was replaced before; and what the patient then
//! sees.

use super::program::Call;
use super::table::{Case, Ending, Table};
use super::world::{NORTH, World};
use caduceus_cli::ExitCode::{Denied, NotFound, Usage};
use serde_json::{Value, json};
use sim::generator;

pub async fn run(world: &World, table: &mut Table) {
    let (alice, bob) = (
        world.people["alice"].card.qr.as_str(),
        world.people["bob"].card.qr.as_str(),
    );
    let good = world.good_file();
    let hers = uploaded(
        world,
        table,
        "Alice's record",
        world.upload(alice, &[&good]),
    )
    .await;
    let first = uploaded(world, table, "Bob's record", world.upload(bob, &[&good])).await;
    mistakes(world, table, &hers, &first).await;

    let second = amend(world, bob, &first, &[&good]);
    let second = uploaded(world, table, "its next version", second).await;
    let again = amend(world, bob, &first, &[&good]).run().await;
    // Not by the traces: the server knows what it holds, and only the chain knows what is replaced. What the chain
    // refuses stays in the vault as bytes that nothing names.
    table.judge(
        "an amendment: of what is replaced already",
        &again,
        Ending::Fails(Denied, "amend_already_replaced"),
    );
    seen(world, table, &first, &second).await;
}

fn amend(world: &World, card: &str, record: &str, files: &[&str]) -> Call {
    let mut arguments = vec!["upload", "--card", card, "--amends", record];
    arguments.extend(files);
    world.workstation("doctor", &arguments)
}

/// The one record that an upload stored, once it is linked.
async fn uploaded(world: &World, table: &mut Table, what: &str, call: Call) -> String {
    let rows = table.control(&format!("an amendment: {what}"), call).await;
    assert_eq!(rows.as_array().map(Vec::len), Some(1), "{what}: {rows}");
    world.wait_until_linked(&rows).await;
    rows[0]["record_hash"].as_str().unwrap().to_owned()
}

async fn mistakes(world: &World, table: &mut Table, hers: &str, his: &str) {
    let (alice, bob) = (
        world.people["alice"].card.qr.as_str(),
        world.people["bob"].card.qr.as_str(),
    );
    let good = world.good_file();
    let two = world.documents().join("two-encounters.json");
    std::fs::write(&two, &generator::patients(1, 1, 2..=2, &[NORTH])[0]).unwrap();
    let two = two.display().to_string();
    let unknown = "ab".repeat(32);
    let longer = format!("{his}0");
    let no_digits = "zz".repeat(32);
    let cases = vec![
        Case::fails(
            "of half a hash",
            amend(world, bob, &his[..32], &[&good]),
            Usage,
            "64 hexadecimal digits, found 32",
        ),
        Case::fails(
            "of a hash and a digit",
            amend(world, bob, &longer, &[&good]),
            Usage,
            "64 hexadecimal digits, found 65",
        ),
        Case::fails(
            "of letters",
            amend(world, bob, &no_digits, &[&good]),
            Usage,
            "not a hexadecimal digit",
        ),
        Case::fails(
            "of nothing",
            amend(world, bob, "", &[&good]),
            Usage,
            "64 hexadecimal digits, found 0",
        ),
        Case::fails(
            "of two records",
            amend(world, bob, his, &["--amends", hers, &good]),
            Usage,
            "cannot be used multiple times",
        ),
        Case::fails(
            "of an unknown record",
            amend(world, bob, &unknown, &[&good]),
            NotFound,
            "amend_unknown_record",
        ),
        Case::fails(
            "of another patient's record",
            amend(world, bob, hers, &[&good]),
            Denied,
            "amends_other_patient",
        ),
        Case::fails(
            "of his record, with another patient's card",
            amend(world, alice, his, &[&good]),
            Denied,
            "amends_other_patient",
        ),
        Case::fails(
            "by two files",
            amend(world, bob, his, &[&good, &good]),
            Usage,
            "the files hold 2",
        ),
        Case::fails(
            "by a file of two encounters",
            amend(world, bob, his, &[&two]),
            Usage,
            "the files hold 2",
        ),
        Case::fails("by no file", amend(world, bob, his, &[]), Usage, "<FILE>"),
    ];
    table.run(world, "an amendment", cases).await;
}

/// The newest version stands for both, unless he asks for both.
async fn seen(world: &World, table: &mut Table, first: &str, second: &str) {
    let search = |more: &[&str]| {
        let mut arguments = vec!["search", "type:Encounter", "--local"];
        arguments.extend(more);
        world.patient("bob", &arguments)
    };
    let records = |shown: &Value| -> Vec<String> {
        let hits = shown["hits"].as_array().cloned().unwrap_or_default();
        hits.iter()
            .map(|hit| hit["record"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let newest = table
        .control("an amendment: the newest version", search(&[]))
        .await;
    assert_eq!(records(&newest), [second], "{newest}");
    assert_eq!(newest["hits"][0]["earlier"], 1, "{newest}");
    assert_eq!(
        newest["versions"],
        json!([{ "record": second, "earlier": [first] }]),
        "{newest}"
    );
    let all = table
        .control("an amendment: all versions", search(&["--no-versions"]))
        .await;
    assert_eq!(records(&all), [first, second], "{all}");
    assert_eq!(all["versions"], json!([]), "{all}");
}

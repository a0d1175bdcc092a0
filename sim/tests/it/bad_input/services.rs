//! Services that are down: the program says which, and what was begun is nowhere.

use super::table::{Case, Table};
use super::world::{PASSPHRASE, World};
use caduceus_cli::ExitCode::Unreachable;
use patient_client::Wallet;
use sim::servers::{CountingJournal, Servers};
use std::sync::Arc;

pub async fn run(world: &mut World, table: &mut Table) {
    have_tokens(world, table).await;
    world.servers.stop().await;
    without_the_server(world, table).await;
    world.servers = Servers::start(&world.layout, Arc::new(CountingJournal::default()))
        .await
        .unwrap();
    with_the_server_again(world, table).await;
    world.chains.stop().await;
    without_the_chains(world, table).await;
}

/// So that Alice can search while her hospital is away.
async fn have_tokens(world: &World, table: &mut Table) {
    let left = || {
        Wallet::open(&world.home("alice"), PASSPHRASE)
            .unwrap()
            .state()
            .tokens
            .len()
    };
    while left() < 2 {
        table
            .control(
                "a search",
                world.patient("alice", &["search", "type:Encounter"]),
            )
            .await;
    }
}

async fn without_the_server(world: &World, table: &mut Table) {
    let (alice, carol, dora) = (
        &world.people["alice"].card,
        &world.people["carol"].card,
        world.home("dora"),
    );
    let good = world.good_file();
    let meta = Wallet::open(&dora, PASSPHRASE).unwrap().meta().to_string();
    let patient = |who: &str, arguments: &[&str]| world.patient(who, arguments);
    let server = "the hospital server does not answer";
    let cases = vec![
        Case::works(
            "the alliance still searches",
            patient("alice", &["search", "type:Encounter"]),
        ),
        Case::works("and lists her grants", patient("alice", &["grants"])),
        Case::works(
            "and serves what is linked",
            patient("alice", &["search", "type:Encounter", "--local"]),
        ),
        Case::works(
            "an explained search needs no token",
            patient("bob", &["search", "type:Encounter", "--explain"]),
        ),
        Case::fails(
            "an upload",
            world.upload(&alice.qr, &[&good]),
            Unreachable,
            server,
        ),
        Case::fails(
            "a new patient",
            world.workstation("registrar", &["patient", "register", &meta]),
            Unreachable,
            server,
        ),
        Case::fails(
            "a registration",
            patient(
                "carol",
                &["register", &carol.qr, "--desk-code", &carol.code],
            ),
            Unreachable,
            "the server of North can't be reached",
        ),
        Case::fails(
            "a search without a token",
            patient("bob", &["search", "type:Encounter"]),
            Unreachable,
            "the server of North can't be reached",
        ),
        Case::fails(
            "a record",
            patient("alice", &["open", "1"]),
            Unreachable,
            "does not deliver record",
        ),
    ];
    table
        .run(world, "without the hospital's server", cases)
        .await;
}

/// What failed is done with the same command, as it said.
async fn with_the_server_again(world: &World, table: &mut Table) {
    let (alice, carol) = (&world.people["alice"].card, &world.people["carol"].card);
    let good = world.good_file();
    let cases = vec![
        Case::works("an upload", world.upload(&alice.qr, &[&good])),
        Case::works(
            "a registration",
            world.patient(
                "carol",
                &["register", &carol.qr, "--desk-code", &carol.code],
            ),
        ),
        Case::works(
            "a search without a token",
            world.patient("bob", &["search", "type:Encounter"]),
        ),
        Case::works("a record", world.patient("alice", &["open", "1"])),
    ];
    table
        .run(world, "with the hospital's server again", cases)
        .await;
}

async fn without_the_chains(world: &World, table: &mut Table) {
    let (institute, nobody) = (&world.data_users["institute"], &world.data_users["nobody"]);
    let good = world.good_file();
    let alice = |arguments: &[&str]| world.patient("alice", arguments);
    let user = |arguments: &[&str]| world.data_user("institute", arguments);
    let admit = [
        "data-user",
        "admit",
        &nobody.signing,
        &nobody.receiving,
        "--label",
        "x",
    ];
    let enrol = [
        "staff",
        "enrol",
        &nobody.signing,
        "--role",
        "nurse",
        "--label",
        "x",
    ];
    let request = ["request", "--purpose", "HRESCH", "--sought", "conditions"];
    let card = world.people["alice"].card.qr.as_str();
    let zero = "00".repeat(32);
    let away = "the alliance can't be reached";
    let cases = vec![
        Case::works("her cards need nobody", alice(&["card"])),
        Case::works("nor do her keys", user(&["id"])),
        Case::fails(
            "a search",
            alice(&["search", "type:Encounter"]),
            Unreachable,
            away,
        ),
        Case::fails(
            "an explained search",
            alice(&["search", "type:Encounter", "--explain"]),
            Unreachable,
            away,
        ),
        Case::fails(
            "a local search",
            alice(&["search", "type:Encounter", "--local"]),
            Unreachable,
            away,
        ),
        Case::fails("a verification", alice(&["verify"]), Unreachable, away),
        Case::fails("a record", alice(&["open", "1"]), Unreachable, away),
        Case::fails("requests", alice(&["requests"]), Unreachable, away),
        Case::fails(
            "a grant",
            alice(&["grant", "1", "--to", &institute.signing]),
            Unreachable,
            away,
        ),
        Case::fails("grants", alice(&["grants"]), Unreachable, away),
        Case::fails("a revocation", alice(&["revoke", &zero]), Unreachable, away),
        Case::fails("the log", alice(&["access-log"]), Unreachable, away),
        Case::fails("a request", user(&request), Unreachable, away),
        Case::fails(
            "a data user's requests",
            user(&["requests"]),
            Unreachable,
            away,
        ),
        Case::fails("a data user's grants", user(&["grants"]), Unreachable, away),
        Case::fails(
            "a granted record",
            user(&["fetch", &zero]),
            Unreachable,
            away,
        ),
        Case::fails(
            "a data user vouched for",
            world.admin(&admit),
            Unreachable,
            // Nothing is done that has no entry.
            "the hospital server can't do it now",
        ),
        Case::fails(
            "the link",
            world.workstation("doctor", &["link", "status"]),
            Unreachable,
            away,
        ),
        Case::fails(
            "shared records",
            world.workstation("doctor", &["shared", "list"]),
            Unreachable,
            away,
        ),
        Case::fails(
            "an enrolment",
            world.admin(&enrol),
            Unreachable,
            "the hospital server can't do it now",
        ),
        Case::fails(
            "an upload",
            world.upload(card, &[&good]),
            Unreachable,
            "can't do it now",
        ),
    ];
    table.run(world, "without the chains", cases).await;
}

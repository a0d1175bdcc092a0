//! An alliance without a quorum: whoever submits is told within the program's timeout, nothing is half done, and
//! the same command works when the quorum is back.

use super::program::Outcome;
use super::table::{Ending, Table};
use super::world::{PASSPHRASE, PATIENCE, World};
use caduceus_cli::ExitCode::{Denied, Unreachable};
use patient_client::{FoundRecord, OwnGrant, Wallet};
use std::time::{Duration, Instant};

/// The timeout that Alice has set.
const HERS: Duration = Duration::from_secs(5);
/// The programs' own.
const DEFAULT: Duration = Duration::from_secs(30);
/// For starting, locking, asking before the submission and ending after it, on a busy machine.
const AROUND: Duration = Duration::from_secs(12);

/// What a failed command must leave alone in Alice's wallet. (A token that a search has shown is spent.)
fn kept(world: &World) -> (Vec<OwnGrant>, Vec<FoundRecord>) {
    let wallet = Wallet::open(&world.home("alice"), PASSPHRASE).unwrap();
    (
        wallet.state().grants.clone(),
        wallet.state().last_search.clone(),
    )
}

fn heights(world: &World) -> Vec<u64> {
    world
        .alliance
        .iter()
        .map(|node| node.chain().tip().height.0)
        .collect()
}

pub async fn run(world: &World, table: &mut Table) {
    let key = world.data_users["institute"].signing.clone();
    let nobody = world.data_users["nobody"].clone();
    let grant = world.patient("alice", &["grant", "1", "--to", &key]);
    let search = world.patient("alice", &["search", "type:Encounter"]);
    let request = world.data_user(
        "institute",
        &["request", "--purpose", "HRESCH", "--sought", "conditions"],
    );
    let admit = world.admin(&[
        "data-user",
        "admit",
        &nobody.signing,
        &nobody.receiving,
        "--label",
        "late",
    ]);

    // All four decide.
    let granted = table.control("with a quorum: a grant", grant.clone()).await;
    let id = granted[0]["grant"].as_str().unwrap_or_default().to_owned();
    assert_eq!(granted[0]["usable"], true, "{granted}");
    table
        .control("with a quorum: a search", search.clone())
        .await;
    table
        .control("with a quorum: a request", request.clone())
        .await;
    let revoke = world.patient("alice", &["revoke", &id]);
    let fetch = world.data_user("institute", &["fetch", &id]);

    // Two of four decide nothing. What was decided before they stopped is still being written.
    for n in [2, 3] {
        world.chains.alliance(n).unwrap().node.stop().await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let settings = world.home("alice").join("config.toml");
    std::fs::write(&settings, format!("timeout_seconds = {}\n", HERS.as_secs())).unwrap();
    // Her newest head is in her wallet, so that nothing but a deed can change it.
    let seen = world.patient("alice", &["grants"]).run().await;
    table.judge("without a quorum: the newest head", &seen, Ending::Works);
    let (before, wallet, traces) = (heights(world), kept(world), world.traces());
    let hers = async {
        // One after the other: a wallet is its holder's alone.
        let reads = world.patient("alice", &["grants"]).run().await;
        let granted = grant.run().await;
        let revoked = revoke.run().await;
        (reads, granted, revoked)
    };
    let ((reads, granted, revoked), requested, admitted, fetched) =
        tokio::join!(hers, request.run(), admit.run(), fetch.run());
    table.judge(
        "without a quorum: what is proved is still told",
        &reads,
        Ending::Works,
    );
    late(table, "a grant", &granted, HERS, "did not commit grant");
    late(
        table,
        "a revocation",
        &revoked,
        HERS,
        "did not commit the transaction",
    );
    late(
        table,
        "a request",
        &requested,
        DEFAULT,
        "did not commit the transaction",
    );
    late(
        table,
        "a data user vouched for",
        &admitted,
        DEFAULT,
        "did not commit the transaction",
    );
    late(
        table,
        "a granted record",
        &fetched,
        DEFAULT,
        "did not commit the transaction",
    );
    table.check(
        "without a quorum: a block was made",
        heights(world) == before,
        &granted,
    );
    let changed = world.traces().since(&traces);
    table.check(
        &format!("without a quorum: {}", changed.join("; ")),
        changed.is_empty(),
        &granted,
    );
    let searched = search.run().await;
    late(
        table,
        "a search",
        &searched,
        HERS,
        "did not commit the transaction",
    );
    table.check(
        "without a quorum: the wallet is another",
        kept(world) == wallet,
        &searched,
    );
    let upload = world
        .upload(&world.people["alice"].card.qr, &[&world.good_file()])
        .run()
        .await;
    table.judge(
        "without a quorum: the hospital takes records all the same",
        &upload,
        Ending::Works,
    );
    table.check(
        "without a quorum: a block was made after all",
        heights(world) == before,
        &searched,
    );

    // Four again, and all the time they need.
    std::fs::remove_file(&settings).unwrap();
    for n in [2, 3] {
        world.chains.alliance(n).unwrap().node.start_engine();
    }
    let begun = Instant::now();
    while heights(world)
        .iter()
        .zip(&before)
        .any(|(now, before)| now <= before)
    {
        assert!(
            begun.elapsed() < PATIENCE,
            "no quorum again: {:?} after {before:?}",
            heights(world)
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("a quorum again after {:?}", begun.elapsed());
    again(world, table, &granted).await;
    table.control("a quorum again: the search", search).await;
    table.control("a quorum again: the request", request).await;
    table
        .control("a quorum again: the data user vouched for", admit)
        .await;
    table
        .control("a quorum again: the revocation", revoke)
        .await;
    let regranted = table.control("a quorum again: the grant", grant).await;
    assert_eq!(regranted[0]["usable"], true, "{regranted}");
    let id = regranted[0]["grant"].as_str().unwrap_or_default();
    table
        .control(
            "a quorum again: what it grants",
            world.data_user("institute", &["fetch", id]),
        )
        .await;
}

/// A submission that was given up: told as such, and in time.
fn late(table: &mut Table, what: &str, outcome: &Outcome, timeout: Duration, says: &'static str) {
    let what = format!("without a quorum: {what}");
    table.judge(&what, outcome, Ending::Fails(Unreachable, says));
    let in_time = outcome.took >= timeout && outcome.took < timeout + AROUND;
    table.check(&format!("{what}: not within {timeout:?}"), in_time, outcome);
}

/// The transaction of the grant that was given up may be committed now. Then it does what its error said: it
/// shows among her grants, opens nothing, and can be revoked.
async fn again(world: &World, table: &mut Table, given_up: &Outcome) {
    let id = given_up
        .stderr
        .split_whitespace()
        .find(|word| word.len() == 64)
        .unwrap_or_default()
        .to_owned();
    let grants = table
        .control(
            "a quorum again: her grants",
            world.patient("alice", &["grants"]),
        )
        .await;
    let listed = grants
        .as_array()
        .is_some_and(|rows| rows.iter().any(|row| row["grant"] == id.as_str()));
    if !listed {
        return;
    }
    let opened = world.data_user("institute", &["fetch", &id]).run().await;
    let ending = Ending::Fails(Denied, "capsule fragments");
    table.judge(
        "a quorum again: what was given up opens nothing",
        &opened,
        ending,
    );
    table
        .control(
            "a quorum again: its revocation",
            world.patient("alice", &["revoke", &id]),
        )
        .await;
}

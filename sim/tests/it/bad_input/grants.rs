//! Grants to keys that are none, over the proxies there are, of records that are not there.

use super::table::{Case, Table};
use super::world::World;
use caduceus_cli::ExitCode::{Denied, NotFound, Usage};

pub async fn run(world: &World, table: &mut Table) {
    let key = world.data_users["institute"].signing.as_str();
    patient(world, key, table).await;
    data_user(world, table).await;
    hospital(world, table).await;
    round_trip(world, key, table).await;
}

async fn patient(world: &World, key: &str, table: &mut Table) {
    let alice = |arguments: &[&str]| world.patient("alice", arguments);
    let grant = |to: &str, more: &[&str]| {
        let mut arguments = vec!["grant", "1", "--to", to];
        arguments.extend(more);
        world.patient("alice", &arguments)
    };
    let mut cases = vec![Case::works("for a day", grant(key, &["--days", "1"]))];
    let malformed = [
        ("words", "my doctor".to_owned()),
        ("nothing", String::new()),
        ("a hash", "ab".repeat(32)),
        ("a digit less", key[..65].to_owned()),
        ("a digit more", format!("{key}0")),
        ("a letter that is no digit", format!("{}g", &key[..65])),
        ("no point of the curve", format!("02{}", "00".repeat(32))),
        ("a number too large", format!("03{}", "ff".repeat(32))),
        ("another encoding", format!("04{}", "ab".repeat(64))),
        ("the wrong first byte", format!("05{}", &key[2..])),
        (
            "her own meta-address",
            world.people["alice"].meta.to_string(),
        ),
    ];
    for (what, to) in &malformed {
        cases.push(Case::fails(
            format!("to {what}"),
            grant(to, &[]),
            Usage,
            "is not a data user's key",
        ));
    }
    let unknown = world.data_users["nobody"].signing.as_str();
    cases.push(Case::fails(
        "to a key nobody vouches for",
        grant(unknown, &[]),
        NotFound,
        "no account",
    ));
    let proxies = world.layout.alliance.len();
    for threshold in [0, proxies + 1, 300, usize::MAX] {
        let what = format!("a threshold of {threshold} for {proxies} proxies");
        let call = grant(key, &["--threshold", &threshold.to_string()]);
        cases.push(Case::fails(
            what,
            call,
            Usage,
            "is not between 1 and the number",
        ));
    }
    cases.push(Case::works(
        "a threshold of all proxies",
        grant(key, &["--threshold", &proxies.to_string()]),
    ));
    cases.push(Case::fails(
        "a threshold of words",
        grant(key, &["--threshold", "most"]),
        Usage,
        "invalid value",
    ));
    cases.push(Case::fails(
        "a threshold below none",
        grant(key, &["--threshold=-1"]),
        Usage,
        "invalid value",
    ));
    for days in ["0", "91", "18446744073709551615"] {
        let call = grant(key, &["--days", days]);
        cases.push(Case::fails(
            format!("for {days} days"),
            call,
            Usage,
            "lasts 1 to 90 days",
        ));
    }
    cases.push(Case::fails(
        "for fun",
        grant(key, &["--purpose", "FUN"]),
        Usage,
        "unknown purpose",
    ));
    let (hash, zero) = ("ab".repeat(32), "00".repeat(32));
    cases.push(Case::fails(
        "of a hit that is not there",
        alice(&["grant", "99", "--to", key]),
        NotFound,
        "number 99",
    ));
    cases.push(Case::fails(
        "of an unknown hash",
        alice(&["grant", &hash, "--to", key]),
        NotFound,
        "no record abab",
    ));
    cases.push(Case::fails(
        "of nonsense",
        alice(&["grant", "all", "--to", key]),
        Usage,
        "neither the number",
    ));
    cases.push(Case::fails(
        "of nothing",
        alice(&["grant", "--to", key]),
        Usage,
        "required arguments",
    ));
    cases.push(Case::fails(
        "to nobody named",
        alice(&["grant", "1"]),
        Usage,
        "required arguments",
    ));
    let of_last_search = world.patient("carol", &["grant", "--all-of-last-search", "--to", key]);
    cases.push(Case::fails(
        "of a search that was not made",
        of_last_search,
        Usage,
        "no record was named",
    ));
    cases.push(Case::fails(
        "ended, by a number that is not there",
        alice(&["revoke", "99"]),
        NotFound,
        "no grant 99",
    ));
    cases.push(Case::fails(
        "ended, by an unknown hash",
        alice(&["revoke", &zero]),
        NotFound,
        "no grant 0000",
    ));
    cases.push(Case::fails(
        "ended, by words",
        alice(&["revoke", "my grant"]),
        NotFound,
        "no grant my grant",
    ));
    table.run(world, "a grant", cases).await;
}

async fn data_user(world: &World, table: &mut Table) {
    let institute = |arguments: &[&str]| world.data_user("institute", arguments);
    let request = |purpose: &str, sought: &str, days: &str| {
        institute(&[
            "request",
            "--purpose",
            purpose,
            "--sought",
            sought,
            "--days",
            days,
        ])
    };
    let not_vouched_for = ["request", "--purpose", "HRESCH", "--sought", "conditions"];
    let (long, zero) = ("x".repeat(281), "00".repeat(32));
    let cases = vec![
        Case::works("as it should be", request("HRESCH", "conditions", "30")),
        Case::fails(
            "for fun",
            request("FUN", "conditions", "30"),
            Usage,
            "unknown purpose",
        ),
        Case::fails(
            "for no days",
            request("HRESCH", "conditions", "0"),
            Usage,
            "invalid value",
        ),
        Case::fails(
            "for too many days",
            request("HRESCH", "conditions", "366"),
            Usage,
            "invalid value",
        ),
        Case::fails(
            "for nothing",
            request("HRESCH", "", "30"),
            Denied,
            "request_sought",
        ),
        Case::fails(
            "at length",
            request("HRESCH", &long, "30"),
            Denied,
            "request_sought",
        ),
        Case::fails(
            "by nobody's data user",
            world.data_user("nobody", &not_vouched_for),
            Denied,
            "request_account_unknown",
        ),
        Case::fails(
            "fetch nonsense",
            institute(&["fetch", "nonsense"]),
            Usage,
            "64 hexadecimal digits",
        ),
        Case::fails(
            "fetch an unknown grant",
            institute(&["fetch", &zero]),
            NotFound,
            "no grant 0000",
        ),
    ];
    table.run(world, "a request", cases).await;
}

async fn hospital(world: &World, table: &mut Table) {
    let keys = &world.data_users["nobody"];
    let institute = &world.data_users["institute"];
    let admit = |key: &str, receiving: &str, label: &str| {
        world.admin(&["data-user", "admit", key, receiving, "--label", label])
    };
    let enrol = |key: &str, role: &str| {
        world.admin(&["staff", "enrol", key, "--role", role, "--label", "x"])
    };
    let no_server = world.admin(&[
        "staff",
        "enrol",
        &keys.signing,
        "--role",
        "nurse",
        "--label",
        "x",
    ]);
    let nowhere = world.home("nowhere").display().to_string();
    let cases = vec![
        Case::works("a nurse", enrol(&keys.receiving, "nurse")),
        Case::fails(
            "a malformed key",
            enrol("nonsense", "nurse"),
            Usage,
            "66 hexadecimal digits",
        ),
        Case::fails(
            "an unknown role",
            enrol(&keys.signing, "wizard"),
            Usage,
            "unknown role",
        ),
        Case::fails(
            "no server's home",
            no_server.with("CADUCEUS_SERVER_HOME", nowhere),
            NotFound,
            "identity.key",
        ),
        Case::fails(
            "a malformed data user",
            admit("nonsense", &keys.receiving, "x"),
            Usage,
            "66 hexadecimal digits",
        ),
        Case::fails(
            "a malformed receiving key",
            admit(&keys.signing, "zz", "x"),
            Usage,
            "66 hexadecimal digits",
        ),
        Case::fails(
            "one key for both",
            admit(&keys.signing, &keys.signing, "x"),
            Denied,
            "account_one_key",
        ),
        Case::fails(
            "a label of nothing",
            admit(&keys.signing, &keys.receiving, ""),
            Denied,
            "account_label",
        ),
        Case::fails(
            "who is known already",
            admit(&institute.signing, &institute.receiving, "again"),
            Denied,
            "account_known",
        ),
    ];
    table.run(world, "an enrolment", cases).await;
}

/// The control of all: what is granted is opened, by whom it is granted to, until it is revoked.
async fn round_trip(world: &World, key: &str, table: &mut Table) {
    let granted = table
        .control(
            "a grant",
            world.patient("alice", &["grant", "1", "--to", key]),
        )
        .await;
    let id = granted[0]["grant"].as_str().unwrap_or_default();
    assert_eq!(granted[0]["usable"], true, "{granted}");
    let fetched = table
        .control("fetched", world.data_user("institute", &["fetch", id]))
        .await;
    assert_eq!(fetched["grant"], id, "{fetched}");
    let fetch = |who: &str| world.data_user(who, &["fetch", id]);
    let cases = vec![
        Case::works("by whom it is for", fetch("institute")),
        Case::fails(
            "by another data user",
            fetch("nobody"),
            Denied,
            "is for receiving key",
        ),
        Case::works("revoked", world.patient("alice", &["revoke", id])),
        Case::works("revoked again", world.patient("alice", &["revoke", id])),
        Case::fails(
            "after the revocation",
            fetch("institute"),
            Denied,
            "access_revoked",
        ),
    ];
    table.run(world, "a granted record", cases).await;
}

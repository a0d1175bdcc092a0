//! Searches that nothing matches, that say nothing, or that ask for impossible days; sent, explained and local.

use super::table::{Case, Ending, Table};
use super::world::{NORTH, World};
use caduceus_cli::ExitCode::{NotFound, Usage};

/// Query, further flags, what the first line says.
const FAULTY: &[(&str, &[&str], &str)] = &[
    // Dates reversed.
    (
        "type:Encounter",
        &["--from", "2024-05-17", "--to", "2023-01-01"],
        "before it starts",
    ),
    (
        "type:Encounter",
        &["--from", "2024-06", "--to", "2024-05"],
        "before it starts",
    ),
    (
        "type:Encounter",
        &["--from", "2024", "--to", "2023"],
        "before it starts",
    ),
    (
        "",
        &["--from", "2024-05-17", "--to", "2024-05-16"],
        "before it starts",
    ),
    (
        "asthma",
        &[
            "--anchored-since",
            "2026-11-20",
            "--anchored-until",
            "2026-11-19",
        ],
        "no record can be anchored",
    ),
    (
        "asthma",
        &["--anchored-since", "2199-01-01"],
        "no record can be anchored",
    ),
    // Dates that are none.
    ("asthma", &["--from", "yesterday"], "not a date"),
    ("asthma", &["--from", "2023-02-29"], "not a date"),
    ("asthma", &["--to", "2024-05-17T10:00"], "not a date"),
    ("asthma", &["--from", "1066"], "outside the years"),
    ("asthma", &["--anchored-since", "2024-13-01"], "not a date"),
    // Queries that are none.
    ("", &[], "the query is empty"),
    ("   ", &[], "the query is empty"),
    ("x", &[], "two letters or digits"),
    ("asthma AND", &[], "missing"),
    ("(asthma", &[], "never closed"),
    ("asthma)", &[], "closes nothing"),
    ("\"asthma", &[], "never closed"),
    ("colour:red", &[], "not a field"),
    ("type:Spaceship", &[], "not a clinical FHIR resource type"),
    ("code:nowhere|1", &[], "not a code system"),
    ("year:soon", &[], "not a year"),
    ("NOT asthma", &[], "something to be present"),
    ("asthma OR NOT cough", &[], "OR NOT"),
    ("asthma", &["--unheard-of"], "unexpected argument"),
];

/// What a search can be besides sent.
const WAYS: [&str; 2] = ["--explain", "--local"];

pub async fn run(world: &World, table: &mut Table) {
    unknown_keyword(world, table).await;
    other_ways(world, table).await;

    let search = |query: &str, flags: &[&str]| {
        let mut arguments = vec!["search", query];
        arguments.extend(flags);
        world.patient("alice", &arguments)
    };
    let alice = |arguments: &[&str]| world.patient("alice", arguments);
    let hash = "ab".repeat(32);
    let mut cases = vec![
        Case::works(
            "in order",
            search(
                "type:Encounter",
                &["--from", "2015-01-01", "--to", "2024-12-31"],
            ),
        ),
        Case::works(
            "one day",
            search(
                "type:Encounter",
                &["--from", "2024-05-17", "--to", "2024-05-17"],
            ),
        ),
    ];
    for (query, flags, says) in FAULTY {
        cases.push(Case::fails(
            format!("{query:?} {}", flags.join(" ")),
            search(query, flags),
            Usage,
            *says,
        ));
    }
    cases.push(Case::fails(
        "no query",
        alice(&["search"]),
        Usage,
        "required arguments",
    ));
    cases.push(Case::fails(
        "too long",
        search(&"word".repeat(1_250), &[]),
        Usage,
        "5000 bytes",
    ));
    cases.push(Case::fails(
        "an unknown hospital",
        search("asthma", &["--hospital", "West"]),
        NotFound,
        "\"West\"",
    ));
    cases.push(Case::fails(
        "without a card",
        world.patient("dora", &["search", "asthma"]),
        NotFound,
        "no card",
    ));
    // The last search, which the next group grants from.
    cases.push(Case::works("what she has", search("type:Encounter", &[])));
    cases.push(Case::works("open the first", alice(&["open", "1"])));
    cases.push(Case::fails(
        "open one that is not there",
        alice(&["open", "99"]),
        NotFound,
        "number 99",
    ));
    cases.push(Case::fails(
        "open none",
        alice(&["open", "0"]),
        NotFound,
        "number 0",
    ));
    cases.push(Case::fails(
        "open nonsense",
        alice(&["open", "nonsense"]),
        Usage,
        "neither the number",
    ));
    cases.push(Case::fails(
        "open an unknown hash",
        alice(&["open", &hash]),
        NotFound,
        "no record abab",
    ));
    table.run(world, "a search", cases).await;
}

/// A search that is explained sends nothing, a local one no transaction; mistakes are told as for one that is sent.
async fn other_ways(world: &World, table: &mut Table) {
    for way in WAYS {
        let before = world.traces();
        let outcome = world
            .patient("alice", &["search", "type:Encounter", way])
            .json()
            .run()
            .await;
        table.judge(&format!("a search, {way}"), &outcome, Ending::Works);
        let changed = world.traces().since(&before);
        // A local search is kept as her last one.
        let told = changed
            .iter()
            .any(|trace| way == "--explain" || trace.contains("transaction"));
        table.check(
            &format!("a search, {way}: {}", changed.join("; ")),
            !told,
            &outcome,
        );
    }
    let shown = table
        .control(
            "an explained search",
            world.patient("alice", &["search", "asthma AND cough", "--explain"]),
        )
        .await;
    assert_eq!(shown["sent"], false, "{shown}");
    let slots = shown["hospitals"][0]["windows"][0]["slots"].as_array();
    assert_eq!(slots.map(Vec::len), Some(2), "{shown}");

    let mut cases = Vec::new();
    for way in WAYS {
        for (query, flags, says) in FAULTY {
            let mut arguments = vec!["search", *query, way];
            arguments.extend(*flags);
            cases.push(Case::fails(
                format!("{query:?} {way} {}", flags.join(" ")),
                world.patient("alice", &arguments),
                Usage,
                *says,
            ));
        }
        let of = |who: &str, arguments: &[&str]| {
            let mut all = vec!["search", way];
            all.extend(arguments);
            world.patient(who, &all)
        };
        let value = format!("{way}=no");
        for (what, call, exit, says) in [
            (
                "an unknown hospital",
                of("alice", &["asthma", "--hospital", "West"]),
                NotFound,
                "\"West\"",
            ),
            (
                "one hospital of two unknown",
                of(
                    "alice",
                    &["asthma", "--hospital", NORTH, "--hospital", "West"],
                ),
                NotFound,
                "\"West\"",
            ),
            (
                "a hospital without a name",
                of("alice", &["asthma", "--hospital", ""]),
                NotFound,
                "\"\"",
            ),
            (
                "without a card",
                of("dora", &["asthma"]),
                NotFound,
                "no card",
            ),
            (
                "without a card of the hospital",
                of("dora", &["asthma", "--hospital", NORTH]),
                NotFound,
                "no card of North",
            ),
            ("no query", of("alice", &[]), Usage, "<QUERY>"),
            (
                "twice",
                of("alice", &["asthma", way]),
                Usage,
                "multiple times",
            ),
            (
                "with a value",
                world.patient("alice", &["search", "asthma", &value]),
                Usage,
                "unexpected value",
            ),
        ] {
            cases.push(Case::fails(format!("{way}, {what}"), call, exit, says));
        }
    }
    cases.push(Case::fails(
        "explained and local",
        world.patient("alice", &["search", "asthma", "--explain", "--local"]),
        Usage,
        "cannot be used with",
    ));
    table.run(world, "a search", cases).await;
    versions(world, table).await;
}

async fn versions(world: &World, table: &mut Table) {
    let search = |arguments: &[&str]| {
        let mut all = vec!["search"];
        all.extend(arguments);
        world.patient("alice", &all)
    };
    let cases = vec![
        Case::works(
            "not looked for",
            search(&["type:Encounter", "--no-versions"]),
        ),
        Case::works(
            "nor explained",
            search(&["type:Encounter", "--no-versions", "--explain"]),
        ),
        Case::fails("of no query", search(&["--no-versions"]), Usage, "<QUERY>"),
        Case::fails(
            "of an empty query",
            search(&["", "--no-versions"]),
            Usage,
            "the query is empty",
        ),
        Case::fails(
            "with a value",
            search(&["asthma", "--no-versions=yes"]),
            Usage,
            "unexpected value",
        ),
        Case::fails(
            "twice",
            search(&["asthma", "--no-versions", "--no-versions"]),
            Usage,
            "multiple times",
        ),
        Case::fails(
            "asked for, which is what a search does",
            search(&["asthma", "--versions"]),
            Usage,
            "unexpected argument",
        ),
        Case::fails(
            "not looked for at an unknown hospital",
            search(&["asthma", "--no-versions", "--hospital", "West"]),
            NotFound,
            "\"West\"",
        ),
    ];
    table.run(world, "newer versions", cases).await;
}

/// Nothing found is an answer: proved, and no mistake.
async fn unknown_keyword(world: &World, table: &mut Table) {
    for query in ["xylophone", "code:0000000", "type:Encounter AND xylophone"] {
        let outcome = world
            .patient("alice", &["search", query])
            .json()
            .run()
            .await;
        let what = format!("an unknown keyword, {query}");
        table.judge(&what, &outcome, Ending::Works);
        let shown = outcome.json();
        let hospital = &shown["hospitals"][0];
        table.check(
            &format!("{what}: nothing is said but the data"),
            outcome.stderr.is_empty(),
            &outcome,
        );
        table.check(
            &format!("{what}: no hits"),
            shown["hits"] == serde_json::json!([]),
            &outcome,
        );
        table.check(
            &format!("{what}: verified"),
            hospital["verified"] == true,
            &outcome,
        );
        table.check(
            &format!("{what}: complete"),
            hospital["complete"] == true,
            &outcome,
        );
        let linked = hospital["linked_height"].as_u64().unwrap_or(0);
        table.check(
            &format!("{what}: over the record that there is"),
            linked > 0,
            &outcome,
        );
    }
    let outcome = world.patient("alice", &["search", "xylophone"]).run().await;
    table.judge("an unknown keyword, for people", &outcome, Ending::Works);
    for part in ["nothing to show", "North: verified at alliance height"] {
        table.check(
            "an unknown keyword, for people: it is told",
            outcome.stderr.contains(part),
            &outcome,
        );
    }
    table.check(
        "an unknown keyword, for people: no rows",
        outcome.stdout.trim().is_empty(),
        &outcome,
    );

    let shown = table
        .control(
            "a known keyword",
            world.patient("alice", &["search", "type:Encounter"]),
        )
        .await;
    assert!(
        shown["hits"]
            .as_array()
            .is_some_and(|hits| !hits.is_empty()),
        "{shown}"
    );
}

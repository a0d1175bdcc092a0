//! Searches that nothing matches, that say nothing, or that ask for impossible days.

use super::table::{Case, Ending, Table};
use super::world::World;
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

pub async fn run(world: &World, table: &mut Table) {
    unknown_keyword(world, table).await;

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

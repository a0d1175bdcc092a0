//! The arrows of DESIGN section 9, checked: which package reaches which, and what pure code may name.
//!
//! Each package is resolved alone. A build of the whole workspace unifies features: there the chains always
//! have their nodes and `hospital-server` its workstation, so it would show nothing.

mod resolve;
mod sources;

use std::collections::{BTreeMap, BTreeSet};

/// What each build reaches, itself left out. A build is a package and cargo's feature flags for it, as one
/// text: `alliance-chain --no-default-features`.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// A runtime, sockets, a database, and the crates that hold them.
const IMPURE: &[&str] = &[
    "tokio",
    "libp2p",
    "redb",
    "caduceus-node",
    "caduceus-network",
    "caduceus-cli",
];

/// What a build may not reach.
#[derive(Clone, Copy)]
enum Ban {
    /// These packages and their families: `libp2p` also means `libp2p-swarm`.
    Never(&'static [&'static str]),
    /// Any package of this workspace but these.
    InHouseBut(&'static [&'static str]),
}

/// One ban.
struct Rule {
    build: String,
    ban: Ban,
}

const BANS: &[(&str, Ban)] = &[
    // Pure crates: no clock, socket, file or runtime, and only what is purer than themselves.
    ("caduceus-crypto", Ban::Never(IMPURE)),
    ("caduceus-crypto", Ban::InHouseBut(&[])),
    ("caduceus-custody", Ban::Never(IMPURE)),
    ("caduceus-custody", Ban::InHouseBut(&["caduceus-crypto"])),
    ("caduceus-ledger", Ban::Never(IMPURE)),
    ("caduceus-ledger", Ban::InHouseBut(&["caduceus-crypto"])),
    ("private-chain --no-default-features", Ban::Never(IMPURE)),
    (
        "private-chain --no-default-features",
        Ban::InHouseBut(&["caduceus-crypto", "caduceus-ledger"]),
    ),
    ("alliance-chain --no-default-features", Ban::Never(IMPURE)),
    (
        "alliance-chain --no-default-features",
        Ban::InHouseBut(&["caduceus-crypto", "caduceus-ledger"]),
    ),
    // What serves all chains and programs knows none of them.
    ("caduceus-cli", Ban::InHouseBut(&[])),
    ("caduceus-network", Ban::InHouseBut(&["caduceus-crypto"])),
    (
        "caduceus-node",
        Ban::InHouseBut(&["caduceus-crypto", "caduceus-ledger", "caduceus-network"]),
    ),
    // The chains meet as data, and their nodes cannot open a record.
    (
        "private-chain",
        Ban::Never(&["alliance-chain", "caduceus-custody"]),
    ),
    (
        "alliance-chain",
        Ban::Never(&["private-chain", "caduceus-custody"]),
    ),
    // The part of the hospital server that patients need not trust (ADR 0007).
    (
        "hospital-server --no-default-features --features serve",
        Ban::Never(&["caduceus-custody"]),
    ),
    // What both node programs share knows neither chain.
    (
        "caduceus-operator",
        Ban::InHouseBut(&[
            "caduceus-cli",
            "caduceus-crypto",
            "caduceus-ledger",
            "caduceus-network",
            "caduceus-node",
        ]),
    ),
    // A client asks nodes; it does not contain one.
    ("caduceus-client", Ban::Never(&["caduceus-node"])),
    ("patient-client", Ban::Never(&["caduceus-node"])),
    ("data-user-client", Ban::Never(&["caduceus-node"])),
];

/// What must be seen, or the resolution shows nothing and every ban holds for no reason.
const SEEN: &[(&str, &str)] = &[
    ("caduceus-custody", "caduceus-crypto"),
    ("alliance-chain", "caduceus-node"),
    ("alliance-chain", "libp2p"),
    ("private-chain", "tokio"),
    ("private-chain", "redb"),
    ("hospital-server", "caduceus-custody"),
    ("patient-client", "caduceus-custody"),
    ("sim", "caduceus-node"),
];

/// The table above, and that nobody but sim itself reaches sim.
fn rules(members: &BTreeSet<String>) -> Vec<Rule> {
    let table = BANS.iter().map(|(build, ban)| Rule {
        build: (*build).to_owned(),
        ban: *ban,
    });
    let no_sim = members
        .iter()
        .filter(|member| *member != "sim")
        .map(|member| Rule {
            build: member.clone(),
            ban: Ban::Never(&["sim"]),
        });
    table.chain(no_sim).collect()
}

impl Ban {
    fn forbids(self, package: &str, members: &BTreeSet<String>) -> bool {
        match self {
            Ban::Never(families) => families.iter().any(|family| {
                package
                    .strip_prefix(family)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            }),
            Ban::InHouseBut(allowed) => members.contains(package) && !allowed.contains(&package),
        }
    }
}

/// What a check found.
struct Report {
    /// Edges compared with a rule.
    edges: usize,
    /// One line for each forbidden edge, and for each rule whose build was not resolved.
    broken: Vec<String>,
}

fn check(graph: &Graph, rules: &[Rule], members: &BTreeSet<String>) -> Report {
    let mut edges = 0;
    let mut broken = Vec::new();
    for rule in rules {
        let Some(reached) = graph.get(&rule.build) else {
            broken.push(format!("{} was not resolved", rule.build));
            continue;
        };
        edges += reached.len();
        for package in reached {
            if rule.ban.forbids(package, members) {
                broken.push(format!(
                    "{0} must not reach {package}: cargo tree -e normal -i {package} -p {0}",
                    rule.build
                ));
            }
        }
    }
    Report { edges, broken }
}

#[test]
fn the_arrows_of_the_design_hold() {
    let members = resolve::members();
    assert!(
        members.len() >= 13 && members.contains("sim"),
        "{members:?}"
    );
    let rules = rules(&members);
    let builds: BTreeSet<&str> = rules
        .iter()
        .map(|rule| rule.build.as_str())
        .chain(SEEN.iter().map(|(build, _)| *build))
        .collect();
    let graph: Graph = builds
        .iter()
        .map(|build| ((*build).to_owned(), resolve::reached(build)))
        .collect();
    for (build, package) in SEEN {
        assert!(
            graph[*build].contains(*package),
            "{build} does not show {package}: resolution fails, or the arrow is gone and SEEN is old"
        );
    }
    let report = check(&graph, &rules, &members);
    println!(
        "{} builds resolved, {} edges checked against {} rules",
        graph.len(),
        report.edges,
        rules.len()
    );
    assert!(report.edges >= 1_000, "{} edges only", report.edges);
    assert!(report.broken.is_empty(), "\n{}", report.broken.join("\n"));
}

/// The control: on a graph where every rule holds nothing is reported, and one planted edge is.
#[test]
fn every_planted_violation_is_reported() {
    let members: BTreeSet<String> = ["caduceus-crypto", "caduceus-ledger", "sim", "stranger"]
        .map(str::to_owned)
        .into();
    let rules = rules(&members);
    let clean: Graph = rules
        .iter()
        .map(|rule| (rule.build.clone(), BTreeSet::from(["k256".to_owned()])))
        .collect();
    let report = check(&clean, &rules, &members);
    assert_eq!(report.edges, rules.len());
    assert_eq!(report.broken, Vec::<String>::new());

    let mut planted = 0;
    for rule in &rules {
        let violations: Vec<String> = match rule.ban {
            Ban::Never(families) => families
                .iter()
                .flat_map(|family| [(*family).to_owned(), format!("{family}-part")])
                .collect(),
            Ban::InHouseBut(_) => vec!["stranger".to_owned()],
        };
        for package in violations {
            let mut graph = clean.clone();
            graph.get_mut(&rule.build).unwrap().insert(package.clone());
            let report = check(&graph, std::slice::from_ref(rule), &members);
            assert_eq!(report.broken.len(), 1, "{} -> {package}", rule.build);
            assert!(report.broken[0].contains(&package));
            planted += 1;
        }
    }
    println!("{planted} planted edges, {planted} reported");
    assert!(planted >= 60, "{planted}");

    let nothing = check(&Graph::new(), &rules, &members);
    assert_eq!(
        nothing.broken.len(),
        rules.len(),
        "nothing resolved is no pass"
    );
}

#[test]
fn a_family_is_not_a_prefix() {
    let none = BTreeSet::new();
    let ban = Ban::Never(&["sim", "libp2p"]);
    for (package, forbidden) in [
        ("sim", true),
        ("simd-adler32", false),
        ("libp2p", true),
        ("libp2p-swarm", true),
        ("libp2px", false),
    ] {
        assert_eq!(ban.forbids(package, &none), forbidden, "{package}");
    }
}

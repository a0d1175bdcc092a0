//! Each malformed trapdoor meets a rule of its own, before anything is searched or spent.

use super::*;
use crate::state::Daily;
use caduceus_crypto::index::{
    Cover, CoverNode, MAX_CLAUSES, MAX_NODES_PER_SLOT, MAX_SLOTS, PaeksTrapdoor, PeksTrapdoor,
    QuarterCover,
};
use caduceus_crypto::time::Quarter;

fn today() -> Epoch {
    testing::NOW.epoch()
}

fn positive(slots: &[u8]) -> Clause {
    Clause {
        negative: false,
        slots: slots.to_vec(),
    }
}

fn negative(slots: &[u8]) -> Clause {
    Clause {
        negative: true,
        slots: slots.to_vec(),
    }
}

/// A query for these covers, one a slot.
fn by_tags(clauses: Vec<Clause>, covers: Vec<Cover>) -> Query {
    Query {
        clauses,
        slots: Slots::Tags(covers),
    }
}

fn whole() -> Cover {
    keyword_cover(1)
}

fn quarters(quarters: &[Quarter]) -> Cover {
    let quarters = quarters.iter().map(|quarter| QuarterCover {
        quarter: *quarter,
        ..whole().quarters[0].clone()
    });
    Cover {
        quarters: quarters.collect(),
    }
}

/// A cover of today's quarter with these nodes, by depth and position.
fn nodes(nodes: &[(u8, u8)]) -> Cover {
    let mut cover = whole();
    cover.quarters[0].nodes = nodes
        .iter()
        .map(|(depth, position)| CoverNode {
            depth: *depth,
            position: *position,
            seed: [5; 16],
        })
        .collect();
    cover
}

/// A query with one such slot.
fn single(cover: Cover) -> Query {
    by_tags(vec![positive(&[0])], vec![cover])
}

/// Every quarter from the alliance's first day to today.
fn all_quarters() -> Vec<Quarter> {
    let first = testing::alliance_genesis().params.first_epoch.quarter();
    (first.0..=today().quarter().0).map(Quarter).collect()
}

/// Malformed trapdoors of epoch tags, each with the rule that it breaks.
fn tag_cases() -> Vec<(&'static str, Query)> {
    let every_slot: Vec<u8> = (0..64).collect();
    let quarter = today().quarter();
    let many_days: Vec<(u8, u8)> = (0..=MAX_NODES_PER_SLOT as u8).map(|day| (7, day)).collect();
    let two = |clauses| by_tags(clauses, vec![whole(), whole()]);
    vec![
        ("search_no_clauses", by_tags(Vec::new(), Vec::new())),
        (
            "search_too_many_clauses",
            by_tags(vec![positive(&[0]); MAX_CLAUSES + 1], vec![whole()]),
        ),
        (
            "search_too_many_slots",
            by_tags(vec![positive(&every_slot)], vec![whole(); MAX_SLOTS + 1]),
        ),
        (
            "search_empty_clause",
            two(vec![positive(&[0, 1]), positive(&[])]),
        ),
        ("search_unknown_slot", two(vec![positive(&[0, 1, 2])])),
        ("search_repeated_slot", two(vec![positive(&[0, 1, 0])])),
        ("search_unused_slot", two(vec![positive(&[1])])),
        ("search_no_positive_clause", two(vec![negative(&[0, 1])])),
        ("search_empty_cover", single(quarters(&[]))),
        ("search_empty_cover", single(nodes(&[]))),
        ("search_too_many_nodes", single(nodes(&many_days))),
        ("search_no_such_node", single(nodes(&[(8, 0)]))),
        ("search_no_such_node", single(nodes(&[(0, 1)]))),
        ("search_no_such_node", single(nodes(&[(7, 128)]))),
        ("search_unordered", single(nodes(&[(7, 5), (7, 4)]))),
        (
            "search_unordered",
            single(quarters(&[quarter, Quarter(quarter.0 - 1)])),
        ),
        ("search_overlapping", single(nodes(&[(7, 5), (7, 5)]))),
        ("search_overlapping", single(nodes(&[(6, 2), (7, 5)]))),
        ("search_overlapping", single(quarters(&[quarter, quarter]))),
        // Tomorrow, the next quarter, and the one before the alliance's first day.
        (
            "search_outside_range",
            single(nodes(&[(7, today().day_of_quarter() + 1)])),
        ),
        ("search_outside_range", single(quarters(&[quarter.next()]))),
        (
            "search_outside_range",
            single(quarters(&[Quarter(all_quarters()[0].0 - 1)])),
        ),
        (
            "search_too_many_leaves",
            by_tags(
                vec![positive(&every_slot)],
                vec![quarters(&all_quarters()); MAX_SLOTS],
            ),
        ),
    ]
}

fn peks(first: u32, last: u32, trapdoors: Vec<PeksTrapdoor>) -> Slots {
    Slots::Peks(Scan {
        first: Epoch(first),
        last: Epoch(last),
        trapdoors,
    })
}

fn paeks(trapdoors: Vec<PaeksTrapdoor>) -> Slots {
    Slots::Paeks(Scan {
        first: today(),
        last: today(),
        trapdoors,
    })
}

fn in_one_clause(slots: Slots) -> Query {
    let all = (0..slots.len()).map(|slot| slot as u8).collect();
    Query {
        clauses: vec![Clause {
            negative: false,
            slots: all,
        }],
        slots,
    }
}

/// Malformed trapdoors of the schemes that scan.
fn scan_cases(scheme: SchemeId) -> Vec<(&'static str, Query)> {
    let now = today().0;
    // A compressed point has its first bit set; 0x40 marks the identity.
    let mut identity = [0; 96];
    identity[0] = 0xc0;
    match scheme {
        SchemeId::Tags => Vec::new(),
        SchemeId::Peks => {
            let good = peks_trapdoor(1);
            let none = PeksTrapdoor([0; 96]);
            let mut flipped = good;
            flipped.0[95] ^= 1;
            vec![
                (
                    "search_bad_trapdoor",
                    in_one_clause(peks(now, now, vec![none])),
                ),
                (
                    "search_bad_trapdoor",
                    in_one_clause(peks(now, now, vec![good, PeksTrapdoor(identity)])),
                ),
                (
                    "search_bad_trapdoor",
                    in_one_clause(peks(now, now, vec![flipped])),
                ),
                (
                    "search_scan_range",
                    in_one_clause(peks(now, now - 1, vec![good])),
                ),
                (
                    "search_outside_range",
                    in_one_clause(peks(now + 1, now + 9, vec![good])),
                ),
                (
                    "search_outside_range",
                    in_one_clause(peks(0, 9, vec![good])),
                ),
                (
                    "search_too_many_slots",
                    in_one_clause(peks(now, now, vec![good; MAX_SLOTS + 1])),
                ),
                (
                    "search_no_clauses",
                    Query {
                        clauses: Vec::new(),
                        slots: peks(now, now, vec![good]),
                    },
                ),
            ]
        }
        SchemeId::Paeks => {
            let good = paeks_trapdoor(1);
            let no_token = PaeksTrapdoor {
                token: [0xff; 288],
                ..good
            };
            let no_receiver = PaeksTrapdoor {
                receiver: identity,
                ..good
            };
            vec![
                (
                    "search_bad_trapdoor",
                    in_one_clause(paeks(vec![good, no_token])),
                ),
                (
                    "search_bad_trapdoor",
                    in_one_clause(paeks(vec![no_receiver])),
                ),
            ]
        }
    }
}

/// A well-formed query of a scheme.
fn good(scheme: SchemeId) -> Query {
    match scheme {
        SchemeId::Tags => all_of(&[1]),
        SchemeId::Peks => in_one_clause(peks(today().0, today().0, vec![peks_trapdoor(1)])),
        SchemeId::Paeks => in_one_clause(paeks(vec![paeks_trapdoor(1)])),
    }
}

/// All malformed queries for a chain of this scheme.
fn cases(scheme: SchemeId) -> Vec<(&'static str, Query)> {
    let foreign = SchemeId::ALL
        .into_iter()
        .filter(|other| *other != scheme)
        .map(|other| ("search_foreign_scheme", good(other)));
    let own = match scheme {
        SchemeId::Tags => tag_cases(),
        scans => scan_cases(scans),
    };
    foreign.chain(own).collect()
}

fn chain_of(scheme: SchemeId) -> Chain {
    let mut chain = Chain::of_scheme(scheme);
    chain.link_records_of(scheme);
    chain.add_issuer_key(0);
    chain
}

/// The token and the block's budget are as before, whatever was refused.
fn assert_untouched(chain: &Chain) {
    assert!(!query::is_spent(chain, &token(0, 0)).unwrap());
    assert_eq!(state::budget().get(chain).unwrap(), None);
}

#[test]
fn each_malformed_trapdoor_meets_its_rule_and_nothing_is_executed() {
    let (mut refused, mut rules) = (0, std::collections::BTreeSet::new());
    for scheme in SchemeId::ALL {
        let mut chain = chain_of(scheme);
        for (rule, query) in cases(scheme) {
            chain.refuse_untouched(&signed(0, search_body(0, query)), rule);
            rules.insert(rule);
            refused += 1;
        }
        assert_untouched(&chain);
        // The control: a well-formed one searches, writes, and the token was good all along.
        let tx = signed(0, search_body(0, good(scheme)));
        assert!(chain.look_ups(&tx) > 0);
        assert_eq!(run(&mut chain, &tx).hits, [hit(0), hit(1)]);
        assert!(query::is_spent(&chain, &token(0, 0)).unwrap());
    }
    println!("{refused} malformed trapdoors, {} rules", rules.len());
    assert_eq!((refused, rules.len()), (39, 18));
}

/// A malformed trapdoor costs as much to check as a good one, so a token that may not be used now is refused before.
#[test]
fn trapdoors_are_looked_at_where_there_is_room_only() {
    let mut refused = 0;
    for scheme in SchemeId::ALL {
        let mut chain = chain_of(scheme);
        let params = query::params(&chain).unwrap();
        let full = params.block_budget - params.max_probes;
        for (rule, query) in cases(scheme) {
            let tx = signed(0, search_body(0, query));
            chain.edit(|state| state::budget().put(state, &(full + 1)));
            chain.refuse_untouched(&tx, "search_block_budget");
            chain.edit(|state| state::budget().put(state, &full));
            chain.refuse_untouched(&tx, rule);
            let today = state::daily(Daily::Searches, &hospital(0).0, testing::NOW.epoch());
            chain.edit(|state| today.put(state, &params.searches_per_day));
            chain.refuse_untouched(&tx, "search_member_limit");
            chain.edit(|state| today.clear(state));
            refused += 1;
        }
    }
    println!("{refused} malformed trapdoors");
    assert_eq!(refused, 39);
}

#[test]
fn nothing_is_executed_for_what_is_late_foreign_or_replayed() {
    for scheme in SchemeId::ALL {
        let mut chain = chain_of(scheme);
        let body = search_body(0, good(scheme));

        let elsewhere = Search {
            chain: testing::other_chain(),
            ..body.clone()
        };
        chain.refuse_untouched(&signed(0, elsewhere.clone()), "search_other_chain");
        // A search for another chain, brought here: its signature is for there.
        let Tx::Search(mut replayed) = signed(0, elsewhere) else {
            panic!("a search was signed");
        };
        replayed.body.chain = testing::chain();
        chain.refuse_untouched(&Tx::Search(replayed), "search_not_signed");

        let late = Search {
            expires: Height(chain.height.0 - 1),
            ..body.clone()
        };
        chain.refuse_untouched(&signed(0, late), "search_expired");

        // The same search counts once, and so does its token.
        let tx = signed(0, body.clone());
        chain.accept(&tx);
        let again = Search {
            nonce: [7; 32],
            ..body
        };
        let spent = state::budget().get(&chain).unwrap();
        chain.refuse_untouched(&tx, "search_token_spent");
        chain.refuse_untouched(&signed(0, again), "search_token_spent");
        assert_eq!(state::budget().get(&chain).unwrap(), spent);
    }
}

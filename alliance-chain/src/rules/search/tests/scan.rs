//! The schemes that scan give the answers that tags give.

use super::*;

const SCANS: [SchemeId; 2] = [SchemeId::Peks, SchemeId::Paeks];

/// The same query under a scheme, over these days.
fn over(scheme: SchemeId, first: Epoch, last: Epoch, keywords: &[u8]) -> Query {
    let slots = match scheme {
        SchemeId::Tags => all_of(keywords).slots,
        SchemeId::Peks => Slots::Peks(Scan {
            first,
            last,
            trapdoors: keywords.iter().map(|word| peks_trapdoor(*word)).collect(),
        }),
        SchemeId::Paeks => Slots::Paeks(Scan {
            first,
            last,
            trapdoors: keywords.iter().map(|word| paeks_trapdoor(*word)).collect(),
        }),
    };
    Query {
        slots,
        ..all_of(keywords)
    }
}

fn under(scheme: SchemeId, keywords: &[u8]) -> Query {
    let today = testing::NOW.epoch();
    over(scheme, Epoch(today.0 - 3), today, keywords)
}

fn chain_of(scheme: SchemeId, change: impl FnOnce(&mut crate::Params)) -> Chain {
    let mut chain = Chain::with_params(|params| {
        *params = crate::Params::of_scheme(scheme, params.first_epoch);
        change(params);
    });
    chain.link_records_of(scheme);
    chain.add_issuer_key(0);
    chain
}

#[test]
fn all_schemes_give_the_same_answers() {
    for scheme in SchemeId::ALL {
        let mut chain = chain_of(scheme, |_| {});
        let mut answers = Vec::new();
        let mut one_not_two = under(scheme, &[1, 2]);
        one_not_two.clauses[1].negative = true;
        let queries = [under(scheme, &[1]), under(scheme, &[1, 2]), one_not_two];
        for (n, query) in (0..).zip(queries) {
            let found = run(&mut chain, &signed(n, search_body(n, query)));
            assert_eq!((found.linked_height, found.stopped_at), (1, None));
            answers.push(found.hits);
            chain.finish_block();
        }
        let expected = [vec![hit(0), hit(1)], vec![hit(1)], vec![hit(0)]];
        assert_eq!(answers, expected, "{scheme}");
    }
}

#[test]
fn a_scan_is_charged_its_tests() {
    for scheme in SCANS {
        let mut chain = chain_of(scheme, |_| {});
        let found = run(&mut chain, &signed(0, search_body(0, under(scheme, &[1]))));
        // Records 0 and 1 end at their match; all eight entries of record 2 are tested.
        assert!((10..=24).contains(&found.probes), "{}", found.probes);
        assert_eq!(state::budget().get(&chain).unwrap(), Some(found.probes));
    }
}

#[test]
fn other_days_and_other_hospitals_have_no_hits() {
    let today = testing::NOW.epoch();
    let yesterday = Epoch(today.0 - 1);
    for scheme in SCANS {
        let mut chain = chain_of(scheme, |_| {});
        let before = over(scheme, Epoch(today.0 - 9), yesterday, &[1]);
        let found = run(&mut chain, &signed(0, search_body(0, before)));
        assert_eq!((found.hits, found.probes), (Vec::new(), 0));
        let elsewhere = Search {
            hospital: hospital(1),
            ..search_body(1, under(scheme, &[1]))
        };
        let found = run(&mut chain, &signed(1, elsewhere));
        assert_eq!((found.hits, found.probes), (Vec::new(), 0));
    }
}

/// Records 0, 1 and 2 are linked on the three days after the first, whatever their private blocks say of the time.
#[test]
fn only_records_of_the_days_asked_for_are_tested() {
    let first = testing::NOW.epoch();
    let day = |n: u32| Epoch(first.0 + n);
    for scheme in SCANS {
        let leaves: Vec<_> = (0..3).map(|i| testing::leaf_of(scheme, i)).collect();
        let mut blocks = testing::PrivateBlocks::new(0);
        for leaf in &leaves {
            blocks.push(std::slice::from_ref(leaf));
        }
        for height in 1..=3 {
            let time = testing::later((20 + height as u64) * testing::DAY);
            blocks.alter(height, |header| header.time = time);
        }
        let mut chain = Chain::of_scheme(scheme);
        chain.add_issuer_key(0);
        chain.accept(&Tx::Checkpoint(blocks.checkpoint(1, 3)));
        for (height, leaf) in (1..).zip(leaves) {
            chain.time = testing::later(height * testing::DAY);
            chain.accept(&Tx::Link(crate::tx::Link {
                hospital: hospital(0),
                height: Height(height),
                leaves: vec![leaf],
            }));
        }
        chain.time = testing::later(9 * testing::DAY);
        let mut search = |n: u8, from: u32, to: u32| {
            let query = over(scheme, day(from), day(to), &[1]);
            let found = run(&mut chain, &signed(n, search_body(n, query)));
            chain.finish_block();
            let heights: Vec<u64> = found.hits.iter().map(|hit| hit.record.height).collect();
            (heights, found.probes)
        };
        let (heights, probes) = search(0, 2, 2);
        assert_eq!(heights, [2]);
        assert!((1..=8).contains(&probes), "{probes}");
        let (heights, probes) = search(1, 0, 2);
        assert_eq!(heights, [1, 2]);
        assert!((2..=16).contains(&probes), "{probes}");
        assert_eq!(search(2, 3, 9), (Vec::new(), 8));
    }
}

#[test]
fn hits_and_tests_are_bounded() {
    for scheme in SCANS {
        let mut chain = chain_of(scheme, |params| params.max_hits = 1);
        let found = run(&mut chain, &signed(0, search_body(0, under(scheme, &[1]))));
        assert_eq!(
            (found.hits, found.stopped_at),
            (vec![hit(0)], Some(hit(1).record))
        );
        let mut chain = chain_of(scheme, |params| params.max_probes = 5);
        let found = run(&mut chain, &signed(0, search_body(0, under(scheme, &[1]))));
        assert!(found.gave_up() && found.hits.is_empty());
        assert_eq!(found.probes, 5);
        assert!(query::is_spent(&chain, &token(0, 0)).unwrap());
    }
}

#[test]
fn a_block_has_a_budget_for_tests() {
    for scheme in SCANS {
        let mut chain = chain_of(scheme, |_| {});
        let params = query::params(&chain).unwrap();
        let full = params.block_budget - params.max_probes;
        let tx = signed(0, search_body(0, under(scheme, &[1])));
        chain.edit(|state| state::budget().put(state, &(full + 1)));
        chain.refuse_untouched(&tx, "search_block_budget");
        chain.edit(|state| state::budget().put(state, &full));
        chain.accept(&tx);
    }
}

#[test]
fn a_block_has_room_for_one_scan() {
    for scheme in SCANS {
        let mut chain = chain_of(scheme, |_| {});
        let tx = |n| signed(n, search_body(n, under(scheme, &[1])));
        chain.accept(&tx(0));
        chain.refuse_untouched(&tx(1), "search_block_budget");
        chain.finish_block();
        chain.accept(&tx(1));
    }
}

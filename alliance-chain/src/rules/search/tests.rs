#![allow(clippy::unwrap_used)]

mod malformed;
mod scan;

use crate::query;
use crate::state::{self, RecordRef};
use crate::testing::{
    self, Chain, hospital, keyword_cover, leaf, paeks_trapdoor, peks_trapdoor, search_body, secret,
    token, token_key,
};
use crate::tx::{Change, Hit, Issuer, Search, SearchResult, Tx};
use caduceus_crypto::index::{Clause, Query, Scan, SchemeId, Slots};
use caduceus_crypto::time::Epoch;
use caduceus_ledger::Height;

/// Days from the quarter's first to the day of the tests: the leaves of one whole-quarter cover.
fn leaves() -> u64 {
    u64::from(testing::NOW.epoch().day_of_quarter()) + 1
}

/// All of these keywords.
fn all_of(keywords: &[u8]) -> Query {
    Query {
        clauses: (0u8..)
            .zip(keywords)
            .map(|(slot, _)| Clause {
                negative: false,
                slots: vec![slot],
            })
            .collect(),
        slots: Slots::Tags(
            keywords
                .iter()
                .map(|keyword| keyword_cover(*keyword))
                .collect(),
        ),
    }
}

/// Keyword 1 and not keyword 2.
fn one_not_two() -> Query {
    let mut query = all_of(&[1, 2]);
    query.clauses[1].negative = true;
    query
}

/// Signed with the secret of token `n`.
fn signed(n: u8, body: Search) -> Tx {
    Tx::Search(body.sign(&token_key(0, n)))
}

/// Records 0 to 2 are linked, and member 0 issues tokens.
fn prepared(mut chain: Chain) -> Chain {
    chain.link_records();
    chain.add_issuer_key(0);
    chain
}

fn chain() -> Chain {
    prepared(Chain::new())
}

fn hit(i: u8) -> Hit {
    let leaf = leaf(i);
    let record = RecordRef {
        height: 1,
        position: u32::from(i),
    };
    Hit {
        record,
        pseudonym: leaf.pseudonym,
        record_hash: leaf.record_hash,
    }
}

fn run(chain: &mut Chain, tx: &Tx) -> SearchResult {
    query::search_result(&chain.accept(tx)).unwrap()
}

#[test]
fn matching_records_are_found() {
    let mut chain = chain();
    let found = run(&mut chain, &signed(0, search_body(0, all_of(&[1]))));
    // Each day costs a miss, and today two hits before it.
    let expected = SearchResult {
        hospital: hospital(0),
        linked_height: 1,
        hits: vec![hit(0), hit(1)],
        stopped_at: None,
        probes: leaves() + 2,
    };
    assert_eq!(found, expected);
    assert_eq!(
        run(&mut chain, &signed(1, search_body(1, all_of(&[1, 2])))).hits,
        [hit(1)]
    );
    assert_eq!(
        run(&mut chain, &signed(2, search_body(2, one_not_two()))).hits,
        [hit(0)]
    );
    assert!(query::is_spent(&chain, &token(0, 0)).unwrap());
}

#[test]
fn a_hospital_without_links_has_no_hits() {
    let mut chain = chain();
    let body = Search {
        hospital: hospital(1),
        ..search_body(0, all_of(&[1]))
    };
    let found = run(&mut chain, &signed(0, body));
    assert_eq!(
        (found.hospital, found.linked_height, found.hits),
        (hospital(1), 0, Vec::new())
    );
}

#[test]
fn a_former_member_stays_searchable() {
    let mut chain = Chain::new();
    chain.link_records();
    chain.govern(Change::Remove(hospital(0)));
    let issuer = crate::tx::Issuer {
        member: hospital(1),
        key: testing::issuer_key(0),
    };
    chain.accept(&Tx::Issuer(
        issuer.sign(&testing::chain(), &testing::identity(1)),
    ));
    let body = Search {
        issuer: hospital(1),
        ..search_body(0, all_of(&[1]))
    };
    assert_eq!(run(&mut chain, &signed(0, body)).hits.len(), 2);
}

#[test]
fn hits_are_bounded_and_the_stop_is_named() {
    let mut chain = prepared(Chain::with_params(|params| params.max_hits = 1));
    let found = run(&mut chain, &signed(0, search_body(0, all_of(&[1]))));
    assert_eq!(
        (found.hits, found.stopped_at),
        (vec![hit(0)], Some(hit(1).record))
    );
}

#[test]
fn probes_are_bounded_and_the_token_is_spent() {
    let mut chain = prepared(Chain::with_params(|params| params.max_probes = 5));
    let found = run(&mut chain, &signed(0, search_body(0, all_of(&[1]))));
    assert!(found.gave_up() && found.hits.is_empty());
    assert_eq!(found.probes, 5);
    assert!(query::is_spent(&chain, &token(0, 0)).unwrap());
}

#[test]
fn the_search_is_for_this_chain() {
    let body = Search {
        chain: testing::other_chain(),
        ..search_body(0, all_of(&[1]))
    };
    chain().refuse(&signed(0, body), "search_other_chain");
}

#[test]
fn the_search_is_in_time() {
    let mut chain = chain();
    let tx = signed(0, search_body(0, all_of(&[1])));
    chain.height = Height(101);
    chain.refuse(&tx, "search_expired");
    chain.height = Height(100);
    chain.accept(&tx);
}

#[test]
fn the_hospital_is_known() {
    let body = Search {
        hospital: hospital(9),
        ..search_body(0, all_of(&[1]))
    };
    chain().refuse(&signed(0, body), "search_hospital_unknown");
}

#[test]
fn the_issuer_is_a_member_with_a_key() {
    for i in [1, 9] {
        let body = Search {
            issuer: hospital(i),
            ..search_body(0, all_of(&[1]))
        };
        chain().refuse(&signed(0, body), "search_issuer_unknown");
    }
    let mut chain = chain();
    chain.govern(Change::Remove(hospital(0)));
    chain.refuse(
        &signed(0, search_body(0, all_of(&[1]))),
        "search_issuer_unknown",
    );
}

#[test]
fn a_token_is_spent_once() {
    let mut chain = chain();
    chain.accept(&signed(0, search_body(0, all_of(&[1]))));
    let again = Search {
        nonce: [7; 32],
        ..search_body(0, all_of(&[2]))
    };
    chain.refuse(&signed(0, again), "search_token_spent");
}

#[test]
fn nothing_before_the_alliances_first_day_is_searched() {
    let late = |params: &mut crate::Params| params.first_epoch = Epoch(testing::NOW.epoch().0 + 1);
    let mut chain = prepared(Chain::with_params(late));
    chain.refuse(
        &signed(0, search_body(0, all_of(&[1]))),
        "search_empty_range",
    );
}

#[test]
fn the_tokens_key_signs() {
    let forged = Tx::Search(search_body(0, all_of(&[1])).sign(&secret(77)));
    chain().refuse(&forged, "search_not_signed");
    let Tx::Search(mut altered) = signed(0, search_body(0, all_of(&[1]))) else {
        panic!("a search was signed");
    };
    altered.body.query = all_of(&[2]);
    chain().refuse(&Tx::Search(altered), "search_not_signed");
}

#[test]
fn the_issuer_signed_the_token() {
    let other = Search {
        token: token(1, 0),
        ..search_body(0, all_of(&[1]))
    };
    let tx = Tx::Search(other.sign(&token_key(1, 0)));
    let mut chain = chain();
    chain.refuse(&tx, "search_token_forged");
    // A new key makes its tokens good and leaves those of the key before it good.
    chain.add_issuer_key(1);
    chain.accept(&tx);
    chain.accept(&signed(0, search_body(0, all_of(&[1]))));
    // After one change more, the first key's tokens are void.
    chain.add_issuer_key(2);
    chain.refuse(
        &signed(1, search_body(1, all_of(&[1]))),
        "search_token_forged",
    );
}

#[test]
fn a_block_has_a_budget() {
    let mut chain = chain();
    let params = query::params(&chain).unwrap();
    let full = params.block_budget - params.max_probes - leaves();
    chain.edit(|state| state::budget().put(state, &(full + 1)));
    let tx = signed(0, search_body(0, all_of(&[1])));
    chain.refuse(&tx, "search_block_budget");
    assert!(crate::is_transient("search_block_budget"));
    chain.edit(|state| state::budget().put(state, &full));
    chain.accept(&tx);
    // Charged what it used, not what it reserved.
    let used = state::budget().get(&chain).unwrap();
    assert_eq!(used, Some(full + leaves() + leaves() + 2));
    chain.finish_block();
    assert_eq!(state::budget().get(&chain).unwrap(), None);
}

#[test]
fn the_largest_search_fits_an_empty_block() {
    for scheme in SchemeId::ALL {
        let params = query::params(&Chain::of_scheme(scheme)).unwrap();
        assert!(params.largest_search() <= params.block_budget, "{scheme}");
    }
}

#[test]
fn a_members_tokens_run_so_many_searches_a_day() {
    let mut chain = prepared(Chain::with_params(|params| params.searches_per_day = 2));
    let own = Issuer {
        member: hospital(1),
        key: testing::issuer_key(1),
    };
    chain.accept(&Tx::Issuer(
        own.sign(&testing::chain(), &testing::identity(1)),
    ));
    for n in 0..2 {
        run(&mut chain, &signed(n, search_body(n, all_of(&[1]))));
    }
    let third = signed(2, search_body(2, all_of(&[1])));
    chain.refuse(&third, "search_member_limit");
    // Tokens of another member are counted apart.
    let body = Search {
        issuer: hospital(1),
        token: token(1, 0),
        ..search_body(0, all_of(&[1]))
    };
    chain.accept(&Tx::Search(body.sign(&token_key(1, 0))));
    chain.refuse(&third, "search_member_limit");
    chain.time = testing::later(testing::DAY);
    chain.accept(&third);
}

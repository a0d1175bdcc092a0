//! Two searches of each of many patients, each under a blind token, signed as the transaction that nodes see.

use super::features::Public;
use super::records::{Hospital, Patient};
use crate::attack::report::Counted;
use crate::attack::world::{MemoryIndex, day, rng};
use alliance_chain::tx::{Search, SignedSearch};
use caduceus_crypto::Hash;
use caduceus_crypto::index::{Clause, Cover, CoverNode, MAX_HITS, Query, SchemeId, Slots};
use caduceus_crypto::token::TokenIssuer;
use caduceus_custody::keyword::Keyword;
use caduceus_custody::patient::PatientKeys;
use caduceus_custody::scheme;
use caduceus_custody::seed::PatientSeed;
use caduceus_custody::token::{SpendableToken, blind};
use caduceus_ledger::{ChainId, Height};
use rand::{Rng, RngCore};
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;

/// Days of the first and of the second search: of two quarters.
const FIRST_DAYS: (u32, u32) = (90, 180);
const SECOND_DAYS: (u32, u32) = (181, 272);

/// How the two searches of a patient lie to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ranges {
    /// In two quarters; for the same keyword or for another.
    Apart,
    /// For one keyword in one quarter, the days of the second all later.
    OneQuarter,
    /// For one keyword, with days in common.
    Overlapping,
}

/// Both searches of `count` patients, as nodes see them.
pub(super) fn made(
    hospital: &Hospital,
    issuer: &TokenIssuer,
    seed: u64,
    count: usize,
    ranges: Ranges,
) -> Vec<[SignedSearch; 2]> {
    (0..count)
        .into_par_iter()
        .map(|number| {
            let purpose = 3_u64 + ranges as u64;
            let mut rng = rng(
                seed,
                (purpose << 32) + u64::try_from(number).expect("a count fits"),
            );
            let keys = PatientKeys::from_seed(&PatientSeed::generate(&mut rng));
            let words = [word(&mut rng), word(&mut rng)];
            let other = ranges == Ranges::Apart && rng.gen_bool(0.5);
            let [first, second] = days(&mut rng, ranges);
            let mut search = |word: &str, days: (u32, u32)| {
                let token = token(&mut rng, issuer);
                let query = query(hospital, &keys, word, days);
                transaction(&mut rng, hospital, query, &token)
            };
            [
                search(&words[0], first),
                search(&words[usize::from(other)], second),
            ]
        })
        .collect()
}

/// The same transactions as a classifier sees them.
pub(super) fn public(searches: &[[SignedSearch; 2]]) -> Vec<[Public; 2]> {
    searches
        .par_iter()
        .map(|pair| [public_of(&pair[0]), public_of(&pair[1])])
        .collect()
}

fn public_of(search: &SignedSearch) -> Public {
    let body = &search.body;
    let covers = covers(&body.query);
    let quarters = || covers.iter().flat_map(|cover| &cover.quarters);
    let nodes: Vec<_> = quarters().flat_map(|quarter| &quarter.nodes).collect();
    let seed_of = |at: Option<&&CoverNode>| at.map(|node| node.seed.to_vec()).unwrap_or_default();
    let fields = vec![
        body.token.key.as_bytes().to_vec(),
        body.token.signature.clone(),
        body.nonce.to_vec(),
        quarters()
            .next()
            .map(|quarter| quarter.salt.to_vec())
            .unwrap_or_default(),
        seed_of(nodes.first()),
        seed_of(nodes.last()),
        search.signature.as_bytes().to_vec(),
    ];
    let numbers = vec![
        nodes.len() as f64,
        nodes.first().map_or(0.0, |node| f64::from(node.depth)),
        nodes.first().map_or(0.0, |node| f64::from(node.position)),
        body.expires.0 as f64,
    ];
    let salts = quarters().map(|quarter| quarter.salt);
    let members: Vec<[u8; 16]> = salts.chain(nodes.iter().map(|node| node.seed)).collect();
    Public::new(fields, numbers, members)
}

/// Whether two searches share a salt or a node: then they are of one keyword of one patient.
pub(super) fn share_a_value(pair: &[SignedSearch; 2]) -> bool {
    let values = |search: &SignedSearch| -> Vec<[u8; 16]> {
        let covers = covers(&search.body.query).to_vec();
        let quarters = covers.into_iter().flat_map(|cover| cover.quarters);
        quarters
            .flat_map(|quarter| {
                let seeds = quarter.nodes.into_iter().map(|node| node.seed);
                seeds.chain([quarter.salt]).collect::<Vec<_>>()
            })
            .collect()
    };
    let second = values(&pair[1]);
    values(&pair[0]).iter().any(|value| second.contains(value))
}

/// For each patient whose two records have a keyword in common, whether one search for it returns both, and no
/// record of anybody else: all that it returns is hers.
pub(super) fn co_hits(hospital: &Hospital, patients: &[Patient]) -> Counted {
    let mut index = MemoryIndex::default();
    for patient in patients {
        for record in &patient.records {
            index.link(day(record.day), record.entries.clone());
        }
    }
    let mut counted = Counted::default();
    for (number, patient) in (0_u32..).zip(patients) {
        let [first, second] = &patient.records;
        let Some(common) = first
            .keywords
            .iter()
            .find(|word| second.keywords.contains(word))
        else {
            continue;
        };
        let query = query(hospital, &patient.keys, common, (0, 89));
        let checked = query.verify(SchemeId::Tags, day(0), day(89));
        let checked = checked.expect("the patient's cover is well-formed");
        let found = checked.run(MAX_HITS, u64::MAX, &mut index);
        let mut hits = found.expect("an index in memory can be read").hits;
        hits.sort_unstable();
        counted.note(hits == [2 * number, 2 * number + 1]);
    }
    counted
}

fn covers(query: &Query) -> &[Cover] {
    match &query.slots {
        Slots::Tags(covers) => covers,
        _ => &[],
    }
}

fn days(rng: &mut ChaCha20Rng, ranges: Ranges) -> [(u32, u32); 2] {
    let mut within = |low: u32, high: u32| {
        let from = rng.gen_range(low..=high);
        (from, rng.gen_range(from..=high))
    };
    match ranges {
        Ranges::Apart => [
            within(FIRST_DAYS.0, FIRST_DAYS.1),
            within(SECOND_DAYS.0, SECOND_DAYS.1),
        ],
        Ranges::OneQuarter => {
            let middle = FIRST_DAYS.0.midpoint(FIRST_DAYS.1);
            [
                within(FIRST_DAYS.0, middle),
                within(middle + 1, FIRST_DAYS.1),
            ]
        }
        Ranges::Overlapping => {
            let first = within(FIRST_DAYS.0, FIRST_DAYS.1);
            [first, (FIRST_DAYS.0, first.1)]
        }
    }
}

fn word(rng: &mut ChaCha20Rng) -> String {
    let code = Keyword::code(&rng.gen_range(10_000_000..100_000_000_u32).to_string());
    code.expect("digits are a code").as_str().to_owned()
}

fn query(hospital: &Hospital, keys: &PatientKeys, word: &str, days: (u32, u32)) -> Query {
    Query {
        clauses: vec![Clause {
            negative: false,
            slots: vec![0],
        }],
        slots: scheme::slots(
            SchemeId::Tags,
            keys,
            &hospital.id,
            &hospital.service.public(),
            &[word],
            day(days.0),
            day(days.1),
        ),
    }
}

/// A token as the hospital issues it.
pub(super) fn token(rng: &mut ChaCha20Rng, issuer: &TokenIssuer) -> SpendableToken {
    let pending = blind(rng, issuer.public()).expect("the issuer's key can blind");
    let signed = issuer.sign_blinded(pending.blinded());
    let signed = signed.expect("the blinded message belongs to this key");
    pending
        .finalize(&signed)
        .expect("the issuer signed what was asked")
}

fn transaction(
    rng: &mut ChaCha20Rng,
    hospital: &Hospital,
    query: Query,
    token: &SpendableToken,
) -> SignedSearch {
    let mut nonce = [0u8; 32];
    rng.fill_bytes(&mut nonce);
    let search = Search {
        hospital: hospital.id,
        query,
        nonce,
        expires: Height(rng.gen_range(100..200)),
        chain: ChainId(Hash([7; 32])),
        issuer: hospital.id,
        token: token.token.clone(),
    };
    search.sign(&token.key)
}

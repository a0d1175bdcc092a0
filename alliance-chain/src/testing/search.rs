//! Keywords, tokens and searches.
//!
//! Records 0 and 1 carry keyword 1, records 1 and 2 keyword 2, all anchored on the day of [`super::NOW`].

use super::{NOW, chain, hospital, secret};
use crate::tx::{Search, Tx};
use blind_rsa_signatures::BlindSignature;
use caduceus_crypto::index::{
    Clause, Cover, CoverNode, QuarterCover, Query, Slots, TREE_DEPTH, Tag, ggm_node, leaf_tag,
};
use caduceus_crypto::keys::{PublicKey, SecretKey};
use caduceus_crypto::token::{IssuerPublicKey, MIN_MODULUS_BITS, RngAdapter, Token, TokenIssuer};
use caduceus_ledger::Height;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::sync::OnceLock;

const ISSUERS: u8 = 3;
const TOKENS: u8 = 3;

fn salt(keyword: u8) -> [u8; 16] {
    [keyword; 16]
}

fn root(keyword: u8) -> [u8; 16] {
    [keyword + 100; 16]
}

/// The tag of the `i`-th record with a keyword.
fn keyword_tag(keyword: u8, i: u32) -> Tag {
    let day = NOW.epoch().day_of_quarter();
    leaf_tag(
        &ggm_node(&salt(keyword), &root(keyword), TREE_DEPTH, day),
        i,
    )
}

/// The keywords of record `i`, and which of the records with each it is.
pub(super) fn keywords(record: u8) -> &'static [(u8, u32)] {
    match record {
        0 => &[(1, 0)],
        1 => &[(1, 1), (2, 0)],
        2 => &[(2, 1)],
        _ => &[],
    }
}

/// The tags of record `i`.
pub fn keyword_tags(record: u8) -> Vec<Tag> {
    keywords(record)
        .iter()
        .map(|(keyword, i)| keyword_tag(*keyword, *i))
        .collect()
}

/// A cover of the whole quarter.
pub fn keyword_cover(keyword: u8) -> Cover {
    let node = CoverNode {
        depth: 0,
        position: 0,
        seed: root(keyword),
    };
    let quarter = NOW.epoch().quarter();
    Cover {
        quarters: vec![QuarterCover {
            quarter,
            salt: salt(keyword),
            nodes: vec![node],
        }],
    }
}

/// Secret of token `n` of issuer key `issuer`.
pub fn token_key(issuer: u8, n: u8) -> SecretKey {
    secret(180 + 10 * issuer + n)
}

/// Token `n`, 0 to 2, under issuer key `issuer`.
pub fn token(issuer: u8, n: u8) -> Token {
    issued()[usize::from(issuer)].1[usize::from(n)].clone()
}

/// Token key `issuer`, 0 to 2.
pub fn issuer_key(issuer: u8) -> IssuerPublicKey {
    issued()[usize::from(issuer)].0.clone()
}

/// RSA keys take a second each to draw, so all tests share them.
fn issued() -> &'static [(IssuerPublicKey, Vec<Token>)] {
    static ISSUED: OnceLock<Vec<(IssuerPublicKey, Vec<Token>)>> = OnceLock::new();
    ISSUED.get_or_init(|| (0..ISSUERS).map(issue).collect())
}

fn issue(issuer: u8) -> (IssuerPublicKey, Vec<Token>) {
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(issuer));
    let key = TokenIssuer::generate(&mut rng, MIN_MODULUS_BITS).unwrap();
    let tokens = (0..TOKENS)
        .map(|n| sign_token(&key, token_key(issuer, n).public(), &mut rng))
        .collect();
    (key.public().clone(), tokens)
}

fn sign_token(issuer: &TokenIssuer, key: PublicKey, rng: &mut ChaCha20Rng) -> Token {
    let scheme = issuer.public().scheme_key();
    let blinding = scheme.blind(&mut RngAdapter(rng), key.as_bytes()).unwrap();
    let blind_signature = BlindSignature(issuer.sign_blinded(&blinding.blind_message.0).unwrap());
    let signature = scheme
        .finalize(&blind_signature, &blinding, key.as_bytes())
        .unwrap();
    Token {
        key,
        signature: signature.0,
    }
}

/// A search at hospital 0 with token `n` of issuer key 0, not signed yet.
pub fn search_body(n: u8, query: Query) -> Search {
    Search {
        hospital: hospital(0),
        query,
        nonce: [6; 32],
        expires: Height(100),
        chain: chain(),
        issuer: hospital(0),
        token: token(0, n),
    }
}

/// The first search of member 0's user: records with keyword 1, under token 0 of issuer key 0.
pub fn search() -> Tx {
    let query = Query {
        clauses: vec![Clause {
            negative: false,
            slots: vec![0],
        }],
        slots: Slots::Tags(vec![keyword_cover(1)]),
    };
    Tx::Search(search_body(0, query).sign(&token_key(0, 0)))
}

//! Search tokens: the issuer keeps the transcript of every issue and sees every token spent, and tries to say which
//! spent token came from which issue.
//!
//! Algebra has nothing to hold on to: for each issue and each token some blinding factor makes them fit (RFC 9474,
//! section 7; Chaum 1982). So the issuer compares bytes, as he would who hopes for a fault of the implementation.

use super::searches::token;
use crate::attack::report::Counted;
use crate::attack::world::{rng, shuffled};
use caduceus_crypto::token::{Token, TokenIssuer};
use caduceus_custody::token::blind;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;

/// What the issuer saw when he signed: the blinded message and his signature.
type Issue = [Vec<u8>; 2];

/// How the tokens are issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Issuing {
    /// Blindly, by RFC 9474.
    Blind,
    /// In the clear: the issuer sees key and signature.
    Clear,
}

/// How many of `count` spent tokens the issuer matches with their issue.
pub(super) fn matched(issuer: &TokenIssuer, seed: u64, count: usize, issuing: Issuing) -> Counted {
    let transcripts: Vec<(Issue, Token)> = (0..count)
        .into_par_iter()
        .map(|number| {
            let stream = (12_u64 << 32) + u64::try_from(number).expect("a count fits");
            issued(&mut rng(seed, stream), issuer, issuing)
        })
        .collect();
    let issues: Vec<&Issue> = transcripts.iter().map(|(issue, _)| issue).collect();
    let order = shuffled(&mut rng(seed, 13), (0..count).collect());
    let outcomes: Vec<bool> = order
        .into_par_iter()
        .map(|spent| likeliest(&issues, &transcripts[spent].1) == Some(spent))
        .collect();
    Counted::of(outcomes)
}

fn issued(rng: &mut ChaCha20Rng, issuer: &TokenIssuer, issuing: Issuing) -> (Issue, Token) {
    match issuing {
        Issuing::Blind => {
            let pending = blind(rng, issuer.public()).expect("the issuer's key can blind");
            let blinded = pending.blinded().to_vec();
            let signed = issuer.sign_blinded(&blinded);
            let signed = signed.expect("the blinded message belongs to this key");
            let spendable = pending.finalize(&signed);
            let spendable = spendable.expect("the issuer signed what was asked");
            ([blinded, signed], spendable.token)
        }
        Issuing::Clear => {
            let token = token(rng, issuer).token;
            (
                [token.key.as_bytes().to_vec(), token.signature.clone()],
                token,
            )
        }
    }
}

/// The issue whose bytes are most like the token's, or most unlike: the largest deviation from even bits.
fn likeliest(issues: &[&Issue], token: &Token) -> Option<usize> {
    let parts = [token.key.as_bytes().as_slice(), &token.signature];
    let likeness = |issue: &Issue| -> f64 {
        let pairs = issue
            .iter()
            .flat_map(|seen| parts.map(|part| (seen.as_slice(), part)));
        pairs
            .map(|(seen, part)| deviation(seen, part))
            .fold(0.0, f64::max)
    };
    let scored = issues
        .iter()
        .enumerate()
        .map(|(at, issue)| (at, likeness(issue)));
    scored.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(at, _)| at)
}

/// How many standard deviations the equal bits of two byte strings are from half of them.
fn deviation(a: &[u8], b: &[u8]) -> f64 {
    let bits = 8.0 * a.len().min(b.len()).max(1) as f64;
    let equal: u32 = a.iter().zip(b).map(|(a, b)| (a ^ b).count_zeros()).sum();
    (f64::from(equal) - bits / 2.0).abs() / (bits.sqrt() / 2.0)
}

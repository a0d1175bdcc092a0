//! Public key encryption with keyword search, the construction from bilinear maps of Boneh, Di Crescenzo, Ostrovsky
//! and Persiano (EUROCRYPT 2004), as nodes see it: entries, trapdoors and the test. A baseline for comparison and
//! research; making entries and trapdoors is `caduceus-custody`.
//!
//! Notation of [`crate::pairing`]; w a keyword; H1 its hash to G2 ([`domain::PEKS_H1_DST`]); H2 the system's hash
//! over the encoding of an element of Gt ([`domain::PEKS_H2`]).
//!
//! | what | who makes it | value |
//! |---|---|---|
//! | secret, public key | patient | a; h = a * g1 |
//! | entry for w | author | r random; A = r * g1, B = H2(e(r * h, H1(w))) |
//! | trapdoor for w | patient | T = a * H1(w) |
//! | test | node | H2(e(A, T)) = B |
//!
//! The paper's pairing is symmetric. Here keys and A lie in G1, hashed keywords and trapdoors in G2, so that what
//! is stored most (entries) is shortest. Privacy of entries rests on the bilinear Diffie-Hellman assumption for
//! this pairing, with H1 and H2 as random oracles.
//!
//! # Leakage
//! Entries tell their number, rounded up to 8. A trapdoor tells every member, for ever, which records before and
//! after it hold its keyword: it has no date, and the days of a scan are a wish. Two trapdoors for one keyword of
//! one patient are equal, at every hospital. Whoever knows h and suspects w needs no secret: e(h, H1(w)) = e(g1, T)
//! tells whether a trapdoor is for w. Hospitals know h; this is the guessing of keywords that epoch tags prevent.
//! Anybody who knows h can make entries.

use std::fmt;

use ::pairing::{MillerLoopResult, MultiMillerLoop};
use blstrs::{Bls12, G2Prepared};
use borsh::{BorshDeserialize, BorshSerialize};

use crate::domain;
use crate::hash::hash;
use crate::hex_text::impl_hex_text;
use crate::index::IndexEntries;
use crate::index::entries::Entry;
use crate::index::scan::Test;
use crate::pairing::{
    BadPoint, G1_BYTES, G1Affine, G2_BYTES, G2Affine, Gt, g1_checked_before, g1_from_bytes,
    g2_from_bytes, gt_to_bytes,
};

/// Bytes of B.
const MASK_BYTES: usize = 32;

/// One keyword of a record, encrypted: A (48 bytes, G1), then B (32 bytes). Any bytes decode;
/// [`IndexEntries::check_form`] says whether A is a point.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct PeksEntry(pub [u8; G1_BYTES + MASK_BYTES]);

impl PeksEntry {
    /// The entry of A = r * g1 and the author's e(r * h, H1(w)).
    ///
    /// # Errors
    /// [`BadPoint`] when the pairing's value is the identity, which no keyword and no r other than zero give.
    pub fn new(a: &G1Affine, value: &Gt) -> Result<Self, BadPoint> {
        let mask = h2(value).ok_or(BadPoint)?;
        let mut bytes = [0u8; G1_BYTES + MASK_BYTES];
        bytes[..G1_BYTES].copy_from_slice(&a.to_compressed());
        bytes[G1_BYTES..].copy_from_slice(&mask);
        Ok(PeksEntry(bytes))
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; G1_BYTES + MASK_BYTES] {
        &self.0
    }

    fn a(&self) -> &[u8; G1_BYTES] {
        self.0.first_chunk().expect("an entry is longer than A")
    }

    fn b(&self) -> &[u8] {
        &self.0[G1_BYTES..]
    }
}

impl_hex_text!(PeksEntry, 80, |bytes| Some(PeksEntry(bytes)));

impl Entry for PeksEntry {
    fn check(&self) -> Result<(), BadPoint> {
        g1_from_bytes(self.a()).map(|_| ())
    }
}

/// H2; none for the identity.
fn h2(value: &Gt) -> Option<[u8; MASK_BYTES]> {
    let bytes = gt_to_bytes(value).ok()?;
    Some(hash(domain::PEKS_H2, &[&bytes]).0)
}

/// T, as it travels: nothing is checked.
#[derive(Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PeksTrapdoor(pub [u8; G2_BYTES]);

impl PeksTrapdoor {
    /// The trapdoor of T = a * H1(w).
    pub fn new(t: &G2Affine) -> Self {
        PeksTrapdoor(t.to_compressed())
    }

    /// Checks the point and prepares it for many tests.
    ///
    /// # Errors
    /// [`BadPoint`] when T does not decode, lies outside the subgroup, or is the identity.
    pub fn prepare(&self) -> Result<PreparedPeks, BadPoint> {
        let t = g2_from_bytes(&self.0)?;
        Ok(PreparedPeks {
            t: G2Prepared::from(t),
        })
    }
}

impl fmt::Debug for PeksTrapdoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeksTrapdoor({})", hex::encode(self.0))
    }
}

/// A trapdoor whose Miller loop has its lines computed.
#[derive(Clone, Debug)]
pub struct PreparedPeks {
    t: G2Prepared,
}

impl PreparedPeks {
    /// Whether the entry holds the trapdoor's keyword. A point that [`IndexEntries::check_form`] would refuse
    /// matches nothing, or what its author chose.
    pub fn matches(&self, entry: &PeksEntry) -> bool {
        let Some(a) = g1_checked_before(entry.a()) else {
            return false;
        };
        let value = Bls12::multi_miller_loop(&[(&a, &self.t)]).final_exponentiation();
        h2(&value).is_some_and(|mask| mask[..] == *entry.b())
    }
}

impl Test for PreparedPeks {
    type Trapdoor = PeksTrapdoor;
    type Entry = PeksEntry;

    fn prepare(trapdoor: &PeksTrapdoor) -> Result<Self, BadPoint> {
        trapdoor.prepare()
    }

    fn entries(entries: &IndexEntries) -> &[PeksEntry] {
        entries.peks()
    }

    fn matches(&self, entry: &PeksEntry) -> bool {
        PreparedPeks::matches(self, entry)
    }
}

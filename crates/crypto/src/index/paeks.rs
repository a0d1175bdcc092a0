//! Public key authenticated encryption with keyword search, the scheme of Huang and Li (Information Sciences
//! 403-404, 2017), as nodes see it: entries, trapdoors and the test. A baseline for comparison and research; making
//! entries and trapdoors is `caduceus-custody`.
//!
//! Notation of [`crate::pairing`]; w a keyword; H its hash to G1 ([`crate::domain::PAEKS_H_DST`]).
//!
//! | what | who makes it | value |
//! |---|---|---|
//! | sender's secret, public key | hospital and patient, for the pair | x; x * g2 |
//! | receiver's secret, public keys | patient | y; y * g1, y * g2 |
//! | entry for w | author | r random; C1 = x * H(w) + r * g1, C2 = r * (y * g1) |
//! | trapdoor for w | patient | token t = e(y * H(w), x * g2), and y * g2 |
//! | test | node | t * e(C2, g2) = e(C1, y * g2) |
//!
//! The paper's pairing is symmetric, with one public key each. Here entries and hashed keywords lie in G1 and what
//! they are paired with in G2; so the test needs the receiver's key in G2, which travels in the trapdoor. The paper
//! proves privacy of entries and of trapdoors from the decisional bilinear and the modified decisional linear
//! Diffie-Hellman assumptions, H being a random oracle; here their counterparts for this pairing are assumed.
//!
//! # Leakage
//! Entries alone tell their number, rounded up to 8. A trapdoor tells every member, for ever, which records of the
//! pair before and after it hold its keyword: it has no date, and the days of a scan are a wish. With y * g2, which
//! every trapdoor carries, anybody computes e(C1, y * g2) / e(C2, g2) = e(H(w), g2)^(xy) of every entry for the
//! patient: from her first search on, her entries at a hospital that hold one keyword are seen to hold the same,
//! searched for or not (the paper's notion of privacy has one entry only), and how often each keyword occurs is
//! known. And y * g2 is the same in all her searches, at every hospital. A keyword cannot be guessed without x or y,
//! since neither entry nor trapdoor can be made without one of them; the hospital, which derives x, can guess those of
//! its pairs.

use std::fmt;
use std::sync::LazyLock;

use ::pairing::{MillerLoopResult, MultiMillerLoop};
use blstrs::{Bls12, G2Prepared};
use borsh::{BorshDeserialize, BorshSerialize};
use group::prime::PrimeCurveAffine;

use crate::hex_text::impl_hex_text;
use crate::index::IndexEntries;
use crate::index::entries::Entry;
use crate::index::scan::Test;
use crate::pairing::{
    BadPoint, G1_BYTES, G1Affine, G2_BYTES, G2Affine, GT_BYTES, Gt, g1_checked_before,
    g1_from_bytes, g2_from_bytes, gt_from_bytes, gt_to_bytes,
};

/// The lines of g2, which every test needs.
static G2_GENERATOR: LazyLock<G2Prepared> =
    LazyLock::new(|| G2Prepared::from(G2Affine::generator()));

/// One keyword of a record, encrypted: C1, then C2 (48 bytes each, G1). Any bytes decode;
/// [`IndexEntries::check_form`] says whether they are points.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct PaeksEntry(pub [u8; 2 * G1_BYTES]);

impl PaeksEntry {
    /// The entry of C1 = x * H(w) + r * g1 and C2 = r * (y * g1).
    pub fn new(c1: &G1Affine, c2: &G1Affine) -> Self {
        let mut bytes = [0u8; 2 * G1_BYTES];
        bytes[..G1_BYTES].copy_from_slice(&c1.to_compressed());
        bytes[G1_BYTES..].copy_from_slice(&c2.to_compressed());
        PaeksEntry(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 2 * G1_BYTES] {
        &self.0
    }

    fn c1(&self) -> &[u8; G1_BYTES] {
        self.0.first_chunk().expect("an entry is longer than C1")
    }

    fn c2(&self) -> &[u8; G1_BYTES] {
        self.0.last_chunk().expect("an entry is longer than C2")
    }
}

impl_hex_text!(PaeksEntry, 96, |bytes| Some(PaeksEntry(bytes)));

impl Entry for PaeksEntry {
    fn check(&self) -> Result<(), BadPoint> {
        g1_from_bytes(self.c1())?;
        g1_from_bytes(self.c2()).map(|_| ())
    }
}

/// The token and the receiver's key, as they travel: nothing is checked.
#[derive(Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PaeksTrapdoor {
    /// t, an element of Gt.
    pub token: [u8; GT_BYTES],
    /// y * g2.
    pub receiver: [u8; G2_BYTES],
}

impl PaeksTrapdoor {
    /// The trapdoor of t = e(y * H(w), x * g2) and y * g2.
    ///
    /// # Errors
    /// [`BadPoint`] when t is the identity, which no keyword and no secrets other than zero give.
    pub fn new(token: &Gt, receiver: &G2Affine) -> Result<Self, BadPoint> {
        Ok(PaeksTrapdoor {
            token: gt_to_bytes(token)?,
            receiver: receiver.to_compressed(),
        })
    }

    /// Checks token and key, and prepares them for many tests.
    ///
    /// # Errors
    /// [`BadPoint`] when one does not decode, lies outside its group, or is the identity.
    pub fn prepare(&self) -> Result<PreparedPaeks, BadPoint> {
        let receiver = g2_from_bytes(&self.receiver)?;
        Ok(PreparedPaeks {
            token: gt_from_bytes(&self.token)?,
            receiver: G2Prepared::from(receiver),
        })
    }
}

impl fmt::Debug for PaeksTrapdoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (token, receiver) = (hex::encode(self.token), hex::encode(self.receiver));
        write!(f, "PaeksTrapdoor({token}, {receiver})")
    }
}

/// A trapdoor whose Miller loop has its lines computed.
#[derive(Clone, Debug)]
pub struct PreparedPaeks {
    token: Gt,
    receiver: G2Prepared,
}

impl PreparedPaeks {
    /// Whether the entry holds the trapdoor's keyword. A point that [`IndexEntries::check_form`] would refuse
    /// matches nothing, or what its author chose.
    pub fn matches(&self, entry: &PaeksEntry) -> bool {
        let (Some(c1), Some(c2)) = (g1_checked_before(entry.c1()), g1_checked_before(entry.c2()))
        else {
            return false;
        };
        // As one product, e(C1, y * g2) * e(-C2, g2) = t, it takes one final exponentiation.
        let minus_c2 = -c2;
        let terms = [(&c1, &self.receiver), (&minus_c2, &*G2_GENERATOR)];
        Bls12::multi_miller_loop(&terms).final_exponentiation() == self.token
    }
}

impl Test for PreparedPaeks {
    type Trapdoor = PaeksTrapdoor;
    type Entry = PaeksEntry;

    fn prepare(trapdoor: &PaeksTrapdoor) -> Result<Self, BadPoint> {
        trapdoor.prepare()
    }

    fn entries(entries: &IndexEntries) -> &[PaeksEntry] {
        entries.paeks()
    }

    fn matches(&self, entry: &PaeksEntry) -> bool {
        PreparedPaeks::matches(self, entry)
    }
}

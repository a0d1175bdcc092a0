//! The author's side of the keyword index (DESIGN 3.4): tags of a record under its patient's quarter key.
//!
//! Notation: K_q quarter key, w canonical keyword, K_w = PRF(K_q, w), salt = PRF(K_q, "salt" | w), e the
//! UTC day of anchoring, L_{w,e} the leaf of day e in w's binary tree, i the number of the record among
//! those of day e with keyword w, from 0. A record's tag for w is PRF(L_{w,e}, i). The tree's generator and
//! the tag's PRF are AES-128, in `caduceus_crypto::index`, since nodes compute them too.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;

use caduceus_crypto::domain;
use caduceus_crypto::hash::prf;
use caduceus_crypto::index::{
    IndexEntries, MAX_TAGS, TAG_GROUP, TREE_DEPTH, Tag, ggm_node, leaf_tag,
};
use caduceus_crypto::time::{Epoch, Quarter};
use rand_core::{CryptoRng, RngCore};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::index_key::QuarterKey;

/// Why index entries can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The quarter key is not for the quarter of the day.
    #[error("the index key is for {key}, the day is in {day}")]
    WrongQuarter {
        /// The key's quarter.
        key: Quarter,
        /// The day's quarter.
        day: Quarter,
    },
    /// More keywords than a record may have.
    #[error("{found} keywords, at most {limit} are allowed")]
    TooManyKeywords {
        /// Keywords allowed.
        limit: usize,
        /// Distinct keywords given.
        found: usize,
    },
    /// A keyword is empty.
    #[error("a keyword is empty")]
    EmptyKeyword,
    /// Not one count for each keyword.
    #[error("{found} counts for {expected} keywords")]
    CountMismatch {
        /// Keywords in the request.
        expected: usize,
        /// Counts given.
        found: usize,
    },
}

/// A keyword's secrets of one quarter: its tree. Zeroized on drop.
#[derive(Clone)]
pub struct KeywordKey {
    quarter: Quarter,
    salt: [u8; 16],
    root: Box<Zeroizing<[u8; 16]>>,
}

/// K_w's tree for a canonical keyword.
#[must_use]
pub fn keyword_key(key: &QuarterKey, keyword: &str) -> KeywordKey {
    let k_w = Zeroizing::new(prf(
        key.expose(),
        domain::KEYWORD_KEY,
        &[keyword.as_bytes()],
    ));
    let salt = prf(key.expose(), domain::INDEX_SALT, &[keyword.as_bytes()]);
    let root = Zeroizing::new(prf(&k_w, domain::INDEX_ROOT, &[]));
    KeywordKey {
        quarter: key.quarter(),
        salt: half(&salt),
        root: Box::new(Zeroizing::new(half(&root))),
    }
}

/// The tag of the `i`-th record of day `epoch` with `keyword`.
///
/// # Panics
/// If `epoch` is outside of the key's quarter: the tag would be one that no search ever probes.
#[must_use]
pub fn tag_at(key: &QuarterKey, keyword: &str, epoch: Epoch, i: u32) -> Tag {
    assert_eq!(
        key.quarter(),
        epoch.quarter(),
        "the index key is for another quarter"
    );
    leaf_tag(&keyword_key(key, keyword).leaf(epoch.day_of_quarter()), i)
}

impl KeywordKey {
    /// The quarter whose days it covers.
    #[must_use]
    pub fn quarter(&self) -> Quarter {
        self.quarter
    }

    /// The salt of the tree's generator; it travels in trapdoors.
    #[must_use]
    pub fn salt(&self) -> [u8; 16] {
        self.salt
    }

    /// The seed of the node at `depth` (0 is the root) and `position` (from the left, from 0).
    ///
    /// # Panics
    /// When the depth is over [`TREE_DEPTH`].
    ///
    /// # Security
    /// Whoever has it can find all tags of the days below it.
    #[must_use]
    pub fn node(&self, depth: u8, position: u8) -> Zeroizing<[u8; 16]> {
        Zeroizing::new(ggm_node(&self.salt, &self.root, depth, position))
    }

    /// The leaf of a day, counted from the quarter's first as 0.
    #[must_use]
    pub fn leaf(&self, day_of_quarter: u8) -> Zeroizing<[u8; 16]> {
        self.node(TREE_DEPTH, day_of_quarter)
    }
}

impl fmt::Debug for KeywordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeywordKey({}, redacted)", self.quarter)
    }
}

/// The index work for one record, in the steps a workstation takes: make the request, ask the chain which
/// of its [`candidates`](TagRequest::candidates) are committed, count them, make the
/// [`entries`](TagRequest::entries). If the anchor is refused because another record took a tag, count
/// again.
///
/// Only *committed* tags count: a failed upload must not leave a gap, since a search stops at the first
/// tag that is missing.
pub struct TagRequest {
    keywords: Vec<String>,
    leaves: Vec<Zeroizing<[u8; 16]>>,
}

impl TagRequest {
    /// Prepares the distinct keywords of a record that is to be anchored on day `epoch`. They are sorted;
    /// [`TagRequest::keywords`] tells the order that counts refer to.
    ///
    /// # Errors
    /// A key of another quarter, an empty keyword, more than [`MAX_TAGS`].
    pub fn new<'a>(
        key: &QuarterKey,
        epoch: Epoch,
        keywords: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, IndexError> {
        if key.quarter() != epoch.quarter() {
            return Err(IndexError::WrongQuarter {
                key: key.quarter(),
                day: epoch.quarter(),
            });
        }
        let distinct = distinct(keywords)?;
        let day = epoch.day_of_quarter();
        let leaves = distinct
            .iter()
            .map(|keyword| keyword_key(key, keyword).leaf(day))
            .collect();
        let keywords = distinct.into_iter().map(str::to_owned).collect();
        Ok(Self { keywords, leaves })
    }

    /// The distinct keywords, sorted.
    #[must_use]
    pub fn keywords(&self) -> &[String] {
        &self.keywords
    }

    /// For each keyword its tags number `range`, to be looked up on the chain.
    #[must_use]
    pub fn candidates(&self, range: Range<u32>) -> Vec<Vec<Tag>> {
        self.leaves
            .iter()
            .map(|leaf| range.clone().map(|i| leaf_tag(leaf, i)).collect())
            .collect()
    }

    /// The record's index entries. `committed` says for each keyword how many of its tags of this day are
    /// committed, in the order of [`TagRequest::keywords`]; the next one is taken. Random tags fill up to
    /// a multiple of [`TAG_GROUP`], then all are sorted.
    ///
    /// # Errors
    /// [`IndexError::CountMismatch`] unless there is one count for each keyword.
    ///
    /// # Leakage
    /// The number of tags, rounded up to 8. Without a trapdoor the tags are random bytes.
    pub fn entries(
        &self,
        rng: &mut (impl CryptoRng + RngCore),
        committed: &[u32],
    ) -> Result<IndexEntries, IndexError> {
        if committed.len() != self.leaves.len() {
            return Err(IndexError::CountMismatch {
                expected: self.leaves.len(),
                found: committed.len(),
            });
        }
        let tags = self
            .leaves
            .iter()
            .zip(committed)
            .map(|(leaf, i)| leaf_tag(leaf, *i));
        Ok(padded(rng, tags))
    }

    /// Where a record's entries hold these keywords: for each keyword the number `i` of its tag, sought
    /// below `bound`, or none. The patient uses it to show that a record was indexed wrongly.
    #[must_use]
    pub fn find_in(&self, entries: &IndexEntries, bound: u32) -> Vec<Option<u32>> {
        let tags: BTreeSet<[u8; 16]> = entries.tags().iter().map(|tag| tag.0).collect();
        self.leaves
            .iter()
            .map(|leaf| (0..bound).find(|i| tags.contains(&leaf_tag(leaf, *i).0)))
            .collect()
    }
}

impl fmt::Debug for TagRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TagRequest({} keywords, redacted)", self.keywords.len())
    }
}

/// A record's index entries in one step, where the counts are known: each keyword with the number of its
/// committed tags of day `epoch`. Of a repeated keyword the last count holds.
///
/// # Errors
/// As [`TagRequest::new`].
pub fn author_entries(
    rng: &mut (impl CryptoRng + RngCore),
    key: &QuarterKey,
    epoch: Epoch,
    keywords: &[(&str, u32)],
) -> Result<IndexEntries, IndexError> {
    let request = TagRequest::new(key, epoch, keywords.iter().map(|(keyword, _)| *keyword))?;
    let counts: std::collections::BTreeMap<&str, u32> = keywords.iter().copied().collect();
    // Both are sorted by keyword and distinct, so the counts stand in the request's order.
    let committed: Vec<u32> = counts.into_values().collect();
    request.entries(rng, &committed)
}

/// Pads with random tags to a multiple of [`TAG_GROUP`], one group at least, and sorts.
fn padded(rng: &mut (impl CryptoRng + RngCore), tags: impl Iterator<Item = Tag>) -> IndexEntries {
    let mut all: BTreeSet<[u8; 16]> = tags.map(|tag| tag.0).collect();
    let target = all.len().max(1).next_multiple_of(TAG_GROUP);
    while all.len() < target {
        let mut random = [0u8; 16];
        rng.fill_bytes(&mut random);
        all.insert(random);
    }
    IndexEntries::Tags(all.into_iter().map(Tag).collect())
}

/// The distinct keywords of a record, sorted, under whatever scheme.
///
/// # Errors
/// An empty keyword, more than [`MAX_TAGS`].
pub(crate) fn distinct<'a>(
    keywords: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeSet<&'a str>, IndexError> {
    let distinct: BTreeSet<&str> = keywords.into_iter().collect();
    if distinct.contains("") {
        return Err(IndexError::EmptyKeyword);
    }
    if distinct.len() > MAX_TAGS {
        return Err(IndexError::TooManyKeywords {
            limit: MAX_TAGS,
            found: distinct.len(),
        });
    }
    Ok(distinct)
}

fn half(whole: &[u8; 32]) -> [u8; 16] {
    let mut half = [0u8; 16];
    half.copy_from_slice(&whole[..16]);
    half
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use caduceus_crypto::index::ggm_child;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn day() -> Epoch {
        Epoch::from_ymd(2026, 11, 20).unwrap()
    }

    fn key() -> QuarterKey {
        QuarterKey::from_bytes(day().quarter(), &[3; 32])
    }

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(13)
    }

    #[test]
    fn a_leaf_is_reached_through_any_node_above_it() {
        let keyword = keyword_key(&key(), "term:asthma");
        for day in 0..128u8 {
            let leaf = keyword.leaf(day);
            for depth in 0..=TREE_DEPTH {
                let mut seed = *keyword.node(depth, day >> (TREE_DEPTH - depth));
                for level in (0..TREE_DEPTH - depth).rev() {
                    seed = ggm_child(&keyword.salt(), &seed, (day >> level) & 1 == 1);
                }
                assert_eq!(seed, *leaf, "day {day}, depth {depth}");
            }
        }
    }

    /// Computed apart from this code, by Python's HMAC and SHA3-256 and the AES of its `cryptography` package.
    #[test]
    fn tags_are_those_of_another_implementation() {
        let keyword = keyword_key(&key(), "term:asthma");
        assert_eq!(
            hex::encode(keyword.salt()),
            "6268d60a21ff6e1c5a8bfe93c70e40fb"
        );
        assert_eq!(
            hex::encode(&keyword.node(0, 0)[..]),
            "c2bb0c1f066d1f1d29e3343a103db3fc"
        );
        assert_eq!(day().day_of_quarter(), 50);
        assert_eq!(
            hex::encode(&keyword.leaf(50)[..]),
            "bb753f2563f7b39737da4b3d71fef4b5"
        );
        for (i, tag) in [
            (0, "ae632dd61bb0e2ab6176500b37d2f77f"),
            (1, "a8379f66e559ccfe943e82bd13f096d7"),
            (255, "87d7461d42ffeaa57ea6a35e7581371c"),
        ] {
            assert_eq!(tag_at(&key(), "term:asthma", day(), i).to_string(), tag);
        }
    }

    #[test]
    fn tags_differ_in_everything_they_depend_on() {
        let other = QuarterKey::from_bytes(day().quarter(), &[4; 32]);
        let tags = BTreeSet::from([
            tag_at(&key(), "term:asthma", day(), 0).0,
            tag_at(&key(), "term:asthma", day(), 1).0,
            tag_at(&key(), "term:asthmb", day(), 0).0,
            tag_at(&key(), "term:asthma", Epoch(day().0 + 1), 0).0,
            tag_at(&other, "term:asthma", day(), 0).0,
        ]);
        assert_eq!(tags.len(), 5);
    }

    #[test]
    fn entries_are_sorted_distinct_and_padded() {
        let mut rng = rng();
        let names: Vec<String> = (0..33).map(|n| format!("term:word{n}")).collect();
        for count in [0usize, 1, 7, 8, 9, 16, 33] {
            let words = names[..count].iter().map(String::as_str);
            let request = TagRequest::new(&key(), day(), words).unwrap();
            let entries = request.entries(&mut rng, &vec![0; count]).unwrap();
            assert_eq!(entries.tags().len(), count.max(1).next_multiple_of(8));
            assert!(entries.check_form().is_ok());
            assert!(entries.tags().windows(2).all(|pair| pair[0].0 < pair[1].0));
            for name in &names[..count] {
                assert!(entries.tags().contains(&tag_at(&key(), name, day(), 0)));
            }
        }
    }

    #[test]
    fn the_counter_follows_the_committed_tags() {
        let mut rng = rng();
        let words = ["term:asthma", "type:Condition", "term:asthma"];
        let request = TagRequest::new(&key(), day(), words).unwrap();
        assert_eq!(request.keywords(), ["term:asthma", "type:Condition"]);
        let candidates = request.candidates(0..4);
        for (word, tags) in request.keywords().iter().zip(&candidates) {
            for (i, tag) in (0u32..).zip(tags) {
                assert_eq!(*tag, tag_at(&key(), word, day(), i));
            }
        }
        let entries = request.entries(&mut rng, &[2, 0]).unwrap();
        assert!(entries.tags().contains(&candidates[0][2]));
        assert!(entries.tags().contains(&candidates[1][0]));
        assert!(!entries.tags().contains(&candidates[0][0]));
        assert_eq!(request.find_in(&entries, 8), vec![Some(2), Some(0)]);
        let absent = TagRequest::new(&key(), day(), ["term:gout"]).unwrap();
        assert_eq!(absent.find_in(&entries, 8), vec![None]);
        let same = author_entries(
            &mut rng,
            &key(),
            day(),
            &[("type:Condition", 0), ("term:asthma", 2)],
        )
        .unwrap();
        assert_eq!(request.find_in(&same, 8), vec![Some(2), Some(0)]);
    }

    #[test]
    fn wrong_requests_are_refused() {
        let late = day().quarter().next().first();
        assert!(matches!(
            TagRequest::new(&key(), late, ["x"]).unwrap_err(),
            IndexError::WrongQuarter { .. }
        ));
        assert_eq!(
            TagRequest::new(&key(), day(), ["x", ""]).unwrap_err(),
            IndexError::EmptyKeyword
        );
        let many: Vec<String> = (0..513).map(|n| n.to_string()).collect();
        assert_eq!(
            TagRequest::new(&key(), day(), many.iter().map(String::as_str)).unwrap_err(),
            IndexError::TooManyKeywords {
                limit: 512,
                found: 513
            }
        );
        let request = TagRequest::new(&key(), day(), ["x"]).unwrap();
        assert_eq!(
            request.entries(&mut rng(), &[]).unwrap_err(),
            IndexError::CountMismatch {
                expected: 1,
                found: 0
            }
        );
    }

    #[test]
    #[should_panic(expected = "another quarter")]
    fn a_tag_under_the_wrong_quarter_is_a_bug() {
        let _ = tag_at(&key(), "x", day().quarter().next().first(), 0);
    }
}

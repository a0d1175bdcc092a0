//! The index entries that an anchor carries.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::encode;
use crate::domain;
use crate::hash::{Hash, hash};
use crate::index::paeks::PaeksEntry;
use crate::index::peks::PeksEntry;
use crate::index::{SchemeId, Tag};
use crate::pairing::BadPoint;

/// The number of a record's entries is a multiple of this.
pub const TAG_GROUP: usize = 8;
/// Most entries of a record.
pub const MAX_TAGS: usize = 512;

/// A record's index entries under one scheme, padded with random ones and sorted by their bytes. On the wire the
/// scheme's byte, then the list.
///
/// # Leakage
/// The number of entries, rounded up to [`TAG_GROUP`]. The order tells nothing: it is that of the bytes.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum IndexEntries {
    /// Epoch tags, strictly ascending.
    Tags(Vec<Tag>),
    /// Entries of [`crate::index::peks`], strictly ascending.
    Peks(Vec<PeksEntry>),
    /// Entries of [`crate::index::paeks`], strictly ascending.
    Paeks(Vec<PaeksEntry>),
}

/// What is wrong with index entries. One variant, one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntriesError {
    /// Not the scheme of the chain.
    #[error("the index scheme is {found}, {expected} expected")]
    Scheme {
        /// The chain's scheme.
        expected: SchemeId,
        /// The scheme found.
        found: SchemeId,
    },
    /// No entries, or over [`MAX_TAGS`].
    #[error("{found} entries, {min} to {max} allowed", min = TAG_GROUP, max = MAX_TAGS)]
    Count {
        /// Entries found.
        found: usize,
    },
    /// Not padded to a multiple of [`TAG_GROUP`].
    #[error("{found} entries are not padded to a multiple of {group}", group = TAG_GROUP)]
    NotPadded {
        /// Entries found.
        found: usize,
    },
    /// The entry at this index is below the one before.
    #[error("entry {at} is out of order")]
    Unsorted {
        /// Index of the entry.
        at: usize,
    },
    /// The entry at this index equals the one before.
    #[error("entry {at} is repeated")]
    Repeated {
        /// Index of the entry.
        at: usize,
    },
    /// The entry at this index holds bytes that are not a point of its group, or the identity.
    #[error("entry {at} holds no point of its group")]
    Point {
        /// Index of the entry.
        at: usize,
    },
}

/// One entry of some scheme.
pub(super) trait Entry: Ord {
    /// Whether its points are points of their groups, and none the identity.
    fn check(&self) -> Result<(), BadPoint>;
}

impl Entry for Tag {
    fn check(&self) -> Result<(), BadPoint> {
        Ok(())
    }
}

impl IndexEntries {
    /// The scheme that they are made with.
    pub const fn scheme(&self) -> SchemeId {
        match self {
            IndexEntries::Tags(_) => SchemeId::Tags,
            IndexEntries::Peks(_) => SchemeId::Peks,
            IndexEntries::Paeks(_) => SchemeId::Paeks,
        }
    }

    /// Number of entries.
    pub const fn len(&self) -> usize {
        match self {
            IndexEntries::Tags(entries) => entries.len(),
            IndexEntries::Peks(entries) => entries.len(),
            IndexEntries::Paeks(entries) => entries.len(),
        }
    }

    /// Whether there are none, which no admissible record has.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tags; none under another scheme.
    pub fn tags(&self) -> &[Tag] {
        match self {
            IndexEntries::Tags(entries) => entries,
            _ => &[],
        }
    }

    /// The PEKS entries; none under another scheme.
    pub fn peks(&self) -> &[PeksEntry] {
        match self {
            IndexEntries::Peks(entries) => entries,
            _ => &[],
        }
    }

    /// The PAEKS entries; none under another scheme.
    pub fn paeks(&self) -> &[PaeksEntry] {
        match self {
            IndexEntries::Paeks(entries) => entries,
            _ => &[],
        }
    }

    /// Checks scheme and form.
    ///
    /// # Errors
    /// [`EntriesError`] names the first rule broken.
    pub fn check(&self, scheme: SchemeId) -> Result<(), EntriesError> {
        let found = self.scheme();
        if found != scheme {
            return Err(EntriesError::Scheme {
                expected: scheme,
                found,
            });
        }
        self.check_form()
    }

    /// Checks the form: number, padding, order, no repetition, and last, because dear, that each point is one.
    ///
    /// # Errors
    /// [`EntriesError`] names the first rule broken.
    pub fn check_form(&self) -> Result<(), EntriesError> {
        match self {
            IndexEntries::Tags(entries) => check_list(entries),
            IndexEntries::Peks(entries) => check_list(entries),
            IndexEntries::Paeks(entries) => check_list(entries),
        }
    }

    /// What a receipt names.
    pub fn hash(&self) -> Hash {
        hash(domain::INDEX_ENTRIES, &[&encode(self)])
    }
}

fn check_list<E: Entry>(entries: &[E]) -> Result<(), EntriesError> {
    let found = entries.len();
    if found == 0 || found > MAX_TAGS {
        return Err(EntriesError::Count { found });
    }
    if !found.is_multiple_of(TAG_GROUP) {
        return Err(EntriesError::NotPadded { found });
    }
    for (before, pair) in entries.windows(2).enumerate() {
        let at = before + 1;
        if pair[1] < pair[0] {
            return Err(EntriesError::Unsorted { at });
        }
        if pair[1] == pair[0] {
            return Err(EntriesError::Repeated { at });
        }
    }
    for (at, entry) in entries.iter().enumerate() {
        entry
            .check()
            .map_err(|BadPoint| EntriesError::Point { at })?;
    }
    Ok(())
}

//! The index entries that an anchor carries.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::codec::encode;
use crate::domain;
use crate::hash::{Hash, hash};
use crate::index::Tag;

/// Scheme id of epoch tags.
pub const TAG_SCHEME: u8 = 0;
/// The number of a record's tags is a multiple of this.
pub const TAG_GROUP: usize = 8;
/// Most tags of a record.
pub const MAX_TAGS: usize = 512;

/// A record's tags, padded with random ones and sorted.
///
/// # Leakage
/// The number of tags, rounded up to [`TAG_GROUP`]. The order tells nothing: it is that of the bytes.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct IndexEntries {
    /// [`TAG_SCHEME`].
    pub scheme: u8,
    /// Strictly ascending.
    pub tags: Vec<Tag>,
}

/// What is wrong with the form of index entries. One variant, one rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntriesError {
    /// Not the scheme of the chain.
    #[error("index scheme {found} is not supported")]
    Scheme {
        /// The scheme found.
        found: u8,
    },
    /// No tags, or over [`MAX_TAGS`].
    #[error("{found} tags, {min} to {max} allowed", min = TAG_GROUP, max = MAX_TAGS)]
    Count {
        /// Tags found.
        found: usize,
    },
    /// Not padded to a multiple of [`TAG_GROUP`].
    #[error("{found} tags are not padded to a multiple of {group}", group = TAG_GROUP)]
    NotPadded {
        /// Tags found.
        found: usize,
    },
    /// The tag at this index is below the one before.
    #[error("tag {at} is out of order")]
    Unsorted {
        /// Index of the tag.
        at: usize,
    },
    /// The tag at this index equals the one before.
    #[error("tag {at} is repeated")]
    Repeated {
        /// Index of the tag.
        at: usize,
    },
}

impl IndexEntries {
    /// Checks the form: scheme, number, padding, order, no repetition.
    ///
    /// # Errors
    /// [`EntriesError`] names the first rule broken.
    pub fn check_form(&self) -> Result<(), EntriesError> {
        if self.scheme != TAG_SCHEME {
            return Err(EntriesError::Scheme { found: self.scheme });
        }
        let found = self.tags.len();
        if found == 0 || found > MAX_TAGS {
            return Err(EntriesError::Count { found });
        }
        if !found.is_multiple_of(TAG_GROUP) {
            return Err(EntriesError::NotPadded { found });
        }
        for (before, pair) in self.tags.windows(2).enumerate() {
            let at = before + 1;
            if pair[1] < pair[0] {
                return Err(EntriesError::Unsorted { at });
            }
            if pair[1] == pair[0] {
                return Err(EntriesError::Repeated { at });
            }
        }
        Ok(())
    }

    /// What a receipt names.
    pub fn hash(&self) -> Hash {
        hash(domain::INDEX_ENTRIES, &[&encode(self)])
    }
}

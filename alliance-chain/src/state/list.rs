//! Append-only lists of identifiers whose completeness can be proved.
//!
//! A Jellyfish Merkle tree proves single keys, not prefixes. So a list is a count and dense indices: whoever
//! proves the count and each item below it has proved that nothing is left out.

use super::Key;
use caduceus_crypto::Hash;
use caduceus_ledger::{Overlay, Space, StateError, StateView};

/// An append-only list of identifiers that belongs to an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    name: &'static str,
    owner: Vec<u8>,
}

impl List {
    /// Owners of one name must have one length, so that keys can't run into each other.
    pub(super) fn new(name: &'static str, owner: &[u8]) -> Self {
        Self {
            name,
            owner: owner.to_vec(),
        }
    }

    /// Where the length is stored; absent means 0.
    pub fn count_key(&self) -> Key<u32> {
        Key::new(Space::Auth, self.name, &[b"-count/", &self.owner])
    }

    /// Where the item at an index is stored.
    pub fn item_key(&self, index: u32) -> Key<Hash> {
        Key::new(
            Space::Auth,
            self.name,
            &[b"-item/", &self.owner, &index.to_be_bytes()],
        )
    }

    /// The length.
    ///
    /// # Errors
    /// When the store fails.
    pub fn count(&self, view: &dyn StateView) -> Result<u32, StateError> {
        Ok(self.count_key().get(view)?.unwrap_or(0))
    }

    /// Up to `limit` items from index `first` on.
    ///
    /// # Errors
    /// When the store fails.
    pub fn page(
        &self,
        view: &dyn StateView,
        first: u32,
        limit: u32,
    ) -> Result<Vec<Hash>, StateError> {
        let end = self.count(view)?.min(first.saturating_add(limit));
        (first..end)
            .map(|index| self.item_key(index).require(view))
            .collect()
    }

    /// Appends an item and gives its index.
    ///
    /// # Errors
    /// When the store fails, or holds 2^32 - 1 items already.
    pub fn push(&self, state: &mut Overlay<'_>, item: &Hash) -> Result<u32, StateError> {
        let index = self.count(state)?;
        let count = index
            .checked_add(1)
            .ok_or_else(|| StateError(format!("list {} is full", self.name)))?;
        self.item_key(index).put(state, item);
        self.count_key().put(state, &count);
        Ok(index)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::Store;

    #[test]
    fn items_are_dense_and_owners_apart() {
        let store = Store::default();
        let mut state = Overlay::new(&store);
        let (mine, other) = (List::new("grant-of", &[1]), List::new("grant-of", &[2]));
        for i in 0..3u8 {
            assert_eq!(mine.push(&mut state, &Hash([i; 32])).unwrap(), u32::from(i));
        }
        assert_eq!(mine.count(&state).unwrap(), 3);
        assert_eq!(
            mine.page(&state, 1, 10).unwrap(),
            [Hash([1; 32]), Hash([2; 32])]
        );
        assert_eq!(mine.page(&state, 0, 1).unwrap(), [Hash([0; 32])]);
        assert!(mine.page(&state, 7, 1).unwrap().is_empty());
        assert_eq!(other.count(&state).unwrap(), 0);
    }
}

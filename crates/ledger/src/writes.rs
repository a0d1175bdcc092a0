//! Changes to a state, in key order.

use crate::state::{INDEX_KEY_BYTES, INDEX_VALUE_BYTES, Space};
use std::collections::BTreeMap;
use std::ops::Bound;

/// A key of a state.
pub type SpaceKey = (Space, Vec<u8>);
/// A value, or none where it is removed.
pub type Change = Option<Vec<u8>>;
/// A row of [`Space::Index`].
pub type IndexRow = ([u8; INDEX_KEY_BYTES], [u8; INDEX_VALUE_BYTES]);

type Changes = BTreeMap<Vec<u8>, Change>;

/// Changes to a state, one map a space: a look-up by key alone makes no copy of it.
///
/// Rows of the index are by far the most, so theirs is a map of fixed lengths, without an allocation a row. What is
/// put under [`Space::Index`] and is no such row, or is removed there, stands apart: a store refuses it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    auth: Changes,
    bulk: Changes,
    rows: BTreeMap<[u8; INDEX_KEY_BYTES], [u8; INDEX_VALUE_BYTES]>,
    misfits: Changes,
}

/// What stood at a key before a change.
pub(crate) enum Before {
    /// A change of the authenticated or plain state, or one that is no row of the index.
    Other(Space, Vec<u8>, Option<Change>),
    /// A row of the index.
    Row([u8; INDEX_KEY_BYTES], Option<[u8; INDEX_VALUE_BYTES]>),
}

fn row(key: &[u8], change: Option<&[u8]>) -> Option<IndexRow> {
    Some((key.try_into().ok()?, change?.try_into().ok()?))
}

impl Writes {
    /// No changes.
    pub fn new() -> Self {
        Self::default()
    }

    fn changes(&self, space: Space) -> &Changes {
        match space {
            Space::Auth => &self.auth,
            Space::Bulk => &self.bulk,
            Space::Index => &self.misfits,
        }
    }

    fn changes_mut(&mut self, space: Space) -> &mut Changes {
        match space {
            Space::Auth => &mut self.auth,
            Space::Bulk => &mut self.bulk,
            Space::Index => &mut self.misfits,
        }
    }

    /// The changes of the authenticated state.
    pub fn auth(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        borrowed(&self.auth)
    }

    /// The changes of the plain state.
    pub fn bulk(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        borrowed(&self.bulk)
    }

    /// The rows of the index.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = IndexRow> {
        self.rows.iter().map(|(key, value)| (*key, *value))
    }

    /// Whether a key of the index changes.
    pub(crate) fn has_row(&self, key: &[u8; INDEX_KEY_BYTES]) -> bool {
        self.rows.contains_key(key)
    }

    /// Changes of the index that no index can take: of other lengths, or removals.
    pub fn misfits(&self) -> impl ExactSizeIterator<Item = (&[u8], Option<&[u8]>)> {
        borrowed(&self.misfits)
    }

    /// What becomes of a key, if it changes: its value, or none where it is removed.
    pub fn get(&self, space: Space, key: &[u8]) -> Option<Option<&[u8]>> {
        if space == Space::Index
            && self.misfits.is_empty()
            && let Ok(key) = key.try_into()
        {
            let key: &[u8; INDEX_KEY_BYTES] = key;
            return self.rows.get(key).map(|value| Some(value.as_slice()));
        }
        if let Some(change) = self.changes(space).get(key) {
            return Some(change.as_deref());
        }
        if space != Space::Index {
            return None;
        }
        let key: &[u8; INDEX_KEY_BYTES] = key.try_into().ok()?;
        self.rows.get(key).map(|value| Some(value.as_slice()))
    }

    /// Changes a key, and says what stood there.
    pub(crate) fn change(&mut self, space: Space, key: &[u8], change: Change) -> Before {
        if space == Space::Index
            && self.misfits.is_empty()
            && let Some((key, value)) = row(key, change.as_deref())
        {
            return Before::Row(key, self.rows.insert(key, value));
        }
        let before = self.changes_mut(space).insert(key.to_vec(), change);
        Before::Other(space, key.to_vec(), before)
    }

    /// Puts back what stood at a key before a change.
    pub(crate) fn restore(&mut self, before: Before) {
        match before {
            Before::Row(key, Some(value)) => {
                self.rows.insert(key, value);
            }
            Before::Row(key, None) => {
                self.rows.remove(&key);
            }
            Before::Other(space, key, Some(change)) => {
                self.changes_mut(space).insert(key, change);
            }
            Before::Other(space, key, None) => {
                self.changes_mut(space).remove(&key);
            }
        }
    }

    /// Takes over later changes.
    pub fn merge(&mut self, later: Writes) {
        if self.is_empty() {
            *self = later;
            return;
        }
        for ((space, key), change) in later {
            self.change(space, &key, change);
        }
    }

    /// The changes of keys that begin with a prefix, in key order.
    pub(crate) fn under(&self, space: Space, prefix: &[u8]) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let mut found: BTreeMap<Vec<u8>, Change> = BTreeMap::new();
        if space == Space::Index {
            let rows = self.rows.iter().filter(|(key, _)| key.starts_with(prefix));
            found.extend(rows.map(|(key, value)| (key.to_vec(), Some(value.to_vec()))));
        }
        let others = self
            .changes(space)
            .range::<[u8], _>(from)
            .take_while(|(key, _)| key.starts_with(prefix));
        found.extend(others.map(|(key, change)| (key.clone(), change.clone())));
        found
    }

    /// Number of changes.
    pub fn len(&self) -> usize {
        self.auth.len() + self.bulk.len() + self.rows.len() + self.misfits.len()
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn borrowed(changes: &Changes) -> impl ExactSizeIterator<Item = (&[u8], Option<&[u8]>)> {
    changes
        .iter()
        .map(|(key, change)| (key.as_slice(), change.as_deref()))
}

impl FromIterator<(SpaceKey, Change)> for Writes {
    fn from_iter<T: IntoIterator<Item = (SpaceKey, Change)>>(changes: T) -> Self {
        let mut writes = Self::new();
        for ((space, key), change) in changes {
            writes.change(space, &key, change);
        }
        writes
    }
}

impl IntoIterator for Writes {
    type Item = (SpaceKey, Change);
    type IntoIter = Box<dyn Iterator<Item = Self::Item>>;

    fn into_iter(self) -> Self::IntoIter {
        let of = |space: Space, changes: Changes| {
            changes
                .into_iter()
                .map(move |(key, change)| ((space, key), change))
        };
        let rows = self
            .rows
            .into_iter()
            .map(|(key, value)| ((Space::Index, key.to_vec()), Some(value.to_vec())));
        Box::new(
            of(Space::Auth, self.auth)
                .chain(of(Space::Bulk, self.bulk))
                .chain(rows)
                .chain(of(Space::Index, self.misfits)),
        )
    }
}

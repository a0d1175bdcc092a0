//! Changes to a state, in key order.

use crate::state::Space;
use std::collections::BTreeMap;
use std::collections::btree_map;

/// A key of a state.
pub type SpaceKey = (Space, Vec<u8>);
/// A value, or none where it is removed.
pub type Change = Option<Vec<u8>>;

type Changes = BTreeMap<Vec<u8>, Change>;

const SPACES: [Space; 3] = [Space::Auth, Space::Bulk, Space::Index];

/// Changes to a state, one map a space: a look-up by key alone makes no copy of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes([Changes; 3]);

impl Writes {
    /// No changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// The changes of one space.
    pub fn of(&self, space: Space) -> &BTreeMap<Vec<u8>, Change> {
        &self.0[space as usize]
    }

    /// What becomes of a key, if it changes.
    pub fn get(&self, space: Space, key: &[u8]) -> Option<&Change> {
        self.of(space).get(key)
    }

    /// Changes a key; gives the change that stood there.
    pub fn insert(&mut self, space: Space, key: Vec<u8>, change: Change) -> Option<Change> {
        self.0[space as usize].insert(key, change)
    }

    /// Puts back what stood at a key before a change.
    pub(crate) fn restore(&mut self, space: Space, key: Vec<u8>, before: Option<Change>) {
        let changes = &mut self.0[space as usize];
        match before {
            Some(change) => changes.insert(key, change),
            None => changes.remove(&key),
        };
    }

    /// Takes over later changes.
    pub fn merge(&mut self, later: Writes) {
        for (mine, theirs) in self.0.iter_mut().zip(later.0) {
            if mine.is_empty() {
                *mine = theirs;
            } else {
                mine.extend(theirs);
            }
        }
    }

    /// Number of changes.
    pub fn len(&self) -> usize {
        self.0.iter().map(BTreeMap::len).sum()
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(BTreeMap::is_empty)
    }

    /// All changes: by space, then by key.
    pub fn iter(&self) -> impl Iterator<Item = (Space, &[u8], &Change)> {
        SPACES
            .into_iter()
            .zip(&self.0)
            .flat_map(|(space, changes)| {
                changes
                    .iter()
                    .map(move |(key, change)| (space, key.as_slice(), change))
            })
    }
}

impl FromIterator<(SpaceKey, Change)> for Writes {
    fn from_iter<T: IntoIterator<Item = (SpaceKey, Change)>>(changes: T) -> Self {
        let mut writes = Self::new();
        for ((space, key), change) in changes {
            writes.insert(space, key, change);
        }
        writes
    }
}

impl IntoIterator for Writes {
    type Item = (SpaceKey, Change);
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        IntoIter(self.0.map(BTreeMap::into_iter))
    }
}

/// All changes of [`Writes`], by space, then by key.
pub struct IntoIter([btree_map::IntoIter<Vec<u8>, Change>; 3]);

impl Iterator for IntoIter {
    type Item = (SpaceKey, Change);

    fn next(&mut self) -> Option<Self::Item> {
        for (space, changes) in SPACES.into_iter().zip(&mut self.0) {
            if let Some((key, change)) = changes.next() {
                return Some(((space, key), change));
            }
        }
        None
    }
}

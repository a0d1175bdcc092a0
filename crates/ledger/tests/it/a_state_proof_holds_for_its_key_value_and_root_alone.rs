use crate::support::{Store, flipped};
use caduceus_crypto::Hash;
use caduceus_ledger::tree::{self, BadStateProof};
use proptest::prelude::*;
use std::collections::BTreeMap;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;
/// What one version changes: no value deletes.
type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

const KEYS: u8 = 16;

fn state_key(n: u8) -> Vec<u8> {
    vec![b'k', n]
}

fn changes() -> impl Strategy<Value = Changes> {
    let key = (0..KEYS).prop_map(state_key);
    let value = prop::option::weighted(0.7, prop::collection::vec(any::<u8>(), 0..12));
    prop::collection::btree_map(key, value, 0..10)
}

fn history() -> impl Strategy<Value = Vec<Changes>> {
    prop::collection::vec(changes(), 1..5)
}

/// A tree with all its versions, and what each of them holds.
struct Grown {
    store: Store,
    roots: Vec<Hash>,
    models: Vec<Model>,
}

fn grow(history: &[Changes]) -> Grown {
    let mut grown = Grown {
        store: Store::default(),
        roots: Vec::new(),
        models: Vec::new(),
    };
    let mut model = Model::new();
    for (version, changes) in (0u64..).zip(history) {
        let given = changes
            .iter()
            .map(|(key, value)| (key.as_slice(), value.clone()));
        let (root, batch) = tree::update(&grown.store, version, given).unwrap();
        grown.store.apply_tree(&batch);
        for (key, value) in changes {
            match value {
                Some(value) => model.insert(key.clone(), value.clone()),
                None => model.remove(key),
            };
        }
        grown.roots.push(root);
        grown.models.push(model.clone());
    }
    grown
}

impl Grown {
    fn prove(&self, version: usize, key: &[u8]) -> tree::StateProof {
        tree::prove(&self.store, version as u64, key).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_version_proves_what_it_holds_and_what_it_does_not(history in history()) {
        let grown = grow(&history);
        for (version, model) in grown.models.iter().enumerate() {
            for n in 0..KEYS {
                let key = state_key(n);
                let proof = grown.prove(version, &key);
                prop_assert_eq!(&proof.key, &key);
                prop_assert_eq!(&proof.value, &model.get(&key).cloned());
                let proved = proof.verify(&grown.roots[version]);
                prop_assert_eq!(proved, Ok(model.get(&key).map(Vec::as_slice)));
            }
        }
    }

    #[test]
    fn no_altered_proof_is_believed(history in history(), n in 0..KEYS, mask in 1u8..=255) {
        let grown = grow(&history);
        let root = grown.roots[history.len() - 1];
        let good = grown.prove(history.len() - 1, &state_key(n));
        prop_assert!(good.verify(&root).is_ok());
        for (at, bytes) in flipped(&good.proof, mask) {
            let mut forged = good.clone();
            forged.proof = bytes;
            prop_assert_eq!(forged.verify(&root), Err(BadStateProof), "byte {}", at);
        }
        let mut longer = good.clone();
        longer.proof.push(mask);
        prop_assert_eq!(longer.verify(&root), Err(BadStateProof));
        for len in 0..good.proof.len() {
            let mut shorter = good.clone();
            shorter.proof.truncate(len);
            prop_assert_eq!(shorter.verify(&root), Err(BadStateProof), "{} bytes", len);
        }
    }

    #[test]
    fn no_other_value_is_believed(history in history(), n in 0..KEYS, mask in 1u8..=255) {
        let grown = grow(&history);
        let root = grown.roots[history.len() - 1];
        let good = grown.prove(history.len() - 1, &state_key(n));
        let mut others: Vec<Option<Vec<u8>>> = vec![Some(vec![mask; 40])];
        match &good.value {
            Some(value) => {
                others.push(None);
                others.push(Some([value.as_slice(), &[mask]].concat()));
                others.extend(flipped(value, mask).map(|(_, value)| Some(value)));
            }
            None => others.push(Some(Vec::new())),
        }
        for other in others {
            let mut forged = good.clone();
            forged.value = other;
            prop_assert_eq!(forged.verify(&root), Err(BadStateProof), "{:?}", forged.value);
        }
    }

    /// A proof of absence shows that a part of the tree is empty, or holds one other key, so it may hold for a
    /// second absent key. It never hides a key that is there.
    #[test]
    fn a_proof_moved_to_another_key_shows_nothing_untrue(
        history in history(),
        n in 0..KEYS,
        mask in 1u8..=255,
    ) {
        let grown = grow(&history);
        let version = history.len() - 1;
        let (root, model) = (grown.roots[version], &grown.models[version]);
        let good = grown.prove(version, &state_key(n));
        let siblings = (0..KEYS).filter(|other| *other != n).map(state_key);
        let others = flipped(&good.key, mask).map(|(_, key)| key).chain(siblings);
        for key in others {
            let mut forged = good.clone();
            forged.key = key;
            match forged.verify(&root) {
                Err(BadStateProof) => {}
                Ok(Some(_)) => return Err(TestCaseError::fail("a value under the wrong key")),
                Ok(None) => prop_assert!(!model.contains_key(&forged.key), "{:?}", forged.key),
            }
        }
    }

    #[test]
    fn no_other_root_is_accepted(history in history(), n in 0..KEYS, mask in 1u8..=255) {
        let grown = grow(&history);
        for (version, root) in grown.roots.iter().enumerate() {
            let proof = grown.prove(version, &state_key(n));
            for (at, bytes) in flipped(root.as_bytes(), mask) {
                let other = Hash(bytes.try_into().unwrap());
                prop_assert_eq!(proof.verify(&other), Err(BadStateProof), "byte {}", at);
            }
            for other in grown.roots.iter().filter(|other| *other != root) {
                prop_assert_eq!(proof.verify(other), Err(BadStateProof));
            }
        }
    }
}

fn only(key: &[u8], value: &[u8]) -> Changes {
    Changes::from([(key.to_vec(), Some(value.to_vec()))])
}

#[test]
fn an_empty_tree_proves_that_nothing_is_there() {
    let grown = grow(&[
        Changes::new(),
        only(b"a", b"1"),
        Changes::from([(b"a".to_vec(), None)]),
    ]);
    for version in [0, 2] {
        let proof = grown.prove(version, b"a");
        assert_eq!(proof.verify(&grown.roots[version]), Ok(None));
    }
    assert_eq!(grown.roots[0], grown.roots[2]);
    assert_ne!(grown.roots[0], grown.roots[1]);
    let present = grown.prove(1, b"a");
    assert_eq!(present.verify(&grown.roots[1]), Ok(Some(b"1".as_slice())));
}

#[test]
fn an_empty_value_is_not_an_absent_one() {
    let grown = grow(&[only(b"a", b"")]);
    let root = grown.roots[0];
    let present = grown.prove(0, b"a");
    assert_eq!(present.verify(&root), Ok(Some(b"".as_slice())));
    let mut absent = present;
    absent.value = None;
    assert_eq!(absent.verify(&root), Err(BadStateProof));
}

#[test]
fn a_version_that_changes_nothing_keeps_the_root() {
    let grown = grow(&[only(b"a", b"1"), Changes::new(), only(b"a", b"1")]);
    assert_eq!(grown.roots[0], grown.roots[1]);
    assert_eq!(grown.roots[0], grown.roots[2]);
    for version in 0..3 {
        let proof = grown.prove(version, b"a");
        assert_eq!(proof.verify(&grown.roots[0]), Ok(Some(b"1".as_slice())));
    }
}

#[test]
fn an_unknown_version_proves_nothing() {
    let grown = grow(&[only(b"a", b"1")]);
    assert!(tree::prove(&grown.store, 1, b"a").is_err());
}

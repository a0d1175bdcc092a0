use crate::support::Store;
use caduceus_ledger::{Overlay, Space, StateView, Writes};
use proptest::prelude::*;
use std::collections::BTreeMap;

type Model = BTreeMap<(Space, Vec<u8>), Vec<u8>>;
/// No value deletes.
type Change = (Space, Vec<u8>, Option<Vec<u8>>);
/// Space, prefix and limit of a scan.
type Query = (Space, Vec<u8>, usize);

/// What a scan of the model gives.
fn expected(model: &Model, query: &Query) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (space, prefix, limit) = query;
    model
        .iter()
        .filter(|((s, key), _)| s == space && key.starts_with(prefix))
        .take(*limit)
        .map(|((_, key), value)| (key.clone(), value.clone()))
        .collect()
}

fn agrees(view: &dyn StateView, model: &Model, queries: &[Query]) -> Result<(), TestCaseError> {
    for ((space, key), value) in model {
        prop_assert_eq!(view.get(*space, key).unwrap(), Some(value.clone()));
    }
    for query in queries {
        let (space, prefix, limit) = query;
        let there = model.get(&(*space, prefix.clone())).cloned();
        prop_assert_eq!(view.get(*space, prefix).unwrap(), there);
        let found = view.scan(*space, prefix, *limit).unwrap();
        prop_assert_eq!(found, expected(model, query));
    }
    Ok(())
}

fn change(overlay: &mut Overlay<'_>, model: &mut Model, changes: &[Change]) {
    for (space, key, value) in changes {
        match value {
            Some(value) => {
                overlay.put(*space, key, value.clone());
                model.insert((*space, key.clone()), value.clone());
            }
            None => {
                overlay.delete(*space, key);
                model.remove(&(*space, key.clone()));
            }
        }
    }
}

/// Puts overlay upon overlay and compares each with the model.
fn pile(
    base: &dyn StateView,
    model: &Model,
    layers: &[Vec<Change>],
    queries: &[Query],
) -> Result<(), TestCaseError> {
    agrees(base, model, queries)?;
    let Some((layer, above)) = layers.split_first() else {
        return Ok(());
    };
    let mut overlay = Overlay::new(base);
    let mut model = model.clone();
    change(&mut overlay, &mut model, layer);
    pile(&overlay, &model, above, queries)
}

fn stored(model: &Model) -> Store {
    let writes: Writes = model
        .iter()
        .map(|(key, value)| (key.clone(), Some(value.clone())))
        .collect();
    let mut store = Store::default();
    store.apply(&writes);
    store
}

fn space() -> impl Strategy<Value = Space> {
    prop::sample::select(vec![Space::Auth, Space::Bulk])
}

/// Few keys, so that changes meet; the largest byte, because it has no successor.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0u8, 1, 255]), 0..4)
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..3)
}

fn base() -> impl Strategy<Value = Model> {
    prop::collection::btree_map((space(), key()), value(), 0..24)
}

fn layer() -> impl Strategy<Value = Vec<Change>> {
    prop::collection::vec((space(), key(), prop::option::of(value())), 0..12)
}

fn queries() -> impl Strategy<Value = Vec<Query>> {
    let limit = prop_oneof![4 => 0usize..12, 1 => Just(usize::MAX)];
    prop::collection::vec((space(), key(), limit), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nested_overlays_read_like_the_model(
        model in base(),
        layers in prop::collection::vec(layer(), 0..4),
        queries in queries(),
    ) {
        pile(&stored(&model), &model, &layers, &queries)?;
    }

    #[test]
    fn merged_overlays_read_like_the_model_and_so_does_the_store_after_them(
        model in base(),
        first in layer(),
        second in layer(),
        queries in queries(),
    ) {
        let mut store = stored(&model);
        let mut model = model;
        let mut lower = Overlay::new(&store);
        change(&mut lower, &mut model, &first);
        let mut upper = Overlay::new(&lower);
        change(&mut upper, &mut model, &second);
        let writes = upper.into_writes();
        lower.merge(writes);
        agrees(&lower, &model, &queries)?;
        let writes = lower.into_writes();
        store.apply(&writes);
        agrees(&store, &model, &queries)?;
    }

    #[test]
    fn a_dropped_overlay_leaves_nothing(
        model in base(),
        dropped in layer(),
        queries in queries(),
    ) {
        let store = stored(&model);
        let lower = Overlay::new(&store);
        let mut upper = Overlay::new(&lower);
        change(&mut upper, &mut model.clone(), &dropped);
        drop(upper);
        agrees(&lower, &model, &queries)?;
        prop_assert!(lower.into_writes().is_empty());
    }
}

fn keys(view: &dyn StateView, prefix: &[u8], limit: usize) -> Vec<Vec<u8>> {
    let found = view.scan(Space::Bulk, prefix, limit).unwrap();
    found.into_iter().map(|(key, _)| key).collect()
}

#[test]
fn a_deleted_key_makes_room_for_the_next_one() {
    let letters = [b"a", b"b", b"c", b"d"];
    let model: Model = letters
        .iter()
        .map(|letter| ((Space::Bulk, letter.to_vec()), vec![1]))
        .collect();
    let store = stored(&model);
    let mut overlay = Overlay::new(&store);
    overlay.delete(Space::Bulk, b"a");
    overlay.delete(Space::Bulk, b"c");
    assert_eq!(keys(&overlay, b"", 2), [b"b", b"d"]);
    // Neither a deletion of nothing nor a change in the other space takes room.
    overlay.delete(Space::Bulk, b"bb");
    overlay.put(Space::Auth, b"b", vec![2]);
    assert_eq!(keys(&overlay, b"", 2), [b"b", b"d"]);
    overlay.put(Space::Bulk, b"c", vec![3]);
    assert_eq!(keys(&overlay, b"", 2), [b"b", b"c"]);
    assert!(keys(&overlay, b"", 0).is_empty());
    assert_eq!(overlay.get(Space::Bulk, b"c"), Ok(Some(vec![3])));
    assert_eq!(overlay.get(Space::Bulk, b"a"), Ok(None));
    assert_eq!(overlay.get(Space::Auth, b"b"), Ok(Some(vec![2])));
    assert_eq!(store.get(Space::Auth, b"b"), Ok(None));
}

#[test]
fn a_key_put_again_after_its_deletion_above_is_there() {
    let store = Store::default();
    let mut lower = Overlay::new(&store);
    lower.put(Space::Bulk, b"x", vec![1]);
    let mut middle = Overlay::new(&lower);
    middle.delete(Space::Bulk, b"x");
    assert_eq!(middle.get(Space::Bulk, b"x"), Ok(None));
    assert!(keys(&middle, b"x", 9).is_empty());
    let mut upper = Overlay::new(&middle);
    upper.put(Space::Bulk, b"x", vec![2]);
    assert_eq!(upper.get(Space::Bulk, b"x"), Ok(Some(vec![2])));
    assert_eq!(keys(&upper, b"x", 9), [b"x"]);
    let writes = upper.into_writes();
    middle.merge(writes);
    let writes = middle.into_writes();
    lower.merge(writes);
    assert_eq!(lower.get(Space::Bulk, b"x"), Ok(Some(vec![2])));
}

#[test]
fn a_failed_attempt_leaves_no_change_and_a_nested_one_only_its_outer() {
    let mut store = Store::default();
    let stored: Writes = [((Space::Bulk, b"kept".to_vec()), Some(b"old".to_vec()))]
        .into_iter()
        .collect();
    store.apply(&stored);
    let mut state = Overlay::new(&store);
    state.put(Space::Auth, b"before", b"1".to_vec());
    let failed: Result<(), &str> = state.attempt(|state| {
        state.put(Space::Auth, b"before", b"2".to_vec());
        state.put(Space::Auth, b"before", b"3".to_vec());
        state.delete(Space::Bulk, b"kept");
        state.put(Space::Index, &[7; 20], vec![7; 12]);
        Err("refused")
    });
    assert_eq!(failed, Err("refused"));
    assert_eq!(state.get(Space::Auth, b"before"), Ok(Some(b"1".to_vec())));
    assert_eq!(state.get(Space::Bulk, b"kept"), Ok(Some(b"old".to_vec())));
    assert_eq!(state.get(Space::Index, &[7; 20]), Ok(None));

    let kept: Result<(), &str> = state.attempt(|state| {
        state.put(Space::Auth, b"outer", b"1".to_vec());
        let inner: Result<(), &str> = state.attempt(|state| {
            state.put(Space::Auth, b"outer", b"2".to_vec());
            state.put(Space::Auth, b"inner", b"1".to_vec());
            Err("refused")
        });
        assert_eq!(inner, Err("refused"));
        Ok(())
    });
    assert_eq!(kept, Ok(()));
    let expected: Writes = [
        ((Space::Auth, b"before".to_vec()), Some(b"1".to_vec())),
        ((Space::Auth, b"outer".to_vec()), Some(b"1".to_vec())),
    ]
    .into_iter()
    .collect();
    assert_eq!(state.into_writes(), expected);
}

//! The form of index entries, under every scheme.

use super::authors::{Author, Paeks, Peks};
use super::*;
use crate::codec::{decode_exact, encode};

fn tags(count: u8) -> Vec<Tag> {
    (0..count).map(|i| Tag([i; 16])).collect()
}

#[test]
fn tags_have_one_form() {
    let form = |tags| IndexEntries::Tags(tags).check_form();
    assert_eq!(form(tags(8)), Ok(()));
    assert_eq!(form(tags(248)), Ok(()));
    assert_eq!(form(tags(0)), Err(EntriesError::Count { found: 0 }));
    let many: Vec<Tag> = (0..520u128).map(|i| Tag(i.to_be_bytes())).collect();
    assert_eq!(form(many[..512].to_vec()), Ok(()));
    assert_eq!(form(many), Err(EntriesError::Count { found: 520 }));
    assert_eq!(form(tags(7)), Err(EntriesError::NotPadded { found: 7 }));
    let mut swapped = tags(8);
    swapped.swap(3, 4);
    assert_eq!(form(swapped), Err(EntriesError::Unsorted { at: 4 }));
    let mut repeated = tags(8);
    repeated[5] = repeated[4];
    assert_eq!(form(repeated), Err(EntriesError::Repeated { at: 5 }));
}

fn points_have_one_form<A: Author>() {
    let author = A::new(1);
    let form = |entries: &[A::Entry]| A::entries(entries.to_vec()).check_form();
    let mut good = author.list(2, &["a", "b", "c", "d", "e", "f", "g", "h"]);
    good.sort();
    assert_eq!(form(&good), Ok(()));
    assert_eq!(A::entries(good.clone()).check(A::ID), Ok(()));
    assert_eq!(form(&[]), Err(EntriesError::Count { found: 0 }));
    assert_eq!(form(&good[..7]), Err(EntriesError::NotPadded { found: 7 }));
    let many = vec![good[0].clone(); 520];
    assert_eq!(form(&many), Err(EntriesError::Count { found: 520 }));
    let mut swapped = good.clone();
    swapped.swap(3, 4);
    assert_eq!(form(&swapped), Err(EntriesError::Unsorted { at: 4 }));
    let mut repeated = good.clone();
    repeated[5] = repeated[4].clone();
    assert_eq!(form(&repeated), Err(EntriesError::Repeated { at: 5 }));
    let bad = author.bad_entries();
    for entry in &bad {
        let mut entries = good.clone();
        entries[3] = entry.clone();
        entries.sort();
        let at = entries.binary_search(entry).unwrap();
        assert_eq!(form(&entries), Err(EntriesError::Point { at }), "{entry:?}");
    }
    println!("{}: {} malformed entries", A::ID, bad.len());
}

#[test]
fn peks_entries_have_one_form() {
    points_have_one_form::<Peks>();
}

#[test]
fn paeks_entries_have_one_form() {
    points_have_one_form::<Paeks>();
}

fn of_every_scheme() -> [IndexEntries; 3] {
    let keywords = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let mut peks = Peks::new(1).list(1, &keywords);
    let mut paeks = Paeks::new(1).list(1, &keywords);
    peks.sort();
    paeks.sort();
    [
        IndexEntries::Tags(tags(8)),
        IndexEntries::Peks(peks),
        IndexEntries::Paeks(paeks),
    ]
}

#[test]
fn a_chain_accepts_its_own_scheme_only() {
    for (entries, found) in of_every_scheme().into_iter().zip(SchemeId::ALL) {
        assert_eq!(entries.scheme(), found);
        assert_eq!((entries.len(), entries.is_empty()), (8, false));
        let lists = [
            entries.tags().len(),
            entries.peks().len(),
            entries.paeks().len(),
        ];
        assert_eq!(lists.iter().sum::<usize>(), 8);
        for expected in SchemeId::ALL {
            let answer = if expected == found {
                Ok(())
            } else {
                Err(EntriesError::Scheme { expected, found })
            };
            assert_eq!(entries.check(expected), answer);
        }
    }
}

#[test]
fn on_the_wire_the_scheme_comes_first() {
    let mut hashes = BTreeSet::new();
    for ((entries, scheme), size) in of_every_scheme()
        .into_iter()
        .zip(SchemeId::ALL)
        .zip([16, 80, 96])
    {
        let bytes = encode(&entries);
        assert_eq!(bytes.len(), 1 + 4 + 8 * size);
        assert_eq!(bytes[0], scheme as u8);
        assert_eq!(bytes[1..5], [8, 0, 0, 0]);
        assert_eq!(decode_exact(&bytes, bytes.len()), Ok(entries.clone()));
        let mut unknown = bytes.clone();
        unknown[0] = 3;
        assert!(decode_exact::<IndexEntries>(&unknown, bytes.len()).is_err());
        assert!(decode_exact::<IndexEntries>(&bytes[..bytes.len() - 1], bytes.len()).is_err());
        hashes.insert(entries.hash());
    }
    assert_eq!(hashes.len(), 3);
}

#[test]
fn texts_of_entries_are_hexadecimal() {
    let (peks, paeks) = (
        Peks::new(1).list(1, &["w"])[0],
        Paeks::new(1).list(1, &["w"])[0],
    );
    assert_eq!(peks.to_string().parse::<PeksEntry>(), Ok(peks));
    assert_eq!(paeks.to_string().parse::<PaeksEntry>(), Ok(paeks));
    assert_eq!(peks.to_string().len(), 160);
    assert_eq!(paeks.to_string().len(), 192);
}

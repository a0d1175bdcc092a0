//! The bounds of a query over tags.

use super::*;

#[test]
fn the_largest_query_fits_its_bytes() {
    let quarter = |i: u16| QuarterCover {
        quarter: Quarter(i),
        salt: SALT,
        nodes: vec![node(1, 0, 0)],
    };
    let slot = Cover {
        quarters: (0..64).map(quarter).collect(),
    };
    let clause = positive(&(0..64).collect::<Vec<u8>>());
    let query = query(vec![clause; MAX_CLAUSES], vec![slot; MAX_SLOTS]);
    let bytes = crate::codec::encode(&query);
    assert_eq!(bytes.len(), MAX_QUERY_BYTES);
    assert_eq!(
        crate::codec::decode_exact::<Query>(&bytes, MAX_QUERY_BYTES),
        Ok(query)
    );
}

#[test]
fn counts_are_bounded() {
    let no_clauses = query(vec![], vec![whole(1)]);
    assert_eq!(check(no_clauses), Err(QueryError::NoClauses));
    let nine = query(vec![positive(&[0]); 9], vec![whole(1)]);
    assert_eq!(
        check(nine),
        Err(QueryError::TooManyClauses { limit: 8, found: 9 })
    );
    let slots = query(vec![positive(&[0])], vec![whole(1); 65]);
    assert_eq!(
        check(slots),
        Err(QueryError::TooManySlots {
            limit: 64,
            found: 65
        })
    );
    let (first, today) = (Q.last(), Q.first());
    assert_eq!(
        single(whole(1)).verify(SchemeId::Tags, first, today),
        Err(QueryError::EmptyRange { first, today })
    );
    let at_the_bounds = query(
        vec![positive(&(0..64).collect::<Vec<u8>>()); 8],
        vec![whole(1); 64],
    );
    assert_eq!(check(at_the_bounds).unwrap().leaves(), 64 * 91);
}

#[test]
fn clauses_are_well_formed() {
    let two = |clauses| query(clauses, vec![whole(1), whole(2)]);
    assert_eq!(
        check(two(vec![positive(&[0, 1]), positive(&[])])),
        Err(QueryError::EmptyClause { clause: 1 })
    );
    assert_eq!(
        check(two(vec![positive(&[0, 2])])),
        Err(QueryError::UnknownSlot { clause: 0, slot: 2 })
    );
    assert_eq!(
        check(two(vec![positive(&[0, 255])])),
        Err(QueryError::UnknownSlot {
            clause: 0,
            slot: 255
        })
    );
    assert_eq!(
        check(two(vec![positive(&[0, 1, 0])])),
        Err(QueryError::RepeatedSlot { clause: 0, slot: 0 })
    );
    assert_eq!(
        check(two(vec![positive(&[0])])),
        Err(QueryError::UnusedSlot { slot: 1 })
    );
    assert_eq!(
        check(two(vec![negative(&[0, 1])])),
        Err(QueryError::NoPositiveClause)
    );
    assert!(check(two(vec![positive(&[0]), negative(&[1])])).is_ok());
    assert!(check(two(vec![positive(&[0, 1]), positive(&[1])])).is_ok());
}

#[test]
fn covers_are_disjoint_and_ordered() {
    let error = |slot: Cover| check(single(slot)).unwrap_err();
    assert_eq!(
        error(Cover { quarters: vec![] }),
        QueryError::EmptyCover { slot: 0 }
    );
    assert_eq!(error(cover(1, &[])), QueryError::EmptyCover { slot: 0 });
    assert_eq!(
        error(cover(1, &[(8, 0)])),
        QueryError::NoSuchNode {
            slot: 0,
            depth: 8,
            position: 0
        }
    );
    assert_eq!(
        error(cover(1, &[(0, 1)])),
        QueryError::NoSuchNode {
            slot: 0,
            depth: 0,
            position: 1
        }
    );
    assert_eq!(
        error(cover(1, &[(7, 128)])),
        QueryError::NoSuchNode {
            slot: 0,
            depth: 7,
            position: 128
        }
    );
    assert_eq!(
        error(cover(1, &[(7, 5), (7, 4)])),
        QueryError::Unordered { slot: 0 }
    );
    assert_eq!(
        error(cover(1, &[(7, 5), (7, 5)])),
        QueryError::Overlapping { slot: 0 }
    );
    assert_eq!(
        error(cover(1, &[(6, 2), (7, 5)])),
        QueryError::Overlapping { slot: 0 }
    );
    assert_eq!(
        error(cover(1, &[(7, 5), (6, 2)])),
        QueryError::Overlapping { slot: 0 }
    );
    let many: Vec<(u8, u8)> = (0..65).map(|day| (7, day)).collect();
    assert_eq!(
        error(cover(1, &many)),
        QueryError::TooManyNodes {
            slot: 0,
            limit: 64,
            found: 65
        }
    );
    assert!(check(single(cover(1, &many[..64]))).is_ok());

    let quarters = |list: [u16; 2]| {
        let quarter = |i: u16| QuarterCover {
            quarter: Quarter(i),
            salt: SALT,
            nodes: vec![node(1, 0, 0)],
        };
        single(Cover {
            quarters: list.map(quarter).to_vec(),
        })
        .verify(SchemeId::Tags, Epoch(0), Q.last())
    };
    assert!(quarters([Q.0 - 1, Q.0]).is_ok());
    assert_eq!(
        quarters([Q.0, Q.0]),
        Err(QueryError::Overlapping { slot: 0 })
    );
    assert_eq!(
        quarters([Q.0, Q.0 - 1]),
        Err(QueryError::Unordered { slot: 0 })
    );
}

#[test]
fn covers_stay_in_the_searchable_days() {
    let (first, today) = (Epoch(Q.first().0 + 10), Epoch(Q.first().0 + 20));
    let verify = |slot: Cover| {
        single(slot)
            .verify(SchemeId::Tags, first, today)
            .map(|query| query.leaves())
    };
    assert_eq!(verify(whole(1)), Ok(11));
    assert_eq!(verify(cover(1, &[(7, 10), (7, 20)])), Ok(2));
    assert_eq!(verify(cover(1, &[(4, 1), (4, 2)])), Ok(11));
    assert_eq!(
        verify(cover(1, &[(7, 9)])),
        Err(QueryError::OutsideRange { slot: 0 })
    );
    assert_eq!(
        verify(cover(1, &[(7, 21)])),
        Err(QueryError::OutsideRange { slot: 0 })
    );
    assert_eq!(
        verify(cover(1, &[(4, 1), (4, 2), (4, 3)])),
        Err(QueryError::OutsideRange { slot: 0 })
    );
    for other in [0, 1, Q.0 - 1, Q.0 + 1, u16::MAX] {
        let mut slot = whole(1);
        slot.quarters[0].quarter = Quarter(other);
        assert_eq!(
            verify(slot),
            Err(QueryError::OutsideRange { slot: 0 }),
            "quarter {other}"
        );
    }
    // The leaves after the quarter's last day stand for nothing.
    assert!(check(single(cover(1, &[(7, 90)]))).is_ok());
    assert_eq!(
        check(single(cover(1, &[(7, 91)]))),
        Err(QueryError::OutsideRange { slot: 0 })
    );
    assert_eq!(
        check(single(cover(1, &[(1, 0), (1, 1)]))).unwrap().leaves(),
        91
    );
    // Neither do the quarters before 1970, even where the range begins on the first day of all.
    let mut slot = whole(1);
    slot.quarters[0].quarter = Quarter(0);
    assert_eq!(
        single(slot).verify(SchemeId::Tags, Epoch(0), Epoch(5)),
        Err(QueryError::OutsideRange { slot: 0 })
    );
}

#[test]
fn leaves_are_bounded_over_all_slots() {
    let quarter = |i: u16| QuarterCover {
        quarter: Quarter(i),
        salt: SALT,
        nodes: vec![node(1, 0, 0)],
    };
    let slot = Cover {
        quarters: (Q.0 - 63..=Q.0).map(quarter).collect(),
    };
    let query = query(
        vec![positive(&(0..12).collect::<Vec<u8>>())],
        vec![slot; 12],
    );
    match query.verify(SchemeId::Tags, Epoch(0), Q.last()) {
        Err(QueryError::TooManyLeaves { limit, found }) => {
            assert_eq!(limit, MAX_LEAVES);
            assert!(found > MAX_LEAVES && found <= MAX_LEAVES + 92);
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_query_bytes_decode_and_verify_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(query) = crate::codec::decode_exact::<Query>(&bytes, MAX_QUERY_BYTES) {
            let scheme = query.slots.scheme();
            let _ = query.verify(scheme, Epoch(0), Epoch(20_000));
        }
    }

    #[test]
    fn any_query_verifies_without_panic(
        nodes in prop::collection::vec((any::<u16>(), any::<u8>(), any::<u8>()), 1..6),
        first in any::<u32>(),
        today in any::<u32>(),
    ) {
        let quarters = nodes
            .into_iter()
            .map(|(quarter, depth, position)| QuarterCover {
                quarter: Quarter(quarter),
                salt: SALT,
                nodes: vec![CoverNode { depth, position, seed: SALT }],
            })
            .collect();
        if let Ok(query) = single(Cover { quarters }).verify(SchemeId::Tags, Epoch(first), Epoch(today)) {
            let none = Index::default().run(&query, 1, u64::MAX);
            prop_assert_eq!(none.unwrap().probes, query.leaves());
        }
    }
}

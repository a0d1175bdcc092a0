use crate::support::{address, key, set, validators};
use caduceus_crypto::{DecodeError, codec};
use caduceus_ledger::{Validator, ValidatorSet, ValidatorSetError};
use proptest::prelude::*;

fn decode(bytes: &[u8]) -> Result<ValidatorSet, DecodeError> {
    codec::decode_exact(bytes, bytes.len())
}

#[test]
fn a_set_needs_a_validator() {
    assert_eq!(ValidatorSet::new(Vec::new()), Err(ValidatorSetError::Empty));
    let nobody = codec::encode(&Vec::<Validator>::new());
    assert_eq!(decode(&nobody), Err(DecodeError::Malformed));
}

#[test]
fn a_set_has_at_most_128_validators() {
    let most = validators(&[1; 128]);
    assert_eq!(ValidatorSet::new(most).unwrap().count(), 128);
    let more = validators(&[1; 129]);
    let refused = ValidatorSetError::TooMany {
        limit: 128,
        found: 129,
    };
    assert_eq!(ValidatorSet::new(more.clone()), Err(refused));
    assert_eq!(decode(&codec::encode(&more)), Err(DecodeError::Malformed));
    assert_eq!(decode(&[0xff; 4]), Err(DecodeError::Malformed));
}

#[test]
fn no_validator_counts_twice() {
    let mut twice = validators(&[1, 2, 3]);
    twice.push(Validator {
        key: key(1).public(),
        power: 7,
    });
    let refused = ValidatorSetError::Repeated {
        address: address(1),
    };
    assert_eq!(ValidatorSet::new(twice.clone()), Err(refused));
    twice.sort_by_key(Validator::address);
    assert_eq!(decode(&codec::encode(&twice)), Err(DecodeError::Malformed));
}

#[test]
fn power_is_positive_and_its_sum_bounded() {
    const LIMIT: u64 = 1 << 62;
    for powers in [
        vec![0],
        vec![1, 0, 1],
        vec![LIMIT],
        vec![LIMIT - 1, 1],
        vec![u64::MAX],
        vec![LIMIT - 1, u64::MAX],
        vec![u64::MAX, u64::MAX, 2],
    ] {
        let mut refused = validators(&powers);
        assert_eq!(
            ValidatorSet::new(refused.clone()),
            Err(ValidatorSetError::Power),
            "{powers:?}"
        );
        refused.sort_by_key(Validator::address);
        let bytes = codec::encode(&refused);
        assert_eq!(decode(&bytes), Err(DecodeError::Malformed), "{powers:?}");
    }
    assert_eq!(set(&[LIMIT - 1]).total_power(), LIMIT - 1);
    assert_eq!(set(&[LIMIT - 2, 1]).total_power(), LIMIT - 1);
}

#[test]
fn exactly_two_thirds_are_no_quorum() {
    // Powers, the most that is no quorum, and one more.
    for (powers, short) in [
        (vec![3u64, 3, 2, 1], 6u64),
        (vec![1], 0),
        (vec![1, 1], 1),
        (vec![1, 1, 1], 2),
        (vec![1, 1, 1, 1], 2),
        (vec![5, 5], 6),
        (vec![(1u64 << 62) - 1], ((1u64 << 62) - 1) / 3 * 2),
    ] {
        let set = set(&powers);
        assert!(!set.is_quorum(short), "{powers:?}");
        assert!(set.is_quorum(short + 1), "{powers:?}");
    }
    assert!(set(&[1]).is_quorum(u64::MAX));
}

#[test]
fn a_set_is_in_the_order_of_addresses_whatever_it_was_made_from() {
    let mut given = validators(&[4, 3, 2, 1]);
    let set = ValidatorSet::new(given.clone()).unwrap();
    given.reverse();
    let again = ValidatorSet::new(given).unwrap();
    assert_eq!(set, again);
    assert_eq!(set.hash(), again.hash());
    let addresses: Vec<_> = set.iter().map(Validator::address).collect();
    assert!(addresses.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(set.count(), 4);
    assert_eq!(set.total_power(), 10);
    for (at, address) in addresses.iter().enumerate() {
        assert_eq!(set.at(at), set.get(address));
        assert!(set.at(at).is_some());
    }
    assert_eq!(set.at(4), None);
    assert_eq!(set.get(&address(9)), None);
    assert_eq!(set.get(&address(0)).unwrap().power, 4);
}

#[test]
fn unsorted_encodings_are_refused() {
    let set = set(&[1, 2, 3, 4]);
    let sorted: Vec<Validator> = set.iter().cloned().collect();
    let bytes = codec::encode(&set);
    assert_eq!(bytes, codec::encode(&sorted));
    assert_eq!(bytes.len(), 4 + 41 * 4);
    assert_eq!(decode(&bytes), Ok(set));
    for one in 0..sorted.len() {
        for other in 0..one {
            let mut unsorted = sorted.clone();
            unsorted.swap(one, other);
            let bytes = codec::encode(&unsorted);
            assert_eq!(decode(&bytes), Err(DecodeError::Malformed));
        }
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(decode(&longer), Err(DecodeError::Malformed));
}

#[test]
fn the_hash_names_keys_and_powers() {
    let hash = set(&[1, 2, 3]).hash();
    assert_ne!(hash, set(&[1, 2, 4]).hash());
    assert_ne!(hash, set(&[2, 1, 3]).hash());
    assert_ne!(hash, set(&[1, 2]).hash());
    let mut other_key = validators(&[1, 2, 3]);
    other_key[0].key = key(9).public();
    assert_ne!(hash, ValidatorSet::new(other_key).unwrap().hash());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_quorum_begins_right_above_two_thirds(
        powers in prop::collection::vec(1u64..1_000_000, 1..8),
    ) {
        let set = set(&powers);
        let total: u64 = powers.iter().sum();
        prop_assert_eq!(set.total_power(), total);
        let two_thirds = total * 2 / 3;
        prop_assert!(!set.is_quorum(0));
        prop_assert!(!set.is_quorum(two_thirds));
        prop_assert!(set.is_quorum(two_thirds + 1));
        prop_assert!(set.is_quorum(total));
    }

    #[test]
    fn only_the_sorted_order_decodes(
        order in Just(validators(&[1, 2, 3, 4, 5])).prop_shuffle(),
    ) {
        let set = set(&[1, 2, 3, 4, 5]);
        let sorted = order.iter().eq(set.iter());
        let decoded = decode(&codec::encode(&order));
        prop_assert_eq!(decoded.is_ok(), sorted);
        prop_assert_eq!(ValidatorSet::new(order), Ok(set));
    }
}

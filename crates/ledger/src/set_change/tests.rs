#![allow(clippy::unwrap_used)]

use super::*;
use crate::types::Validator;
use caduceus_crypto::{SecretKey, domain};

/// Validator number and power, each.
fn set(members: &[(u8, u64)]) -> ValidatorSet {
    let validators = members
        .iter()
        .map(|(n, power)| Validator {
            key: SecretKey::derive(domain::VOTE, &[*n], &[]).public(),
            power: *power,
        })
        .collect();
    ValidatorSet::new(validators).unwrap()
}

fn equal(members: std::ops::Range<u8>) -> ValidatorSet {
    set(&members.map(|n| (n, 1)).collect::<Vec<_>>())
}

const HUGE: u64 = 1 << 59;

#[test]
fn less_than_a_third_of_the_power_moves_at_once() {
    use SetChangeError::{Same, TooMuch};
    let too_much = |kept_permille| Err(TooMuch { kept_permille });
    let cases = [
        (equal(0..4), equal(0..5), Ok(())),
        (equal(0..5), equal(1..5), Ok(())),
        (equal(0..4), equal(0..3), Ok(())),
        (equal(0..3), equal(0..4), Ok(())),
        (equal(0..4), equal(0..4), Err(Same)),
        // One of four is replaced: 3/4 stay. Two of four: half.
        (equal(0..4), equal(1..5), Ok(())),
        (equal(0..4), equal(2..6), too_much(500)),
        (equal(0..4), equal(4..8), too_much(0)),
        // Exactly two thirds are too few.
        (equal(0..4), equal(0..6), too_much(666)),
        (equal(0..3), equal(1..4), too_much(666)),
        (equal(0..2), equal(0..3), too_much(666)),
        (equal(0..1), equal(0..2), too_much(500)),
        // Small sets grow and shrink by way of weights.
        (equal(0..1), set(&[(0, 3), (1, 1)]), Ok(())),
        (set(&[(0, 3), (1, 1)]), equal(0..2), Ok(())),
        (equal(0..2), set(&[(0, 2), (1, 2), (2, 1)]), Ok(())),
        (set(&[(0, 2), (1, 2), (2, 1)]), equal(0..3), Ok(())),
        (equal(0..3), set(&[(0, 2), (1, 2), (2, 1)]), Ok(())),
        (set(&[(0, 2), (1, 2), (2, 1)]), equal(0..2), Ok(())),
        // The same shares under another scale move nothing, and are another set.
        (equal(0..2), set(&[(0, 7), (1, 7)]), Ok(())),
        (
            set(&[(0, HUGE), (1, HUGE)]),
            set(&[(0, HUGE), (1, 1)]),
            too_much(500),
        ),
    ];
    for (n, (now, next, expected)) in cases.iter().enumerate() {
        assert_eq!(check_set_change(now, next), *expected, "case {n}");
    }
    println!("{} changes of sets", cases.len());
}

/// What the rule promises, over every pair of small weighted sets: every quorum of the new set carries more than a
/// third of the old power, and the validators that stay are a quorum of the new set.
#[test]
fn every_quorum_after_an_allowed_change_carries_a_third_of_the_power_before() {
    const POWERS: u64 = 4;
    const MEMBERS: u32 = 4;
    let sets: Vec<Vec<u64>> = (1..POWERS.pow(MEMBERS))
        .map(|code| {
            (0..MEMBERS)
                .map(|n| code / POWERS.pow(n) % POWERS)
                .collect()
        })
        .collect();
    let made: Vec<ValidatorSet> = sets
        .iter()
        .map(|powers| {
            let members: Vec<(u8, u64)> = (0u8..)
                .zip(powers.iter().copied())
                .filter(|(_, power)| *power > 0)
                .collect();
            set(&members)
        })
        .collect();
    let (mut allowed, mut quorums) = (0u32, 0u32);
    for (now, old) in made.iter().zip(&sets) {
        for (next, new) in made.iter().zip(&sets) {
            if check_set_change(now, next).is_err() {
                continue;
            }
            allowed += 1;
            let stay: u64 = (0..old.len()).filter(|n| old[*n] > 0).map(|n| new[n]).sum();
            assert!(next.is_quorum(stay), "{old:?} {new:?}");
            for signers in 0..1u32 << MEMBERS {
                let of = |powers: &[u64]| -> u64 {
                    (0..powers.len())
                        .filter(|n| signers >> n & 1 == 1)
                        .map(|n| powers[n])
                        .sum()
                };
                if next.is_quorum(of(new)) {
                    quorums += 1;
                    assert!(
                        of(old) * 3 > now.total_power(),
                        "{old:?} {new:?} {signers:b}"
                    );
                }
            }
        }
    }
    assert!(allowed > 1000);
    println!("{allowed} allowed changes, {quorums} quorums");
}

use crate::support::{
    START, certified, genesis, header, light_block, light_chain, set_of, set_with, trusting_first,
};
use caduceus_crypto::{Hash, TimeMillis};
use caduceus_ledger::light::{Bisection, MAX_STEPS, Progress, Step, step};
use caduceus_ledger::{
    CertificateError, Height, LightBlock, LightClient, LightError, Trusted, ValidatorSet,
};
use proptest::prelude::*;

const NOW: TimeMillis = TimeMillis(START.0 + 1_000_000);

fn at(blocks: &[LightBlock], height: u64) -> LightBlock {
    blocks[height as usize - 1].clone()
}

/// Runs a bisection with the blocks of an honest chain. Gives what it ends with and the heights it asked for.
fn run(way: &mut Bisection, blocks: &[LightBlock]) -> (Result<Trusted, LightError>, Vec<u64>) {
    let mut asked = Vec::new();
    loop {
        match way.advance() {
            Ok(Progress::Done(trusted)) => return (Ok(*trusted), asked),
            Ok(Progress::Want(height)) => {
                asked.push(height.0);
                if let Err(error) = way.offer(at(blocks, height.0)) {
                    return (Err(error), asked);
                }
            }
            Err(error) => return (Err(error), asked),
        }
    }
}

/// The trusted point at height 5 whose next voters are these.
fn point(next: &ValidatorSet) -> Trusted {
    Trusted::recorded(genesis().chain_id(), Height(5), START, next.clone())
}

/// A block of height 9, which is not right after the trusted height.
fn later(signers: &[u8], voters: &ValidatorSet) -> LightBlock {
    light_block(9, Hash([1; 32]), signers, voters, voters)
}

fn accepted(outcome: Result<Step, LightError>) -> bool {
    matches!(outcome, Ok(Step::Accepted(_)))
}

#[test]
fn the_next_height_is_followed_to_a_set_without_any_old_voter() {
    let sets = [vec![0, 1, 2], vec![7, 8]];
    let blocks = light_chain(&sets);
    let mut trusted = trusting_first(&sets);
    for block in &blocks {
        let Ok(Step::Accepted(next)) = step(&trusted, block, NOW) else {
            panic!("{:?}", step(&trusted, block, NOW));
        };
        trusted = *next;
    }
    assert_eq!(trusted.height(), Height(2));
    assert_eq!(trusted.hash(), Some(blocks[1].hash()));
    assert_eq!(trusted.next_validators(), &set_of(&[7, 8]));
}

#[test]
fn the_next_height_has_the_voters_that_were_named() {
    let usurpers = light_block(
        6,
        Hash([1; 32]),
        &[0, 1, 2, 9],
        &set_of(&[0, 1, 2, 9]),
        &set_of(&[9]),
    );
    assert_eq!(
        step(&point(&set_of(&[0, 1, 2])), &usurpers, NOW),
        Err(LightError::UnknownValidators { height: Height(6) })
    );
}

#[test]
fn a_skip_needs_more_than_a_third_of_the_trusted_power() {
    // Trusted power 9: validator 0 has exactly a third.
    let trusted = point(&set_with(&[(0, 3), (1, 3), (2, 2), (3, 1)]));
    let third = later(&[0, 7, 8], &set_of(&[0, 7, 8]));
    assert_eq!(step(&trusted, &third, NOW), Ok(Step::Bisect));
    let more = later(&[0, 3, 7, 8], &set_of(&[0, 3, 7, 8]));
    assert!(accepted(step(&trusted, &more, NOW)));
    // What counts is the power in the trusted set, not in the new one.
    let heavy = later(&[3, 7], &set_with(&[(3, 1_000), (7, 1)]));
    assert_eq!(step(&trusted, &heavy, NOW), Ok(Step::Bisect));
    // A voter of both sets who did not sign does not count.
    let silent = later(&[0, 7, 8], &set_of(&[0, 3, 7, 8]));
    assert_eq!(step(&trusted, &silent, NOW), Ok(Step::Bisect));
    // Nobody of the old set: not a word about it.
    let strangers = later(&[7, 8], &set_of(&[7, 8]));
    assert_eq!(step(&trusted, &strangers, NOW), Ok(Step::Bisect));
}

#[test]
fn a_third_is_exact_also_where_it_does_not_divide() {
    for (total, powers) in [
        (4u64, [1u64, 1, 1, 1]),
        (5, [1, 1, 1, 2]),
        (7, [2, 1, 2, 2]),
    ] {
        let set = set_with(&[
            (0, powers[0]),
            (1, powers[1]),
            (2, powers[2]),
            (3, powers[3]),
        ]);
        for signed in 1u8..16 {
            let signers: Vec<u8> = (0..4).filter(|n| signed & (1 << n) != 0).collect();
            let power: u64 = signers.iter().map(|n| powers[usize::from(*n)]).sum();
            let outcome = step(&point(&set), &later(&signers, &set_of(&signers)), NOW);
            assert_eq!(accepted(outcome), power * 3 > total, "{power} of {total}");
        }
    }
}

#[test]
fn a_skip_needs_more_than_two_thirds_of_the_new_power() {
    let trusted = point(&set_of(&[0, 1, 2]));
    let new = set_of(&[0, 1, 2, 3, 4, 5]);
    assert_eq!(
        step(&trusted, &later(&[0, 1, 2, 3], &new), NOW),
        Err(LightError::Certificate(CertificateError::NoQuorum {
            power: 4,
            total: 6
        }))
    );
    assert!(accepted(step(
        &trusted,
        &later(&[0, 1, 2, 3, 4], &new),
        NOW
    )));
}

#[test]
fn sets_must_be_those_that_the_header_names() {
    let trusted = point(&set_of(&[0, 1, 2]));
    let good = later(&[0, 1, 2], &set_of(&[0, 1, 2]));
    let mut wrong = good.clone();
    wrong.validators = set_of(&[0, 1]);
    let height = Height(9);
    assert_eq!(
        step(&trusted, &wrong, NOW),
        Err(LightError::WrongSet { height })
    );
    let mut wrong = good.clone();
    wrong.next_validators = set_of(&[0, 1]);
    assert_eq!(
        step(&trusted, &wrong, NOW),
        Err(LightError::WrongNextSet { height })
    );
    assert!(accepted(step(&trusted, &good, NOW)));
}

#[test]
fn a_far_chain_of_strangers_is_never_reached_by_bisection() {
    // The usurpers' chain branches off at height 3: from there on they certify each other's blocks.
    let honest: Vec<Vec<u8>> = (0..20).map(|h| vec![h / 4, h / 4 + 1, h / 4 + 2]).collect();
    let mut forged = honest.clone();
    for set in forged.iter_mut().skip(3) {
        *set = vec![20, 21, 22];
    }
    // The blocks before the branch are the honest ones; the first forged set was never named by them.
    let honest_blocks = light_chain(&honest);
    let mut forged_blocks = light_chain(&forged);
    forged_blocks[..3].clone_from_slice(&honest_blocks[..3]);
    let trusted = trusting_first(&honest);
    let mut way = Bisection::start(&trusted, at(&forged_blocks, 20), NOW).unwrap();
    let (outcome, asked) = run(&mut way, &forged_blocks);
    assert_eq!(
        outcome,
        Err(LightError::UnknownValidators { height: Height(4) })
    );
    assert!(asked.contains(&4), "{asked:?}");
    assert!(way.passed().iter().all(|point| point.height() < Height(4)));
    // That block alone was refused. With honest blocks each forged one is found out, the target last.
    let mut refused = Vec::new();
    while !way.is_over() {
        let (outcome, _) = run(&mut way, &honest_blocks[..19]);
        let Err(LightError::UnknownValidators { height }) = outcome else {
            panic!("{outcome:?}");
        };
        refused.push(height.0);
        assert!(refused.len() < 10, "{refused:?}");
    }
    assert_eq!(refused.last(), Some(&20));
}

#[test]
fn a_bad_answer_changes_nothing_and_another_nodes_does() {
    let sets: Vec<Vec<u8>> = (0..16).map(|h| vec![h, h + 1, h + 2]).collect();
    let blocks = light_chain(&sets);
    let mut way = Bisection::start(&trusting_first(&sets), at(&blocks, 16), NOW).unwrap();
    let Ok(Progress::Want(height)) = way.advance() else {
        panic!("no overlap, no skip");
    };
    assert_eq!(height, Height(8));
    assert_eq!(
        way.offer(at(&blocks, 9)),
        Err(LightError::OtherHeight {
            expected: Height(8),
            found: Height(9)
        })
    );
    let mut unsigned = at(&blocks, 8);
    unsigned.head.certificate.signatures.clear();
    assert!(matches!(
        way.offer(unsigned),
        Err(LightError::Certificate(_))
    ));
    // A block of strangers is not refused at once: it is found out further down, and dropped alone.
    let strangers = light_block(8, Hash([3; 32]), &[90], &set_of(&[90]), &set_of(&[90]));
    way.offer(strangers).unwrap();
    let (outcome, _) = run(&mut way, &blocks[..7]);
    assert_eq!(
        outcome,
        Err(LightError::UnknownValidators { height: Height(8) })
    );
    assert!(!way.is_over());
    let (outcome, _) = run(&mut way, &blocks);
    assert_eq!(outcome.unwrap().hash(), Some(blocks[15].hash()));
}

#[test]
fn a_target_of_strangers_is_over_once_the_height_below_is_known() {
    let sets: Vec<Vec<u8>> = (0..6).map(|h| vec![h, h + 1, h + 2]).collect();
    let blocks = light_chain(&sets);
    let forged = light_block(7, Hash([3; 32]), &[90], &set_of(&[90]), &set_of(&[90]));
    let mut way = Bisection::start(&trusting_first(&sets), forged, NOW).unwrap();
    let (outcome, _) = run(&mut way, &blocks);
    assert_eq!(
        outcome,
        Err(LightError::UnknownValidators { height: Height(7) })
    );
    assert!(way.is_over());
    assert_eq!(
        way.advance(),
        Err(LightError::UnknownValidators { height: Height(7) })
    );
}

#[test]
fn a_way_has_so_many_steps_and_goes_on_from_where_it_ended() {
    // Any two of these sets have one voter of three in common at most, and that is not more than a third.
    let sets: Vec<Vec<u8>> = (0..700u32)
        .map(|h| (h % 27, h / 27))
        .map(|(x, y)| vec![x as u8, 27 + y as u8, 54 + ((x + y) % 27) as u8])
        .collect();
    let blocks = light_chain(&sets);
    let mut client = LightClient::from_trusted(trusting_first(&sets));
    let mut way = client.toward(at(&blocks, 700), NOW).unwrap();
    let (outcome, asked) = run(&mut way, &blocks);
    let Err(LightError::TooManySteps { limit, reached }) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!((limit, asked.len()), (MAX_STEPS, MAX_STEPS - 1));
    client.adopt(&way);
    assert_eq!(client.trusted().height(), reached);
    assert!(reached > Height(300));
    let mut way = client.toward(at(&blocks, 700), NOW).unwrap();
    assert_eq!(run(&mut way, &blocks).0.unwrap().height(), Height(700));
}

#[test]
fn a_proof_of_an_old_height_needs_the_voters_of_that_height() {
    let sets: Vec<Vec<u8>> = (0..12).map(|h| vec![h / 3, h / 3 + 1, h / 3 + 2]).collect();
    let blocks = light_chain(&sets);
    let mut client = LightClient::from_trusted(trusting_first(&sets));
    let mut way = client.toward(at(&blocks, 12), NOW).unwrap();
    run(&mut way, &blocks).0.unwrap();
    client.adopt(&way);
    assert_eq!(client.trusted().hash(), Some(blocks[11].hash()));
    for height in 1..=12 {
        let head = &at(&blocks, height).head;
        if let Err(error) = client.verify_header(head) {
            assert_eq!(
                error,
                LightError::UnknownValidators {
                    height: Height(height)
                }
            );
            let mut way = client.toward(at(&blocks, height), NOW).unwrap();
            run(&mut way, &blocks).0.unwrap();
            client.adopt(&way);
        }
        assert_eq!(client.verify_header(head), Ok(()), "height {height}");
        assert_eq!(
            client.trusted().height(),
            Height(12),
            "nothing old moves trust"
        );
    }
    // The founders have left: what they sign for a later height is worth nothing.
    let founders = set_of(&sets[0]);
    for height in [4, 8, 11, 13, 100] {
        let forged = certified(&header(height, &founders, &founders), &sets[0]);
        assert_eq!(
            client.verify_header(&forged),
            Err(LightError::UnknownValidators {
                height: Height(height)
            })
        );
    }
}

#[test]
fn an_old_block_may_be_asked_for_at_any_age() {
    let sets = vec![
        vec![0, 1, 2],
        vec![0, 1, 2],
        vec![3, 4, 5],
        vec![3, 4, 5],
        vec![3, 4, 5],
    ];
    let blocks = light_chain(&sets);
    let mut client = LightClient::from_trusted(trusting_first(&sets));
    for block in &blocks[..4] {
        let mut way = client.toward(block.clone(), NOW).unwrap();
        way.advance().unwrap();
        client.adopt(&way);
    }
    let in_a_year = TimeMillis(NOW.0 + 365 * 86_400_000);
    assert!(matches!(
        client.toward(blocks[4].clone(), in_a_year),
        Err(LightError::Expired { .. })
    ));
    let mut way = client.toward(blocks[1].clone(), in_a_year).unwrap();
    assert!(matches!(way.advance(), Ok(Progress::Done(_))));
}

#[test]
fn a_head_that_changes_the_voters_is_accepted_and_the_next_needs_its_light_block() {
    let sets = vec![vec![0, 1, 2], vec![0, 1, 2], vec![1, 2, 3], vec![1, 2, 3]];
    let blocks = light_chain(&sets);
    let mut client = LightClient::from_trusted(trusting_first(&sets));
    for height in 1..=2 {
        client
            .accept_head(&at(&blocks, height).head, START)
            .unwrap();
    }
    assert_eq!(
        (client.highest(), client.trusted().height()),
        (Height(2), Height(1))
    );
    let next = at(&blocks, 3);
    assert_eq!(
        client.accept_head(&next.head, START),
        Err(LightError::UnknownValidators { height: Height(3) })
    );
    let mut way = client.toward(next.clone(), START).unwrap();
    let (outcome, _) = run(&mut way, &blocks);
    outcome.unwrap();
    client.adopt(&way);
    for height in 3..=4 {
        client
            .accept_head(&at(&blocks, height).head, START)
            .unwrap();
    }
    assert_eq!(client.trusted().height(), Height(4));
    assert_eq!(client.validators(), &set_of(&[1, 2, 3]));
}

/// Sets of a chain: at each height some voters may leave and others join.
fn histories() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let change = prop_oneof![
        3 => Just(None),
        1 => (any::<u8>(), any::<u8>(), 0usize..3).prop_map(Some),
    ];
    (
        proptest::collection::btree_set(0u8..24, 3..6),
        proptest::collection::vec(change, 1..24),
    )
        .prop_map(|(first, changes)| {
            let mut set = first;
            let mut sets = vec![set.iter().copied().collect::<Vec<u8>>()];
            for change in changes {
                if let Some((leaver, joiner, how)) = change {
                    let members: Vec<u8> = set.iter().copied().collect();
                    if how != 0 && members.len() > 1 {
                        set.remove(&members[usize::from(leaver) % members.len()]);
                    }
                    if how != 1 {
                        set.insert(joiner % 24);
                    }
                }
                sets.push(set.iter().copied().collect());
            }
            sets
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_target_of_an_honest_chain_is_reached_and_nothing_else(
        sets in histories(),
        target in any::<prop::sample::Index>(),
        forger in 100u8..110,
    ) {
        let blocks = light_chain(&sets);
        let target = target.index(blocks.len()) as u64 + 1;
        let start = trusting_first(&sets);
        let mut client = LightClient::from_trusted(start.clone());
        let mut way = client.toward(at(&blocks, target), NOW).unwrap();
        let (outcome, asked) = run(&mut way, &blocks);
        let trusted = outcome.unwrap();
        prop_assert_eq!(trusted.hash(), Some(at(&blocks, target).hash()));
        prop_assert_eq!(trusted.next_validators(), &at(&blocks, target).next_validators);
        // Each height is asked for once, strictly below the target.
        let mut once = asked.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), asked.len());
        prop_assert!(asked.iter().all(|height| (1..target).contains(height)));
        client.adopt(&way);
        // Every height up to the target verifies, after asking where the voters are not known.
        for height in 1..=target {
            let block = at(&blocks, height);
            if client.verify_header(&block.head).is_err() {
                let mut way = client.toward(block.clone(), NOW).unwrap();
                run(&mut way, &blocks).0.unwrap();
                client.adopt(&way);
            }
            prop_assert_eq!(client.verify_header(&block.head), Ok(()));
        }
        // A target of strangers is never reached, whoever certified it and whatever honest blocks are shown.
        let stranger = light_block(target + 1, at(&blocks, target).hash(), &[forger],
            &set_of(&[forger]), &set_of(&[forger]));
        let mut way = Bisection::start(&start, stranger, NOW).unwrap();
        prop_assert!(run(&mut way, &blocks).0.is_err());
        prop_assert!(way.is_over());
    }
}

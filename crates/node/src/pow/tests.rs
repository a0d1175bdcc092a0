use super::*;
use caduceus_crypto::{Hash, TimeMillis};
use caduceus_ledger::{ChainId, Header};
use std::collections::BTreeSet;

/// The puzzle of a block after one that says what N is now.
fn puzzle(n: u8) -> Puzzle {
    let header = Header {
        chain: ChainId::default(),
        height: Height(2),
        time: TimeMillis(1_539_866_031_047),
        proposer: Address::default(),
        parent: Hash::ZERO,
        txs_root: Hash::ZERO,
        results_root: Hash::ZERO,
        state_root: Hash::ZERO,
        validators: Hash::ZERO,
        next_validators: Hash::ZERO,
        extra: Vec::new(),
    };
    let rule = DifficultyRule {
        max_n: n,
        ..DifficultyRule::DEFAULT
    };
    let mut before = Puzzle::new(&header, None, rule).seal(1, 0, 500);
    before.n_next = n;
    Puzzle::new(&header, Some(&before), rule)
}

#[test]
fn what_is_found_solves_the_puzzle() {
    let puzzle = puzzle(2);
    let mut winners = BTreeSet::new();
    for round in 0..40u64 {
        let starts = [round << 20, round << 21, round << 22, round << 23];
        let found = search(&puzzle, &starts, &|| false).unwrap();
        assert!(puzzle.is_solved_by(&puzzle.attempt(found.miner, found.magic)));
        assert!(found.magic >= starts[found.miner as usize - 1]);
        winners.insert(found.miner);
    }
    assert!(winners.len() > 1, "only {winners:?} of 4 ever won");
    println!("40 searches, won by {winners:?}");
}

#[test]
fn miners_stop_promptly() {
    // 2^48 tries: nobody finds it.
    let puzzle = puzzle(DifficultyRule::LIMIT);
    let stop = AtomicBool::new(false);
    let stopped = std::thread::scope(|scope| {
        let search = scope.spawn(|| {
            let found = search(&puzzle, &[0, 1, 2, 3], &|| stop.load(Ordering::Relaxed));
            (found, Instant::now())
        });
        std::thread::yield_now();
        let told = Instant::now();
        stop.store(true, Ordering::Relaxed);
        let (found, ended) = search.join().unwrap();
        assert_eq!(found, None);
        ended.saturating_duration_since(told)
    });
    assert!(stopped < Duration::from_millis(500), "{stopped:?}");
    println!("4 miners stopped in {stopped:?}");
}

#[test]
fn nobody_finds_nothing() {
    assert_eq!(search(&puzzle(0), &[], &|| false), None);
}

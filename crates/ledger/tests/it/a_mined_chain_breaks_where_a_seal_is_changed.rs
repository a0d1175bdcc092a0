//! The mining chain of the logging paper, pure: its difficulty, its seals, and what a change of any field does.

use crate::support::{address, header, key, set};
use caduceus_crypto::{Hash, PublicKey, TimeMillis};
use caduceus_ledger::pow::{DifficultyRuleError, leading_zeros};
use caduceus_ledger::{
    DifficultyRule, Header, Height, Puzzle, Seal, SealChain, SealError, SignedSeal,
};

const RULE: DifficultyRule = DifficultyRule {
    rise_below_millis: 100,
    fall_above_millis: 1_000,
    max_n: 3,
};

fn headers(count: u64) -> Vec<Header> {
    let voters = set(&[1]);
    let mut parent = Hash([9; 32]);
    (1..=count)
        .map(|height| {
            let mut header = header(height, &voters, &voters);
            header.proposer = address(0);
            header.parent = parent;
            parent = header.hash();
            header
        })
        .collect()
}

fn solve(puzzle: &Puzzle, miner: u32, took_millis: u64) -> Seal {
    let magic = (0..u64::MAX)
        .find(|magic| puzzle.is_solved_by(&puzzle.attempt(miner, *magic)))
        .unwrap();
    puzzle.seal(miner, magic, took_millis)
}

/// Blocks that took this long, and their seals.
fn chain(took: &[u64]) -> Vec<(Header, SignedSeal)> {
    let mut last: Option<Seal> = None;
    headers(took.len() as u64)
        .into_iter()
        .zip(took)
        .map(|(header, took)| {
            let puzzle = Puzzle::new(&header, last.as_ref(), RULE);
            let seal = solve(&puzzle, 1 + header.height.0 as u32 % 4, *took);
            last = Some(seal.clone());
            (header, seal.sign(&key(0)))
        })
        .collect()
}

fn validator() -> PublicKey {
    key(0).public()
}

/// The first height that does not hold, and why.
fn first_fault(chain: &[(Header, SignedSeal)]) -> Option<(u64, SealError)> {
    let mut seals = SealChain::default();
    chain.iter().find_map(|(header, seal)| {
        let wrong = seals.push(header, seal, &validator()).err()?;
        Some((header.height.0, wrong))
    })
}

#[test]
fn n_follows_the_time_that_a_block_took() {
    let table: &[(u8, u64, u8)] = &[
        (0, 0, 1),
        (0, 99, 1),
        (1, 100, 1),
        (1, 500, 1),
        (1, 1_000, 1),
        (1, 1_001, 0),
        (0, 5_000, 0),
        (2, 0, 3),
        (3, 0, 3),
        (3, 1_001, 2),
        (9, 500, 3),
        (u8::MAX, 0, 3),
    ];
    for (n, took, next) in table {
        assert_eq!(RULE.next(*n, *took), *next, "N = {n}, {took} ms");
    }
    println!("{} rows", table.len());
}

#[test]
fn a_rule_that_cannot_be_kept_is_refused() {
    assert_eq!(RULE.check(), Ok(()));
    assert_eq!(DifficultyRule::DEFAULT.check(), Ok(()));
    let crossed = DifficultyRule {
        rise_below_millis: 1_001,
        ..RULE
    };
    let endless = DifficultyRule { max_n: 13, ..RULE };
    assert!(matches!(
        crossed.check(),
        Err(DifficultyRuleError::Bounds { .. })
    ));
    assert_eq!(
        endless.check(),
        Err(DifficultyRuleError::TooHard {
            limit: 12,
            found: 13
        })
    );
    let header = &headers(1)[0];
    let seal = solve(&Puzzle::new(header, None, endless), 1, 0).sign(&key(0));
    assert!(matches!(
        seal.verify(header, None, &validator()),
        Err(SealError::BadRule(_))
    ));
}

#[test]
fn zeros_are_hexadecimal_digits() {
    let mut bytes = [0xff; 32];
    assert_eq!(leading_zeros(&Hash(bytes)), 0);
    bytes[0] = 0x0f;
    assert_eq!(leading_zeros(&Hash(bytes)), 1);
    bytes[0] = 0;
    assert_eq!(leading_zeros(&Hash(bytes)), 2);
    bytes[1] = 0x01;
    assert_eq!(leading_zeros(&Hash(bytes)), 3);
    assert_eq!(leading_zeros(&Hash::ZERO), 64);
}

#[test]
fn a_chain_begins_easy_and_holds() {
    let chain = chain(&[0, 0, 0, 50, 500, 2_000, 150, 0]);
    let difficulties: Vec<u8> = chain.iter().map(|(_, seal)| seal.body.n).collect();
    assert_eq!(difficulties, [0, 1, 2, 3, 3, 3, 2, 2]);
    assert_eq!(chain[0].1.body.previous, Hash::ZERO);
    for (_, seal) in &chain {
        assert!(leading_zeros(&seal.body.hash) >= seal.body.n);
    }
    assert_eq!(first_fault(&chain), None);
}

/// One change of one field.
type Change = (&'static str, fn(&mut Seal));

const CHANGES: &[Change] = &[
    ("miner", |seal| seal.miner += 1),
    ("id", |seal| seal.id = Height(seal.id.0 + 1)),
    ("timestamp", |seal| {
        seal.timestamp = TimeMillis(seal.timestamp.0 + 1);
    }),
    ("magic", |seal| seal.magic ^= 1),
    ("previous", |seal| seal.previous.0[31] ^= 1),
    ("hash", |seal| seal.hash.0[31] ^= 1),
    ("took_millis", |seal| seal.took_millis += 1),
    ("rise_below_millis", |seal| seal.rule.rise_below_millis += 1),
    ("fall_above_millis", |seal| seal.rule.fall_above_millis += 1),
    ("max_n", |seal| seal.rule.max_n += 1),
    ("n", |seal| seal.n += 1),
    ("n_next", |seal| seal.n_next += 1),
];

#[test]
fn each_changed_field_breaks_the_chain_at_its_block() {
    let good = chain(&[0, 0, 500, 500, 500]);
    let mut cases = 0;
    for at in 0..good.len() {
        for (field, change) in CHANGES {
            let mut bad = good.clone();
            change(&mut bad[at].1.body);
            let (height, _) = first_fault(&bad).unwrap_or_else(|| panic!("{field} at {at}"));
            assert_eq!(height, at as u64 + 1, "{field}");
            cases += 1;
        }
        let mut bad = good.clone();
        bad[at].1 = bad[at].1.body.clone().sign(&key(1));
        assert_eq!(
            first_fault(&bad),
            Some((at as u64 + 1, SealError::Signature))
        );
        let mut bad = good.clone();
        bad[at].0.state_root = Hash([7; 32]);
        assert!(matches!(
            first_fault(&bad),
            Some((height, SealError::Hash { .. })) if height == at as u64 + 1
        ));
        cases += 2;
    }
    println!("{cases} changes");
}

/// The validator's key signs what was changed: the hash and the rule stand against it.
#[test]
fn a_changed_seal_that_is_signed_again_breaks_but_for_the_time_that_nobody_can_check() {
    let good = chain(&[0, 0, 500, 500, 500]);
    for (field, change) in CHANGES {
        let mut bad = good.clone();
        change(&mut bad[2].1.body);
        bad[2].1 = bad[2].1.body.clone().sign(&key(0));
        let fault = first_fault(&bad);
        assert_eq!(
            fault.is_none(),
            *field == "took_millis",
            "{field}: {fault:?}"
        );
    }
}

#[test]
fn a_missing_block_and_an_exchanged_one_break_the_chain() {
    let good = chain(&[0, 0, 500, 500]);
    let mut short = good.clone();
    short.remove(1);
    assert!(matches!(
        first_fault(&short),
        Some((3, SealError::Previous { .. }))
    ));
    let mut exchanged = good.clone();
    let seal = exchanged[2].1.clone();
    exchanged[1].1 = seal;
    assert!(matches!(
        first_fault(&exchanged),
        Some((2, SealError::Id { .. }))
    ));
}

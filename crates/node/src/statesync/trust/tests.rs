use super::*;
use caduceus_crypto::{SecretKey, domain};
use caduceus_ledger::{
    Address, Certificate, CertifiedHeader, ChainKind, Header, Validator, ValidatorSet, Vote,
    VoteKind,
};

const HEIGHTS: u64 = 200;
const START: u64 = 1_715_000_000_000;

fn key(n: u8) -> SecretKey {
    SecretKey::derive(domain::VOTE, &[n], &[])
}

fn set(numbers: &[u8]) -> ValidatorSet {
    let of = |n: &u8| Validator {
        key: key(*n).public(),
        power: 1,
    };
    ValidatorSet::new(numbers.iter().map(of).collect()).unwrap()
}

/// Who votes at a height: four others every fifty heights.
fn voters(height: u64) -> Vec<u8> {
    let first = (height.saturating_sub(1) / 50) as u8 * 4;
    (first..first + 4).collect()
}

fn genesis() -> Genesis {
    Genesis {
        kind: ChainKind::Private,
        name: "way".into(),
        time: TimeMillis(START),
        validators: set(&voters(1)),
        app: Vec::new(),
    }
}

fn block(height: u64, parent: Hash, voters: &[u8], next: &[u8]) -> LightBlock {
    let header = Header {
        chain: genesis().chain_id(),
        height: Height(height),
        time: TimeMillis(START + height * 1_000),
        proposer: Address::of(&key(voters[0]).public()),
        parent,
        txs_root: Hash([1; 32]),
        results_root: Hash([1; 32]),
        state_root: Hash([2; 32]),
        validators: set(voters).hash(),
        next_validators: set(next).hash(),
        extra: Vec::new(),
    };
    let vote = Vote {
        chain: header.chain,
        kind: VoteKind::Precommit,
        height: header.height,
        round: 0,
        block: Some(header.hash()),
    };
    let sign = |n: &u8| {
        let signature = key(*n).sign(domain::VOTE, &vote.sign_bytes());
        (Address::of(&key(*n).public()), signature)
    };
    let certificate = Certificate {
        height: header.height,
        round: 0,
        block: header.hash(),
        signatures: voters.iter().map(sign).collect(),
    };
    LightBlock {
        head: CertifiedHeader {
            header,
            certificate,
        },
        validators: set(voters),
        next_validators: set(next),
    }
}

/// Blocks 1 to 200.
fn chain() -> Vec<LightBlock> {
    let mut parent = Hash([0xaa; 32]);
    (1..=HEIGHTS)
        .map(|height| {
            let made = block(height, parent, &voters(height), &voters(height + 1));
            parent = made.hash();
            made
        })
        .collect()
}

/// A block of any height, certified by a set that somebody made up.
fn invented(height: Height) -> LightBlock {
    let liars = [200, 201, 202];
    block(height.0, Hash([7; 32]), &liars, &liars)
}

fn target(chain: &[LightBlock]) -> (LightBlock, TimeMillis) {
    let last = chain.last().unwrap().clone();
    let now = last.head.header.time;
    (last, now)
}

#[test]
fn a_peer_that_invents_every_block_asked_for_stands_in_nobodys_way() {
    let chain = chain();
    let honest = |height: Height| chain[height.0 as usize - 1].clone();
    let (last, now) = target(&chain);
    let mut alone = 0;
    reach(&genesis(), last.clone(), now, &mut |height| {
        alone += 1;
        vec![honest(height)]
    })
    .unwrap();
    let mut asked = 0;
    let mut answers = |height| {
        asked += 1;
        vec![invented(height), honest(height)]
    };
    reach(&genesis(), last, now, &mut answers).unwrap();
    assert!(
        alone < asked && asked < 100,
        "{asked} heights, {alone} alone"
    );
    println!("{alone} heights asked of honest peers alone, {asked} with a liar among them");
}

#[test]
fn nothing_is_reached_over_invented_blocks_alone() {
    let chain = chain();
    let (last, now) = target(&chain);
    let reached = reach(&genesis(), last, now, &mut |height| vec![invented(height)]);
    assert!(reached.is_err());
    // Nor is an invented head, whoever leads there.
    let head = invented(Height(HEIGHTS));
    let mut honest = |height: Height| vec![chain[height.0 as usize - 1].clone()];
    let reached = reach(&genesis(), head, now, &mut honest);
    assert!(matches!(reached, Err(Unreached::Light(_))));
}

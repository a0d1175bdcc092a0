//! Following over real sockets, a chain at whose end none of the founders votes.

#![allow(clippy::unwrap_used)]

use super::*;
use caduceus_crypto::{Hash, SecretKey, domain, encode};
use caduceus_ledger::{
    Address, Certificate, CertifiedHeader, ChainKind, Genesis, Header, Validator, ValidatorSet,
    Vote, VoteKind,
};
use caduceus_network::exchange::LightBlocksReply;
use caduceus_network::{Limits, ServiceConfig};

const START: TimeMillis = TimeMillis(1_715_000_000_000);
const NOW: TimeMillis = TimeMillis(START.0 + 100_000);
const LATE: TimeMillis = TimeMillis(START.0 + 31 * 86_400_000);

fn key(n: u8) -> SecretKey {
    SecretKey::derive(domain::VOTE, &[n], &[])
}

fn set(first: u8) -> ValidatorSet {
    let of = |n: u8| Validator {
        key: key(n).public(),
        power: 1,
    };
    ValidatorSet::new((first..first + 3).map(of).collect()).unwrap()
}

fn genesis() -> Genesis {
    Genesis {
        kind: ChainKind::Alliance,
        name: "followed".to_owned(),
        time: START,
        validators: set(0),
        app: Vec::new(),
    }
}

/// A block, the first of whose three voters is this one; at its end, `next`.
fn block(height: u64, parent: Hash, first: u8, next: u8) -> LightBlock {
    let (validators, next_validators) = (set(first), set(next));
    let header = Header {
        chain: genesis().chain_id(),
        height: Height(height),
        time: TimeMillis(START.0 + height * 1_000),
        proposer: Address::default(),
        parent,
        txs_root: Hash::ZERO,
        results_root: Hash::ZERO,
        state_root: Hash::ZERO,
        validators: validators.hash(),
        next_validators: next_validators.hash(),
        extra: Vec::new(),
    };
    let hash = header.hash();
    let vote = Vote {
        chain: header.chain,
        kind: VoteKind::Precommit,
        height: header.height,
        round: 0,
        block: Some(hash),
    };
    let sign = |n: u8| {
        let key = key(n);
        (
            Address::of(&key.public()),
            key.sign(domain::VOTE, &vote.sign_bytes()),
        )
    };
    let certificate = Certificate {
        height: header.height,
        round: 0,
        block: hash,
        signatures: (first..first + 3).map(sign).collect(),
    };
    LightBlock {
        head: CertifiedHeader {
            header,
            certificate,
        },
        validators,
        next_validators,
    }
}

/// Twelve heights; every second one another voter comes and one goes.
fn chain() -> Vec<LightBlock> {
    let first = |height: u8| (height - 1) / 2;
    let mut blocks: Vec<LightBlock> = Vec::new();
    for height in 1..=12 {
        let parent = blocks.last().map_or(Hash::ZERO, LightBlock::hash);
        let (now, next) = (first(height), first(height + 1));
        blocks.push(block(height.into(), parent, now, next));
    }
    blocks
}

async fn started(n: u8) -> Service {
    Service::start(ServiceConfig {
        key: &key(n),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        limits: Limits::default(),
    })
    .await
    .unwrap()
}

/// A node that has these blocks, the last one as its newest.
async fn serving(n: u8, blocks: Vec<LightBlock>) -> Service {
    let service = started(n).await;
    service.serve::<LightBlocks, _, _>(
        |_| true,
        move |_, request: LightBlocksRequest| {
            let newest = blocks.last().map(|block| block.height().0);
            let heights = match request.heights.is_empty() {
                true => newest.into_iter().collect(),
                false => request.heights,
            };
            let found = |height: &u64| blocks.iter().find(|block| block.height().0 == *height);
            let items = heights
                .iter()
                .map(|height| found(height).map_or_else(Vec::new, encode))
                .collect();
            async move { Ok(LightBlocksReply { items }) }
        },
    );
    service
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_voters_are_followed_from_the_genesis() {
    let blocks = chain();
    let whole = serving(100, blocks.clone()).await;
    let joined = serving(101, blocks[11..].to_vec()).await;
    let strangers = serving(102, vec![block(12, Hash::ZERO, 90, 90)]).await;
    let all = [&strangers, &joined, &whole].map(|node| node.peer_address().unwrap());
    let service = started(99).await;
    let nodes = Nodes {
        service: &service,
        all: &all,
    };
    let light = LightClient::from_genesis(&genesis());
    assert!(light.verify_header(&blocks[11].head).is_err());
    // One that shows the target alone is helped out by another.
    for node in &all[1..] {
        let mut light = light.clone();
        assert!(nodes.follow(node, &mut light, NOW).await.is_ok());
        assert_eq!(light.trusted().hash(), Some(blocks[11].hash()));
        assert_eq!(light.verify_header(&blocks[11].head), Ok(()));
    }
    let mut led_astray = light.clone();
    let outcome = nodes.follow(&all[0], &mut led_astray, NOW).await;
    assert!(outcome.is_err());
    assert!(led_astray.trusted().height() < Height(12));
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_trusting_period_two_nodes_must_agree() {
    let blocks = chain();
    let whole = serving(110, blocks.clone()).await;
    let behind = serving(111, blocks[..11].to_vec()).await;
    let other = [blocks[..11].to_vec(), vec![block(12, Hash::ZERO, 5, 5)]].concat();
    let other = serving(112, other).await;
    let [whole, behind, other] = [&whole, &behind, &other].map(|node| node.peer_address().unwrap());
    let service = started(109).await;
    let light = LightClient::from_genesis(&genesis());

    // One that is a block behind will do: what is trusted then is still too old for more.
    let nodes = Nodes {
        service: &service,
        all: &[whole.clone(), behind],
    };
    let mut reached = light.clone();
    let outcome = nodes.follow(&whole, &mut reached, LATE).await;
    assert!(matches!(outcome, Err(Doubt::Absent(_))));
    assert_eq!(reached.trusted().height(), Height(11));

    let nodes = Nodes {
        service: &service,
        all: &[whole.clone(), other],
    };
    let mut reached = light.clone();
    let outcome = nodes.follow(&whole, &mut reached, LATE).await;
    assert!(matches!(outcome, Err(Doubt::Unproved(_))));
    assert_eq!(reached.trusted().height(), Height::GENESIS);

    let nodes = Nodes {
        service: &service,
        all: std::slice::from_ref(&whole),
    };
    let mut alone = light.clone();
    assert!(nodes.follow(&whole, &mut alone, LATE).await.is_ok());
    assert_eq!(alone.trusted().hash(), Some(blocks[11].hash()));
}

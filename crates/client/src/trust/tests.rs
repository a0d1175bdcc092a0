//! Following over real sockets: nodes that serve a chain's light blocks, some of them wrong.

#![allow(clippy::unwrap_used)]

use super::*;
use caduceus_crypto::{SecretKey, codec, domain};
use caduceus_ledger::{
    Address, Certificate, ChainKind, Header, LightBlock, Validator, Vote, VoteKind,
};
use caduceus_network::exchange::{LightBlocks, LightBlocksReply, LightBlocksRequest};
use caduceus_network::{Limits, PeerAddr, Service, ServiceConfig};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const START: TimeMillis = TimeMillis(1_715_000_000_000);
const NOW: TimeMillis = TimeMillis(START.0 + 100_000);
const DAY: u64 = 86_400_000;

fn key(n: u8) -> SecretKey {
    SecretKey::derive(domain::VOTE, &[n], &[])
}

fn set(members: &[u8]) -> ValidatorSet {
    let of = |n: &u8| Validator {
        key: key(*n).public(),
        power: 1,
    };
    ValidatorSet::new(members.iter().map(of).collect()).unwrap()
}

fn genesis() -> Genesis {
    Genesis {
        kind: ChainKind::Alliance,
        name: "followed".to_owned(),
        time: START,
        validators: set(&[0, 1, 2]),
        app: Vec::new(),
    }
}

fn block(height: u64, parent: Hash, members: &[u8], next: &[u8]) -> LightBlock {
    let (validators, next_validators) = (set(members), set(next));
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
    let sign = |n: &u8| {
        let key = key(*n);
        (
            Address::of(&key.public()),
            key.sign(domain::VOTE, &vote.sign_bytes()),
        )
    };
    let certificate = Certificate {
        height: header.height,
        round: 0,
        block: hash,
        signatures: members.iter().map(sign).collect(),
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

/// Twelve heights; every second one another voter comes and one goes, so that no founder votes at the end.
fn chain() -> Vec<LightBlock> {
    let members = |height: u64| -> Vec<u8> {
        let first = (height as u8 - 1) / 2;
        (first..first + 3).collect()
    };
    let mut blocks: Vec<LightBlock> = Vec::new();
    for height in 1..=12 {
        let parent = blocks.last().map_or(Hash::ZERO, LightBlock::hash);
        blocks.push(block(
            height,
            parent,
            &members(height),
            &members(height + 1),
        ));
    }
    blocks
}

struct Node {
    service: Service,
    asked: Arc<AtomicUsize>,
}

impl Node {
    /// Serves these blocks, the last one as the newest.
    async fn serving(n: u8, blocks: Vec<LightBlock>) -> Self {
        let service = Service::start(ServiceConfig {
            key: &key(n),
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
            limits: Limits::default(),
        })
        .await
        .unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        service.serve::<LightBlocks, _, _>(
            |_| true,
            move |_, request: LightBlocksRequest| {
                counter.fetch_add(1, Ordering::Relaxed);
                let newest = blocks.last().map(|block| block.height().0);
                let heights = match request.heights.is_empty() {
                    true => newest.into_iter().collect(),
                    false => request.heights,
                };
                let found = |height: &u64| blocks.iter().find(|block| block.height().0 == *height);
                let items = heights
                    .iter()
                    .map(|height| found(height).map_or_else(Vec::new, codec::encode))
                    .collect();
                async move { Ok(LightBlocksReply { items }) }
            },
        );
        Self { service, asked }
    }

    fn address(&self) -> PeerAddr {
        self.service.peer_address().unwrap()
    }
}

async fn caller() -> Service {
    crate::session::ephemeral_service().await.unwrap()
}

fn source<'a>(service: &'a Service, nodes: &'a [PeerAddr], now: TimeMillis) -> Source<'a> {
    Source {
        service,
        nodes,
        now,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_followed_past_nodes_that_are_wrong() {
    let blocks = chain();
    let strangers = block(12, Hash::ZERO, &[90, 91], &[90, 91]);
    let usurpers: Vec<LightBlock> = (1..12)
        .map(|height| block(height, Hash::ZERO, &[90, 91], &[90, 91]))
        .chain([strangers])
        .collect();
    let forger = Node::serving(100, usurpers).await;
    let behind = Node::serving(101, blocks[..3].to_vec()).await;
    let honest = Node::serving(102, blocks.clone()).await;
    let nodes = [forger.address(), behind.address(), honest.address()];
    let service = caller().await;
    let trust = Trust::new(&genesis(), None);
    let unknown = trust.verify_header(&blocks[11].head);
    assert_eq!(
        unknown,
        Err(LightError::UnknownValidators { height: Height(12) })
    );
    trust
        .follow(&source(&service, &nodes, NOW), Height(12))
        .await
        .unwrap();
    assert_eq!(trust.trusted().hash(), Some(blocks[11].hash()));
    assert_eq!(trust.verify_header(&blocks[11].head), Ok(()));
    // An old height, after the newest.
    if trust.verify_header(&blocks[4].head).is_err() {
        trust
            .follow(&source(&service, &nodes, NOW), Height(5))
            .await
            .unwrap();
    }
    assert_eq!(trust.verify_header(&blocks[4].head), Ok(()));
    assert_eq!(
        trust.known_set(&set(&[2, 3, 4]).hash()),
        Some(set(&[2, 3, 4]))
    );
    let asked = [&forger, &behind, &honest].map(|node| node.asked.load(Ordering::Relaxed));
    assert!(
        asked.iter().all(|asked| (1..40).contains(asked)),
        "{asked:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_height_that_only_forgers_have_is_not_trusted() {
    let blocks = chain();
    let forged = block(13, Hash::ZERO, &[90, 91], &[90, 91]);
    let forger = Node::serving(103, [blocks.clone(), vec![forged]].concat()).await;
    let honest = Node::serving(104, blocks).await;
    let nodes = [forger.address(), honest.address()];
    let service = caller().await;
    let trust = Trust::new(&genesis(), None);
    let outcome = trust
        .follow(&source(&service, &nodes, NOW), Height(13))
        .await;
    assert!(
        matches!(outcome, Err(FollowError::Missing { .. })),
        "{outcome:?}"
    );
    assert!(trust.trusted().height() <= Height(12));
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_trusting_period_two_nodes_must_agree() {
    let blocks = chain();
    let (first, second) = (
        Node::serving(105, blocks.clone()).await,
        Node::serving(106, blocks.clone()).await,
    );
    let other = [
        blocks[..11].to_vec(),
        vec![block(12, Hash::ZERO, &[5, 6, 7], &[5, 6, 7])],
    ]
    .concat();
    let differs = Node::serving(107, other).await;
    let nowhere = PeerAddr {
        address: "/ip4/127.0.0.1/tcp/1".parse().unwrap(),
        ..differs.address()
    };
    let service = caller().await;
    let late = TimeMillis(START.0 + 45 * DAY);

    // Inside of the period nobody is asked.
    let trust = Trust::new(&genesis(), None);
    trust.renew(&source(&service, &[], NOW)).await.unwrap();
    // One of two is not there.
    let nodes = [first.address(), nowhere];
    let outcome = trust.renew(&source(&service, &nodes, late)).await;
    let Err(FollowError::TwoNeeded {
        age_days,
        answered,
        known,
    }) = outcome
    else {
        panic!("{outcome:?}");
    };
    assert_eq!((age_days, answered, known), (45, 1, 2));
    // Two that show different blocks.
    let nodes = [first.address(), differs.address()];
    let outcome = trust.renew(&source(&service, &nodes, late)).await;
    assert!(
        matches!(
            outcome,
            Err(FollowError::Light(LightError::HeadsDiffer { .. }))
        ),
        "{outcome:?}"
    );
    assert_eq!(trust.trusted().height(), Height::GENESIS);
    // Two that agree, one of them with a liar before it.
    let nodes = [differs.address(), first.address(), second.address()];
    trust.renew(&source(&service, &nodes, late)).await.unwrap();
    assert_eq!(trust.trusted().hash(), Some(blocks[11].hash()));
    // Where one node is all there is, it has to do.
    let alone = Trust::new(&genesis(), None);
    let nodes = [first.address()];
    alone.renew(&source(&service, &nodes, late)).await.unwrap();
    assert_eq!(alone.trusted().height(), Height(12));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_head_outlives_the_process_and_a_lower_one_is_refused() {
    let blocks = chain();
    let node = Node::serving(108, blocks.clone()).await;
    let (nodes, service) = ([node.address()], caller().await);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(TRUSTED_FILE);
    {
        let trust = Trust::kept_in(&genesis(), path.clone()).unwrap();
        trust
            .follow(&source(&service, &nodes, NOW), Height(10))
            .await
            .unwrap();
    }
    let trust = Trust::kept_in(&genesis(), path.clone()).unwrap();
    assert_eq!(trust.trusted().hash(), Some(blocks[9].hash()));
    let floor = trust.highest();
    assert_eq!(floor, Height(10));
    let lower = &blocks[8].head;
    trust
        .follow(&source(&service, &nodes, NOW), Height(9))
        .await
        .unwrap();
    let fresh = TimeMillis(lower.header.time.0 + 1);
    assert_eq!(
        trust.accept_head(lower, fresh, floor),
        Err(LightError::Rollback {
            seen: Height(10),
            found: Height(9)
        })
    );
    // An answer that was merely overtaken is none.
    assert_eq!(trust.accept_head(lower, fresh, Height(9)), Ok(()));
    assert_eq!(trust.highest(), Height(10));
    drop(trust);

    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let damaged = Trust::kept_in(&genesis(), path.clone()).err().unwrap();
    assert!(matches!(damaged, KeptError::Content { .. }));
    let shown = caduceus_cli::CliError::from(crate::ClientError::Kept(damaged));
    assert_eq!(shown.exit, caduceus_cli::ExitCode::VerificationFailed);
    assert!(shown.todo.contains(&format!("remove {}", path.display())));
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "it is left as it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_is_told_with_both_certificates() {
    let blocks = chain();
    // The voters of height 12 signed two blocks.
    let twin = block(12, Hash([7; 32]), &[5, 6, 7], &[5, 6, 7]);
    let honest = Node::serving(109, blocks.clone()).await;
    let forked = Node::serving(110, [blocks[..11].to_vec(), vec![twin.clone()]].concat()).await;
    let service = caller().await;
    let dir = tempfile::tempdir().unwrap();
    let trust = Trust::new(&genesis(), None).with_evidence_in(Some(dir.path().to_path_buf()));
    let nodes = [honest.address()];
    trust
        .follow(&source(&service, &nodes, NOW), Height(12))
        .await
        .unwrap();
    let nodes = [forked.address(), honest.address()];
    let outcome = trust
        .follow(&source(&service, &nodes, NOW), Height(12))
        .await;
    let Err(FollowError::Light(LightError::Fork { ours, theirs })) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!((&*ours, &*theirs), (&blocks[11].head, &twin.head));
    let path = trust.write_evidence(&ours, &theirs).unwrap();
    let text = std::fs::read(&path).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(json["evidence"], "fork");
    for (side, head) in [("ours", &ours), ("theirs", &theirs)] {
        assert_eq!(json[side]["height"], 12);
        assert_eq!(json[side]["hash"], head.header.hash().to_string());
        let bytes = hex::decode(json[side]["certified_header"].as_str().unwrap()).unwrap();
        let again: CertifiedHeader = codec::decode_exact(&bytes, 64 * 1024).unwrap();
        assert_eq!(again, **head);
        assert_eq!(
            again.verify(&genesis().chain_id(), &set(&[5, 6, 7])),
            Ok(())
        );
    }
    assert_eq!(json["theirs"]["signers"].as_array().unwrap().len(), 3);
}

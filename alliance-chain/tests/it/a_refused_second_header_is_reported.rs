//! A node whose chain refuses a second certified header at a height says so on the chain, by itself and once.

use alliance_chain::node::{AllianceNode, AllianceNodeConfig};
use alliance_chain::{
    AllianceGenesis, AnchorsExtra, Checkpoint, Member, Params, ReportKind, ReportProof, Tx, query,
};
use caduceus_crypto::{Epoch, Hash, HospitalId, SecretKey, TimeMillis, domain, merkle};
use caduceus_ledger::{
    Address, Certificate, ChainId, ChainKind, Genesis, Header, Height, Validator, ValidatorSet,
    Vote, VoteKind,
};
use caduceus_node::{Clock, Engine, NodeOptions, SubmitError, SystemClock};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CHAIN: ChainId = ChainId(Hash([0x50; 32]));

fn key(seed: u8) -> SecretKey {
    SecretKey::from_bytes(&[seed; 32]).unwrap()
}

fn voters(seed: u8) -> ValidatorSet {
    let voter = Validator {
        key: key(seed).public(),
        power: 1,
    };
    ValidatorSet::new(vec![voter]).unwrap()
}

fn hospital() -> HospitalId {
    HospitalId::from_identity(&key(1).public())
}

/// Private block 1; another one for each state root.
fn checkpoint(state_root: u8) -> Tx {
    let set = voters(3).hash();
    let extra = AnchorsExtra {
        root: merkle::root(&[]),
        count: 0,
    };
    let header = Header {
        chain: CHAIN,
        height: Height(1),
        time: TimeMillis(1),
        proposer: Address::of(&key(3).public()),
        parent: Hash([0x77; 32]),
        txs_root: Hash::ZERO,
        results_root: Hash::ZERO,
        state_root: Hash([state_root; 32]),
        validators: set,
        next_validators: set,
        extra: extra.to_bytes(),
    };
    let vote = Vote {
        chain: CHAIN,
        kind: VoteKind::Precommit,
        height: header.height,
        round: 0,
        block: Some(header.hash()),
    };
    let signature = key(3).sign(domain::VOTE, &vote.sign_bytes());
    let certificate = Certificate {
        height: header.height,
        round: 0,
        block: header.hash(),
        signatures: vec![(Address::of(&key(3).public()), signature)],
    };
    Tx::Checkpoint(Checkpoint {
        hospital: hospital(),
        headers: vec![header],
        certificate,
        next_validators: None,
    })
}

async fn node(home: std::path::PathBuf) -> AllianceNode {
    let now = SystemClock.now();
    let member = Member {
        hospital: hospital(),
        name: "St Mary".into(),
        identity: key(1).public(),
        server: key(2).public(),
        private_chain: CHAIN,
        private_validators: voters(3),
    };
    let own = AllianceGenesis {
        members: vec![member],
        proxies: Vec::new(),
        operators: Vec::new(),
        params: Params::standard(Epoch(now.epoch().0 - 1)),
    };
    AllianceNode::start(AllianceNodeConfig {
        home,
        genesis: Genesis {
            kind: ChainKind::Alliance,
            name: "alliance".into(),
            time: TimeMillis(now.0 - 1_000),
            validators: voters(4),
            app: own.encode(),
        },
        key: key(4),
        moniker: "reporter".into(),
        engine: Engine::Solo,
        listen: "/ip4/127.0.0.1/tcp/0".parse().unwrap(),
        peers: Vec::new(),
        hospitals: BTreeMap::new(),
        clock: Arc::new(SystemClock),
        options: NodeOptions::default(),
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_second_header_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let alliance = node(dir.path().to_path_buf()).await;
    let wait = Duration::from_secs(20);
    let first = checkpoint(1).encode();
    alliance.node.submit_and_wait(first, wait).await.unwrap();
    let reports = || {
        let snapshot = alliance.node.chain().snapshot().unwrap();
        query::reports_about(&snapshot, &hospital(), 0, 10).unwrap()
    };
    assert!(reports().is_empty());

    // Twice, by whomever: one report.
    for _ in 0..2 {
        match alliance.node.submit(checkpoint(2).encode()).await {
            Err(SubmitError::Rejected(rejection)) => {
                assert_eq!(rejection.rule, "checkpoint_header_conflict");
            }
            other => panic!("a second header was not refused: {other:?}"),
        }
    }
    let begun = Instant::now();
    while reports().is_empty() {
        assert!(begun.elapsed() < wait, "no report came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let found = reports();
    assert_eq!(found.len(), 1);
    let report = &found[0].1.report;
    assert_eq!(report.kind, ReportKind::Fork);
    assert_eq!(report.reporter, key(4).public());
    let ReportProof::Fork { second, .. } = &report.proof else {
        panic!("it proves nothing: {report:?}");
    };
    assert_eq!(second[0].state_root, Hash([2; 32]));
    println!("{}", report.detail);
    alliance.stop().await;
}

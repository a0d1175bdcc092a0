//! A real alliance node with a checkpoint, and private chains that are, are not, and no longer are the one recorded.

#![allow(clippy::unwrap_used)]

use super::*;
use alliance_chain::node::{AllianceNode, AllianceNodeConfig};
use alliance_chain::{AllianceGenesis, Checkpoint, Member, Params};
use caduceus_cli::{AllianceSection, ExitCode, HospitalEntry, NodeEntry, OutputFormat};
use caduceus_crypto::{Epoch, SecretKey, TimeMillis, encode};
use caduceus_ledger::{
    CertifiedHeader, ChainKind, Genesis, Header, Height, Validator, ValidatorSet,
};
use caduceus_network::exchange::{Headers, HeadersReply, HeadersRequest};
use caduceus_network::{Limits, PeerAddr, Refused, Service, ServiceConfig, peer_id};
use caduceus_node::home::EngineKind;
use caduceus_node::{Chain, Clock, Engine, Guard, NodeFile, NodeOptions, SystemClock, solo};
use private_chain::node::{PrivateNode, PrivateNodeConfig};
use private_chain::{PrivateGenesis, PrivateMachine};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

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

fn begun() -> TimeMillis {
    TimeMillis(SystemClock.now().0 - 60_000)
}

/// A clock that is behind or ahead of the system's.
struct Off(i64);

impl Clock for Off {
    fn now(&self) -> TimeMillis {
        TimeMillis(SystemClock.now().0.saturating_add_signed(self.0))
    }
}

fn private_genesis() -> Genesis {
    let own = PrivateGenesis::new("St Mary".into(), key(1).public(), key(2).public()).unwrap();
    Genesis {
        kind: ChainKind::Private,
        name: "st-mary".into(),
        time: begun(),
        validators: voters(3),
        app: own.encode(),
    }
}

fn port() -> u16 {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    held.local_addr().unwrap().port()
}

fn address(key: &SecretKey, port: u16) -> PeerAddr {
    PeerAddr {
        id: peer_id(&key.public()),
        address: format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap(),
    }
}

/// One alliance node and the folder of its network.
struct World {
    dir: tempfile::TempDir,
    alliance: AllianceNode,
    genesis: Genesis,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let private = private_genesis();
        let member = Member {
            hospital: HospitalId::from_identity(&key(1).public()),
            name: "St Mary".into(),
            identity: key(1).public(),
            server: key(2).public(),
            private_chain: private.chain_id(),
            private_validators: private.validators.clone(),
        };
        let own = AllianceGenesis {
            members: vec![member.clone()],
            proxies: Vec::new(),
            operators: Vec::new(),
            params: Params::standard(Epoch(begun().epoch().0 - 1)),
        };
        let genesis = Genesis {
            kind: ChainKind::Alliance,
            name: "alliance".into(),
            time: begun(),
            validators: voters(4),
            app: own.encode(),
        };
        std::fs::write(dir.path().join("alliance.genesis"), encode(&genesis)).unwrap();
        let node = address(&key(4), port());
        let network = NetworkFile {
            index_scheme: "tags".into(),
            alliance: AllianceSection {
                genesis: "alliance.genesis".into(),
                chain_id: genesis.chain_id().to_string(),
                nodes: vec![NodeEntry {
                    name: "n0".into(),
                    service: node.to_string(),
                    key: key(4).public().to_string(),
                    hospital: None,
                }],
            },
            hospitals: vec![HospitalEntry {
                name: "St Mary".into(),
                id: member.hospital.to_string(),
                identity_key: key(1).public().to_string(),
                former_identity_keys: Vec::new(),
                server: address(&key(2), 1).to_string(),
                keys: address(&key(5), 1).to_string(),
                index_key: key(6).public().to_string(),
                chain_id: private.chain_id().to_string(),
                nodes: Vec::new(),
            }],
        };
        network.save(&dir.path().join("network.toml")).unwrap();
        let home = dir.path().join("alliance");
        std::fs::create_dir_all(&home).unwrap();
        let alliance = AllianceNode::start(AllianceNodeConfig {
            home,
            genesis,
            key: key(4),
            moniker: "alliance".into(),
            engine: Engine::Solo,
            listen: node.address,
            peers: Vec::new(),
            hospitals: BTreeMap::new(),
            clock: Arc::new(SystemClock),
            options: NodeOptions::default(),
        })
        .await
        .unwrap();
        Self {
            dir,
            alliance,
            genesis: private,
        }
    }

    fn network(&self) -> PathBuf {
        self.dir.path().join("network.toml")
    }

    /// A folder of a node of the private chain, under the same key as any other.
    fn home(&self, name: &str) -> PathBuf {
        let home = self.dir.path().join(name);
        std::fs::create_dir_all(&home).unwrap();
        let listen = |port| format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap();
        let file = NodeFile {
            moniker: name.into(),
            genesis: "private.genesis".into(),
            network: "../network.toml".into(),
            engine: EngineKind::Solo,
            service_listen: listen(port()),
            consensus_listen: listen(port()),
            peers: Vec::new(),
            options: NodeOptions::default(),
        };
        std::fs::write(home.join("node.toml"), toml::to_string(&file).unwrap()).unwrap();
        std::fs::write(home.join("node.key"), hex::encode([3u8; 32])).unwrap();
        std::fs::write(home.join("private.genesis"), encode(&self.genesis)).unwrap();
        home
    }

    /// Makes blocks on the chain in a folder; gives all its headers.
    fn grow(&self, home: &Path, blocks: u64, clock: Off) -> Vec<Header> {
        let chain = Chain::open(
            home,
            self.genesis.clone(),
            Arc::new(PrivateMachine),
            Arc::new(clock),
        )
        .unwrap();
        let mut guard = Guard::open(&home.join("last-signed")).unwrap();
        for _ in 0..blocks {
            solo::step(&chain, &key(3), &mut guard).unwrap();
        }
        let snapshot = chain.snapshot().unwrap();
        (1..=chain.tip().height.0)
            .map(|height| snapshot.certified(Height(height)).unwrap().unwrap().header)
            .collect()
    }

    /// The chain in a folder, from its first block on.
    fn certified(&self, home: &Path) -> Vec<CertifiedHeader> {
        let chain = Chain::open(
            home,
            self.genesis.clone(),
            Arc::new(PrivateMachine),
            Arc::new(Off(0)),
        )
        .unwrap();
        let snapshot = chain.snapshot().unwrap();
        (1..=chain.tip().height.0)
            .map(|height| snapshot.certified(Height(height)).unwrap().unwrap())
            .collect()
    }

    async fn checkpoint(&self, home: &Path) {
        let headers = self.certified(home);
        let tx = alliance_chain::Tx::Checkpoint(Checkpoint {
            hospital: HospitalId::from_identity(&key(1).public()),
            certificate: headers.last().unwrap().certificate.clone(),
            headers: headers
                .into_iter()
                .map(|certified| certified.header)
                .collect(),
            next_validators: None,
        });
        let node = &self.alliance.node;
        node.submit_and_wait(tx.encode(), Duration::from_secs(20))
            .await
            .unwrap();
    }

    async fn compare(&self, home: &Path) -> Verdict {
        let home = NodeHome::load(home).unwrap();
        compare(&home, &self.network()).await.unwrap()
    }

    async fn refused(&self, home: &Path) -> CliError {
        let home = NodeHome::load(home).unwrap();
        let output = Output::new(OutputFormat::Json);
        audit_verify(&home, &self.network(), &output)
            .await
            .unwrap_err()
    }
}

fn copy(from: &Path, to: &Path) {
    for name in ["chain.redb", "index.redb"] {
        if from.join(name).is_file() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_log_contradicts_its_checkpoint() {
    let world = World::new().await;
    let (honest, cut, rewritten) = (
        world.home("honest"),
        world.home("cut"),
        world.home("rewritten"),
    );

    // Before the first checkpoint there is nothing to contradict.
    world.grow(&honest, 2, Off(0));
    world
        .alliance
        .node
        .submit(vec![255])
        .await
        .expect_err("no transaction");
    copy(&honest, &cut);
    let headers = world.grow(&honest, 1, Off(0));
    assert_eq!(headers.len(), 3);
    world.checkpoint(&honest).await;

    let verdict = world.compare(&honest).await;
    assert!(verdict.agrees, "{verdict:?}");
    assert_eq!(
        (verdict.height, verdict.checked, verdict.here_height),
        (3, 3, 3)
    );
    assert!(verdict.transactions_checked);
    assert_eq!(verdict.here_hash, verdict.recorded_hash);

    // Blocks after the checkpoint are nobody's business yet.
    world.grow(&honest, 2, Off(0));
    let verdict = world.compare(&honest).await;
    assert!(verdict.agrees, "{verdict:?}");
    assert_eq!((verdict.height, verdict.here_height), (3, 5));

    // The same keys, the same genesis, as many blocks and more, another history.
    let others = world.grow(&rewritten, 4, Off(-5_000));
    assert_ne!(others[2].hash(), headers[2].hash());
    let error = world.refused(&rewritten).await;
    assert_eq!(error.exit, ExitCode::VerificationFailed);
    let text = error.to_string();
    for said in [
        "height 3",
        &others[2].hash().to_string(),
        &headers[2].hash().to_string(),
    ] {
        assert!(text.contains(said), "{said} is missing: {text}");
    }
    println!("{text}");

    // The end of the log is gone.
    let error = world.refused(&cut).await;
    assert_eq!(error.exit, ExitCode::VerificationFailed);
    assert!(error.to_string().contains("ends at height 2"), "{error}");

    // A node that runs is asked.
    let home = NodeHome::load(&honest).unwrap();
    let network = NetworkFile::load(&world.network()).unwrap();
    let config = PrivateNodeConfig::from_home(home, &network, Arc::new(SystemClock));
    let node = PrivateNode::start(config).await.unwrap();
    let verdict = world.compare(&honest).await;
    assert!(
        verdict.agrees && !verdict.transactions_checked,
        "{verdict:?}"
    );
    assert_eq!(verdict.checked, 3);
    node.stop().await;

    // Without an alliance node nothing is proved, and nothing said.
    world.alliance.stop().await;
    let error = world.refused(&honest).await;
    assert_eq!(error.exit, ExitCode::Unreachable);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_the_old_headers_is_judged_by_the_head_alone() {
    let world = World::new().await;
    let home = world.home("joined");
    let headers = world.grow(&home, 5, Off(0));
    let kept: Vec<Vec<u8>> = world.certified(&home).iter().map(encode).collect();
    let home = NodeHome::load(&home).unwrap();
    // As a node answers that joined by a snapshot of height 3.
    let service = Service::start(ServiceConfig {
        key: &key(3),
        listen: vec![home.file.service_listen.clone()],
        limits: Limits::default(),
    })
    .await
    .unwrap();
    service.serve::<Headers, _, _>(
        |_| true,
        move |_, request: HeadersRequest| {
            let from = usize::try_from(request.from.unwrap_or(5)).unwrap();
            let limit = usize::from(request.limit);
            let items = kept.iter().skip(from - 1).take(limit).cloned().collect();
            async move {
                if from < 3 {
                    return Err(Refused::because("not kept here"));
                }
                Ok(HeadersReply { items })
            }
        },
    );
    let found = here::told(&home, 4).await.unwrap();
    assert_eq!(found.at.as_ref().map(Header::hash), Some(headers[3].hash()));
    assert_eq!((found.tip, found.checked), (5, 1));
    assert!(found.broken.is_none() && !found.lacks(4));
    // Of a height below nothing is said.
    let found = here::told(&home, 2).await.unwrap();
    assert!(found.at.is_none() && found.lacks(2));
    service.shutdown().await;
    world.alliance.stop().await;
}

//! Snapshots of a short chain, on disk and from nodes that lie.

use crate::support::{Words, genesis, key};
use caduceus_crypto::codec;
use caduceus_ledger::{Genesis, Height, Validator, ValidatorSet};
use caduceus_network::exchange::{
    SnapshotChunk, SnapshotChunkReply, SnapshotInfo, SnapshotInfoReply, SnapshotOffer,
};
use caduceus_network::{Limits, PeerAddr, Refused, Service, ServiceConfig};
use caduceus_node::statesync::{self, Attestation, AttestationError, Attestations, Folder};
use caduceus_node::validate::{Depth, validate};
use caduceus_node::{Engine, Node, NodeConfig, NodeOptions, Store, SystemClock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const BLOCKS: u64 = 20;

fn config(home: &Path, genesis: &Genesis, seed: u8) -> NodeConfig {
    NodeConfig {
        home: home.to_path_buf(),
        genesis: genesis.clone(),
        key: key(seed),
        moniker: format!("snapshots-{seed}"),
        engine: Engine::Solo,
        clock: Arc::new(SystemClock),
        options: NodeOptions {
            snapshot_every: Some(BLOCKS),
            ..NodeOptions::default()
        },
    }
}

/// A stopped chain of twenty blocks, its tip's snapshot beside it.
async fn chain(home: &Path) -> (Genesis, Folder) {
    let genesis = genesis(1);
    let node = Node::start(config(home, &genesis, 0), Words).await.unwrap();
    for n in 1..=BLOCKS {
        let word = format!("word {n:04}").into_bytes();
        node.submit_and_wait(word, Duration::from_secs(5))
            .await
            .unwrap();
    }
    let mut patience = 0;
    while node.snapshots().newest().is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        patience += 1;
        assert!(patience < 500, "no snapshot is made");
    }
    let kept = node.snapshots().newest().unwrap();
    assert!(kept.complete());
    assert_eq!(kept.folder.manifest().height(), Height(BLOCKS));
    let folder = kept.folder.clone();
    node.stop().await;
    (genesis, folder)
}

/// Opens a folder as a joining node would: whole, and attested to.
fn accepted(path: &Path) -> bool {
    let Ok((folder, attestations)) = Folder::open(path) else {
        return false;
    };
    attestations.quorum(&folder.manifest().voters).is_ok()
        && (0..folder.manifest().chunks()).all(|index| folder.chunk(index).is_ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flipped_byte_of_a_snapshot_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_, folder) = chain(dir.path()).await;
    assert!(accepted(folder.path()));
    let mut flips = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&path, bytes).unwrap();
            assert!(!accepted(folder.path()), "byte {at} of {}", path.display());
            flips += 1;
        }
        for cut in [whole.len() - 1, whole.len() / 2, 0] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(
                !accepted(folder.path()),
                "{cut} bytes of {}",
                path.display()
            );
        }
        std::fs::write(&path, whole).unwrap();
    }
    assert!(accepted(folder.path()));
    println!("{flips} flipped bytes refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_two_thirds_of_the_power_are_too_little() {
    let dir = tempfile::tempdir().unwrap();
    let (_, folder) = chain(dir.path()).await;
    let mut manifest = folder.manifest().clone();
    let set = |powers: &[u64]| {
        let validators = powers.iter().zip(0..).map(|(power, n)| Validator {
            key: key(n).public(),
            power: *power,
        });
        ValidatorSet::new(validators.collect()).unwrap()
    };
    let mut cases = 0;
    for (powers, signers, enough) in [
        (vec![1, 1, 1], vec![0, 1], false),
        (vec![1, 1, 1], vec![0, 1, 2], true),
        (vec![1, 1, 1, 1], vec![0, 1], false),
        (vec![1, 1, 1, 1], vec![1, 2, 3], true),
        (vec![4, 1, 1], vec![0], false),
        (vec![5, 1, 1], vec![0], true),
    ] {
        manifest.voters = set(&powers);
        let hash = manifest.hash();
        let list: Vec<_> = signers
            .iter()
            .map(|n| Attestation::sign(&hash, &key(*n)))
            .collect();
        let checked = Attestations::check(&list, &manifest).unwrap();
        assert_eq!(
            checked.quorum(&manifest.voters).is_ok(),
            enough,
            "{powers:?}"
        );
        // Nobody counts twice, and a stranger or another manifest's signature not at all.
        let twice = [list[0], list[0]];
        assert!(matches!(
            Attestations::check(&twice, &manifest),
            Err(AttestationError::Repeated { .. })
        ));
        let mut gathered = Attestations::default();
        let stranger = Attestation::sign(&hash, &key(9));
        let other = Attestation::sign(&folder.hash(), &key(signers[0]));
        gathered.add(&[stranger, other, list[0], list[0]], &manifest);
        assert_eq!(gathered.list(), [list[0]]);
        cases += 1;
    }
    println!("{cases} sets of attestations judged");
}

/// How a serving node departs from the truth.
#[derive(Clone, Copy, PartialEq)]
enum Lie {
    None,
    /// Sends chunks with one byte changed.
    Chunks,
    /// Attests itself to a state that it made up.
    State,
    /// Offers the right snapshot without any attestation.
    Nobody,
    /// Offers a snapshot that the validator attests to as well, and sends no chunk of it.
    Gone,
}

struct Server {
    service: Service,
    address: PeerAddr,
    chunks: Arc<AtomicU64>,
}

/// Serves a snapshot over a real socket.
async fn serve(folder: &Folder, lie: Lie, seed: u8) -> Server {
    let service = Service::start(ServiceConfig {
        key: &key(seed),
        listen: vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()],
        limits: Limits::default(),
    })
    .await
    .unwrap();
    let mut manifest = folder.manifest().clone();
    if matches!(lie, Lie::State | Lie::Gone) {
        manifest.bulk.rows += 1;
    }
    let signer = if lie == Lie::State { key(seed) } else { key(0) };
    let mut attestations = vec![Attestation::sign(&manifest.hash(), &signer)];
    if lie == Lie::Nobody {
        attestations.clear();
    }
    let offer = SnapshotOffer {
        manifest: codec::encode(&manifest),
        certificate: codec::encode(folder.certificate()),
        attestations: codec::encode(&attestations),
        chunks: folder.chunk_hashes().to_vec(),
    };
    service.serve::<SnapshotInfo, _, _>(
        |_| true,
        move |_, _| {
            let snapshot = Some(offer.clone());
            async move {
                Ok(SnapshotInfoReply {
                    tip: BLOCKS,
                    kept_from: 1,
                    snapshot,
                })
            }
        },
    );
    let chunks = Arc::new(AtomicU64::new(0));
    let (counted, served) = (chunks.clone(), folder.clone());
    service.serve::<SnapshotChunk, _, _>(
        |_| true,
        move |_, request| {
            counted.fetch_add(1, Ordering::SeqCst);
            let read = served.chunk(request.index);
            async move {
                let mut bytes = read.map_err(|_| Refused::because("no such chunk"))?;
                if lie == Lie::Gone {
                    return Err(Refused::because("no such chunk"));
                }
                if lie == Lie::Chunks {
                    *bytes.last_mut().unwrap() ^= 1;
                }
                Ok(SnapshotChunkReply { bytes })
            }
        },
    );
    Server {
        address: service.peer_address().unwrap(),
        service,
        chunks,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_snapshot_that_does_not_come_gives_way_to_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (genesis, folder) = chain(&dir.path().join("source")).await;
    let service = caller().await;
    // Two offer it, so it is tried first.
    let servers = [
        serve(&folder, Lie::Gone, 14).await,
        serve(&folder, Lie::Gone, 15).await,
        serve(&folder, Lie::None, 16).await,
    ];
    let peers: Vec<PeerAddr> = servers.iter().map(|s| s.address.clone()).collect();
    let home = dir.path().join("newcomer");
    let joined = statesync::join(&service, &peers, &config(&home, &genesis, 5))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(joined.height, Height(BLOCKS));
    assert!(servers[0].chunks.load(Ordering::SeqCst) > 0);
    assert!(servers[1].chunks.load(Ordering::SeqCst) > 0);
    for server in servers {
        server.service.shutdown().await;
    }
}

async fn caller() -> Service {
    Service::start(ServiceConfig {
        key: &key(77),
        listen: Vec::new(),
        limits: Limits::default(),
    })
    .await
    .unwrap()
}

fn store(home: &Path) -> PathBuf {
    home.join("chain.redb")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn liars_are_found_out_and_an_interrupted_join_starts_again() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("source");
    let (genesis, folder) = chain(&source).await;
    let service = caller().await;
    let honest = serve(&folder, Lie::None, 10).await;
    let forger = serve(&folder, Lie::Chunks, 11).await;
    let inventor = serve(&folder, Lie::State, 12).await;
    let silent = serve(&folder, Lie::Nobody, 13).await;

    // What nobody, or nobody who votes, attests to is not joined by.
    let alone = dir.path().join("alone");
    let liars = [inventor.address.clone(), silent.address.clone()];
    let joined = statesync::join(&service, &liars, &config(&alone, &genesis, 5)).await;
    assert_eq!(joined.unwrap(), None);
    assert!(!store(&alone).exists());
    assert_eq!(inventor.chunks.load(Ordering::SeqCst), 0);

    // Wrong chunks alone bring no chain into being.
    let cheated = dir.path().join("cheated");
    let peers = [forger.address.clone()];
    let joined = statesync::join(&service, &peers, &config(&cheated, &genesis, 5)).await;
    assert!(joined.is_err());
    assert!(!store(&cheated).exists());

    // The node starts from its genesis then, and is stopped before it has a block.
    let node = Node::open(config(&cheated, &genesis, 5), Words).unwrap();
    assert_eq!(node.chain().tip().height, Height::GENESIS);
    drop(node);
    let mut patience = 0;
    while Store::open_damaged(&store(&cheated)).is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        patience += 1;
        assert!(patience < 500, "the store is not let go");
    }

    // The same node tries again with an honest peer besides; what an earlier attempt left does no harm: a chain without a
    // block, half a store, an index of some other time, one good chunk and one bad.
    let fetching = cheated
        .join("snapshots")
        .join(format!(".fetching-{BLOCKS:020}"));
    std::fs::write(fetching.join("00000000.chunk"), folder.chunk(0).unwrap()).unwrap();
    std::fs::write(fetching.join("00000001.chunk"), b"half of it").unwrap();
    std::fs::create_dir_all(cheated.join("joining")).unwrap();
    std::fs::write(store(&cheated.join("joining")), b"half a store").unwrap();
    std::fs::write(cheated.join("index.redb"), b"of another time").unwrap();
    let peers = [
        forger.address.clone(),
        silent.address.clone(),
        inventor.address.clone(),
        honest.address.clone(),
    ];
    let newcomer = config(&cheated, &genesis, 5);
    let joined = statesync::join(&service, &peers, &newcomer)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(joined.height, Height(BLOCKS));
    let first = folder.chunk(0).unwrap().len() as u64;
    assert_eq!(
        joined.fetched,
        joined.bytes - first,
        "a good chunk is not fetched again"
    );

    // The two stores are equal row by row, and both hold.
    {
        let grown = Store::open(&store(&source)).unwrap();
        let made = Store::open(&store(&cheated)).unwrap();
        assert!(!made.lacks_index());
        assert_eq!(grown.first_difference(&made).unwrap(), None);
        assert_eq!(made.first_difference(&grown).unwrap(), None);
        for (store, from) in [(&grown, 0), (&made, BLOCKS)] {
            let report =
                validate(store, &genesis, &Words, Depth::Execution, &mut |_, _| ()).unwrap();
            assert_eq!((report.fault, report.from), (None, from));
        }
    }
    // A lost index is made anew from the snapshot.
    std::fs::remove_file(cheated.join("index.redb")).unwrap();
    let node = Node::start(config(&cheated, &genesis, 5), Words)
        .await
        .unwrap();
    node.stop().await;
    drop(node);
    {
        let grown = Store::open(&store(&source)).unwrap();
        let made = Store::open(&store(&cheated)).unwrap();
        assert_eq!(grown.first_difference(&made).unwrap(), None);
    }
    // Once there is a chain, nothing is joined.
    assert_eq!(
        statesync::join(&service, &peers, &newcomer).await.unwrap(),
        None
    );

    // A damaged snapshot is named by a validation that needs it.
    let kept = cheated
        .join("snapshots")
        .join(format!("{BLOCKS:020}"))
        .join("00000001.chunk");
    let mut bytes = std::fs::read(&kept).unwrap();
    bytes[9] ^= 4;
    std::fs::write(&kept, bytes).unwrap();
    let made = Store::open_damaged(&store(&cheated)).unwrap();
    for depth in [Depth::Hashes, Depth::Execution] {
        let report = validate(&made, &genesis, &Words, depth, &mut |_, _| ()).unwrap();
        let fault = report.fault.unwrap();
        assert_eq!(fault.height, BLOCKS);
        assert!(fault.what.contains("chunk 1"), "{}", fault.what);
    }
    for server in [honest, forger, inventor, silent] {
        server.service.shutdown().await;
    }
}

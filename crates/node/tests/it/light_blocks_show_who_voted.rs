use crate::support::{Words, genesis, key, voters};
use caduceus_crypto::decode_exact;
use caduceus_ledger::light::{MAX_LIGHT_BLOCK_BYTES, Progress};
use caduceus_ledger::{Genesis, Height, LightBlock, LightClient, LightError, tx_id};
use caduceus_network::exchange::{LightBlocks, LightBlocksRequest, MAX_LIGHT_BLOCKS};
use caduceus_network::{Limits, PeerAddr, Service, ServiceConfig};
use caduceus_node::service::{ChainPolicy, anybody, serve_chain};
use caduceus_node::validate::{Depth, Report, validate};
use caduceus_node::{Clock, Engine, Node, NodeConfig, NodeOptions, RelayPeers, Store, SystemClock};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(5);
/// Heights after which another set votes.
const CHANGES: [u64; 3] = [3, 6, 9];
const TIP: u64 = 12;

/// A chain of one validator whose power, hence set, changes three times.
async fn chain(home: &Path) -> (Genesis, Arc<Node<Words>>) {
    let genesis = genesis(1);
    let config = NodeConfig {
        home: home.to_path_buf(),
        genesis: genesis.clone(),
        key: key(0),
        moniker: "light".into(),
        engine: Engine::Solo,
        clock: Arc::new(SystemClock),
        options: NodeOptions::default(),
    };
    let node = Node::start(config, Words).await.unwrap();
    for height in 1..=TIP {
        let word = if CHANGES.contains(&height) {
            voters(&[(0, height)])
        } else {
            format!("word {height}").into_bytes()
        };
        let done = node.submit_and_wait(word, WAIT).await.unwrap();
        assert_eq!(done.height, Height(height));
    }
    (genesis, node)
}

async fn service(n: u8, listen: &[&str]) -> Service {
    Service::start(ServiceConfig {
        key: &key(n),
        listen: listen.iter().map(|at| at.parse().unwrap()).collect(),
        limits: Limits::default(),
    })
    .await
    .unwrap()
}

async fn fetch(caller: &Service, to: &PeerAddr, heights: Vec<u64>) -> Vec<Option<LightBlock>> {
    let request = LightBlocksRequest { heights };
    let reply = caller.call::<LightBlocks>(to, request).await.unwrap();
    reply
        .items
        .iter()
        .map(|item| (!item.is_empty()).then(|| decode_exact(item, MAX_LIGHT_BLOCK_BYTES).unwrap()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_from_the_genesis_reaches_the_tip_and_old_proofs() {
    let dir = tempfile::tempdir().unwrap();
    let (genesis, node) = chain(dir.path()).await;
    let (server, caller) = (
        service(50, &["/ip4/127.0.0.1/tcp/0"]).await,
        service(51, &[]).await,
    );
    let policy = ChainPolicy {
        program: "words",
        submit: anybody(),
        query: anybody(),
        relay: RelayPeers::default(),
    };
    serve_chain(&server, &node, policy);
    let to = server.peer_address().unwrap();

    let newest = fetch(&caller, &to, Vec::new()).await;
    let [Some(newest)] = newest.as_slice() else {
        panic!("{newest:?}");
    };
    assert_eq!(newest.height(), Height(TIP));
    // What is asked for comes in the order asked, and what is not there as nothing.
    let some = fetch(&caller, &to, vec![7, 2, TIP + 1, 0]).await;
    let heights: Vec<Option<u64>> = some
        .iter()
        .map(|b| b.as_ref().map(|b| b.height().0))
        .collect();
    assert_eq!(heights, [Some(7), Some(2), None, None]);
    let most = vec![1; MAX_LIGHT_BLOCKS];
    assert_eq!(fetch(&caller, &to, most).await.len(), MAX_LIGHT_BLOCKS);

    // The one voter of all heights signed them all: the newest is reached in one step.
    let now = SystemClock.now();
    let mut client = LightClient::from_genesis(&genesis);
    let mut way = client.toward(newest.clone(), now).unwrap();
    assert!(matches!(way.advance(), Ok(Progress::Done(_))));
    client.adopt(&way);
    // A proof of a time in between needs to know who voted then.
    let id = tx_id(b"word 5");
    let proof = node.chain().prove_tx(&id).unwrap().unwrap();
    let height = Height(5);
    assert_eq!(
        proof.verify(&client, &id),
        Err(LightError::UnknownValidators { height })
    );
    let block = fetch(&caller, &to, vec![5]).await.remove(0).unwrap();
    let mut way = client.toward(block, now).unwrap();
    way.advance().unwrap();
    client.adopt(&way);
    assert_eq!(proof.verify(&client, &id), Ok(()));
    caller.shutdown().await;
    server.shutdown().await;
    node.stop().await;
}

fn check(home: &Path, genesis: &Genesis, depth: Depth) -> Report {
    let store = Store::open_damaged(&home.join("chain.redb")).unwrap();
    validate(&store, genesis, &Words, depth, &mut |_, _| ()).unwrap()
}

const SETS: redb::TableDefinition<'static, &[u8], &[u8]> =
    redb::TableDefinition::new("validator_sets");

#[tokio::test(flavor = "multi_thread")]
async fn validation_follows_the_stored_sets_and_finds_them_altered() {
    let dir = tempfile::tempdir().unwrap();
    let (genesis, node) = chain(dir.path()).await;
    let changed = node
        .chain()
        .snapshot()
        .unwrap()
        .light_block(Height(6))
        .unwrap()
        .unwrap();
    node.stop().await;
    drop(node);
    for depth in [Depth::Hashes, Depth::Execution] {
        let report = check(dir.path(), &genesis, depth);
        assert_eq!((report.fault, report.blocks), (None, TIP));
    }
    // The set that votes after height 6 is replaced by the one before.
    let db = redb::Database::open(dir.path().join("chain.redb")).unwrap();
    let txn = db.begin_write().unwrap();
    {
        let mut sets = txn.open_table(SETS).unwrap();
        assert_eq!(redb::ReadableTableMetadata::len(&sets).unwrap(), 4);
        let key = changed.next_validators.hash();
        let wrong = caduceus_crypto::encode(&changed.validators);
        sets.insert(key.as_bytes().as_slice(), wrong.as_slice())
            .unwrap();
    }
    txn.commit().unwrap();
    drop(db);
    let report = check(dir.path(), &genesis, Depth::Hashes);
    let fault = report.fault.unwrap();
    assert_eq!((fault.height, report.blocks), (6, 5));
    assert!(
        fault.what.contains("the new set is not stored"),
        "{}",
        fault.what
    );
    let fault = check(dir.path(), &genesis, Depth::Execution).fault.unwrap();
    assert!(fault.what.contains("validator sets"), "{}", fault.what);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_from_before_the_table_gets_its_set_when_it_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = genesis(1);
    let start = || async {
        let config = NodeConfig {
            home: dir.path().to_path_buf(),
            genesis: genesis.clone(),
            key: key(0),
            moniker: "older".into(),
            engine: Engine::Solo,
            clock: Arc::new(SystemClock),
            options: NodeOptions::default(),
        };
        Node::start(config, Words).await.unwrap()
    };
    let node = start().await;
    node.submit_and_wait(b"one".to_vec(), WAIT).await.unwrap();
    node.stop().await;
    drop(node);
    let db = redb::Database::open(dir.path().join("chain.redb")).unwrap();
    let txn = db.begin_write().unwrap();
    assert!(txn.delete_table(SETS).unwrap());
    txn.commit().unwrap();
    drop(db);
    assert_eq!(check(dir.path(), &genesis, Depth::Execution).fault, None);
    let node = start().await;
    let block = node
        .chain()
        .snapshot()
        .unwrap()
        .light_block(Height(1))
        .unwrap()
        .unwrap();
    assert_eq!(block.validators, genesis.validators);
    node.stop().await;
}

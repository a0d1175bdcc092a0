use crate::support::{Words, genesis, key};
use caduceus_crypto::encode;
use caduceus_ledger::{DifficultyRule, Genesis, Height, LightClient, SignedSeal, tx_id};
use caduceus_node::validate::{Depth, Fault, validate};
use caduceus_node::{Engine, Node, NodeConfig, NodeOptions, PowSettings, Store, SystemClock};
use redb::ReadableTable;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(20);

/// N of 3 at the most: thousands of tries.
const QUICK: PowSettings = PowSettings {
    miners: 3,
    rule: DifficultyRule {
        rise_below_millis: 1_000,
        fall_above_millis: 5_000,
        max_n: 3,
    },
};

fn config(home: &Path, genesis: &Genesis, engine: Engine) -> NodeConfig {
    NodeConfig {
        home: home.to_path_buf(),
        genesis: genesis.clone(),
        key: key(0),
        moniker: "mined".into(),
        engine,
        clock: Arc::new(SystemClock),
        options: NodeOptions::default(),
    }
}

async fn start(home: &Path, genesis: &Genesis) -> Arc<Node<Words>> {
    let config = config(home, genesis, Engine::Pow(QUICK));
    Node::start(config, Words).await.unwrap()
}

/// Mines blocks of one word each on a runtime that is dropped with the node in it, without a stop.
fn mine_and_die(home: &Path, genesis: &Genesis, words: &[&str]) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let node = start(home, genesis).await;
        for word in words {
            node.submit_and_wait(word.as_bytes().to_vec(), WAIT)
                .await
                .unwrap();
        }
    });
}

fn faults(home: &Path, genesis: &Genesis) -> Vec<(Option<Fault>, u64)> {
    [Depth::Hashes, Depth::Execution]
        .map(|depth| {
            let store = Store::open_damaged(&home.join("chain.redb")).unwrap();
            let report = validate(&store, genesis, &Words, depth, &mut |_, _| ()).unwrap();
            (report.fault, report.seals)
        })
        .to_vec()
}

const SEALS: redb::TableDefinition<u64, &[u8]> = redb::TableDefinition::new("seals");

/// Changes the stored seal of a height; none removes it.
fn edit(home: &Path, height: u64, change: impl FnOnce(SignedSeal) -> Option<SignedSeal>) {
    let db = redb::Database::open(home.join("chain.redb")).unwrap();
    let txn = db.begin_write().unwrap();
    {
        let mut table = txn.open_table(SEALS).unwrap();
        let seal = borsh_seal(table.get(height).unwrap().unwrap().value());
        match change(seal) {
            Some(seal) => table.insert(height, encode(&seal).as_slice()).unwrap(),
            None => table.remove(height).unwrap(),
        };
    }
    txn.commit().unwrap();
}

fn borsh_seal(bytes: &[u8]) -> SignedSeal {
    caduceus_crypto::decode_exact(bytes, 1024).unwrap()
}

#[test]
fn a_mined_chain_goes_on_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = genesis(1);
    mine_and_die(dir.path(), &genesis, &["one", "two", "three"]);
    mine_and_die(dir.path(), &genesis, &["four", "five"]);
    for found in faults(dir.path(), &genesis) {
        assert_eq!(found, (None, 5));
    }
    let store = Store::open(&dir.path().join("chain.redb")).unwrap();
    let snapshot = store.snapshot().unwrap();
    let seals: Vec<_> = (1..=5)
        .map(|height| snapshot.seal(Height(height)).unwrap().unwrap().body)
        .collect();
    let difficulties: Vec<u8> = seals.iter().map(|seal| seal.n).collect();
    assert_eq!(difficulties, [0, 1, 2, 3, 3], "{seals:?}");
    for pair in seals.windows(2) {
        assert_eq!(pair[1].previous, pair[0].hash);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_need_no_seal() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = genesis(1);
    let node = start(dir.path(), &genesis).await;
    node.submit_and_wait(b"one".to_vec(), WAIT).await.unwrap();
    let client = LightClient::from_genesis(&genesis);
    let id = tx_id(b"one");
    let proof = node.chain().prove_tx(&id).unwrap().unwrap();
    proof.verify(&client, &id).unwrap();
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_stops_while_it_mines() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = genesis(1);
    // Every block makes the next harder: after some, nobody finds one any more.
    let hopeless = PowSettings {
        miners: 2,
        rule: DifficultyRule {
            rise_below_millis: u64::MAX,
            fall_above_millis: u64::MAX,
            max_n: DifficultyRule::LIMIT,
        },
    };
    let node = Node::start(config(dir.path(), &genesis, Engine::Pow(hopeless)), Words)
        .await
        .unwrap();
    let mut mined = 0;
    for word in 0..12u8 {
        let wait = Duration::from_millis(700);
        if node.submit_and_wait(vec![word], wait).await.is_err() {
            break;
        }
        mined += 1;
    }
    assert!(mined < 12, "2^44 tries within seconds");
    let told = Instant::now();
    node.stop().await;
    let took = told.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    println!("{mined} blocks, then stopped in {took:?}");
    let tip = node.chain().tip();
    assert!(
        (mined..=mined + 1).contains(&tip.height.0),
        "{mined}: {tip:?}"
    );
    drop(node);
    let chain =
        caduceus_node::Chain::open(dir.path(), genesis, Arc::new(Words), Arc::new(SystemClock))
            .unwrap();
    assert_eq!(chain.tip(), tip);
}

#[test]
fn validation_names_the_block_whose_seal_was_changed() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = genesis(1);
    mine_and_die(dir.path(), &genesis, &["one", "two", "three", "four"]);
    type Change = fn(SignedSeal) -> Option<SignedSeal>;
    let changes: &[(&str, Change)] = &[
        ("miner", |mut seal| {
            seal.body.miner += 1;
            Some(seal)
        }),
        ("signature", |mut seal| {
            seal.body.took_millis += 1;
            Some(seal)
        }),
        ("missing", |_| None),
    ];
    for (word, change) in changes {
        let mut before = None;
        edit(dir.path(), 2, |seal| {
            before = Some(seal.clone());
            change(seal)
        });
        for (fault, seals) in faults(dir.path(), &genesis) {
            let fault = fault.unwrap();
            assert_eq!((fault.height, seals), (2, 1), "{word}");
            assert!(fault.what.contains(word), "{}", fault.what);
        }
        let db = redb::Database::open(dir.path().join("chain.redb")).unwrap();
        let txn = db.begin_write().unwrap();
        txn.open_table(SEALS)
            .unwrap()
            .insert(2, encode(&before.unwrap()).as_slice())
            .unwrap();
        txn.commit().unwrap();
    }
    for found in faults(dir.path(), &genesis) {
        assert_eq!(found, (None, 4));
    }
    println!("{} changes", changes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_mined_from_the_first_block_is_not_mined_on() {
    let dir = tempfile::tempdir().unwrap();
    let one = genesis(1);
    let node = Node::start(config(dir.path(), &one, Engine::Solo), Words)
        .await
        .unwrap();
    node.submit_and_wait(b"one".to_vec(), WAIT).await.unwrap();
    node.stop().await;
    drop(node);
    let refused = Node::start(config(dir.path(), &one, Engine::Pow(QUICK)), Words).await;
    let said = refused.err().unwrap().to_string();
    assert_eq!(said, "block 1 of this chain was not mined");
    let two = tempfile::tempdir().unwrap();
    let refused = Node::start(config(two.path(), &genesis(2), Engine::Pow(QUICK)), Words).await;
    let said = refused.err().unwrap().to_string();
    assert_eq!(said, "2 validators decide this chain, not one");

    let three = tempfile::tempdir().unwrap();
    let node = start(three.path(), &one).await;
    node.submit_and_wait(b"one".to_vec(), WAIT).await.unwrap();
    node.stop().await;
    drop(node);
    let refused = Node::start(config(three.path(), &one, Engine::Solo), Words).await;
    let said = refused.err().unwrap().to_string();
    assert_eq!(said, "this chain is mined: its engine stays pow");
}

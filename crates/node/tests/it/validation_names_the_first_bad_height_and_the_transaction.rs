use crate::support::{Words, genesis, key};
use caduceus_ledger::{Genesis, tx_id};
use caduceus_node::validate::{Depth, Report, validate};
use caduceus_node::{Engine, Node, NodeConfig, NodeOptions, Store, StoreError, SystemClock};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A chain of twenty blocks, one word each, stopped.
async fn chain(home: &Path) -> Genesis {
    let genesis = genesis(1);
    let config = NodeConfig {
        home: home.to_path_buf(),
        genesis: genesis.clone(),
        key: key(0),
        moniker: "validated".into(),
        engine: Engine::Solo,
        clock: Arc::new(SystemClock),
        options: NodeOptions::default(),
    };
    let node = Node::start(config, Words).await.unwrap();
    for n in 1..=20 {
        let word = format!("a word that is number {n:04} of them");
        node.submit_and_wait(word.into_bytes(), Duration::from_secs(5))
            .await
            .unwrap();
    }
    node.stop().await;
    genesis
}

fn check(home: &Path, genesis: &Genesis, depth: Depth) -> Report {
    let store = Store::open_damaged(&home.join("chain.redb")).unwrap();
    let mut heights = 0;
    let report = validate(&store, genesis, &Words, depth, &mut |_, _| heights += 1).unwrap();
    assert!(heights > 0, "no height was looked at");
    report
}

/// Changes the first occurrence of some bytes in the file, as an editor of files would.
fn edit(home: &Path, from: &[u8], to: &[u8]) {
    let path = home.join("chain.redb");
    let mut bytes = std::fs::read(&path).unwrap();
    let mut found = 0;
    for at in 0..bytes.len() - from.len() {
        if bytes[at..at + from.len()] == *from {
            bytes[at..at + to.len()].copy_from_slice(to);
            found += 1;
        }
    }
    assert!(found > 0, "nothing to edit");
    std::fs::write(&path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_chain_holds() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = chain(dir.path()).await;
    for depth in [Depth::Hashes, Depth::Execution] {
        let report = check(dir.path(), &genesis, depth);
        assert_eq!(report.fault, None);
        assert_eq!(
            (report.tip, report.blocks, report.transactions),
            (20, 20, 20)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_transaction_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = chain(dir.path()).await;
    edit(
        dir.path(),
        b"a word that is number 0007 of them",
        b"a word that is number 9997 of them",
    );
    let refused = Store::open(&dir.path().join("chain.redb"));
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })));
    for depth in [Depth::Hashes, Depth::Execution] {
        let report = check(dir.path(), &genesis, depth);
        let fault = report.fault.unwrap();
        assert_eq!((fault.height, report.blocks), (7, 6));
        let transaction = fault.transaction.unwrap();
        assert_eq!(transaction.index, 0);
        assert_eq!(transaction.id, tx_id(b"a word that is number 9997 of them"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_state_is_found_by_execution() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = chain(dir.path()).await;
    let path = dir.path().join("chain.redb");
    let count = redb::TableDefinition::<&[u8], &[u8]>::new("state_auth");
    let db = redb::Database::open(&path).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(count)
        .unwrap()
        .insert(b"count".as_slice(), 21u64.to_le_bytes().as_slice())
        .unwrap();
    txn.commit().unwrap();
    drop(db);
    assert_eq!(check(dir.path(), &genesis, Depth::Hashes).fault, None);
    let fault = check(dir.path(), &genesis, Depth::Execution).fault.unwrap();
    assert_eq!(fault.height, 20);
    assert!(fault.what.contains("at key count"), "{}", fault.what);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_row_of_the_index_is_found_by_execution() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = chain(dir.path()).await;
    let db = redb::Database::open(dir.path().join("chain.redb")).unwrap();
    let runs = redb::TableDefinition::<u64, &[u8]>::new("index_runs");
    let txn = db.begin_write().unwrap();
    let removed = txn.open_table(runs).unwrap().remove(13).unwrap().is_some();
    assert!(removed, "height 13 wrote a row of the index");
    txn.commit().unwrap();
    drop(db);
    let fault = check(dir.path(), &genesis, Depth::Execution).fault.unwrap();
    assert!(fault.what.contains("index"), "{}", fault.what);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_genesis_is_refused_at_height_0() {
    let dir = tempfile::tempdir().unwrap();
    let mut genesis = chain(dir.path()).await;
    genesis.name = "another".into();
    let report = {
        let store = Store::open_damaged(&dir.path().join("chain.redb")).unwrap();
        validate(&store, &genesis, &Words, Depth::Hashes, &mut |_, _| ()).unwrap()
    };
    assert_eq!(report.fault.unwrap().height, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_another_time_is_made_anew_at_start() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = chain(dir.path()).await;
    let path = dir.path().join("index.redb");
    for loss in ["of a later height", "damaged"] {
        if loss == "damaged" {
            std::fs::write(&path, b"no database").unwrap();
        } else {
            let db = redb::Database::open(&path).unwrap();
            let meta = redb::TableDefinition::<&str, u64>::new("meta");
            let txn = db.begin_write().unwrap();
            txn.open_table(meta).unwrap().insert("flushed", 99).unwrap();
            txn.commit().unwrap();
        }
        let config = NodeConfig {
            home: dir.path().to_path_buf(),
            genesis: genesis.clone(),
            key: key(0),
            moniker: "mended".into(),
            engine: Engine::Solo,
            clock: Arc::new(SystemClock),
            options: NodeOptions::default(),
        };
        let node = Node::start(config, Words).await.unwrap();
        node.stop().await;
        drop(node);
        let report = check(dir.path(), &genesis, Depth::Execution);
        assert_eq!(report.fault, None, "{loss}");
        assert_eq!(report.blocks, 20);
    }
}

use crate::support::{Words, genesis, key};
use caduceus_ledger::LightClient;
use caduceus_node::{Engine, Node, NodeConfig, NodeOptions, SubmitError, SystemClock};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

async fn start(home: &Path, genesis: &caduceus_ledger::Genesis) -> Arc<Node<Words>> {
    let config = NodeConfig {
        home: home.to_path_buf(),
        genesis: genesis.clone(),
        key: key(0),
        moniker: "solo".into(),
        engine: Engine::Solo,
        clock: Arc::new(SystemClock),
        options: NodeOptions::default(),
    };
    Node::start(config, Words).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn solo_chain_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let genesis = genesis(1);
    let wait = Duration::from_secs(5);
    let node = start(dir.path(), &genesis).await;
    let first = node.submit_and_wait(b"one".to_vec(), wait).await.unwrap();
    assert_eq!((first.height.0, first.index), (1, 0));
    node.submit_and_wait(b"two".to_vec(), wait).await.unwrap();
    let refused = node.submit_and_wait(b"bad".to_vec(), wait).await;
    assert!(matches!(refused, Err(SubmitError::Rejected(r)) if r.rule == "bad_word"));
    node.stop().await;
    drop(node);

    let node = start(dir.path(), &genesis).await;
    assert_eq!(node.chain().tip().height.0, 2);
    // Submitting again is harmless: the answer is the old place.
    assert_eq!(
        node.submit_and_wait(b"one".to_vec(), wait).await.unwrap(),
        first
    );
    let third = node.submit_and_wait(b"three".to_vec(), wait).await.unwrap();
    assert_eq!(third.result, 3u64.to_le_bytes());

    let client = LightClient::from_genesis(&genesis);
    let id = caduceus_ledger::tx_id(b"three");
    let proof = node.chain().prove_tx(&id).unwrap().unwrap();
    proof.verify(&client, &id).unwrap();
    let mut forged = proof.clone();
    forged.result[0] ^= 1;
    assert!(forged.verify(&client, &id).is_err());
    let count = node.chain().prove_state(b"count").unwrap().unwrap();
    assert_eq!(
        count.verify(&client, b"count").unwrap(),
        Some(3u64.to_le_bytes().as_slice())
    );
    let absent = node.chain().prove_state(b"nothing").unwrap().unwrap();
    assert_eq!(absent.verify(&client, b"nothing").unwrap(), None);
    node.stop().await;
}

use crate::support::{Words, free_ports, genesis, key};
use caduceus_ledger::Genesis;
use caduceus_node::bft::{SignJournal, double_signatures};
use caduceus_node::guard::Step;
use caduceus_node::{BftSettings, Engine, Node, NodeConfig, NodeError, NodeOptions, SystemClock};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

async fn start(
    home: &Path,
    genesis: &Genesis,
    options: NodeOptions,
) -> Result<Arc<Node<Words>>, NodeError> {
    let port = free_ports(1)[0];
    let config = NodeConfig {
        home: home.to_path_buf(),
        genesis: genesis.clone(),
        key: key(0),
        moniker: format!("journal-{port}"),
        engine: Engine::Bft(BftSettings {
            listen: format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap(),
            peers: Vec::new(),
        }),
        clock: Arc::new(SystemClock),
        options,
    };
    Node::start(config, Words).await
}

#[tokio::test(flavor = "multi_thread")]
async fn signatures_are_written_down_if_the_option_is_set() {
    let dir = tempfile::tempdir().unwrap();
    let (wait, genesis) = (Duration::from_secs(10), genesis(1));
    let options = NodeOptions {
        sign_journal: true,
        ..NodeOptions::default()
    };
    let mut tip = 0;
    for words in [["one", "two"], ["three", "four"]] {
        let node = start(dir.path(), &genesis, options.clone()).await.unwrap();
        for word in words {
            node.submit_and_wait(word.into(), wait).await.unwrap();
        }
        tip = node.chain().tip().height.0;
        node.stop().await;
    }
    let node = start(dir.path(), &genesis, NodeOptions::default())
        .await
        .unwrap();
    let signed = SignJournal::read(dir.path()).unwrap();
    node.submit_and_wait(b"five".to_vec(), wait).await.unwrap();
    node.stop().await;

    assert!(tip >= 4);
    for height in 1..=tip {
        for step in [Step::Proposal, Step::Prevote, Step::Precommit] {
            let found = signed
                .iter()
                .any(|one| one.height == height && one.step == step);
            assert!(found, "{step:?} of height {height} of {tip}");
        }
    }
    assert_eq!(SignJournal::read(dir.path()).unwrap(), signed);
    assert!(double_signatures(&signed).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_does_not_start_without_the_guard_where_no_program_asked_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = NodeOptions {
        risky_no_guard: true,
        ..NodeOptions::default()
    };
    let started = start(dir.path(), &genesis(1), options).await;
    assert!(matches!(started, Err(NodeError::Unguarded)));
}

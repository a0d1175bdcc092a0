use crate::support::{Net, until};
use caduceus_ledger::{Height, LightClient, tx_id};
use caduceus_node::SubmitError;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const KILLS: u8 = 6;

/// Submits words to a node until told to stop; keeps those that were acknowledged.
fn load(
    node: Arc<caduceus_node::Node<crate::support::Words>>,
    name: String,
    acknowledged: Arc<Mutex<BTreeSet<Vec<u8>>>>,
) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let mut n = 0u64;
        loop {
            let word = format!("{name}-{n}").into_bytes();
            let done = node
                .submit_and_wait(word.clone(), Duration::from_secs(5))
                .await;
            match done {
                Ok(_) => {
                    acknowledged.lock().unwrap().insert(word);
                    n += 1;
                }
                Err(SubmitError::Stopping) => return,
                // The chain may take longer to go on than a word waits: the same word again.
                Err(_) => {}
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_validators_killed_under_load_go_on_by_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::new(4);
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let mut slowest = Duration::ZERO;
    for life in 0..=KILLS {
        let begun = Instant::now();
        let mut nodes = Vec::new();
        for n in 0..4 {
            nodes.push(net.start(dir.path(), n).await);
        }
        let tips = nodes.iter().map(|node| node.chain().tip().height.0);
        let before = tips.max().unwrap();
        let loads: Vec<_> = nodes
            .iter()
            .enumerate()
            .map(|(n, node)| load(node.clone(), format!("{life}-{n}"), acknowledged.clone()))
            .collect();
        // They are killed one after the other: the others may have gone on by a height without the first, who then
        // observes until it has that height.
        until("the chain goes on and all vote", || {
            nodes.iter().all(|node| {
                node.chain().tip().height.0 > before + 2 && node.report().observing_until == 0
            })
        })
        .await;
        slowest = slowest.max(begun.elapsed());
        for node in &nodes {
            assert_eq!(node.report().misbehaviours, 0);
        }
        // In the middle of a height, another one each time.
        tokio::time::sleep(Duration::from_millis(37 + u64::from(life) * 13)).await;
        for load in loads {
            load.abort();
            let _ = load.await;
        }
        if life < KILLS {
            let kills = (0..4).map(|n| net.kill(n));
            for kill in kills {
                kill.await;
            }
            drop(nodes);
            continue;
        }
        // Every acknowledged word is in every chain, once, and the chains are one.
        let words = acknowledged.lock().unwrap().clone();
        let client = LightClient::from_genesis(&net.genesis);
        let tip = nodes
            .iter()
            .map(|n| n.chain().tip().height.0)
            .min()
            .unwrap();
        let mut hashes = BTreeSet::new();
        for node in &nodes {
            let snapshot = node.chain().snapshot().unwrap();
            let mut found = Vec::new();
            for height in 1..=tip {
                let certified = snapshot.certified(Height(height)).unwrap().unwrap();
                client.verify_header(&certified).unwrap();
                hashes.insert((height, certified.header.hash()));
                found.extend(snapshot.block(Height(height)).unwrap().unwrap().txs);
            }
            let distinct: BTreeSet<_> = found.iter().collect();
            assert_eq!(distinct.len(), found.len(), "a word is there twice");
            for word in &words {
                let proof = node.chain().prove_tx(&tx_id(word)).unwrap();
                assert!(proof.is_some(), "{} is lost", word.escape_ascii());
            }
        }
        assert_eq!(hashes.len() as u64, tip, "the chains differ");
        println!(
            "{KILLS} times all four killed: {} words acknowledged, 0 lost, 0 twice, {tip} heights equal, slowest start {slowest:?}",
            words.len()
        );
        for n in 0..4 {
            net.stop(n).await;
        }
    }
}

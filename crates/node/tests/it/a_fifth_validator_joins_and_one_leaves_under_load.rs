use crate::support::{Net, Words, equal_voters, key, voters_word};
use caduceus_ledger::light::{Step, step};
use caduceus_ledger::{Address, Height, LightBlock, Trusted, ValidatorSet, validators};
use caduceus_node::{Clock, Node, SystemClock};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(20);

/// Waits until something holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Submits words one after the other until told to stop; gives those acknowledged, with their place.
async fn submit(
    name: u8,
    nodes: Vec<Arc<Node<Words>>>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<BTreeMap<Vec<u8>, (u64, u32)>>>,
    turn: Arc<AtomicUsize>,
) {
    for number in 0u32.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let word = [&[b'w', name][..], &number.to_be_bytes()].concat();
        let node = &nodes[turn.fetch_add(1, Ordering::SeqCst) % nodes.len()];
        let done = node.submit_and_wait(word.clone(), WAIT).await.unwrap();
        let place = (done.height.0, done.index);
        acknowledged.lock().unwrap().insert(word, place);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether one of the last certificates holds a signature of a validator.
fn signs(node: &Node<Words>, validator: &Address) -> bool {
    let head = node.chain().head().unwrap().unwrap();
    head.certificate
        .signatures
        .iter()
        .any(|(address, _)| address == validator)
}

fn set_of(node: &Node<Words>) -> ValidatorSet {
    validators(&node.chain().snapshot().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_fifth_validator_joins_and_one_leaves_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::with_guests(4, 1);
    let mut nodes = Vec::new();
    for n in 0..4 {
        nodes.push(net.start_knowing(dir.path(), n, 0..4).await);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(Mutex::new(BTreeMap::new()));
    let turn = Arc::new(AtomicUsize::new(0));
    let submitters: Vec<_> = (0..3)
        .map(|name| {
            tokio::spawn(submit(
                name,
                nodes.clone(),
                stop.clone(),
                acknowledged.clone(),
                turn.clone(),
            ))
        })
        .collect();
    let count = || acknowledged.lock().unwrap().len();
    until("the load begins", || count() >= 10).await;

    // The guest is turned away until the others are told of it; then it follows without voting.
    let fifth = net.start_knowing(dir.path(), 4, 0..4).await;
    for (n, node) in nodes.iter().enumerate() {
        node.set_peers(net.addresses(n, 0..5));
    }
    let before = nodes[0].chain().tip().height;
    until("the fifth node catches up", || {
        fifth.chain().tip().height >= before
    })
    .await;
    let newcomer = Address::of(&key(4).public());
    assert!(!signs(&nodes[0], &newcomer));

    nodes[1]
        .submit_and_wait(voters_word(&equal_voters(0..5)), WAIT)
        .await
        .unwrap();
    until("the fifth validator votes", || signs(&nodes[0], &newcomer)).await;
    let at_five = count();
    until("five go on", || count() >= at_five + 20).await;

    // The first one leaves. It goes on as a node that follows.
    nodes[2]
        .submit_and_wait(voters_word(&equal_voters(1..5)), WAIT)
        .await
        .unwrap();
    until("the first one is out", || {
        set_of(&nodes[0]) == equal_voters(1..5)
    })
    .await;
    let left_at = nodes[1].chain().tip().height;
    until("four go on", || count() >= at_five + 60).await;
    let leaver = Address::of(&key(0).public());
    until("the one that left follows", || {
        nodes[0].chain().tip().height > left_at && !signs(&nodes[0], &leaver)
    })
    .await;

    stop.store(true, Ordering::SeqCst);
    for submitter in submitters {
        submitter.await.unwrap();
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    nodes.push(fifth);
    let tips = nodes.iter().map(|node| node.chain().tip().height);
    let tip = tips.max().unwrap();
    for node in &nodes {
        until("all nodes are at the same height", || {
            node.chain().tip().height >= tip
        })
        .await;
    }
    for (n, node) in nodes.iter().enumerate() {
        let snapshot = node.chain().snapshot().unwrap();
        let mut found = BTreeMap::new();
        let mut trusted = Trusted::from_genesis(&net.genesis);
        let mut voters = net.genesis.validators.clone();
        let mut changes = 0;
        for height in 1..=tip.0 {
            let block = snapshot.block(Height(height)).unwrap().unwrap();
            for (index, word) in block.txs.iter().enumerate() {
                let place = (height, index as u32);
                assert_eq!(found.insert(word.clone(), place), None, "twice on node {n}");
            }
            let head = snapshot.certified(Height(height)).unwrap().unwrap();
            let next = [voters.clone(), equal_voters(0..5), equal_voters(1..5)]
                .into_iter()
                .find(|set| set.hash() == head.header.next_validators)
                .unwrap();
            changes += usize::from(next != voters);
            let block = LightBlock {
                head,
                validators: voters,
                next_validators: next.clone(),
            };
            let Step::Accepted(reached) = step(&trusted, &block, SystemClock.now()).unwrap() else {
                panic!("height {height} of node {n} is not reached in one step");
            };
            (trusted, voters) = (*reached, next);
        }
        assert_eq!(changes, 2);
        for (word, place) in &acknowledged {
            assert_eq!(found.get(word), Some(place), "node {n}");
        }
    }
    println!(
        "{} words acknowledged, each once on 5 nodes, {} heights, 2 changes of the voters",
        acknowledged.len(),
        tip.0
    );
    for n in 0..5 {
        net.stop(n).await;
    }
}

use crate::support::{Net, Peers, Words, address, until};
use async_trait::async_trait;
use caduceus_ledger::Address;
use caduceus_node::bft::{Answer, Witness};
use caduceus_node::{Guard, Node};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(20);

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The guard of a home, as a copy.
fn guard_of(home: &Path) -> Guard {
    let dir = tempfile::tempdir().unwrap();
    let copied = dir.path().join("last-signed");
    std::fs::copy(home.join("last-signed"), &copied).unwrap();
    Guard::open(&copied).unwrap()
}

fn height_of(home: &Path) -> u64 {
    guard_of(home).height()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_from_an_old_copy_of_its_home_signs_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::new(4);
    let mut nodes = Vec::new();
    for n in 0..4 {
        nodes.push(net.start(dir.path(), n).await);
    }
    nodes[0]
        .submit_and_wait(b"before".to_vec(), WAIT)
        .await
        .unwrap();
    net.stop(3).await;
    drop(nodes.pop());
    let (home, old) = (dir.path().join("node3"), dir.path().join("old"));
    copy(&home, &old);
    let old_height = height_of(&old);

    // It votes on, and is then put back. The others have let go of its old connections first (THREATS 1.6).
    tokio::time::sleep(Duration::from_secs(3)).await;
    let back = net.start(dir.path(), 3).await;
    for word in 0..12u8 {
        nodes[usize::from(word % 3)]
            .submit_and_wait(vec![word], WAIT)
            .await
            .unwrap();
    }
    let me = address(3);
    let mut more = 30u8;
    while nodes[0]
        .last_vote(&me)
        .is_none_or(|v| v.vote.height.0 <= old_height + 4)
    {
        more += 1;
        assert!(more < 60, "its votes are not seen: {:?}", back.report());
        back.submit_and_wait(vec![more], WAIT).await.unwrap();
    }
    assert_eq!(
        back.report().observing_until,
        0,
        "a node that is merely late votes"
    );
    net.stop(3).await;
    drop(back);
    let signed = height_of(&home);
    std::fs::remove_dir_all(&home).unwrap();
    copy(&old, &home);

    let back = net.start(dir.path(), 3).await;
    until("it observes", || back.report().observing_until > 0).await;
    let until_height = back.report().observing_until;
    assert!(until_height >= signed, "{until_height} < {signed}");
    let why = back.report().trouble.unwrap();
    assert!(why.contains("old copy"), "{why}");
    // The bar outlasts the process.
    let guard = guard_of(&home);
    assert!(guard.bars(until_height));
    assert_eq!(guard.height(), until_height);

    // The others go on without it; once the height has passed it votes.
    for word in 100..108u8 {
        nodes[usize::from(word % 3)]
            .submit_and_wait(vec![word], WAIT)
            .await
            .unwrap();
    }
    until("it votes again", || back.report().observing_until == 0).await;
    for word in 120..124u8 {
        back.submit_and_wait(vec![word], WAIT).await.unwrap();
    }
    let mut more = 130u8;
    while nodes[1]
        .last_vote(&me)
        .is_none_or(|v| v.vote.height.0 <= until_height)
    {
        more += 1;
        assert!(more < 160, "its votes are not heard: {:?}", back.report());
        back.submit_and_wait(vec![more], WAIT).await.unwrap();
    }
    for node in &nodes {
        assert_eq!(node.report().misbehaviours, 0);
    }
    println!(
        "put back from {signed} to {old_height}: observed until {until_height}, then voted; 0 double signatures seen"
    );
    for n in 0..4 {
        net.stop(n).await;
    }
}

/// A node that was away must not wait for a height that needs its own vote.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_late_node_votes_as_soon_as_it_has_caught_up() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::new(4);
    let mut nodes = Vec::new();
    for n in 0..4 {
        nodes.push(net.start(dir.path(), n).await);
    }
    nodes[0]
        .submit_and_wait(b"before".to_vec(), WAIT)
        .await
        .unwrap();
    net.stop(3).await;
    drop(nodes.pop());
    for word in 0..6u8 {
        nodes[usize::from(word % 3)]
            .submit_and_wait(vec![word], WAIT)
            .await
            .unwrap();
    }
    // Now another one goes: nothing is decided without the late one.
    net.stop(2).await;
    drop(nodes.pop());
    let back = net.start(dir.path(), 3).await;
    let done = back
        .submit_and_wait(b"needed".to_vec(), WAIT)
        .await
        .unwrap();
    println!("a late node was needed and voted: height {}", done.height);
    for n in [0, 1, 3] {
        net.stop(n).await;
    }
}

/// Nobody remembers what it signed, as after a restart of all and many heights.
struct Forgetful(Arc<Peers>);

#[async_trait]
impl Witness for Forgetful {
    async fn ask(&self, _: Address) -> Vec<Answer> {
        let peers = self.0.0.lock().unwrap().clone();
        let answer = |(n, peer): (usize, Option<Arc<Node<Words>>>)| {
            Some(Answer {
                witness: address(n as u8),
                tip: peer?.chain().tip().height.0,
                vote: None,
            })
        };
        peers.into_iter().enumerate().filter_map(answer).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_wiped_node_signs_nothing_that_is_decided_even_if_its_votes_are_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::new(4);
    let mut nodes = Vec::new();
    for n in 0..4 {
        nodes.push(net.start(dir.path(), n).await);
    }
    for word in 0..6u8 {
        nodes[usize::from(word % 3)]
            .submit_and_wait(vec![word], WAIT)
            .await
            .unwrap();
    }
    net.stop(3).await;
    drop(nodes.pop());
    std::fs::remove_dir_all(dir.path().join("node3")).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;

    // All that answer are at this height at least.
    let tips = nodes.iter().map(|node| node.chain().tip().height.0);
    let decided = tips.min().unwrap();
    let back = net.open_knowing(dir.path(), 3, 0..4);
    back.set_witness(Arc::new(Forgetful(net.peers.clone())));
    net.run(3, &back);
    until("it observes", || back.report().observing_until > 0).await;
    let until_height = back.report().observing_until;
    assert!(until_height >= decided, "{until_height} < {decided}");
    assert!(guard_of(&dir.path().join("node3")).bars(decided));
    until("it votes again", || back.report().observing_until == 0).await;
    assert!(back.chain().tip().height.0 >= decided);
    println!("wiped, its votes forgotten: observed until {until_height}");
    for n in 0..4 {
        net.stop(n).await;
    }
}

/// Without answers it follows the chain as an observer, says so, and votes once it has them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_without_answers_follows_and_votes_once_it_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::new(4);
    let mut nodes = Vec::new();
    for n in 0..3 {
        nodes.push(net.start(dir.path(), n).await);
    }
    let last = net.open_knowing(dir.path(), 3, 0..4);
    last.set_witness(Arc::new(Forgetful(Arc::default())));
    net.run(3, &last);
    let decided = nodes[0]
        .submit_and_wait(b"without it".to_vec(), WAIT)
        .await
        .unwrap();
    until("it follows", || last.chain().tip().height >= decided.height).await;
    let report = last.report();
    assert_eq!(report.observing_until, u64::MAX);
    let why = report.trouble.unwrap();
    assert!(
        why.contains("1 of 4 voting power answer, 3 needed"),
        "{why}"
    );

    last.set_witness(Arc::new(Forgetful(net.peers.clone())));
    until("it votes", || last.report().observing_until == 0).await;
    // Now it is needed.
    net.stop(2).await;
    drop(nodes.pop());
    last.submit_and_wait(b"with it".to_vec(), WAIT)
        .await
        .unwrap();
    println!("followed to {} without answers, then voted", decided.height);
    for n in [0, 1, 3] {
        net.stop(n).await;
    }
}

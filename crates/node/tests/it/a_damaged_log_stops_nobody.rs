use crate::support::{Net, until};
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn damaged_and_zeroed_logs_stop_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::new(4);
    let damages: [(&str, fn(&mut Vec<u8>)); 4] = [
        ("a flipped bit", |log| {
            let middle = log.len() / 2;
            log[middle] ^= 4;
        }),
        ("a zeroed tail", |log| log.resize(log.len() + 4096, 0)),
        ("nothing left", Vec::clear),
        ("noise", |log| {
            log.iter_mut().for_each(|byte| *byte = byte.wrapping_mul(7))
        }),
    ];
    let mut heights = 0;
    for (what, damage) in damages {
        let mut nodes = Vec::new();
        for n in 0..4 {
            nodes.push(net.start(dir.path(), n).await);
        }
        let done = nodes[1]
            .submit_and_wait(what.as_bytes().to_vec(), WAIT)
            .await
            .unwrap();
        heights = done.height.0;
        until("all have it", || {
            nodes
                .iter()
                .all(|node| node.chain().tip().height.0 >= heights)
        })
        .await;
        for n in 0..4 {
            net.stop(n).await;
        }
        drop(nodes);
        for n in 0..4 {
            let path = dir.path().join(format!("node{n}/wal/votes.log"));
            let mut log = std::fs::read(&path).unwrap();
            assert!(!log.is_empty());
            damage(&mut log);
            std::fs::write(&path, log).unwrap();
        }
    }
    let node = net.start(dir.path(), 0).await;
    for n in 1..4 {
        net.start(dir.path(), n).await;
    }
    let done = node
        .submit_and_wait(b"the end".to_vec(), WAIT)
        .await
        .unwrap();
    assert!(done.height.0 > heights);
    assert_eq!(node.report().misbehaviours, 0);
    println!(
        "4 kinds of damage to all four logs at once: the chain is at height {}",
        done.height
    );
    for n in 0..4 {
        net.stop(n).await;
    }
}

use crate::support::Net;
use caduceus_ledger::{Height, LightClient};
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_validators_decide_on_demand_and_a_stopped_one_catches_up() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::new(4);
    let mut nodes = Vec::new();
    for n in 0..4 {
        nodes.push(net.start(dir.path(), n).await);
    }
    nodes[0]
        .submit_and_wait(b"warm up".to_vec(), WAIT)
        .await
        .unwrap();
    let mut times = Vec::new();
    for word in 0..20u8 {
        let begun = Instant::now();
        let done = nodes[usize::from(word % 4)]
            .submit_and_wait(vec![word], WAIT)
            .await
            .unwrap();
        times.push(begun.elapsed());
        assert_eq!(done.result, (u64::from(word) + 2).to_le_bytes());
    }
    times.sort();
    println!(
        "21 transactions decided; idle to committed p50 {:?}, max {:?}",
        times[10], times[19]
    );

    // Nothing to do, nothing done: an idle chain makes no block but the heartbeat.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = nodes[0].chain().tip().height;
    assert!(
        before.0 <= 2 * 21 + 4,
        "{before} heights for 21 transactions"
    );
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(
        nodes[0].chain().tip().height,
        before,
        "an idle chain makes blocks"
    );

    // One of four stops: the others go on; it comes back and agrees.
    net.stop(3).await;
    drop(nodes.pop());
    for word in 100..110u8 {
        nodes[usize::from(word % 3)]
            .submit_and_wait(vec![word], WAIT)
            .await
            .unwrap();
    }
    let tip = nodes[0].chain().tip().height;
    let back = net.start(dir.path(), 3).await;
    let deadline = Instant::now() + WAIT;
    while back.chain().tip().height < tip && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        back.chain().tip().height >= tip,
        "stuck at {}",
        back.chain().tip().height
    );
    let done = back
        .submit_and_wait(b"back again".to_vec(), WAIT)
        .await
        .unwrap();
    let client = LightClient::from_genesis(&net.genesis);
    for height in 1..=tip.0 {
        let hashes: Vec<_> = nodes
            .iter()
            .chain([&back])
            .map(|n| {
                let certified = n
                    .chain()
                    .snapshot()
                    .unwrap()
                    .certified(Height(height))
                    .unwrap()
                    .unwrap();
                client.verify_header(&certified).unwrap();
                certified.header.hash()
            })
            .collect();
        assert!(hashes.windows(2).all(|w| w[0] == w[1]), "height {height}");
    }
    println!(
        "{} heights equal on 4 nodes; last height {}",
        tip.0, done.height
    );
    for n in 0..4 {
        net.stop(n).await;
    }
}

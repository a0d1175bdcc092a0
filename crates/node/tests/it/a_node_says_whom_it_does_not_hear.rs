use crate::support::{Net, address, until};
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_says_whom_it_does_not_hear() {
    let dir = tempfile::tempdir().unwrap();
    let net = Net::new(4);
    let mut nodes = Vec::new();
    for n in 0..4 {
        nodes.push(net.start(dir.path(), n).await);
    }
    nodes[0]
        .submit_and_wait(b"all are there".to_vec(), WAIT)
        .await
        .unwrap();
    for n in [2, 3] {
        net.stop(n).await;
    }
    let tip = nodes[0].chain().tip().height.0;
    nodes[0].submit(b"too few".to_vec()).await.unwrap();
    until("it works on a round that two of four reach", || {
        let report = nodes[0].report();
        report.working_on.0 > tip && report.silent.len() == 2 && report.power_heard == 2
    })
    .await;
    let report = nodes[0].report();
    assert_eq!(
        (
            report.power_heard,
            report.power_needed(),
            report.power_total
        ),
        (2, 3, 4)
    );
    let mut silent = report.silent.clone();
    silent.sort();
    let mut expected = vec![address(2), address(3)];
    expected.sort();
    assert_eq!(silent, expected);
    println!(
        "height {:?}: 2 of 4 heard, 3 needed, not heard: {silent:?}",
        report.working_on
    );
    for n in [0, 1] {
        net.stop(n).await;
    }
}

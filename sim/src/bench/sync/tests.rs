#![allow(clippy::unwrap_used)]

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_short_chain_is_joined_and_every_row_agrees() {
    let arguments = SyncBenchArgs {
        blocks: 60,
        snapshot_every: 25,
        dir: None,
    };
    let output = Output::new(caduceus_cli::OutputFormat::Json);
    let progress = output.progress("joining");
    let report = tokio::task::block_in_place(|| measure(&arguments, &progress)).unwrap();
    assert_eq!((report.blocks, report.snapshot_height), (60, 50));
    assert!(report.replayed >= 10, "{report:?}");
    assert!(report.roots_agree && report.bytes > 0, "{report:?}");
}

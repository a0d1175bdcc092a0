use crate::support::{Words, free_ports, genesis, key, until};
use caduceus_node::{BftSettings, Engine, Node, NodeConfig, NodeOptions, SubmitError, SystemClock};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(20);

/// A small filesystem, unmounted at the end.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24M", "tmpfs"])
            .arg(dir.path())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(dir))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Takes all the room there is.
fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    for size in [65_536, 4096, 512, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
}

async fn check(engine: Engine, name: &str) {
    let Some(disk) = Small::mount() else {
        println!("skipped: no filesystem can be mounted here");
        return;
    };
    let home = disk.0.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let config = NodeConfig {
        home,
        genesis: genesis(1),
        key: key(0),
        moniker: format!("full-{name}"),
        engine,
        clock: Arc::new(SystemClock),
        options: NodeOptions::default(),
    };
    let node = Node::start(config, Words).await.unwrap();
    let done = node.submit_and_wait(b"room".to_vec(), WAIT).await.unwrap();
    let mut failed = 0;
    for round in 0..3u8 {
        let filler = disk.0.path().join("filler");
        fill(&filler);
        // A word that needs new pages, sooner or later.
        let mut words = Vec::new();
        while node.report().trouble.is_none() {
            let word = vec![round; 60_000 + words.len()];
            let outcome = node
                .submit_and_wait(word.clone(), Duration::from_secs(1))
                .await;
            words.push(word);
            match outcome {
                Ok(_) => assert!(words.len() < 400, "the disk does not get full"),
                Err(SubmitError::Timeout { .. } | SubmitError::Store(_)) => failed += 1,
                Err(other) => panic!("{other}"),
            }
        }
        let trouble = node.report().trouble.unwrap();
        // Reads go on.
        until("reads go on", || {
            node.chain().snapshot().is_ok_and(|snapshot| {
                snapshot
                    .block(done.height)
                    .is_ok_and(|block| block.is_some())
            })
        })
        .await;
        // And once there is room, so does the chain, by itself.
        std::fs::remove_file(&filler).unwrap();
        let tip = node.chain().tip().height.0;
        node.submit_and_wait(vec![round; 9], WAIT).await.unwrap();
        assert!(node.chain().tip().height.0 > tip);
        until("the trouble is over", || node.report().trouble.is_none()).await;
        println!("{name}: {trouble}");
    }
    println!("{name}: full three times, {failed} submissions not acknowledged, went on by itself");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_disk_stops_signing_and_reads_go_on() {
    let port = free_ports(1)[0];
    let listen = format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap();
    let peers = Vec::new();
    check(Engine::Bft(BftSettings { listen, peers }), "bft").await;
    check(Engine::Solo, "solo").await;
}

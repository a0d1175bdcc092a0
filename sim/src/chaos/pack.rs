//! The nodes of one private chain as processes of this program, to be killed.

use crate::layout::{HospitalLayout, Layout, NetworkSpec};
use crate::loopback::Prober;
use anyhow::{Context, ensure};
use caduceus_network::PeerAddr;
use caduceus_node::{NodeHome, NodeOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Options of nodes that write their signatures down.
pub fn journaled() -> NodeOptions {
    NodeOptions {
        sign_journal: true,
        ..NodeOptions::default()
    }
}

/// How often nodes are asked for their height while something is waited for.
pub const POLL: Duration = Duration::from_millis(10);

/// The child's log in its home.
const LOG: &str = "node.log";

/// The nodes, running or not.
pub struct Pack {
    hospital: HospitalLayout,
    addresses: Vec<PeerAddr>,
    children: Vec<Option<Child>>,
    prober: Prober,
    unguarded: bool,
}

impl Pack {
    /// Makes the homes of a chain in a folder. `options` goes into every `node.toml`.
    ///
    /// # Errors
    /// When they cannot be written.
    pub async fn create(
        root: &Path,
        validators: usize,
        options: &NodeOptions,
    ) -> anyhow::Result<Self> {
        let spec = NetworkSpec {
            hospitals: vec!["Chaos".to_owned()],
            alliance_validators: 1,
            private_validators: validators,
            ..NetworkSpec::default()
        };
        let layout = Layout::create(root, &spec)?;
        let entry = &layout.network.hospitals[0];
        let addresses = entry
            .nodes
            .iter()
            .map(|node| node.service.parse())
            .collect::<Result<Vec<PeerAddr>, _>>()
            .context("an address of the network file")?;
        let hospital = layout
            .hospitals
            .into_iter()
            .next()
            .context("a network without its hospital")?;
        for home in &hospital.nodes {
            let mut file = NodeHome::load(home)?.file;
            file.options = options.clone();
            std::fs::write(home.join("node.toml"), toml::to_string_pretty(&file)?)?;
        }
        Ok(Self {
            children: hospital.nodes.iter().map(|_| None).collect(),
            hospital,
            addresses,
            prober: Prober::start().await?,
            unguarded: options.risky_no_guard,
        })
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.addresses.len()
    }

    /// The hospital whose chain it is.
    pub fn hospital(&self) -> &HospitalLayout {
        &self.hospital
    }

    /// The nodes' folders.
    pub fn homes(&self) -> &[PathBuf] {
        &self.hospital.nodes
    }

    /// Where the nodes serve.
    pub fn addresses(&self) -> &[PeerAddr] {
        &self.addresses
    }

    /// Starts a node that does not run.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn spawn(&mut self, n: usize) -> anyhow::Result<()> {
        let home = &self.hospital.nodes[n];
        let program = std::env::current_exe().context("the path of this program")?;
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(home.join(LOG))
            .context("the node's log")?;
        let mut command = Command::new(program);
        command.args(["node", "private"]).arg(home);
        if self.unguarded {
            command.arg("--risky-no-guard");
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(log))
            .spawn()
            .context("starting a node as a child process")?;
        self.children[n] = Some(child);
        Ok(())
    }

    /// Starts all that do not run.
    ///
    /// # Errors
    /// When a process cannot be started.
    pub fn spawn_all(&mut self) -> anyhow::Result<()> {
        for n in 0..self.nodes() {
            if self.children[n].is_none() {
                self.spawn(n)?;
            }
        }
        Ok(())
    }

    /// Kills a node without warning (SIGKILL) and waits until it is gone.
    pub fn kill(&mut self, n: usize) {
        self.kill_together(&[n]);
    }

    /// Kills several nodes, all signals before the first wait.
    pub fn kill_together(&mut self, nodes: &[usize]) {
        for n in nodes {
            if let Some(child) = &mut self.children[*n] {
                // A child that has ended already is as dead as it gets.
                let _ = child.kill();
            }
        }
        for n in nodes {
            if let Some(mut child) = self.children[*n].take() {
                let _ = child.wait();
            }
        }
    }

    /// Kills all.
    pub fn kill_all(&mut self) {
        let all: Vec<usize> = (0..self.nodes()).collect();
        self.kill_together(&all);
    }

    /// How a node ended by itself; none while it runs or when it was killed.
    pub fn ended(&mut self, n: usize) -> Option<ExitStatus> {
        let status = self.children[n].as_mut()?.try_wait().ok().flatten()?;
        self.children[n] = None;
        Some(status)
    }

    /// The last lines of a node's log.
    pub fn last_words(&self, n: usize, lines: usize) -> String {
        let text = std::fs::read(self.hospital.nodes[n].join(LOG)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join(" | ")
    }

    /// Bytes in a node's log.
    pub fn log_length(&self, n: usize) -> u64 {
        let log = std::fs::metadata(self.hospital.nodes[n].join(LOG));
        log.map_or(0, |log| log.len())
    }

    /// What a node's log has from a place on.
    pub fn said_since(&self, n: usize, from: u64) -> String {
        let text = std::fs::read(self.hospital.nodes[n].join(LOG)).unwrap_or_default();
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(text.len());
        String::from_utf8_lossy(&text[from..]).into_owned()
    }

    /// Each node's height; none for one that does not answer.
    pub async fn heights(&self) -> Vec<Option<u64>> {
        let asked = self
            .addresses
            .iter()
            .enumerate()
            .map(|(n, address)| async move {
                if self.children[n].is_none() {
                    return None;
                }
                let answer = self.prober.height(address);
                tokio::time::timeout(Duration::from_secs(1), answer)
                    .await
                    .ok()
                    .flatten()
            });
        futures::future::join_all(asked).await
    }

    /// Waits until every node answers.
    ///
    /// # Errors
    /// When one ends or does not answer in time, with its last words.
    pub async fn all_serve(&mut self, within: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let heights = self.heights().await;
            let Some(silent) = heights.iter().position(Option::is_none) else {
                return Ok(());
            };
            if let Some(status) = self.ended(silent) {
                let words = self.last_words(silent, 3);
                anyhow::bail!("node {silent} ended ({status}): {words}");
            }
            ensure!(
                begun.elapsed() < within,
                "node {silent} does not answer: {}",
                self.last_words(silent, 3)
            );
            tokio::time::sleep(POLL * 3).await;
        }
    }

    /// Waits until all nodes are at one height, not below `floor`. Returns it.
    ///
    /// # Errors
    /// When that does not come in time.
    pub async fn all_agree_on_height(
        &mut self,
        floor: u64,
        within: Duration,
    ) -> anyhow::Result<u64> {
        let begun = Instant::now();
        loop {
            let heights = self.heights().await;
            let first = heights.first().copied().flatten();
            if let Some(height) = first
                && height >= floor
                && heights.iter().all(|other| *other == first)
            {
                return Ok(height);
            }
            ensure!(
                begun.elapsed() < within,
                "the nodes do not come to one height at or above {floor}: {heights:?}"
            );
            tokio::time::sleep(POLL * 5).await;
        }
    }
}

impl Drop for Pack {
    fn drop(&mut self) {
        self.kill_all();
    }
}

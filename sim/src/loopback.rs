//! A whole network in one process: real nodes, real sockets, real files. Nodes that are to be killed run as
//! child processes of the same binary.

use crate::layout::Layout;
use alliance_chain::node::{AllianceNode, AllianceNodeConfig};
use anyhow::Context;
use caduceus_crypto::TimeMillis;
use caduceus_network::exchange::Health;
use caduceus_network::{Limits, PeerAddr, Service, ServiceConfig};
use caduceus_node::{Clock, NodeHome, SystemClock};
use caduceus_operator::take_up_deeds;
use hospital_server::server::ServerConfig;
use private_chain::Bucket;
use private_chain::audit::SecretBytes;
use private_chain::node::{PrivateNode, PrivateNodeConfig};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

/// The system clock, moved by an amount that a scenario sets.
#[derive(Debug, Default)]
pub struct ShiftedClock(AtomicI64);

impl ShiftedClock {
    /// Moves the clock by this much from the system's.
    pub fn shift_millis(&self, millis: i64) {
        self.0.store(millis, Ordering::SeqCst);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> TimeMillis {
        TimeMillis(
            SystemClock
                .now()
                .0
                .saturating_add_signed(self.0.load(Ordering::SeqCst)),
        )
    }
}

/// A node in this process or in a child process.
enum Host<N> {
    Here(N),
    Child(Child),
    Gone,
}

/// Which node of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeName {
    /// An alliance node.
    Alliance(usize),
    /// A node of a hospital's private chain.
    Private(usize, usize),
}

/// The running chain nodes of a network.
pub struct Chains {
    alliance: Vec<Host<AllianceNode>>,
    private: Vec<Vec<Host<PrivateNode>>>,
}

fn child(kind: &str, home: &Path) -> anyhow::Result<Child> {
    let program = std::env::current_exe().context("the path of this program")?;
    let log = std::fs::File::create(home.join("node.log")).context("the node's log")?;
    Command::new(program)
        .args(["node", kind])
        .arg(home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::from(log))
        .spawn()
        .context("starting a node as a child process")
}

/// Runs one node until the process is told to stop: the body of a child process.
///
/// # Errors
/// When the node does not start.
pub async fn run_node(kind: &str, home: &Path) -> anyhow::Result<()> {
    if kind == "server" {
        return run_server(home).await;
    }
    let path = home;
    let mut signals = caduceus_cli::Signals::listen()?;
    let read = || -> anyhow::Result<(NodeHome, caduceus_cli::NetworkFile)> {
        let home = NodeHome::load(path)?;
        let network = caduceus_cli::NetworkFile::load(&home.network_path())?;
        Ok((home, network))
    };
    let (home, network) = read()?;
    let clock = Arc::new(SystemClock);
    match kind {
        "alliance" => {
            let node =
                AllianceNode::start(AllianceNodeConfig::from_home(home, &network, clock)).await?;
            let deeds = take_up_deeds(path, &network, &node.service)?;
            while signals.next().await == caduceus_cli::Asked::Reload {
                let (home, network) = read()?;
                node.reload(&home, &network);
            }
            if let Some(deeds) = deeds {
                deeds.abort();
            }
            node.stop().await;
        }
        "private" => {
            let node =
                PrivateNode::start(PrivateNodeConfig::from_home(home, &network, clock)).await?;
            let deeds = take_up_deeds(path, &network, &node.service)?;
            while signals.next().await == caduceus_cli::Asked::Reload {
                let (home, network) = read()?;
                node.reload(&home, &network);
            }
            if let Some(deeds) = deeds {
                deeds.abort();
            }
            node.stop().await;
        }
        other => anyhow::bail!("no such kind of node: {other}"),
    }
    Ok(())
}

/// Runs a hospital's server until the process is told to stop.
async fn run_server(home: &Path) -> anyhow::Result<()> {
    let config = ServerConfig::from_home(home, None, hospital_server::system_clock())?;
    let running = hospital_server::server::start(config).await?;
    caduceus_cli::until_stopped().await?;
    running.stop().await;
    Ok(())
}

impl Chains {
    /// Starts every node; those named in `as_children` as child processes.
    ///
    /// # Errors
    /// When a node does not start.
    pub async fn start(layout: &Layout, as_children: &[NodeName]) -> anyhow::Result<Self> {
        let mut chains = Self {
            alliance: Vec::new(),
            private: Vec::new(),
        };
        for n in 0..layout.alliance.len() {
            let host =
                start_alliance(layout, n, as_children.contains(&NodeName::Alliance(n))).await?;
            chains.alliance.push(host);
        }
        for (h, hospital) in layout.hospitals.iter().enumerate() {
            let mut nodes = Vec::new();
            for n in 0..hospital.nodes.len() {
                nodes.push(
                    start_private(layout, h, n, as_children.contains(&NodeName::Private(h, n)))
                        .await?,
                );
            }
            chains.private.push(nodes);
        }
        Ok(chains)
    }

    /// Starts the alliance nodes only.
    ///
    /// # Errors
    /// When a node does not start.
    pub async fn start_alliance_alone(layout: &Layout) -> anyhow::Result<Self> {
        let mut alliance = Vec::new();
        for n in 0..layout.alliance.len() {
            alliance.push(start_alliance(layout, n, false).await?);
        }
        Ok(Self {
            alliance,
            private: Vec::new(),
        })
    }

    /// Starts the nodes of the private chains only.
    ///
    /// # Errors
    /// When a node does not start.
    pub async fn start_private_alone(layout: &Layout) -> anyhow::Result<Self> {
        let mut private = Vec::new();
        for (h, hospital) in layout.hospitals.iter().enumerate() {
            let mut nodes = Vec::new();
            for n in 0..hospital.nodes.len() {
                nodes.push(start_private(layout, h, n, false).await?);
            }
            private.push(nodes);
        }
        Ok(Self {
            alliance: Vec::new(),
            private,
        })
    }

    /// The key of one of a hospital's retention buckets, as a node of this process keeps it.
    ///
    /// # Errors
    /// When none has it.
    pub fn bucket_key(&self, hospital: usize, bucket: &Bucket) -> anyhow::Result<SecretBytes> {
        for node in self.private_here(hospital) {
            if let Some(key) = node.audit.keys().get(bucket)? {
                return Ok(key);
            }
        }
        anyhow::bail!("no node here has the key of {bucket}")
    }

    /// An alliance node of this process.
    pub fn alliance(&self, n: usize) -> Option<&AllianceNode> {
        match self.alliance.get(n)? {
            Host::Here(node) => Some(node),
            Host::Child(_) | Host::Gone => None,
        }
    }

    /// The alliance nodes of this process.
    pub fn alliance_here(&self) -> impl Iterator<Item = &AllianceNode> {
        (0..self.alliance.len()).filter_map(|n| self.alliance(n))
    }

    /// The nodes of a hospital's private chain in this process.
    pub fn private_here(&self, hospital: usize) -> impl Iterator<Item = &PrivateNode> {
        self.private[hospital].iter().filter_map(|host| match host {
            Host::Here(node) => Some(node),
            Host::Child(_) | Host::Gone => None,
        })
    }

    /// Kills a child process without warning (SIGKILL).
    ///
    /// # Errors
    /// When the node is not a child process.
    pub fn kill(&mut self, name: NodeName) -> anyhow::Result<()> {
        let killed = match name {
            NodeName::Alliance(n) => kill(&mut self.alliance[n]),
            NodeName::Private(h, n) => kill(&mut self.private[h][n]),
        };
        killed.with_context(|| format!("{name:?} is not a child process"))?;
        Ok(())
    }

    /// Starts a killed node again, as a child process.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub async fn restart(&mut self, layout: &Layout, name: NodeName) -> anyhow::Result<()> {
        match name {
            NodeName::Alliance(n) => self.alliance[n] = start_alliance(layout, n, true).await?,
            NodeName::Private(h, n) => {
                self.private[h][n] = start_private(layout, h, n, true).await?
            }
        }
        Ok(())
    }

    /// Stops all nodes.
    pub async fn stop(&mut self) {
        for host in &mut self.alliance {
            if let Host::Here(node) = std::mem::replace(host, Host::Gone) {
                node.stop().await;
            } else {
                kill(host);
            }
        }
        for host in self.private.iter_mut().flatten() {
            if let Host::Here(node) = std::mem::replace(host, Host::Gone) {
                node.stop().await;
            } else {
                kill(host);
            }
        }
    }

    /// Peak memory of this process and of its children still running, bytes.
    pub fn peak_bytes(&self) -> u64 {
        let children = self
            .alliance
            .iter()
            .filter_map(pid)
            .chain(self.private.iter().flatten().filter_map(pid));
        children.chain([std::process::id()]).map(peak_of).sum()
    }
}

impl Drop for Chains {
    fn drop(&mut self) {
        for host in &mut self.alliance {
            kill(host);
        }
        for host in self.private.iter_mut().flatten() {
            kill(host);
        }
    }
}

fn pid<N>(host: &Host<N>) -> Option<u32> {
    match host {
        Host::Child(child) => Some(child.id()),
        Host::Here(_) | Host::Gone => None,
    }
}

/// `VmHWM` of a process, bytes; 0 if it is gone.
fn peak_of(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Processor time that this process has used, in user and system mode; zero where the system does not tell.
pub fn cpu_time() -> Duration {
    // Fields 14 and 15 of proc(5)'s stat, in clock ticks, of which Linux shows 100 a second on every architecture.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

/// Kills a child; none if the host is none.
fn kill<N>(host: &mut Host<N>) -> Option<()> {
    let Host::Child(child) = host else {
        return None;
    };
    // A child that has ended already is as dead as it gets.
    let _ = child.kill();
    let _ = child.wait();
    *host = Host::Gone;
    Some(())
}

async fn start_alliance(
    layout: &Layout,
    n: usize,
    as_child: bool,
) -> anyhow::Result<Host<AllianceNode>> {
    let home = &layout.alliance[n];
    if as_child {
        return Ok(Host::Child(child("alliance", home)?));
    }
    let config = AllianceNodeConfig::from_home(
        NodeHome::load(home)?,
        &layout.network,
        Arc::new(SystemClock),
    );
    Ok(Host::Here(AllianceNode::start(config).await?))
}

async fn start_private(
    layout: &Layout,
    h: usize,
    n: usize,
    as_child: bool,
) -> anyhow::Result<Host<PrivateNode>> {
    let home = &layout.hospitals[h].nodes[n];
    if as_child {
        return Ok(Host::Child(child("private", home)?));
    }
    let config = PrivateNodeConfig::from_home(
        NodeHome::load(home)?,
        &layout.network,
        Arc::new(SystemClock),
    );
    Ok(Host::Here(PrivateNode::start(config).await?))
}

/// Asks nodes how they are.
pub struct Prober(Service);

impl Prober {
    /// A prober under a fresh key.
    ///
    /// # Errors
    /// When no service can be started.
    pub async fn start() -> anyhow::Result<Self> {
        let key = caduceus_crypto::SecretKey::generate(&mut rand_core::OsRng);
        Ok(Self(
            Service::start(ServiceConfig {
                key: &key,
                listen: Vec::new(),
                limits: Limits::default(),
            })
            .await?,
        ))
    }

    /// The service that asks.
    pub fn service(&self) -> &Service {
        &self.0
    }

    /// Height of a node, if it answers.
    pub async fn height(&self, address: &PeerAddr) -> Option<u64> {
        Some(self.0.call::<Health>(address, ()).await.ok()?.height)
    }

    /// Waits until every address answers.
    ///
    /// # Errors
    /// When one does not within the time.
    pub async fn all_answer(&self, addresses: &[PeerAddr], within: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + within;
        for address in addresses {
            while self.height(address).await.is_none() {
                anyhow::ensure!(Instant::now() < until, "{address} does not answer");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }
}

//! One hospital whose private chain runs in this process, and staff who ask its server directly: for runs that
//! compare what was done with what was logged.

mod people;

pub use people::{Answer, Asked, Inpatient, Member};

use crate::layout::{HospitalLayout, Layout, NetworkSpec};
use crate::loopback::Prober;
use anyhow::{Context, ensure};
use caduceus_crypto::Hash;
use caduceus_ledger::Height;
use caduceus_network::Limits;
use caduceus_node::{NodeHome, Snapshot, SystemClock};
use hospital_server::keys::{self, KeysConfig, RunningKeys};
use hospital_server::server::{self, RunningServer, ServerConfig};
use hospital_server::system_clock;
use hospital_server::workstation::Administrator;
use private_chain::audit::SecretBytes;
use private_chain::node::{PrivateNode, PrivateNodeConfig};
use private_chain::{AuditEntry, Bucket, Role, query};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Batches read at once.
const PAGE: usize = 100;

/// How long an enrolment holds, days.
const ENROLLED_DAYS: u32 = 30;

/// See the module. The alliance's nodes have homes and are not run.
pub struct Ward {
    /// The network's files.
    pub layout: Layout,
    nodes: Vec<PrivateNode>,
    keys: Option<RunningKeys>,
    prober: Prober,
}

impl Ward {
    /// Makes a network of one hospital in a folder, and starts the nodes of its chain and its key service.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start(root: &Path, spec: &NetworkSpec) -> anyhow::Result<Self> {
        let layout = Layout::create(root, spec)?;
        let mut nodes = Vec::new();
        for home in &layout.hospitals[0].nodes {
            let home = NodeHome::load(home)?;
            let config = PrivateNodeConfig::from_home(home, &layout.network, Arc::new(SystemClock));
            nodes.push(PrivateNode::start(config).await?);
        }
        let hospital = &layout.hospitals[0];
        let keys = keys::start(KeysConfig {
            home: hospital.keys_home(),
            network: layout.network.clone(),
            private_genesis: hospital.genesis.clone(),
            hospital: hospital.name.clone(),
            listen: vec![hospital.keys_address.address.clone()],
            key: hospital.keys.clone(),
            index_key: hospital.index.clone(),
            limits: Limits::default(),
            journal: None,
            clock: system_clock(),
        })
        .await?;
        Ok(Self {
            layout,
            nodes,
            keys: Some(keys),
            prober: Prober::start().await?,
        })
    }

    /// The hospital.
    pub fn hospital(&self) -> &HospitalLayout {
        &self.layout.hospitals[0]
    }

    /// The node that the server asks first.
    pub fn node(&self) -> &PrivateNode {
        &self.nodes[0]
    }

    /// Starts its server in this process.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn server_here(&self) -> anyhow::Result<RunningServer> {
        let home = self.hospital().server_home();
        let config = ServerConfig::from_home(&home, None, system_clock())?;
        Ok(server::start(config).await?)
    }

    /// Starts its server as a process of this program.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn server_process(&self) -> anyhow::Result<Child> {
        let home = self.hospital().server_home();
        let program = std::env::current_exe().context("the path of this program")?;
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(home.join("server.log"))
            .context("the server's log")?;
        Command::new(program)
            .args(["node", "server"])
            .arg(home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(log))
            .spawn()
            .context("starting the server as a child process")
    }

    /// Waits until the server answers.
    ///
    /// # Errors
    /// When it does not within the time.
    pub async fn server_answers(&self, within: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + within;
        let address = &self.hospital().server_address;
        while self.prober.height(address).await.is_none() {
            ensure!(Instant::now() < until, "the server does not answer");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Whoever holds the hospital's identity key.
    ///
    /// # Errors
    /// When no service can be started.
    pub async fn administrator(&self) -> anyhow::Result<Administrator> {
        let identity = self.hospital().identity.clone();
        let opened = Administrator::open(&self.layout.network, identity, system_clock());
        Ok(opened.await?)
    }

    /// Enrols a new member of staff.
    ///
    /// # Errors
    /// When the chain or the server refuses.
    pub async fn member(&self, admin: &Administrator, role: Role) -> anyhow::Result<Member> {
        let member = Member::new(&self.layout).await?;
        admin
            .enrol(member.key(), role, role.as_str(), ENROLLED_DAYS)
            .await?;
        Ok(member)
    }

    fn snapshot(&self) -> anyhow::Result<Snapshot> {
        Ok(self.node().node.chain().snapshot()?)
    }

    /// Number of entries on the chain.
    ///
    /// # Errors
    /// When the store fails.
    pub fn audit_count(&self) -> anyhow::Result<u64> {
        Ok(query::audit_count(&self.snapshot()?)?)
    }

    /// Every entry on the chain, in order.
    ///
    /// # Errors
    /// When one does not open.
    pub fn entries(&self) -> anyhow::Result<Vec<AuditEntry>> {
        let snapshot = self.snapshot()?;
        let count = query::audit_count(&snapshot)?;
        let (mut first, mut found) = (0, Vec::new());
        while first < count {
            for (_, place, batch) in query::audit_batches(&snapshot, first, PAGE)? {
                first += u64::from(place.count);
                for (index, sealed) in (0u32..).zip(&batch.entries) {
                    let key = self.bucket_key(&sealed.bucket())?;
                    found.push(batch.open(index, &key)?);
                }
            }
        }
        Ok(found)
    }

    fn bucket_key(&self, bucket: &Bucket) -> anyhow::Result<SecretBytes> {
        for node in &self.nodes {
            if let Some(key) = node.audit.keys().get(bucket)? {
                return Ok(key);
            }
        }
        anyhow::bail!("no node has the key of {bucket}")
    }

    /// The records anchored on the chain.
    ///
    /// # Errors
    /// When the store fails.
    pub fn anchored(&self) -> anyhow::Result<Vec<Hash>> {
        let snapshot = self.snapshot()?;
        let mut found = Vec::new();
        for height in 1..=snapshot.newest_height()? {
            let anchors = query::anchors_at(&snapshot, Height(height))?;
            found.extend(anchors.iter().map(|anchor| anchor.body.record_hash));
        }
        Ok(found)
    }

    /// Stops the nodes and the key service.
    pub async fn stop(&mut self) {
        if let Some(keys) = self.keys.take() {
            keys.stop().await;
        }
        for node in self.nodes.drain(..) {
            node.stop().await;
        }
    }
}

//! The chain that is loaded, and the log writers beside its nodes.

use super::idash::{Query, Row};
use crate::layout::{Layout, NetworkSpec};
use crate::loopback::{Chains, cpu_time};
use anyhow::Context;
use caduceus_client::Trust;
use caduceus_crypto::{HospitalId, SecretKey, TimeMillis};
use caduceus_network::{Limits, PeerAddr, Service, ServiceConfig};
use hospital_server::server::{AuditLog, AuditWriter, AuditWriterConfig, ChainDelivery};
use hospital_server::system_clock;
use private_chain::audit::{
    Action, Actor, AuditEntry, AuditRow, Filter, Order, Outcome, Resource, Statement,
    StatementCheck,
};
use private_chain::audit_log::all_rows_via;
use private_chain::{ActionClass, query};
use rand_core::OsRng;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Validators, each with a writer beside it.
pub(super) const VALIDATORS: usize = 4;
/// How long all nodes may take to have the last row.
const LEVEL: Duration = Duration::from_secs(120);
/// Class of the rows.
const CLASS: ActionClass = ActionClass::ClinicalRead;

/// A hospital's private chain in this process, with a log writer for each node.
pub(super) struct Network {
    layout: Layout,
    chains: Mutex<Chains>,
    writers: Vec<(AuditLog, JoinHandle<()>)>,
    services: Vec<Service>,
    nodes: Vec<PeerAddr>,
    stop: watch::Sender<bool>,
    organisation: HospitalId,
    in_flight: usize,
    _folder: tempfile::TempDir,
}

/// What inserting took.
pub(super) struct Inserted {
    /// Until every node has every row in its index.
    pub(super) took: Duration,
    /// Of each row, from its submission to the proof of its block.
    pub(super) waits: Vec<Duration>,
    /// By how much the first node's folder grew.
    pub(super) bytes: u64,
    pub(super) blocks: u64,
    pub(super) cpu: Duration,
}

impl Network {
    pub(super) async fn start(in_flight: usize) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        let spec = NetworkSpec {
            hospitals: vec!["audited".to_owned()],
            alliance_validators: 1,
            private_validators: VALIDATORS,
            ..NetworkSpec::default()
        };
        let layout = Layout::create(folder.path(), &spec)?;
        let chains = Chains::start_private_alone(&layout).await?;
        let hospital = &layout.hospitals[0];
        let nodes: Vec<PeerAddr> = layout.network.hospitals[0]
            .nodes
            .iter()
            .map(|node| node.service.parse())
            .collect::<Result<_, _>>()?;
        let (stop, stopped) = watch::channel(false);
        let (mut writers, mut services) = (Vec::new(), Vec::new());
        let buckets = folder.path().join("writers").join("buckets");
        for n in 0..VALIDATORS {
            let service = Service::start(ServiceConfig {
                key: &hospital.server,
                listen: Vec::new(),
                limits: Limits::default(),
            })
            .await?;
            let home = folder.path().join("writers").join(n.to_string());
            std::fs::create_dir_all(&home)?;
            // The node beside it first, the others if it fails.
            let mut in_turn = nodes.clone();
            in_turn.rotate_left(n);
            let trust = Trust::kept_in(&hospital.genesis, home.join("trusted"))?;
            let delivery = ChainDelivery::new(service.clone(), in_turn, trust, system_clock());
            let (_, limits) = watch::channel(Some(private_chain::policy::Limits::default()));
            let writer = AuditWriter::open(AuditWriterConfig {
                delivery,
                server: hospital.server.clone(),
                outbox: home.join("audit.redb"),
                buckets: buckets.clone(),
                limits,
                clock: system_clock(),
            })?;
            writers.push(writer.start(stopped.clone()));
            services.push(service);
        }
        let organisation = hospital.id;
        let network = Self {
            organisation,
            chains: Mutex::new(chains),
            layout,
            writers,
            services,
            nodes,
            stop,
            in_flight,
            _folder: folder,
        };
        network.warm_up().await?;
        Ok(network)
    }

    /// One entry through each writer, one after the other: the first draws the bucket's key, the others get it. It is
    /// of today, so none of the queries is about it.
    async fn warm_up(&self) -> anyhow::Result<()> {
        for (log, _) in &self.writers {
            let entry = AuditEntry {
                time: (system_clock())(),
                subtype: "warm-up".into(),
                ..self.entry(&Row::default())
            };
            log.record_entry(CLASS, entry).await?;
        }
        self.level(VALIDATORS as u64).await
    }

    pub(super) fn nodes(&self) -> usize {
        VALIDATORS
    }

    /// Submits each row by itself to the writer of its node, so many waiting at once, and waits until every node has
    /// every row.
    pub(super) async fn insert(&self, by_node: &[Vec<Row>]) -> anyhow::Result<Inserted> {
        let before = self.count()?;
        let blocks = self.height()?;
        let bytes = size_of(&self.layout.hospitals[0].nodes[0]);
        let cpu = cpu_time();
        let begun = Instant::now();
        let waits = self.submit(by_node, |row| self.entry(row)).await?;
        let rows: usize = by_node.iter().map(Vec::len).sum();
        self.level(before + rows as u64).await?;
        Ok(Inserted {
            took: begun.elapsed(),
            waits,
            cpu: cpu_time() - cpu,
            bytes: size_of(&self.layout.hospitals[0].nodes[0]).saturating_sub(bytes),
            blocks: self.height()? - blocks,
        })
    }

    /// Submits so many rows of which each is signed by a person; the signature is checked before it is logged, as the
    /// server does.
    pub(super) async fn insert_signed(
        &self,
        by_node: &[Vec<Row>],
        count: usize,
    ) -> anyhow::Result<Duration> {
        let person = SecretKey::generate(&mut OsRng);
        let chain = self.layout.hospitals[0].genesis.chain_id();
        let some: Vec<Vec<Row>> = by_node
            .iter()
            .map(|rows| rows.iter().take(count / VALIDATORS).cloned().collect())
            .collect();
        let before = self.count()?;
        let begun = Instant::now();
        self.submit(&some, |row| {
            let mut entry = self.entry(row);
            entry.actor = person.public().into();
            let statement = Statement::of(&entry).expect("the actor is a key");
            entry.statement = Some(statement.sign(&mut OsRng, &chain, &person));
            assert_eq!(entry.statement_check(&chain), StatementCheck::Signed);
            entry
        })
        .await?;
        let rows: usize = some.iter().map(Vec::len).sum();
        self.level(before + rows as u64).await?;
        Ok(begun.elapsed())
    }

    async fn submit(
        &self,
        by_node: &[Vec<Row>],
        make: impl Fn(&Row) -> AuditEntry,
    ) -> anyhow::Result<Vec<Duration>> {
        let each = self.in_flight.div_ceil(VALIDATORS);
        let mut running: JoinSet<anyhow::Result<Vec<Duration>>> = JoinSet::new();
        for ((log, _), rows) in self.writers.iter().zip(by_node) {
            // Made beforehand: reading the file is not what is measured.
            let entries: VecDeque<AuditEntry> = rows.iter().map(&make).collect();
            let entries = Arc::new(Mutex::new(entries));
            for _ in 0..each {
                let (log, entries) = (log.clone(), Arc::clone(&entries));
                running.spawn(async move {
                    let mut waits = Vec::new();
                    loop {
                        let next = entries
                            .lock()
                            .expect("no holder of this lock panics")
                            .pop_front();
                        let Some(entry) = next else {
                            return Ok(waits);
                        };
                        let begun = Instant::now();
                        log.record_entry(CLASS, entry).await?;
                        waits.push(begun.elapsed());
                    }
                });
            }
        }
        let mut waits = Vec::new();
        while let Some(ended) = running.join_next().await {
            waits.extend(ended??);
        }
        Ok(waits)
    }

    fn entry(&self, row: &Row) -> AuditEntry {
        AuditEntry {
            time: TimeMillis(row.timestamp),
            actor: Actor::Named(row.user.to_string().into()),
            role: None,
            organisation: self.organisation,
            action: Action::Execute,
            subtype: row.activity.as_str().into(),
            outcome: Outcome::Success,
            reason: "".into(),
            patient: None,
            resource: Some(Resource::Named(row.resource.as_str().into())),
            purpose: "".into(),
            grant: None,
            source: row.node.to_string().into(),
            request: row.ref_id.to_string().into(),
            reference: row.id.to_string().into(),
            statement: None,
        }
    }

    /// Asks a node over the network, page by page, and reads the rows.
    pub(super) async fn ask(
        &self,
        node: usize,
        query: &Query,
    ) -> anyhow::Result<(Duration, Vec<Row>)> {
        let filter = filter(query);
        let begun = Instant::now();
        let (service, node) = (&self.services[node], &self.nodes[node]);
        let answer = all_rows_via(service, node, &filter, Order::OldestFirst).await?;
        let took = begun.elapsed();
        anyhow::ensure!(answer.unread.is_empty(), "the node cannot open all rows");
        Ok((took, read(&answer.page.rows)?))
    }

    /// Asks a node's index inside this process.
    pub(super) fn ask_inside(
        &self,
        node: usize,
        query: &Query,
    ) -> anyhow::Result<(Duration, Vec<Row>)> {
        let index = self.index(node)?;
        let filter = filter(query);
        let begun = Instant::now();
        let page = index.query(&filter, Order::OldestFirst, None, usize::MAX)?;
        let took = begun.elapsed();
        Ok((took, read(&page.rows)?))
    }

    fn index(&self, node: usize) -> anyhow::Result<Arc<private_chain::audit_log::Index>> {
        let chains = self.chains.lock().expect("no holder of this lock panics");
        let node = chains.private_here(0).nth(node);
        Ok(Arc::clone(
            node.context("the node runs here")?.audit.index(),
        ))
    }

    /// Waits until every node has so many rows in its index.
    async fn level(&self, rows: u64) -> anyhow::Result<()> {
        let until = Instant::now() + LEVEL;
        for node in 0..VALIDATORS {
            let index = self.index(node)?;
            while index.indexed_up_to() < rows {
                anyhow::ensure!(
                    Instant::now() < until,
                    "node {node} has {} of {rows} rows in its index",
                    index.indexed_up_to()
                );
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Ok(())
    }

    fn count(&self) -> anyhow::Result<u64> {
        let chains = self.chains.lock().expect("no holder of this lock panics");
        let node = chains.private_here(0).next().context("a node runs here")?;
        Ok(query::audit_count(&node.node.chain().snapshot()?)?)
    }

    fn height(&self) -> anyhow::Result<u64> {
        let chains = self.chains.lock().expect("no holder of this lock panics");
        let node = chains.private_here(0).next().context("a node runs here")?;
        Ok(node.node.chain().tip().height.0)
    }

    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        for (log, task) in self.writers {
            drop(log);
            // A task that panicked has ended as well.
            let _ = task.await;
        }
        for service in self.services {
            service.shutdown().await;
        }
        let mut chains = self
            .chains
            .into_inner()
            .expect("no holder of this lock panics");
        chains.stop().await;
    }
}

fn filter(query: &Query) -> Filter {
    let text = |number: Option<u32>| number.map(|number| number.to_string().into());
    let exactly = query.timestamp;
    Filter {
        actor: text(query.user).map(Actor::Named),
        subtype: query.activity.as_deref().map(Into::into),
        resource: query
            .resource
            .as_deref()
            .map(|name| Resource::Named(name.into())),
        source: text(query.node),
        request: text(query.ref_id),
        reference: text(query.id),
        from: exactly.or(query.start).map(TimeMillis),
        until: exactly.or(query.end).map(|last| TimeMillis(last + 1)),
        ..Filter::default()
    }
}

fn read(rows: &[AuditRow]) -> anyhow::Result<Vec<Row>> {
    rows.iter()
        .map(|row| {
            let entry = &row.entry;
            Ok(Row {
                timestamp: entry.time.0,
                node: entry.source.parse()?,
                id: entry.reference.parse()?,
                ref_id: entry.request.parse()?,
                user: entry.actor.to_string().parse()?,
                activity: entry.subtype.to_string(),
                resource: entry
                    .resource
                    .as_ref()
                    .context("the entry has no resource")?
                    .to_string(),
            })
        })
        .collect()
}

/// Bytes of all files under a folder.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => size_of(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

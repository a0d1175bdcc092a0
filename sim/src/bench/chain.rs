//! Links through consensus: how many records a second an alliance takes in, durably, and where the time goes
//! (DESIGN 11).
//!
//! The alliance is real: validators of [`Layout`] in this process, each with its own sockets, store and engine. The
//! hospitals' private chains are not run: their certified headers and anchors are made beforehand with the keys of
//! their validators, as fast as this machine can, so that what is timed is the alliance. A private block holds no
//! more anchors than the size of a private block allows.

mod load;
mod report;

use self::load::{Load, LoadSpec};
use self::report::{Report, Stages};
use super::measure::{Machine, percentile, rounded};
use crate::layout::{Layout, NetworkSpec};
use crate::loopback::{Chains, cpu_time};
use alliance_chain::query;
use anyhow::Context;
use caduceus_cli::{CliError, Output};
use caduceus_network::exchange::{Submit, SubmitReply, SubmitRequest};
use caduceus_network::{Limits, PeerAddr, Service, ServiceConfig};
use caduceus_node::home::EngineKind;
use clap::{Args, ValueEnum};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How long all nodes may take to have the last block.
const LEVEL: Duration = Duration::from_secs(60);
/// How often a transaction is handed in before the bench gives up.
const TRIES: usize = 40;

/// What to load the chain with.
#[derive(Clone, Debug, Args)]
pub struct ChainBenchArgs {
    /// The engine
    #[arg(long, value_enum, default_value_t = EngineChoice::Bft)]
    engine: EngineChoice,
    /// Validators of the alliance
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    validators: u8,
    /// Records to link
    #[arg(long, value_name = "N", default_value_t = 40_000, value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    links: u32,
    /// Index tags of each record: a multiple of 8
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(8..=512))]
    tags: u16,
    /// Hospitals that link at once
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=16))]
    hospitals: u8,
    /// Anchors of a private block [default: as many as fit]
    #[arg(long, value_name = "N")]
    batch: Option<u32>,
    /// Records linked beforehand and not timed, so that the tables are large
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=5_000_000))]
    preload: u32,
    /// `Link` transactions on their way at once
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u16).range(1..=256))]
    in_flight: u16,
    /// Seed of the records
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The engines that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum EngineChoice {
    /// Malachite BFT.
    Bft,
    /// One sequencer.
    Solo,
}

impl From<EngineChoice> for EngineKind {
    fn from(engine: EngineChoice) -> Self {
        match engine {
            EngineChoice::Bft => EngineKind::Bft,
            EngineChoice::Solo => EngineKind::Solo,
        }
    }
}

/// Runs the bench and prints the report.
///
/// # Errors
/// Usage, when the numbers contradict each other; failure, when it could not be run to its end; verification failed,
/// when the validators disagree or a record is not linked.
pub async fn run(arguments: &ChainBenchArgs, output: &Output) -> Result<(), CliError> {
    if !arguments.tags.is_multiple_of(8) {
        return Err(CliError::usage(
            format!("{} tags: a record has a multiple of 8", arguments.tags),
            "--tags 16, or 80",
        ));
    }
    let largest = load::largest_batch(arguments.tags.into());
    let batch = arguments.batch.unwrap_or(largest);
    if batch == 0 || batch > largest {
        return Err(CliError::usage(
            format!(
                "{batch} anchors with {} tags do not fit a private block",
                arguments.tags
            ),
            format!("--batch from 1 to {largest}, or leave it out"),
        ));
    }
    let report = measure(arguments, batch, output).await.map_err(|e| {
        CliError::failure(
            format!("the bench stopped: {e:#}"),
            "run it again with -v to see more",
        )
    })?;
    output.object(&report)?;
    if report.validators_agree && report.linked == u64::from(arguments.links) {
        return Ok(());
    }
    Err(CliError::verification_failed(
        format!(
            "{} of {} records are linked; validators agree: {}",
            report.linked, arguments.links, report.validators_agree
        ),
        "report this with the command's output",
    ))
}

async fn measure(
    arguments: &ChainBenchArgs,
    batch: u32,
    output: &Output,
) -> anyhow::Result<Report> {
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let spec = NetworkSpec {
        hospitals: (0..arguments.hospitals)
            .map(|n| format!("hospital {n}"))
            .collect(),
        alliance_validators: arguments.validators.into(),
        private_validators: 4,
        engine: arguments.engine.into(),
        ..NetworkSpec::default()
    };
    let layout = Layout::create(folder.path(), &spec)?;
    output.note("making the records");
    let make = |links: u32, from: &mut Load| {
        from.make(LoadSpec {
            links,
            batch,
            tags: arguments.tags.into(),
        })
    };
    let mut load = Load::new(&layout, arguments.seed)?;
    let before = make(arguments.preload, &mut load)?;
    let timed = make(arguments.links, &mut load)?;

    let mut chains = Chains::start_alliance_alone(&layout).await?;
    let client = Submitter::start(&layout, arguments.in_flight.into()).await?;
    client.all(before.checkpoints).await?;
    client.all(before.links).await?;
    client.all(timed.checkpoints).await?;
    level(&chains).await?;

    output.note(&format!("linking {} records", arguments.links));
    let start = Snapshot::take(&chains, &layout)?;
    let begun = Instant::now();
    let (mut latencies, count) = (Vec::new(), timed.links.len());
    for took in client.all(timed.links).await? {
        latencies.push(took);
    }
    level(&chains).await?;
    let wall = begun.elapsed();
    let end = Snapshot::take(&chains, &layout)?;

    let links = f64::from(arguments.links);
    let report = Report {
        links_per_s: rounded(links / wall.as_secs_f64(), 1),
        blocks: end.height - start.height,
        commit_ms: report::Percentiles {
            p50: report::ms(percentile(&latencies, 50)),
            p99: report::ms(percentile(&latencies, 99)),
        },
        bytes_per_link: rounded((end.bytes - start.bytes) as f64 / links, 1),
        cpu_s_per_1000_links: rounded((end.cpu - start.cpu).as_secs_f64() * 1000.0 / links, 3),
        validators_agree: agree(&chains)?,
        engine: format!("{:?}", arguments.engine).to_lowercase(),
        validators: chains.alliance_here().count(),
        links: arguments.links,
        tags: arguments.tags,
        preloaded: arguments.preload,
        link_transactions: count,
        anchors_a_private_block: batch,
        linked: end.linked - start.linked,
        wall_s: rounded(wall.as_secs_f64(), 3),
        stages: Stages::of(&chains),
        tables: report::tables(&chains)?,
        machine: Machine::here(),
    };
    client.stop().await;
    chains.stop().await;
    Ok(report)
}

/// What the first node and this process have come to.
struct Snapshot {
    height: u64,
    linked: u64,
    bytes: u64,
    cpu: Duration,
}

impl Snapshot {
    fn take(chains: &Chains, layout: &Layout) -> anyhow::Result<Self> {
        let node = chains.alliance(0).context("the first node runs here")?;
        let view = node.node.chain().snapshot()?;
        let mut linked = 0;
        for hospital in &layout.hospitals {
            linked += query::linked_head(&view, &hospital.id)?.map_or(0, |head| head.records);
        }
        let bytes = ["chain.redb", "index.redb"]
            .iter()
            .filter_map(|file| std::fs::metadata(layout.alliance[0].join(file)).ok())
            .map(|meta| meta.len())
            .sum();
        Ok(Self {
            height: node.node.chain().tip().height.0,
            linked,
            bytes,
            cpu: cpu_time(),
        })
    }
}

/// Waits until every node has every block.
async fn level(chains: &Chains) -> anyhow::Result<()> {
    let until = Instant::now() + LEVEL;
    loop {
        let tips: Vec<u64> = chains
            .alliance_here()
            .map(|node| node.node.chain().tip().height.0)
            .collect();
        let newest = tips.iter().max().copied().unwrap_or(0);
        let waiting: usize = chains
            .alliance_here()
            .map(|node| node.node.chain().pooled())
            .sum();
        if waiting == 0 && tips.iter().all(|tip| *tip == newest) {
            return Ok(());
        }
        anyhow::ensure!(
            Instant::now() < until,
            "the validators do not come level: {tips:?}, {waiting} transactions wait"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Whether all nodes have the same block at every height.
fn agree(chains: &Chains) -> anyhow::Result<bool> {
    let mut all = Vec::new();
    for node in chains.alliance_here() {
        let snapshot = node.node.chain().snapshot()?;
        let tip = node.node.chain().tip().height;
        let mut hashes = Vec::new();
        for height in 0..=tip.0 {
            hashes.push(snapshot.block_hash(caduceus_ledger::Height(height))?);
        }
        all.push(hashes);
    }
    Ok(all.windows(2).all(|pair| pair[0] == pair[1]))
}

/// Hands transactions to the nodes over their service swarm, as the hospitals' linkers do.
struct Submitter {
    service: Service,
    nodes: Vec<PeerAddr>,
    places: Arc<Semaphore>,
}

impl Submitter {
    async fn start(layout: &Layout, in_flight: usize) -> anyhow::Result<Self> {
        let key = caduceus_crypto::SecretKey::generate(&mut rand_core::OsRng);
        let nodes = layout
            .network
            .alliance
            .nodes
            .iter()
            .map(|node| node.service.parse())
            .collect::<Result<_, _>>()?;
        Ok(Self {
            service: Service::start(ServiceConfig {
                key: &key,
                listen: Vec::new(),
                limits: Limits::default(),
            })
            .await?,
            nodes,
            places: Arc::new(Semaphore::new(in_flight)),
        })
    }

    /// Submits all, so many at once, and says how long each took from its submission to its block.
    async fn all(&self, txs: Vec<Vec<u8>>) -> anyhow::Result<Vec<Duration>> {
        let mut running = tokio::task::JoinSet::new();
        for (n, tx) in txs.into_iter().enumerate() {
            let place = self.places.clone().acquire_owned().await?;
            let (service, node) = (
                self.service.clone(),
                self.nodes[n % self.nodes.len()].clone(),
            );
            running.spawn(async move {
                let took = one(&service, &node, tx).await;
                drop(place);
                took
            });
        }
        let mut times = Vec::new();
        while let Some(took) = running.join_next().await {
            times.push(took??);
        }
        Ok(times)
    }

    async fn stop(self) {
        self.service.shutdown().await;
    }
}

async fn one(service: &Service, node: &PeerAddr, tx: Vec<u8>) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    for _ in 0..TRIES {
        let request = SubmitRequest {
            tx: tx.clone(),
            wait: true,
        };
        match service.call::<Submit>(node, request).await? {
            SubmitReply::Committed { .. } => return Ok(begun.elapsed()),
            SubmitReply::Rejected { rule, detail } => anyhow::bail!("refused: {rule}: {detail}"),
            // Busy, or not committed within the wait: asking again is harmless.
            SubmitReply::Accepted | SubmitReply::Unavailable { .. } => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    anyhow::bail!("a transaction was not committed")
}

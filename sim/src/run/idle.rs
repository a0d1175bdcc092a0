//! An idle network: nothing is uploaded and nobody searches, so private blocks are heartbeats. How old does one get
//! before the alliance has it on record?

use crate::bench::measure::{percentile, rounded};
use crate::layout::{Layout, NetworkSpec};
use crate::loopback::Chains;
use crate::servers::{CountingJournal, Servers};
use alliance_chain::query;
use anyhow::Context;
use caduceus_cli::{CliError, Output};
use caduceus_ledger::Height;
use caduceus_node::home::EngineKind;
use caduceus_node::{Clock, SystemClock};
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Every private header is on record within this time (THREATS.md, fact 1).
const MAX_AGE_MILLIS: u64 = 60_000;
/// How often both chains are looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What to run.
#[derive(Clone, Debug, Args)]
pub struct IdleOptions {
    /// Seconds of idleness; a heartbeat comes every 30
    #[arg(long, default_value_t = 95, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub seconds: u64,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct IdleReport {
    /// Hospitals.
    pub hospitals: usize,
    /// Private headers that came while the network was watched.
    pub headers: usize,
    /// The oldest that a header was when the alliance had it, from its own time on.
    pub max_header_age_ms: u64,
    /// The middle one.
    pub p50_header_age_ms: u64,
    /// The oldest that the newest header on record ever was: what an idle log shows of itself.
    pub max_record_age_ms: u64,
    /// Seconds watched.
    pub seconds: f64,
    /// Whether none was older than a minute, and some came.
    pub holds: bool,
}

/// Runs the network and prints the report.
///
/// # Errors
/// Failure, when it does not run; verification failed, when a header got too old.
pub async fn run(options: &IdleOptions, output: &Output) -> Result<(), CliError> {
    let report = measure(options)
        .await
        .map_err(|error| super::stopped(&error))?;
    output.object(&report)?;
    if report.holds {
        return Ok(());
    }
    Err(CliError::verification_failed(
        "a private header was not on the alliance chain within a minute, or none came",
        "run it again for longer, on an idle machine",
    ))
}

/// Runs the network, one sequencer a chain.
///
/// # Errors
/// When it does not start or a store cannot be read.
pub async fn measure(options: &IdleOptions) -> anyhow::Result<IdleReport> {
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let spec = NetworkSpec {
        engine: EngineKind::Solo,
        ..NetworkSpec::default()
    };
    let layout = Layout::create(&folder.path().join("network"), &spec)?;
    let mut chains = Chains::start(&layout, &[]).await?;
    let mut servers = Servers::start(&layout, Arc::new(CountingJournal::default())).await?;
    let begun = Instant::now();
    let mut watch = Watch::default();
    while begun.elapsed() < Duration::from_secs(options.seconds) {
        watch.look(&layout, &chains)?;
        tokio::time::sleep(LOOK).await;
    }
    let seconds = rounded(begun.elapsed().as_secs_f64(), 1);
    servers.stop().await;
    chains.stop().await;
    let oldest = watch.ages.iter().copied().max().unwrap_or(0);
    Ok(IdleReport {
        hospitals: layout.hospitals.len(),
        headers: watch.ages.len(),
        max_header_age_ms: oldest,
        p50_header_age_ms: percentile(&watch.ages, 50),
        max_record_age_ms: watch.max_record_age,
        seconds,
        holds: !watch.ages.is_empty()
            && watch.recorded.len() == layout.hospitals.len()
            && oldest <= MAX_AGE_MILLIS
            && watch.max_record_age <= MAX_AGE_MILLIS,
    })
}

/// What was seen so far.
#[derive(Default)]
struct Watch {
    /// The highest private height on record, by hospital.
    recorded: BTreeMap<usize, u64>,
    /// How old each header was when it was first seen on record, milliseconds; for one that never was, until now.
    ages: Vec<u64>,
    max_record_age: u64,
}

impl Watch {
    fn look(&mut self, layout: &Layout, chains: &Chains) -> anyhow::Result<()> {
        let alliance = chains.alliance(0).context("an alliance node")?;
        let state = alliance.node.chain().snapshot()?;
        let now = SystemClock.now().0;
        for (index, hospital) in layout.hospitals.iter().enumerate() {
            let private = chains
                .private_here(index)
                .next()
                .context("a private node")?;
            let log = private.node.chain().snapshot()?;
            let Some(head) = query::checkpoint_head(&state, &hospital.id)? else {
                // Nothing on record at all: the first header waits.
                if let Some(block) = log.block(Height(1))? {
                    let waits = now.saturating_sub(block.header.time.0);
                    self.max_record_age = self.max_record_age.max(waits);
                }
                continue;
            };
            let age = now.saturating_sub(head.time.0);
            self.max_record_age = self.max_record_age.max(age);
            let seen = self.recorded.entry(index).or_insert(head.height.0);
            for height in *seen + 1..=head.height.0 {
                let block = log.block(Height(height))?.context("a private block")?;
                self.ages.push(now.saturating_sub(block.header.time.0));
            }
            *seen = head.height.0;
            // One that is not on record yet counts as well, or the worst would never be seen.
            if let Some(block) = log.block(Height(*seen + 1))? {
                let waits = now.saturating_sub(block.header.time.0);
                if waits > MAX_AGE_MILLIS {
                    self.ages.push(waits);
                }
            }
        }
        Ok(())
    }
}

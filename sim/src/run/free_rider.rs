//! A free rider: three hospitals, two of which run a validator each. The third one's patients search until it is in
//! debt; then everybody searches more than the blocks hold, while every hospital goes on linking records.
//!
//! Real nodes, consensus and sockets in one process. The searches are real ones over ten years, each near a third of
//! what a block may spend on searching, so that few fit into a block. The control is the same network with credit for
//! all.

mod load;
mod network;

use crate::bench::measure::{millis, percentile, rounded};
use anyhow::ensure;
use caduceus_cli::{CliError, Output};
use clap::Args;
use load::Load;
use network::{FREE_RIDER, Network};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// Searches of the free rider that wait at once.
const RIDERS: usize = 24;
/// The same of each of the others.
const OTHERS: usize = 4;
/// A link is delayed that more blocks than this passed over.
const MAX_BLOCKS: u64 = 12;
/// In debt the free rider waits this much longer than the others at least; in the control it must not.
const LONGER: f64 = 1.5;

/// What to run.
#[derive(Clone, Debug, Args)]
pub struct FreeRiderOptions {
    /// Seconds of load, once in debt and once not
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(2..=600))]
    pub seconds: u64,
}

/// What was measured of one network.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// The free rider's credits when the load began and when it ended.
    pub free_rider_balance: [i64; 2],
    /// The lowest of the others' when it ended.
    pub others_balance: i64,
    /// Its searches, and how long the middle one took until it was committed.
    pub free_rider_searches: usize,
    /// See above.
    pub free_rider_p50_ms: f64,
    /// The others' searches.
    pub others_searches: usize,
    /// See above.
    pub others_p50_ms: f64,
    /// The free rider's middle wait over the others'.
    pub ratio: f64,
    /// Checkpoints and links of all hospitals.
    pub links: usize,
    /// The middle one's wait.
    pub links_p50_ms: f64,
    /// All but one in a hundred waited for this at most.
    pub links_p99_ms: f64,
    /// Most blocks that passed while one of them waited.
    pub links_most_blocks: u64,
    /// How many waited for more than 12 blocks.
    pub links_delayed: usize,
    /// The same of the free rider's own.
    pub free_rider_links_delayed: usize,
    /// Links committed out of their hospital's order.
    pub links_out_of_order: usize,
    /// Blocks decided under load.
    pub blocks: u64,
    /// Searches that a rule refused, for instance because too many blocks had no room for them.
    pub refused: usize,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct FreeRiderReport {
    /// The free rider's middle wait while in debt.
    pub free_rider_p50_ms: f64,
    /// The others'.
    pub others_p50_ms: f64,
    /// Links delayed in either network.
    pub links_delayed: usize,
    /// Links out of order in either network.
    pub links_out_of_order: usize,
    /// With the free rider in debt.
    pub in_debt: Round,
    /// With credit for all.
    pub control: Round,
    /// Whether all promises and the control hold.
    pub holds: bool,
}

/// Runs both networks and prints the report.
///
/// # Errors
/// Failure, when a network does not run; verification failed, when a promise or the control broke.
pub async fn run(options: &FreeRiderOptions, output: &Output) -> Result<(), CliError> {
    let report = measure(options)
        .await
        .map_err(|error| super::stopped(&error))?;
    output.object(&report)?;
    if report.holds {
        return Ok(());
    }
    Err(CliError::verification_failed(
        "a free rider did not wait longer, or somebody's links waited",
        "run it again on an idle machine, and compare the numbers above",
    ))
}

/// Runs both networks.
///
/// # Errors
/// When one does not start, or a transaction that must be committed is not.
pub async fn measure(options: &FreeRiderOptions) -> anyhow::Result<FreeRiderReport> {
    let seconds = Duration::from_secs(options.seconds);
    let in_debt = round(true, seconds).await?;
    let control = round(false, seconds).await?;
    let links_delayed = in_debt.links_delayed + control.links_delayed;
    let links_out_of_order = in_debt.links_out_of_order + control.links_out_of_order;
    let holds = in_debt.ratio >= LONGER
        && control.ratio < LONGER
        && in_debt
            .free_rider_balance
            .iter()
            .all(|balance| *balance < 0)
        && in_debt.others_balance >= 0
        && control.free_rider_balance[1] >= 0
        && in_debt.free_rider_searches > 0
        && in_debt.others_searches > 0
        && control.free_rider_searches > 0
        && control.others_searches > 0
        && in_debt.links > 0
        && control.links > 0
        && links_delayed == 0
        && links_out_of_order == 0;
    Ok(FreeRiderReport {
        free_rider_p50_ms: in_debt.free_rider_p50_ms,
        others_p50_ms: in_debt.others_p50_ms,
        links_delayed,
        links_out_of_order,
        in_debt,
        control,
        holds,
    })
}

async fn round(in_debt: bool, time: Duration) -> anyhow::Result<Round> {
    let network = Arc::new(Network::start(in_debt).await?);
    let measured = under_load(&network, in_debt, time).await;
    network.stop().await;
    measured
}

async fn under_load(
    network: &Arc<Network>,
    in_debt: bool,
    time: Duration,
) -> anyhow::Result<Round> {
    network.announce_tokens().await?;
    if in_debt {
        network.run_up_debt().await?;
    }
    let before = network.balance(FREE_RIDER)?;
    ensure!(
        (before < 0) == in_debt,
        "the free rider has {before} credits"
    );
    let first = network.height();
    let load = Load::run(network, RIDERS, OTHERS, time).await?;
    let after = network.balance(FREE_RIDER)?;
    let others_balance = network.balance(0)?.min(network.balance(1)?);
    let (riders, others) = (&load.searches[FREE_RIDER], {
        let mut others = load.searches[0].clone();
        others.extend(&load.searches[1]);
        others
    });
    let p50 = |waits: &[Duration]| rounded(millis(percentile(waits, 50)), 1);
    let links: Vec<Duration> = load.links.iter().map(|link| link.took).collect();
    let delayed = |link: &&load::Linked| link.blocks > MAX_BLOCKS;
    let own = load.links.iter().filter(|link| link.hospital == FREE_RIDER);
    Ok(Round {
        free_rider_balance: [before, after],
        others_balance,
        free_rider_searches: riders.len(),
        free_rider_p50_ms: p50(riders),
        others_searches: others.len(),
        others_p50_ms: p50(&others),
        ratio: rounded(
            millis(percentile(riders, 50)) / millis(percentile(&others, 50)).max(0.001),
            2,
        ),
        links: links.len(),
        links_p50_ms: p50(&links),
        links_p99_ms: rounded(millis(percentile(&links, 99)), 1),
        links_most_blocks: load.links.iter().map(|link| link.blocks).max().unwrap_or(0),
        links_delayed: load.links.iter().filter(delayed).count(),
        free_rider_links_delayed: own.filter(delayed).count(),
        links_out_of_order: load.out_of_order,
        blocks: network.height() - first,
        refused: load.refused,
    })
}

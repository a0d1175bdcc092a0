//! How long a new node takes to join a long chain: by the newest snapshot, then block by block.
//!
//! A chain of small blocks is written to disk, one durable commit each, with a snapshot every so many. Its only
//! validator then runs with real consensus and sockets. A node with an empty folder starts, joins by the snapshot, and is
//! ready when it has the validator's tip. Both stores are compared row by row in the end.

mod chain;
mod member;
mod notes;
#[cfg(test)]
mod tests;

use self::member::{Member, Place};
use super::measure::{Machine, seconds};
use anyhow::{Context, ensure};
use caduceus_cli::{CliError, CommonArgs, Output, Progress};
use caduceus_crypto::{SecretKey, domain};
use caduceus_ledger::Height;
use caduceus_node::{NodeOptions, Store};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the new node may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// Age of a tip after which an idle chain soon makes its next block.
const MIDST_MILLIS: u64 = 15_000;

/// What to join.
#[derive(Clone, Debug, Args)]
pub struct SyncBenchArgs {
    /// Blocks of the chain
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(2..=10_000_000))]
    blocks: u64,
    /// Blocks between two snapshots; those after the last one are executed
    #[arg(long, value_name = "N", default_value_t = 9_900, value_parser = clap::value_parser!(u64).range(1..))]
    snapshot_every: u64,
    /// A folder for the chain and both nodes, made and left there; without it, a temporary one
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// What the bench prints.
#[derive(Clone, Debug, Serialize)]
struct Report {
    blocks: u64,
    snapshot_height: u64,
    /// From the start of the new node's program to the validator's tip.
    ready_s: f64,
    /// Of which until the snapshot was fetched, checked and imported.
    joined_s: f64,
    /// Bytes of the snapshot.
    bytes: u64,
    /// Blocks executed after it.
    replayed: u64,
    roots_agree: bool,
    /// Making the chain, for the record.
    made_s: f64,
    machine: Machine,
}

/// Runs the bench and prints the report.
///
/// # Errors
/// Usage, when no snapshot falls due; failure, when the bench could not be run to its end; verification failed, when the
/// two nodes differ.
pub fn run(arguments: &SyncBenchArgs, _: &CommonArgs, output: &Output) -> Result<(), CliError> {
    if arguments.snapshot_every > arguments.blocks {
        return Err(CliError::usage(
            "a chain that short has no snapshot",
            "--snapshot-every below --blocks",
        ));
    }
    let progress = output.progress("making the chain");
    let measured = measure(arguments, &progress);
    drop(progress);
    let report = measured.map_err(|error| {
        CliError::failure(
            format!("the bench stopped: {error:#}"),
            "room in TMPDIR or --dir, or fewer --blocks",
        )
    })?;
    output.object(&report)?;
    if report.roots_agree {
        return Ok(());
    }
    Err(CliError::verification_failed(
        "the node that joined by the snapshot differs from the one that executed every block",
        "run it again with --dir, and validate both folders",
    ))
}

fn measure(arguments: &SyncBenchArgs, progress: &Progress) -> anyhow::Result<Report> {
    let temporary = tempfile::tempdir().context("no temporary folder")?;
    let root = arguments.dir.as_deref().unwrap_or(temporary.path());
    let (old, new) = (root.join("validator"), root.join("newcomer"));
    ensure!(
        !old.exists() && !new.exists(),
        "{} is in use",
        root.display()
    );
    let options = NodeOptions {
        snapshot_every: Some(arguments.snapshot_every),
        ..NodeOptions::default()
    };
    let key = |n: u8| SecretKey::derive(domain::SIM_SEED, &[n], &[b"sync"]);
    let genesis = chain::genesis(&key(1), arguments.blocks)?;
    let begun = Instant::now();
    chain::make(
        &old,
        &genesis,
        &key(1),
        arguments.blocks,
        &options,
        arguments.snapshot_every,
        progress,
    )?;
    let made = begun.elapsed();
    progress.message("joining");
    let places = Place::pair([key(1), key(2)])?;
    let runtime = tokio::runtime::Handle::current();
    let joined = runtime.block_on(join(&old, &new, &genesis, &places, &options))?;
    Ok(Report {
        blocks: arguments.blocks,
        snapshot_height: joined.snapshot,
        ready_s: seconds(joined.ready),
        joined_s: seconds(joined.joined),
        bytes: joined.bytes,
        replayed: joined.tip - joined.snapshot,
        roots_agree: joined.headers_agree && rows_agree(&old, &new)?,
        made_s: seconds(made),
        machine: Machine::here(),
    })
}

struct Outcome {
    snapshot: u64,
    tip: u64,
    bytes: u64,
    joined: Duration,
    ready: Duration,
    headers_agree: bool,
}

async fn join(
    old: &Path,
    new: &Path,
    genesis: &caduceus_ledger::Genesis,
    places: &[Place; 2],
    options: &NodeOptions,
) -> anyhow::Result<Outcome> {
    let validator = Member::start(old, genesis, &places[0], &places[1], options).await?;
    let tip = validator.node.chain().tip().height.0;
    let begun = Instant::now();
    let newcomer = Member::start(new, genesis, &places[1], &places[0], options).await?;
    let by = newcomer
        .joined
        .context("the node did not join by a snapshot")?;
    while newcomer.node.chain().tip().height.0 < tip {
        ensure!(
            begun.elapsed() < PATIENCE,
            "stuck at {}",
            newcomer.node.chain().tip().height
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let ready = begun.elapsed();
    let mut headers_agree = true;
    {
        let there = validator.node.chain().snapshot()?;
        let here = newcomer.node.chain().snapshot()?;
        for height in by.height.0..=tip {
            headers_agree &= there.header(Height(height))? == here.header(Height(height))?;
        }
    }
    // Stopped in between two blocks, so that both end at one height.
    while begun.elapsed() < PATIENCE {
        let (there, here) = (validator.node.chain().tip(), newcomer.node.chain().tip());
        let age = validator.node.chain().now().0.saturating_sub(there.time.0);
        if there == here && age < MIDST_MILLIS {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let time = newcomer.join_time;
    validator.stop().await;
    newcomer.stop().await;
    Ok(Outcome {
        snapshot: by.height.0,
        tip,
        bytes: by.bytes,
        joined: time,
        ready,
        headers_agree,
    })
}

/// Opens the store of a node that is stopped; its last task may take a moment to let go.
fn reopen(home: &Path) -> anyhow::Result<Store> {
    let begun = Instant::now();
    loop {
        match Store::open(&home.join("chain.redb")) {
            Ok(store) => return Ok(store),
            Err(error) if begun.elapsed() > Duration::from_secs(10) => return Err(error.into()),
            Err(_) => std::thread::yield_now(),
        }
    }
}

/// Compares all rows of both stores, and the whole state tree with its root.
fn rows_agree(old: &Path, new: &Path) -> anyhow::Result<bool> {
    let (old, new) = (reopen(old)?, reopen(new)?);
    let difference = old.first_difference(&new)?.or(new.first_difference(&old)?);
    if let Some(what) = &difference {
        tracing::error!(what, "the stores differ");
    }
    Ok(difference.is_none())
}

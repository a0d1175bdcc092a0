//! kill -9 at random moments, under load, and what became of it (THREATS 1, the acknowledged set).
//!
//! Nodes of one private chain run as processes. Each cycle kills one of them, two, or all at once, while clients
//! wait for answers, starts them again after a random time, sometimes kills them again while they start, and waits
//! until each has committed a new height and is level with the others. Then the stores of all nodes are compared
//! with what clients were told, every chain is executed again, and the journals of signatures are searched for two
//! values at one place. A control does the same to nodes that sign without their guard and forget their log: it
//! must find a double signature, or the search is worth nothing.

mod control;
mod cycle;
mod report;

use super::load::{Load, Rate};
use super::pack::{Pack, journaled};
use anyhow::Context;
use caduceus_cli::{CliError, Output};
use caduceus_node::Store;
use caduceus_node::bft::{SignJournal, double_signatures};
use caduceus_node::validate::{Depth, validate};
use clap::Args;
use private_chain::PrivateMachine;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use std::path::Path;
use std::time::{Duration, Instant};

use self::cycle::Cycles;
use self::report::Report;

/// How long the nodes may take to be level again at the end.
const SETTLE: Duration = Duration::from_secs(60);
/// How long fresh nodes may take to answer.
const FIRST_START: Duration = Duration::from_secs(30);

/// What to do.
#[derive(Clone, Debug, Args)]
pub struct CrashArgs {
    /// How often nodes are killed
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    cycles: u32,
    /// Seed of what is killed, when, and for how long. Timing is the machine's, so a run is not repeated exactly
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Validators of the chain
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(4..=16))]
    validators: u8,
}

/// Runs the cycles and the control, and prints the report.
///
/// # Errors
/// Verification failed, when a promise is broken: the homes are kept then. Failure, when it could not be run.
pub async fn run(arguments: &CrashArgs, output: &Output) -> Result<(), CliError> {
    let folder = tempfile::Builder::new()
        .prefix("sim-chaos-crash-")
        .tempdir()
        .map_err(|e| CliError::failure(format!("no folder for the nodes: {e}"), "set TMPDIR"))?;
    let measured = measure(arguments, folder.path(), output).await;
    let report = measured.map_err(|e| {
        CliError::failure(
            format!("the nodes could not be run: {e:#}"),
            "look at what it names, then run it again",
        )
    })?;
    output.object(&report)?;
    let broken = report.broken();
    if broken.is_empty() {
        return Ok(());
    }
    let kept = folder.keep();
    Err(CliError::verification_failed(
        format!("promises broken: {}", broken.join("; ")),
        format!("the nodes' homes are in {}", kept.display()),
    ))
}

async fn measure(arguments: &CrashArgs, root: &Path, output: &Output) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let mut report = Report::new(arguments.seed, arguments.validators);
    let mut pack = Pack::create(
        &root.join("guarded"),
        arguments.validators.into(),
        &journaled(),
    )
    .await?;
    pack.spawn_all()?;
    pack.all_serve(FIRST_START).await?;
    let mut load = Load::start(&pack, Rate::default(), arguments.seed).await?;
    let mut cycles = Cycles::new(ChaCha20Rng::seed_from_u64(arguments.seed));
    let progress = output.progress("killing nodes");
    for cycle in 0..arguments.cycles {
        progress.set_steps(cycle.into(), arguments.cycles.into());
        let held = cycles.one(&mut pack, &load, &mut report).await;
        if let Err(error) = held {
            report.stuck = Some(format!("cycle {}: {error:#}", cycle + 1));
            break;
        }
        report.cycles += 1;
    }
    drop(progress);
    load.stop().await;
    if report.stuck.is_none()
        && let Err(error) = pack.all_agree_on_height(report.highest_seen, SETTLE).await
    {
        report.stuck = Some(format!("at the end: {error:#}"));
    }
    pack.kill_all();
    judge(&pack, &load, &mut report)?;
    load.shutdown().await;
    drop(pack);
    let control = control::run(arguments, &root.join("unguarded"), output).await?;
    report.control(control);
    report.wall_s = report::seconds(begun.elapsed());
    Ok(report)
}

/// Compares what is on disk with what was promised.
fn judge(pack: &Pack, load: &Load, report: &mut Report) -> anyhow::Result<()> {
    let stores = pack
        .homes()
        .iter()
        .map(|home| {
            Store::open(&home.join("chain.redb"))
                .with_context(|| format!("the store of {} does not open", home.display()))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    report.found(&load.told().check_stores(&stores)?);
    report.rejected(load.rejected());
    let genesis = &pack.hospital().genesis;
    for (n, store) in stores.iter().enumerate() {
        let found = validate(
            store,
            genesis,
            &PrivateMachine,
            Depth::Execution,
            &mut |_, _| (),
        )?;
        report.validated(n, found.fault);
    }
    for home in pack.homes() {
        let signed = SignJournal::read(home)?;
        report.signed(&signed, &double_signatures(&signed));
    }
    Ok(())
}

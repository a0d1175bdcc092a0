//! kill -9 of a hospital's server between an entry and its action (DESIGN 5.3, "no action without an entry").
//!
//! The hospital's chain runs here, its server is a process. Staff upload, look up and try what they may not; a patient
//! reads her records. Each time the chain commits entries the server may be killed, at once, so that the kill falls
//! between entry and action; then it is started again. At the end three accounts that know nothing of the log are held
//! against it: what clients were told, what the vault's own file says, and what is anchored. Each must have its entry.
//! What was open when the server died must have been closed by an entry of unknown outcome. A control plants an action
//! that nobody logged: it must be found, or the comparison is worth nothing.

mod compare;
mod load;

use crate::layout::NetworkSpec;
use crate::ward::Ward;
use anyhow::{Context, ensure};
use caduceus_cli::{CliError, Output};
use clap::Args;
use compare::Done;
use load::Load;
use private_chain::Outcome;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

/// How long a server may take to answer, and to have an entry committed, after its start.
const RECOVERY: Duration = Duration::from_secs(60);

/// Entries after which it is killed, counted from when it works again: at most.
const ENTRIES_BEFORE: u64 = 24;

/// How often the chain is looked at.
const LOOK: Duration = Duration::from_micros(300);

/// What to do.
#[derive(Clone, Debug, Args)]
pub struct AuditArgs {
    /// How often the server is killed
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    kills: u32,
    /// Seed of when it is killed. Timing is the machine's, so a run is not repeated exactly
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Validators of the hospital's chain
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    validators: u8,
}

/// What is printed.
#[derive(Debug, Serialize)]
struct Report {
    kills: u32,
    seed: u64,
    validators: u8,
    /// Actions that clients, vault and chain know of.
    actions: usize,
    /// Answers that clients got.
    answers: usize,
    /// Lines of the vault's own file.
    vault_calls: usize,
    /// Records on the chain.
    anchored: usize,
    /// Entries on the chain.
    entries: usize,
    /// Of these, denials.
    denied: usize,
    /// Of these, actions that a kill left open.
    unknown_closed: usize,
    /// Entries of unknown outcome without the entry that they close.
    unknown_alone: usize,
    /// Requests without an answer.
    unanswered: usize,
    /// Actions without an entry.
    unlogged_actions: usize,
    /// What they are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unlogged: Vec<String>,
    /// The planted action without an entry was found, and nothing else.
    control_caught: bool,
    /// Longest from a start to the next committed entry, seconds.
    max_recovery_s: f64,
    wall_s: f64,
}

impl Report {
    fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        if self.unlogged_actions > 0 {
            broken.push(format!(
                "{} actions without an entry",
                self.unlogged_actions
            ));
        }
        if self.unknown_alone > 0 {
            broken.push(format!(
                "{} closing entries close nothing",
                self.unknown_alone
            ));
        }
        if !self.control_caught {
            broken.push("the control was not caught".to_owned());
        }
        if self.answers == 0
            || self.vault_calls == 0
            || self.denied == 0
            || self.unknown_closed == 0
        {
            broken.push("no load, or no kill between entry and action".to_owned());
        }
        broken
    }
}

/// Runs it and prints what came of it.
///
/// # Errors
/// Verification failed, when a promise is broken: the homes are kept then. Failure, when it could not be run.
pub async fn run(arguments: &AuditArgs, output: &Output) -> Result<(), CliError> {
    let folder = tempfile::Builder::new()
        .prefix("sim-chaos-audit-")
        .tempdir()
        .map_err(|e| CliError::failure(format!("no folder for the hospital: {e}"), "set TMPDIR"))?;
    let measured = measure(arguments, folder.path(), output).await;
    let report = measured.map_err(|e| {
        CliError::failure(
            format!("the hospital could not be run: {e:#}"),
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
        format!("the homes are in {}", kept.display()),
    ))
}

/// The server's process, killed when it is dropped.
struct Victim(Child);

impl Victim {
    fn kill(&mut self) {
        // One that has ended already is as dead as it gets.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn measure(arguments: &AuditArgs, root: &Path, output: &Output) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let spec = NetworkSpec {
        hospitals: vec!["Chaos".to_owned()],
        alliance_validators: 1,
        private_validators: arguments.validators.into(),
        ..NetworkSpec::default()
    };
    let mut ward = Ward::start(root, &spec).await?;
    let mut server = Victim(ward.server_process()?);
    ward.server_answers(RECOVERY).await?;
    let mut load = Load::start(&ward).await?;
    let mut rng = ChaCha20Rng::seed_from_u64(arguments.seed);
    let mut max_recovery = Duration::ZERO;
    let progress = output.progress("killing the server");
    for kill in 0..arguments.kills {
        progress.set_steps(kill.into(), arguments.kills.into());
        let started = Instant::now();
        let base = ward.audit_count()?;
        committed(&ward, base)
            .await
            .with_context(|| format!("after {kill} kills"))?;
        max_recovery = max_recovery.max(started.elapsed());
        let base = ward.audit_count()? + rng.gen_range(0..ENTRIES_BEFORE);
        committed(&ward, base).await?;
        // From the block to the answer takes the server a few milliseconds.
        tokio::time::sleep(Duration::from_micros(rng.gen_range(0..4_000))).await;
        server.kill();
        server = Victim(ward.server_process()?);
    }
    drop(progress);
    let base = ward.audit_count()?;
    committed(&ward, base).await?;
    load.stop().await;
    settled(&ward).await?;
    server.kill();
    let report = judge(arguments, &ward, &load, max_recovery, begun);
    load.close().await;
    ward.stop().await;
    report
}

/// Waits until there are more entries than this on the chain.
async fn committed(ward: &Ward, base: u64) -> anyhow::Result<()> {
    let begun = Instant::now();
    while ward.audit_count()? <= base {
        ensure!(
            begun.elapsed() < RECOVERY,
            "the server has no entry committed"
        );
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Waits until no more entries come.
async fn settled(ward: &Ward) -> anyhow::Result<()> {
    let (mut last, mut quiet) = (ward.audit_count()?, Instant::now());
    while quiet.elapsed() < Duration::from_secs(2) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = ward.audit_count()?;
        if now != last {
            (last, quiet) = (now, Instant::now());
        }
    }
    Ok(())
}

fn judge(
    arguments: &AuditArgs,
    ward: &Ward,
    load: &Load,
    max_recovery: Duration,
    begun: Instant,
) -> anyhow::Result<Report> {
    let entries = ward.entries()?;
    let done = Done {
        told: load.told(),
        vault: compare::vault_calls(&ward.hospital().server_home())?,
        anchored: ward.anchored()?,
    };
    let unlogged = done.unlogged(&entries);
    let mut planted = done.clone();
    planted.plant();
    let found = planted.unlogged(&entries);
    let of = |outcome: Outcome| entries.iter().filter(move |entry| entry.outcome == outcome);
    Ok(Report {
        kills: arguments.kills,
        seed: arguments.seed,
        validators: arguments.validators,
        actions: done.count(),
        answers: done.told.len(),
        vault_calls: done.vault.len(),
        anchored: done.anchored.len(),
        entries: entries.len(),
        denied: of(Outcome::Denied).count(),
        unknown_closed: of(Outcome::Unknown).count(),
        unknown_alone: compare::unknown_alone(&entries),
        unanswered: load.unanswered(),
        unlogged_actions: unlogged.len(),
        control_caught: found.len() == unlogged.len() + 1,
        unlogged,
        max_recovery_s: seconds(max_recovery),
        wall_s: seconds(begun.elapsed()),
    })
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

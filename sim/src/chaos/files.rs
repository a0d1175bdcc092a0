//! Files of a killed node are damaged, replaced by older ones, or removed, while the other nodes go on under load.
//!
//! Each case must end in one of two ways: the node works, which means that it serves, is level with the others and
//! commits what comes; or it refuses, which means that its process ends with a message. A node that does neither is
//! *mute*. Where it refuses, its operator does what the message says, and it must work then. At the end nothing
//! acknowledged is lost, nothing was signed twice, and the chain of the node is executed again.

mod cases;

use super::load::{Load, Rate};
use super::pack::{POLL, Pack, journaled};
use anyhow::Context;
use caduceus_cli::{CliError, Output};
use caduceus_node::Store;
use caduceus_node::bft::{SignJournal, double_signatures};
use caduceus_node::validate::{Depth, validate};
use clap::Args;
use private_chain::PrivateMachine;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::cases::{Asked, CASES, Case, Scene, put};

/// The node whose files are damaged.
const VICTIM: usize = 0;
/// Heights between the older copy and the first case.
const OLDER_BY: u64 = 40;
/// Longest that a node may take until it works or refuses.
const PATIENCE: Duration = Duration::from_secs(40);
/// Longest word of a node that is told.
const MAX_WORDS: usize = 240;

/// What to do.
#[derive(Clone, Debug, Args)]
pub struct FilesArgs {
    /// Only the cases whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Seed of the load
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// How a damaged node behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Behaviour {
    Works,
    Refuses,
    Mute,
    /// There was nothing to damage.
    Skipped,
}

#[derive(Debug, Serialize)]
struct Row {
    case: &'static str,
    outcome: Behaviour,
    /// Whether that is what was asked for: a node that works where it might refuse is right as well.
    right: bool,
    seconds: f64,
    says: String,
}

#[derive(Debug, Serialize)]
struct Report {
    cases: Vec<Row>,
    tried: usize,
    works: usize,
    refuses: usize,
    mute: usize,
    wrong: usize,
    acknowledged: usize,
    lost: usize,
    duplicated: usize,
    misplaced: usize,
    disagreeing_heights: usize,
    double_signatures: usize,
    heights: u64,
    validated: bool,
    wall_s: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<String>,
}

/// Tries every case and prints the report.
///
/// # Errors
/// Verification failed, when a promise is broken: the homes are kept then. Failure, when it could not be run.
pub async fn run(arguments: &FilesArgs, output: &Output) -> Result<(), CliError> {
    if !CASES.iter().any(|case| case.name.contains(&arguments.only)) {
        return Err(CliError::usage(
            format!("no case has {:?} in its name", arguments.only),
            "sim chaos files tries them all and lists their names",
        ));
    }
    let folder = tempfile::Builder::new()
        .prefix("sim-chaos-files-")
        .tempdir()
        .map_err(|e| CliError::failure(format!("no folder for the nodes: {e}"), "set TMPDIR"))?;
    let measured = measure(arguments, folder.path(), output).await;
    let report = measured.map_err(|e| {
        CliError::failure(
            format!("the cases could not be run: {e:#}"),
            "look at what it names, then run it again",
        )
    })?;
    if output.format() == caduceus_cli::OutputFormat::Table {
        output.rows(&report.cases)?;
    } else {
        output.object(&report)?;
    }
    let kept = report.holds();
    if kept {
        return Ok(());
    }
    let folder = folder.keep();
    Err(CliError::verification_failed(
        format!(
            "{} cases wrong, {} mute, {} transactions lost, {} double signatures, validated: {}",
            report.wrong, report.mute, report.lost, report.double_signatures, report.validated
        ),
        format!("the nodes' homes are in {}", folder.display()),
    ))
}

impl Report {
    fn holds(&self) -> bool {
        self.wrong == 0
            && self.tried > 0
            && self.lost + self.duplicated + self.misplaced + self.disagreeing_heights == 0
            && self.double_signatures == 0
            && self.validated
    }
}

async fn measure(arguments: &FilesArgs, root: &Path, output: &Output) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let mut pack = Pack::create(&root.join("network"), 4, &journaled()).await?;
    pack.spawn_all()?;
    pack.all_serve(PATIENCE).await?;
    let mut load = Load::start(&pack, Rate::default(), arguments.seed).await?;
    let scene = Scene {
        home: pack.homes()[VICTIM].clone(),
        older: root.join("older"),
    };
    take_older_copy(&mut pack, &load, &scene).await?;
    let mut rows = Vec::new();
    let progress = output.progress("damaging files");
    let chosen = CASES
        .iter()
        .filter(|case| case.name.contains(&arguments.only));
    for case in chosen {
        progress.message(case.name);
        rows.push(one(case, &mut pack, &load, &scene, &root.join("saved")).await?);
    }
    drop(progress);
    load.stop().await;
    let settled = pack.all_agree_on_height(0, PATIENCE).await;
    pack.kill_all();
    let mut report = judge(&pack, &load, rows)?;
    if let Err(error) = settled {
        report.faults.push(format!("at the end: {error:#}"));
        report.validated = false;
    }
    load.shutdown().await;
    report.wall_s = rounded(begun.elapsed());
    Ok(report)
}

fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 100.0).round() / 100.0
}

/// Kills the victim, copies its folder, starts it again, and lets the chain grow.
async fn take_older_copy(pack: &mut Pack, load: &Load, scene: &Scene) -> anyhow::Result<()> {
    let grown = |heights: Vec<Option<u64>>| heights.into_iter().flatten().max().unwrap_or(0);
    wait_for_height(pack, OLDER_BY / 2).await?;
    load.set_live(VICTIM, false);
    pack.kill(VICTIM);
    put(&scene.home, &scene.older)?;
    pack.spawn(VICTIM)?;
    load.set_live(VICTIM, true);
    let now = grown(pack.heights().await);
    wait_for_height(pack, now + OLDER_BY).await?;
    pack.all_serve(PATIENCE).await
}

async fn wait_for_height(pack: &mut Pack, height: u64) -> anyhow::Result<()> {
    let begun = Instant::now();
    while pack.heights().await.into_iter().flatten().max() < Some(height) {
        anyhow::ensure!(
            begun.elapsed() < PATIENCE,
            "the chain does not reach height {height}"
        );
        tokio::time::sleep(POLL * 5).await;
    }
    Ok(())
}

/// Kills the node, damages its folder, watches what it does, and cures it.
async fn one(
    case: &Case,
    pack: &mut Pack,
    load: &Load,
    scene: &Scene,
    saved: &Path,
) -> anyhow::Result<Row> {
    load.has_begun(PATIENCE).await;
    load.set_live(VICTIM, false);
    pack.kill(VICTIM);
    save(&scene.home, saved)?;
    let damaged = (case.damage)(scene).with_context(|| case.name)?;
    let mut row = Row {
        case: case.name,
        outcome: Behaviour::Skipped,
        right: true,
        seconds: 0.0,
        says: String::new(),
    };
    if damaged {
        let begun = Instant::now();
        let log = pack.log_length(VICTIM);
        row.outcome = watch(pack).await?;
        row.seconds = rounded(begun.elapsed());
        row.says = words(&pack.said_since(VICTIM, log));
        row.right = match (row.outcome, case.asked) {
            (Behaviour::Works, _) => true,
            (Behaviour::Refuses, Asked::Refuses(_)) => !row.says.is_empty(),
            _ => false,
        };
    }
    match row.outcome {
        Behaviour::Refuses => cure(case.asked, &scene.home, saved)?,
        // There was no message to follow: what was there before is put back, so that the other cases can be tried.
        Behaviour::Mute => {
            pack.kill(VICTIM);
            put_back(&scene.home, saved)?;
        }
        Behaviour::Works | Behaviour::Skipped => {}
    }
    if row.outcome != Behaviour::Works {
        let after = watch(pack).await?;
        if after != Behaviour::Works {
            row.right = false;
            row.says = format!("{}; then, cured: {after:?}", row.says);
        }
    }
    load.set_live(VICTIM, true);
    Ok(row)
}

/// The files that a case may damage, as they were when the node was killed.
fn save(home: &Path, saved: &Path) -> anyhow::Result<()> {
    if saved.exists() {
        std::fs::remove_dir_all(saved)?;
    }
    put(home, saved)
}

/// What the operator does about a refusal.
fn cure(asked: Asked, home: &Path, saved: &Path) -> anyhow::Result<()> {
    if let Asked::Refuses(Some(file)) = asked {
        let moved: PathBuf = home.join(format!("{file}.moved-away"));
        return Ok(std::fs::rename(home.join(file), moved)?);
    }
    put_back(home, saved)
}

/// Puts back what was damaged.
fn put_back(home: &Path, saved: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(saved)? {
        let entry = entry?;
        let kept = [caduceus_node::bft::JOURNAL_FILE, "node.log"];
        if !kept.iter().any(|name| entry.file_name() == *name) {
            put(&entry.path(), &home.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Starts the node and waits until it has committed a new height and is level with the others, or has ended.
async fn watch(pack: &mut Pack) -> anyhow::Result<Behaviour> {
    let floor = pack
        .heights()
        .await
        .into_iter()
        .flatten()
        .max()
        .unwrap_or(0);
    pack.spawn(VICTIM)?;
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let first = pack.heights().await;
        let second = pack.heights().await;
        let tip = first.iter().skip(1).copied().flatten().max().unwrap_or(0);
        if second[VICTIM].is_some_and(|height| height > floor && height >= tip) {
            return Ok(Behaviour::Works);
        }
        if let Some(status) = pack.ended(VICTIM) {
            return Ok(if status.code().is_some_and(|code| code != 0) {
                Behaviour::Refuses
            } else {
                Behaviour::Mute
            });
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(Behaviour::Mute)
}

/// The first thing that a node said, without what its log puts before it.
fn words(said: &str) -> String {
    let line = said
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    line.chars().take(MAX_WORDS).collect()
}

fn judge(pack: &Pack, load: &Load, rows: Vec<Row>) -> anyhow::Result<Report> {
    let stores = pack
        .homes()
        .iter()
        .map(|home| Store::open(&home.join("chain.redb")))
        .collect::<Result<Vec<_>, _>>()?;
    let found = load.told().check_stores(&stores)?;
    let genesis = &pack.hospital().genesis;
    let checked = validate(
        &stores[VICTIM],
        genesis,
        &PrivateMachine,
        Depth::Execution,
        &mut |_, _| (),
    )?;
    let mut doubled = 0;
    for home in pack.homes() {
        doubled += double_signatures(&SignJournal::read(home)?).len();
    }
    let count = |outcome| rows.iter().filter(|row| row.outcome == outcome).count();
    let mut faults = found.faults.clone();
    faults.extend(checked.fault.as_ref().map(|fault| fault.what.clone()));
    faults.extend(load.rejected());
    Ok(Report {
        tried: rows.len() - count(Behaviour::Skipped),
        works: count(Behaviour::Works),
        refuses: count(Behaviour::Refuses),
        mute: count(Behaviour::Mute),
        wrong: rows.iter().filter(|row| !row.right).count(),
        cases: rows,
        acknowledged: found.acknowledged,
        lost: found.lost,
        duplicated: found.duplicated,
        misplaced: found.misplaced,
        disagreeing_heights: found.disagreeing.len(),
        double_signatures: doubled,
        heights: found.heights.iter().copied().max().unwrap_or(0),
        validated: checked.fault.is_none() && load.rejected().is_empty(),
        wall_s: 0.0,
        faults,
    })
}

//! What one person waits on an idle network: an upload until it is acknowledged, a search until its answer is proved
//! (DESIGN 11).
//!
//! The network is the demo's: three hospitals, four alliance validators, four private ones each, servers and key
//! services, in this process. One thing happens at a time, and between two things the chains fall idle, so that each
//! begins with a chain that has nothing to do.

use super::measure::{Machine, millis, percentile};
use crate::demo::{DemoOptions, Narrator, World};
use crate::layout::NetworkSpec;
use anyhow::Context;
use caduceus_cli::{CliError, Output};
use caduceus_node::{Stage, Stages};
use clap::Args;
use hospital_server::workstation::{UploadInput, Visit};
use patient_client::SearchSpec;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How much to measure.
#[derive(Clone, Debug, Args)]
pub struct LatencyBenchArgs {
    /// Uploads that are timed
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(4..=1000))]
    uploads: u16,
    /// Searches that are timed
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    searches: u16,
    /// Idle time before each, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 200, value_parser = clap::value_parser!(u64).range(..=10_000))]
    idle_ms: u64,
    /// Seed of the patients
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Times {
    count: usize,
    p50: f64,
    p99: f64,
    max: f64,
}

impl Times {
    fn of(times: &[Duration]) -> Self {
        Self {
            count: times.len(),
            p50: millis(percentile(times, 50)),
            p99: millis(percentile(times, 99)),
            max: millis(percentile(times, 100)),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
struct Report {
    /// Sealed, vaulted, anchored, audited, acknowledged.
    upload_ms: Times,
    /// A query for one keyword at one hospital: trapdoor made, submitted, committed, the result proved.
    search_ms: Times,
    /// The same as people use it: over all of her hospitals, newer versions looked for.
    search_everywhere_ms: Times,
    /// Searches whose answer was, record for record, what the uploads say.
    searches_right: usize,
    /// Median of each stage on the first private and the first alliance validator.
    private_stages_ms: BTreeMap<&'static str, f64>,
    alliance_stages_ms: BTreeMap<&'static str, f64>,
    idle_ms: u64,
    machine: Machine,
}

/// Runs the bench and prints the report.
///
/// # Errors
/// Failure, when it could not be run to its end; verification failed, when an answer was wrong.
pub async fn run(arguments: &LatencyBenchArgs, output: &Output) -> Result<(), CliError> {
    let report = measure(arguments, output).await.map_err(|e| {
        CliError::failure(
            format!("the bench stopped: {e:#}"),
            "run it again with -v to see more",
        )
    })?;
    output.object(&report)?;
    if report.searches_right == report.search_ms.count {
        return Ok(());
    }
    Err(CliError::verification_failed(
        format!(
            "{} of {} answers were right",
            report.searches_right, report.search_ms.count
        ),
        "report this with the command's output",
    ))
}

async fn measure(arguments: &LatencyBenchArgs, output: &Output) -> anyhow::Result<Report> {
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let options = DemoOptions {
        seed: arguments.seed,
        // Three encounters each at the least.
        patients: usize::from(arguments.uploads).div_ceil(3).max(2),
        ..DemoOptions::default()
    };
    let narrator = Narrator::new(true);
    output.note("starting the network");
    let mut world =
        World::start(folder.path(), &NetworkSpec::default(), &options, &narrator).await?;
    let measured = timed(&mut world, arguments, &narrator, output).await;
    world.stop().await;
    measured
}

async fn timed(
    world: &mut World,
    arguments: &LatencyBenchArgs,
    narrator: &Narrator,
    output: &Output,
) -> anyhow::Result<Report> {
    let idle = Duration::from_millis(arguments.idle_ms);
    crate::demo::register(world, narrator).await?;
    output.note("uploading");
    let uploads = upload(world, arguments.uploads.into(), idle).await?;
    world.wait_until_linked(narrator).await?;
    output.note("searching");
    let (mut one, mut everywhere, mut right) = (Vec::new(), Vec::new(), 0);
    for n in 0..usize::from(arguments.searches) {
        let record = &world.records[n % world.records.len()].oracle;
        let (patient, hospital) = (record.patient, world.layout.hospitals[record.hospital].id);
        let expected = world
            .records
            .iter()
            .filter(|r| r.oracle.patient == patient && r.oracle.hospital == record.hospital)
            .count();
        tokio::time::sleep(idle).await;
        let spec = SearchSpec {
            hospitals: vec![hospital],
            versions: false,
            ..SearchSpec::text("type:Encounter")
        };
        let begun = Instant::now();
        let answer = world.people[patient].patient.search(&spec).await?;
        one.push(begun.elapsed());
        right += usize::from(answer.records.len() == expected);
        tokio::time::sleep(idle).await;
        let begun = Instant::now();
        let spec = SearchSpec::text("type:Encounter");
        world.people[patient].patient.search(&spec).await?;
        everywhere.push(begun.elapsed());
    }
    let private = world
        .chains
        .private_here(0)
        .next()
        .context("a private validator")?;
    let alliance = world.chains.alliance(0).context("an alliance validator")?;
    Ok(Report {
        upload_ms: Times::of(&uploads),
        search_ms: Times::of(&one),
        search_everywhere_ms: Times::of(&everywhere),
        searches_right: right,
        private_stages_ms: medians(private.node.chain().stages()),
        alliance_stages_ms: medians(alliance.node.chain().stages()),
        idle_ms: arguments.idle_ms,
        machine: Machine::here(),
    })
}

fn medians(stages: &Stages) -> BTreeMap<&'static str, f64> {
    Stage::ALL
        .into_iter()
        .map(|stage| (stage.as_str(), millis(stages.of(stage).p50)))
        .collect()
}

/// Uploads records one by one, the patients in turn, and says how long each took to be acknowledged.
async fn upload(world: &mut World, count: usize, idle: Duration) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    'people: for number in 0..world.people.len() {
        let encounters = std::mem::take(&mut world.people[number].encounters);
        let mut visits: BTreeMap<usize, Visit> = BTreeMap::new();
        for (hospital, encounter) in encounters {
            if times.len() == count {
                break 'people;
            }
            let mut visit = match visits.remove(&hospital) {
                Some(visit) => visit,
                None => crate::demo::visit(world, number, hospital).await?,
            };
            tokio::time::sleep(idle).await;
            let uploaded = visit
                .upload(UploadInput {
                    amends: None,
                    bytes: encounter.bundle_json.clone(),
                    media_type: "application/fhir+json".to_owned(),
                    own_terms: Vec::new(),
                })
                .await?;
            times.push(uploaded.took);
            visits.insert(hospital, visit);
            crate::demo::keep(
                world,
                number,
                hospital,
                encounter.bundle_json,
                Vec::new(),
                uploaded,
            )?;
        }
    }
    Ok(times)
}

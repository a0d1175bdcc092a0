//! The story of DESIGN section 2 on loopback: a whole network, real records, every promise checked.

mod audit;
mod consent;
mod kill;
mod people;
mod queries;
mod random;
mod summary;
mod tamper;
mod versions;
mod world;

use crate::layout::NetworkSpec;
use anyhow::Context;
use caduceus_crypto::index::SchemeId;
use caduceus_node::home::EngineKind;
use std::path::PathBuf;
use std::time::Instant;

pub(crate) use people::{keep, register, visit};
pub use summary::Summary;
pub(crate) use world::World;

/// What the demo runs on.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// A folder of FHIR bundles, one patient each; none for generated patients.
    pub records: Option<PathBuf>,
    /// Seed of the generated patients.
    pub seed: u64,
    /// Number of generated patients.
    pub patients: usize,
    /// Whether to kill one validator of each tier in the middle.
    pub kill_one: bool,
    /// The engine of every chain.
    pub engine: EngineKind,
    /// How records are indexed.
    pub scheme: SchemeId,
    /// Random queries to ask besides those of the story, each compared with the plaintext.
    pub queries: usize,
}

impl Default for DemoOptions {
    fn default() -> Self {
        Self {
            records: None,
            seed: 1,
            patients: 4,
            kill_one: false,
            engine: EngineKind::Bft,
            scheme: SchemeId::Tags,
            queries: 0,
        }
    }
}

/// Tells the story as it goes, on standard error.
pub struct Narrator {
    begun: Instant,
    quiet: bool,
}

impl Narrator {
    /// A narrator; a quiet one says nothing.
    pub fn new(quiet: bool) -> Self {
        Self {
            begun: Instant::now(),
            quiet,
        }
    }

    /// Tells one step.
    pub fn tell(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            eprintln!("{:>6.1} s  {text}", self.begun.elapsed().as_secs_f64());
        }
    }
}

/// Records that a demo with a linear scan may have: a search tests each.
pub const MAX_SCANNED: usize = 20;

/// Number of records that the demo would upload.
///
/// # Errors
/// When the folder of bundles cannot be read or holds none.
pub fn count_records(options: &DemoOptions) -> anyhow::Result<usize> {
    let mut records = 0;
    for bundle in world::bundles(options, &NetworkSpec::default().hospitals)? {
        records += caduceus_custody::fhir::split(&bundle)?.encounters.len();
    }
    Ok(records)
}

/// Runs the story and returns its checked summary.
///
/// # Errors
/// When something that must work does not. A check that fails is in the summary, not an error.
pub async fn run(options: &DemoOptions, narrator: &Narrator) -> anyhow::Result<Summary> {
    let begun = Instant::now();
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let spec = NetworkSpec {
        engine: options.engine,
        scheme: options.scheme,
        ..NetworkSpec::default()
    };
    let mut world = world::World::start(folder.path(), &spec, options, narrator).await?;
    let outcome = story(&mut world, options, narrator).await;
    let summary = match outcome {
        Ok(mut summary) => {
            summary.killed = if options.kill_one { 2 } else { 0 };
            summary.peak_rss_mib = world.chains.peak_bytes() / (1024 * 1024);
            Ok(summary)
        }
        Err(error) => Err(error),
    };
    world.stop().await;
    let mut summary = summary?;
    summary.wall_s = (begun.elapsed().as_secs_f64() * 10.0).round() / 10.0;
    Ok(summary)
}

async fn story(
    world: &mut world::World,
    options: &DemoOptions,
    narrator: &Narrator,
) -> anyhow::Result<Summary> {
    let mut summary = Summary::new(world, options);
    people::register(world, narrator).await?;
    let mut killed = None;
    people::upload(world, options, narrator, &mut killed, &mut summary).await?;
    world.wait_until_linked(narrator).await?;
    queries::run(world, narrator, &mut summary).await?;
    random::run(world, options, narrator, &mut summary).await?;
    queries::open_all(world, narrator, &mut summary).await?;
    versions::run(world, narrator, &mut summary).await?;
    consent::run(world, narrator, &mut summary).await?;
    tamper::run(world, narrator, &mut summary).await?;
    kill::rejoin(world, narrator, killed, &mut summary).await?;
    audit::run(world, narrator, &mut summary).await?;
    world.compare_chains(narrator, &mut summary).await?;
    Ok(summary)
}

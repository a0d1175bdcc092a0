//! `sim`: the demo, a network of processes, and what a researcher runs.

use caduceus_cli::{CliError, CommonArgs, HiddenCommand, Output, OutputFormat, Program, run_main};
use caduceus_crypto::index::SchemeId;
use caduceus_node::home::EngineKind;
use clap::{Parser, Subcommand, ValueEnum};
use sim::attack::{self, AttackCommand};
use sim::bench::{self, BenchCommand};
use sim::chaos::{self, ChaosCommand};
use sim::demo::{self, DemoOptions, Narrator};
use sim::devnet;
use sim::run::{self as scenario, RunCommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Run multi-hospital scenarios: the demo, and networks to try the programs on.
#[derive(Parser)]
#[command(name = "sim", version, about)]
struct Arguments {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Tell the whole story on loopback: three hospitals, real consensus, sockets and files; ends with a checked
    /// summary and exits 0 only if every check in it holds.
    Demo {
        /// A folder of FHIR bundles, one patient each; without it the demo makes its own patients.
        #[arg(long, value_name = "DIR")]
        records: Option<PathBuf>,
        /// Seed of the demo's own patients.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Number of the demo's own patients.
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..=200))]
        patients: u16,
        /// kill -9 one alliance validator and one private validator in the middle; they must rejoin.
        #[arg(long)]
        kill_one: bool,
        /// The engine of every chain [default: bft; solo with peks and paeks]
        #[arg(long, value_enum)]
        engine: Option<EngineArg>,
        /// How records are indexed. The two of the literature search by linear scan: at most 20 records, on one
        /// sequencer a chain.
        #[arg(long, value_enum, default_value_t = SchemeArg::Tags)]
        scheme: SchemeArg,
        /// Ask so many random queries too, each compared with the plaintext.
        #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=10_000))]
        queries: u16,
    },
    /// Run a network as separate processes of the real programs.
    Devnet {
        #[command(subcommand)]
        what: Devnet,
    },
    /// Measure, with peers in the same run.
    Bench {
        #[command(subcommand)]
        what: BenchCommand,
    },
    /// Attack, and say how far it got.
    Attack {
        #[command(subcommand)]
        what: AttackCommand,
    },
    /// Break a network on purpose, and count what it lost.
    Chaos {
        #[command(subcommand)]
        what: ChaosCommand,
    },
    /// Run a scenario, and judge what was promised of it.
    Run {
        #[command(subcommand)]
        what: RunCommand,
    },
    /// Run one node; how the demo starts the nodes that it kills.
    #[command(hide = true)]
    Node {
        kind: String,
        dir: PathBuf,
        /// Allow the option of that name in node.toml: the control of a crash test.
        #[arg(long)]
        risky_no_guard: bool,
    },
    #[command(flatten)]
    Hidden(HiddenCommand),
}

#[derive(Clone, Copy, ValueEnum)]
enum EngineArg {
    /// Malachite BFT, four validators a chain.
    Bft,
    /// One sequencer a chain.
    Solo,
    /// Mined private chains, as in the logging paper; the alliance runs bft.
    Pow,
}

impl From<EngineArg> for EngineKind {
    fn from(engine: EngineArg) -> Self {
        match engine {
            EngineArg::Bft => EngineKind::Bft,
            EngineArg::Solo => EngineKind::Solo,
            EngineArg::Pow => EngineKind::Pow,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum SchemeArg {
    /// Epoch tags.
    Tags,
    /// Boneh, Di Crescenzo, Ostrovsky, Persiano 2004.
    Peks,
    /// Huang, Li 2017.
    Paeks,
}

impl From<SchemeArg> for SchemeId {
    fn from(scheme: SchemeArg) -> Self {
        match scheme {
            SchemeArg::Tags => SchemeId::Tags,
            SchemeArg::Peks => SchemeId::Peks,
            SchemeArg::Paeks => SchemeId::Paeks,
        }
    }
}

#[derive(Subcommand)]
enum Devnet {
    /// Make a network in DIR (or take the one there) and start it.
    Up { dir: PathBuf },
    /// Stop the network in DIR.
    Down { dir: PathBuf },
    /// Say how the processes of the network in DIR are doing.
    Status { dir: PathBuf },
}

impl Program for Arguments {
    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn quiet(&self) -> bool {
        matches!(self.command, Command::Demo { .. } | Command::Chaos { .. })
    }
}

fn main() -> ExitCode {
    run_main(run)
}

async fn run(arguments: Arguments, output: Output) -> Result<(), CliError> {
    match arguments.command {
        Command::Demo {
            records,
            seed,
            patients,
            kill_one,
            engine,
            scheme,
            queries,
        } => {
            let options = DemoOptions {
                records,
                seed,
                patients: patients.into(),
                kill_one,
                engine: engine_of(engine, scheme)?,
                scheme: scheme.into(),
                queries: queries.into(),
            };
            run_demo(&options, &arguments.common, &output).await
        }
        Command::Devnet { what } => match what {
            Devnet::Up { dir } => devnet::up(&dir, &output).await,
            Devnet::Down { dir } => devnet::down(&dir, &output).await,
            Devnet::Status { dir } => devnet::status(&dir, &output).await,
        },
        Command::Bench { what } => bench::run(what, &arguments.common, &output).await,
        Command::Attack { what } => attack::run(what, &arguments.common, &output).await,
        Command::Chaos { what } => chaos::run(what, &output).await,
        Command::Node {
            kind,
            dir,
            risky_no_guard,
        } => {
            if risky_no_guard {
                caduceus_node::hazmat::allow_no_guard_for_testing_only();
            }
            sim::loopback::run_node(&kind, &dir)
                .await
                .map_err(|e| CliError::failure(format!("the node stopped: {e:#}"), "see its log"))
        }
        Command::Run { what } => scenario::run(what, &output).await,
        Command::Hidden(hidden) => hidden.run::<Arguments>(),
    }
}

/// A linear scan keeps a block busy for seconds, which only a single sequencer bears.
fn engine_of(engine: Option<EngineArg>, scheme: SchemeArg) -> Result<EngineKind, CliError> {
    match (engine, scheme) {
        (None, SchemeArg::Tags) => Ok(EngineKind::Bft),
        (Some(engine), SchemeArg::Tags) => Ok(engine.into()),
        (None | Some(EngineArg::Solo), _) => Ok(EngineKind::Solo),
        (Some(EngineArg::Bft | EngineArg::Pow), _) => Err(CliError::usage(
            "a search by linear scan takes longer than a round of consensus",
            "--engine solo, or --scheme tags",
        )),
    }
}

async fn run_demo(
    options: &DemoOptions,
    common: &CommonArgs,
    output: &Output,
) -> Result<(), CliError> {
    if options.kill_one && options.engine.has_one_validator() {
        let engine = options.engine.as_str();
        return Err(CliError::usage(
            "one sequencer cannot be killed and replaced",
            format!("leave out --kill-one or --engine {engine}"),
        ));
    }
    if let Some(folder) = &options.records
        && !folder.is_dir()
    {
        return Err(CliError::usage(
            format!("there is no folder {}", folder.display()),
            "--records DIR with FHIR bundles (*.json), or leave it out",
        ));
    }
    let records = demo::count_records(options).map_err(|e| {
        CliError::usage(
            format!("there is nothing to upload: {e:#}"),
            "--records DIR with FHIR bundles (*.json), or leave it out",
        )
    })?;
    if options.scheme != SchemeId::Tags && records > demo::MAX_SCANNED {
        return Err(CliError::usage(
            format!(
                "{records} records, at most {} with --scheme {}: a search tests each of them",
                demo::MAX_SCANNED,
                options.scheme
            ),
            "--patients 4, or --scheme tags",
        ));
    }
    let narrator = Narrator::new(false);
    let summary = demo::run(options, &narrator).await.map_err(|e| {
        CliError::failure(
            format!("the demo stopped: {e:#}"),
            "run it again with -v to see more",
        )
    })?;
    match common.format() {
        OutputFormat::Table => print_checks(&summary, output)?,
        OutputFormat::Json | OutputFormat::Ndjson | OutputFormat::Csv => output.object(&summary)?,
    }
    let failed: Vec<String> = summary
        .checks()
        .into_iter()
        .filter(|(_, holds)| !holds)
        .map(|(name, _)| name)
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(CliError::verification_failed(
        format!("{} checks failed: {}", failed.len(), failed.join("; ")),
        "run it again with -v to see more",
    ))
}

#[derive(serde::Serialize)]
struct CheckRow {
    check: String,
    holds: &'static str,
}

fn print_checks(summary: &demo::Summary, output: &Output) -> Result<(), CliError> {
    let rows: Vec<CheckRow> = summary
        .checks()
        .into_iter()
        .map(|(check, holds)| CheckRow {
            check,
            holds: if holds { "yes" } else { "NO" },
        })
        .collect();
    output.rows(&rows)?;
    output.note(&format!(
        "{} records of {} patients, {} index tags; upload p50 {} ms, p99 {} ms; {:.1} s, {} MiB",
        summary.records,
        summary.patients,
        summary.index_tags,
        summary.upload_ms.p50,
        summary.upload_ms.p99,
        summary.wall_s,
        summary.peak_rss_mib
    ));
    Ok(())
}

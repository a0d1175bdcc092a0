//! `mine`: the mining chain of the logging paper, block by block.

use caduceus_cli::{CliError, CommonArgs, Output, OutputFormat, until_stopped};
use caduceus_crypto::{SecretKey, TimeMillis};
use caduceus_ledger::{ChainKind, DifficultyRule, Genesis, Seal, Validator, ValidatorSet};
use caduceus_node::home::EngineKind;
use caduceus_node::pow::{self, MAX_MINERS, PowError, PowSettings};
use caduceus_node::{Chain, Clock, Guard, NodeHome, SystemClock};
use caduceus_operator::{SealRow, home, seal_text};
use clap::Args;
use private_chain::{PrivateGenesis, PrivateMachine};
use rand_core::OsRng;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How to mine.
#[derive(Debug, Args)]
pub(super) struct Mine {
    /// Threads that compete for each block.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_MINERS)))]
    miners: u32,
    /// Blocks to mine.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    blocks: u32,
    /// N rises after a block that took fewer milliseconds [default: 100, or the rule of the chain]
    #[arg(long, value_name = "MS")]
    rise_below_ms: Option<u64>,
    /// N falls after a block that took more milliseconds [default: 1000, or the rule of the chain]
    #[arg(long, value_name = "MS")]
    fall_above_ms: Option<u64>,
    /// N never exceeds this, at most 12 [default: 5, or the rule of the chain]
    #[arg(long, value_name = "N")]
    max_n: Option<u8>,
}

/// What is mined on.
struct Ground {
    home: PathBuf,
    genesis: Genesis,
    key: SecretKey,
    /// Removes a temporary folder in the end.
    _folder: Option<tempfile::TempDir>,
}

impl Ground {
    /// The node of a folder, which must be one that mines.
    fn of_home(home: NodeHome) -> Result<Self, CliError> {
        if home.file.engine != EngineKind::Pow {
            return Err(CliError::usage(
                format!(
                    "the node in {} runs the engine {}, not pow",
                    home.path.display(),
                    home.file.engine.as_str()
                ),
                "--home DIR of a node with engine = \"pow\", or no --home for a chain of its own",
            ));
        }
        Ok(Self {
            home: home.path,
            genesis: home.genesis,
            key: home.key,
            _folder: None,
        })
    }

    /// A chain that nobody keeps.
    fn temporary() -> Result<Self, CliError> {
        let folder = tempfile::tempdir().map_err(|e| {
            CliError::failure(
                format!("no temporary folder: {e}"),
                "--home DIR of a node with engine = \"pow\"",
            )
        })?;
        let [key, identity, server] = std::array::from_fn(|_| SecretKey::generate(&mut OsRng));
        let own = PrivateGenesis::new(
            "mining chain".to_owned(),
            identity.public(),
            server.public(),
        )
        .expect("a short name and two fresh keys make a genesis");
        let validators = ValidatorSet::new(vec![Validator {
            key: key.public(),
            power: 1,
        }])
        .expect("one validator of power 1 is a set");
        let now = SystemClock.now();
        Ok(Self {
            home: folder.path().to_path_buf(),
            genesis: Genesis {
                kind: ChainKind::Private,
                name: "mining chain".to_owned(),
                time: TimeMillis(now.0.saturating_sub(1)),
                validators,
                app: own.encode(),
            },
            key,
            _folder: Some(folder),
        })
    }
}

/// Mines, and prints the blocks as they are found.
pub(super) async fn run(
    mine: &Mine,
    common: &CommonArgs,
    program: &str,
    output: &Output,
) -> Result<(), CliError> {
    let ground = match common.home {
        Some(_) => Ground::of_home(home(common, program)?)?,
        None => Ground::temporary()?,
    };
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    let listener = tokio::spawn(async move {
        if until_stopped().await.is_ok() {
            told.store(true, Ordering::Relaxed);
        }
    });
    let mined = tokio::task::block_in_place(|| blocks(mine, &ground, &stop, output));
    listener.abort();
    mined
}

fn failed(error: impl std::fmt::Display) -> CliError {
    CliError::failure(
        format!("no block was mined: {error}"),
        "validate says whether the chain of this node holds",
    )
}

fn open(ground: &Ground) -> Result<Chain, CliError> {
    Chain::open(
        &ground.home,
        ground.genesis.clone(),
        Arc::new(PrivateMachine),
        Arc::new(SystemClock),
    )
    .map_err(|error| {
        if error.is_in_use() {
            return CliError::locked(
                format!(
                    "the store is in use: a node runs in {}",
                    ground.home.display()
                ),
                "stop the node first, then mine; a running node mines by itself",
            );
        }
        failed(error)
    })
}

fn blocks(
    mine: &Mine,
    ground: &Ground,
    stop: &AtomicBool,
    output: &Output,
) -> Result<(), CliError> {
    let chain = open(ground)?;
    pow::check_start(&chain).map_err(not_mined)?;
    let mut guard = Guard::open(&ground.home.join("last-signed")).map_err(failed)?;
    let last = pow::last_seal(&chain).map_err(not_mined)?;
    let settings = PowSettings {
        miners: mine.miners,
        rule: rule(mine, last.as_ref(), &ground.home)?,
    };
    let mut rows = Vec::new();
    for n in 0..mine.blocks {
        let is_told = || stop.load(Ordering::Relaxed);
        let step = pow::step(&chain, &ground.key, &mut guard, &settings, &is_told);
        let Some(sealed) = step.map_err(not_mined)? else {
            output.note("stopped");
            break;
        };
        let seal = &sealed.body;
        match output.format() {
            OutputFormat::Table => {
                let gap = if n == 0 { "" } else { "\n" };
                output.raw(format!("{gap}{}", seal_text(seal)).as_bytes())?;
            }
            OutputFormat::Ndjson => output.object(&SealRow::from(seal))?,
            OutputFormat::Json | OutputFormat::Csv => rows.push(SealRow::from(seal)),
        }
    }
    match output.format() {
        OutputFormat::Json | OutputFormat::Csv => output.rows(&rows),
        OutputFormat::Table | OutputFormat::Ndjson => Ok(()),
    }
}

/// The rule of the chain, or that of its first block.
fn rule(mine: &Mine, last: Option<&Seal>, home: &Path) -> Result<DifficultyRule, CliError> {
    let base = last.map_or(DifficultyRule::DEFAULT, |seal| seal.rule);
    let rule = DifficultyRule {
        rise_below_millis: mine.rise_below_ms.unwrap_or(base.rise_below_millis),
        fall_above_millis: mine.fall_above_ms.unwrap_or(base.fall_above_millis),
        max_n: mine.max_n.unwrap_or(base.max_n),
    };
    if last.is_some() && rule != base {
        return Err(CliError::usage(
            format!("the chain in {} has another rule already", home.display()),
            format!(
                "--rise-below-ms {} --fall-above-ms {} --max-n {}, or leave them out",
                base.rise_below_millis, base.fall_above_millis, base.max_n
            ),
        ));
    }
    rule.check().map_err(|error| {
        CliError::usage(
            error.to_string(),
            "--rise-below-ms not above --fall-above-ms, and --max-n from 0 to 12",
        )
    })?;
    Ok(rule)
}

fn not_mined(error: PowError) -> CliError {
    match error {
        PowError::NotMined { .. } | PowError::Validators { .. } => CliError::usage(
            error.to_string(),
            "--home DIR of a chain of one validator that was mined from its first block",
        ),
        other => failed(other),
    }
}

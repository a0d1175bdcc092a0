//! The control: nodes without guard, log and pending blocks, killed all at once under load, sign twice. Whoever does
//! not find that finds nothing.

use super::{CrashArgs, FIRST_START};
use crate::chaos::load::{Load, Rate};
use crate::chaos::pack::{Pack, journaled};
use anyhow::ensure;
use caduceus_cli::Output;
use caduceus_node::NodeOptions;
use caduceus_node::bft::{SignJournal, double_signatures};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often it is tried.
const TRIES: u32 = 20;
/// How long a chain may take to acknowledge something after a restart.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the control found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Control {
    /// Kills until a double signature was found.
    pub(super) tries: u32,
    /// Double signatures found.
    pub(super) double_signatures: usize,
}

/// What a home loses besides its guard: all but its key and its chain.
const FORGOTTEN: [&str; 3] = ["wal", "pending", "last-signed"];

fn forget(home: &Path) -> std::io::Result<()> {
    for name in FORGOTTEN {
        let path = home.join(name);
        if path.is_dir() {
            std::fs::remove_dir_all(path)?;
        } else if path.exists() {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Kills until the journals show a double signature, or gives up.
pub(super) async fn run(
    arguments: &CrashArgs,
    root: &Path,
    output: &Output,
) -> anyhow::Result<Control> {
    let options = NodeOptions {
        risky_no_guard: true,
        ..journaled()
    };
    let mut pack = Pack::create(root, arguments.validators.into(), &options).await?;
    pack.spawn_all()?;
    pack.all_serve(FIRST_START).await?;
    let mut load = Load::start(&pack, Rate::default(), arguments.seed).await?;
    let mut rng = ChaCha20Rng::seed_from_u64(arguments.seed);
    let mut control = Control::default();
    let progress = output.progress("killing nodes without a guard");
    while control.tries < TRIES && control.double_signatures == 0 {
        progress.set_steps(control.tries.into(), TRIES.into());
        let told = load.told().count();
        let begun = Instant::now();
        while load.told().count() == told {
            ensure!(
                begun.elapsed() < PATIENCE,
                "the nodes of the control acknowledge nothing: {}",
                pack.last_words(0, 3)
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tokio::time::sleep(Duration::from_micros(rng.gen_range(50_000..250_000))).await;
        if !load.has_begun(PATIENCE).await {
            break;
        }
        pack.kill_all();
        control.tries += 1;
        for home in pack.homes() {
            control.double_signatures += double_signatures(&SignJournal::read(home)?).len();
            forget(home)?;
        }
        if control.double_signatures == 0 {
            pack.spawn_all()?;
        }
    }
    load.stop().await;
    load.shutdown().await;
    Ok(control)
}

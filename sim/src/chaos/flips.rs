//! One byte of one file of a node's home is changed; the home is opened as a node's start does and read as a whole
//! (THREATS 1.4, insider edits a database file).
//!
//! A flip is *detected* when the node refuses, leaves something out or makes it anew; *harmless* when everything
//! read is as it was (unused pages, the case of a digit); *silent* when something else is read as if it were true.
//! A changed `node.toml` that still parses is counted apart, as *settings*: it is the operator's own text.

mod look;
mod original;
mod report;
mod scratch;

use caduceus_cli::{CliError, Output};
use clap::Args;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use self::look::Outcome;
use self::report::Report;

/// Bytes at the beginning of a file that get a share of their own: headers.
const HEAD_BYTES: usize = 512;

/// Draws for a byte that is not zero.
const MAX_DRAWS: usize = 200;

/// What to do.
#[derive(Clone, Debug, Args)]
pub struct FlipsArgs {
    /// Bytes to change, one at a time
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    flips: u32,
    /// Seed of the places and of the changed bits
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// A file of the original.
struct Original {
    path: PathBuf,
    /// What it is called in the report.
    kind: String,
    bytes: Vec<u8>,
}

/// One change.
struct Flip<'a> {
    file: &'a Original,
    at: usize,
    mask: u8,
}

/// Makes a home, flips, and prints the report.
///
/// # Errors
/// Verification failed, when a flip was silent or ended in a panic; failure, when it could not be run.
pub async fn run(arguments: &FlipsArgs, output: &Output) -> Result<(), CliError> {
    let measured = measure(arguments, output).await;
    let report = measured.map_err(|e| {
        CliError::failure(
            format!("the flips could not be run: {e:#}"),
            "look at what it names, then run it again",
        )
    })?;
    output.object(&report)?;
    if let Some(broken) = report.broken() {
        return Err(CliError::verification_failed(
            broken,
            "the report names the places; the same seed finds them again",
        ));
    }
    match report.blind() {
        None => Ok(()),
        Some(kind) => Err(CliError::failure(
            format!("no flip of {kind} was ever noticed"),
            "the harness does not read that file: mend it",
        )),
    }
}

async fn measure(arguments: &FlipsArgs, output: &Output) -> anyhow::Result<Report> {
    let begun = Instant::now();
    let folder = scratch::folder()?;
    let mut rng = ChaCha20Rng::seed_from_u64(arguments.seed);
    let (home, known) = original::make(folder.path(), &mut rng).await?;
    let files = read(&home)?;
    let bytes = files.iter().map(|file| file.bytes.len() as u64).sum();
    anyhow::ensure!(known.signatures() > 0, "the key of the home signed nothing");
    let untouched = known.compare(&home_copy(&home, folder.path(), "untouched")?);
    anyhow::ensure!(
        untouched == Outcome::Harmless,
        "an untouched copy is {untouched:?}"
    );
    let report = Mutex::new(Report::new(arguments.seed, known.heights(), bytes));
    let progress = output.progress("flipping");
    let next = AtomicU64::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let work = |worker: usize| -> anyhow::Result<()> {
        let copy = folder.path().join(format!("copy{worker}"));
        loop {
            let n = next.fetch_add(1, Ordering::SeqCst);
            if n >= arguments.flips.into() {
                return Ok(());
            }
            progress.set_steps(n, arguments.flips.into());
            let flip = choose(&files, arguments.seed, n);
            write(&files, &flip, &copy)?;
            let outcome = catch_unwind(AssertUnwindSafe(|| known.compare(&copy)));
            let place = format!(
                "{} at {} ^ {:#04x}",
                flip.file.path.display(),
                flip.at,
                flip.mask
            );
            report.lock().expect("no holder of this lock panics").add(
                &flip.file.kind,
                &place,
                &outcome.unwrap_or(Outcome::Panic),
            );
        }
    };
    let work = &work;
    // A panic over damaged bytes is a finding, and counted.
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let done = tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..workers).map(|n| scope.spawn(move || work(n))).collect();
            running
                .into_iter()
                .map(|one| one.join())
                .collect::<Vec<_>>()
        })
    });
    panic::set_hook(hook);
    drop(progress);
    for worker in done {
        worker.map_err(|_| anyhow::anyhow!("a worker panicked"))??;
    }
    let mut report = report.into_inner().expect("no holder of this lock panics");
    report.wall_s = (begun.elapsed().as_secs_f64() * 10.0).round() / 10.0;
    Ok(report)
}

fn home_copy(home: &Path, folder: &Path, name: &str) -> std::io::Result<PathBuf> {
    let copy = folder.join(name);
    scratch::copy(home, &copy)?;
    Ok(copy)
}

/// The files that are flipped: all that are not empty.
fn read(home: &Path) -> std::io::Result<Vec<Original>> {
    let mut files = Vec::new();
    for path in scratch::files(home)? {
        let bytes = std::fs::read(home.join(&path))?;
        let folder = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        files.push(Original {
            kind: folder.unwrap_or(&path).display().to_string(),
            path,
            bytes,
        });
    }
    Ok(files)
}

/// Flip number `n`: half of them in a file chosen by its size, half in any; a quarter in the head of the file; half
/// of them of a byte that is not zero, if one is found.
fn choose(files: &[Original], seed: u64, n: u64) -> Flip<'_> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    rng.set_stream(n + 1);
    let filled: Vec<&Original> = files.iter().filter(|file| !file.bytes.is_empty()).collect();
    let file = if rng.gen_bool(0.5) {
        filled
            .choose_weighted(&mut rng, |file| file.bytes.len())
            .ok()
    } else {
        filled.choose(&mut rng)
    };
    let file = file.expect("a home has a file that is not empty");
    let span = if rng.gen_bool(0.25) {
        file.bytes.len().min(HEAD_BYTES)
    } else {
        file.bytes.len()
    };
    let mut at = rng.gen_range(0..span);
    if rng.gen_bool(0.5) {
        // Pages that are not in use are zeros for the most part.
        for _ in 0..MAX_DRAWS {
            if file.bytes[at] != 0 {
                break;
            }
            at = rng.gen_range(0..span);
        }
    }
    Flip {
        file,
        at,
        mask: rng.gen_range(1..=255),
    }
}

/// Writes the home with the flip in it.
fn write(files: &[Original], flip: &Flip<'_>, to: &Path) -> std::io::Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    for file in files {
        let path = to.join(&file.path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        if std::ptr::eq(file, flip.file) {
            let mut bytes = file.bytes.clone();
            bytes[flip.at] ^= flip.mask;
            std::fs::write(path, bytes)?;
        } else {
            std::fs::write(path, &file.bytes)?;
        }
    }
    Ok(())
}

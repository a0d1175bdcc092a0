//! What an operator does with a node has an entry in the hospital's audit log, also when the node is not running.
//!
//! A command first writes its deed into a file of its own in the node's folder, sealed and durable. The running node
//! takes the deeds up, has each committed on the hospital's chain, and removes its file. A command of a running node
//! waits for that before it goes on; one that works on the folder of a stopped node goes on at once, and its deed is
//! committed when the node runs next. Whoever removes the file before that leaves a gap in what the file system of
//! that machine shows, not in the log: a node that is stopped has no log but its folder.
//!
//! # Leakage
//! Who reads the folder learns how many deeds wait and how long they are, nothing of what they say.

mod drain;
mod file;
mod sink;

pub use drain::{DeedSink, drain_deeds};
pub use file::DeedFiles;
pub use sink::HospitalServer;

use caduceus_cli::{CliError, NetworkFile};
use caduceus_crypto::TimeMillis;
use caduceus_network::Service;
use caduceus_network::exchange::{Deed, DeedKind, DeedOutcome};
use caduceus_node::{Clock, NodeHome, SystemClock};
use rand_core::{OsRng, RngCore};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Takes up the deeds of a node that runs, if the network file says which hospital's log they belong to; otherwise they
/// wait.
///
/// # Errors
/// Failure, when the folder cannot be used or another process takes its deeds up.
pub fn take_up_deeds(
    home: &Path,
    network: &NetworkFile,
    service: &Service,
) -> Result<Option<JoinHandle<()>>, CliError> {
    let home = NodeHome::load(home)
        .map_err(|e| CliError::usage(e.to_string(), "mend the file, then start the node again"))?;
    match HospitalServer::of(&home, network, service) {
        Some(server) => drain_deeds(&home, server).map(Some),
        None => {
            tracing::warn!(
                "the network file names no hospital for this node: its operators' deeds wait"
            );
            Ok(None)
        }
    }
}

/// How long a command waits for its entry.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(20);

/// A command that has its entry, or will have it when the node runs next.
pub struct Announced {
    files: DeedFiles,
    deed: Deed,
}

/// Enters a command before it is carried out.
///
/// # Errors
/// Failure, when the folder cannot be written; unreachable, when the node runs and does not get the entry committed.
pub async fn announce(
    home: &NodeHome,
    program: &str,
    kind: DeedKind,
    command: &str,
) -> Result<Announced, CliError> {
    let files = DeedFiles::of(home)?;
    let mut request = [0u8; 16];
    OsRng.fill_bytes(&mut request);
    let deed = Deed {
        time: now(),
        program: program.to_owned(),
        node: home.file.moniker.clone(),
        kind,
        command: command.to_owned(),
        operator: operator(),
        outcome: DeedOutcome::Success,
        reason: String::new(),
        request,
    }
    .cut();
    let name = files.write(&deed)?;
    let announced = Announced { files, deed };
    if announced.files.is_drained() {
        let until = Instant::now() + PATIENCE;
        while announced.files.waits(&name) {
            if Instant::now() > until {
                // The entry may yet be committed: another one says how it ended.
                return announced.ended(Err(CliError::unreachable(
                    "the command has no entry in the audit log yet, so it is not carried out",
                    format!(
                        "look at the node: {program} status --home DIR, and at the hospital's server"
                    ),
                )));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(announced)
}

impl Announced {
    /// Enters that the command failed, if it did; gives its outcome back.
    ///
    /// # Errors
    /// The command's own; the folder's, when the entry cannot be written.
    pub fn ended<T>(self, outcome: Result<T, CliError>) -> Result<T, CliError> {
        let error = match outcome {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let ended = match error.exit {
            caduceus_cli::ExitCode::Denied => DeedOutcome::Denied,
            _ => DeedOutcome::Failed,
        };
        let failed = Deed {
            time: now(),
            outcome: ended,
            reason: error.what.clone(),
            ..self.deed
        };
        self.files.write(&failed.cut())?;
        Err(error)
    }
}

/// The command as it was typed, without the program. Secrets are never in it: they are in files.
pub fn command_line() -> String {
    std::env::args().skip(1).collect::<Vec<_>>().join(" ")
}

fn now() -> TimeMillis {
    SystemClock.now()
}

/// Who runs the command, as the operating system says; for people.
fn operator() -> String {
    let name = ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok())
        .unwrap_or_default();
    let id = std::fs::read_to_string("/proc/self/loginuid").unwrap_or_default();
    // 4294967295 stands for a process that nobody logged in for.
    match id.trim() {
        "" | "4294967295" => name,
        id => format!("{name} (login {id})"),
    }
}

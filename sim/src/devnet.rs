//! A network as separate processes of the real programs, in a folder.
//!
//! `DIR/devnet.json` lists the processes. A process is signalled only if it still is the program that was
//! started: its command line must name its home.

use crate::generator;
use crate::layout::{Layout, NetworkSpec, slug};
use crate::loopback::Prober;
use caduceus_cli::{CliError, NetworkFile, Output, read_limited};
use caduceus_network::PeerAddr;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Passphrase of the staff homes that `up` makes.
const PASSPHRASE: &str = "caduceus devnet";
const PATIENCE: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(8);
const MAX_STATE_BYTES: usize = 1024 * 1024;

/// One process of the network.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Process {
    name: String,
    program: String,
    arguments: Vec<String>,
    home: PathBuf,
    address: String,
    pid: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct State {
    processes: Vec<Process>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    pid: u32,
    running: bool,
    height: Option<u64>,
    home: String,
}

fn failed(what: impl std::fmt::Display, todo: &str) -> CliError {
    CliError::failure(what.to_string(), todo)
}

/// The program beside this one.
fn program(name: &str) -> Result<PathBuf, CliError> {
    let own = std::env::current_exe().map_err(|e| {
        failed(
            format!("the path of this program: {e}"),
            "run it by its full path",
        )
    })?;
    let path = own.with_file_name(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(CliError::not_found(
        format!("{name} is not built beside {}", own.display()),
        "cargo build --release --workspace",
    ))
}

fn state_path(dir: &Path) -> PathBuf {
    dir.join("devnet.json")
}

fn load(dir: &Path) -> Result<State, CliError> {
    let path = state_path(dir);
    if !path.exists() {
        return Err(CliError::not_found(
            format!("{} holds no devnet", dir.display()),
            "sim devnet up DIR makes one",
        ));
    }
    let bytes = read_limited(&path, MAX_STATE_BYTES)?;
    serde_json::from_slice(&bytes).map_err(|e| {
        failed(
            format!("{}: {e}", path.display()),
            "remove the folder and make a new devnet",
        )
    })
}

fn save(dir: &Path, state: &State) -> Result<(), CliError> {
    let text = serde_json::to_vec_pretty(state).map_err(|e| failed(e, "report this"))?;
    caduceus_cli::write_private(&state_path(dir), &text)
}

/// Whether the process is still the one that was started.
fn runs(process: &Process) -> bool {
    let Ok(line) = std::fs::read(format!("/proc/{}/cmdline", process.pid)) else {
        return false;
    };
    let home = process.home.to_string_lossy().into_owned();
    let zombie = std::fs::read_to_string(format!("/proc/{}/stat", process.pid)).is_ok_and(|stat| {
        stat.rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('Z'))
    });
    !zombie
        && String::from_utf8_lossy(&line)
            .split('\0')
            .any(|word| word == home)
}

fn plan(dir: &Path, network: &NetworkFile) -> Vec<Process> {
    let process =
        |name: String, program: &str, command: &str, home: PathBuf, address: &str| Process {
            name,
            program: program.to_owned(),
            arguments: vec![
                command.to_owned(),
                "--home".to_owned(),
                home.to_string_lossy().into_owned(),
            ],
            home,
            address: address.to_owned(),
            pid: 0,
        };
    let mut all = Vec::new();
    for (n, node) in network.alliance.nodes.iter().enumerate() {
        let home = dir.join("alliance").join(format!("n{n}"));
        all.push(process(
            format!("alliance n{n}"),
            "alliance-chain",
            "start",
            home,
            &node.service,
        ));
    }
    for hospital in &network.hospitals {
        let base = dir.join(slug(&hospital.name));
        for (n, node) in hospital.nodes.iter().enumerate() {
            let home = base.join("private").join(format!("n{n}"));
            all.push(process(
                format!("{} private n{n}", hospital.name),
                "private-chain",
                "start",
                home,
                &node.service,
            ));
        }
        let (server, keys) = (base.join("server"), base.join("keys"));
        all.push(process(
            format!("{} server", hospital.name),
            "hospital-server",
            "serve",
            server,
            &hospital.server,
        ));
        all.push(process(
            format!("{} keys", hospital.name),
            "hospital-server",
            "keys",
            keys,
            &hospital.keys,
        ));
    }
    all
}

fn spawn(process: &mut Process) -> Result<(), CliError> {
    let todo = "look at the log in its home";
    let log = std::fs::File::create(process.home.join("log.txt"))
        .map_err(|e| failed(format!("the log of {}: {e}", process.name), todo))?;
    let child = Command::new(program(&process.program)?)
        .args(&process.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::from(log))
        .spawn()
        .map_err(|e| failed(format!("{} does not start: {e}", process.name), todo))?;
    process.pid = child.id();
    Ok(())
}

/// Runs one of the programs to its end and returns what it printed as JSON.
fn run(name: &str, arguments: &[&str]) -> Result<serde_json::Value, CliError> {
    let done = Command::new(program(name)?)
        .args(arguments)
        .args(["--output", "json"])
        .env("CADUCEUS_PASSPHRASE", PASSPHRASE)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| {
            failed(
                format!("{name} does not run: {e}"),
                "cargo build --release --workspace",
            )
        })?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        return Err(failed(
            format!("{name} {}: {said}", arguments.join(" ")),
            "look at the logs in the homes",
        ));
    }
    serde_json::from_slice(&done.stdout).map_err(|e| {
        failed(
            format!("{name} printed no JSON: {e}"),
            "rebuild: cargo build --release --workspace",
        )
    })
}

/// Makes a network, or takes the one that is there, and starts its processes.
///
/// # Errors
/// With what to do, in two lines. What was started is stopped again.
pub async fn up(dir: &Path, output: &Output) -> Result<(), CliError> {
    for name in [
        "alliance-chain",
        "private-chain",
        "hospital-server",
        "patient-client",
        "data-user-client",
    ] {
        program(name)?;
    }
    let dir = std::path::absolute(dir).map_err(|e| failed(e, "name a folder that can be made"))?;
    let fresh = !dir.join("network.toml").exists();
    if state_path(&dir).exists() && load(&dir)?.processes.iter().any(runs) {
        return Err(CliError::usage(
            format!("the devnet in {} is running", dir.display()),
            "sim devnet down DIR stops it",
        ));
    }
    if fresh {
        Layout::create(&dir, &NetworkSpec::default()).map_err(|e| {
            failed(
                format!("the network cannot be made: {e:#}"),
                "name an empty folder that is writable",
            )
        })?;
    }
    let network = NetworkFile::load(&dir.join("network.toml"))?;
    let mut state = State {
        processes: plan(&dir, &network),
    };
    let started = start_all(&dir, &mut state, fresh, &network, output).await;
    if let Err(error) = started {
        stop_all(&state).await;
        return Err(error);
    }
    println_commands(&dir, &network, output)
}

async fn start_all(
    dir: &Path,
    state: &mut State,
    fresh: bool,
    network: &NetworkFile,
    output: &Output,
) -> Result<(), CliError> {
    for n in 0..state.processes.len() {
        spawn(&mut state.processes[n])?;
        save(dir, state)?;
    }
    let prober = Prober::start()
        .await
        .map_err(|e| failed(e, "free a port on loopback"))?;
    let begun = Instant::now();
    for process in &state.processes {
        let address: PeerAddr = process
            .address
            .parse()
            .map_err(|e| failed(e, "remove the folder and make a new devnet"))?;
        while prober.height(&address).await.is_none() {
            if !runs(process) || begun.elapsed() > PATIENCE {
                let log = process.home.join("log.txt");
                return Err(failed(
                    format!("{} did not come up", process.name),
                    &format!("read {}", log.display()),
                ));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    output.note(&format!("{} processes are up", state.processes.len()));
    if fresh {
        for hospital in &network.hospitals {
            staff(dir, &hospital.name)?;
        }
        examples(dir, network)?;
    }
    Ok(())
}

/// Makes and enrols a registrar and a physician.
fn staff(dir: &Path, hospital: &str) -> Result<(), CliError> {
    let base = dir.join(slug(hospital));
    let network = dir.join("network.toml");
    let network = network.to_string_lossy();
    let server = base.join("server");
    let server = server.to_string_lossy();
    for role in ["registrar", "physician"] {
        let home = base.join("staff").join(role);
        let home = home.to_string_lossy();
        let made = run(
            "hospital-server",
            &[
                "init",
                "--home",
                &home,
                "--network",
                &network,
                "--hospital",
                hospital,
            ],
        )?;
        let key = made["staff_key"].as_str().ok_or_else(|| {
            failed(
                "init printed no staff_key",
                "rebuild: cargo build --release --workspace",
            )
        })?;
        run(
            "hospital-server",
            &[
                "staff",
                "enrol",
                key,
                "--role",
                role,
                "--label",
                role,
                "--server-home",
                &server,
                "--network",
                &network,
            ],
        )?;
    }
    Ok(())
}

/// Two patients' histories to upload.
fn examples(dir: &Path, network: &NetworkFile) -> Result<(), CliError> {
    let folder = dir.join("examples");
    std::fs::create_dir_all(&folder).map_err(|e| failed(e, "a folder that is writable"))?;
    let names: Vec<&str> = network.hospitals.iter().map(|h| h.name.as_str()).collect();
    for (bundle, name) in generator::patients(7, 2, 4..=6, &names)
        .iter()
        .zip(["alice", "bob"])
    {
        std::fs::write(folder.join(format!("{name}.json")), bundle)
            .map_err(|e| failed(e, "a folder that has room"))?;
    }
    Ok(())
}

fn println_commands(dir: &Path, network: &NetworkFile, output: &Output) -> Result<(), CliError> {
    let first = network.hospitals.first().map_or("", |h| h.name.as_str());
    let base = dir.join(slug(first));
    let (d, b) = (dir.display(), base.display());
    let bin = std::env::current_exe()
        .ok()
        .and_then(|p| p.parent().map(Path::to_path_buf))
        .unwrap_or_default();
    let text = format!(
        "# in another shell
export PATH=\"{}:$PATH\" CADUCEUS_NETWORK={d}/network.toml CADUCEUS_PASSPHRASE='{PASSPHRASE}'

# Alice makes her keys, the registrar of {first} her card
patient-client --home {d}/people/alice init
META=$(patient-client --home {d}/people/alice card --output json | sed -n 's/.*\"meta_address\": *\"\\([^\"]*\\)\".*/\\1/p')
hospital-server --home {b}/staff/registrar patient register \"$META\"
#   it prints the card, its QR text and a desk code; put them in
CARD='...'  QR='...'  CODE='...'
patient-client --home {d}/people/alice register \"$CARD\" --desk-code \"$CODE\"

# the physician uploads her history, she searches and opens it
hospital-server --home {b}/staff/physician upload --card \"$QR\" --organisation '{first}' {d}/examples/alice.json
patient-client --home {d}/people/alice search type:Encounter
patient-client --home {d}/people/alice open 1

# an institute asks, the hospital vouches for it, she grants and revokes
data-user-client --home {d}/people/institute init
data-user-client --home {d}/people/institute id
#   it prints two keys; put them in
ID='...'  RECEIVING='...'
hospital-server data-user admit \"$ID\" \"$RECEIVING\" --label Institute --server-home {b}/server
data-user-client --home {d}/people/institute request --purpose HRESCH --sought 'conditions' --days 30
patient-client --home {d}/people/alice requests
patient-client --home {d}/people/alice grant 1 --to \"$ID\" --days 30 --purpose HRESCH
data-user-client --home {d}/people/institute grants
#   GRANT is the identifier in that table
data-user-client --home {d}/people/institute fetch \"$GRANT\"
patient-client --home {d}/people/alice access-log
patient-client --home {d}/people/alice revoke \"$GRANT\"

sim devnet status {d}
sim devnet down {d}
",
        bin.display()
    );
    output.raw(text.as_bytes())
}

async fn stop_all(state: &State) -> usize {
    let signal = |process: &Process, name: &str| {
        if process.pid != 0 && runs(process) {
            // If it has ended meanwhile there is nothing to do.
            let _ = Command::new("kill")
                .args([name, &process.pid.to_string()])
                .stderr(Stdio::null())
                .status();
        }
    };
    let running = state
        .processes
        .iter()
        .filter(|p| p.pid != 0 && runs(p))
        .count();
    for process in &state.processes {
        signal(process, "-TERM");
    }
    let begun = Instant::now();
    while state.processes.iter().any(|p| p.pid != 0 && runs(p)) && begun.elapsed() < GRACE {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for process in &state.processes {
        signal(process, "-KILL");
    }
    running
}

/// Stops the network's processes.
///
/// # Errors
/// When there is no devnet, or a process does not end.
pub async fn down(dir: &Path, output: &Output) -> Result<(), CliError> {
    let dir = std::path::absolute(dir).map_err(|e| failed(e, "name the folder of a devnet"))?;
    let state = load(&dir)?;
    let stopped = stop_all(&state).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let left: Vec<&str> = state
        .processes
        .iter()
        .filter(|p| runs(p))
        .map(|p| p.name.as_str())
        .collect();
    if !left.is_empty() {
        return Err(failed(
            format!("still running: {}", left.join(", ")),
            "end them by hand; their homes say which they are",
        ));
    }
    output.note(&format!(
        "{stopped} processes stopped; nothing is left running"
    ));
    Ok(())
}

/// Prints how each process is doing.
///
/// # Errors
/// When there is no devnet.
pub async fn status(dir: &Path, output: &Output) -> Result<(), CliError> {
    let dir = std::path::absolute(dir).map_err(|e| failed(e, "name the folder of a devnet"))?;
    let state = load(&dir)?;
    let prober = Prober::start()
        .await
        .map_err(|e| failed(e, "free a port on loopback"))?;
    let mut rows = Vec::new();
    for process in &state.processes {
        let running = runs(process);
        let height = match process.address.parse::<PeerAddr>() {
            Ok(address) if running => prober.height(&address).await,
            _ => None,
        };
        rows.push(Row {
            name: process.name.clone(),
            pid: process.pid,
            running,
            height,
            home: process.home.display().to_string(),
        });
    }
    output.rows(&rows)
}

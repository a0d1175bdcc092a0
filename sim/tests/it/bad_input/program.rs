//! The real programs, as child processes of the test.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

/// Patients' program.
pub const PATIENT: &str = "patient-client";
/// The hospital's: workstation and administration.
pub const HOSPITAL: &str = "hospital-server";
/// Data users' program.
pub const DATA_USER: &str = "data-user-client";
/// A node of a hospital's chain.
pub const PRIVATE_CHAIN: &str = "private-chain";
/// A node of the alliance.
pub const ALLIANCE_CHAIN: &str = "alliance-chain";
/// Demo, benches and attacks.
pub const SIM: &str = "sim";

/// The programs of other packages.
const PROGRAMS: [&str; 5] = [PATIENT, HOSPITAL, DATA_USER, PRIVATE_CHAIN, ALLIANCE_CHAIN];

/// Longest that a program may take: each gives up by itself long before.
const LIMIT: Duration = Duration::from_secs(120);

/// One run of a program.
#[derive(Clone, Debug)]
pub struct Call {
    program: &'static str,
    arguments: Vec<String>,
    variables: BTreeMap<&'static str, String>,
}

/// How it ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// From start to end.
    pub took: Duration,
}

impl Call {
    /// A run without any environment.
    pub fn new(program: &'static str, arguments: &[&str]) -> Self {
        Self {
            program,
            arguments: arguments
                .iter()
                .map(|argument| (*argument).to_owned())
                .collect(),
            variables: BTreeMap::new(),
        }
    }

    /// Sets an environment variable.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.insert(name, value.into());
        self
    }

    /// Takes an environment variable away.
    pub fn without(mut self, name: &'static str) -> Self {
        self.variables.remove(name);
        self
    }

    /// The same, with JSON on standard output.
    pub fn json(mut self) -> Self {
        self.arguments
            .extend(["--output".to_owned(), "json".to_owned()]);
        self
    }

    /// Runs it, without a terminal, to its end.
    pub async fn run(&self) -> Outcome {
        let begun = Instant::now();
        let mut command = tokio::process::Command::new(path_of(self.program));
        command
            .args(&self.arguments)
            .env_clear()
            .envs(&self.variables)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let done = tokio::time::timeout(LIMIT, command.output())
            .await
            .unwrap_or_else(|_| panic!("{} {} hangs", self.program, self.arguments.join(" ")))
            .unwrap_or_else(|error| panic!("{} does not run: {error}", self.program));
        Outcome {
            code: done.status.code(),
            stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
            took: begun.elapsed(),
        }
    }
}

impl Outcome {
    /// What it printed, as JSON; null if it printed none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_default()
    }
}

fn path_of(program: &str) -> PathBuf {
    if program == SIM {
        // Cargo builds a package's own program before its tests.
        return PathBuf::from(env!("CARGO_BIN_EXE_sim"));
    }
    folder().join(program)
}

/// The folder with the programs, beside that of this test. What is missing there, or older than its sources, is
/// built first: `cargo test -p sim` builds the other packages' libraries only.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let own = std::env::current_exe().expect("a test has a path");
        // target/PROFILE/deps/it-HASH
        let folder = own
            .ancestors()
            .nth(2)
            .expect("a test is two folders deep")
            .to_path_buf();
        let sources = newest_source();
        let is_current = |name: &&str| {
            let made =
                std::fs::metadata(folder.join(name)).and_then(|metadata| metadata.modified());
            made.is_ok_and(|made| made >= sources)
        };
        if !PROGRAMS.iter().all(|name| is_current(name)) {
            build(&folder);
        }
        folder
    })
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("sim is a folder of the workspace")
}

fn build(folder: &Path) {
    let profile = folder
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a profile's folder has a name");
    // Set by cargo for the tests it runs.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    // The whole workspace, so that features are resolved as for everything else in this folder.
    command.args([
        "build",
        "--workspace",
        "--profile",
        if profile == "debug" { "dev" } else { profile },
    ]);
    for name in PROGRAMS {
        command.args(["--bin", name]);
    }
    command.arg("--target-dir").arg(
        folder
            .parent()
            .expect("a profile's folder lies in a target folder"),
    );
    let done = command
        .current_dir(workspace())
        .output()
        .expect("cargo starts");
    assert!(
        done.status.success(),
        "the programs are not built: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// When the newest source of any package was written.
fn newest_source() -> SystemTime {
    let mut newest = SystemTime::UNIX_EPOCH;
    let mut folders = vec![workspace().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            // Tests and the simulator are no part of the programs.
            if [".git", "target", "tests", "sim", "docs"]
                .iter()
                .any(|other| name == *other)
            {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let written = entry.metadata().and_then(|metadata| metadata.modified());
                newest = newest.max(written.unwrap_or(SystemTime::UNIX_EPOCH));
            }
        }
    }
    newest
}

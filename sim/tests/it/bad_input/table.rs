//! Cases: a run of a program, and how it must end.

use super::program::{Call, Outcome};
use super::world::{PASSPHRASE, World, files_below};
use caduceus_cli::ExitCode;
use std::path::Path;

/// How a run must end.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    /// With exit code 0: a control.
    Works,
    /// With this code and two lines on standard error, the first of which says this.
    Fails(ExitCode, &'static str),
}

/// A run and its ending.
pub struct Case {
    what: String,
    call: Call,
    ending: Ending,
}

impl Case {
    /// A control.
    pub fn works(what: impl Into<String>, call: Call) -> Self {
        Self {
            what: what.into(),
            call,
            ending: Ending::Works,
        }
    }

    /// A mistake.
    pub fn fails(what: impl Into<String>, call: Call, exit: ExitCode, says: &'static str) -> Self {
        Self {
            what: what.into(),
            call,
            ending: Ending::Fails(exit, says),
        }
    }
}

/// Runs cases and gathers what is wrong, so that one run of the test shows all of it.
#[derive(Default)]
pub struct Table {
    controls: usize,
    mistakes: usize,
    problems: Vec<String>,
}

impl Table {
    /// Runs a group one after the other. A mistake must leave no trace.
    pub async fn run(&mut self, world: &World, group: &str, cases: Vec<Case>) {
        for case in cases {
            let before = world.traces();
            let outcome = case.call.run().await;
            if let Ending::Fails(..) = case.ending {
                for trace in world.traces().since(&before) {
                    self.problem(&format!("{group}: {}: {trace}", case.what), &outcome);
                }
            }
            self.judge(&format!("{group}: {}", case.what), &outcome, case.ending);
        }
    }

    /// The same for what needs no network. A mistake must leave the folder as it was.
    pub async fn run_alone(&mut self, folder: &Path, group: &str, cases: Vec<Case>) {
        for case in cases {
            let before = files_below(folder);
            let outcome = case.call.run().await;
            let what = format!("{group}: {}", case.what);
            if let Ending::Fails(..) = case.ending {
                let same = files_below(folder) == before;
                self.check(&format!("{what}: the folder is another"), same, &outcome);
            }
            self.judge(&what, &outcome, case.ending);
        }
    }

    /// Runs a control and returns what it printed as JSON.
    pub async fn control(&mut self, what: &str, call: Call) -> serde_json::Value {
        let outcome = call.json().run().await;
        self.judge(what, &outcome, Ending::Works);
        outcome.json()
    }

    /// Counts a run and notes how it differs from its ending.
    pub fn judge(&mut self, what: &str, outcome: &Outcome, ending: Ending) {
        match ending {
            Ending::Works => self.controls += 1,
            Ending::Fails(..) => self.mistakes += 1,
        }
        for problem in problems(outcome, ending) {
            self.problem(&format!("{what}: {problem}"), outcome);
        }
    }

    /// Notes a problem unless this holds.
    pub fn check(&mut self, what: &str, holds: bool, outcome: &Outcome) {
        if !holds {
            self.problem(what, outcome);
        }
    }

    fn problem(&mut self, what: &str, outcome: &Outcome) {
        let Outcome {
            code,
            stdout,
            stderr,
            took,
        } = outcome;
        let shown: String = stdout.chars().take(2_000).collect();
        self.problems.push(format!(
            "{what}\n  exit {code:?} after {took:?}\n  stdout: {shown}\n  stderr: {stderr}"
        ));
    }

    /// Says how many cases ran, and fails if one ended otherwise than it must.
    pub fn finish(self, at_least: usize) {
        println!(
            "{} mistakes and {} controls ran",
            self.mistakes, self.controls
        );
        assert!(
            self.problems.is_empty(),
            "{} problems\n\n{}",
            self.problems.len(),
            self.problems.join("\n\n")
        );
        assert!(self.mistakes >= at_least, "{} mistakes only", self.mistakes);
    }
}

/// Whether a line begins like this and goes on.
fn told(line: &str, start: &str) -> bool {
    line.strip_prefix(start)
        .is_some_and(|rest| !rest.trim().is_empty())
}

/// What is wrong with how a run ended.
fn problems(outcome: &Outcome, ending: Ending) -> Vec<String> {
    let mut found = Vec::new();
    for said in [&outcome.stdout, &outcome.stderr] {
        if said.contains("panicked at") || said.contains("RUST_BACKTRACE") {
            found.push("it panicked".to_owned());
        }
        if said.contains(PASSPHRASE) {
            found.push("it shows the passphrase".to_owned());
        }
    }
    let wanted = match ending {
        Ending::Works => ExitCode::Ok,
        Ending::Fails(exit, _) => exit,
    };
    if outcome.code != Some(wanted as i32) {
        found.push(format!("exit code {} is wanted", wanted as i32));
    }
    let Ending::Fails(_, says) = ending else {
        return found;
    };
    match outcome.stderr.lines().collect::<Vec<&str>>().as_slice() {
        [what, todo] if told(what, "error: ") && told(todo, "try: ") => {
            if !what.contains(says) {
                found.push(format!("the first line does not say {says:?}"));
            }
        }
        _ => found.push("two lines are wanted, error: and try:".to_owned()),
    }
    if !outcome.stdout.is_empty() {
        found.push("it printed data all the same".to_owned());
    }
    found
}

/// The control of the controls: what a program must not do is seen.
#[test]
fn every_planted_fault_is_seen() {
    let good = Outcome {
        code: Some(2),
        stderr: "error: not JSON: line 1, column 1\ntry: a FHIR R4 file in JSON\n".to_owned(),
        ..Outcome::default()
    };
    let ending = Ending::Fails(ExitCode::Usage, "not JSON");
    assert_eq!(problems(&good, ending), Vec::<String>::new());
    let with_stderr = |stderr: &str| Outcome {
        stderr: stderr.to_owned(),
        ..good.clone()
    };
    let planted = [
        Outcome {
            code: Some(1),
            ..good.clone()
        },
        Outcome {
            code: None,
            ..good.clone()
        },
        Outcome {
            stdout: "{}".to_owned(),
            ..good.clone()
        },
        with_stderr(""),
        with_stderr("error: not JSON\n"),
        with_stderr("error: not JSON\ntry: \n"),
        with_stderr("error: something\ntry: anything\n"),
        with_stderr("try: a FHIR file\nerror: not JSON\n"),
        with_stderr("WARN a warning\nerror: not JSON\ntry: a FHIR file\n"),
        with_stderr("error: not JSON\ntry: a FHIR file\nand another one\n"),
        with_stderr("error: not JSON; thread 'main' panicked at x.rs\ntry: a FHIR file\n"),
        with_stderr(&format!(
            "error: not JSON\ntry: another one than {PASSPHRASE}\n"
        )),
    ];
    for outcome in &planted {
        assert_eq!(
            problems(outcome, ending).len(),
            1,
            "{outcome:?}: {:?}",
            problems(outcome, ending)
        );
    }
    let fine = Outcome {
        code: Some(0),
        stdout: "[]\n".to_owned(),
        ..with_stderr("nothing to show\n")
    };
    assert_eq!(problems(&fine, Ending::Works), Vec::<String>::new());
    assert_eq!(problems(&good, Ending::Works).len(), 1);
    println!("{} planted faults, all seen", planted.len() + 1);
}

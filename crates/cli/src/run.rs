//! The frame of every `main`.

use crate::args::CommonArgs;
use crate::error::{CliError, ExitCode};
use crate::output::Output;
use crate::{logging, usage};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long background tasks may hold up the exit.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The arguments of a program.
pub trait Program: clap::Parser {
    /// The flags that every program has.
    fn common(&self) -> &CommonArgs;

    /// Level of logs: 0 warnings, 1 information, 2 debugging, 3 everything. What runs as a service raises it
    /// by one.
    fn log_level(&self) -> u8 {
        self.common().verbose
    }

    /// Whether to log nothing unless `-v` asks for it: for a program that tells its story itself.
    fn quiet(&self) -> bool {
        false
    }
}

/// Parses the arguments, starts logging and the tokio runtime, runs the program, prints an error, and says
/// how to exit:
///
/// ```no_run
/// # use caduceus_cli::{CommonArgs, Program, run_main};
/// # #[derive(clap::Parser)]
/// # struct Arguments { #[command(flatten)] common: CommonArgs }
/// impl Program for Arguments {
///     fn common(&self) -> &CommonArgs {
///         &self.common
///     }
/// }
///
/// fn main() -> std::process::ExitCode {
///     run_main(|arguments: Arguments, output| async move {
///         output.object(&arguments.common.verbose)
///     })
/// }
/// ```
pub fn run_main<P, F, Fut>(run: F) -> std::process::ExitCode
where
    P: Program,
    F: FnOnce(P, Output) -> Fut,
    Fut: Future<Output = Result<(), CliError>>,
{
    let program = match P::try_parse() {
        Ok(program) => program,
        Err(error) => return usage::report(&error).into(),
    };
    logging::init(program.log_level(), program.quiet());
    let output = Output::new(program.common().format());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(run(program, output));
            runtime.shutdown_timeout(EXIT_TIMEOUT);
            outcome
        }
        Err(error) => Err(CliError::failure(
            format!("cannot start the runtime: {error}"),
            "free some memory or raise the limit of threads (ulimit -u)",
        )),
    };
    match outcome {
        Ok(()) => ExitCode::Ok.into(),
        Err(error) => {
            error.report();
            error.exit.into()
        }
    }
}

/// What a process is asked by a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To stop: an interrupt (Ctrl-C) or a termination signal.
    Stop,
    /// To read its settings again: a hangup signal.
    Reload,
}

/// The signals to a service. From the first moment that one of these exists, none of them kills the process.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// Failure, when signals cannot be waited for.
    pub fn listen() -> Result<Self, CliError> {
        let listen = |kind| {
            signal(kind).map_err(|error| {
                CliError::failure(
                    format!("cannot wait for signals: {error}"),
                    "run it under a supervisor that allows them",
                )
            })
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}

/// Waits until the process is asked to stop, by an interrupt (Ctrl-C) or a termination signal.
///
/// # Errors
/// Failure, when signals cannot be waited for.
pub async fn until_stopped() -> Result<(), CliError> {
    let cannot = |error: std::io::Error| {
        CliError::failure(
            format!("cannot wait for signals: {error}"),
            "run it under a supervisor that allows them",
        )
    };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

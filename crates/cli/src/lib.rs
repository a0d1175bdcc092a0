//! Give every program the same flags, output, errors and exit codes.
//!
//! The conventions of DESIGN section 8. Data goes to standard output in the format that `--output` names;
//! progress and logs go to standard error. An error is two lines there, what happened and what to do, and
//! one of eight exit codes. Settings come from a file, the environment and flags, in rising order. Secrets
//! are never arguments, and files that hold them are private.
//!
//! A program derives its arguments with clap, flattens [`CommonArgs`] into them, implements [`Program`], and
//! its `main` is one call of [`run_main`].

mod args;
mod error;
mod files;
mod hidden;
mod logging;
mod network_file;
mod output;
mod passphrase;
mod progress;
mod run;
mod settings;
mod usage;

pub use args::{CommonArgs, OutputFormat, default_home};
pub use error::{CliError, ExitCode};
pub use files::{create_private_dir, read_limited, write_private, write_private_new};
pub use hidden::HiddenCommand;
pub use network_file::{AllianceSection, HospitalEntry, NetworkFile, NetworkFileError, NodeEntry};
pub use output::Output;
pub use passphrase::{new_passphrase, passphrase};
pub use progress::Progress;
pub use run::{Asked, Program, Signals, run_main, until_stopped};
pub use settings::load_settings;

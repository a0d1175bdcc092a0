//! Data on standard output, in the format the user asked for.

mod render;

use crate::args::OutputFormat;
use crate::error::CliError;
use crate::progress::Progress;
use serde::Serialize;
use std::io::{self, Write};

/// Prints data. Everything else a program says goes to standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    format: OutputFormat,
}

impl Output {
    /// A printer for a format.
    pub fn new(format: OutputFormat) -> Self {
        Self { format }
    }

    /// The format.
    pub fn format(&self) -> OutputFormat {
        self.format
    }

    /// Prints records: as table rows, a JSON array, JSON lines, or CSV lines. The columns are the fields of
    /// the records, in the order they first appear. No record prints nothing but an empty array.
    ///
    /// # Errors
    /// Failure, when a record has no JSON form or standard output fails. A reader that went away is none.
    pub fn rows<T: Serialize>(&self, rows: &[T]) -> Result<(), CliError> {
        if rows.is_empty() {
            self.note("nothing to show");
        }
        self.print(render::rows(self.format, rows).map_err(no_form)?.as_bytes())
    }

    /// Prints one object: a table of fields and values, a JSON document, a JSON line, or CSV.
    ///
    /// # Errors
    /// As [`Output::rows`].
    pub fn object<T: Serialize>(&self, object: &T) -> Result<(), CliError> {
        let text = render::object(self.format, object).map_err(no_form)?;
        self.print(text.as_bytes())
    }

    /// Prints bytes as they are, for content that has its own format.
    ///
    /// # Errors
    /// Failure, when standard output fails. A reader that went away is none.
    pub fn raw(&self, bytes: &[u8]) -> Result<(), CliError> {
        self.print(bytes)
    }

    /// Tells people something on standard error; silent when the output is for programs.
    pub fn note(&self, text: &str) {
        if self.format == OutputFormat::Table {
            // Where standard error fails there is nobody left to tell.
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// Shows progress on standard error, if it is a terminal and the output is for people.
    pub fn progress(&self, message: impl Into<String>) -> Progress {
        Progress::new(self.format == OutputFormat::Table, message.into())
    }

    fn print(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
        match written {
            // `program | head` is no mistake.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(CliError::failure(
                format!("cannot write to standard output: {error}"),
                "an output that is open and has room",
            )),
            Ok(()) => Ok(()),
        }
    }
}

fn no_form(reason: String) -> CliError {
    CliError::failure(
        format!("cannot print this result: {reason}"),
        "--output json",
    )
}

//! Errors as people see them: two lines and an exit code.

use std::fmt;
use std::io::{self, Write};

/// How a program ended, for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// Done.
    Ok = 0,
    /// Something went wrong that has no code of its own.
    Failure = 1,
    /// The command line or a setting is wrong.
    Usage = 2,
    /// What was asked for does not exist.
    NotFound = 3,
    /// The other side refused.
    Denied = 4,
    /// A proof, signature or hash does not hold.
    VerificationFailed = 5,
    /// Nobody answered.
    Unreachable = 6,
    /// A keystore or a home is locked: wrong passphrase, or in use by another process.
    Locked = 7,
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        // The enum's values are the codes.
        std::process::ExitCode::from(code as u8)
    }
}

/// An error with its two lines. Line breaks and control characters inside are replaced when it is shown,
/// because parts of it may come from another machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliError {
    /// The exit code.
    pub exit: ExitCode,
    /// What happened.
    pub what: String,
    /// What to do about it.
    pub todo: String,
}

impl CliError {
    /// An error with any exit code.
    pub fn new(exit: ExitCode, what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            todo: todo.into(),
        }
    }

    /// Something went wrong that has no code of its own.
    pub fn failure(what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::new(ExitCode::Failure, what, todo)
    }

    /// The command line or a setting is wrong.
    pub fn usage(what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, what, todo)
    }

    /// What was asked for does not exist.
    pub fn not_found(what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::new(ExitCode::NotFound, what, todo)
    }

    /// The other side refused.
    pub fn denied(what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::new(ExitCode::Denied, what, todo)
    }

    /// A proof, signature or hash does not hold.
    pub fn verification_failed(what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::new(ExitCode::VerificationFailed, what, todo)
    }

    /// Nobody answered.
    pub fn unreachable(what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::new(ExitCode::Unreachable, what, todo)
    }

    /// A keystore or a home is locked.
    pub fn locked(what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::new(ExitCode::Locked, what, todo)
    }

    /// Writes the two lines to standard error. Where even that fails there is nobody left to tell.
    pub fn report(&self) {
        let _ = writeln!(io::stderr().lock(), "{self}");
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "error: {}\ntry: {}",
            one_line(&self.what),
            one_line(&self.todo)
        )
    }
}

impl std::error::Error for CliError {}

/// Joins lines with a space and shows control characters, so that foreign text cannot act on a terminal.
pub(crate) fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        for c in word.chars() {
            if c.is_control() {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_two_lines_whatever_is_inside() {
        let error = CliError::denied(
            "the hospital refused:\n  not on duty\u{1b}[2J",
            "ask for\r\na shift",
        );
        let shown = error.to_string();
        assert_eq!(
            shown,
            "error: the hospital refused: not on duty\\u{1b}[2J\ntry: ask for a shift"
        );
        assert_eq!(shown.lines().count(), 2);
    }

    #[test]
    fn codes_are_those_of_the_design() {
        let codes = [
            ExitCode::Ok,
            ExitCode::Failure,
            ExitCode::Usage,
            ExitCode::NotFound,
            ExitCode::Denied,
            ExitCode::VerificationFailed,
            ExitCode::Unreachable,
            ExitCode::Locked,
        ];
        for (number, code) in codes.into_iter().enumerate() {
            assert_eq!(code as usize, number);
        }
    }
}

//! Passphrases: from a file, the environment or the terminal, never from the command line, which every
//! process of the machine can read.

use crate::error::CliError;
use crate::files::read_limited;
use std::io::{self, IsTerminal};
use std::path::Path;
use zeroize::Zeroizing;

/// Names a file with the passphrase; the first choice for unattended programs.
const FILE_VARIABLE: &str = "CADUCEUS_PASSPHRASE_FILE";

/// The passphrase itself; processes of the same user can read it.
const VALUE_VARIABLE: &str = "CADUCEUS_PASSPHRASE";

/// Longest passphrase file, bytes.
const MAX_FILE_BYTES: usize = 4096;

/// Shortest passphrase for a new keystore, characters.
const MIN_CHARACTERS: usize = 8;

/// Gets the passphrase of something that exists, for example `your keystore`.
///
/// # Errors
/// Locked, when there is no passphrase to be had; the error of the file, when it cannot be read.
pub fn passphrase(of: &str) -> Result<Zeroizing<String>, CliError> {
    match unattended()? {
        Some(found) => Ok(found),
        None => prompt(&format!("Passphrase of {of}: ")),
    }
}

/// Gets a passphrase for something new; asks twice on a terminal and refuses short ones.
///
/// # Errors
/// Usage, when it is too short or the two differ; otherwise as [`passphrase`].
pub fn new_passphrase(of: &str) -> Result<Zeroizing<String>, CliError> {
    let (first, again) = match unattended()? {
        Some(found) => (found, None),
        None => {
            let first = prompt(&format!("New passphrase for {of}: "))?;
            check_length(&first)?;
            (first, Some(prompt("The same again: ")?))
        }
    };
    check_length(&first)?;
    if again.is_some_and(|again| *again != *first) {
        return Err(CliError::usage(
            "the two passphrases differ",
            "the command again, and type slowly",
        ));
    }
    Ok(first)
}

fn check_length(passphrase: &str) -> Result<(), CliError> {
    if passphrase.chars().count() < MIN_CHARACTERS {
        return Err(CliError::usage(
            format!("the passphrase is shorter than {MIN_CHARACTERS} characters"),
            "several words that nobody says together",
        ));
    }
    Ok(())
}

fn unattended() -> Result<Option<Zeroizing<String>>, CliError> {
    let file = std::env::var_os(FILE_VARIABLE);
    let value = std::env::var(VALUE_VARIABLE).ok().map(Zeroizing::new);
    from_sources(file.as_ref().map(Path::new), value)
}

/// The file goes before the value; an empty value counts as none.
fn from_sources(
    file: Option<&Path>,
    value: Option<Zeroizing<String>>,
) -> Result<Option<Zeroizing<String>>, CliError> {
    if let Some(path) = file {
        let bytes = Zeroizing::new(read_limited(path, MAX_FILE_BYTES)?);
        let text = std::str::from_utf8(&bytes).map_err(|_| {
            CliError::usage(
                format!("the passphrase file {} is not text", path.display()),
                format!("a file with one line of UTF-8 in {FILE_VARIABLE}"),
            )
        })?;
        // An editor ends the line; a passphrase may end in a space.
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err(CliError::locked(
                format!("the passphrase file {} is empty", path.display()),
                "write the passphrase into it, readable by you alone",
            ));
        }
        return Ok(Some(Zeroizing::new(text.to_owned())));
    }
    Ok(value.filter(|text| !text.is_empty()))
}

fn prompt(question: &str) -> Result<Zeroizing<String>, CliError> {
    if !io::stdin().is_terminal() {
        return Err(CliError::locked(
            "a passphrase is needed and there is no terminal to ask for it",
            format!("{FILE_VARIABLE}=FILE, or {VALUE_VARIABLE} in the environment"),
        ));
    }
    let typed = rpassword::prompt_password(question)
        .map(Zeroizing::new)
        .map_err(|error| {
            CliError::locked(
                format!("cannot read the passphrase: {error}"),
                format!("a terminal, or {FILE_VARIABLE}=FILE"),
            )
        })?;
    if typed.is_empty() {
        return Err(CliError::locked(
            "no passphrase was typed",
            "the command again, with the passphrase",
        ));
    }
    Ok(typed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::ExitCode;

    fn value(text: &str) -> Option<Zeroizing<String>> {
        Some(Zeroizing::new(text.to_owned()))
    }

    #[test]
    fn the_file_goes_first_and_loses_one_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passphrase");
        for (content, expected) in [
            ("correct horse", "correct horse"),
            ("correct horse\n", "correct horse"),
            ("correct horse \r\n", "correct horse "),
            ("two\nlines\n", "two\nlines"),
        ] {
            std::fs::write(&path, content).unwrap();
            let found = from_sources(Some(&path), value("other")).unwrap();
            assert_eq!(found.unwrap().as_str(), expected);
        }
    }

    #[test]
    fn without_a_file_the_value_counts_unless_empty() {
        let found = from_sources(None, value("from the environment")).unwrap();
        assert_eq!(found.unwrap().as_str(), "from the environment");
        assert!(from_sources(None, value("")).unwrap().is_none());
        assert!(from_sources(None, None).unwrap().is_none());
    }

    #[test]
    fn a_useless_file_has_its_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passphrase");
        let error = from_sources(Some(&path), None).unwrap_err();
        assert_eq!(error.exit, ExitCode::NotFound);
        std::fs::write(&path, "\n").unwrap();
        let error = from_sources(Some(&path), None).unwrap_err();
        assert_eq!(error.exit, ExitCode::Locked);
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        let error = from_sources(Some(&path), None).unwrap_err();
        assert_eq!(error.exit, ExitCode::Usage);
    }

    #[test]
    fn a_short_new_passphrase_is_refused() {
        assert!(check_length("1234567").is_err());
        assert!(check_length("\u{e4}\u{f6}\u{fc}\u{df}\u{e4}\u{f6}\u{fc}\u{df}").is_ok());
    }
}

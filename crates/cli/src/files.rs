//! Files: private ones written whole or not at all, foreign ones read within a limit.

use crate::error::{CliError, ExitCode};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes a file that only its owner can read (mode 0600), replacing what is there: a temporary file beside
/// it, flushed to the disk, takes its place in one step, so a crash leaves the old file or the new one.
///
/// # Errors
/// Failure or denied, naming the file.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    write(path, bytes, |temporary| fs::rename(temporary, path))
}

/// As [`write_private`], but never replaces a file: keys are not overwritten by mistake.
///
/// # Errors
/// Failure when the file exists; otherwise as [`write_private`].
pub fn write_private_new(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    // A hard link fails where a rename would replace.
    write(path, bytes, |temporary| fs::hard_link(temporary, path))
}

/// Makes a directory that only its owner can enter (mode 0700), with its parents. One that exists stays as
/// it is.
///
/// # Errors
/// Failure or denied, naming the directory.
pub fn create_private_dir(path: &Path) -> Result<(), CliError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| cannot("make the directory", path, &error))
}

/// Reads a file of at most `limit` bytes.
///
/// # Errors
/// Not found, denied, or failure, naming the file.
pub fn read_limited(path: &Path, limit: usize) -> Result<Vec<u8>, CliError> {
    let file = File::open(path).map_err(|error| cannot("read", path, &error))?;
    let mut bytes = Vec::new();
    // One more than allowed tells a full file from a longer one.
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most)
        .read_to_end(&mut bytes)
        .map_err(|error| cannot("read", path, &error))?;
    if bytes.len() > limit {
        return Err(CliError::failure(
            format!("{} is larger than {limit} bytes", path.display()),
            "the right file, or a smaller one",
        ));
    }
    Ok(bytes)
}

fn write(
    path: &Path,
    bytes: &[u8],
    publish: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), CliError> {
    let temporary = temporary_beside(path)?;
    let outcome = fill(&temporary, bytes)
        .and_then(|()| publish(&temporary))
        .and_then(|()| sync_directory(path));
    // After a rename there is nothing to remove; after anything else there must be nothing left.
    let _ = fs::remove_file(&temporary);
    outcome.map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            CliError::failure(
                format!("{} exists already", path.display()),
                "another --home, or move the file away if you are sure",
            )
        } else {
            cannot("write", path, &error)
        }
    })
}

fn temporary_beside(path: &Path) -> Result<PathBuf, CliError> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let Some(name) = path.file_name() else {
        return Err(CliError::usage(
            format!("{} does not name a file", path.display()),
            "a path that ends in a file name",
        ));
    };
    let mut temporary = OsString::from(".");
    temporary.push(name);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    temporary.push(format!(".{}-{number}.tmp", std::process::id()));
    Ok(path.with_file_name(temporary))
}

fn fill(temporary: &Path, bytes: &[u8]) -> io::Result<()> {
    // What a crashed process with our number left behind is in nobody's use.
    let _ = fs::remove_file(temporary);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(temporary)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the new name durable.
fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)?.sync_all()
}

fn cannot(action: &str, path: &Path, error: &io::Error) -> CliError {
    let (exit, todo) = match error.kind() {
        io::ErrorKind::NotFound => (ExitCode::NotFound, "a path that exists"),
        io::ErrorKind::PermissionDenied => (
            ExitCode::Denied,
            "as the user who owns it, or another directory",
        ),
        io::ErrorKind::StorageFull => (ExitCode::Failure, "free some room on the disk"),
        _ => (ExitCode::Failure, "check the path and the disk"),
    };
    CliError::new(
        exit,
        format!("cannot {action} {}: {error}", path.display()),
        todo,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn private_files_are_private_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_private(&path, b"first").unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), mode(&path)),
            (b"first".to_vec(), 0o600)
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write_private(&path, b"second").unwrap();
        assert_eq!(
            (fs::read(&path).unwrap(), mode(&path)),
            (b"second".to_vec(), 0o600)
        );
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing is left"
        );
    }

    #[test]
    fn a_new_file_never_replaces_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        write_private_new(&path, b"first").unwrap();
        assert_eq!(mode(&path), 0o600);
        let error = write_private_new(&path, b"second").unwrap_err();
        assert_eq!(error.exit, ExitCode::Failure);
        assert!(error.what.contains("exists already"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing is left"
        );
    }

    #[test]
    fn a_limit_is_a_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, [7; 10]).unwrap();
        assert_eq!(read_limited(&path, 10).unwrap(), vec![7; 10]);
        let error = read_limited(&path, 9).unwrap_err();
        assert_eq!(error.exit, ExitCode::Failure);
        let error = read_limited(&dir.path().join("other"), 9).unwrap_err();
        assert_eq!(error.exit, ExitCode::NotFound);
        assert_eq!(error.to_string().lines().count(), 2);
    }

    #[test]
    fn directories_are_private_with_their_parents() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        create_private_dir(&path).unwrap();
        create_private_dir(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        let error = write_private(&path.join("c/d"), b"x").unwrap_err();
        assert_eq!(error.exit, ExitCode::NotFound);
        assert_eq!(
            write_private(Path::new("/"), b"x").unwrap_err().exit,
            ExitCode::Usage
        );
    }
}

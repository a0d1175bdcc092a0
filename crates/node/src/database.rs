//! Opens a redb file, or says why it must not be used.
//!
//! redb checks its checksums on repair and on demand, not on reads, and some damage makes it panic; so every
//! file is checked as a whole when it is opened, with a net under it (THREATS, fact 4). A file that redb could
//! only mend by going back to an older commit is refused too: a node that forgot a committed height in silence
//! might sign it again.

use crate::store::StoreError;
use redb::Database;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Bytes of pages that redb keeps in memory for each file.
const CACHE_BYTES: usize = 32 * 1024 * 1024;

/// Opens a file as it is, to find out what is wrong with it. Reads may bring damaged bytes or panic.
///
/// # Errors
/// When it is not there, in use, or no database any more.
pub fn open_unchecked(path: &Path) -> Result<Database, StoreError> {
    let opened = catch_unwind(AssertUnwindSafe(|| {
        Database::builder().set_cache_size(CACHE_BYTES).open(path)
    }));
    match opened {
        Ok(opened) => Ok(opened?),
        Err(_) => Err(StoreError::Corrupt {
            path: path.to_path_buf(),
            reason: "the database engine panicked over it".to_owned(),
        }),
    }
}

/// Opens or creates a file and checks all of it.
///
/// # Errors
/// [`StoreError::Corrupt`] when it is damaged; [`StoreError::Database`] when it is in use or cannot be read.
pub fn open(path: &Path) -> Result<Database, StoreError> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|source| StoreError::File {
            path: parent.to_path_buf(),
            source,
        })?;
    }
    checked(path, || {
        Database::builder().set_cache_size(CACHE_BYTES).create(path)
    })
}

/// Opens what is called `path`, and checks all of it.
///
/// # Errors
/// As [`open`].
pub fn checked(
    path: &Path,
    create: impl FnOnce() -> Result<Database, redb::DatabaseError>,
) -> Result<Database, StoreError> {
    let corrupt = |reason: String| StoreError::Corrupt {
        path: path.to_path_buf(),
        reason,
    };
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let mut db = create()?;
        let whole = db.check_integrity()?;
        Ok::<_, redb::DatabaseError>((db, whole))
    }));
    match opened {
        Ok(Ok((db, true))) => Ok(db),
        Ok(Ok((_, false))) => Err(corrupt("its checksums do not hold".to_owned())),
        Ok(Err(redb::DatabaseError::Storage(redb::StorageError::Corrupted(reason)))) => {
            Err(corrupt(reason))
        }
        Ok(Err(redb::DatabaseError::Storage(redb::StorageError::Io(error))))
            if error.kind() == ErrorKind::InvalidData =>
        {
            Err(corrupt(error.to_string()))
        }
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(corrupt("the database engine panicked over it".to_owned())),
    }
}

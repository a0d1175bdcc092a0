//! Opens a redb file, or says why it must not be used.
//!
//! redb checks its checksums on repair and on demand, not on reads, and some damage makes it panic; so every
//! file is checked as a whole when it is opened, with a net under it (THREATS, fact 4). A file that redb could
//! only mend by going back to an older commit is refused too: a node that forgot a committed height in silence
//! might sign it again.

use crate::store::StoreError;
use redb::Database;
use std::fs::File;
use std::io::{ErrorKind, Read};
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
    if goes_back(path) {
        return Err(StoreError::Corrupt {
            path: path.to_path_buf(),
            reason: "its header does not name the newest commit".to_owned(),
        });
    }
    checked(path, || {
        Database::builder().set_cache_size(CACHE_BYTES).create(path)
    })
}

/// Where redb's header (file format 3, docs/design.md of redb) says which of its two commit slots is current, and each
/// slot the number of its transaction. No checksum covers the first of these.
mod header {
    pub const FLAGS_AT: usize = 9;
    pub const SECOND_IS_CURRENT: u8 = 1;
    pub const NOT_CLOSED: u8 = 2;
    pub const KNOWN_FLAGS: u8 = 7;
    pub const TRANSACTION_AT: [usize; 2] = [64 + 104, 64 + 128 + 104];
    pub const BYTES: usize = 64 + 2 * 128;
}

/// Whether a closed file names the older of its two commits as the current one: one flipped bit does that, and redb
/// would go back by a commit in silence.
fn goes_back(path: &Path) -> bool {
    let mut bytes = [0u8; header::BYTES];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
    if read.is_err() {
        // Absent or too short: redb says what it is.
        return false;
    }
    let flags = bytes[header::FLAGS_AT];
    if flags & !header::KNOWN_FLAGS != 0 {
        return true;
    }
    let [first, second] = header::TRANSACTION_AT.map(|at| {
        let mut number = [0u8; 8];
        number.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(number)
    });
    let (current, other) = if flags & header::SECOND_IS_CURRENT == 0 {
        (first, second)
    } else {
        (second, first)
    };
    flags & header::NOT_CLOSED == 0 && current < other
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use redb::TableDefinition;

    const TABLE: TableDefinition<'static, u64, u64> = TableDefinition::new("numbers");

    #[test]
    fn a_header_that_names_the_older_commit_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("numbers.redb");
        let mut refused = 0;
        for n in 0..8 {
            let db = open(&path).unwrap();
            let mut txn = db.begin_write().unwrap();
            txn.set_two_phase_commit(true);
            txn.open_table(TABLE).unwrap().insert(n, n).unwrap();
            txn.commit().unwrap();
            drop(db);
            let good = std::fs::read(&path).unwrap();
            for flip in 1..=255u8 {
                if flip & (header::SECOND_IS_CURRENT | !header::KNOWN_FLAGS) == 0 {
                    continue;
                }
                // One that also says that the file was not closed is repaired and checked by redb.
                if flip & header::NOT_CLOSED != 0 && flip & !header::KNOWN_FLAGS == 0 {
                    continue;
                }
                let mut bad = good.clone();
                bad[header::FLAGS_AT] ^= flip;
                std::fs::write(&path, &bad).unwrap();
                assert!(
                    matches!(open(&path), Err(StoreError::Corrupt { .. })),
                    "{n} {flip:#x}"
                );
                refused += 1;
            }
            std::fs::write(&path, &good).unwrap();
        }
        println!("{refused} flips of the header's flags refused");
    }
}

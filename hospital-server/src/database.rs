//! redb as this package uses it: byte keys, borsh values, one error.

use redb::{Database, TableDefinition};
use std::path::{Path, PathBuf};

pub(crate) type Bytes = &'static [u8];
pub(crate) type ByteTable = TableDefinition<'static, Bytes, Bytes>;

/// Page cache of one database.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// Why a database cannot be used. After a failed write the handle is dead: restart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseFailure {
    /// The database failed, or another process has it open.
    #[error("database {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: redb::Error,
    },
    /// A read or write failed.
    #[error("database: {0}")]
    Use(#[from] redb::Error),
    /// Bytes read are not what was written.
    #[error("the stored {what} is damaged")]
    Damaged {
        /// What was read.
        what: &'static str,
    },
}

macro_rules! from_redb {
    ($($t:ty),*) => {$(
        impl From<$t> for DatabaseFailure {
            fn from(e: $t) -> Self { DatabaseFailure::Use(e.into()) }
        }
    )*};
}
from_redb!(
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::SetDurabilityError
);

/// Opens or creates a database.
pub(crate) fn open(path: &Path) -> Result<Database, DatabaseFailure> {
    Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create(path)
        .map_err(|source| DatabaseFailure::Open {
            path: path.to_path_buf(),
            source: source.into(),
        })
}

/// Decodes a stored value.
pub(crate) fn decode<T: borsh::BorshDeserialize>(
    bytes: &[u8],
    what: &'static str,
) -> Result<T, DatabaseFailure> {
    borsh::from_slice(bytes).map_err(|_| DatabaseFailure::Damaged { what })
}

/// Runs what waits for the disk or the processor on a thread that may wait.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

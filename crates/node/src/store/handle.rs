//! An open database, of the store or of its index. After a failed write redb's handle is dead, for reading too, so it is opened again in
//! place: reads go on, and writes once the medium takes them.

use super::StoreError;
use redb::{Database, ReadTransaction, ReadableDatabase, WriteTransaction};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

/// Between two attempts to open a file that could not be opened.
const RETRY: Duration = Duration::from_secs(1);

/// How the same database is opened again.
pub(crate) type Opener = Box<dyn Fn() -> Result<Database, StoreError> + Send + Sync>;

/// See the module.
pub(crate) struct Handle {
    state: RwLock<State>,
    open: Option<Opener>,
}

struct State {
    database: Option<Database>,
    tried: Instant,
    why: String,
}

impl StoreError {
    /// Whether the medium failed: a full disk, a device error, or an earlier one of these.
    pub(crate) fn is_medium(&self) -> bool {
        matches!(
            self,
            Self::Database(
                redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::DatabaseClosed
            ) | Self::File { .. }
                | Self::Closed { .. }
        )
    }
}

impl Handle {
    /// Over an open database. Without an opener it stays dead once it is.
    pub(crate) fn new(database: Database, open: Option<Opener>) -> Self {
        Self {
            state: RwLock::new(State {
                database: Some(database),
                tried: Instant::now(),
                why: String::new(),
            }),
            open,
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin<T>(
        &self,
        begin: impl Fn(&Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        {
            let state = self.read();
            if let Some(database) = &state.database {
                match begin(database) {
                    Err(error) if error.is_medium() => {}
                    outcome => return outcome,
                }
            } else if state.tried.elapsed() < RETRY {
                return Err(StoreError::Closed {
                    why: state.why.clone(),
                });
            }
        }
        self.reopen()?;
        match &self.read().database {
            Some(database) => begin(database),
            None => Err(StoreError::Closed { why: String::new() }),
        }
    }

    /// Begins to read.
    pub(crate) fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        self.begin(|database| Ok(database.begin_read()?))
    }

    /// Begins to write.
    pub(crate) fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        self.begin(|database| Ok(database.begin_write()?))
    }

    /// Opens the database again, with all the checks of a start. Who reads from the old handle gets an error.
    pub(crate) fn reopen(&self) -> Result<(), StoreError> {
        let Some(open) = &self.open else {
            return Err(StoreError::Closed {
                why: "a write failed before".to_owned(),
            });
        };
        let mut state = self.write();
        drop(state.database.take());
        state.tried = Instant::now();
        match open() {
            Ok(database) => {
                tracing::warn!("the database was opened again after a write failed");
                state.database = Some(database);
                Ok(())
            }
            Err(error) => {
                state.why = error.to_string();
                Err(error)
            }
        }
    }
}

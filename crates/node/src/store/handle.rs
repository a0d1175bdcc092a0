//! An open database, of the store or of its index. After a failed read or write redb's handle is dead, for reading
//! too, so it is opened again in place: reads go on, and writes once the medium takes them.

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
    /// How often the database was opened again: names the handle that somebody saw fail.
    generation: u64,
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

    /// Whether trying again may help: the medium failed, or the state could not be read, which says nothing of why.
    pub(crate) fn may_pass(&self) -> bool {
        self.is_medium() || matches!(self, Self::State(_))
    }
}

impl State {
    fn closed(&self) -> StoreError {
        StoreError::Closed {
            why: self.why.clone(),
        }
    }
}

impl Handle {
    /// Over an open database. Without an opener it stays dead once it is.
    pub(crate) fn new(database: Database, open: Option<Opener>) -> Self {
        Self {
            state: RwLock::new(State {
                database: Some(database),
                generation: 0,
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

    /// Begins something, and says of which generation.
    fn begin<T>(
        &self,
        begin: impl Fn(&Database) -> Result<T, StoreError>,
    ) -> Result<(T, u64), StoreError> {
        let seen = {
            let state = self.read();
            if let Some(database) = &state.database {
                match begin(database) {
                    Err(error) if error.is_medium() => {}
                    outcome => return Ok((outcome?, state.generation)),
                }
            }
            state.generation
        };
        self.reopen(seen)?;
        let state = self.read();
        match &state.database {
            Some(database) => Ok((begin(database)?, state.generation)),
            None => Err(state.closed()),
        }
    }

    /// Begins to read.
    pub(crate) fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        let (txn, _) = self.begin(|database| Ok(database.begin_read()?))?;
        Ok(txn)
    }

    /// Begins to write.
    pub(crate) fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        Ok(self.begin_write_noting()?.0)
    }

    /// Begins to write, and says of which generation, for [`Handle::reopen`].
    pub(crate) fn begin_write_noting(&self) -> Result<(WriteTransaction, u64), StoreError> {
        self.begin(|database| Ok(database.begin_write()?))
    }

    /// Opens the database again if a read or a write of it failed. After a failed read, reads still begin and get what
    /// is in memory, and nothing else; to begin a write tells.
    pub(crate) fn mend(&self) -> Result<(), StoreError> {
        self.begin_write().map(drop)
    }

    /// Opens the database again, with all the checks of a start, unless somebody has since the generation that the
    /// caller saw fail. Who reads from the old handle gets an error.
    pub(crate) fn reopen(&self, seen: u64) -> Result<(), StoreError> {
        let Some(open) = &self.open else {
            return Err(StoreError::Closed {
                why: "a write failed before".to_owned(),
            });
        };
        let mut state = self.write();
        match &state.database {
            Some(_) if state.generation != seen => return Ok(()),
            None if state.tried.elapsed() < RETRY => return Err(state.closed()),
            _ => {}
        }
        drop(state.database.take());
        let opened = open();
        state.tried = Instant::now();
        match opened {
            Ok(database) => {
                tracing::warn!("the database was opened again after it failed");
                state.database = Some(database);
                state.generation += 1;
                Ok(())
            }
            Err(error) => {
                state.why = error.to_string();
                Err(error)
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use redb::backends::InMemoryBackend;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    fn memory() -> Result<Database, StoreError> {
        Ok(Database::builder().create_with_backend(InMemoryBackend::new())?)
    }

    /// A handle that counts how often it is opened again, and fails to while told so.
    fn counted() -> (Handle, Arc<AtomicU32>, Arc<AtomicBool>) {
        let opens = Arc::new(AtomicU32::new(0));
        let fails = Arc::new(AtomicBool::new(false));
        let (counted, told) = (opens.clone(), fails.clone());
        let opener: Opener = Box::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            if told.load(Ordering::SeqCst) {
                return Err(StoreError::Closed {
                    why: "no medium".to_owned(),
                });
            }
            memory()
        });
        (Handle::new(memory().unwrap(), Some(opener)), opens, fails)
    }

    #[test]
    fn who_saw_the_old_handle_fail_does_not_close_the_new_one() {
        let (handle, opens, _) = counted();
        let (txn, seen) = handle.begin_write_noting().unwrap();
        drop(txn);
        assert_eq!(seen, 0);
        handle.reopen(seen).unwrap();
        let (txn, now) = handle.begin_write_noting().unwrap();
        assert_eq!(now, 1);
        // The second one to notice.
        handle.reopen(seen).unwrap();
        assert_eq!(opens.load(Ordering::SeqCst), 1);
        txn.commit().unwrap();
        handle.mend().unwrap();
        assert_eq!(opens.load(Ordering::SeqCst), 1, "a good handle stays");
        handle.reopen(now).unwrap();
        assert_eq!(opens.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_medium_that_is_gone_is_not_tried_by_everybody_at_once() {
        let (handle, opens, fails) = counted();
        fails.store(true, Ordering::SeqCst);
        assert!(handle.reopen(0).is_err());
        for _ in 0..10 {
            assert!(matches!(
                handle.begin_read(),
                Err(StoreError::Closed { why }) if why.contains("no medium")
            ));
            assert!(handle.reopen(0).is_err());
        }
        assert_eq!(opens.load(Ordering::SeqCst), 1);
        fails.store(false, Ordering::SeqCst);
        std::thread::sleep(RETRY);
        handle.begin_read().unwrap();
        assert_eq!(opens.load(Ordering::SeqCst), 2);
    }
}

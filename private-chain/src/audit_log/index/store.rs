//! The index's folder: loading it, merging runs and writing them, forgetting a bucket.
//!
//! `runs.list` ([`super::list`]) and a folder a bucket with its run files. A run is durable before the list names it,
//! and the list is before the files of the runs that it replaces go: what is in the folder and not in the list is of no
//! use to anybody.

use super::columns::Columns;
use super::list::{List, Listed};
use super::run::{Run, RunKey};
use super::state::{BucketState, FILE_ROWS, State};
use super::{Index, IndexError};
use crate::audit::Bucket;
use crate::audit_log::keys::file::{overwrite_and_remove, sync_folder};
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of a bucket are in a file before so many entries have come after them, so that a start need not go back further.
const LAG: u64 = 1 << 16;

fn failed(path: &Path) -> impl FnOnce(io::Error) -> IndexError {
    let path = path.to_owned();
    move |source| IndexError::Io { path, source }
}

fn make_folder(path: &Path) -> Result<(), IndexError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(failed(path))
}

/// Files and folders in a folder; nothing if there is none.
fn children(path: &Path) -> Result<Vec<PathBuf>, IndexError> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed(path))?,
    };
    entries
        .map(|entry| entry.map(|entry| entry.path()).map_err(failed(path)))
        .collect()
}

impl Index {
    fn list_path(&self) -> PathBuf {
        self.dir.join("runs.list")
    }

    fn bucket_dir(&self, bucket: &Bucket) -> PathBuf {
        self.dir.join(bucket.to_string())
    }

    /// The state that the folder holds.
    pub(super) fn load(&self) -> Result<State, IndexError> {
        make_folder(&self.dir)?;
        let path = self.list_path();
        let list = List::read(&path, self.keys.list_key(), &self.chain).map_err(failed(&path))?;
        let list = list.unwrap_or_default();
        let mut state = State {
            head: list.head,
            ..State::default()
        };
        for listed in &list.buckets {
            if let Some(found) = self.load_bucket(list.head, listed)? {
                state.buckets.insert(listed.bucket, found);
            }
        }
        self.sweep(&state)?;
        Ok(state)
    }

    /// What is left of a bucket; none if it is forgotten.
    fn load_bucket(&self, head: u64, listed: &Listed) -> Result<Option<BucketState>, IndexError> {
        let bucket = listed.bucket;
        if self.keys.is_destroyed(&bucket) {
            return Ok(None);
        }
        let mut found = BucketState::new(listed.from);
        found.clear(head);
        let Some(key) = self.key(&bucket)? else {
            return Ok(Some(found));
        };
        let key = RunKey {
            bucket_key: &key,
            bucket,
            chain: &self.chain,
        };
        let mut runs: Vec<Arc<Run>> = Vec::new();
        for id in &listed.runs {
            let run = match Run::open(&self.bucket_dir(&bucket), &key, *id) {
                Ok(run) => run,
                Err(error) => {
                    tracing::warn!(%bucket, %error, "a run of the audit index is damaged: it is made anew");
                    return Ok(Some(found));
                }
            };
            runs.push(Arc::new(run));
        }
        found.runs = runs;
        found.unopened.clone_from(&listed.unopened);
        found.gap = (listed.filed_to < head).then_some((listed.filed_to, head));
        Ok(Some(found))
    }

    /// Removes what the state does not have.
    fn sweep(&self, state: &State) -> Result<(), IndexError> {
        let mut kept: Vec<PathBuf> = vec![self.list_path()];
        for (bucket, found) in &state.buckets {
            let dir = self.bucket_dir(bucket);
            let ids = found.runs.iter().filter_map(|run| run.id());
            kept.extend(ids.map(|id| dir.join(format!("{}.run", hex::encode(id)))));
        }
        for path in children(&self.dir)? {
            if path.is_dir() {
                for file in children(&path)? {
                    if !kept.contains(&file) {
                        overwrite_and_remove(&file).map_err(failed(&file))?;
                    }
                }
                // A folder with runs stays.
                let _ = fs::remove_dir(&path);
            } else if !kept.contains(&path) {
                overwrite_and_remove(&path).map_err(failed(&path))?;
            }
        }
        Ok(())
    }

    /// Writes the list of what is in files.
    fn save(&self) -> Result<(), IndexError> {
        let state = self.read();
        let buckets = state.buckets.iter().map(|(bucket, found)| {
            let filed_to = found.filed_to(state.head);
            let unopened = found.unopened.iter().copied();
            Listed {
                bucket: *bucket,
                from: found.from,
                filed_to,
                unopened: unopened.filter(|sequence| *sequence < filed_to).collect(),
                runs: found.runs.iter().filter_map(|run| run.id()).collect(),
            }
        });
        let list = List {
            head: state.head,
            buckets: buckets.collect(),
        };
        drop(state);
        let path = self.list_path();
        list.write(&path, self.keys.list_key(), &self.chain)
            .map_err(failed(&path))
    }

    /// Makes a run of a bucket's recent rows, and one of several where there are many. Called by the writer.
    pub(super) fn grow(&self, bucket: Bucket) -> Result<(), IndexError> {
        self.freeze(bucket);
        if self.merge(bucket)? {
            self.save()?;
            self.make_room();
        }
        Ok(())
    }

    /// Merges runs while there are many of a size. Gives whether files changed.
    fn merge(&self, bucket: Bucket) -> Result<bool, IndexError> {
        let mut filed = false;
        loop {
            let state = self.read();
            let Some(found) = state.buckets.get(&bucket) else {
                break;
            };
            let Some(count) = found.to_merge() else { break };
            let runs = found.runs[found.runs.len() - count..].to_vec();
            drop(state);
            filed |= self.replace(bucket, &runs, false)?;
        }
        Ok(filed)
    }

    /// Makes a run of a bucket's recent rows.
    fn freeze(&self, bucket: Bucket) {
        let recent = match self.read().buckets.get(&bucket) {
            Some(found) if !found.recent.is_empty() => found.recent.clone(),
            _ => return,
        };
        // The writer alone changes it, so queries need not wait.
        let run = Arc::new(Run::in_memory(Columns::build(&recent).warm()));
        if let Some(found) = self.write().buckets.get_mut(&bucket) {
            found.recent.clear();
            found.runs.push(run);
        }
    }

    /// Makes one run of a bucket's last runs; in a file if it is large or must be. Gives whether files changed.
    fn replace(&self, bucket: Bucket, runs: &[Arc<Run>], file: bool) -> Result<bool, IndexError> {
        let Some(key) = self.key(&bucket)? else {
            // The key was destroyed meanwhile, and the rows go when the bucket is retired.
            return Ok(false);
        };
        let parts: Result<Vec<Arc<Columns>>, IndexError> = runs
            .iter()
            .map(|run| self.columns(run, bucket, &key))
            .collect();
        let parts = match parts {
            Err(IndexError::Damaged { bucket }) => {
                self.rebuild(bucket);
                return Ok(true);
            }
            parts => parts?,
        };
        let merged = match &parts[..] {
            [one] => one.clone(),
            _ => Arc::new(Columns::concat(&parts)),
        };
        let in_files = runs.iter().any(|run| run.id().is_some());
        let run = if file || in_files || merged.len() >= FILE_ROWS {
            let dir = self.bucket_dir(&bucket);
            make_folder(&dir)?;
            let key = RunKey {
                bucket_key: &key,
                bucket,
                chain: &self.chain,
            };
            Run::write(&dir, &key, merged).map_err(failed(&dir))?
        } else {
            drop(parts);
            match Arc::try_unwrap(merged) {
                Ok(merged) => Run::in_memory(merged),
                // One run, and it is in memory already.
                Err(_) => return Ok(false),
            }
        };
        let filed = run.id().is_some();
        if let Some(found) = self.write().buckets.get_mut(&bucket) {
            let keep = found.runs.len() - runs.len();
            found.runs.truncate(keep);
            found.runs.push(Arc::new(run));
        }
        if filed && in_files {
            self.save()?;
        }
        runs.iter().for_each(|run| run.replace());
        Ok(filed)
    }

    /// Puts all rows of a bucket into files. Gives whether there were any that were not.
    fn file(&self, bucket: Bucket) -> Result<bool, IndexError> {
        self.freeze(bucket);
        let runs = match self.read().buckets.get(&bucket) {
            Some(found) => found.runs[found.runs.len() - found.unfiled()..].to_vec(),
            None => return Ok(false),
        };
        if runs.is_empty() {
            return Ok(false);
        }
        self.replace(bucket, &runs, true)
    }

    /// Files the buckets whose newest rows are old.
    pub(super) fn file_laggards(&self) -> Result<(), IndexError> {
        let state = self.read();
        let late = state.buckets.iter().filter(|(_, found)| {
            let rows = !found.recent.is_empty() || found.unfiled() > 0;
            rows && found.filed_to(state.head) + LAG < state.head
        });
        let late: Vec<Bucket> = late.map(|(bucket, _)| *bucket).collect();
        drop(state);
        let mut filed = false;
        for bucket in late {
            filed |= self.file(bucket)?;
        }
        if filed {
            self.save()?;
        }
        Ok(())
    }

    /// Puts all rows into files, so that the next start need not open entries again.
    ///
    /// # Errors
    /// What the disk says; nothing is lost.
    pub fn flush(&self) -> Result<(), IndexError> {
        let _writer = self.lock();
        let buckets: Vec<Bucket> = self.read().buckets.keys().copied().collect();
        for bucket in buckets {
            self.file(bucket)?;
            self.merge(bucket)?;
        }
        self.save()?;
        self.make_room();
        Ok(())
    }

    /// Forgets a bucket: its rows in memory, and its files, which are overwritten and removed. Durable when this
    /// returns. Once the bucket's key is destroyed nothing of it is taken in again.
    ///
    /// # Errors
    /// What the disk says; the rows are out of memory all the same.
    pub fn retire(&self, bucket: &Bucket) -> Result<(), IndexError> {
        let _writer = self.lock();
        {
            let mut state = self.write();
            let head = state.head;
            if self.keys.is_destroyed(bucket) {
                state.buckets.remove(bucket);
            } else if let Some(found) = state.buckets.get_mut(bucket) {
                found.clear(head);
            }
        }
        self.remove_files(bucket)?;
        self.save()
    }

    fn remove_files(&self, bucket: &Bucket) -> Result<(), IndexError> {
        let dir = self.bucket_dir(bucket);
        for file in children(&dir)? {
            overwrite_and_remove(&file).map_err(failed(&file))?;
        }
        match fs::remove_dir(&dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&dir)(error));
            }
            _ => {}
        }
        sync_folder(&self.dir).map_err(failed(&self.dir))
    }

    /// Begins a damaged bucket anew. Called by the writer.
    fn rebuild(&self, bucket: Bucket) {
        let mut state = self.write();
        let head = state.head;
        if let Some(found) = state.buckets.get_mut(&bucket) {
            found.runs.iter().for_each(|run| run.replace());
            found.clear(head);
        }
        drop(state);
        if let Err(error) = self.save() {
            tracing::warn!(%error, "the list of the audit index was not written");
        }
    }

    /// Where a query met damage, the bucket is begun anew.
    pub(super) fn mend<T>(&self, outcome: Result<T, IndexError>) -> Result<T, IndexError> {
        let Err(IndexError::Damaged { bucket }) = outcome else {
            return outcome;
        };
        let _writer = self.lock();
        // Another query may have found it first, and rows may have come since: only what is still damaged goes.
        if self.is_damaged(bucket)? {
            self.rebuild(bucket);
        }
        Err(IndexError::Rebuilding { bucket })
    }

    fn is_damaged(&self, bucket: Bucket) -> Result<bool, IndexError> {
        let Some(key) = self.key(&bucket)? else {
            return Ok(false);
        };
        let runs = match self.read().buckets.get(&bucket) {
            Some(found) => found.runs.clone(),
            None => return Ok(false),
        };
        for run in runs {
            match self.columns(&run, bucket, &key) {
                Err(IndexError::Damaged { .. }) => return Ok(true),
                outcome => outcome.map(drop)?,
            }
        }
        Ok(false)
    }

    /// Rows that were used longest ago leave memory while all take more than the budget.
    pub(super) fn make_room(&self) {
        let state = self.read();
        let runs = state.buckets.values().flat_map(|found| &found.runs);
        let mut resident: Vec<(u64, usize, Arc<Run>)> = runs
            .filter_map(|run| {
                run.evictable()
                    .map(|(used, bytes)| (used, bytes, run.clone()))
            })
            .collect();
        drop(state);
        let mut total: usize = resident.iter().map(|(_, bytes, _)| bytes).sum();
        resident.sort_unstable_by_key(|(used, ..)| *used);
        for (_, bytes, run) in resident {
            if total <= self.budget {
                break;
            }
            run.evict();
            total -= bytes;
        }
    }
}

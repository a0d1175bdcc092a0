//! The durable last-signed guard: what this key has signed at its highest height, on disk before any signature
//! leaves the process (THREATS 1.2).
//!
//! Malachite's log may lose a vote without noticing; a validator that then signs another one equivocates. The
//! guard allows an identical request again (replay after a crash derives the same vote) and refuses a
//! conflicting one.
//!
//! File: entries of 77 bytes, `height u64 | round u32 | step u8 | value 32 | check 32`, little-endian, the
//! check being the hash of the 45 bytes before it. A last entry that is cut short was never acted on and is
//! dropped; one that is whole but wrong makes its height doubtful: nothing is signed there.

use caduceus_crypto::{Hash, domain, hash};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const BODY: usize = 8 + 4 + 1 + 32;
const ENTRY: usize = BODY + 32;
const COMPACT_AT: u64 = 256 * ENTRY as u64;

/// What is signed, in the order of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Step {
    /// A proposal.
    Proposal = 0,
    /// A prevote.
    Prevote = 1,
    /// A precommit.
    Precommit = 2,
}

/// Why the guard refuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// Another value was signed at this height, round and step: signing this one would equivocate.
    #[error("height {height} round {round} {step:?}: another value was signed before")]
    Conflict {
        /// The height.
        height: u64,
        /// The round.
        round: u32,
        /// The step.
        step: Step,
    },
    /// The last entry is damaged, so what was signed at this height is not known for sure.
    #[error("height {height}: an entry about it is damaged, nothing more is signed there")]
    Doubtful {
        /// The height.
        height: u64,
    },
    /// A write failed before: nothing is signed until the file is opened again.
    #[error("{path}: a write failed before; restart the node")]
    Dead {
        /// The file.
        path: PathBuf,
    },
    /// A height below the highest signed one.
    #[error("height {height} is below {highest}, signed before")]
    Past {
        /// The height.
        height: u64,
        /// The highest signed height.
        highest: u64,
    },
    /// An entry in the middle of the file is damaged.
    #[error("{path}: entry {index} is damaged")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Index of the entry.
        index: usize,
    },
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
}

/// An open guard file.
#[derive(Debug)]
pub struct Guard {
    path: PathBuf,
    file: File,
    bytes: u64,
    height: u64,
    signed: BTreeMap<(u32, u8), Hash>,
    doubtful: u64,
    dead: bool,
}

impl Guard {
    /// Opens or creates the guard file of one key.
    ///
    /// # Errors
    /// [`GuardError::Damaged`] when a whole entry fails its check, [`GuardError::File`] otherwise.
    pub fn open(path: &Path) -> Result<Self, GuardError> {
        let fail = |source| GuardError::File {
            path: path.to_path_buf(),
            source,
        };
        let mut content = Vec::new();
        if path.exists() {
            File::open(path)
                .and_then(|mut f| f.read_to_end(&mut content))
                .map_err(fail)?;
        }
        let mut guard = Self {
            path: path.to_path_buf(),
            file: OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map_err(fail)?,
            bytes: 0,
            height: 0,
            signed: BTreeMap::new(),
            doubtful: 0,
            dead: false,
        };
        let whole = content.len() / ENTRY * ENTRY;
        for (index, entry) in content[..whole].chunks_exact(ENTRY).enumerate() {
            let (body, check) = entry.split_at(BODY);
            if hash(domain::GUARD, &[body]).as_bytes() != check {
                // A last entry that is whole but wrong was torn by a power cut (then it was never acted on) or
                // damaged later (then it was). So nothing is signed at its height or the next.
                if (index + 1) * ENTRY == whole && whole == content.len() {
                    guard.doubtful = guard.height + 1;
                    break;
                }
                return Err(GuardError::Damaged {
                    path: path.to_path_buf(),
                    index,
                });
            }
            let mut word = [0u8; 8];
            word.copy_from_slice(&body[..8]);
            let height = u64::from_le_bytes(word);
            let mut half = [0u8; 4];
            half.copy_from_slice(&body[8..12]);
            let mut value = [0u8; 32];
            value.copy_from_slice(&body[13..]);
            guard.remember(height, u32::from_le_bytes(half), body[12], Hash(value));
        }
        // Drop a torn tail so that the next entry starts at a boundary. A doubtful one stays in the file until
        // its height has passed.
        if guard.doubtful == 0 {
            guard.rewrite()?;
        }
        Ok(guard)
    }

    /// The highest height at which something was or may have been signed; 0 if nothing was.
    pub fn height(&self) -> u64 {
        self.height.max(self.doubtful)
    }

    /// Records a request to sign. When it returns, the record is durable and the signature may leave.
    ///
    /// # Errors
    /// [`GuardError::Conflict`] or [`GuardError::Past`]: do not sign. [`GuardError::File`]: do not sign either.
    pub fn record(
        &mut self,
        height: u64,
        round: u32,
        step: Step,
        value: Hash,
    ) -> Result<(), GuardError> {
        if self.dead {
            return Err(GuardError::Dead {
                path: self.path.clone(),
            });
        }
        if height <= self.doubtful {
            return Err(GuardError::Doubtful { height });
        }
        if height < self.height {
            return Err(GuardError::Past {
                height,
                highest: self.height,
            });
        }
        if height == self.height {
            match self.signed.get(&(round, step as u8)) {
                Some(before) if *before == value => return Ok(()),
                Some(_) => {
                    return Err(GuardError::Conflict {
                        height,
                        round,
                        step,
                    });
                }
                None => {}
            }
        }
        // Remembered only once it is durable: after a failed write the same request must fail as well.
        let outcome = self.persist(height, round, step as u8, value);
        self.dead = outcome.is_err();
        outcome?;
        self.remember(height, round, step as u8, value);
        Ok(())
    }

    fn persist(
        &mut self,
        height: u64,
        round: u32,
        step: u8,
        value: Hash,
    ) -> Result<(), GuardError> {
        let entry = entry(height, round, step, &value);
        if height > self.height && (self.bytes > COMPACT_AT || self.doubtful > 0) {
            self.replace(&entry)?;
            self.doubtful = 0;
            return Ok(());
        }
        self.file
            .write_all(&entry)
            .and_then(|()| self.file.sync_data())
            .map_err(|source| GuardError::File {
                path: self.path.clone(),
                source,
            })?;
        self.bytes += ENTRY as u64;
        Ok(())
    }

    fn remember(&mut self, height: u64, round: u32, step: u8, value: Hash) {
        if height > self.height {
            self.height = height;
            self.signed.clear();
        }
        if height == self.height {
            self.signed.insert((round, step), value);
        }
    }

    /// Replaces the file by one that holds the current height only.
    fn rewrite(&mut self) -> Result<(), GuardError> {
        let entries: Vec<u8> = self
            .signed
            .iter()
            .flat_map(|((round, step), value)| entry(self.height, *round, *step, value))
            .collect();
        self.replace(&entries)
    }

    fn replace(&mut self, entries: &[u8]) -> Result<(), GuardError> {
        let fail = |source| GuardError::File {
            path: self.path.clone(),
            source,
        };
        let temporary = self.path.with_extension("new");
        let mut file = File::create(&temporary).map_err(fail)?;
        file.write_all(entries).map_err(fail)?;
        file.sync_all().map_err(fail)?;
        std::fs::rename(&temporary, &self.path).map_err(fail)?;
        if let Some(parent) = self.path.parent() {
            File::open(parent)
                .and_then(|d| d.sync_all())
                .map_err(fail)?;
        }
        self.file = OpenOptions::new()
            .append(true)
            .open(&self.path)
            .map_err(fail)?;
        self.bytes = entries.len() as u64;
        Ok(())
    }
}

fn entry(height: u64, round: u32, step: u8, value: &Hash) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENTRY);
    out.extend_from_slice(&height.to_le_bytes());
    out.extend_from_slice(&round.to_le_bytes());
    out.push(step);
    out.extend_from_slice(value.as_bytes());
    let check = hash(domain::GUARD, &[&out]);
    out.extend_from_slice(check.as_bytes());
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn value(n: u8) -> Hash {
        Hash([n; 32])
    }

    #[test]
    fn an_identical_request_passes_and_a_conflicting_one_is_refused_after_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("last-signed");
        let mut guard = Guard::open(&path).unwrap();
        guard.record(5, 0, Step::Prevote, value(1)).unwrap();
        guard.record(5, 0, Step::Precommit, value(1)).unwrap();
        drop(guard);
        let mut guard = Guard::open(&path).unwrap();
        guard.record(5, 0, Step::Prevote, value(1)).unwrap();
        assert!(matches!(
            guard.record(5, 0, Step::Prevote, value(2)),
            Err(GuardError::Conflict { .. })
        ));
        assert!(matches!(
            guard.record(4, 9, Step::Prevote, value(1)),
            Err(GuardError::Past { .. })
        ));
        guard.record(5, 1, Step::Prevote, value(2)).unwrap();
        guard.record(6, 0, Step::Proposal, value(3)).unwrap();
        assert_eq!(guard.height(), 6);
    }

    #[test]
    fn a_torn_tail_is_dropped_and_every_flipped_byte_before_it_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("last-signed");
        let mut guard = Guard::open(&path).unwrap();
        guard.record(7, 0, Step::Proposal, value(1)).unwrap();
        guard.record(7, 0, Step::Prevote, value(1)).unwrap();
        drop(guard);
        let good = std::fs::read(&path).unwrap();
        std::fs::write(&path, &good[..good.len() - 10]).unwrap();
        assert_eq!(Guard::open(&path).unwrap().signed.len(), 1);
        for at in 0..ENTRY {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            assert!(
                matches!(
                    Guard::open(&path),
                    Err(GuardError::Damaged { index: 0, .. })
                ),
                "byte {at}"
            );
        }
    }

    #[test]
    fn a_damaged_last_entry_bars_its_height_until_it_has_passed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("last-signed");
        let mut guard = Guard::open(&path).unwrap();
        guard.record(7, 0, Step::Prevote, value(1)).unwrap();
        guard.record(8, 0, Step::Prevote, value(1)).unwrap();
        drop(guard);
        let good = std::fs::read(&path).unwrap();
        for at in ENTRY..2 * ENTRY {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, &bad).unwrap();
            for _ in 0..2 {
                let mut guard = Guard::open(&path).unwrap();
                assert_eq!(guard.height(), 8, "byte {at}");
                assert!(matches!(
                    guard.record(8, 0, Step::Prevote, value(2)),
                    Err(GuardError::Doubtful { height: 8 })
                ));
            }
            let mut guard = Guard::open(&path).unwrap();
            guard.record(9, 0, Step::Prevote, value(2)).unwrap();
            drop(guard);
            assert_eq!(Guard::open(&path).unwrap().height(), 9);
        }
    }

    #[test]
    fn many_heights_keep_the_file_small() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("last-signed");
        let mut guard = Guard::open(&path).unwrap();
        for height in 1..400 {
            guard.record(height, 0, Step::Prevote, value(1)).unwrap();
            guard.record(height, 0, Step::Precommit, value(1)).unwrap();
        }
        assert!(std::fs::metadata(&path).unwrap().len() <= COMPACT_AT + 4 * ENTRY as u64);
        assert!(matches!(
            guard.record(399, 0, Step::Prevote, value(2)),
            Err(GuardError::Conflict { .. })
        ));
    }
}

//! The durable last-signed guard: what this key has signed at its highest height, on disk before any signature
//! leaves the process (THREATS 1.2).
//!
//! It allows an identical request again (replay after a crash derives the same vote) and refuses a conflicting one,
//! which would equivocate. Under `bft` an entry is written after the log holds what was signed
//! ([`crate::bft::wal`]), so an entry that an undamaged log lacks shows that the log lost something.
//!
//! File: entries of 77 bytes, `height u64 | round u32 | step u8 | value 32 | check 32`, little-endian, the
//! check being the hash of the 45 bytes before it. A last entry that is cut short was never acted on and is
//! dropped; one that is whole but wrong makes all heights doubtful that it may have been about: nothing is signed
//! there, unless the log tells what was. Once that is clear an entry of step 255 bars them in its place.

use caduceus_crypto::{Hash, domain, hash};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const BODY: usize = 8 + 4 + 1 + 32;
const ENTRY: usize = BODY + 32;
/// Round and step of an entry that bars its height: something unknown was signed there.
const BAR: (u32, u8) = (u32::MAX, 0xff);
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
    /// An entry is damaged, so what was signed at this height is not known for sure.
    #[error("height {height}: an entry about it is damaged, nothing more is signed there")]
    Doubtful {
        /// The height.
        height: u64,
    },
    /// A write failed before: nothing is signed until the file is opened again.
    #[error("{path}: a write failed before")]
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
    /// Entries of `signed` that are not in the file yet.
    staged: Vec<(u32, u8)>,
    doubtful: u64,
    /// The file has a damaged entry.
    damaged: bool,
    dead: bool,
}

impl Guard {
    /// Opens or creates the guard file of one key.
    ///
    /// # Errors
    /// [`GuardError::File`] when it cannot be read or written. A damaged entry is no error: it bars heights.
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
            staged: Vec::new(),
            doubtful: 0,
            damaged: false,
            dead: false,
        };
        for entry in content.chunks_exact(ENTRY) {
            let (body, check) = entry.split_at(BODY);
            if hash(domain::GUARD, &[body]).as_bytes() != check {
                // Torn by a power cut (then it was never acted on) or damaged later (then it was).
                guard.damaged = true;
                guard.doubtful = guard.height + 1;
                continue;
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
        guard.bytes = content.len() as u64;
        if guard.damaged {
            guard.doubtful = guard.doubtful.max(guard.height);
        } else if !content.len().is_multiple_of(ENTRY) {
            guard.rewrite()?;
        }
        Ok(guard)
    }

    /// Whether something unknown may have been signed at a height.
    pub fn bars(&self, height: u64) -> bool {
        height <= self.doubtful
    }

    /// Puts an entry that bars all heights up to this one in the place of damaged entries.
    ///
    /// # Errors
    /// [`GuardError::File`].
    pub fn bar(&mut self, until: u64) -> Result<(), GuardError> {
        self.remember(until.max(self.height), BAR.0, BAR.1, Hash::ZERO);
        self.doubtful = self.height;
        self.damaged = false;
        self.staged.clear();
        let outcome = self.rewrite();
        self.dead = outcome.is_err();
        outcome
    }

    /// Whether signing on can do no harm to a vote of this key: it is known here, or its height is one at which nothing
    /// is signed any more.
    pub fn knows(&self, height: u64, round: u32, step: Step, value: Hash) -> bool {
        self.height() > height
            || self.bars(height)
            || (self.height == height && self.signed.get(&(round, step as u8)) == Some(&value))
    }

    /// Whether an entry is damaged.
    pub fn is_damaged(&self) -> bool {
        self.damaged
    }

    /// What is known to be signed at a height.
    pub fn signed_at(&self, height: u64) -> impl Iterator<Item = (u32, u8, Hash)> + '_ {
        self.signed
            .iter()
            .filter(move |_| height == self.height)
            .map(|((round, step), value)| (*round, *step, *value))
    }

    /// Tells how far a damaged entry can reach: the heights up to this one are doubtful, those above are not.
    pub fn doubt_until(&mut self, height: u64) {
        if self.damaged {
            self.doubtful = height;
        }
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
        self.stage(height, round, step, value)?;
        self.flush()
    }

    /// Records a request to sign in memory: it may be signed, but the signature must not leave before
    /// [`Guard::flush`].
    ///
    /// # Errors
    /// [`GuardError::Conflict`], [`GuardError::Past`] or [`GuardError::Doubtful`]: do not sign.
    pub fn stage(
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
        } else {
            self.staged.clear();
        }
        self.remember(height, round, step as u8, value);
        self.staged.push((round, step as u8));
        Ok(())
    }

    /// Makes what was staged durable.
    ///
    /// # Errors
    /// [`GuardError::File`]: the guard is dead then and signs nothing more.
    pub fn flush(&mut self) -> Result<(), GuardError> {
        if self.dead {
            return Err(GuardError::Dead {
                path: self.path.clone(),
            });
        }
        let staged = std::mem::take(&mut self.staged);
        if staged.is_empty() {
            return Ok(());
        }
        let outcome = self.persist(&staged);
        self.dead = outcome.is_err();
        outcome
    }

    fn persist(&mut self, staged: &[(u32, u8)]) -> Result<(), GuardError> {
        let first_of_height = staged.len() == self.signed.len();
        if self.damaged || (first_of_height && self.bytes > COMPACT_AT) {
            self.rewrite()?;
            self.damaged = false;
            self.doubtful = 0;
            return Ok(());
        }
        let mut entries = Vec::with_capacity(staged.len() * ENTRY);
        for (round, step) in staged {
            if let Some(value) = self.signed.get(&(*round, *step)) {
                entries.extend(entry(self.height, *round, *step, value));
            }
        }
        self.file
            .write_all(&entries)
            .and_then(|()| self.file.sync_data())
            .map_err(|source| GuardError::File {
                path: self.path.clone(),
                source,
            })?;
        self.bytes += entries.len() as u64;
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
        if (round, step) == BAR {
            self.doubtful = self.doubtful.max(height);
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
mod tests;

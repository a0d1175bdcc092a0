//! What a validator knows of its own votes: the consensus log and the last-signed guard, as one.
//!
//! The engine signs, appends to the log, flushes, publishes; while it replays its log it only signs and publishes. So
//! the signer itself makes durable what it signs, first in the log, then in the guard, before it hands out the
//! signature; the engine's own append of it then adds nothing. What led to a vote was appended before it, so a log that
//! holds the vote holds the lock. Whatever is found at a start:
//!
//! - What the log holds and the guard lacks was signed before a crash: the guard takes it over.
//! - What the guard knows of the next height and the log lacks was lost by the log, and locks may be lost with it: the
//!   node observes until that height has passed.
//! - A log whose last bytes are no entry was interrupted: they never counted. One with valid entries behind such bytes
//!   is damaged: it is set aside, and what the guard knows decides.
//! - What neither holds was never published, unless the folder is an old copy: the other validators are asked
//!   ([`Journal::knows`], [`Journal::bar`]).

use crate::guard::{Guard, GuardError, Step};
use caduceus_crypto::Hash;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

pub mod actor;
pub mod file;

use file::{Condition, Log, Medium, Scan};

/// Something that this validator signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Own {
    /// Its height.
    pub height: u64,
    /// Its round.
    pub round: u32,
    /// What it is.
    pub step: Step,
    /// What the guard knows it by.
    pub value: Hash,
}

/// Why a vote is not signed, or not made durable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalError {
    /// The guard refuses or fails.
    #[error(transparent)]
    Guard(#[from] GuardError),
    /// The log cannot be read or written.
    #[error("{path}: {source}")]
    Log {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// What was signed cannot be encoded.
    #[error("entry of the consensus log: {source}")]
    Entry {
        /// The cause.
        source: io::Error,
    },
    /// A write failed before, or another engine has taken over.
    #[error("this engine's log is closed")]
    Closed,
    /// The engine appends what it signed for another height than the log's.
    #[error("height {found} was signed while the log is at {log:?}")]
    OtherHeight {
        /// The log's height.
        log: Option<u64>,
        /// The height signed.
        found: u64,
    },
}

impl WalError {
    /// Whether the rules say no, as against an accident.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Guard(
                GuardError::Conflict { .. } | GuardError::Past { .. } | GuardError::Doubtful { .. }
            )
        )
    }

    /// Whether the medium failed, as against the rules: it may work again.
    pub fn is_medium(&self) -> bool {
        matches!(
            self,
            Self::Log { .. } | Self::Guard(GuardError::File { .. } | GuardError::Dead { .. })
        )
    }
}

/// What a start found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The node observes until this height has passed; 0 if it may vote.
    pub observe_until: u64,
    /// What is wrong, for the operator.
    pub finding: Option<String>,
}

/// See the module.
pub struct Journal {
    path: PathBuf,
    guard: Guard,
    log: Log,
    entries: Vec<Vec<u8>>,
    own: BTreeSet<Own>,
    started: Option<u64>,
    replaying: bool,
    observing: bool,
    closed: bool,
    failure: Option<String>,
}

impl Journal {
    /// Opens guard and log in a folder, for an engine that goes on at height `next`. `own` tells of an entry what this
    /// validator signed in it; an error says that the entry cannot be understood.
    ///
    /// # Errors
    /// When a file cannot be read or written. Damage is no error: the verdict tells of it.
    pub fn open(
        home: &Path,
        next: u64,
        own: &dyn Fn(&[u8]) -> io::Result<Option<Own>>,
    ) -> Result<(Self, Verdict), WalError> {
        let path = home.join("wal").join("votes.log");
        let fail = |source| WalError::Log {
            path: path.clone(),
            source,
        };
        let mut guard = Guard::open(&home.join("last-signed"))?;
        let bytes = file::read(&path).map_err(fail)?;
        let mut found = file::scan(&bytes);
        let mut entries: Vec<Vec<u8>> = found
            .entries
            .iter()
            .map(|place| bytes[place.clone()].to_vec())
            .collect();
        let mut verdict = Verdict::default();
        let decoded: io::Result<Vec<Option<Own>>> = entries.iter().map(|e| own(e)).collect();
        let mut signed: BTreeSet<Own> = match decoded {
            Ok(decoded) if found.condition != Condition::Damaged => decoded
                .into_iter()
                .flatten()
                .filter(|o| o.height == next)
                .collect(),
            _ => {
                let aside = path.with_extension("log.damaged");
                std::fs::rename(&path, &aside).map_err(fail)?;
                tracing::warn!(aside = %aside.display(), "the consensus log was damaged and set aside");
                verdict.finding = Some(format!(
                    "the consensus log was damaged and set aside as {}",
                    aside.display()
                ));
                found = file::scan(&[]);
                BTreeSet::new()
            }
        };
        if found.height != Some(next) {
            entries.clear();
            signed.clear();
        }
        verdict.observe_until = reconcile(&mut guard, &found, &signed, next)?;
        if verdict.observe_until > 0 {
            entries.clear();
            let lost = format!(
                "observing until height {} has passed: what was signed there is not in the consensus log any more",
                verdict.observe_until
            );
            verdict.finding = Some(match verdict.finding.take() {
                Some(finding) => format!("{finding}; {lost}"),
                None => lost,
            });
        }
        let medium: Box<dyn Medium> = Box::new(file::open(&path).map_err(fail)?);
        let log = Log::resume(medium, &found).map_err(fail)?;
        Ok((
            Self {
                path,
                guard,
                log,
                entries,
                own: signed,
                started: None,
                replaying: false,
                observing: false,
                closed: false,
                failure: None,
            },
            verdict,
        ))
    }

    /// The highest height at which something was or may have been signed.
    pub fn height(&self) -> u64 {
        self.guard.height()
    }

    /// Whether a vote of this validator is known, or of a height at which nothing is signed any more.
    pub fn knows(&self, own: &Own) -> bool {
        self.guard.knows(own.height, own.round, own.step, own.value)
    }

    /// Makes it durable that nothing is signed up to a height.
    ///
    /// # Errors
    /// When the guard cannot be written.
    pub fn bar(&mut self, until: u64) -> Result<(), WalError> {
        self.guarded(|journal| Ok(journal.guard.bar(until)?))
    }

    /// Its engine only observes: votes of this validator that peers send back are not taken for its own memory, which
    /// lacks the lock that came with them.
    pub fn observe(&mut self) {
        self.observing = true;
    }

    /// Closes it: whoever still holds it can sign and write nothing more.
    pub fn close(&mut self) {
        self.closed = true;
    }

    fn guarded<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, WalError>,
    ) -> Result<T, WalError> {
        if self.closed {
            return Err(WalError::Closed);
        }
        let outcome = work(self);
        // After a failed write nobody knows what the medium holds: it is read again by a new journal.
        if let Err(error) = &outcome
            && error.is_medium()
        {
            self.closed = true;
            self.failure = Some(format!(
                "nothing is signed until the disk takes writes again: {error}"
            ));
        }
        outcome
    }

    /// Why it takes no more writes, if its medium failed.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    fn fail(&self) -> impl Fn(io::Error) -> WalError + use<> {
        let path = self.path.clone();
        move |source| WalError::Log {
            path: path.clone(),
            source,
        }
    }

    /// Asks for leave to sign. What is signed must go through [`Journal::append`] before the signature is handed out.
    ///
    /// # Errors
    /// [`WalError`]: do not sign.
    pub fn request(&mut self, own: Own) -> Result<(), WalError> {
        self.guarded(|journal| {
            Ok(journal
                .guard
                .stage(own.height, own.round, own.step, own.value)?)
        })
    }

    /// Whether the engine was given entries to replay and has appended nothing of its own since.
    pub fn is_replaying(&self) -> bool {
        self.replaying
    }

    /// The engine appends something: it is done with replaying.
    pub fn engine_appends(&mut self) {
        self.replaying = false;
    }

    /// The engine starts a height. Returns what it is to replay.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn start_height(&mut self, height: u64) -> Result<Vec<Vec<u8>>, WalError> {
        if self.started == Some(height) {
            return Ok(Vec::new());
        }
        if self.started.is_none() && self.log.height() == Some(height) && !self.entries.is_empty() {
            self.started = Some(height);
            self.replaying = true;
            return Ok(std::mem::take(&mut self.entries));
        }
        self.reset(height)?;
        Ok(Vec::new())
    }

    /// Starts the log over at a height.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn reset(&mut self, height: u64) -> Result<(), WalError> {
        self.guarded(|journal| {
            journal.started = Some(height);
            journal.replaying = false;
            journal.entries.clear();
            journal.own.clear();
            journal.log.reset(height).map_err(journal.fail())
        })
    }

    /// Appends an entry. What this validator signed is durable in log and guard when it returns; a second entry of it
    /// adds nothing.
    ///
    /// # Errors
    /// When it cannot be written: nothing may be published.
    pub fn append(&mut self, height: u64, entry: &[u8], own: Option<Own>) -> Result<(), WalError> {
        self.guarded(|journal| {
            if journal.log.height() != Some(height) {
                return match own {
                    Some(own) => Err(WalError::OtherHeight {
                        log: journal.log.height(),
                        found: own.height,
                    }),
                    None => Ok(()),
                };
            }
            let Some(own) = own else {
                return journal.log.append(entry).map_err(journal.fail());
            };
            if journal.observing || journal.own.contains(&own) {
                return Ok(());
            }
            journal.log.append(entry).map_err(journal.fail())?;
            journal.log.sync().map_err(journal.fail())?;
            journal.own.insert(own);
            // Not asked for by this process: signed in an earlier life and sent back by a peer.
            match journal
                .guard
                .stage(own.height, own.round, own.step, own.value)
            {
                Err(error @ GuardError::Conflict { .. }) => {
                    tracing::error!(%error, "this validator's key signed two values");
                }
                other => other?,
            }
            Ok(journal.guard.flush()?)
        })
    }

    /// Makes everything appended durable.
    ///
    /// # Errors
    /// When it cannot be written: nothing may be published.
    pub fn flush(&mut self) -> Result<(), WalError> {
        self.guarded(|journal| {
            journal.log.sync().map_err(journal.fail())?;
            Ok(journal.guard.flush()?)
        })
    }
}

/// Brings the guard up to the log. Returns the height that must pass before anything is signed; 0 if none.
fn reconcile(
    guard: &mut Guard,
    found: &Scan,
    signed: &BTreeSet<Own>,
    next: u64,
) -> Result<u64, WalError> {
    let mut observe_until = 0;
    // A log is started over at a height before anything is signed there. So one of a height below tells that nothing
    // was signed at the next, and one of the next height holds all that was.
    // A cut log beside a damaged guard is no crash but damage to both.
    let told = found.condition == Condition::Whole && found.height.is_some_and(|h| h <= next);
    if told {
        guard.doubt_until(next.saturating_sub(1));
    } else if guard.is_damaged() {
        guard.bar(next.max(guard.height()).max(found.height.unwrap_or(0)))?;
    }
    if let Some(height) = found.height
        && height > next
    {
        observe_until = height;
    }
    let lost = guard.signed_at(next).any(|(round, step, value)| {
        !signed
            .iter()
            .any(|own| (own.round, own.step as u8, own.value) == (round, step, value))
    });
    if lost {
        observe_until = observe_until.max(next);
    }
    for own in signed {
        match guard.stage(next, own.round, own.step, own.value) {
            Ok(()) => {}
            Err(error @ GuardError::Conflict { .. }) => {
                tracing::error!(%error, "this validator's key signed two values");
            }
            // At or below heights that are barred anyway.
            Err(GuardError::Past { .. } | GuardError::Doubtful { .. }) => break,
            Err(error) => return Err(error.into()),
        }
    }
    guard.flush()?;
    if guard.height() > next || guard.bars(next) {
        observe_until = observe_until.max(guard.height());
    }
    Ok(observe_until)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

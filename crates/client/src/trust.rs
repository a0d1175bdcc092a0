//! What a client trusts of one chain: shared by all who ask for it, kept between runs, moved along by light blocks
//! from whichever node has them (DESIGN 4.5).
//!
//! No node proves itself: a light block is worth what its certificate is worth, from whoever it comes.
//!
//! # Leakage
//! A node that is asked for light blocks learns how far this client was, hence roughly when it was last here.

mod evidence;
mod file;
mod follow;

pub use follow::{FollowError, Source};

use caduceus_crypto::{Hash, TimeMillis};
use caduceus_ledger::{
    CertifiedHeader, ChainId, Genesis, Height, LightClient, LightError, StateProofAt, Trusted,
    ValidatorSet,
};
use file::KeptFile;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Name of the file in a home in which the trusted head is kept.
pub const TRUSTED_FILE: &str = "trusted";

/// Why a kept head can't be used, or can't be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeptError {
    /// It is no trusted head of this chain.
    #[error("{path}: {source}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: caduceus_ledger::light::TrustedError,
    },
    /// It can't be read or written.
    #[error("{detail}")]
    File {
        /// What the file system says, naming the file.
        detail: String,
    },
}

/// What a client trusts of one chain.
pub struct Trust {
    client: Mutex<LightClient>,
    file: Option<KeptFile>,
    evidence: Option<PathBuf>,
}

impl Trust {
    /// Starts from a genesis, or goes on from a head that the caller kept. One of another chain is left aside.
    pub fn new(genesis: &Genesis, kept: Option<Trusted>) -> Self {
        let client = kept
            .and_then(|kept| LightClient::resume(genesis, kept).ok())
            .unwrap_or_else(|| LightClient::from_genesis(genesis));
        Self {
            client: Mutex::new(client),
            file: None,
            evidence: None,
        }
    }

    /// Goes on from the head that is kept in a file; from the genesis if there is no file. Heads are kept there from
    /// now on.
    ///
    /// # Errors
    /// [`KeptError`]: a damaged file is not overwritten. Whoever removes it starts from the genesis, which is safe
    /// and forgets which heads were seen.
    pub fn kept_in(genesis: &Genesis, path: PathBuf) -> Result<Self, KeptError> {
        let kept = file::read(&path, &genesis.chain_id())?;
        let file = KeptFile::new(path, kept.as_ref());
        let mut trust = Self::new(genesis, kept);
        trust.file = Some(file);
        Ok(trust)
    }

    /// Writes the evidence of a fork into this folder.
    #[must_use]
    pub fn with_evidence_in(mut self, folder: Option<PathBuf>) -> Self {
        self.evidence = folder;
        self
    }

    fn lock(&self) -> MutexGuard<'_, LightClient> {
        // The light client changes in one assignment, so a panic elsewhere leaves it whole.
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The chain.
    pub fn chain(&self) -> ChainId {
        self.lock().chain()
    }

    /// Number of the voters of the height after the trusted one.
    pub fn validators(&self) -> usize {
        self.lock().validators().count()
    }

    /// The highest head accepted so far.
    pub fn highest(&self) -> Height {
        self.lock().highest()
    }

    /// What is trusted now.
    pub fn trusted(&self) -> Trusted {
        self.lock().trusted().clone()
    }

    /// Whether a header is final on this chain.
    ///
    /// # Errors
    /// As [`LightClient::verify_header`].
    pub fn verify_header(&self, head: &CertifiedHeader) -> Result<(), LightError> {
        self.lock().verify_header(head)
    }

    /// Lets the light client judge something.
    pub fn judge<T>(
        &self,
        judge: impl FnOnce(&LightClient) -> Result<T, LightError>,
    ) -> Result<T, LightError> {
        judge(&self.lock())
    }

    /// Accepts a head, and keeps it. `floor` is the highest head when it was asked for: answers to questions that were
    /// asked at once may overtake each other, and none of them is a rollback.
    ///
    /// # Errors
    /// As [`LightClient::accept_head`].
    pub fn accept_head(
        &self,
        head: &CertifiedHeader,
        now: TimeMillis,
        floor: Height,
    ) -> Result<(), LightError> {
        let mut client = self.lock();
        match client.accept_head(head, now) {
            // All but the height holds.
            Err(LightError::Rollback { found, .. }) if found >= floor => {}
            outcome => outcome?,
        }
        if let Some(file) = &self.file {
            file.note(client.trusted());
        }
        Ok(())
    }

    /// A set by its hash, if it was proved to vote at some height.
    pub fn known_set(&self, hash: &Hash) -> Option<ValidatorSet> {
        self.lock().known_set(hash).cloned()
    }

    /// Accepts a proof's head and gives what is proved under a key.
    ///
    /// # Errors
    /// As [`StateProofAt::verify`] and [`LightClient::accept_head`].
    pub fn state(
        &self,
        proof: &StateProofAt,
        key: &[u8],
        now: TimeMillis,
        floor: Height,
    ) -> Result<Option<Vec<u8>>, LightError> {
        let value = proof.verify(&self.lock(), key)?.map(<[u8]>::to_vec);
        self.accept_head(&proof.head, now, floor)?;
        Ok(value)
    }

    /// Writes what is trusted, if it is kept in a file and not there yet.
    pub fn keep(&self) {
        if let Some(file) = &self.file {
            file.write(self.lock().trusted());
        }
    }

    /// Writes both certified headers of a fork into the folder for evidence. None if there is no folder, or it
    /// can't be written: the fork is told of all the same.
    pub fn write_evidence(
        &self,
        ours: &CertifiedHeader,
        theirs: &CertifiedHeader,
    ) -> Option<PathBuf> {
        let folder: &Path = self.evidence.as_deref()?;
        evidence::write(folder, ours, theirs)
    }
}

impl Drop for Trust {
    fn drop(&mut self) {
        self.keep();
    }
}

#[cfg(test)]
mod tests;

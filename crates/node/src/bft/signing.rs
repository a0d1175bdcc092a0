//! Which signer a validator gets: the guarded one, alone or with a journal; or, for a control, none that guards.

use super::context::{BftAddress, Ctx};
use super::signer::GuardedSigner;
use super::wal::actor::Myself;
use super::wal::{Journal, Verdict, WalError};
use crate::node::NodeError;
use crate::options::NodeOptions;
use caduceus_crypto::{PublicKey, SecretKey};
use caduceus_ledger::{Address, ChainId};
use malachitebft_signing::Signer;
use std::path::Path;
use std::sync::Arc;

pub mod journal;
#[cfg(feature = "risky-no-guard")]
mod unguarded;

use journal::{JournaledSigner, SignJournal};

/// Opens log and guard of a folder that no node uses, as an engine does that goes on at height `next`.
///
/// # Errors
/// [`WalError`]. Damage is no error: the verdict tells of it.
pub fn open_log(
    home: &Path,
    chain: ChainId,
    key: &PublicKey,
    next: u64,
) -> Result<(Journal, Verdict), WalError> {
    let myself = Myself {
        chain,
        address: BftAddress(Address::of(key)),
    };
    Journal::open(home, next, &|entry| myself.read(entry))
}

/// How a validator signs.
#[derive(Clone)]
pub struct Signing {
    journal: Option<Arc<SignJournal>>,
    unguarded: bool,
}

/// Whether the option `risky_no_guard` may be used in this process.
#[cfg(feature = "risky-no-guard")]
fn unguarded_is_allowed() -> bool {
    crate::hazmat::unguarded_is_allowed()
}

#[cfg(not(feature = "risky-no-guard"))]
fn unguarded_is_allowed() -> bool {
    false
}

impl Signing {
    /// As the options say, in a node's folder.
    ///
    /// # Errors
    /// [`NodeError::Unguarded`] when the option `risky_no_guard` is set where it may not be;
    /// [`NodeError::Journal`] when the journal cannot be written.
    pub fn open(options: &NodeOptions, home: &Path) -> Result<Self, NodeError> {
        if options.risky_no_guard && !unguarded_is_allowed() {
            return Err(NodeError::Unguarded);
        }
        let journal = if options.sign_journal {
            Some(Arc::new(SignJournal::open(home)?))
        } else {
            None
        };
        Ok(Self {
            journal,
            unguarded: options.risky_no_guard,
        })
    }

    /// The signer of an engine. `guarded` is used unless the guard is switched off.
    pub(super) fn signer(
        &self,
        guarded: GuardedSigner,
        chain: ChainId,
        key: &SecretKey,
    ) -> Box<dyn Signer<Ctx>> {
        let inner: Box<dyn Signer<Ctx>> = if self.unguarded {
            unguarded(chain, key, guarded)
        } else {
            Box::new(guarded)
        };
        match &self.journal {
            Some(journal) => Box::new(JournaledSigner {
                inner,
                chain,
                journal: journal.clone(),
            }),
            None => inner,
        }
    }
}

#[cfg(feature = "risky-no-guard")]
fn unguarded(chain: ChainId, key: &SecretKey, _: GuardedSigner) -> Box<dyn Signer<Ctx>> {
    tracing::warn!("this validator signs without a guard: it may sign twice");
    Box::new(unguarded::UnguardedSigner {
        chain,
        key: key.clone(),
    })
}

/// [`Signing::open`] refuses the option in such a build.
#[cfg(not(feature = "risky-no-guard"))]
fn unguarded(_: ChainId, _: &SecretKey, guarded: GuardedSigner) -> Box<dyn Signer<Ctx>> {
    Box::new(guarded)
}

//! Following the chain's voters, and telling of a fork.

use super::{ChainClient, ChainError};
use caduceus_client::{FollowError, Source};
use caduceus_ledger::{CertifiedHeader, Height, LightError};
#[cfg(feature = "serve")]
use caduceus_ledger::{Header, ValidatorSet};
use caduceus_network::PeerAddr;
use std::sync::atomic::Ordering;

impl ChainClient {
    /// Checks that a header is final, after learning who votes at its height if that is not known.
    ///
    /// # Errors
    /// [`ChainError`].
    #[cfg(feature = "serve")]
    pub(crate) async fn verify_header(&self, head: &CertifiedHeader) -> Result<(), ChainError> {
        let outcome = match self.trust.verify_header(head) {
            Err(LightError::UnknownValidators { height }) => {
                self.learn(height).await?;
                self.trust.verify_header(head)
            }
            outcome => outcome,
        };
        outcome.map_err(|error| self.not_believed(error))
    }

    /// The set that a verified header names for the next height, if it is another than its own.
    ///
    /// # Errors
    /// [`ChainError`].
    #[cfg(feature = "serve")]
    pub(crate) async fn changed_voters(
        &self,
        header: &Header,
    ) -> Result<Option<ValidatorSet>, ChainError> {
        if header.next_validators == header.validators {
            return Ok(None);
        }
        if let Some(set) = self.trust.known_set(&header.next_validators) {
            return Ok(Some(set));
        }
        self.learn(header.height).await?;
        let set = self.trust.known_set(&header.next_validators);
        set.map(Some).ok_or_else(|| {
            ChainError::unavailable(format!("no node shows the voters after {}", header.height))
        })
    }

    #[cfg(feature = "serve")]
    async fn learn(&self, height: Height) -> Result<(), ChainError> {
        let nodes: Vec<&PeerAddr> = self.in_turn();
        let Some(first) = nodes.first() else {
            return Err(ChainError::unavailable("the network file names no node"));
        };
        match self.follow(height, first).await {
            Ok(()) => Ok(()),
            Err(FollowError::Light(error)) => Err(self.not_believed(error)),
            Err(error) => Err(ChainError::unavailable(error.to_string())),
        }
    }

    /// The nodes, the preferred one first.
    fn in_turn(&self) -> Vec<&PeerAddr> {
        let count = self.nodes.len().max(1);
        let first = self.preferred.load(Ordering::Relaxed) % count;
        let (after, before) = self.nodes.split_at(first.min(self.nodes.len()));
        before.iter().chain(after).collect()
    }

    /// Learns who votes at a height, from the node that names it first.
    pub(super) async fn follow(&self, height: Height, first: &PeerAddr) -> Result<(), FollowError> {
        let others = self.in_turn().into_iter().filter(|node| *node != first);
        let nodes: Vec<PeerAddr> = std::iter::once(first).chain(others).cloned().collect();
        self.trust.follow(&self.source(&nodes), height).await
    }

    /// Comes back inside of the trusting period, if it is over.
    pub(super) async fn renew(&self) -> Result<(), ChainError> {
        match self.trust.renew(&self.source(&self.nodes)).await {
            Ok(()) => Ok(()),
            Err(FollowError::Light(error)) => Err(self.not_believed(error)),
            Err(error) => Err(ChainError::unavailable(error.to_string())),
        }
    }

    fn source<'a>(&'a self, nodes: &'a [PeerAddr]) -> Source<'a> {
        Source {
            service: &self.service,
            nodes,
            now: (self.clock)(),
        }
    }

    fn not_believed(&self, error: LightError) -> ChainError {
        match error {
            LightError::Fork { ours, theirs } => self.forked(&ours, &theirs),
            other => ChainError::unavailable(other.to_string()),
        }
    }

    /// Tells of a fork, and writes its evidence.
    pub(super) fn forked(&self, ours: &CertifiedHeader, theirs: &CertifiedHeader) -> ChainError {
        let evidence = self.trust.write_evidence(ours, theirs);
        let place = evidence.map_or_else(
            || "its evidence is not written".to_owned(),
            |path| format!("its evidence is in {}", path.display()),
        );
        let error = LightError::Fork {
            ours: Box::new(ours.clone()),
            theirs: Box::new(theirs.clone()),
        };
        let detail = format!("{error}; {place}: tell whoever runs the chain");
        tracing::error!(%detail, "a fork");
        ChainError::Forked { detail }
    }
}

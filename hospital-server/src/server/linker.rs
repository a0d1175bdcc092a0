//! The linker: takes every header of the private chain, and every anchor, to the alliance chain.
//!
//! The alliance decides what is next: headers are checkpointed without gaps, and blocks with anchors are linked
//! in order. So the linker keeps nothing that matters. It reads the checkpointed height from the alliance's
//! state, proved; it resumes linking from a hint in a file, and from height 1 if the hint is lost or too high:
//! what is linked already is refused as such, which is as good as done. Delivery is at-least-once, application
//! exactly-once. It touches no patient datum and makes no audit entry.
//!
//! No node is believed alone: what is committed is proved, refusals are those of several nodes, and when an
//! attempt fails another node comes first in the next one.

mod cursor;
mod end;
mod fork;
mod issuer;
mod plan;

use super::stopped;
use crate::chain::{ChainClient, ChainError};
use alliance_chain::state::{self, CheckpointHead};
use alliance_chain::{Checkpoint, Link, Tx};
use caduceus_crypto::{AnchorLeaf, Hash, HospitalId, IssuerPublicKey, SecretKey, TimeMillis};
use caduceus_ledger::{CertifiedHeader, Height};
use cursor::Cursor;
use end::End;
use plan::{Batch, PlanError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often the private chain is looked at.
const INTERVAL: Duration = Duration::from_millis(200);
/// How long to wait after an attempt that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How long a private node may tell of nothing new, twice its heartbeat, before another one is asked.
const SILENCE: Duration = Duration::from_secs(60);

/// How long after a token key could not be announced it is tried again.
const ANNOUNCE_AGAIN: Duration = Duration::from_secs(5);

/// Where the linker stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkStatus {
    /// Newest private height seen.
    pub private_height: u64,
    /// Time of that block.
    pub private_time: TimeMillis,
    /// Height up to which headers are checkpointed.
    pub checkpointed: u64,
    /// Height up to which every anchor is linked.
    pub linked: u64,
    /// Whether both chains were found and brought level once.
    pub looked: bool,
    /// What is wrong, if anything.
    pub trouble: Option<String>,
}

/// Why a round of the linker ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
enum LinkerError {
    /// A chain could not be asked, or refused.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The private chain's headers are not final, or its voters can't be followed.
    #[error("the private chain: {0}")]
    Private(#[source] ChainError),
    /// A private node's headers do not fit.
    #[error("the private chain's headers: {0}")]
    Plan(#[from] PlanError),
    /// A private node's anchors are not those of the header.
    #[error("the anchors of private height {height} are not those its header commits to")]
    Anchors {
        /// The height.
        height: u64,
    },
    /// The private chain's voters certified another block than stands on record.
    #[error(
        "the private chain has another block at height {height} than is on record: it was rewritten"
    )]
    Rewritten {
        /// The height.
        height: u64,
    },
    /// No private node shows the newest block on record.
    #[error("the private chain ends before height {height}, which is on record")]
    Lost {
        /// The height.
        height: u64,
    },
    /// The alliance's answer does not decode.
    #[error("the alliance's state: {0}")]
    State(String),
}

/// What the linker works with.
pub(crate) struct Linker {
    pub(crate) hospital: HospitalId,
    pub(crate) private: ChainClient,
    pub(crate) alliance: ChainClient,
    pub(crate) cursor_file: std::path::PathBuf,
    pub(crate) identity: SecretKey,
    pub(crate) token_key: IssuerPublicKey,
}

/// How far the chains are, as the task remembers it between rounds.
struct Progress {
    checkpointed: u64,
    /// Hash of the newest checkpointed header; none at height 0.
    hash: Option<Hash>,
    linked: u64,
}

impl Linker {
    /// Starts the task.
    pub(crate) fn start(
        self,
        stop: watch::Receiver<bool>,
    ) -> (watch::Receiver<LinkStatus>, tokio::task::JoinHandle<()>) {
        let (status, seen) = watch::channel(LinkStatus::default());
        (seen, tokio::spawn(self.run(status, stop)))
    }

    /// Works until told to stop, also between two transactions: that is a crash like any other.
    async fn run(self, status: watch::Sender<LinkStatus>, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            () = stopped(&mut stop) => {}
            () = self.work(status) => {}
        }
    }

    async fn work(&self, status: watch::Sender<LinkStatus>) {
        let cursor = Cursor::new(
            self.cursor_file.clone(),
            self.alliance.chain(),
            self.private.chain(),
        );
        let mut announced = false;
        let mut announce_at = Instant::now();
        let mut progress: Option<Progress> = None;
        let mut end = End::default();
        let (mut news_at, mut newest) = (Instant::now(), 0);
        loop {
            if !announced && Instant::now() >= announce_at {
                match issuer::announce(self).await {
                    Ok(()) => announced = true,
                    Err(error) => {
                        tracing::warn!(%error, "the token key is not announced yet");
                        announce_at = Instant::now() + ANNOUNCE_AGAIN;
                    }
                }
            }
            let wait = match self
                .attempt(&mut progress, &mut end, &cursor, &status)
                .await
            {
                Ok(()) => {
                    status.send_if_modified(|status| {
                        let news = !status.looked || status.trouble.is_some();
                        (status.looked, status.trouble) = (true, None);
                        news
                    });
                    INTERVAL
                }
                Err(error) => {
                    tracing::warn!(%error, "linking waits");
                    let text = error.to_string();
                    status.send_modify(|status| status.trouble = Some(text));
                    self.turn(&error);
                    // The alliance says anew where it stands.
                    progress = None;
                    AFTER_FAILURE
                }
            };
            let seen = status.borrow().private_height;
            if seen > newest {
                (news_at, newest) = (Instant::now(), seen);
            } else if news_at.elapsed() > SILENCE {
                // That there is nothing new is one node's word: its headers end where it says.
                self.private.turn();
                news_at = Instant::now();
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Begins the next attempt with another node of the chain whose answers were of no use.
    fn turn(&self, error: &LinkerError) {
        match error {
            LinkerError::Private(_)
            | LinkerError::Plan(_)
            | LinkerError::Anchors { .. }
            | LinkerError::Rewritten { .. }
            | LinkerError::Lost { .. } => self.private.turn(),
            LinkerError::Chain(_) | LinkerError::State(_) => self.alliance.turn(),
        }
    }

    async fn attempt(
        &self,
        progress: &mut Option<Progress>,
        end: &mut End,
        cursor: &Cursor,
        status: &watch::Sender<LinkStatus>,
    ) -> Result<(), LinkerError> {
        let mut at = match progress.take() {
            Some(at) => at,
            None => self.resume(cursor).await?,
        };
        self.round(&mut at, end, cursor, status).await?;
        *progress = Some(at);
        Ok(())
    }

    /// Where the alliance stands, and where linking was.
    async fn resume(&self, cursor: &Cursor) -> Result<Progress, LinkerError> {
        let (checkpointed, hash) = self
            .head()
            .await?
            .map_or((0, None), |head| (head.height.0, Some(head.hash)));
        Ok(Progress {
            checkpointed,
            hash,
            linked: plan::resume_linking(cursor.read(), checkpointed),
        })
    }

    /// The newest checkpointed header, proved; none before the first.
    async fn head(&self) -> Result<Option<CheckpointHead>, LinkerError> {
        let place = state::head(&self.hospital);
        match self.alliance.state(place.bytes()).await? {
            None => Ok(None),
            Some(bytes) => place
                .decode(&bytes)
                .map(Some)
                .map_err(|error| LinkerError::State(error.to_string())),
        }
    }

    /// Links what is checkpointed, then checkpoints and links what is new, until level.
    async fn round(
        &self,
        progress: &mut Progress,
        end: &mut End,
        cursor: &Cursor,
        status: &watch::Sender<LinkStatus>,
    ) -> Result<(), LinkerError> {
        loop {
            while let Some((from, limit)) = plan::next(progress.linked, progress.checkpointed) {
                let mut headers = self.private.headers(from, limit).await?;
                headers.truncate(usize::from(limit));
                let batch = plan::batch(headers, from, None)?;
                self.verify(&batch).await?;
                self.link(&batch, progress, cursor).await?;
                publish(status, progress, None);
            }
            let from = progress.checkpointed + 1;
            let headers = self.private.headers(from, plan::MAX_BATCH).await?;
            if headers.is_empty() {
                publish(status, progress, None);
                return self.check_end(progress, end).await;
            }
            let batch = match plan::batch(headers.clone(), from, progress.hash) {
                Ok(batch) => batch,
                // They fit each other: another chain than the one on record, if they are certified.
                Err(PlanError::Parent { height }) if height == from => {
                    let height = progress.checkpointed;
                    return Err(self.rewritten(headers, from, height).await);
                }
                Err(error) => return Err(error.into()),
            };
            self.verify(&batch).await?;
            end.stands(Instant::now());
            publish(status, progress, Some(&batch));
            self.checkpoint(&batch, progress).await?;
        }
    }

    /// The certificate on the last header is one that the private chain's voters signed.
    async fn verify(&self, batch: &Batch) -> Result<(), LinkerError> {
        let verified = self.private.verify_header(batch.last()).await;
        verified.map_err(LinkerError::Private)
    }

    /// The newest header on record still stands where the private chain has nothing new.
    async fn check_end(&self, progress: &Progress, end: &mut End) -> Result<(), LinkerError> {
        let (height, Some(recorded)) = (progress.checkpointed, progress.hash) else {
            return Ok(());
        };
        if !end.is_due(Instant::now()) {
            return Ok(());
        }
        let mut headers = self.private.headers(height, 1).await?;
        headers.truncate(1);
        let found = headers.first().map(|head| head.header.hash());
        match found {
            Some(found) if found == recorded => {
                end.stands(Instant::now());
                Ok(())
            }
            Some(_) => Err(self.rewritten(headers, height, height).await),
            None if end.is_lost(Instant::now()) => Err(LinkerError::Lost { height }),
            None => Ok(()),
        }
    }

    /// What headers from `from` on amount to that have another block at `height` than stands on record. If the
    /// private chain's voters certified them that is a fork, which is reported; else a node made them up.
    async fn rewritten(
        &self,
        headers: Vec<CertifiedHeader>,
        from: u64,
        height: u64,
    ) -> LinkerError {
        let batch = match plan::batch(headers, from, None) {
            Ok(batch) => batch,
            Err(error) => return error.into(),
        };
        match self.private.verify_header(batch.last()).await {
            // That they contradict what the light client has is found after their certificate holds.
            Ok(()) | Err(ChainError::Forked { .. }) => {}
            Err(error) => return LinkerError::Private(error),
        }
        let error = LinkerError::Rewritten { height };
        tracing::error!(%error, "the private chain has forked: tell the alliance's members");
        fork::report(self, &batch, &error.to_string()).await;
        error
    }

    async fn checkpoint(&self, batch: &Batch, progress: &mut Progress) -> Result<(), LinkerError> {
        let last = batch.last();
        let changed = self.private.changed_voters(&last.header).await;
        let next_validators = changed.map_err(LinkerError::Private)?;
        let tx = Tx::Checkpoint(Checkpoint {
            hospital: self.hospital,
            headers: batch.headers(),
            certificate: last.certificate.clone(),
            next_validators,
        });
        match self.alliance.submit(&tx.encode()).await {
            Ok(_) => {
                progress.checkpointed = last.header.height.0;
                progress.hash = Some(last.header.hash());
                Ok(())
            }
            // Somebody, or we before a crash, was first: the alliance's state proves how far.
            Err(ChainError::Rejected { rule, .. }) if rule == "checkpoint_already_checkpointed" => {
                let head = self.head().await?;
                let head = head
                    .filter(|head| plan::covers(head, &last.header))
                    .ok_or_else(|| {
                        LinkerError::State(format!(
                            "height {} is called checkpointed and is not",
                            last.header.height
                        ))
                    })?;
                progress.checkpointed = head.height.0;
                progress.hash = Some(head.hash);
                Ok(())
            }
            Err(ChainError::Rejected { rule, detail }) if rule == "checkpoint_header_conflict" => {
                tracing::error!(%detail, "the private chain has forked: tell the alliance's members");
                fork::report(self, batch, &detail).await;
                Err(ChainError::Rejected { rule, detail }.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Links every block of the batch that has anchors. All but the last are only handed in: the chain links in
    /// order, so the last one is committed only if all are.
    async fn link(
        &self,
        batch: &Batch,
        progress: &mut Progress,
        cursor: &Cursor,
    ) -> Result<(), LinkerError> {
        let due = batch.with_anchors();
        for (turn, (height, count, root)) in due.iter().enumerate() {
            let leaves = self.leaves(*height, *count, root).await?;
            let tx = Tx::Link(Link {
                hospital: self.hospital,
                height: Height(*height),
                leaves,
            })
            .encode();
            let outcome = if turn + 1 == due.len() {
                self.alliance.submit(&tx).await.map(|_| ())
            } else {
                self.alliance.hand_in(&tx).await
            };
            match outcome {
                Ok(()) => {}
                Err(ChainError::Rejected { rule, .. }) if rule == "link_already_linked" => {}
                Err(ChainError::Rejected { rule, detail }) if rule == "link_out_of_order" => {
                    // The first block of all that we hold unlinked is not the next one: the hint was too high.
                    if turn == 0 {
                        cursor.forget();
                    }
                    return Err(ChainError::Rejected { rule, detail }.into());
                }
                Err(error) => return Err(error.into()),
            }
        }
        progress.linked = batch.last().header.height.0;
        cursor.write(progress.linked);
        Ok(())
    }

    /// The leaves of a block's anchors, which are those that its header commits to.
    async fn leaves(
        &self,
        height: u64,
        count: u32,
        root: &Hash,
    ) -> Result<Vec<AnchorLeaf>, LinkerError> {
        let mut leaves = Vec::new();
        let mut encoded = Vec::new();
        for position in 0..count {
            let leaf = self.private.anchor(height, position).await?.leaf();
            encoded.push(leaf.to_bytes());
            leaves.push(leaf);
        }
        if caduceus_crypto::merkle::root(&encoded) == *root {
            Ok(leaves)
        } else {
            Err(LinkerError::Anchors { height })
        }
    }
}

fn publish(status: &watch::Sender<LinkStatus>, progress: &Progress, batch: Option<&Batch>) {
    status.send_if_modified(|status| {
        let before = status.clone();
        status.checkpointed = progress.checkpointed;
        status.linked = progress.linked;
        if let Some(batch) = batch {
            let header = &batch.last().header;
            if header.height.0 >= status.private_height {
                status.private_height = header.height.0;
                status.private_time = header.time;
            }
        }
        status.private_height = status.private_height.max(progress.checkpointed);
        *status != before
    });
}

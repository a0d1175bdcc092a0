//! One pass over the nodes: what their answers amount to, and when refusals count.

use super::{ChainClient, ChainError, PATIENCE};
use caduceus_client::FollowError;
use caduceus_crypto::DecodeError;
use caduceus_ledger::{CertifiedHeader, Height, LightError};
use caduceus_network::{PeerAddr, PeerId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Why a document proves nothing, or not yet.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unproved {
    /// It is malformed.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// The light client does not believe it.
    #[error(transparent)]
    Light(#[from] LightError),
    /// The node has none.
    #[cfg(feature = "serve")]
    #[error("{0}")]
    None(String),
}

impl<T> From<Unproved> for Verdict<T> {
    fn from(error: Unproved) -> Self {
        match error {
            Unproved::Light(LightError::UnknownValidators { height }) => Verdict::Voters(height),
            Unproved::Light(LightError::Fork { ours, theirs }) => Verdict::Forked(ours, theirs),
            other => Verdict::Next(other.to_string()),
        }
    }
}

/// What one node's answer amounts to.
pub(super) enum Verdict<T> {
    /// The answer: proved, or to be proved by the caller.
    Final(T),
    /// A refusal: only the node's word.
    Refused {
        /// The rule's name.
        rule: String,
        /// What it says.
        detail: String,
    },
    /// Ask the next node; says why.
    Next(String),
    /// Who votes at this height is to be learned first.
    Voters(Height),
    /// Two certified headers contradict each other.
    Forked(Box<CertifiedHeader>, Box<CertifiedHeader>),
}

/// Changes of voters that one node may name before it answers: the newest head can change while they are followed.
const MAX_FOLLOWED: usize = 2;

/// How many distinct nodes must refuse alike before one of them is honest for sure.
pub(super) fn refusals_needed(validators: usize) -> usize {
    validators.saturating_sub(1) / 3 + 1
}

/// Who refuses by which rule.
#[derive(Default)]
pub(super) struct Refusals(BTreeMap<String, BTreeSet<PeerId>>);

impl Refusals {
    /// Notes a refusal and gives the number of nodes that refuse by this rule.
    pub(super) fn note(&mut self, rule: &str, node: PeerId) -> usize {
        let nodes = self.0.entry(rule.to_owned()).or_default();
        nodes.insert(node);
        nodes.len()
    }
}

/// One pass over the nodes, from the preferred one.
pub(super) struct Pass<'a> {
    client: &'a ChainClient,
    started: Instant,
    first: usize,
    turn: usize,
    followed: usize,
    refusals: Refusals,
    said: String,
}

impl<'a> Pass<'a> {
    pub(super) fn over(client: &'a ChainClient) -> Self {
        Self {
            client,
            started: Instant::now(),
            first: client.preferred.load(Ordering::Relaxed),
            turn: 0,
            followed: 0,
            refusals: Refusals::default(),
            said: "the network file names no node".to_owned(),
        }
    }

    /// The node to ask now; none if all were asked, or patience is at its end.
    pub(super) fn node(&mut self) -> Option<(usize, &'a PeerAddr)> {
        let nodes: &'a [PeerAddr] = &self.client.nodes;
        let patient = self.turn == 0 || self.started.elapsed() <= PATIENCE;
        if self.turn >= nodes.len() || !patient {
            return None;
        }
        let index = self.first.wrapping_add(self.turn) % nodes.len();
        self.turn += 1;
        self.followed = 0;
        nodes.get(index).map(|node| (index, node))
    }

    /// What the pass ends with; none if the next node is to be asked.
    pub(super) fn weigh<T>(
        &mut self,
        (index, node): (usize, &PeerAddr),
        verdict: Verdict<T>,
    ) -> Option<Result<T, ChainError>> {
        match verdict {
            Verdict::Final(answer) => {
                self.client.preferred.store(index, Ordering::Relaxed);
                return Some(Ok(answer));
            }
            Verdict::Refused { rule, detail } => {
                let needed = refusals_needed(self.client.trust.validators());
                if self.refusals.note(&rule, node.id) >= needed {
                    return Some(Err(ChainError::Rejected { rule, detail }));
                }
                self.said = format!("{rule}: {detail}");
            }
            Verdict::Next(reason) => self.said = reason,
            Verdict::Voters(height) => {
                self.said = LightError::UnknownValidators { height }.to_string();
            }
            Verdict::Forked(ours, theirs) => {
                return Some(Err(self.client.forked(&ours, &theirs)));
            }
        }
        tracing::debug!(node = %node, reason = %self.said, "asking the next node");
        None
    }

    /// Learns who votes at the height that a verdict names; true if the same node is to be asked again.
    pub(super) async fn followed<T>(&mut self, node: &PeerAddr, verdict: &mut Verdict<T>) -> bool {
        let Verdict::Voters(height) = verdict else {
            return false;
        };
        if self.followed >= MAX_FOLLOWED {
            return false;
        }
        self.followed += 1;
        match self.client.follow(*height, node).await {
            Ok(()) => true,
            Err(FollowError::Light(LightError::Fork { ours, theirs })) => {
                *verdict = Verdict::Forked(ours, theirs);
                false
            }
            Err(error) => {
                *verdict = Verdict::Next(error.to_string());
                false
            }
        }
    }

    pub(super) fn gave_up(self) -> ChainError {
        ChainError::unavailable(self.said)
    }
}

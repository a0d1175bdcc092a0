//! Following changes of voters over the network: fetch light blocks, from whichever node, until the height is trusted.

use super::Trust;
use caduceus_crypto::{TimeMillis, codec};
use caduceus_ledger::light::{Bisection, MAX_LIGHT_BLOCK_BYTES, Progress};
use caduceus_ledger::{Height, LightBlock, LightError};
use caduceus_network::exchange::{LightBlocks, LightBlocksRequest};
use caduceus_network::{PeerAddr, Service};
use std::collections::BTreeSet;
use std::time::Duration;

/// Times that all nodes are asked for the same height beyond the trusting period, with a pause in between: one may be
/// a block behind the other.
const AGREE_ROUNDS: usize = 4;
const AGREE_PAUSE: Duration = Duration::from_millis(300);
/// Bisections one after the other, each from where the last one ended.
const MAX_LEGS: usize = 16;

/// Whom to ask, and the time.
pub struct Source<'a> {
    /// Calls for this client.
    pub service: &'a Service,
    /// The nodes, the one to ask first at the front.
    pub nodes: &'a [PeerAddr],
    /// The time by the caller's clock.
    pub now: TimeMillis,
}

/// Why a height is not trusted after all nodes were asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// What was shown does not verify, or contradicts what is trusted.
    #[error(transparent)]
    Light(#[from] LightError),
    /// Nobody has a light block that is needed.
    #[error("no node has the light block of height {height}: {reason}")]
    Missing {
        /// The height.
        height: Height,
        /// What the last node said.
        reason: String,
    },
    /// The trusting period is over, and two nodes that agree on a head were not found.
    #[error(
        "what is trusted is {age_days} days old, more than 30: two nodes must show the same head, {answered} of {known} answer"
    )]
    TwoNeeded {
        /// Age of the trusted head in whole days.
        age_days: u64,
        /// Nodes that answered.
        answered: usize,
        /// Nodes known.
        known: usize,
    },
}

impl Source<'_> {
    /// One node's light block of a height; of its newest, if none is named.
    async fn fetch(&self, node: &PeerAddr, height: Option<Height>) -> Result<LightBlock, String> {
        let request = LightBlocksRequest {
            heights: height.iter().map(|height| height.0).collect(),
        };
        let reply = self
            .service
            .call::<LightBlocks>(node, request)
            .await
            .map_err(|error| error.to_string())?;
        let item = reply.items.first().filter(|item| !item.is_empty());
        let item = item.ok_or_else(|| "it does not have it".to_owned())?;
        let block: LightBlock =
            codec::decode_exact(item, MAX_LIGHT_BLOCK_BYTES).map_err(|error| error.to_string())?;
        match height {
            Some(height) if block.height() != height => Err(LightError::OtherHeight {
                expected: height,
                found: block.height(),
            }
            .to_string()),
            _ => Ok(block),
        }
    }

    /// Goes on with a bisection until its target is trusted. A node whose block turns out wrong comes last from
    /// then on.
    async fn complete(&self, way: &mut Bisection) -> Result<(), FollowError> {
        let mut order: Vec<&PeerAddr> = self.nodes.iter().collect();
        // Each node may be wrong twice before the way is given up.
        let mut patience = 2 * order.len();
        loop {
            let height = match way.advance() {
                Ok(Progress::Done(_)) => return Ok(()),
                Ok(Progress::Want(height)) => height,
                Err(error) if way.is_over() || patience == 0 => return Err(error.into()),
                Err(error @ LightError::TooManySteps { .. }) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(%error, "a light block does not hold, asking another node");
                    order.rotate_left(1);
                    patience -= 1;
                    continue;
                }
            };
            let mut reason = "no node is known".to_owned();
            let mut taken = false;
            for node in &order {
                match self.fetch(node, Some(height)).await {
                    Ok(block) => match way.offer(block) {
                        Ok(()) => {
                            taken = true;
                            break;
                        }
                        Err(error @ LightError::Fork { .. }) => return Err(error.into()),
                        Err(error) => reason = error.to_string(),
                    },
                    Err(error) => reason = error,
                }
                tracing::debug!(%node, %height, %reason, "no light block from this node");
            }
            if !taken {
                return Err(FollowError::Missing { height, reason });
            }
        }
    }
}

impl Trust {
    /// Learns who votes at a height. Above the trusted one it is trusted then.
    ///
    /// # Errors
    /// [`FollowError`]: what the last node came to; [`LightError::Fork`] at once.
    pub async fn follow(&self, source: &Source<'_>, height: Height) -> Result<(), FollowError> {
        let mut last = FollowError::Missing {
            height,
            reason: "no node is known".to_owned(),
        };
        for node in source.nodes {
            let target = match source.fetch(node, Some(height)).await {
                Ok(target) => target,
                Err(reason) => {
                    last = FollowError::Missing { height, reason };
                    continue;
                }
            };
            let start = || self.lock().toward(target.clone(), source.now);
            match self.walk(source, start).await {
                Ok(()) => return Ok(()),
                Err(error @ FollowError::Light(LightError::Fork { .. })) => return Err(error),
                Err(error) => {
                    tracing::warn!(%node, %error, "a height is not reached from this node's light block");
                    last = error;
                }
            }
        }
        Err(last)
    }

    /// Completes a way and takes over what it reached, also if it does not end. One that has too many steps goes on
    /// from there a few times.
    async fn walk(
        &self,
        source: &Source<'_>,
        start: impl Fn() -> Result<Bisection, LightError>,
    ) -> Result<(), FollowError> {
        let mut legs = MAX_LEGS;
        loop {
            let mut way = start()?;
            let outcome = source.complete(&mut way).await;
            self.take_over(&way);
            legs -= 1;
            match outcome {
                Err(FollowError::Light(LightError::TooManySteps { .. })) if legs > 0 => {}
                outcome => return outcome,
            }
        }
    }

    fn take_over(&self, way: &Bisection) {
        let mut client = self.lock();
        client.adopt(way);
        if let Some(file) = &self.file {
            file.write(client.trusted());
        }
    }

    /// Comes back inside of the trusting period: nothing to do while it lasts; else two nodes must show the same newest
    /// block. Where only one node is known at all, its word has to do.
    ///
    /// What this protects from, and what not: [`Bisection::beyond_period`].
    ///
    /// # Errors
    /// [`FollowError::TwoNeeded`]; [`LightError::HeadsDiffer`] when two nodes certify different blocks;
    /// otherwise as [`Trust::follow`].
    pub async fn renew(&self, source: &Source<'_>) -> Result<(), FollowError> {
        if self.lock().check_period(source.now).is_ok() {
            return Ok(());
        }
        let ids: BTreeSet<_> = source.nodes.iter().map(|node| node.id).collect();
        let (mut answered, mut differ) = (0, None);
        for round in 0..AGREE_ROUNDS {
            if round > 0 {
                tokio::time::sleep(AGREE_PAUSE).await;
            }
            answered = 0;
            for first in source.nodes {
                let Ok(a) = source.fetch(first, None).await else {
                    continue;
                };
                answered += 1;
                if ids.len() == 1 {
                    let start = || self.lock().beyond_period(a.clone(), &a, source.now);
                    return self.walk(source, start).await;
                }
                for second in source.nodes.iter().filter(|node| node.id != first.id) {
                    let Ok(b) = source.fetch(second, Some(a.height())).await else {
                        continue;
                    };
                    answered += 1;
                    let start = || self.lock().beyond_period(a.clone(), &b, source.now);
                    match self.walk(source, start).await {
                        Ok(()) => return Ok(()),
                        Err(error @ FollowError::Light(LightError::Fork { .. })) => {
                            return Err(error);
                        }
                        Err(error) => differ = Some(error),
                    }
                }
            }
        }
        if let Some(error) = differ {
            return Err(error);
        }
        let age = source.now.0.saturating_sub(self.trusted().time().0);
        Err(FollowError::TwoNeeded {
            age_days: age / 86_400_000,
            answered: answered.min(ids.len()),
            known: ids.len(),
        })
    }
}

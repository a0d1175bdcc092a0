//! Follows changes of the alliance's voters over the network, from what is trusted to a node's newest block
//! (DESIGN 4.5).

use super::alliance::Doubt;
use caduceus_crypto::{TimeMillis, decode_exact};
use caduceus_ledger::light::{Bisection, MAX_LIGHT_BLOCK_BYTES, Progress};
use caduceus_ledger::{Genesis, Height, LightBlock, LightClient, LightError, Trusted};
use caduceus_network::exchange::{LightBlocks, LightBlocksRequest};
use caduceus_network::{PeerAddr, Service};

/// Bisections one after the other, each from where the last one ended.
const MAX_LEGS: usize = 16;

/// The alliance's nodes.
pub(super) struct Nodes<'a> {
    /// Calls for this program.
    pub service: &'a Service,
    /// Every node that the network file names.
    pub all: &'a [PeerAddr],
}

/// What an answer that fails a check says of its node: one that is merely behind proves nothing wrong.
pub(super) fn doubt(error: LightError) -> Doubt {
    match error {
        LightError::Stale { .. } | LightError::Expired { .. } => Doubt::Absent(error.to_string()),
        _ => Doubt::Unproved(error.to_string()),
    }
}

impl Nodes<'_> {
    /// Learns who votes at a node's newest height. Beyond the trusting period a second node must show the same block
    /// as this one; where one node is known at all, its word has to do ([`Bisection::beyond_period`]).
    pub(super) async fn follow(
        &self,
        node: &PeerAddr,
        light: &mut LightClient,
        now: TimeMillis,
    ) -> Result<(), Doubt> {
        let newest = self.fetch(node, None).await.map_err(Doubt::Absent)?;
        if light.check_period(now).is_err() {
            let (a, b) = self.pair(node, &newest, light).await?;
            let start = |light: &LightClient| light.beyond_period(a.clone(), &b, now);
            self.walk(node, light, start).await?;
        }
        if newest.height() <= light.trusted().height() {
            return Ok(());
        }
        let start = |light: &LightClient| light.toward(newest.clone(), now);
        self.walk(node, light, start).await
    }

    /// The light blocks that lead from a genesis to a height, each reached from the one before. The trusting period is
    /// waived: who shows them to somebody else says nothing of their age.
    pub(super) async fn way_to(
        &self,
        node: &PeerAddr,
        genesis: &Genesis,
        height: Height,
        now: TimeMillis,
    ) -> Result<Vec<LightBlock>, Doubt> {
        let target = self
            .fetch(node, Some(height))
            .await
            .map_err(Doubt::Absent)?;
        let mut point = Trusted::from_genesis(genesis);
        let mut blocks = Vec::new();
        for _ in 0..MAX_LEGS {
            let way = Bisection::beyond_period(&point, target.clone(), &target, now);
            let mut way = way.map_err(doubt)?;
            let outcome = self.complete(node, &mut way).await;
            for passed in way.passed() {
                let (Some(head), Some(voters)) = (passed.head(), passed.validators()) else {
                    continue;
                };
                blocks.push(LightBlock {
                    head: head.clone(),
                    validators: voters.clone(),
                    next_validators: passed.next_validators().clone(),
                });
                point = passed.clone();
            }
            if outcome?.is_none() {
                return Ok(blocks);
            }
        }
        Err(Doubt::Absent(format!(
            "the voters changed too often up to height {height}"
        )))
    }

    /// The newest block that this node and another one both show. Either may be some blocks behind the other.
    async fn pair(
        &self,
        node: &PeerAddr,
        newest: &LightBlock,
        light: &LightClient,
    ) -> Result<(LightBlock, LightBlock), Doubt> {
        if self.all.iter().all(|other| other.id == node.id) {
            return Ok((newest.clone(), newest.clone()));
        }
        let (mut agreed, mut differing) = (None::<(LightBlock, LightBlock)>, None);
        for other in self.all.iter().filter(|other| other.id != node.id) {
            let Ok(theirs) = self.fetch(other, None).await else {
                continue;
            };
            let height = newest.height().min(theirs.height());
            let (Ok(a), Ok(b)) = (
                self.fetch(node, Some(height)).await,
                self.fetch(other, Some(height)).await,
            ) else {
                continue;
            };
            if a.hash() != b.hash() || b.check(&light.chain()).is_err() {
                differing = Some((a, b));
            } else if agreed
                .as_ref()
                .is_none_or(|(best, _)| best.height() < height)
            {
                agreed = Some((a, b));
            }
        }
        // Two that differ are refused by the light client, which says how.
        agreed.or(differing).ok_or_else(|| {
            Doubt::Absent(
                "the genesis is more than 30 days old, and no second node shows a block of its own"
                    .to_owned(),
            )
        })
    }

    /// Completes a way and takes over what it reached, also if it does not end. One that has too many steps goes on
    /// from there.
    async fn walk(
        &self,
        node: &PeerAddr,
        light: &mut LightClient,
        start: impl Fn(&LightClient) -> Result<Bisection, LightError>,
    ) -> Result<(), Doubt> {
        let mut legs = MAX_LEGS;
        loop {
            let mut way = start(light).map_err(doubt)?;
            let outcome = self.complete(node, &mut way).await;
            light.adopt(&way);
            legs -= 1;
            match outcome? {
                None => return Ok(()),
                Some(error) if legs == 0 => return Err(doubt(error)),
                Some(_) => {}
            }
        }
    }

    /// Goes on with a bisection until its target is trusted, or until it has too many steps: that error is given.
    async fn complete(
        &self,
        node: &PeerAddr,
        way: &mut Bisection,
    ) -> Result<Option<LightError>, Doubt> {
        // The node itself first: who shows a target has the way to it, unless it joined by a snapshot.
        let mut order: Vec<&PeerAddr> = vec![node];
        order.extend(self.all.iter().filter(|other| other.id != node.id));
        // Each node may be wrong twice before the way is given up.
        let mut patience = 2 * order.len();
        loop {
            let height = match way.advance() {
                Ok(Progress::Done(_)) => return Ok(None),
                Ok(Progress::Want(height)) => height,
                Err(error @ LightError::TooManySteps { .. }) => return Ok(Some(error)),
                Err(error) if way.is_over() || patience == 0 => return Err(doubt(error)),
                Err(_) => {
                    order.rotate_left(1);
                    patience -= 1;
                    continue;
                }
            };
            self.offer(&order, way, height).await?;
        }
    }

    /// Gives a bisection the block that it wants, from the first node that has one which holds.
    async fn offer(
        &self,
        order: &[&PeerAddr],
        way: &mut Bisection,
        height: Height,
    ) -> Result<(), Doubt> {
        let mut last = Doubt::Absent(format!("no node has the light block of height {height}"));
        for node in order {
            let Ok(block) = self.fetch(node, Some(height)).await else {
                continue;
            };
            match way.offer(block) {
                Ok(()) => return Ok(()),
                Err(error) => last = doubt(error),
            }
        }
        Err(last)
    }

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
        let item = item.ok_or_else(|| "it does not have the light block asked for".to_owned())?;
        let block: LightBlock =
            decode_exact(item, MAX_LIGHT_BLOCK_BYTES).map_err(|error| error.to_string())?;
        match height {
            Some(expected) if block.height() != expected => Err(LightError::OtherHeight {
                expected,
                found: block.height(),
            }
            .to_string()),
            _ => Ok(block),
        }
    }
}

#[cfg(test)]
mod tests;

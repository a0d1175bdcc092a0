//! kill -9 of one validator of each tier in the middle of the story.

use super::Narrator;
use super::summary::Summary;
use super::world::{PATIENCE, World};
use crate::layout::Layout;
use crate::loopback::NodeName;
use std::time::{Duration, Instant};

/// One alliance validator and one private validator, by the seed. The story itself watches the first of each
/// chain and pauses the second alliance node, so these stay in this process.
pub fn victims(layout: &Layout, seed: u64) -> Vec<NodeName> {
    let pick = |from: usize, count: usize| from + (seed as usize) % (count - from);
    let hospital = pick(0, layout.hospitals.len());
    vec![
        NodeName::Alliance(pick(2, layout.alliance.len())),
        NodeName::Private(hospital, pick(1, layout.hospitals[hospital].nodes.len())),
    ]
}

/// Kills them.
pub fn strike(world: &mut World, seed: u64, narrator: &Narrator) -> anyhow::Result<Vec<NodeName>> {
    let names = victims(&world.layout, seed);
    for name in &names {
        world.chains.kill(*name)?;
        narrator.tell(format!("kill -9 of {name:?}"));
    }
    Ok(names)
}

/// Starts the killed ones again and waits until they have caught up.
pub async fn rejoin(
    world: &mut World,
    narrator: &Narrator,
    killed: Option<Vec<NodeName>>,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let Some(names) = killed else { return Ok(()) };
    for name in &names {
        world.chains.restart(&world.layout, *name).await?;
    }
    let addresses = world.addresses()?;
    for name in names {
        let (chain, n) = match name {
            NodeName::Alliance(n) => (&addresses[0], n),
            NodeName::Private(h, n) => (&addresses[1 + h], n),
        };
        let begun = Instant::now();
        let target = world.prober.height(&chain[0]).await.unwrap_or(0);
        loop {
            match world.prober.height(&chain[n]).await {
                Some(height) if height >= target => break,
                found => anyhow::ensure!(
                    begun.elapsed() < PATIENCE,
                    "{name:?} is at {found:?}, not at {target}"
                ),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        summary.killed_and_rejoined += 1;
        narrator.tell(format!(
            "{name:?} is back at height {target} after {:.1} s",
            begun.elapsed().as_secs_f64()
        ));
    }
    Ok(())
}

//! kill -9 of one validator of each tier in the middle of the story.

use super::Narrator;
use super::world::{PATIENCE, World};
use crate::layout::Layout;
use crate::loopback::NodeName;
use std::time::{Duration, Instant};

/// The last alliance validator, and the last of the first hospital's chain.
pub fn victims(layout: &Layout) -> Vec<NodeName> {
    vec![NodeName::Alliance(layout.alliance.len() - 1), NodeName::Private(0, layout.hospitals[0].nodes.len() - 1)]
}

/// Kills them.
pub fn strike(world: &mut World, narrator: &Narrator) -> anyhow::Result<Vec<NodeName>> {
    let names = victims(&world.layout);
    for name in &names {
        world.chains.kill(*name)?;
        narrator.tell(format!("kill -9 of {name:?}"));
    }
    Ok(names)
}

/// Starts the killed ones again and waits until they have caught up.
pub async fn rejoin(world: &mut World, narrator: &Narrator, killed: Option<Vec<NodeName>>) -> anyhow::Result<()> {
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
                found => anyhow::ensure!(begun.elapsed() < PATIENCE, "{name:?} is at {found:?}, not at {target}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        narrator.tell(format!("{name:?} is back at height {target} after {:.1} s", begun.elapsed().as_secs_f64()));
    }
    Ok(())
}

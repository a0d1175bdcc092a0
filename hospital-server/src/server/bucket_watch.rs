//! Forgets the keys of buckets that the chain retires.

use super::audit_log::ring::Ring;
use super::stopped;
use crate::chain::ChainClient;
use crate::database::blocking;
use private_chain::state;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

/// How often the chain is asked.
const EVERY: Duration = Duration::from_secs(30);

/// Starts the task.
pub(crate) fn start(
    chain: ChainClient,
    ring: Ring,
    mut stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return,
                _ = tick.tick() => {}
            }
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return,
                outcome = look(&chain, &ring) => if let Err(error) = outcome {
                    tracing::info!(%error, "it is not known now which buckets are retired");
                },
            }
        }
    })
}

async fn look(chain: &ChainClient, ring: &Ring) -> Result<(), String> {
    let keys = ring.clone();
    let living = blocking(move || keys.list())
        .await
        .map_err(|error| error.to_string())?;
    for bucket in living {
        let place = state::retired(&bucket);
        let found = chain.state(place.bytes()).await;
        if found.map_err(|error| error.to_string())?.is_none() {
            continue;
        }
        let keys = ring.clone();
        blocking(move || keys.destroy(&bucket))
            .await
            .map_err(|error| error.to_string())?;
        tracing::info!(%bucket, "a retired bucket's key is destroyed");
    }
    Ok(())
}
